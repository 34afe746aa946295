"""Salesforge's webhooks as our events.

Only the common blocks of a body are published, and a delivery is never repeated: webhooks are a hint, reading is the
truth. What a body does not tell (the text of an answer or a bounce) is read; the event then says only that somebody has
to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mailfleet.platforms.forge_words import moment
from mailfleet.platforms.port import EventKind, PlatformEvent

KINDS: Mapping[str, EventKind] = {
    # salesforge:webhooks/types
    "email_sent": "sent",
    "contact_unsubscribed": "unsubscribed",
    "label_changed": "category_changed",
    "positive_reply": "category_changed",
    "negative_reply": "category_changed",
    "email_replied": "category_changed",
    "email_bounced": "category_changed",
}
HOOKS = ("email_sent", "email_replied", "email_bounced", "contact_unsubscribed", "label_changed")
"""Opens and clicks are read: their events do not say which mail they belong to."""
HOOKED: frozenset[EventKind] = frozenset(KINDS[name] for name in HOOKS)


def parse(body: Mapping[str, Any]) -> PlatformEvent | None:
    """The event, or None for a kind that is not known or a body without a time."""
    info = _mapping(body.get("webhookInfo"))
    name = str(info.get("type") or "")
    kind, at = KINDS.get(name), moment(_text(info.get("eventTime")))
    if kind is None or at is None:
        return None
    contact, mail = _mapping(body.get("contact")), _mapping(body.get("sequenceEmail"))
    lead, sequence = _text(contact.get("id")), _text(_mapping(body.get("sequence")).get("id"))
    step = _mapping(body.get("emailSentData")).get("step")
    number = step if isinstance(step, int) and kind == "sent" else None
    return PlatformEvent(
        kind=kind,
        at=at,
        dedupe_key=_key(name, info, f"{sequence}:{lead}:{number}" if number else ""),
        campaign_ref=sequence,
        lead_ref=lead,
        lead_email=_text(contact.get("email") or mail.get("toEmail")),
        mailbox_address=_text(mail.get("fromEmail") or _mapping(body.get("mailbox")).get("email")),
        mailbox_ref=_text(_mapping(body.get("mailbox")).get("id")),
        step=number,
        message_ref=f"{sequence}:{lead}:{number}" if lead and number else None,
        detail=_detail(name, kind, mail),
    )


def _detail(name: str, kind: EventKind, mail: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "sent":
        return {"subject": _text(mail.get("subject")) or "", "message_id": _text(mail.get("emailId")) or ""}
    return {"hint": name} if kind == "category_changed" else {}


def _key(name: str, info: Mapping[str, Any], mail: str) -> str:
    """A mail by sequence, contact and step, as the readings name it too; anything else by the event's own id."""
    return hashlib.blake2b(f"{name}\x1f{mail or info.get('id')}".encode(), digest_size=16).hexdigest()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
