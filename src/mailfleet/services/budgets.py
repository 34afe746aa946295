"""What a mailbox may send on its local day: computed before, set at the platform, checked after (S2, V4, I6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import OverLimit
from mailfleet.platforms.port import Applied, MailboxSeen, SendingPlatform, WarmupSettings
from mailfleet.rules import limits, warmup
from mailfleet.services import alerts, holds, moves
from mailfleet.services.context import Fleet
from mailfleet.services.days import day_span, local_day
from mailfleet.store import mailboxes
from mailfleet.store.database import Connection
from mailfleet.store.mailboxes import Budget, Mailbox

MIN_GAP_MINUTES = 10
KEPT_WARM = 8
"""Warm-up mails a day on the platform that is not the one to warm, of 5 to 10 (M7)."""
# A cap of zero is no figure a platform promises to read as "none"; what may not send is in no campaign.
_LOWEST_CAP = 1


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform should have set for a mailbox today."""

    warmup: WarmupSettings
    daily_cap: int


async def apply_day(
    fleet: Fleet,
    mailbox: Mailbox,
    ref: str,
    seen: MailboxSeen | None,
    *,
    warmup_day: int,
    read_back: bool = False,
    also: UUID | None = None,
) -> Budget:
    """Computes today's budget and sets at every platform what differs from it; the clamped figures are kept (V4).

    What somebody changed there meanwhile is drift: shown with the budget, told, and mended. With `read_back` the
    platform's own read has to show the new cap. `also` is a campaign that is about to send. A plan above the emergency
    threshold is refused, pauses the mailbox and tells (S4); OverLimit is raised.
    """
    try:
        plan = await _plan(fleet, mailbox, warmup_day, also)
    except OverLimit as error:
        await _emergency(fleet, mailbox, error)
        raise
    async with fleet.db.connection() as db:
        elsewhere = {
            name: at for name, at in (await mailboxes.places(db, mailbox.id)).items() if name != fleet.default_platform
        }
        before = await mailboxes.last_budget(db, mailbox.id)
    moving = bool(elsewhere) and (await moves.last(fleet))[0]
    wish = _wish(fleet, mailbox, plan, warmup_day, fleet.default_platform, alone=not elsewhere, moving=moving)
    drift = _drift(before, seen, wish)
    applied: dict[str, Any] = {name: list(pair) for name, pair in plan.budget.clamped.items()}
    if mailbox.state == "WARMING":
        applied |= {name: list(pair) for name, pair in _ramp(fleet, warmup_day).clamped.items()}
    applied |= await _set(fleet.platform(), ref, wish, seen)
    for name, other in elsewhere.items():
        if name in fleet.platforms:
            theirs = _wish(fleet, mailbox, plan, warmup_day, name, alone=False, moving=moving)
            await _set(fleet.platform(name), other, theirs, None)
    if drift:
        await _told_drift(fleet, mailbox, drift)
    kept: dict[str, Any] = {"wish": msgspec.to_builtins(wish), "clamped": applied, "factor": mailbox.limit_factor}
    kept |= {"shares": plan.shares, "drift": drift, "spread": plan.spread}
    if read_back:
        kept["read_back"] = await _read_back(fleet, mailbox, ref, wish)
    return await _keep(fleet, mailbox, plan.budget, kept)


async def _set(platform: SendingPlatform, ref: str, wish: Wish, seen: MailboxSeen | None) -> dict[str, Any]:
    noted: dict[str, Any] = {}
    if _warmup_differs(wish.warmup, seen):
        noted |= _noted(await platform.set_warmup(ref, wish.warmup))
    if _limits_differ(wish, seen):
        noted |= _noted(
            await platform.set_mailbox_limits(ref, daily_cap=wish.daily_cap, min_gap_minutes=MIN_GAP_MINUTES)
        )
    return noted


