"""What can be seen at this agency's volume, said before the start. Silence below these figures proves nothing."""

from __future__ import annotations

import msgspec

from mailfleet.rules.migration import bounce, evidence, gates, reply
from mailfleet.rules.migration.evidence import Arm, Counts
from mailfleet.rules.migration.phases import Phase, Step


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One phase: `campaigns` at once on the new platform, and the smallest rates its rules would see on average."""

    phase: Phase
    share: float
    sends_a_day: float
    campaigns: int
    sends_a_week: float
    effective: float
    gate_passes: bool
    """Can the bounce gate be passed on evidence, or only by a signed review?"""
    bounce_day: float | None
    """The smallest true bounce rate held within 24 h; None: none."""
    bounce_week: float | None
    reply_drop: float
    """The smallest drop of replies that a fortnight shows."""


def table(
    steps: tuple[Step, ...], *, volume: float, campaigns: int, b: bounce.Rule, r: reply.Rule, g: gates.Rule
) -> list[Seen]:
    """One row a phase that routes anything, for `volume` mails a day over both sides."""
    return [row(step, volume=volume, campaigns=campaigns, b=b, r=r, g=g) for step in steps if 0 < step.share <= 1]


def row(step: Step, *, volume: float, campaigns: int, b: bounce.Rule, r: reply.Rule, g: gates.Rule) -> Seen:
    daily = volume * step.share
    at_once = max(1, round(campaigns * step.share))
    week = even(7 * daily, at_once)
    effective = week.n / evidence.effect(week.n, week.squares, b.rho)
    fortnight = even(14 * daily, at_once)
    arm = Arm(r.baseline, fortnight.n / evidence.effect(fortnight.n, fortnight.squares, r.rho))
    return Seen(
        phase=step.phase,
        share=step.share,
        sends_a_day=daily,
        campaigns=at_once,
        sends_a_week=week.n,
        effective=effective,
        gate_passes=effective >= g.bounce_sample,
        bounce_day=smallest(daily, at_once, b),
        bounce_week=smallest(7 * daily, at_once, b),
        reply_drop=reply.visible(Arm(r.baseline, max(arm.n_eff, 1.0)), arm, r),
    )


def even(mails: float, campaigns: int, rate: float = 0.0) -> Counts:
    n = mails / campaigns
    return Counts.of((str(i), n, rate * n) for i in range(campaigns))


def smallest(mails: float, campaigns: int, rule: bounce.Rule) -> float | None:
    """The smallest rate at which so many mails, as expected, pass the gate of a HOLD; to a thousandth."""
    for step in range(1, 51):
        rate = rule.hold_rate + step * 0.01
        counts = even(mails, campaigns, rate)
        if evidence.passes(
            counts,
            rule.hold_rate,
            all=rule.hold_all,
            without=rule.hold_without,
            rho=rule.rho,
            prior=rule.prior,
        ):
            return rate
    return None


class Characteristics(msgspec.Struct, frozen=True, kw_only=True):
    """Measured by `mailfleet rehearse --suite` at ICC .03: shares of migrations, or of runs."""

    volume: int
    false_hold: float
    false_rollback: float
    rollback_at_five: float
    twelve_held_in_a_day: float


MEASURED = (
    Characteristics(volume=100, false_hold=0.0, false_rollback=0.0, rollback_at_five=0.013, twelve_held_in_a_day=0.15),
    Characteristics(volume=1000, false_hold=0.003, false_rollback=0.0, rollback_at_five=0.0, twelve_held_in_a_day=0.97),
)
"""300 worlds each; `twelve_held_in_a_day` with this volume on the new platform."""


def published(volume: float) -> dict[str, float]:
    """The row of the nearest measured volume below, or the smallest."""
    fitting = [row for row in MEASURED if row.volume <= volume] or [MEASURED[0]]
    return msgspec.to_builtins(fitting[-1])
