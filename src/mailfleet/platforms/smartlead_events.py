"""Smartlead's webhooks as our events: new field names first, then the deprecated ones and the specification's (V5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailfleet.platforms.port import EventKind, PlatformEvent
from mailfleet.platforms.smartlead_words import campaign_state

KINDS: Mapping[str, EventKind] = {
    # smartlead:webhooks/events
    "EMAIL_SENT": "sent",
    "EMAIL_OPEN": "opened",
    "EMAIL_LINK_CLICK": "clicked",
    "EMAIL_REPLY": "replied",
    "EMAIL_BOUNCE": "bounced",
    "LEAD_UNSUBSCRIBED": "unsubscribed",
    "LEAD_CATEGORY_UPDATED": "category_changed",
    "CAMPAIGN_STATUS_CHANGED": "campaign_status",
    "EMAIL_ACCOUNT_DISCONNECTED": "mailbox_disconnected",
    "CAMPAIGN_BOUNCE_BREACH": "bounce_breach",
    # the same, as the newer notifications name them (smartlead:webhooks/account)
    "email.account.disconnected": "mailbox_disconnected",
    "campaign.bounce.breach": "bounce_breach",
    "campaign.bounce_breach": "bounce_breach",
    "campaign.bounce.threshold": "bounce_breach",
    "campaign.bounce_threshold.breached": "bounce_breach",
    # the specification's words (V5)
    "EMAIL_OPENED": "opened",
    "EMAIL_CLICKED": "clicked",
    "EMAIL_REPLIED": "replied",
    "EMAIL_BOUNCED": "bounced",
    "EMAIL_UNSUBSCRIBED": "unsubscribed",
    "LEAD_CATEGORY_UPDATE": "category_changed",
    "SPAM_COMPLAINT": "complained",
}
_OLD_TIMES: Mapping[EventKind, str] = {
    "sent": "time_sent", "opened": "time_opened", "clicked": "time_clicked", "replied": "time_replied",
}  # fmt: skip
_LAST_TIMES = ("created_at", "time_sent")


def parse(body: Mapping[str, Any]) -> PlatformEvent | None:
    """The event, or None for a kind that is not known or a body without a time."""
    name = str(body.get("event_type") or body.get("eventType") or body.get("type") or "")
    kind = KINDS.get(name)
    if kind is None:
        return None
    if kind in ("mailbox_disconnected", "bounce_breach"):
        return _notification(kind, body)
    at = _time(body, kind)
    if at is None:
        return None
    lead = _lead_email(body)
    return PlatformEvent(
        kind=kind,
        at=at,
        dedupe_key=_key(kind, body, lead, at),
        campaign_ref=_text(body.get("campaign_id")),
        lead_ref=_text(body.get("sl_email_lead_id") or body.get("lead_id")),
        lead_email=lead,
        mailbox_address=_text(body.get("from_email") or (body.get("from") if kind != "replied" else None)),
        step=_number(body.get("sequence_number")),
        message_ref=_text(body.get("stats_id") or _in_history(body)),
        detail=_detail(kind, body),
    )


def _lead_email(body: Mapping[str, Any]) -> str | None:
    """The lead, not whoever answered: `to_email` is the lead even in a reply (smartlead:webhooks/envelope)."""
    correspondence = _mapping(body.get("leadCorrespondence"))
    data = _mapping(body.get("lead_data"))
    for found in (
        body.get("sl_lead_email"),
        correspondence.get("targetLeadEmail"),
        data.get("email"),
        body.get("to_email"),
        body.get("lead_email"),
        body.get("to"),
    ):
        if isinstance(found, str) and "@" in found:
            return found
    return None


def _time(body: Mapping[str, Any], kind: EventKind) -> datetime | None:
    """When it happened. Only the event's own times: a delivery's time would change with every repetition."""
    for name in ("event_timestamp", _OLD_TIMES.get(kind, ""), *_LAST_TIMES):
        if (at := _moment(body.get(name))) is not None:
            return at
    return None


def _key(kind: EventKind, body: Mapping[str, Any], lead: str | None, at: datetime) -> str:
    """Stable over repetitions and both field generations: kind, campaign, message or lead, time, and for replies and
    bounces the mail itself, since sent, open and click share one `message_id` (smartlead:webhooks/idempotency)."""
    message = _mapping(body.get("reply_message" if kind == "replied" else "bounce_message"))
    old = body.get("message_id") if kind == "replied" else body.get("bounce_reply_message_id")
    mail = (message.get("message_id") or old or "") if kind in ("replied", "bounced") else ""
    parts = (kind, body.get("campaign_id"), body.get("stats_id") or (lead or "").lower(), at.isoformat(), mail)
    return hashlib.blake2b("\x1f".join(str(part) for part in parts).encode(), digest_size=16).hexdigest()


def _detail(kind: EventKind, body: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "replied":
        return _reply(body)
    if kind == "bounced":
        return _bounce(body)
    if kind == "campaign_status":
        return {"state": campaign_state(_text(body.get("campaign_status"))), "status": body.get("campaign_status")}
    if kind == "category_changed":
        change = _mapping(body.get("lead_category"))
        old = {"category": body.get("category"), "category_id": body.get("lead_category_id")}
        new = {"category": change.get("new_name"), "category_id": change.get("new_id"), "was": change.get("old_name")}
        return old | {name: value for name, value in new.items() if value is not None}
    if kind == "clicked":
        return {"links": _links(body.get("link_details") or body.get("link_clicked"))}
    if kind == "sent":
        return {"subject": _text(body.get("subject") or body.get("custom_subject")) or "", "message_id": _sent_id(body)}
    return {}


def _reply(body: Mapping[str, Any]) -> dict[str, Any]:
    message, sent = _mapping(body.get("reply_message")), _mapping(body.get("sent_message"))
    correspondence = _mapping(body.get("leadCorrespondence"))
    html = message.get("html") or body.get("reply_body") or ""
    answered_by = correspondence.get("replyReceivedFrom") or _lead_email(body)
    return {
        "subject": _text(body.get("subject")) or "",
        "text": message.get("text") or body.get("preview_text") or "",
        "html": html,
        "headers": dict(_mapping(message.get("headers") or body.get("headers"))),
        "sent_text": sent.get("text") or sent.get("html") or body.get("sent_message_body") or "",
        "message_id": message.get("message_id") or body.get("message_id") or "",
        "answered_by": answered_by,
        "alias": bool(answered_by) and str(answered_by).lower() != (_lead_email(body) or "").lower(),
        "cc": body.get("cc_emails") or [],
    }


def _bounce(body: Mapping[str, Any]) -> dict[str, Any]:
    message = _mapping(body.get("bounce_message"))
    text = message.get("text") or body.get("bounce_reply_email_preview") or body.get("bounce_reply_email") or ""
    return {
        "text": text or message.get("html") or "",
        "html": message.get("html") or "",
        "sender_originated": body.get("is_sender_originated_bounce") is True,
        "message_id": message.get("message_id") or body.get("bounce_reply_message_id") or "",
    }


def _notification(kind: EventKind, body: Mapping[str, Any]) -> PlatformEvent | None:
    """Account-level: flat camelCase, or `{id, type, created_at, data}` (smartlead:webhooks/account).

    The flat form carries no time: the event then has the epoch's, and whoever received it knows better.
    """
    data = _mapping(body.get("data")) or body
    campaign = _text(data.get("campaign_id") or data.get("campaignId"))
    account = _text(data.get("account_id") or data.get("accountId") or data.get("email_account_id"))
    email = _text(data.get("email") or data.get("from_email"))
    at = _moment(body.get("created_at") or body.get("event_timestamp") or body.get("createdAt"))
    reason = _text(data.get("reason") or data.get("error") or body.get("error") or body.get("message")) or ""
    own = _text(body.get("id")) or "\x1f".join(str(part) for part in (campaign, account, email, at, reason))
    return PlatformEvent(
        kind=kind,
        at=at or datetime.fromtimestamp(0, UTC),
        dedupe_key=hashlib.blake2b(f"{kind}\x1f{own}".encode(), digest_size=16).hexdigest(),
        campaign_ref=campaign,
        mailbox_ref=account,
        mailbox_address=email,
        detail={"reason": reason, "title": _text(body.get("title")) or "", "timed": at is not None},
    )


def _links(value: Any) -> list[str]:
    """Published nowhere: text, a list of texts and a list of objects are all taken (smartlead:webhooks/events)."""
    found = value if isinstance(value, list) else [value]
    urls = [
        item.get("url") or item.get("link") or item.get("link_clicked") if isinstance(item, Mapping) else item
        for item in found
    ]
    return [url for url in urls if isinstance(url, str) and url]


def _sent_id(body: Mapping[str, Any]) -> str:
    return str(_mapping(body.get("sent_message")).get("message_id") or body.get("message_id") or "")


def _in_history(body: Mapping[str, Any]) -> Any:
    last = _mapping(body.get("last_reply") or body.get("lastReply"))
    return last.get("stats_id")


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else None
