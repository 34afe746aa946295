"""One exchange as it may be kept: without keys, passwords, addresses or anybody's words, its shape untouched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.operation import Vendor
from mailfleet.vendors.transport.secret import Hidden, Redactor
from mailfleet.vendors.transport.wire import Lost, Outgoing

KEPT_HEADERS = (
    "content-type", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit",
    "ratelimit-policy", "x-request-id", "cf-ray",
)  # fmt: skip
MOST_ROWS = 3
TEXT_KEPT = 400
_WORDS = re.compile(r"[A-Z][A-Z0-9_]{1,40}|[a-z_]{1,14}|true|false")
"""Statuses and kinds, which are the vendor's; anything else that is text may be somebody's."""
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?")
_ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
_HIDING = re.compile(r"\*{3}|hidden", re.I)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is the masked JSON; `text` the beginning of any other body; `lost` why there was no answer."""

    vendor: str
    face: str
    """Which of the vendor's hosts."""
    operation: str
    method: str
    path: str
    """As the operation names it, its values left out."""
    query: Mapping[str, Any] = {}
    sent: Any = None
    status: int | None = None
    kind: str = ""
    headers: Mapping[str, str] = {}
    data: Any = None
    text: str = ""
    lost: str = ""
    ms: int = 0


def taken(vendor: Vendor, going: Outgoing, result: Answer | Lost, redactor: Redactor) -> Taken:
    body = going.form if going.body is None else going.body
    sent = masked(redactor.value(msgspec.to_builtins("hidden" if isinstance(body, Hidden) else body)))
    made = Taken(
        vendor=vendor.name,
        face=vendor.circuit_name,
        operation=going.operation.name,
        method=going.operation.method,
        path=going.operation.path,
        query=masked(redactor.value(msgspec.to_builtins(dict(going.query)))),
        sent=sent,
        ms=result.ms,
    )
    if isinstance(result, Lost):
        return msgspec.structs.replace(made, lost=result.name)
    text = _ADDRESS.sub("someone@example.com", redactor.text(result.text))[:TEXT_KEPT] if result.data is None else ""
    return msgspec.structs.replace(
        made,
        status=result.status,
        kind=result.kind,
        headers={name: redactor.text(result.headers[name]) for name in KEPT_HEADERS if name in result.headers},
        data=masked(redactor.value(result.data)),
        text=text,
    )


def masked(value: Any) -> Any:
    """The same shape: names, types, numbers as text, dates and the vendor's own words stay; the rest is `text`."""
    if isinstance(value, Mapping):
        return {_name(str(name)): masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value[:MOST_ROWS]]
    return _masked_text(value) if isinstance(value, str) else value


def _name(name: str) -> str:
    """Maps by address are answers too (`emailToLeadIdMap`)."""
    return _ADDRESS.sub("someone@example.com", name)


def _masked_text(text: str) -> str:
    if not text or _WORDS.fullmatch(text) or _DATED.fullmatch(text) or _HIDING.search(text):
        return text
    if re.fullmatch(r"\d+%?", text):
        return re.sub(r"\d", "1", text)
    if _ADDRESS.fullmatch(text):
        return "someone@example.com"
    return "https://example.com/" if text.startswith(("http://", "https://")) else "text"
