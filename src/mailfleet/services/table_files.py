"""Lead files that are no plain text (gzip, workbook, JSON lines), unpacked with bounds on size and memory."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from mailfleet.errors import BadFile
from mailfleet.services import workbook

MOST_COLUMNS = 1000
_MOST_BYTES = 32 << 30
_SUSPECT = 64 << 20
_RATIO = 250
"""Text packs 5 to 30 times. What unpacks to more than this, above 64 MB, is made to fill a disk."""
_LONGEST_LINE = 4 << 20
_BLOCK = 1 << 20
_PATIENCE = 1800


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The file as text. `shift` is added to a row's number: JSON lines have no header."""

    path: Path
    kind: str = ""
    shift: int = 0


@contextmanager
def as_text(path: Path, name: str, *, sheet: str = "") -> Generator[Text]:
    """The file itself when it is text; else unpacked into a folder that goes with the block. Raises BadFile."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BadFile(f"{name} cannot be read: {error.strerror or error}.", hint="Check the path.") from error
    with tempfile.TemporaryDirectory(prefix="mailfleet-") as folder:
        yield _unpacked(Text(path=path), head, name, Path(folder), sheet)


def _unpacked(text: Text, head: bytes, name: str, folder: Path, sheet: str) -> Text:
    if head.startswith(b"\x1f\x8b"):
        inner = _gunzip(text.path, name, folder / "gunzipped")
        with inner.open("rb") as file:
            head = file.read(512)
        if head.startswith(b"\x1f\x8b"):
            raise BadFile(f"{name} is packed twice.", hint="Unpack it once.")
        found = _unpacked(Text(path=inner), head, name, folder, sheet)
        return msgspec.structs.replace(found, kind=f"gzip {found.kind}".strip())
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return Text(path=_sheet(text.path, name, folder / "sheet.csv", sheet), kind="workbook")
    if sheet:
        raise BadFile(f"{name} is no workbook: it has no sheets.", hint="Leave --sheet away.")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return Text(path=_from_lines(text.path, name, folder / "lines.csv"), kind="JSON lines", shift=-1)
    return text


def _gunzip(path: Path, name: str, to: Path) -> Path:
    packed, written = path.stat().st_size, 0
    try:
        with gzip.open(path) as file, to.open("wb") as out:
            while block := file.read(_BLOCK):
                written += len(block)
                _bounded(name, packed, written)
                out.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{name} cannot be unpacked: {error}.", hint="Is it whole? Transfer it again.") from error
    return to


def _bounded(name: str, packed: int, unpacked: int) -> None:
    if unpacked > _MOST_BYTES or unpacked > max(_SUSPECT, _RATIO * packed):
        raise BadFile(
            f"{name} unpacks to over {unpacked >> 20} MB from {max(packed >> 20, 1)} MB: no list of leads does.",
            hint="If it is one all the same, unpack it and give the text.",
        )


def _sheet(path: Path, name: str, to: Path, sheet: str) -> Path:
    if zipfile.is_zipfile(path):
        _looks_like_a_workbook(path, name)
    done = subprocess.run(
        [sys.executable, "-m", workbook.__name__, str(path), sheet, str(to)],
        capture_output=True, text=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode == workbook.NO_SHEET:
        raise BadFile(f"{name} has no sheet {sheet!r}.", hint=f"It has {done.stderr}.")
    if done.returncode == workbook.EMPTY:
        raise BadFile(f"{name} is empty.", hint="The sheet needs a header row and at least one row; see --sheet.")
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it names more cells than memory can hold"]
        raise BadFile(
            f"{name} cannot be read as a workbook: {last[0][:200]}.", hint="Save the sheet as CSV in UTF-8 instead."
        )
    return to


def _looks_like_a_workbook(path: Path, name: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BadFile(f"{name} is a damaged archive: {error}.", hint="Is it whole? Transfer it again.") from error
    if not any(each.filename.startswith("xl/workbook") or each.filename == "content.xml" for each in inside):
        raise BadFile(f"{name} is a zip archive and no workbook.", hint="Unpack it and give the file that is in it.")
    _bounded(name, path.stat().st_size, sum(each.file_size for each in inside))


def _from_lines(path: Path, name: str, to: Path) -> Path:
    """JSON lines as CSV: a column a key, nested values as JSON. A blank line stays one, so that numbers agree."""
    columns: dict[str, None] = {}
    for number, found in _objects(path, name):
        columns.update(dict.fromkeys(found))
        if len(columns) > MOST_COLUMNS:
            raise BadFile(
                f"{name}, line {number}: over {MOST_COLUMNS} different keys.", hint="Leave most of them away."
            )
    with to.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([_safe(column) for column in columns])
        for _, found in _objects(path, name):
            out.writerow([_value(found.get(column)) for column in columns] if found else [])
    return to


def _objects(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file, name), start=1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
            yield number, _object(text, name, number) if text else {}


def _lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise BadFile(f"{name}, line {number}: over {_LONGEST_LINE >> 20} MB long.", hint="One lead a line.")
        yield line


def _object(text: bytes, name: str, number: int) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadFile(
            f"{name}, line {number} is no JSON object: {error}.", hint="One object a line; nothing was imported."
        ) from error


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _safe(value)
    try:
        return _safe(str(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode())
    except (ValueError, RecursionError):  # a number of thousands of digits
        return ""


def _safe(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
