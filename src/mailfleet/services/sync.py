"""The second source: what the webhooks should have told and did not, read at a low rate always (V10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.background import background
from mailfleet.errors import Drift, VendorError
from mailfleet.platforms.port import (
    CampaignSeen,
    CampaignStats,
    Counters,
    ListsCounters,
    PlatformEvent,
    SendingPlatform,
)
from mailfleet.rules import escalation
from mailfleet.services import alerts, events, holds, missed, vendor_health
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, inbox, links, ownership, watermarks
from mailfleet.store import events as store
from mailfleet.store.campaigns import Campaign

CALM = timedelta(minutes=14)
"""How often the second source is read while webhooks come: every scheduled run, with a minute for its lateness."""
RENEW_EVERY = timedelta(hours=1)
COMPLAINTS_EVERY = timedelta(hours=1)
"""Complaints, clicks, opt-outs and states move no counter of the list: each campaign is asked for them this often."""
_DAY = timedelta(days=1)


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """`found` are inbox rows written for facts that no webhook told; `problems` say what could not be read; `lag` is
    how long ago that was read which has waited longest."""

    found: Sequence[UUID] = ()
    campaigns: int = 0
    problems: Sequence[str] = ()
    lag: timedelta = timedelta()


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that is to be looked at. `read` is what its last reading left, `listed` its counters in the list."""

    campaign: Campaign
    ref: str
    last: datetime
    read: Mapping[str, Any]
    listed: Counters | None = None

    def asked(self) -> datetime | None:
        """When everything that the list does not tell was last read."""
        return _moment(self.read.get("complaints_at"))

    def stood(self) -> bool:
        """Whether the list shows what it showed at the last reading."""
        return self.listed is not None and self.read.get("listed") == msgspec.to_builtins(self.listed)

    def quiet(self, now: datetime) -> bool:
        """Nothing moved since a reading that left nothing open, and that reading is not old."""
        asked = self.asked()
        return self.stood() and bool(self.read.get("settled")) and asked is not None and asked + COMPLAINTS_EVERY > now


