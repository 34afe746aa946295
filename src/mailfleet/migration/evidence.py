"""Reads what the triggers are judged by, and judges. Nothing here touches a vendor: the judge is not the actor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.rules.migration import availability, bounce, bug, costs, judging, placement, plain, readiness, reply
from mailfleet.rules.migration.evidence import Counts
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.verdicts import Trigger, Verdict
from mailfleet.services.context import Fleet
from mailfleet.store import migrations, verdicts
from mailfleet.store.database import Connection
from mailfleet.store.migrations import Migration
from mailfleet.store.verdicts import Stored

VENDORS: Mapping[str, tuple[str, ...]] = {
    "forge": ("salesforge", "warmforge", "infraforge", "mailforge"),
}
"""Platforms that are several services, by the names their calls are counted under."""
REPLY_DAYS = 30


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    inputs: judging.Inputs


async def judge(fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters) -> dict[Trigger, Judged]:
    """Every trigger, on what is stored now."""
    now = fleet.clock.now()
    before = await verdicts.latest(db, migration.id)
    inputs: Sequence[judging.Inputs] = (
        await _bounce(db, migration, parameters, before.get("bounce"), now),
        await _placement(db, migration, before.get("placement"), now),
        await _reply(db, migration, parameters.reply, before.get("reply"), now),
        await _api(db, migration, now),
        await _bug(db, migration, parameters.bug, now),
        await _warmup(db, migration, now),
        _cost(fleet, migration, now),
    )
    found: dict[Trigger, Judged] = {}
    for each in inputs:
        verdict = judging.judge(each, parameters)
        found[verdict.trigger] = Judged(verdict=verdict, inputs=each)
    return found


def held_for(stored: Stored | None, now: datetime) -> float | None:
    """Hours for which this trigger's HOLD has been standing."""
    if stored is None:
        return None
    since = stored.verdict.get("since")
    return None if since is None else float(since) + (now - stored.at).total_seconds() / 3600


async def _bounce(
    db: Connection, migration: Migration, parameters: Parameters, before: Stored | None, now: datetime
) -> bounce.Inputs:
    windows = await verdicts.bounces(db, migration.to_platform, now, bounce.WINDOWS)
    held = held_for(before, now)
    fresh = 0
    if held is not None:
        since = now - timedelta(hours=held)
        fresh = (await verdicts.sent_by_platform(db, since, now)).get(migration.to_platform, 0)
    hours = await verdicts.hourly(db, migration.to_platform, now - timedelta(hours=96), now)
    return bounce.Inputs(
        windows={str(window): cells for window, cells in windows.items()},
        held_hours=held,
        fresh=fresh,
        literal_hours=literal_hours(hours, parameters.bounce.rollback_rate, now),
        censored=tuple(await verdicts.vendor_paused(db, migration.to_platform)),
    )


def literal_hours(hours: Sequence[tuple[datetime, int, int]], rate: float, now: datetime) -> float:
    """For how long, up to now, the mails of 24 hours and the bounces that arrived in them stood above the rate."""
    streak = 0
    for back in range(72):
        end = now - timedelta(hours=back)
        window = [(n, k) for hour, n, k in hours if end - timedelta(hours=24) < hour <= end]
        sent, bounced = sum(n for n, _ in window), sum(k for _, k in window)
        if sent <= 0 or bounced <= rate * sent:
            break
        streak = back + 1
    return float(streak)


async def _placement(db: Connection, migration: Migration, before: Stored | None, now: datetime) -> placement.Inputs:
    new, burst = await verdicts.placement(db, migration.to_platform, now, 14)
    old, _ = await verdicts.placement(db, migration.from_platform, now, 14)
    return placement.Inputs(
        new=new, old=old, burst=burst, streak=_streak(before, migration, now), held_hours=held_for(before, now)
    )


def _streak(before: Stored | None, migration: Migration, now: datetime) -> int:
    """Days in a row, before today, on which the condition held; a day without a verdict ends it."""
    if before is None:
        return 0
    zone = ZoneInfo(migration.timezone)
    days = (now.astimezone(zone).date() - before.at.astimezone(zone).date()).days
    streak = int(before.verdict.get("streak", 0))
    return streak if days == 1 else max(0, streak - 1) if days == 0 else 0


