"""What a mailbox may send on its local day, and how its campaigns share it (S2, S4, I6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from mailfleet.errors import OverLimit
from mailfleet.policy.model import SendLimits
from mailfleet.rules import warmup

State = Literal["NEW", "WARMING", "PRODUCTION", "DEGRADED", "RETIRED", "ERROR"]


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`campaign_cap` + `warmup_target` ≤ `hard_limit`, always."""

    hard_limit: int
    campaign_cap: int
    warmup_target: int
    warnings: tuple[str, ...] = ()
    clamped: dict[str, tuple[int, int]] = {}


def budget(
    limits: SendLimits,
    state: State,
    warmup_day: int,
    *,
    factor: float = 1.0,
    wanted: int | None = None,
    warmup_bounds: tuple[int, int] = (0, 10_000),
) -> Budget:
    """Today's budget.

    `factor` scales campaign mail (bounce bands, 0 to 1); `wanted` is the campaigns' own `daily_per_mailbox`.
    Raises OverLimit when more than `emergency.pause_threshold` is asked for: the caller pauses the mailbox (S4).
    """
    refuse_over(limits, wanted or 0)
    if state == "PRODUCTION":
        return _production(limits, factor, wanted, warmup_bounds)
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
