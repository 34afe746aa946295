"""Rows of a lead file as lines for COPY, many thousand a second: what is plain is read here, what is odd by lead_rows.

Both give the same lead for the same row (tests/leads/test_lead_batches.py); only this one is fast.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

import msgspec

from mailfleet.policy.model import Legal
from mailfleet.rules import country as countries
from mailfleet.rules import legal
from mailfleet.rules.address import Site, company_key, is_role, plain
from mailfleet.services import lead_rows
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.store.imports import Refusal
from mailfleet.store.leads import NewLead

_SEP = "\xa6"
# A cell with space around it or twice within, or that a spreadsheet might run. Signs before digits are numbers.
_ODD = re.compile(f"{_SEP}(?: |[\"'=@]|[+](?![\\d ().,-]+{_SEP})|-(?![\\d ().,-]*{_SEP}))")
_NULL, _SLASH, _SLASHES = "\\N", "\\", "\\\\"
_encode = msgspec.json.Encoder().encode


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Rows judged together. `lines` are for `COPY incoming`, in the order of store.leads.COPIED."""

    last: int
    """Number of the last row: all up to it are settled once this chunk is stored."""
    rows: int
    lines: bytes
    taken: int
    refused: Sequence[Refusal]
    unknown_country: int


class _Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a row each field is."""

    email: int
    first_name: int
    last_name: int
    name: int
    company: int
    country: int
    timezone: int
    source: int
    source_at: int
    role: int
    no_marketing_statement: int


class Batcher:
    """Judges rows by one mapping, one set of options and one client's law."""

    def __init__(self, columns: Columns, options: Options, rule: Legal) -> None:
        self._columns, self._options, self._rule = columns, options, rule
        self._width = len(columns.header)
        self._further = tuple(columns.further.items())
        self._countries: dict[str, tuple[str, bool]] = {}
        self._basis = [(name, columns.ours[name]) for name in lead_rows.BASIS if name in columns.ours]
        # A column that the file has not is the empty cell after its last.
        self._at = _Places(**{name: columns.ours.get(name, self._width) for name in _Places.__struct_fields__})

    def chunk(self, rows: Iterable[tuple[int, list[str]]]) -> Chunk | None:
        """All of `rows`, the first of several with one address winning; None when there are none."""
        first: dict[str, int] = {}
        lines: list[str] = []
        refused: list[Refusal] = []
        number = count = unknown = 0
        for number, cells in rows:
            count += 1
            found = self._fast(number, cells) or self._slow(number, cells)
            if isinstance(found, Refusal):
                refused.append(found)
                unknown += lead_rows.country_unknown(found)
                continue
            norm, country, line = found
            earlier = first.setdefault(norm, number)
            if earlier != number:
                culprit = f"row {earlier}"
                refused.append(
                    Refusal(row_no=number, rule="duplicate_in_file", field="email", value=norm, culprit=culprit)
                )
                continue
            unknown += not country
            lines.append(line)
        if not count:
            return None
        text = "".join(lines).encode()
        return Chunk(last=number, rows=count, lines=text, taken=len(lines), refused=refused, unknown_country=unknown)

    def _fast(self, number: int, cells: list[str]) -> tuple[str, str, str] | None:
        """(address, country, line) of a row without anything odd, else None. As `lead_rows.judge`, which see."""
        joined = _SEP + _SEP.join(cells) + _SEP
        if len(cells) != self._width or len(joined) > lead_rows.LONGEST or not joined.isprintable():
            return None
        if "  " in joined or f" {_SEP}" in joined or _ODD.search(joined):
            return None
        cells = [*cells, ""]
        email = cells[self._at.email]
        known = plain(email)
        if known is None or (is_role(known[0]) and not self._options.take_roles):
            return None
        local, site = known
        basis = {name: cells[place] for name, place in self._basis if cells[place]}
        country = self._passes(cells, basis)
        if country is None:
            return None
        line = self._line(number, email, local, site, country, basis, cells)
        return f"{local}@{site.domain}", country, line

    def _passes(self, cells: list[str], basis: dict[str, str]) -> str | None:
        """The country, where the law's gate is open; else None."""
        named = cells[self._at.country] or self._options.country
        known = self._countries.get(named)
        if known is None:
            code = countries.code(named)
            known = self._countries[named] = (code, legal.is_strict(self._rule, code))
        code, strict = known
        source = cells[self._at.source] or self._options.source
        if source and not strict and not cells[self._at.no_marketing_statement]:
            return code
        return code if legal.gate(self._rule, country=code, source=source, basis=basis).open else None

    def _line(
        self, number: int, email: str, local: str, site: Site, country: str, basis: dict[str, str], cells: list[str]
    ) -> str:
        at = self._at
        first, last, company, role = cells[at.first_name], cells[at.last_name], cells[at.company], cells[at.role]
        if not first and not last:
            first, _, last = cells[at.name].partition(" ")
        fields = {"role": role} if role else {}
        for name, place in self._further:
            if cells[place]:
                fields[name] = cells[place]
        own = site.registrable
        person = f"{first} {last}".casefold() + "|" + own if first and last else ""
        line = (
            f"{number}\t{email}\t{local}@{site.domain}\t{own}\t{'t' if site.free else 'f'}\t"
            f"{'t' if is_role(local) else 'f'}\t{person}\t{first}\t{last}\t{company}\t{_company(company)}\t"
            f"{country}\t{cells[at.timezone]}\t{_encode(fields).decode()}\t"
            f"{cells[at.source] or self._options.source}\t{_encode(basis).decode() if basis else '{}'}"
        )
        return f"{line.replace(_SLASH, _SLASHES)}\t{_time(cells[at.source_at])}\n"

    def _slow(self, number: int, cells: list[str]) -> tuple[str, str, str] | Refusal:
        found = lead_rows.judge(number, cells, self._columns, self._options, self._rule)
        return found if isinstance(found, Refusal) else (found.email_norm, found.country, copied(found))


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
    return text.replace(_SLASH, _SLASHES).replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@functools.lru_cache(maxsize=1 << 16)
def _company(name: str) -> str:
    return company_key(name)


@functools.lru_cache(maxsize=1 << 12)
def _time(text: str) -> str:
    found = lead_rows.time_of(text)
    return found.isoformat() if found else _NULL
