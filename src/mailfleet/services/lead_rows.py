"""One row of a lead file as a lead, or the rule that refuses it. No database: what needs one comes after."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from mailfleet.errors import BadFile
from mailfleet.policy.model import Legal
from mailfleet.rules import country as countries
from mailfleet.rules import legal
from mailfleet.rules.address import Address, BadAddress, company_key, is_formula, normalise
from mailfleet.store.imports import Refusal
from mailfleet.store.leads import NewLead

NAMES: Mapping[str, tuple[str, ...]] = {
    "email": (
        "email", "e_mail", "email_address", "mail", "work_email", "business_email", "emailaddress", "e_mail_address",
    ),
    "first_name": ("first_name", "firstname", "given_name", "forename", "vorname", "prenom"),
    "last_name": ("last_name", "lastname", "surname", "family_name", "nachname", "nom"),
    "name": ("name", "full_name", "fullname", "contact", "contact_name"),
    "company": ("company", "company_name", "organisation", "organization", "account", "business", "firma"),
    "country": ("country", "country_code", "land"),
    "timezone": ("timezone", "time_zone", "tz"),
    "source": ("source", "lead_source", "source_url", "origin", "provenance"),
    "source_at": ("source_at", "sourced_at", "source_date", "collected_at"),
    "basis": ("basis", "legal_basis", "lawful_basis"),
    "evidence": ("evidence", "evidence_url", "basis_evidence", "legal_basis_evidence", "legal_evidence"),
    "captured_at": ("captured_at", "evidence_at", "basis_captured_at", "evidence_captured_at", "legal_captured_at"),
    "role": ("role", "job_title", "title", "position", "job_role", "legal_role"),
    "relevance": ("relevance", "relevance_note", "legal_relevance"),
    "subscriber": ("subscriber", "subscriber_type", "legal_subscriber"),
    "no_marketing_statement": ("no_marketing_statement", "no_marketing", "no_marketing_seen"),
}  # fmt: skip
"""Our field → the column names it is recognised by, folded."""

BASIS = ("basis", "evidence", "captured_at", "role", "relevance", "subscriber", "no_marketing_statement")
LONGEST = 2000


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Where each of our fields is, and the columns that become further merge fields."""

    ours: Mapping[str, int]
    further: Mapping[str, int]
    header: tuple[str, ...]

    def named(self) -> dict[str, str]:
        """File column → our field, for the record."""
        mapped = {self.header[place]: field for field, place in self.ours.items()}
        return {**mapped, **{self.header[place]: f"fields.{name}" for name, place in self.further.items()}}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`country` and `source` fill cells that are empty; role addresses are refused unless asked for."""

    country: str = ""
    source: str = ""
    take_roles: bool = False


def checked(options: Options) -> Options:
    """Raises BadFile for a country nobody knows: every row that names none would be judged by it."""
    if options.country and not countries.code(options.country):
        raise BadFile(
            f"There is no country {options.country!r}.", hint="Give its two letters, such as DE, or its name."
        )
    return options


def fold(name: str) -> str:
    """A column's name as compared: no case, accents, spaces or signs."""
    plain = unicodedata.normalize("NFKD", name.strip().strip("\ufeff").lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def map_columns(header: Sequence[str], given: Mapping[str, str] | None = None) -> Columns:
    """Guesses by name; `given` (our field → column) wins. Raises BadFile when no column can hold the address."""
    folded = [fold(name) for name in header]
    ours: dict[str, int] = {}
    for field, column in (given or {}).items():
        if field not in NAMES or fold(column) not in folded:
            raise BadFile(
                f"There is no {'field' if field not in NAMES else 'column'} "
                f"{field if field not in NAMES else column!r} to map.",
                hint=f"Columns: {', '.join(header)}. Fields: {', '.join(NAMES)}.",
            )
        ours[field] = folded.index(fold(column))
    for field, names in NAMES.items():
        place = next((folded.index(name) for name in names if name in folded), None)
        if field not in ours and place is not None and place not in ours.values():
            ours[field] = place
    if "email" not in ours:
        raise BadFile(
            f"No column holds e-mail addresses. Columns found: {', '.join(header) or 'none'}.",
            hint="Name one `email`, or say which it is with --map email=COLUMN.",
        )
    if folded.count(folded[ours["email"]]) > 1:
        raise BadFile(
            f"Two columns are called {header[ours['email']]!r}.", hint="Rename the one that does not hold the address."
        )
    taken = set(ours.values())
    further = {name: place for place, name in enumerate(folded) if name and place not in taken}
    return Columns(ours=ours, further=further, header=tuple(header))


def judge(number: int, cells: Sequence[str], columns: Columns, options: Options, rule: Legal) -> NewLead | Refusal:
    """The row as a lead, or the first rule that refuses it."""
    email = _cell(cells, columns.ours["email"])
    try:
        address = normalise(email)
    except BadAddress as error:
        return Refusal(row_no=number, rule=error.rule, field="email", value=email[:200], detail=str(error))
    values = {field: _cell(cells, place) for field, place in columns.ours.items()}
    further = {name: text for name, place in columns.further.items() if (text := _cell(cells, place))}
    if bad := _formula(number, values, further):
        return bad
    if address.role and not options.take_roles:
        return role_refused(number, address.email)
    source = values.get("source", "") or options.source
    named = values.get("country", "") or options.country
    country = countries.code(named)
    basis = {name: values[name] for name in BASIS if values.get(name)}
    gate = legal.gate(rule, country=country, source=source, basis=basis)
    if not gate.open:
        return gate_refused(number, country or named, gate)
    return _lead(number, address, values, further, source, country, basis)


def role_refused(number: int, email: str) -> Refusal:
    return Refusal(
        row_no=number, rule="role_address", field="email", value=email, detail="A function's address, not a person's."
    )


def gate_refused(number: int, country: str, gate: legal.Gate) -> Refusal:
    return Refusal(row_no=number, rule=gate.rule, field="legal", value=country, detail=gate.detail)


def country_unknown(found: NewLead | Refusal) -> bool:
    """Was the row judged by the strictest rule because its country is empty or nobody's (L1)?"""
    if isinstance(found, Refusal):
        return found.field == "legal" and not countries.code(found.value)
    return not found.country


def _lead(
    number: int,
    address: Address,
    values: Mapping[str, str],
    further: Mapping[str, str],
    source: str,
    country: str,
    basis: dict[str, str],
) -> NewLead:
    first, last = values.get("first_name", ""), values.get("last_name", "")
    if not first and not last:
        first, _, last = values.get("name", "").partition(" ")
    role = {"role": values["role"]} if values.get("role") else {}
    return NewLead(
        row_no=number,
        email=address.email,
        email_norm=address.norm,
        domain=address.registrable,
        free_mail=address.free,
        role_address=address.role,
        person_key=person_key(first, last, address.registrable),
        first_name=first,
        last_name=last.strip(),
        company=values.get("company", ""),
        company_norm=company_key(values.get("company", "")),
        country=country,
        timezone=values.get("timezone", ""),
        fields={**role, **further},
        source=source,
        source_at=time_of(values.get("source_at", "")),
        legal_basis=basis,
    )


def person_key(first: str, last: str, domain: str) -> str:
    """What a suppression by person compares: the folded name at its organisation; empty without a full name."""
    name = " ".join(f"{first} {last}".casefold().split())
    return f"{name}|{domain}" if first.strip() and last.strip() else ""


def _cell(cells: Sequence[str], place: int) -> str:
    text = cells[place] if place < len(cells) else ""
    # Postgres' text holds no zero byte, JSON no lone surrogate.
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return " ".join(text.split())[:LONGEST]


def _formula(number: int, values: Mapping[str, str], further: Mapping[str, str]) -> Refusal | None:
    for name, text in (*values.items(), *further.items()):
        if is_formula(text):
            return Refusal(
                row_no=number, rule="formula", field=name, value=text[:200],
                detail="The cell begins like a spreadsheet formula.",
            )  # fmt: skip
    return None


def time_of(text: str) -> datetime | None:
    """The time an ISO text tells; UTC where it names no zone."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
