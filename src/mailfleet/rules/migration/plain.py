"""The two triggers without statistics: how long warm-up takes, and what both sides cost."""

from __future__ import annotations

from statistics import median

import msgspec

from mailfleet.rules.migration.verdicts import State, Verdict


class WarmupRule(msgspec.Struct, frozen=True, kw_only=True):
    target_days: float = 21
    limit_days: float = 30


class WarmupInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Days to PRODUCTION of the mailboxes that got there, and days so far of those still warming."""

    done: list[float] = []
    under_way: list[float] = []


def warmup(inputs: WarmupInputs, rule: WarmupRule) -> Verdict:
    middle = median(inputs.done) if inputs.done else None
    late = [days for days in inputs.under_way if days >= rule.limit_days]
    state: State = "THIN" if not inputs.done and not inputs.under_way else "OK"
    if late or (middle is not None and middle > rule.limit_days):
        state = "REVIEW"
    told = (
        f"{len(inputs.done)} mailboxes were warm after {middle:.0f} days in the middle"
        if middle is not None
        else "No mailbox has finished its warm-up yet"
    )
    return Verdict(
        trigger="warmup",
        state=state,
        observed=middle,
        n=len(inputs.done),
        n_eff=len(inputs.done),
        threshold=rule.limit_days,
        window="since the start",
        sentence=f"{told}; {len(inputs.under_way)} are under way, {len(late)} of them for "
        f"{rule.limit_days:.0f} days or more. The target is below {rule.target_days:.0f} days.",
    )


class CostRule(msgspec.Struct, frozen=True, kw_only=True):
    planned_cents: int = 7500
    tolerance: float = 0.10


class CostInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Cents a month: what both sides cost now, and what was planned for this phase."""

    now_cents: int
    planned_cents: int
    currency: str


def cost(inputs: CostInputs, rule: CostRule) -> Verdict:
    over = inputs.now_cents / inputs.planned_cents - 1 if inputs.planned_cents else 0.0
    return Verdict(
        trigger="cost",
        state="REVIEW" if over > rule.tolerance else "OK",
        observed=inputs.now_cents / 100,
        n=1,
        n_eff=1,
        threshold=inputs.planned_cents / 100,
        window="a month",
        sentence=f"{inputs.now_cents / 100:.2f} {inputs.currency} a month against "
        f"{inputs.planned_cents / 100:.2f} planned for this phase. Cost is reviewed, never rolled back on.",
    )
