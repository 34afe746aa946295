"""The law's gate before a lead may be sent to (dns-mail L1 to L4)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mailfleet.policy.model import Legal


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` is empty when open; else the code that the refusal report and the lead's exclusion carry."""

    open: bool
    rule: str = ""
    detail: str = ""


def gate(legal: Legal, *, country: str, source: str, basis: Mapping[str, object]) -> Gate:
    """May a lead of this country, from this source, with this legal-basis record be written to?

    An unknown country is held to the strictest rules (L1); a seen no-marketing statement closes the gate everywhere.
    """
    if _seen(basis.get("no_marketing_statement")):
        return Gate(open=False, rule="no_marketing_statement", detail="the address was published with a refusal (L2)")
    if legal.source_required and not source.strip():
        return Gate(open=False, rule="no_source", detail="where the address comes from is not recorded (L4)")
    if not is_strict(legal, country, subscriber=str(basis.get("subscriber") or "")):
        return Gate(open=True)
    lacking = [name for name in legal.basis_fields if not str(basis.get(name) or "").strip()]
    if lacking:
        return Gate(open=False, rule="legal_basis", detail=f"the legal basis lacks {', '.join(lacking)} (L2)")
    named = str(basis["basis"]).strip().lower() if "basis" in basis else ""
    if named not in legal.bases:
        return Gate(open=False, rule="legal_basis", detail=f"{named!r} is not one of {', '.join(legal.bases)} (L2)")
    return Gate(open=True)


def is_strict(legal: Legal, country: str, *, subscriber: str = "") -> bool:
    """Is a complete legal basis needed there? An unknown subscriber is a person (L3)."""
    code = country.strip().upper()
    if code in legal.individual_countries and subscriber.strip().lower() not in legal.corporate:
        return True
    return code in legal.strict_countries or (not code and legal.unknown_country_is_strict)


def _seen(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in ("yes", "true", "1", "y"))
