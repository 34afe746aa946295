"""Rows of a lead file as lines for COPY, many thousand a second: what is plain is read here, what is odd by lead_rows.

A batch is judged column by column, so that the loops run inside the interpreter's own functions. Both ways give the
same lead for the same row (tests/leads/test_lead_batches.py); only this one is fast.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

import msgspec

from mailfleet.policy.model import Legal
from mailfleet.rules import country as countries
from mailfleet.rules import legal
from mailfleet.rules.address import LOCAL, PLAIN, Site, company_key, is_role, site_of
from mailfleet.services import lead_rows
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.store.imports import Refusal
from mailfleet.store.leads import NewLead

_SEP = "\xa6"
# A cell that begins with a space, or that a spreadsheet might run. Signs before digits are numbers.
_ODD = re.compile(f"{_SEP}(?:[ '=@]|[+](?![\\d ().,-]+{_SEP})|-(?![\\d ().,-]*{_SEP}))")
_ALSO = (f" {_SEP}", "  ", '"', "\\")
"""Nor may a cell end with a space, hold two, or a sign that JSON or COPY would have to escape."""
_BLOCK = 2048
"""Rows judged at a time: the collector of cycles looks through what lives longer again and again."""
_NULL = "\\N"
_encode = msgspec.json.Encoder().encode
_Fast = tuple[str, str, str]
"""(address, country, line)"""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Rows judged together. `lines` are for `COPY incoming`, in the order of store.leads.COPIED."""

    last: int
    """Number of the last row: all up to it are settled once this chunk is stored."""
    rows: int
    lines: bytes
    taken: int
    refused: Sequence[Refusal]
    unknown_country: int


class Batcher:
    """Judges rows by one mapping, one set of options and one client's law."""

    def __init__(self, columns: Columns, options: Options, rule: Legal) -> None:
        self._columns, self._options, self._rule = columns, options, rule
        self._width = len(columns.header)
        ours, further = columns.ours, columns.further
        fields = {**({"role": ours["role"]} if "role" in ours else {}), **further}
        self._fields = _keys(fields.items())
        self._basis = [(name, ours[name]) for name in lead_rows.BASIS if name in ours]
        self._unsure = "role" in ours and "role" in further
        """Two columns for one field: which of them counts is seen row by row."""
        self._countries: dict[str, tuple[str, bool]] = {}

    def chunk(self, rows: Iterable[tuple[int, list[str]]]) -> Chunk | None:
        """All of `rows`, the first of several with one address winning; None when there are none."""
        coming = iter(rows)
        first: dict[str, int] = {}
        lines: list[str] = []
        refused: list[Refusal] = []
        unknown = count = last = 0
        while given := list(islice(coming, _BLOCK)):
            for (number, cells), fast in zip(given, self._judged(given), strict=True):
                found = fast or self._slow(number, cells)
                if isinstance(found, Refusal):
                    refused.append(found)
                    unknown += lead_rows.country_unknown(found)
                    continue
                norm, country, line = found
                earlier = first.setdefault(norm, number)
                if earlier != number:
                    refused.append(_again(number, norm, earlier))
                    continue
                unknown += not country
                lines.append(line)
            last, count = given[-1][0], count + len(given)
        if not count:
            return None
        text = "".join(lines).encode()
        return Chunk(last=last, rows=count, lines=text, taken=len(lines), refused=refused, unknown_country=unknown)

    def _judged(self, given: Sequence[tuple[int, list[str]]]) -> Iterator[_Fast | Refusal | None]:
        """What `lead_rows.judge` says of each row without anything odd; None where that has to be asked."""
        odd = self._odd([cells for _, cells in given])
        plain = [row for place, row in enumerate(given) if place not in odd] if odd else given
        fast = self._fast([number for number, _ in plain], [cells for _, cells in plain])
        return (None if place in odd else next(fast) for place in range(len(given))) if odd else fast

    def _odd(self, rows: Sequence[list[str]]) -> set[int]:
        """Which rows want a second look; of most batches all is seen at once."""
        if self._unsure:
            return set(range(len(rows)))
        joined = [_SEP.join(cells) for cells in rows]
        odd = {place for place, cells in enumerate(rows) if len(cells) != self._width}
        if max(map(len, joined)) > lead_rows.LONGEST:
            odd |= {place for place, text in enumerate(joined) if len(text) > lead_rows.LONGEST}
        whole = _SEP + _SEP.join(joined) + _SEP
        if not whole.isprintable():
            odd |= {place for place, text in enumerate(joined) if not text.isprintable()}
        for mark in _ALSO:
            if mark in whole:
                odd |= {place for place, text in enumerate(joined) if mark in text + _SEP}
        begins = list(accumulate((len(text) + 1 for text in joined), initial=0))
        odd |= {bisect_right(begins, found.start()) - 1 for found in _ODD.finditer(whole)}
        return odd

    def _fast(self, numbers: Sequence[int], rows: Sequence[list[str]]) -> Iterator[_Fast | Refusal | None]:
        if not rows:
            return
        cells, at, empty, fixed = list(zip(*rows, strict=True)), self._columns.ours, ("",) * len(rows), self._options
        names = ("email", "company", "country", "timezone", "source", "source_at", "no_marketing_statement")
        wanted = [cells[at[name]] if name in at else empty for name in names]
        every = zip(
            numbers, rows, *wanted, self._names(cells, empty), _objects(self._fields, cells, empty),
            _objects(_keys(self._basis), cells, empty), strict=True,
        )  # fmt: skip
        for number, row, email, company, named, zone, source, when, statement, (first, last), fields, basis in every:
            known = _known(email)
            if known is None:
                yield None
                continue
            norm, site, role = known
            if role and not fixed.take_roles:
                yield lead_rows.role_refused(number, email)
                continue
            country, strict = self._country(named or fixed.country)
            origin = source or fixed.source
            if strict or statement or not origin:
                closed = self._gate(number, row, country, named or fixed.country, origin)
                if closed:
                    yield closed
                    continue
            own, function = site.registrable, "t" if role else "f"
            person = f"{first} {last}".casefold() + "|" + own if first and last else ""
            line = (
                f"{number}\t{email}\t{norm}\t{own}\t{site.shared}\t{function}\t{person}\t{first}\t{last}\t{company}\t"
                f"{_company(company)}\t{country}\t{zone}\t{fields}\t{origin}\t{basis}\t{_time(when)}\n"
            )
            yield norm, country, line

    def _gate(self, number: int, cells: list[str], country: str, named: str, source: str) -> Refusal | None:
        basis = {name: cells[place] for name, place in self._basis if cells[place]}
        gate = legal.gate(self._rule, country=country, source=source, basis=basis)
        return None if gate.open else lead_rows.gate_refused(number, country or named, gate)

    def _country(self, name: str) -> tuple[str, bool]:
        """(code, is the law strict there?)"""
        known = self._countries.get(name)
        if known is None:
            code = countries.code(name)
            known = self._countries[name] = (code, legal.is_strict(self._rule, code))
        return known

    def _names(self, cells: Sequence[Sequence[str]], empty: Sequence[str]) -> Iterable[tuple[str, str]]:
        at = self._columns.ours
        first, last, whole = (cells[at[name]] if name in at else empty for name in ("first_name", "last_name", "name"))
        if whole is empty:
            return zip(first, last, strict=True)
        return ((a, b) if a or b else _split(name) for a, b, name in zip(first, last, whole, strict=True))

    def _slow(self, number: int, cells: list[str]) -> _Fast | Refusal:
        found = lead_rows.judge(number, cells, self._columns, self._options, self._rule)
        return found if isinstance(found, Refusal) else (found.email_norm, found.country, copied(found))


