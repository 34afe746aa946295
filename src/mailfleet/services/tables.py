"""A table in a text file, whatever program wrote it: encoding, delimiter and columns found before a row is used."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path

import charset_normalizer
import msgspec

from mailfleet.errors import BadFile
from mailfleet.services import table_files

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 256 * 1024
_BLOCK = 2048
"""Rows read at a time: few enough to be forgotten young."""
_LONGEST_LINE = 16
"""In MB."""
_FIELD = 100_000
"""Of a first line, in characters: under the limit that csv sets a cell."""
_LINE_END = re.compile(r"[\r\n]")
_WESTERN = "cp1252"
_LETTERS = "À-ÖØ-öø-ÿŠšŽžŒœŸ"
_NOT_WESTERN = re.compile(rf"[^\x00-\x7f{_LETTERS}\u2010-\u2026€™®©°·´§«»¿¡ªº&\xa0\xad]|[{_LETTERS}]{{3}}")
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be read to its end. `rows` are those after the header."""

    path: Path
    name: str
    sha256: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    rows: int
    kind: str = ""
    """What it was unpacked from, if it was."""
    shift: int = 0
    """Added to a row's number where the file itself has no header."""


@contextmanager
def opened(path: Path, *, name: str = "", encoding: str = "", sheet: str = "") -> Generator[Table]:
    """The table in a file of any known kind; `look` tells what is refused."""
    name = name or path.name
    with table_files.as_text(path, name, sheet=sheet) as text:
        found = look(text.path, name=name, encoding=encoding)
        yield msgspec.structs.replace(found, kind=text.kind, shift=text.shift)


def look(path: Path, *, name: str = "", encoding: str = "") -> Table:
    """Reads the whole file once, keeping nothing, so that a fault is known before anything is done with it.

    `encoding` is what the person says it is; without it only what is certain is taken.
    Raises BadFile for a file that is missing, empty, of no known encoding, binary, or broken in its quoting.
    """
    name = name or path.name
    try:
        head, digest = _digest(path, name)
    except OSError as error:
        raise BadFile(f"{name} cannot be read: {error.strerror or error}.", hint="Check the path.") from error
    if not head.strip():
        raise BadFile(f"{name} is empty.", hint="It needs a header line and at least one row.")
    encoding = _decodes(path, encoding, name) if encoding else _encoding(path, head, name)
    delimiter = _delimiter(_first_line(path, encoding, name))
    columns, rows = _survey(path, encoding, delimiter, name)
    return Table(
        path=path, name=name, sha256=digest, encoding=encoding, delimiter=delimiter, columns=columns, rows=rows
    )


def read(table: Table, *, after: int = 0) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells), as a spreadsheet numbers rows: the header is row 1. Rows up to `after` are left out."""
    return chain.from_iterable(_blocks(table, max(1, after - table.shift)))


def _blocks(table: Table, start: int) -> Generator[list[tuple[int, list[str]]]]:
    with table.path.open(encoding=table.encoding, newline="") as file:
        every = zip(count(1 + table.shift), csv.reader(file, delimiter=table.delimiter))
        left = islice(every, start, None)
        while block := list(islice(left, _BLOCK)):
            yield [row for row in block if not _blank(row[1])]


def _blank(cells: list[str]) -> bool:
    return not cells or (not cells[0].strip() and not any(cell.strip() for cell in cells))


def _digest(path: Path, name: str) -> tuple[bytes, str]:
    digest, endless = hashlib.sha256(), 0
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
        digest.update(head)
        while block := file.read(1 << 20):
            digest.update(block)
            endless = 0 if b"\n" in block or b"\r" in block else endless + 1
            if endless > _LONGEST_LINE:  # before anything reads it as one line into memory
                raise BadFile(f"{name} has a line of over {endless} MB.", hint="Is it a table, one lead a line?")
    return head, digest.hexdigest()


def _encoding(path: Path, head: bytes, name: str) -> str:
    """The encoding that is certain. Never a guess: a wrong one reads every name wrong and no error tells of it."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _decodes(path, encoding, name)
    if b"\x00" in head:
        raise BadFile(
            f"{name} is not a text file: it holds zero bytes.",
            hint="Save it as CSV in UTF-8; a workbook has to be exported first.",
        )
    if _is_utf8(path):
        return "utf-8"
    if _is_western(path):
        return _WESTERN
    raise BadFile(
        f"{name} is not in UTF-8, and which encoding it is in cannot be told for certain.",
        hint=f"Save it as CSV in UTF-8, or name it: {_suggestion(head)}. Look at the result with --dry-run.",
    )


