"""The description that the Namecheap face publishes of itself: one address, a body for each command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailfleet.sandbox.describe import ANY, TEXT, Operation, Schema, document, obj

CONTACTS = ("Registrant", "Tech", "Admin", "AuxBilling")
CONTACT_FIELDS = (
    "FirstName", "LastName", "Address1", "City", "StateProvince", "PostalCode", "Country", "Phone", "EmailAddress",
)  # fmt: skip
_WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[A-Za-z0-9]"}
_PHONE: Schema = {"type": "string", "pattern": r"^\+[0-9]{1,3}\.[0-9]{4,14}$"}
_KEYS: Mapping[str, Schema] = dict.fromkeys(("ApiUser", "ApiKey", "UserName", "ClientIp"), TEXT)
_CONTACT: Mapping[str, Schema] = {
    contact + name: _PHONE if name == "Phone" else _WORD for contact in CONTACTS for name in CONTACT_FIELDS
}
# What a command needs, and what it may have.
_TAKEN: Mapping[str, tuple[Mapping[str, Schema], Mapping[str, Schema]]] = {
    "namecheap.domains.check": ({"DomainList": TEXT}, {}),
    "namecheap.domains.create": (
        {"DomainName": TEXT, **_CONTACT},
        dict.fromkeys(("Years", "AddFreeWhoisguard", "WGEnabled", "IsPremiumDomain", "PremiumPrice"), TEXT),
    ),
    "namecheap.domains.getinfo": ({"DomainName": TEXT}, {}),
    "namecheap.domains.getlist": ({}, dict.fromkeys(("SearchTerm", "Page", "PageSize"), TEXT)),
    "namecheap.domains.dns.getlist": ({"SLD": TEXT, "TLD": TEXT}, {}),
    "namecheap.domains.dns.setcustom": ({"SLD": TEXT, "TLD": TEXT, "Nameservers": TEXT}, {}),
    "namecheap.users.getbalances": ({}, {}),
}


def description(path: str, commands: Iterable[str]) -> dict[str, Any]:
    """The one address of the API."""
    answers = {200: ("text/xml", ANY), 405: ("text/html", TEXT)}
    names = {name: _TAKEN.get(name, ({}, {})) for name in commands}
    body: Schema = {"anyOf": [_body(name, *names[name]) for name in names]}
    call = Operation(
        method="POST",
        path=path,
        summary="Any command; errors come with status 200 and Status ERROR",
        answers=answers,
        body=body,
        body_type="application/x-www-form-urlencoded",
    )
    asked = {key: schema for needed, more in names.values() for key, schema in {**needed, **more}.items()}
    query = {**_KEYS, "Command": {"enum": list(names)}, **asked}
    read = Operation(
        method="GET",
        path=path,
        summary="The same, the key in the address",
        answers=answers,
        query=query,
        needed=(*_KEYS, "Command"),
    )
    return document("Namecheap XML API (sandbox)", [call, read])


def _body(command: str, needed: Mapping[str, Schema], more: Mapping[str, Schema]) -> Schema:
    return obj({**_KEYS, "Command": {"const": command}, **needed}, more)
