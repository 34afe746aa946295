"""The second source: what the webhooks should have told and did not, read at a low rate always (V10)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from mailfleet.errors import Drift, VendorError
from mailfleet.platforms.port import CampaignSeen, CampaignStats, PlatformEvent, SendingPlatform, SentMessage
from mailfleet.rules import escalation
from mailfleet.services import alerts, events, holds, vendor_health
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, inbox, leads, links, ownership, watermarks
from mailfleet.store import events as store
from mailfleet.store.campaigns import Campaign

GRACE = timedelta(minutes=10)
"""A fact younger than this may still come by webhook."""
CALM = timedelta(minutes=14)
"""How often the second source is read while webhooks come: every scheduled run, with a minute for its lateness."""
RENEW_EVERY = timedelta(hours=1)
COMPLAINTS_EVERY = timedelta(hours=1)
"""A complaint moves no counter; a campaign whose counters stand still is asked for them this often."""
_PAGE = 500


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """`found` are inbox rows written for facts that no webhook told; `problems` say what could not be read."""

    found: Sequence[UUID] = ()
    campaigns: int = 0
    problems: Sequence[str] = ()


async def poll(fleet: Fleet, *, campaign_id: UUID | None = None, since: datetime | None = None) -> Polled:
    """Reads every sending campaign's counters, and its messages where the platform counts more than we do.

    `since` can only widen what is read: by default it begins where the last poll ended. A campaign that was polled at
    this very time is not polled again. Missed events of over an hour raise the specified alert.
    """
    async with fleet.db.connection() as db:
        wanted = await campaigns.every(db, states=("running", "paused"))
        theirs = await views(fleet, db)
        silent = {name for name, each in (await vendor_health.silences(fleet, db)).items() if each.too_long}
    wanted = [each for each in wanted if campaign_id in (None, each.id)]
    found: list[UUID] = []
    problems: list[str] = []
    for platform, mine in _by_account(theirs, wanted):
        got, bad = await _poll_platform(theirs, platform, mine, since, platform.name in silent)
        found, problems = [*found, *got], [*problems, *bad]
    return Polled(found=tuple(found), campaigns=len(wanted), problems=tuple(problems))


def _by_account(
    theirs: Mapping[UUID, Fleet], wanted: Sequence[Campaign]
) -> Sequence[tuple[SendingPlatform, Sequence[Campaign]]]:
    """Campaigns of one account together, so that its list is read once."""
    found: dict[int, tuple[SendingPlatform, list[Campaign]]] = {}
    for each in wanted:
        account = theirs[each.client_id].platform(each.platform)
        found.setdefault(id(account), (account, []))[1].append(each)
    return list(found.values())


async def _poll_platform(
    theirs: Mapping[UUID, Fleet],
    platform: SendingPlatform,
    wanted: Sequence[Campaign],
    since: datetime | None,
    silent: bool,
) -> tuple[list[UUID], list[str]]:
    due = [each for each in wanted if await _due(theirs[each.client_id], each, silent)]
    if not due:
        return [], []
    try:
        seen = {each.ref: each for each in await platform.campaigns()}
    except VendorError as error:
        return [], [f"{platform.name}: {error}"]
    found: list[UUID] = []
    problems: list[str] = []
    for campaign in due:
        try:
            if silent:
                await _renew(theirs[campaign.client_id], platform, campaign)
            found += await _poll_campaign(theirs[campaign.client_id], platform, campaign, seen, since)
        except VendorError as error:
            problems.append(f"{campaign.name}: {error}")
    return found, problems


async def _renew(fleet: Fleet, platform: SendingPlatform, campaign: Campaign) -> None:
    """Webhooks are silent: the hook may have been switched off unseen, and is written again, hourly at most (V10)."""
    if not fleet.webhook_base or not platform.capabilities.webhooks:
        return
    mark, now = f"hook:{campaign.id}", fleet.clock.now()
    async with fleet.db.connection() as db:
        ref = await links.need(db, platform=platform.name, kind="campaign", ours=campaign.id)
        last = await watermarks.get(db, mark)
    if last is None or last + RENEW_EVERY <= now:
        await platform.ensure_webhook(ref, f"{fleet.webhook_base.rstrip('/')}/{platform.name}", renew=True)
        async with fleet.db.connection() as db:
            await watermarks.put(db, mark, now)


async def _due(fleet: Fleet, campaign: Campaign, silent: bool) -> bool:
    """Not again before its time, however often runs are asked for: a run that a webhook started reads no more."""
    async with fleet.db.connection() as db:
        last = await watermarks.get(db, _mark(campaign))
    every = escalation.poll_every(fleet.policy.reply, silent=silent, calm=CALM)
    return last is None or last + every <= fleet.clock.now()


def _mark(campaign: Campaign) -> str:
    return f"poll:{campaign.id}"


async def _poll_campaign(
    fleet: Fleet,
    platform: SendingPlatform,
    campaign: Campaign,
    seen: Mapping[str, CampaignSeen],
    since: datetime | None,
) -> list[UUID]:
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        ref = await links.need(db, platform=platform.name, kind="campaign", ours=campaign.id)
        last = await watermarks.get(db, _mark(campaign)) or campaign.started_at or campaign.created_at
        read = await watermarks.detail(db, _mark(campaign))
        ours = await store.campaign_sums(db, campaign.id)
        stopped = await ownership.stopped_count(db, campaign.id)
        starting = await holds.starting(db, campaign.id)
    begin = min(last - GRACE, since) if since else last - GRACE
    told: list[PlatformEvent] = []
    if (current := seen.get(ref)) and not starting:
        told += _status(campaign, current, now)
    theirs = await platform.stats(ref)
    stats = msgspec.to_builtins(theirs)
    if _more(theirs, ours, stopped):
        told += await _missed(fleet, platform, campaign, ref, begin, now)
    asked = _moment(read.get("complaints_at"))
    if stats != read.get("stats") or asked is None or asked + COMPLAINTS_EVERY <= now:
        told += await _complaints(fleet, platform, campaign, ref, now)
        asked = now
    if _finished(theirs):
        await _complete(fleet, platform, campaign, ref)
    ids = list(await events.enqueue(fleet, platform.name, told, source="poll")) if told else []
    await _alarm(fleet, campaign, told, now)
    async with fleet.db.connection() as db:
        await watermarks.put(db, _mark(campaign), now, {"stats": stats, "complaints_at": asked.isoformat()})
    return ids


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _more(theirs: CampaignStats, ours: Mapping[str, int], stopped: int) -> bool:
    """Whether the platform counts something that we do not know. Leads we stopped may count as opted out there."""
    return (
        theirs.sent > ours.get("sent", 0)
        or theirs.opened > ours.get("opened", 0)
        or theirs.clicked > ours.get("clicked", 0)
        or theirs.replied > ours.get("replied", 0)
        or theirs.bounced > ours.get("bounced", 0)
        or theirs.unsubscribed > ours.get("unsubscribed", 0) + stopped
    )


async def _missed(
    fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str, begin: datetime, now: datetime
) -> list[PlatformEvent]:
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
    facts = [fact for message in page for fact in _facts(ref, message) if fact.at <= now - GRACE]
    if not facts:
        return []
    items = [
        {"n": n, "kind": fact.kind, "message_ref": fact.message_ref, "email": fact.lead_email, "at": fact.at}
        for n, fact in enumerate(facts)
    ]
    async with fleet.db.connection() as db:
        missing = [facts[n] for n in await store.missing(db, platform.name, campaign.id, items)]
    told = [fact for fact in missing if fact.kind != "replied"]
    for email in dict.fromkeys(fact.lead_email for fact in missing if fact.kind == "replied" and fact.lead_email):
        told += await _replies(fleet, platform, campaign, ref, email)
    return told


def _facts(ref: str, message: SentMessage) -> list[PlatformEvent]:
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


async def _complaints(
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


def _status(campaign: Campaign, seen: CampaignSeen, now: datetime) -> list[PlatformEvent]:
    if campaign.state != "running" or seen.state not in ("paused", "stopped"):
        return []
    return [
        PlatformEvent(
            kind="campaign_status", at=now, dedupe_key=f"status:{campaign.id}:{campaign.version}:{seen.state}",
            campaign_ref=seen.ref, detail={"state": seen.state},
        )
    ]  # fmt: skip


def _finished(theirs: CampaignStats) -> bool:
    return theirs.leads.get("completed", 0) > 0


async def _complete(fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str) -> None:
    """Leads that got their last step are told as completed."""
    done = [lead.ref async for lead in platform.leads(ref) if lead.state == "completed"]
    async with fleet.db.transaction() as db:
        await ownership.complete(db, campaign.id, done, fleet.clock.now())


async def _alarm(fleet: Fleet, campaign: Campaign, told: Sequence[PlatformEvent], now: datetime) -> None:
    """Over an hour of missed events is told (spec 6)."""
    limit = timedelta(hours=fleet.policy.escalation.webhook_silence_hours)
    late = [each for each in told if each.kind in ("sent", "replied", "bounced") and now - each.at > limit]
    if not late:
        return
    async with fleet.db.connection() as db:
        heard = await inbox.last_received(db, campaign.platform)
    await alerts.tell(
        fleet,
        fact_key=f"missed-events:{campaign.id}:{now:%Y-%m-%dT%H}",
        kind="missed_events",
        severity="critical",
        title=f"{len(late)} events of {campaign.name} came by no webhook",
        body=f"The last webhook came {heard.isoformat() if heard else 'never'}. They were read from the platform.",
    )