def _suggestion(head: bytes) -> str:
    best = charset_normalizer.from_bytes(head).best()
    guess = f"--encoding {best.encoding} is likely; " if best and best.encoding not in ("ascii", "utf_8") else ""
    return f"{guess}--encoding cp1250 is Central Europe, cp1251 Cyrillic"


def _is_utf8(path: Path) -> bool:
    try:
        _decodes(path, "utf-8", path.name)
    except BadFile:
        return False
    return True


def _is_western(path: Path) -> bool:
    """Whether it is what spreadsheets of Western Europe save: only its letters, and never a word of nothing else.

    Words of accented letters alone are Cyrillic, Greek or Chinese text seen through the wrong table.
    """
    try:
        with path.open(encoding=_WESTERN, newline="") as file:
            return not any(_NOT_WESTERN.search(line) for line in file)
    except UnicodeError:
        return False


def _decodes(path: Path, encoding: str, name: str) -> str:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeError as error:
        raise BadFile(
            f"{name} is not in {encoding}: {error}.", hint="Save it as CSV in UTF-8 and try again."
        ) from error
    except LookupError as error:
        raise BadFile(f"There is no encoding {encoding!r}.", hint="Known are e.g. utf-8, cp1250, cp1251.") from error
    return encoding


def _first_line(path: Path, encoding: str, name: str) -> str:
    with path.open(encoding=encoding, newline="") as file:
        line = next((line for line in file if line.strip()), "")
    if not line.strip():
        raise BadFile(f"{name} is empty.", hint="It needs a header line and at least one row.")
    return line


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([line[:_FIELD]], delimiter=mark), [])))


def _survey(path: Path, encoding: str, delimiter: str, name: str) -> tuple[tuple[str, ...], int]:
    header: list[str] = []
    rows = began = 0
    last: list[str] = []
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            header = last = next(reader)
            before = reader.line_num
            while block := list(islice(reader, _BLOCK)):
                rows += len(block) - sum(map(_blank, block))
                last, began, before = block[-1], before, reader.line_num
        except csv.Error as error:
            raise _broken(name, reader.line_num, error) from error
    if any(_LINE_END.search(cell) for cell in last):
        _closed(path, encoding, delimiter, name, began)
    if len(header) > table_files.MOST_COLUMNS:
        raise BadFile(
            f"{name} has {len(header):,} columns; at most {table_files.MOST_COLUMNS} are read.",
            hint="Is the delimiter right, and the first line the header?",
        )
    if not rows:
        raise BadFile(
            f"{name} has no rows, only a header: {', '.join(header)[:500]}.",
            hint="It needs at least one row below the header.",
        )
    return tuple(cell.strip().strip("\ufeff") for cell in header), rows


def _closed(path: Path, encoding: str, delimiter: str, name: str, lines: int) -> None:
    """A quotation mark never closed makes one cell of all that follows: the last record then runs on to the end.

    It is among the records after so many lines.
    """
    began = 0
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(islice(file, lines, None), delimiter=delimiter)
        ended = 0
        for _ in reader:
            began, ended = ended, reader.line_num
    with path.open(encoding=encoding, newline="") as file:
        try:
            for _ in csv.reader(islice(file, lines + began, None), delimiter=delimiter, strict=True):
                pass
        except csv.Error as error:
            raise _broken(name, lines + began + 1, error) from error


def _broken(name: str, line: int, error: csv.Error) -> BadFile:
    return BadFile(
        f"{name}, line {line}: {error}.",
        hint="Is a quotation mark opened and never closed? Correct that line; nothing was imported.",
    )
