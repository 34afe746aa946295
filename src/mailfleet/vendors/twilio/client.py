"""Twilio: one SMS."""

from __future__ import annotations

import msgspec

from mailfleet.errors import Forbidden, Invalid, RateLimited, Unauthorized
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

BASE_URL = "https://api.twilio.com"
WINDOWS: tuple[Window, ...] = ((10, 1.0), (100, 60.0))
LONGEST = 1600
"""Characters in all segments of one message; more is error 21617 (twilio:messages)."""
SEND = Operation(  # twilio:messages
    name="send_sms",
    method="POST",
    path="/2010-04-01/Accounts/{account}/Messages.json",
    reconcile="not at all: an accepted message is known by the id in the lost answer alone; never sent twice",
)
_CODES = {20003: Unauthorized, 20429: RateLimited, 21610: Forbidden, 21408: Forbidden, 21211: Invalid, 21614: Invalid}
_REFUSED = frozenset({"failed", "undelivered"})


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    sid: str
    status: str = ""


class TwilioClient:
    """One account and the number it sends from."""

    def __init__(self, means: Means, *, account_sid: str, token: Secret, sender: str, base_url: str = BASE_URL) -> None:
        self._account, self._sender = account_sid, sender
        access = Access(basic=(account_sid, token))
        self.transport = Transport(
            Vendor(name="twilio", base_url=base_url, access=access, windows=WINDOWS, judge=judge), means
        )

    @property
    def keys(self) -> frozenset[str]:
        """The account it sends with, as the journal names it."""
        return frozenset({self.transport.key_id})

    async def close(self) -> None:
        await self.transport.close()

    async def send(self, to: str, text: str, *, notice: str = "") -> Sent:
        """E.164 numbers. Accepted is not delivered; the status is `queued` here."""
        form = {"To": to, "From": self._sender, "Body": text[:LONGEST]}
        at = {"account": self._account}
        match = {"to": to, **({"notice": notice} if notice else {})}
        return await self.transport.ask(SEND, Sent, at=at, form=form, match=match, urgent=True)


def judge(answer: Answer) -> Failure | None:
    """Errors carry a code of their own beside the status."""
    code = answer.fields.get("code")
    said = f"{code} {text_of(answer)}" if code else text_of(answer)
    if 200 <= answer.status < 300:
        refused = answer.fields.get("status") in _REFUSED
        return Failure(kind=Invalid, message=str(answer.fields.get("error_message") or said)) if refused else None
    if isinstance(code, int) and code in _CODES:
        return Failure(kind=_CODES[code], message=said)
    return by_status(answer, said)