def _keys(places: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """(beginning of a JSON member, place) of each name."""
    return [(f'{_encode(name).decode()}:"', place) for name, place in places]


def _objects(keys: Sequence[tuple[str, int]], cells: Sequence[Sequence[str]], empty: Sequence[str]) -> Iterable[str]:
    """A JSON object a row of the cells that hold something; nothing in them has to be escaped."""
    members = [[key + cell + '"' if cell else "" for cell in cells[place]] for key, place in keys]
    if not members:
        return ("{}" for _ in empty)
    if len(members) == 1:
        return ["{" + member + "}" for member in members[0]]
    return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*members, strict=True)]


def _known(email: str) -> tuple[str, Site, bool] | None:
    """(address as compared, its site, whether it is a function's) of an address without anything odd."""
    found = PLAIN.fullmatch(email)
    if found is None or found.end(1) > LOCAL:
        return None
    norm = email.lower()
    local, _, domain = norm.partition("@")
    site = site_of(domain)
    return (norm, site, is_role(local)) if site else None


def _split(name: str) -> tuple[str, str]:
    first, _, last = name.partition(" ")
    return first, last


def _again(number: int, norm: str, earlier: int) -> Refusal:
    return Refusal(row_no=number, rule="duplicate_in_file", field="email", value=norm, culprit=f"row {earlier}")


def copied(lead: NewLead) -> str:
    """One lead as a line for COPY."""
    cells = (
        str(lead.row_no), lead.email, lead.email_norm, lead.domain, "t" if lead.free_mail else "f",
        "t" if lead.role_address else "f", lead.person_key, lead.first_name, lead.last_name, lead.company,
        lead.company_norm, lead.country, lead.timezone, _encode(lead.fields).decode(), lead.source,
        _encode(lead.legal_basis).decode(),
    )  # fmt: skip
    at = lead.source_at.isoformat() if lead.source_at else _NULL
    return "\t".join([*map(_escaped, cells), at]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@functools.lru_cache(maxsize=1 << 16)
def _company(name: str) -> str:
    return company_key(name)


@functools.lru_cache(maxsize=1 << 12)
def _time(text: str) -> str:
    found = lead_rows.time_of(text)
    return found.isoformat() if found else _NULL
