"""What a platform knows of a campaign and no webhook told: found by its messages, histories and marks (V10)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from mailfleet.errors import Drift
from mailfleet.platforms.port import PlatformEvent, SendingPlatform, SentMessage
from mailfleet.services.context import Fleet
from mailfleet.store import events as store
from mailfleet.store import leads, ownership
from mailfleet.store.campaigns import Campaign

GRACE = timedelta(minutes=10)
"""A fact younger than this may still come by webhook."""
_PAGE = 500


async def facts(
    fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str, begin: datetime, now: datetime
) -> list[PlatformEvent]:
    """What the platform sent and saw since `begin` that no event tells, with replies' texts."""
    told: list[PlatformEvent] = []
    page: list[SentMessage] = []
    with contextlib.suppress(
        Drift
    ):  # noted by the client; the messages that fit are not held back by one that does not
        async for message in platform.sent_messages(ref, since=begin - timedelta(days=30)):
            page.append(message)
            if len(page) >= _PAGE:
                told += await _unknown(fleet, platform, campaign, ref, page, now)
                page = []
    return told + await _unknown(fleet, platform, campaign, ref, page, now)


async def _unknown(
    fleet: Fleet,
    platform: SendingPlatform,
    campaign: Campaign,
    ref: str,
    page: Sequence[SentMessage],
    now: datetime,
) -> list[PlatformEvent]:
    old = [fact for message in page for fact in _told(ref, message) if fact.at <= now - GRACE]
    if not old:
        return []
    items = [
        {"n": n, "kind": fact.kind, "message_ref": fact.message_ref, "email": fact.lead_email, "at": fact.at}
        for n, fact in enumerate(old)
    ]
    async with fleet.db.connection() as db:
        missing = [old[n] for n in await store.missing(db, platform.name, campaign.id, items)]
    told = [fact for fact in missing if fact.kind != "replied"]
    for email in dict.fromkeys(fact.lead_email for fact in missing if fact.kind == "replied" and fact.lead_email):
        told += await _replies(fleet, platform, campaign, ref, email)
    return told


def _told(ref: str, message: SentMessage) -> list[PlatformEvent]:
    times: list[tuple[store.Kind, datetime | None]] = [
        ("sent", message.sent_at),
        ("opened", message.opened_at),
        ("clicked", message.clicked_at),
        ("replied", message.replied_at),
        ("bounced", message.sent_at if message.bounced else None),
        ("unsubscribed", message.sent_at if message.unsubscribed else None),
    ]
    return [
        PlatformEvent(
            kind=kind,
            at=at,
            dedupe_key=f"{kind}:{message.message_ref}",
            campaign_ref=ref,
            lead_email=message.email,
            mailbox_ref=message.mailbox_ref,
            step=message.step or None,
            message_ref=message.message_ref,
            detail={"text": message.bounce_text} if kind == "bounced" and message.bounce_text else {},
        )
        for kind, at in times
        if at is not None
    ]


async def _replies(
    fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str, email: str
) -> list[PlatformEvent]:
    """A lead's replies with their text; the statistics give only the time."""
    async with fleet.db.connection() as db:
        known = [each for each in await leads.by_email(db, email) if each.client_id == campaign.client_id]
        owned = await ownership.get(db, known[0].id) if known else None
    if owned is None or owned.ref is None:
        return []
    history = await platform.history(ref, owned.ref)
    sent = next((each.body for each in reversed(history) if each.kind == "sent"), "")
    return [
        PlatformEvent(
            kind="replied",
            at=each.at,
            dedupe_key=f"replied:{each.message_id or each.at.isoformat()}",
            campaign_ref=ref,
            lead_ref=owned.ref,
            lead_email=email,
            step=each.step,
            message_ref=each.message_ref or None,
            detail={"subject": each.subject, "text": each.body, "message_id": each.message_id, "sent_text": sent},
        )
        for each in history
        if each.kind == "reply"
    ]


async def complaints(
    fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str, now: datetime
) -> list[PlatformEvent]:
    """Complaints come by no webhook (V5): the platform's own mark on the lead is all there is."""
    told = [
        PlatformEvent(
            kind="complained", at=now, dedupe_key=f"complained:{lead.ref}", campaign_ref=ref, lead_ref=lead.ref,
            lead_email=lead.email.lower(),
        )
        for lead in await platform.complaints(ref)
    ]  # fmt: skip
    items = [{"n": n, "kind": fact.kind, "email": fact.lead_email, "at": now} for n, fact in enumerate(told)]
    if not items:
        return []
    async with fleet.db.connection() as db:
        return [told[n] for n in await store.missing(db, platform.name, campaign.id, items)]
