"""Is this webhook the vendor's (V11)? The path's token, the secret in the body, and a signature when one is sent.

The field and header names are those of smartlead's webhook guide; other vendors' adapters share them or send neither.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

FRESH = 300
"""Seconds that the time in a signature may be away from now."""
_EVENT_ID, _TIMED = b"-webhook-event-id", b"-webhook-signature"
_SIGNATURE = b"-signature"
_SCHEME = b"sha256="


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The few fields looked at before a body is stored; decoding checks the whole of its JSON."""

    secret_key: object = None
    event_timestamp: object = None
    created_at: object = None
    event_type: object = None


def decode(body: bytes) -> Envelope:
    """Raises msgspec.MsgspecError for what is no JSON object."""
    return _decoder.decode(body)


_decoder = msgspec.json.Decoder(Envelope)


def allowed(envelope: Envelope, headers: Iterable[tuple[bytes, bytes]], body: bytes, secret: str) -> bool:
    """Whether secret and signature are right. Without a configured secret the path's token is all there is.

    Account notifications carry no `event_type` and no secret: the token vouches for them.
    """
    if not secret:
        return True
    for name, value in headers:
        if name.endswith(_SIGNATURE) and value.startswith(_SCHEME):
            expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(value[len(_SCHEME) :], expected.encode()):
                return False
    given = envelope.secret_key
    if given is None:
        return envelope.event_type is None
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def signed(headers: Iterable[tuple[bytes, bytes]], body: bytes, secrets: Iterable[str], now: datetime) -> bool:
    """Whether one of the hooks' own secrets signed this body lately (salesforge:webhooks/signature).

    The message is the event's id, the time and the body; the key is the whole secret. Unsigned is refused.
    """
    event, told = b"", b""
    for name, value in headers:
        event = value if name.endswith(_EVENT_ID) else event
        told = value if name.endswith(_TIMED) else told
    parts = {name: value for name, _, value in (part.partition(b"=") for part in told.split(b","))}
    at, given = parts.get(b"t", b""), parts.get(b"v1", b"")
    if not event or not at.isdigit() or len(at) > 12 or abs(int(at) - now.timestamp()) > FRESH:
        return False
    message = b".".join((event, at, body))
    ours = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode() for secret in secrets]
    return any(hmac.compare_digest(given, each) for each in ours)


def event_time(envelope: Envelope, received: datetime) -> datetime:
    """The event's own time, so that the inbox sorts by it; the time of receipt when the body has none to believe."""
    for text in (envelope.event_timestamp, envelope.created_at):
        if isinstance(text, str):
            try:
                found = datetime.fromisoformat(text)
                return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
    return received