async def _reply(
    db: Connection, migration: Migration, rule: reply.Rule, before: Stored | None, now: datetime
) -> reply.Inputs:
    old = await verdicts.answers(db, migration.from_platform, now, REPLY_DAYS)
    new = await verdicts.answers(db, migration.to_platform, now, max(rule.windows))
    rates = _rates(old, rule)
    return reply.Inputs(
        new={str(days): _exposed(new, days, rates, rule) for days in rule.windows},
        old=_exposed(old, max(rule.windows), rates, rule),
        history=migration.volume * rule.frozen_days,
        held_hours=held_for(before, now),
    )


def _rates(old: Sequence[verdicts.Answers], rule: reply.Rule) -> Mapping[str, float]:
    """Expected rate of each client, from its history on the old platform."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for each in old:
        sums[each.client][0] += each.sent * reply.seen_by(each.age_hours, rule)
        sums[each.client][1] += each.replied
    return {client: reply.expected_rate(mails, replies, rule) for client, (mails, replies) in sums.items()}


def _exposed(
    found: Sequence[verdicts.Answers], days: int, rates: Mapping[str, float], rule: reply.Rule
) -> list[reply.Exposed]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for each in found:
        if each.age_hours > 24 * days:
            continue
        exposure = each.sent * reply.seen_by(each.age_hours, rule)
        cell = sums[each.campaign]
        cell[0] += exposure
        cell[1] += each.replied
        cell[2] += exposure * rates.get(each.client, rule.baseline)
    return [(campaign, n, k, expected) for campaign, (n, k, expected) in sorted(sums.items())]


async def _api(db: Connection, migration: Migration, now: datetime) -> availability.Inputs:
    vendors = VENDORS.get(migration.to_platform, (migration.to_platform,))
    week = await verdicts.calls(db, vendors, now - timedelta(days=7), now)
    recent = int(now.timestamp() // 60) - 24 * 60
    return availability.Inputs(
        minutes=[each for each in week if each[0] > recent],
        now=int(now.timestamp() // 60),
        week=(sum(each[1] for each in week), sum(each[2] for each in week)),
    )


async def _bug(db: Connection, migration: Migration, rule: bug.Rule, now: datetime) -> bug.Inputs:
    attempts = await verdicts.wrong_sends(db, migration.to_platform, now, attempts=rule.attempts, minutes=rule.minutes)
    declared = [
        note.reason or note.subject
        for note in await migrations.notes(db, migration.id, kinds=("declared",), open=True)
        if note.subject == "bug"
    ]
    return bug.Inputs(attempts=attempts, declared="; ".join(declared))


async def _warmup(db: Connection, migration: Migration, now: datetime) -> plain.WarmupInputs:
    done, under_way = await verdicts.warmups(db, migration.to_platform, now)
    return plain.WarmupInputs(done=done, under_way=under_way)


def _cost(fleet: Fleet, migration: Migration, now: datetime) -> plain.CostInputs:
    bill = the_bill(fleet, migration, now)
    both = migration.old_cancelled_on is None
    return plain.CostInputs(
        now_cents=bill.run_rate_cents,
        planned_cents=costs.planned(fleet.policy.costs, both=both),
        currency=bill.currency,
    )


def the_bill(fleet: Fleet, migration: Migration, now: datetime) -> costs.Bill:
    return costs.bill(
        fleet.policy.costs,
        today=now.astimezone(ZoneInfo(migration.timezone)).date(),
        new_since=migration.start_on,
        old_until=migration.old_paid_until,
        old_cancelled=migration.old_cancelled_on is not None,
    )


async def ready(fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters) -> readiness.Readiness:
    """How much of today's volume could go back now."""
    now = fleet.clock.now()
    cap = fleet.policy.send_limits.production.campaign_per_mailbox
    boxes = await verdicts.old_mailboxes(db, migration.from_platform, cap)
    sent = await verdicts.sent_by_platform(db, now - timedelta(days=1), now)
    owned = (await verdicts.owned(db)).get(migration.to_platform, 0)
    return readiness.measure(
        boxes,
        volume=sent.get(migration.to_platform, 0),
        leads=owned,
        importable=owned,
        today=now.astimezone(ZoneInfo(migration.timezone)).date(),
        rule=parameters.readiness,
    )


def sample(inputs: bounce.Inputs) -> Counts:
    """The longest window, for the gate."""
    return Counts.of(inputs.windows.get(str(bounce.WINDOWS[-1]), ()))
