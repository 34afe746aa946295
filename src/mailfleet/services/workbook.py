"""A workbook's first sheet as CSV, in a process of its own: `python -m mailfleet.services.workbook FILE SHEET OUT`.

A workbook is a zip archive that can name a billion cells in a few bytes. The memory this process may take is bounded,
so that such a file ends here and not the importer.
"""

from __future__ import annotations

import contextlib
import csv
import sys
from datetime import date, datetime, time, timedelta

MOST_MEMORY = 3 << 30
EMPTY, NO_SHEET = 3, 4


def main(file: str, sheet: str, out: str) -> int:
    """0: written. EMPTY and NO_SHEET are told by their code; standard error says more."""
    _bounded()
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(file)
    if sheet and sheet not in book.sheet_names:
        sys.stderr.write(", ".join(book.sheet_names))
        return NO_SHEET
    found = book.get_sheet_by_name(sheet) if sheet else book.get_sheet_by_index(0)
    if not found.height:
        return EMPTY
    with open(out, "w", encoding="utf-8", newline="") as file_out:  # noqa: PTH123 - the fewest imports
        writer = csv.writer(file_out)
        writer.writerows([_text(cell) for cell in row] for row in found.iter_rows())
    return 0


def _bounded() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def _text(cell: object) -> str:
    """As a person reads the cell: whole numbers without a point, times as ISO."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, str):
        return cell.encode("utf-8", "replace").decode("utf-8")
    return str(cell)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
