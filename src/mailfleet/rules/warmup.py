"""Warm-up volume by day, whether it can reach the goal, and when a mailbox should be ready (S3, V4)."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from mailfleet.policy.model import GraduationCriteria, SendLimits, WarmupRange

HORIZON_DAYS = 365


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One day's warm-up. `asked` is the ramp's own figure, `per_day` and `rampup` fit the vendor's bounds."""

    day: int
    asked: int
    per_day: int
    rampup_asked: int
    rampup: int
    clamped: dict[str, tuple[int, int]] = {}
    """Name → (asked, set), as recorded with the mailbox (V4)."""


def range_of(limits: SendLimits, day: int) -> WarmupRange:
    """The row of the ramp that holds `day` (1 = the first day of warm-up); before it, the first row."""
    rows = limits.warmup.ranges()
    return next((row for row in rows if row.from_day <= day and (not row.until_day or day < row.until_day)), rows[0])


def planned(limits: SendLimits, day: int) -> int:
    """Total mails the ramp wants on `day` of a mailbox not in PRODUCTION."""
    row = range_of(limits, max(1, day))
    return min(row.max, row.min + row.rampup_per_day * (max(1, day) - row.from_day))


def target(
    limits: SendLimits, day: int, *, per_day: tuple[int, int] = (0, 10_000), rampup: tuple[int, int] = (0, 10_000)
) -> Target:
    """What to set at the vendor on `day`. `per_day` and `rampup` are the platform's bounds, both ends included."""
    asked = planned(limits, day)
    step = range_of(limits, max(1, day)).rampup_per_day
    given, given_step = _clamp(asked, per_day), _clamp(step, rampup)
    pairs = {"warmup_per_day": (asked, given), "rampup": (step, given_step)}
    return Target(
        day=day,
        asked=asked,
        per_day=given,
        rampup_asked=step,
        rampup=given_step,
        clamped={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
    )


def production_target(limits: SendLimits, *, per_day: tuple[int, int] = (0, 10_000)) -> int:
    """Warm-up mails a day of a mailbox in PRODUCTION: the reserve that always stays free (S2)."""
    return _clamp(limits.production.warmup_reserve, per_day)


def reached_by(limits: SendLimits, day: int, *, per_day: tuple[int, int] = (0, 10_000)) -> int:
    """Mails sent by the end of `day` when every day's target is met."""
    return sum(target(limits, d, per_day=per_day).per_day for d in range(1, day + 1))


def feasible(limits: SendLimits, criteria: GraduationCriteria, *, per_day: tuple[int, int] = (0, 10_000)) -> str:
    """Empty, or why the ramp cannot reach the mails graduation needs by its minimum day (S3)."""
    got = reached_by(limits, criteria.minimum_warmup_days, per_day=per_day)
    if got >= criteria.minimum_emails_sent:
        return ""
    return (
        f"the ramp reaches {got} mails by day {criteria.minimum_warmup_days}, "
        f"but graduation needs {criteria.minimum_emails_sent}"
    )


def estimated_ready(
    limits: SendLimits,
    criteria: GraduationCriteria,
    started: date,
    *,
    warm_elsewhere: bool = False,
    per_day: tuple[int, int] = (0, 10_000),
) -> date | None:
    """The first day on which graduation is possible when every target is met and every criterion passes.

    The specification's example: 14 days after the start. None: the ramp never gets there within a year.
    """
    return estimated_from(limits, criteria, started, days=0, sent=0, warm_elsewhere=warm_elsewhere, per_day=per_day)


def estimated_from(
    limits: SendLimits,
    criteria: GraduationCriteria,
    today: date,
    *,
    days: int,
    sent: int,
    warm_elsewhere: bool = False,
    per_day: tuple[int, int] = (0, 10_000),
) -> date | None:
    """The same from a ramp as it really went: `days` with warm-up mail before `today`, and the mails `sent` in them."""
    needed = criteria.probation_days if warm_elsewhere else criteria.minimum_warmup_days
    mails = 0 if warm_elsewhere else criteria.minimum_emails_sent
    for ahead in range(HORIZON_DAYS):
        if days + ahead >= needed and sent >= mails:
            return today + timedelta(days=ahead)
        sent += target(limits, days + ahead + 1, per_day=per_day).per_day
    return None


def _clamp(value: int, bounds: tuple[int, int]) -> int:
    return max(bounds[0], min(bounds[1], value))
