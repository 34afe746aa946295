"""What happened at a sending platform, in our words: counts, messages, conversations, events. Part of the port."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

EventKind = Literal[
    "sent", "opened", "clicked", "replied", "bounced", "unsubscribed", "complained",
    "category_changed", "campaign_status", "mailbox_disconnected", "bounce_breach",
]  # fmt: skip


class CampaignStats(msgspec.Struct, frozen=True, kw_only=True):
    """Totals; each rate is shown with its own n by whoever prints it."""

    sent: int = 0
    unique_sent: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    bounced: int = 0
    unsubscribed: int = 0
    leads: Mapping[str, int] = {}


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of campaigns tells of each: enough to see that something happened."""

    sent: int
    opened: int
    replied: int
    bounced: int


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of one lead at one step, from the platform's statistics: the second source (V10).

    `step` is 0 where the platform does not tell which it was.
    """

    message_ref: str
    email: str
    step: int
    sent_at: datetime
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    replied_at: datetime | None = None
    bounced: bool = False
    bounce_text: str = ""
    """What the receiver wrote, where the platform gives it away from the mail."""
    unsubscribed: bool = False
    mailbox_ref: str | None = None
    variant_ref: str | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["sent", "reply"]
    at: datetime
    message_id: str = ""
    message_ref: str = ""
    subject: str = ""
    body: str = ""
    step: int | None = None


class PlatformEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, in our vendor-neutral model (V5)."""

    kind: EventKind
    at: datetime
    dedupe_key: str
    """Stable for the same fact however often it is delivered."""
    campaign_ref: str | None = None
    lead_ref: str | None = None
    lead_email: str | None = None
    mailbox_address: str | None = None
    mailbox_ref: str | None = None
    step: int | None = None
    message_ref: str | None = None
    detail: Mapping[str, Any] = {}
    """replied: subject, text, html, headers, sent_text; bounced: text, sender_originated;
    campaign_status: state; category_changed: category."""
