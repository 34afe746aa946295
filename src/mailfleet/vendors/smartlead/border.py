"""The border: what an answer of Smartlead means when it is no success, and what never gets in (V13)."""

from __future__ import annotations

from typing import Any

from mailfleet.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited, Unavailable
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, refused_inside, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Secret

BASE_URL = "https://server.smartlead.ai/api/v1"
DELIVERY_URL = "https://smartdelivery.smartlead.ai/api/v1/spam-test"
# smartlead:rate-limits; every published figure holds when all windows do (V8).
PLANS: dict[str, tuple[Window, ...]] = {
    "standard": ((10, 2.0), (60, 60.0), (1000, 3600.0)),
    "pro": ((20, 2.0), (120, 60.0), (3000, 3600.0)),
}
_PASSWORDS = frozenset({"password", "imap_password", "smtp_password", "access_token", "refresh_token", "id_token"})
# A 500 that is a decision, not a failure: repeating changes nothing (smartlead:errors).
_DECIDED: tuple[tuple[str, type[Conflict | NotFound]], ...] = (
    ("this is the last sequence", Conflict),
    ("invalid lead id", NotFound),
    ("invalid campaign id", NotFound),
)
_RECONNECTS_USED_UP = "the mailboxes were reconnected three times in 24 hours, which is all the vendor allows"


def vendor(key: Secret, *, base_url: str = BASE_URL, plan: str = "standard", circuit: str = "smartlead") -> Vendor:
    """Smartlead as the transport sees it. The key goes into the query of every call: there is no other way."""
    return Vendor(
        name="smartlead",
        base_url=base_url,
        access=Access(query={"api_key": key}),
        windows=PLANS[plan],
        judge=judge,
        scrub=without_passwords,
        circuit=circuit,
    )


def without_passwords(data: Any) -> Any:
    """The same without passwords and tokens: lists give them in base64, details in clear."""
    if isinstance(data, dict):
        return {name: without_passwords(value) for name, value in data.items() if name not in _PASSWORDS}
    if isinstance(data, list):
        return [without_passwords(item) for item in data]
    return data


def judge(answer: Answer) -> Failure | None:
    """None for a success; five shapes of error, 500s with a meaning and 200s that say no."""
    said = text_of(answer)
    if 200 <= answer.status < 300:
        return _refusal(answer, said)
    if answer.status == 406:
        return Failure(kind=RateLimited, message=_RECONNECTS_USED_UP, hint="Other calls with this key go on.")
    if answer.status == 402:
        return Failure(kind=Forbidden, message=said, hint="The credits for this are used up.")
    if answer.status == 403 and answer.kind != "json":
        return Failure(kind=Forbidden, message=said, hint="The edge refused the call, or the plan has no API access.")
    if answer.status >= 500 and answer.kind == "json":
        kind = next((kind for text, kind in _DECIDED if text in said.lower()), None)
        if kind is not None:
            return Failure(kind=kind, message=said)
    if answer.status == 400 and "already" in said.lower():
        return Failure(kind=Conflict, message=said)
    return by_status(answer, said)


def _refusal(answer: Answer, said: str) -> Failure | None:
    if refused_inside(answer) and not answer.fields.get("is_lead_limit_exhausted"):
        return Failure(kind=Invalid, message=said)
    if isinstance(answer.fields.get("error"), str) and "ok" not in answer.fields:
        return Failure(kind=Invalid, message=said)
    if answer.kind == "html" and "<html" in answer.text[:500].lower():
        return Failure(kind=Unavailable, message=said, settled=False)
    return None
