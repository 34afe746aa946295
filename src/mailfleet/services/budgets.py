"""What a mailbox may send on its local day: computed before, set at the platform, checked after (S2, V4, I6)."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from mailfleet.errors import OverLimit
from mailfleet.platforms.port import Applied, MailboxSeen, WarmupSettings
from mailfleet.rules import limits, warmup
from mailfleet.services import alerts, holds
from mailfleet.services.context import Fleet
from mailfleet.services.days import day_span, local_day
from mailfleet.store import mailboxes
from mailfleet.store.mailboxes import Budget, Mailbox

MIN_GAP_MINUTES = 10
# A cap of zero is no figure a platform promises to read as "none"; what may not send is in no campaign.
_LOWEST_CAP = 1


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform should have set for a mailbox today."""

    warmup: WarmupSettings
    daily_cap: int


async def apply_day(fleet: Fleet, mailbox: Mailbox, ref: str, seen: MailboxSeen | None, *, warmup_day: int) -> Budget:
    """Computes today's budget and sets at the platform what differs from it; the clamped figures are kept (V4).

    A plan above the emergency threshold is refused, pauses the mailbox and tells (S4); OverLimit is raised.
    """
    platform = fleet.platform()
    try:
        planned = await _plan(fleet, mailbox, warmup_day)
    except OverLimit as error:
        await _emergency(fleet, mailbox, error)
        raise
    wish = _wish(fleet, mailbox, planned, warmup_day)
    applied: dict[str, Any] = {name: list(pair) for name, pair in planned.clamped.items()}
    if mailbox.state == "WARMING":
        applied |= {name: list(pair) for name, pair in _ramp(fleet, warmup_day).clamped.items()}
    if _warmup_differs(wish.warmup, seen):
        applied |= _noted(await platform.set_warmup(ref, wish.warmup))
    if seen is None or seen.daily_cap != wish.daily_cap:
        applied |= _noted(
            await platform.set_mailbox_limits(ref, daily_cap=wish.daily_cap, min_gap_minutes=MIN_GAP_MINUTES)
        )
    return await _keep(fleet, mailbox, planned, {"wish": msgspec.to_builtins(wish), "clamped": applied})


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


async def _plan(fleet: Fleet, mailbox: Mailbox, warmup_day: int) -> limits.Budget:
    async with fleet.db.connection() as db:
        wanted = await mailboxes.campaign_wish(db, mailbox.id)
    return limits.budget(
        fleet.policy.send_limits,
        mailbox.state,
        warmup_day,
        factor=mailbox.limit_factor,
        wanted=wanted or None,
        warmup_bounds=fleet.platform().capabilities.warmup_per_day,
    )


def _wish(fleet: Fleet, mailbox: Mailbox, planned: limits.Budget, warmup_day: int) -> Wish:
    on = mailbox.state in ("WARMING", "PRODUCTION", "DEGRADED")
    return Wish(
        warmup=WarmupSettings(enabled=on, per_day=planned.warmup_target, rampup=_ramp(fleet, warmup_day).rampup),
        daily_cap=max(_LOWEST_CAP, planned.campaign_cap),
    )


def _ramp(fleet: Fleet, warmup_day: int) -> warmup.Target:
    can = fleet.platform().capabilities
    return warmup.target(fleet.policy.send_limits, warmup_day, per_day=can.warmup_per_day, rampup=can.warmup_rampup)


def _warmup_differs(wish: WarmupSettings, seen: MailboxSeen | None) -> bool:
    if seen is None or seen.warmup_enabled is None:
        return True
    return (seen.warmup_enabled, seen.warmup_per_day) != (wish.enabled, wish.per_day)


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
