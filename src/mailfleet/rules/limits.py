"""What a mailbox may send on its local day, and how its campaigns share it (S2, S4, I6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec

from mailfleet.errors import OverLimit
from mailfleet.policy.model import SendLimits
from mailfleet.rules import warmup
from mailfleet.rules.schedule import Window, zone

State = Literal["NEW", "WARMING", "PRODUCTION", "DEGRADED", "RETIRED", "ERROR"]


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`campaign_cap` + `warmup_target` ≤ `hard_limit`, always."""

    hard_limit: int
    campaign_cap: int
    warmup_target: int
    warnings: tuple[str, ...] = ()
    clamped: dict[str, tuple[int, int]] = {}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one campaign wants of a mailbox a day. `factor` is the campaign's own band's (S1)."""

    campaign: str
    wanted: int
    factor: float = 1.0
    platform: str = ""
    window: Window | None = None
    """When it sends; None: in the mailbox's own day."""


class DayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox's day. `shares` and `caps` together never exceed `budget.campaign_cap`, whatever day a platform counts.

    `shares`: campaign → mails; `caps`: platform → the daily cap to set there; `spread`: how many of the platform's days
    touch the mailbox's one.
    """

    budget: Budget
    shares: dict[str, int]
    caps: dict[str, int]
    spread: int = 1


def day_plan(
    limits: SendLimits,
    state: State,
    warmup_day: int,
    asks: Sequence[Ask],
    *,
    timezone: str,
    day: date,
    factor: float = 1.0,
    warmup_bounds: tuple[int, int] = (0, 10_000),
    warmup_done: int = 0,
    other: int = 0,
    sent: int = 0,
) -> DayPlan:
    """What this mailbox may send on its local `day`, split over its campaigns and the platforms they run on (S2).

    `sent`: its campaign mails of that day so far. A platform's count that begins anew later in the day does not know of
    them, so that what is left is spread over the counts.

    Raises OverLimit when one campaign asks for more than `emergency.pause_threshold` (S4).
    """
    refuse_over(limits, max((ask.wanted for ask in asks), default=0))
    each = {ask.campaign: int(ask.wanted * max(0.0, min(1.0, ask.factor))) for ask in asks}
    usual = limits.production.campaign_per_mailbox
    wanted = min(sum(each.values()), max(usual, *each.values())) if asks else None
    made = budget(
        limits, state, warmup_day, factor=factor, wanted=wanted, warmup_bounds=warmup_bounds,
        warmup_done=warmup_done, other=other,
    )  # fmt: skip
    days = spread(timezone, day, [ask.window for ask in asks if ask.window])
    given = shares((made.campaign_cap - (sent if days > 1 else 0)) // days, each)
    caps: dict[str, int] = {}
    for ask in asks:
        caps[ask.platform] = caps.get(ask.platform, 0) + given[ask.campaign]
    return DayPlan(budget=made, shares=given, caps=caps, spread=days)


def spread(timezone: str, day: date, windows: Sequence[Window]) -> int:
    """How many counting days of a platform can fall into one local day of the mailbox.

    A platform counts by the midnight of the campaign's time zone. Where that is the mailbox's own, or the whole window
    lies within the local day and every campaign has the same clock, one day is one day; else a counter begins anew in
    the middle of it, and each may use up the cap (S2).
    """
    here = zone(timezone)
    offsets = {_offset(window.timezone, day) for window in windows}
    crosses = any(
        opens.astimezone(here).date() != closes.astimezone(here).date()
        for window in windows
        for opens, closes in (_span(window, day + timedelta(days=ahead)) for ahead in (-1, 0, 1))
    )
    return max(1, len(offsets)) + crosses


def _offset(timezone: str, day: date) -> timedelta:
    return datetime.combine(day, time(12), zone(timezone)).utcoffset() or timedelta()


def _span(window: Window, day: date) -> tuple[datetime, datetime]:
    midnight = datetime.combine(day, time(), zone(window.timezone))
    last = midnight + timedelta(hours=window.end_hour) - timedelta(microseconds=1)
    return midnight + timedelta(hours=window.start_hour), max(midnight, last)


def budget(
    limits: SendLimits,
    state: State,
    warmup_day: int,
    *,
    factor: float = 1.0,
    wanted: int | None = None,
    warmup_bounds: tuple[int, int] = (0, 10_000),
    warmup_done: int = 0,
    other: int = 0,
) -> Budget:
    """Today's budget.

    `factor` scales campaign mail (bounce bands, 0 to 1); `wanted` is the campaigns' own `daily_per_mailbox`;
    `warmup_done` are warm-up mails of today already gone (more than the target on the day of a graduation), `other`
    tests. Raises OverLimit when more than `emergency.pause_threshold` is asked for: the caller pauses the mailbox (S4).
    """
    refuse_over(limits, wanted or 0)
    if state == "PRODUCTION":
        made = _production(limits, factor, wanted, warmup_bounds)
        left = max(0, made.hard_limit - max(made.warmup_target, warmup_done) - other)
        if made.campaign_cap <= left:
            return made
        clamped = {**made.clamped, "campaign_cap": (made.campaign_cap, left)}
        return msgspec.structs.replace(made, campaign_cap=left, clamped=clamped)
    if state in ("WARMING", "DEGRADED"):
        return _warming(limits, warmup_day, warmup_bounds)
    return Budget(hard_limit=limits.production.hard_limit, campaign_cap=0, warmup_target=0)


def _production(limits: SendLimits, factor: float, wanted: int | None, bounds: tuple[int, int]) -> Budget:
    rule = limits.production
    asked = rule.campaign_per_mailbox if wanted is None else wanted
    room = max(0, rule.hard_limit - rule.warmup_reserve)
    cap = int(min(asked, room) * max(0.0, min(1.0, factor)))
    warm = min(warmup.production_target(limits, per_day=bounds), rule.hard_limit - cap)
    above = cap > rule.soft_limit
    return Budget(
        hard_limit=rule.hard_limit,
        campaign_cap=cap,
        warmup_target=warm,
        warnings=(f"{cap} campaign mails a day are above the soft limit of {rule.soft_limit}",) if above else (),
        clamped={} if asked <= room else {"campaign_cap": (asked, room)},
    )


def _warming(limits: SendLimits, day: int, bounds: tuple[int, int]) -> Budget:
    hard = limits.production.hard_limit
    goal = warmup.target(limits, day, per_day=bounds)
    return Budget(hard_limit=hard, campaign_cap=0, warmup_target=min(goal.per_day, hard), clamped=dict(goal.clamped))


def refuse_over(limits: SendLimits, planned: int) -> None:
    """Raises OverLimit above `emergency.pause_threshold` (S4)."""
    most = limits.emergency.pause_threshold
    if planned > most:
        raise OverLimit(
            f"{planned} mails a day were planned for one mailbox; the emergency threshold is {most}.",
            reasons=(f"planned {planned} > {most}",),
            hint="Lower the campaign's daily_per_mailbox or use more mailboxes.",
        )


def most_a_day(limits: SendLimits, wanted: Mapping[str, int], factor: float = 1.0) -> int:
    """All campaign mail of a mailbox in PRODUCTION whose campaigns want this much each (S2)."""
    rule = limits.production
    most = min(max(rule.campaign_per_mailbox, *wanted.values()), rule.hard_limit - rule.warmup_reserve)
    return int(most * max(0.0, min(1.0, factor)))


def shares(cap: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """`cap` divided over campaigns: none above what it wants, together never above `cap`, as even as possible.

    Ties go by campaign id, so that the same input always gives the same answer.
    """
    given = dict.fromkeys(sorted(wanted), 0)
    left = max(0, cap)
    open_ = [name for name in given if wanted[name] > 0]
    while left > 0 and open_:
        step = max(1, left // len(open_))
        for name in open_:
            part = min(step, wanted[name] - given[name], left)
            given[name] += part
            left -= part
        open_ = [name for name in open_ if given[name] < wanted[name]]
    return given
