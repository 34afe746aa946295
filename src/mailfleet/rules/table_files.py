"""Rows as files for people and programs: JSON lines in canonical form, and CSV for spreadsheets and PostgreSQL's COPY.

CSV as RFC 4180 with LF: a cell that a spreadsheet would run as a formula begins with an apostrophe (the JSON has it as
it was); NUL, which PostgreSQL cannot hold, is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

FORMULA = frozenset("=+-@\t\r")
_SPECIAL = ('"', ",", "\n", "\r", "\0")
_MODULUS = 1 << 256
_canonical = msgspec.json.Encoder(order="deterministic")


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One object a line, keys in order: equal rows are equal bytes."""
    return _canonical.encode_lines(list(rows))


def header(columns: Sequence[str]) -> bytes:
    return csv_lines([dict(zip(columns, columns, strict=True))], columns)


def csv_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """A line a row, without the header. None is an empty cell, text stands as it is, anything else as JSON."""
    cells = [_column([row.get(name) for row in rows]) for name in columns]
    lines = map(",".join, zip(*cells, strict=True))
    # One empty cell alone would be an empty line, which readers skip.
    text = "\n".join(lines if len(columns) > 1 else [line or '""' for line in lines])
    return (text + "\n").encode("utf-8", "replace") if rows else b""


def digest(lines: bytes) -> str:
    """Of JSON lines as a set of rows: the same content in another order, or cut elsewhere, has the same digest."""
    sha256, number = hashlib.sha256, int.from_bytes
    return f"{sum(number(sha256(line).digest(), 'big') for line in lines.splitlines()) % _MODULUS:064x}"


def combined(one: str, other: str) -> str:
    """`digest` of both lots together; an empty text is the digest of nothing."""
    return f"{(int(one or '0', 16) + int(other or '0', 16)) % _MODULUS:064x}"


def _column(values: Sequence[Any]) -> Sequence[str]:
    """Cells of one column. A look at a whole column costs less than one at every cell, and most columns are plain."""
    kinds = set(map(type, values))
    if kinds == {str}:
        joined = "\x1f".join(values)
        if not (any(each in joined for each in _SPECIAL) or {each[:1] for each in values} & FORMULA):
            return values
    elif not kinds & {str, type(None)}:
        return _objects(values)
    return [_cell(each) for each in values]


def _objects(values: Sequence[Any]) -> Sequence[str]:
    """A column that holds no text: each cell as JSON, in which no line ends."""
    lines = _canonical.encode_lines(values).decode()
    if not any(each in lines for each in _SPECIAL[:2]):
        return lines.split("\n")[:-1]
    return [f'"{line}"' for line in lines.replace('"', '""').split("\n")[:-1]]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value.replace("\0", "") if isinstance(value, str) else _canonical.encode(value).decode()
    if isinstance(value, str) and text[:1] in FORMULA and not _number(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(each in text for each in _SPECIAL) else text


def _number(text: str) -> bool:
    """A negative number is not a formula."""
    return text[1:].replace(".", "", 1).isdecimal() and text[0] == "-"
