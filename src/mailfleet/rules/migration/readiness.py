"""How much of today's volume the old platform could carry, if one had to go back now (M7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

MEASURED_PAUSE_SECONDS = 300.0
"""Spec 7: paused within five minutes."""
PAUSE_BUDGET = 0.8
CALLS_PER_PAUSE = 2
"""The command and its reading back."""


class OldMailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox of the old side. `warmup_per_day` 0: it is going cold."""

    address: str
    connected: bool
    heat: float | None
    warmup_per_day: int
    cap: int
    paid_until: date | None = None
    """None: without an end."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    heat: float = 85
    degraded: float = 60
    warmup_minimum: int = 5
    """Mails a day that keep a mailbox warm to week 13."""
    cold_days: int = 14
    """From cold to full."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`share`: of today's volume on the new platform, at once. `full_in_days`: until all of it could be carried."""

    share: float | None
    capacity_now: int
    capacity_full: int
    warm: int
    mailboxes: int
    unpaid: int
    importable: int
    leads: int
    full_in_days: int | None
    sentence: str


def measure(
    mailboxes: Sequence[OldMailbox], *, volume: float, leads: int, importable: int, today: date, rule: Rule
) -> Readiness:
    """`importable`: owned leads whose address, step and merge fields are complete enough to be enrolled again."""
    paid = [box for box in mailboxes if box.paid_until is None or box.paid_until >= today]
    warm = [box for box in paid if _warm(box, rule)]
    now = sum(box.cap for box in warm)
    full = sum(box.cap for box in paid if box.connected)
    share = min(1.0, now / volume) * (importable / leads if leads else 1.0) if volume > 0 else None
    days = 0 if now >= volume else (rule.cold_days if full >= volume else None)
    told = (
        "nothing is sent on the new platform" if share is None else f"{share:.0%} of today's volume could go back now"
    )
    later = {None: "never all of it with these mailboxes", 0: "all of it at once"}.get(days, f"all of it in {days} d")
    return Readiness(
        share=share,
        capacity_now=now,
        capacity_full=full,
        warm=len(warm),
        mailboxes=len(mailboxes),
        unpaid=len(mailboxes) - len(paid),
        importable=importable,
        leads=leads,
        full_in_days=days,
        sentence=f"{told}, {later} ({len(warm)} of {len(mailboxes)} old mailboxes warm, "
        f"{importable} of {leads} leads importable, {len(mailboxes) - len(paid)} seats unpaid)",
    )


def _warm(box: OldMailbox, rule: Rule) -> bool:
    return (
        box.connected and box.heat is not None and box.heat >= rule.heat and box.warmup_per_day >= rule.warmup_minimum
    )


def pause_capacity(per_second: float) -> int:
    """How many campaigns can be paused and read back within five minutes."""
    return int(PAUSE_BUDGET * MEASURED_PAUSE_SECONDS * per_second / CALLS_PER_PAUSE)


def pause_seconds(campaigns: int, per_second: float) -> float:
    """What pausing so many takes at this rate of calls; shown before it is needed."""
    return CALLS_PER_PAUSE * campaigns / per_second if campaigns else 0.0


def throttled(planned: int, capacity_now: int) -> int:
    """Mails a day at which the old side resumes: never more than its warm mailboxes carry."""
    return min(planned, capacity_now)