async def _read_back(fleet: Fleet, mailbox: Mailbox, ref: str, wish: Wish) -> bool:
    shown = (await fleet.platform().mailbox(ref)).daily_cap
    if shown is not None and shown <= wish.daily_cap:
        return True
    await alerts.tell(
        fleet,
        fact_key=f"limit-unconfirmed:{mailbox.id}:{local_day(fleet.clock.now(), mailbox.timezone)}",
        kind="limit_unconfirmed",
        severity="critical",
        title=f"The daily limit of {mailbox.address} is not confirmed",
        body=f"{wish.daily_cap} was set, the platform shows {shown}. It is set again at every look.",
    )
    return False


def _drift(before: Budget | None, seen: MailboxSeen | None, now: Wish) -> dict[str, list[object]]:
    """What the platform shows otherwise than we last set it: name → [set, shown]. What is wished for today is none: a
    process that died in the middle may have set it already."""
    wish: dict[str, Any] = before.applied.get("wish", {}) if before else {}
    if not wish or seen is None:
        return {}
    warm: dict[str, Any] = wish.get("warmup", {})
    pairs = {
        "daily_cap": (wish.get("daily_cap"), seen.daily_cap),
        "min_gap_minutes": (MIN_GAP_MINUTES, seen.min_gap_minutes),
        "warmup_enabled": (warm.get("enabled"), seen.warmup_enabled),
    }
    if warm.get("enabled") and seen.warmup_enabled:
        pairs["warmup_per_day"] = (warm.get("per_day"), seen.warmup_per_day)
        pairs["reply_percent"] = (warm.get("reply_percent"), seen.warmup_reply_percent)
    meant = {"daily_cap": now.daily_cap, "warmup_enabled": now.warmup.enabled, "warmup_per_day": now.warmup.per_day}
    return {
        name: [ours, shown]
        for name, (ours, shown) in pairs.items()
        if shown is not None and shown not in (ours, meant.get(name, ours))
    }


async def _told_drift(fleet: Fleet, mailbox: Mailbox, drift: Mapping[str, list[object]]) -> None:
    told = ", ".join(f"{name} was {ours}, shown as {shown}" for name, (ours, shown) in drift.items())
    await alerts.tell(
        fleet,
        fact_key=f"drift:{mailbox.id}:{local_day(fleet.clock.now(), mailbox.timezone)}:{told}",
        kind="mailbox_drift",
        severity="warning",
        title=f"{mailbox.address} was changed at the platform",
        body=f"{told}. It is set as it should be again.",
    )


async def check_day(fleet: Fleet, mailbox: Mailbox, day: date) -> bool:
    """Whether what was really sent on a day stayed within its budget; tells once when it did not (I6)."""
    start, end = day_span(day, mailbox.timezone)
    async with fleet.db.transaction() as db:
        budget = await mailboxes.budget(db, mailbox.id, day)
        if budget is None:
            return True
        sent = (await mailboxes.counts(db, mailbox.id, since=start, until=end)).sent
        found = await mailboxes.readings(db, mailbox.id, since=day, platform=fleet.default_platform)
        warm = next((each.warmup_sent_day or 0 for each in found if each.day == day), 0)
        if sent + warm <= budget.hard_limit:
            return True
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"over-limit:{mailbox.id}:{day}",
            kind="over_limit",
            severity="critical",
            title=f"{mailbox.address} sent {sent + warm} mails on {day}",
            body=f"{sent} campaign and {warm} warm-up mails; the hard limit is {budget.hard_limit} (S2).",
            client_id=mailbox.client_id,
            context={"mailbox": mailbox.address, "sent": sent, "warmup": warm, "limit": budget.hard_limit},
        )
    return False


async def _plan(fleet: Fleet, mailbox: Mailbox, warmup_day: int, also: UUID | None) -> limits.DayPlan:
    day = local_day(fleet.clock.now(), mailbox.timezone)
    start, end = day_span(day, mailbox.timezone)
    async with fleet.db.connection() as db:
        asks = await mailboxes.asks(db, mailbox.id, also)
        sent = (await mailboxes.counts(db, mailbox.id, since=start, until=end)).sent
        done = await _warmup_done(fleet, db, mailbox, day)
    return limits.day_plan(
        fleet.policy.send_limits,
        mailbox.state,
        warmup_day,
        [limits.Ask(**msgspec.structs.asdict(ask)) for ask in asks],
        timezone=mailbox.timezone,
        day=day,
        factor=mailbox.limit_factor,
        warmup_bounds=fleet.platform().capabilities.warmup_per_day,
        warmup_done=done,
        sent=sent,
    )


