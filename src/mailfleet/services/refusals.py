"""Refused rows as a file that a spreadsheet may open without running anything."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

from mailfleet.errors import BadFile
from mailfleet.services.context import Fleet
from mailfleet.store import imports
from mailfleet.store.imports import Refusal

HEADER = ("row", "rule", "field", "value", "detail", "culprit")


async def write_refusals(fleet: Fleet, import_id: UUID, to: Path) -> int:
    """Every refused row of an import, in the file's order; how many."""
    written, after = 0, 0
    with writing(to) as file:
        begin(file)
        while batch := await _page(fleet, import_id, after):
            put(file, batch)
            written, after = written + len(batch), batch[-1].row_no
    return written


def begin(file: IO[str]) -> None:
    csv.writer(file).writerow(HEADER)


def put(file: IO[str], refused: Iterable[Refusal]) -> None:
    """A line each; a cell that a spreadsheet would run is quoted with an apostrophe."""
    csv.writer(file).writerows([_harmless(cell) for cell in _cells(each)] for each in refused)


@contextmanager
def writing(to: Path, mode: str = "w") -> Generator[IO[str]]:
    """Raises BadFile for a place that cannot be written."""
    try:
        with to.open(mode, encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise BadFile(f"{to} cannot be written: {error.strerror or error}.", hint="Choose another place.") from error


async def _page(fleet: Fleet, import_id: UUID, after: int) -> list[Refusal]:
    async with fleet.db.connection() as db:
        return list(await imports.refusals(db, import_id, after=after))


def _cells(each: Refusal) -> tuple[object, ...]:
    return (each.row_no, each.rule, each.field, each.value, each.detail, each.culprit)


def _harmless(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text[:1] and text[:1] in "=+-@\t\r" else text
