"""Slack: one message by incoming webhook or `chat.postMessage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.errors import Forbidden, Invalid, NotFound, RateLimited, Unauthorized, Unavailable, VendorError
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.protocols import Window
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

BASE_URL = "https://slack.com/api"
WINDOWS: tuple[Window, ...] = ((5, 5.0), (50, 60.0))
"""One message a second, short bursts allowed (slack:rate-limits)."""
_WHY = "reading needs a scope we do not ask for; the notice is told as of unknown outcome and not repeated"
POST = Operation(  # slack:chat.postMessage
    name="post_message", method="POST", path="/chat.postMessage", reconcile=f"not at all: {_WHY}"
)
HOOK = Operation(  # slack:incoming-webhook
    name="incoming_webhook", method="POST", path="", reconcile=f"not at all: {_WHY}"
)
_ERRORS: Mapping[str, type[VendorError]] = {
    "invalid_auth": Unauthorized, "not_authed": Unauthorized, "token_revoked": Unauthorized,
    "token_expired": Unauthorized, "account_inactive": Unauthorized, "missing_scope": Forbidden,
    "not_in_channel": Forbidden, "is_archived": Forbidden, "action_prohibited": Forbidden,
    "channel_not_found": NotFound, "no_service": NotFound, "channel_is_archived": Forbidden,
    "invalid_token": Unauthorized, "ratelimited": RateLimited, "rate_limited": RateLimited,
    "internal_error": Unavailable, "fatal_error": Unavailable,
}  # fmt: skip


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    ts: str
    channel: str = ""


class SlackClient:
    """By bot token where there is one, else by webhook (which knows one channel only)."""

    def __init__(
        self, means: Means, *, token: Secret | None = None, webhook: Secret | None = None, base_url: str = BASE_URL
    ) -> None:
        self._by_token = Transport(_vendor(base_url, _bearer(token)), means) if token else None
        self._by_hook = Transport(_vendor(base_url, Access(url=webhook)), means) if webhook else None

    @property
    def usable(self) -> bool:
        return bool(self._by_token or self._by_hook)

    @property
    def keys(self) -> frozenset[str]:
        """The accounts it posts with, as the journal names them."""
        return frozenset(transport.key_id for transport in (self._by_token, self._by_hook) if transport)

    async def close(self) -> None:
        for transport in (self._by_token, self._by_hook):
            if transport:
                await transport.close()

    async def post(self, channel: str, text: str, blocks: Sequence[Mapping[str, Any]] = (), *, notice: str = "") -> str:
        """The message's `ts`; empty by webhook, which answers `ok` and no more."""
        body: dict[str, Any] = {"text": text, **({"blocks": list(blocks)} if blocks else {})}
        match = {"channel": channel, **({"notice": notice} if notice else {})}
        if self._by_token:
            body["channel"] = channel
            return (await self._by_token.ask(POST, Posted, body=body, match=match)).ts
        if self._by_hook:
            await self._by_hook.call(HOOK, body=body, match=match)
            return ""
        raise Unauthorized(
            "Slack is not set up.", vendor="slack", operation="post_message", hint="Set SLACK_BOT_TOKEN or its webhook."
        )


def _bearer(token: Secret) -> Access:
    return Access(headers={"authorization": Secret(f"Bearer {token.reveal()}")})


def _vendor(base_url: str, access: Access) -> Vendor:
    return Vendor(name="slack", base_url=base_url, access=access, windows=WINDOWS, judge=judge, reserved=0)


def judge(answer: Answer) -> Failure | None:
    """200 with `ok:false` is Slack's usual no; a webhook says it in plain text.

    An answered error counts as not posted, also a 5xx: in an outage a notice twice is better than none.
    """
    said = str(answer.fields.get("error") or text_of(answer))
    if 200 <= answer.status < 300:
        if answer.fields.get("ok") is True or said == "ok":
            return None
        kind = _ERRORS.get(said, Invalid)
        return Failure(kind=kind, message=said)
    known = _ERRORS.get(said)
    if known and answer.status < 500:
        return Failure(kind=known, message=said)
    failure = by_status(answer, said)
    return failure and msgspec.structs.replace(failure, settled=True)