async def poll(fleet: Fleet, *, campaign_id: UUID | None = None, since: datetime | None = None) -> Polled:
    """Reads every sending campaign's counters, and its messages where the platform counts more than we do.

    One list tells of all campaigns of an account; only those whose counters moved are asked one by one, and each once
    an hour for what no list tells. It never takes more than half of the budget: what waits longest comes first.

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
    with background():
        for platform, mine in _by_account(theirs, wanted):
            got, bad = await _poll_platform(theirs, platform, mine, since, platform.name in silent)
            found, problems = [*found, *got], [*problems, *bad]
    return Polled(
        found=tuple(found), campaigns=len(wanted), problems=tuple(problems), lag=await lag(fleet, campaign_id)
    )


async def lag(fleet: Fleet, campaign_id: UUID | None = None) -> timedelta:
    """How long ago that sending campaign was read which has waited longest."""
    return max((each.lag for each in await lags(fleet) if campaign_id in (None, each.id)), default=timedelta())


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    read_at: datetime
    lag: timedelta


async def lags(fleet: Fleet) -> Sequence[Lag]:
    """When each sending campaign was last read by the second source, the one that waits longest first."""
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        wanted = await campaigns.every(db, states=("running", "paused"))
        marks = await watermarks.of(db, [_mark(each) for each in wanted])
    found = [(each, _last(each, marks)) for each in wanted]
    return [
        Lag(id=each.id, name=each.name, read_at=last, lag=now - last)
        for each, last in sorted(found, key=lambda pair: pair[1])
    ]


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
    fleet = theirs[wanted[0].client_id]
    now = fleet.clock.now()
    due = await _due(theirs, platform, wanted, silent)
    if not due:
        return [], []
    try:
        due = await _listed(platform, due, now)
        quiet = [each for each in due if each.quiet(now) and not silent]
        loud = [each for each in due if each not in quiet]
        seen = {each.ref: each for each in await platform.campaigns()} if _states_due(loud, now) or silent else {}
    except VendorError as error:
        return [], [f"{platform.name}: {error}"]
    async with fleet.db.connection() as db:
        await watermarks.move(db, [_mark(each.campaign) for each in quiet], now)
    found: list[UUID] = []
    problems: list[str] = []
    for each in loud:
        own = theirs[each.campaign.client_id]
        try:
            if silent:
                await _renew(own, platform, each)
            found += await _poll_campaign(own, platform, each, seen, since)
        except VendorError as error:
            problems.append(f"{each.campaign.name}: {error}")
    return found, problems


async def _listed(platform: SendingPlatform, due: Sequence[Due], now: datetime) -> Sequence[Due]:
    """With their counters from the list, where the platform has one. Without it each is asked by itself."""
    if not isinstance(platform, ListsCounters):
        return due
    first = min(each.campaign.started_at or each.campaign.created_at for each in due)
    try:
        # A day more on either side: the list's days are those of the account, wherever it lives.
        told = await platform.counters((first - _DAY).date(), (now + _DAY).date())
    except Drift:  # noted by the client; the list is a shortcut
        return due
    return [msgspec.structs.replace(each, listed=told.get(each.ref)) for each in due]


def _states_due(loud: Sequence[Due], now: datetime) -> bool:
    """Whether any campaign is to be read whole: then the list of their states is read too."""
    return any((asked := each.asked()) is None or asked + COMPLAINTS_EVERY <= now for each in loud)


async def _renew(fleet: Fleet, platform: SendingPlatform, due: Due) -> None:
    """Webhooks are silent: the hook may have been switched off unseen, and is written again, hourly at most (V10)."""
    if not fleet.webhook_base or not platform.capabilities.webhooks:
        return
    mark, now = f"hook:{due.campaign.id}", fleet.clock.now()
    async with fleet.db.connection() as db:
        last = await watermarks.get(db, mark)
    if last is None or last + RENEW_EVERY <= now:
        await platform.ensure_webhook(due.ref, f"{fleet.webhook_base.rstrip('/')}/{platform.name}", renew=True)
        async with fleet.db.connection() as db:
            await watermarks.put(db, mark, now)


async def _due(
    theirs: Mapping[UUID, Fleet], platform: SendingPlatform, wanted: Sequence[Campaign], silent: bool
) -> Sequence[Due]:
    """Those whose time has come, the one that waits longest first: however often runs are asked for, none is read
    before its time."""
    fleet = theirs[wanted[0].client_id]
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        marks = await watermarks.of(db, [_mark(each) for each in wanted])
        refs = await links.refs(db, platform=platform.name, kind="campaign", ours=[each.id for each in wanted])
    found: list[Due] = []
    for each in wanted:
        mark = marks.get(_mark(each))
        every = escalation.poll_every(theirs[each.client_id].policy.reply, silent=silent, calm=CALM)
        if str(each.id) in refs and (mark is None or mark.at + every <= now):
            found.append(
                Due(campaign=each, ref=refs[str(each.id)], last=_last(each, marks), read=mark.detail if mark else {})
            )
    return sorted(found, key=lambda each: each.last)


def _last(campaign: Campaign, marks: Mapping[str, watermarks.Mark]) -> datetime:
    mark = marks.get(_mark(campaign))
    return mark.at if mark else campaign.started_at or campaign.created_at


def _mark(campaign: Campaign) -> str:
    return f"poll:{campaign.id}"


async def _poll_campaign(
    fleet: Fleet,
    platform: SendingPlatform,
    due: Due,
    seen: Mapping[str, CampaignSeen],
    since: datetime | None,
) -> list[UUID]:
    now, campaign, ref = fleet.clock.now(), due.campaign, due.ref
    async with fleet.db.connection() as db:
        ours = await store.campaign_sums(db, campaign.id)
        stopped = await ownership.stopped_count(db, campaign.id)
        starting = await holds.starting(db, campaign.id)
        live = await ownership.live_count(db, campaign.id)
    begin = min(due.last - missed.GRACE, since) if since else due.last - missed.GRACE
    told: list[PlatformEvent] = []
    if (current := seen.get(ref)) and not starting:
        told += _status(campaign, current, now, live)
    theirs = await platform.stats(ref)
    more = _more(theirs, ours, stopped)
    if more:
        told += await missed.facts(fleet, platform, campaign, ref, begin, now)
    asked = due.asked()
    if asked is None or asked + COMPLAINTS_EVERY <= now:
        told += await missed.complaints(fleet, platform, campaign, ref, now)
        asked = now
    if _finished(theirs):
        await _complete(fleet, platform, campaign, ref, theirs, changed=not due.stood())
    ids = list(await events.enqueue(fleet, platform.name, told, source="poll")) if told else []
    await _alarm(fleet, campaign, told, now)
    # Counters that stood still since the last reading hide nothing young: what is not found now is not to be found.
    settled = not more or (due.stood() and not told)
    kept = {"listed": msgspec.to_builtins(due.listed), "settled": settled, "complaints_at": asked.isoformat()}
    async with fleet.db.connection() as db:
        await watermarks.put(db, _mark(campaign), now, kept)
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


def _status(campaign: Campaign, seen: CampaignSeen, now: datetime, live: int) -> list[PlatformEvent]:
    """A platform that tells of no end by itself is seen to have ended once nobody of ours is left in it."""
    if campaign.state != "running" or not (
        seen.state in ("paused", "stopped") or (seen.state == "completed" and not live)
    ):
        return []
    return [
        PlatformEvent(
            kind="campaign_status", at=now, dedupe_key=f"status:{campaign.id}:{campaign.version}:{seen.state}",
            campaign_ref=seen.ref, detail={"state": seen.state},
        )
    ]  # fmt: skip


def _finished(theirs: CampaignStats) -> bool:
    return theirs.leads.get("completed", 0) > 0


async def _complete(
    fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str, theirs: CampaignStats, *, changed: bool
) -> None:
    """Leads that got their last step are told as completed: from what we were told, and where the platform counts more
    of them, from its list, which is long."""
    now, steps = fleet.clock.now(), campaign.config.get("sequence")
    async with fleet.db.transaction() as db:
        if steps:  # one that was taken over may have none that could be read
            await ownership.complete_sent(db, campaign.id, len(steps), now)
        known = await ownership.completed_count(db, campaign.id)
    if not changed or theirs.leads.get("completed", 0) <= known:
        return
    done = [lead.ref async for lead in platform.leads(ref) if lead.state == "completed"]
    async with fleet.db.transaction() as db:
        await ownership.complete(db, campaign.id, done, now)


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
