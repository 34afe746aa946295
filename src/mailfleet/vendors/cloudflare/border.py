"""The border: Cloudflare's envelope and error codes in our errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailfleet.errors import Conflict, Forbidden, Invalid, RateLimited, Unauthorized, Unavailable, VendorError
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Secret

BASE_URL = "https://api.cloudflare.com/client/v4"
# cloudflare:rate-limits; exceeding it blocks every call of the token for five minutes.
WINDOWS: tuple[Window, ...] = ((1200, 300.0), (200, 1.0))
ZONE_EXISTS = 1061
RECORD_EXISTS = frozenset({81057, 81058})
# cloudflare:errors
_KINDS: Mapping[int, tuple[type[VendorError], str]] = {
    ZONE_EXISTS: (Conflict, "It is adopted if it is in this account; else another account holds it."),
    1049: (Unavailable, "The name is not registered yet, or was only just registered: it is tried again."),
    1097: (Forbidden, "Cloudflare has banned this zone; ask their support."),
    81057: (Conflict, "The record is read again and compared."),
    81058: (Conflict, "The record is there already."),
    81053: (Conflict, "Another record holds this name; look at both before changing anything."),
    81045: (Forbidden, "The plan's number of records is used up."),
    971: (RateLimited, ""),
    6003: (Unauthorized, "The token is malformed: a key in place of a token, or stray characters."),
    6103: (Unauthorized, "The token is malformed."),
    6111: (Unauthorized, "The token is malformed."),
    10000: (Forbidden, "The token lacks the scope: it needs Zone:Edit and DNS:Edit."),
    9109: (Unauthorized, "The token is invalid or was revoked."),
    1052: (Unavailable, ""),
}


def vendor(token: Secret, *, base_url: str = BASE_URL) -> Vendor:
    bearer = Secret(f"Bearer {token.reveal()}")
    return Vendor(
        name="cloudflare",
        base_url=base_url,
        access=Access(headers={"authorization": bearer}),
        windows=WINDOWS,
        judge=judge,
    )


def codes(answer: Answer) -> Sequence[int]:
    """Every code of the envelope, outer first, with those in `error_chain`."""
    return [code for error in _errors(answer.fields) if isinstance(code := error.get("code"), int)]


def judge(answer: Answer) -> Failure | None:
    """`success` decides, not the status; a success may carry code 10000 as a message (cloudflare:tokens/verify)."""
    if 200 <= answer.status < 300 and answer.fields.get("success") is True:
        return None
    said = _said(answer)
    for code in codes(answer):
        if known := _KINDS.get(code):
            kind, told = known
            decided = kind is not Unavailable
            return Failure(kind=kind, message=said, settled=decided or answer.status < 500, hint=told)
    if 200 <= answer.status < 300:
        if answer.kind == "json":
            return Failure(kind=Invalid, message=said)
        return Failure(kind=Unavailable, message=said, settled=False)
    return by_status(answer, said)


def _said(answer: Answer) -> str:
    found = [f"{error.get('code', '')} {error.get('message', '')}".strip() for error in _errors(answer.fields)]
    return "; ".join(dict.fromkeys(text for text in found if text)) or text_of(answer)


def _errors(fields: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for error in fields.get("errors") or []:
        if isinstance(error, Mapping):
            yield error
            yield from (inner for inner in error.get("error_chain") or [] if isinstance(inner, Mapping))