async def _warmup_done(fleet: Fleet, db: Connection, mailbox: Mailbox, day: date) -> int:
    """Warm-up mails that today may still hold on the day of a graduation: the vendor's day is not the mailbox's, so
    yesterday's and today's figure both reach into it."""
    if mailbox.state != "PRODUCTION" or local_day(mailbox.state_since, mailbox.timezone) != day:
        return 0
    found = await mailboxes.readings(db, mailbox.id, since=day - timedelta(days=1), platform=fleet.default_platform)
    most = max((each.warmup_sent_day or 0 for each in found), default=0)
    return most + fleet.policy.send_limits.production.warmup_reserve if most else 0


def _wish(
    fleet: Fleet, mailbox: Mailbox, plan: limits.DayPlan, warmup_day: int, platform: str, *, alone: bool, moving: bool
) -> Wish:
    """On one platform alone the whole cap is its; else each has its campaigns' part. One platform alone warms up, and
    while the operation is moved the other is kept warm, so that there is a way back (M7)."""
    works = mailbox.state in ("WARMING", "PRODUCTION", "DEGRADED")
    owns = alone or mailbox.warmup_owner == platform
    on = works and (owns or moving)
    a_day = plan.budget.warmup_target if owns else min(KEPT_WARM, plan.budget.warmup_target)
    most = plan.budget.campaign_cap // plan.spread
    cap = most if alone and not plan.caps else plan.caps.get(platform, 0)
    return Wish(
        warmup=WarmupSettings(enabled=on, per_day=a_day, rampup=_ramp(fleet, warmup_day).rampup),
        daily_cap=max(_LOWEST_CAP, cap),
    )


def _ramp(fleet: Fleet, warmup_day: int) -> warmup.Target:
    can = fleet.platform().capabilities
    return warmup.target(fleet.policy.send_limits, warmup_day, per_day=can.warmup_per_day, rampup=can.warmup_rampup)


def _warmup_differs(wish: WarmupSettings, seen: MailboxSeen | None) -> bool:
    if seen is None or seen.warmup_enabled is None:
        return True
    if not wish.enabled:
        return seen.warmup_enabled
    replies = seen.warmup_reply_percent
    wrong = replies is not None and replies != wish.reply_percent
    return wrong or (seen.warmup_enabled, seen.warmup_per_day) != (wish.enabled, wish.per_day)


def _limits_differ(wish: Wish, seen: MailboxSeen | None) -> bool:
    if seen is None or seen.daily_cap != wish.daily_cap:
        return True
    return seen.min_gap_minutes is not None and seen.min_gap_minutes != MIN_GAP_MINUTES


def _noted(applied: Applied) -> dict[str, Any]:
    return {name: list(pair) for name, pair in applied.clamped.items()}


async def _keep(fleet: Fleet, mailbox: Mailbox, planned: limits.Budget, applied: dict[str, Any]) -> Budget:
    now = fleet.clock.now()
    budget = Budget(
        mailbox_id=mailbox.id,
        day=local_day(now, mailbox.timezone),
        hard_limit=planned.hard_limit,
        campaign_cap=planned.campaign_cap,
        warmup_target=planned.warmup_target,
        applied=applied,
        rule_version=fleet.policy.version,
    )
    async with fleet.db.connection() as db:
        await mailboxes.put_budget(db, budget, now)
    return budget


async def _emergency(fleet: Fleet, mailbox: Mailbox, error: OverLimit) -> None:
    await holds.pause(fleet, "mailbox", str(mailbox.id), str(error), evidence={"reasons": list(error.reasons)})
    day = local_day(fleet.clock.now(), mailbox.timezone)
    await alerts.tell(
        fleet,
        fact_key=f"emergency-limit:{mailbox.id}:{day}",
        kind="emergency_limit",
        severity="emergency",
        title=f"{mailbox.address} is paused: too much was planned",
        body=str(error),
    )
