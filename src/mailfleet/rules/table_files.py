"""Rows as files for people and programs: JSON lines in canonical form, and CSV for spreadsheets and PostgreSQL's COPY.

CSV as RFC 4180 with LF: a cell that a spreadsheet would run as a formula begins with an apostrophe (the JSON has it as
it was); NUL, which PostgreSQL cannot hold, is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNIT = "\x1f"
_SPECIAL = ('"', ",", "\n", "\r", "\0")
_STARTS = tuple(_UNIT + each for each in FORMULA)
_canonical = msgspec.json.Encoder(order="deterministic")


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One object a line, keys in order: equal rows are equal bytes."""
    return _canonical.encode_lines(list(rows))


def header(columns: Sequence[str]) -> bytes:
    return (",".join(_cell(name) for name in columns) + "\n").encode()


def csv_lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """A line a row, without the header. None is an empty cell, text stands as it is, anything else as JSON."""
    lines = [_line([_text(row.get(name)) for name in columns]) for row in rows]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace") if lines else b""


def digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Of the rows as a set: the same content in another order, or in other pages, has the same digest."""
    total = 0
    for row in rows:
        total = (total + row_digest(row)) % _MODULUS
    return f"{total:064x}"


def row_digest(row: Mapping[str, Any]) -> int:
    return int.from_bytes(hashlib.sha256(_canonical.encode(row)).digest(), "big")


def combined(one: str, other: str) -> str:
    """`digest` of both lots together; an empty text is the digest of nothing."""
    return f"{(int(one or '0', 16) + int(other or '0', 16)) % _MODULUS:064x}"


_MODULUS = 1 << 256


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _canonical.encode(value).decode()


def _line(cells: Sequence[str]) -> str:
    """Most lines need no quoting at all; a few looks at the whole line cost less than one at every cell."""
    joined = _UNIT.join(cells)
    plain = joined.count(_UNIT) == len(cells) - 1 and not any(each in joined for each in _SPECIAL)
    if plain and not joined.startswith(FORMULA) and not any(each in joined for each in _STARTS):
        # One empty cell alone would be an empty line, which readers skip.
        return joined.replace(_UNIT, ",") if joined else _cell("", alone=len(cells) == 1) + "," * (len(cells) - 1)
    return ",".join(_cell(cell) for cell in cells)


def _cell(text: str, *, alone: bool = False) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    if text.startswith(FORMULA) and not _number(text):
        text = f"'{text}"
    if alone or any(each in text for each in _SPECIAL):
        return '"' + text.replace('"', '""') + '"'
    return text


def _number(text: str) -> bool:
    """A negative number is not a formula."""
    return text[1:].replace(".", "", 1).isdecimal() and text[0] == "-"
