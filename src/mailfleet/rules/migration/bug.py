"""A critical bug on more than half of the sends (migration-control 2.6): our own outcomes, or a person's word."""

from __future__ import annotations

import msgspec

from mailfleet.rules import beta
from mailfleet.rules.migration.evidence import Cell, Counts
from mailfleet.rules.migration.verdicts import Literally, State, Verdict, percent


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    share: float = 0.5
    sure: float = 0.99
    attempts: int = 100
    minutes: int = 60
    campaigns: int = 2
    """One campaign alone is its own breaker's business."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    attempts: list[Cell] = []
    """campaign, attempts, of these wrong; of the last 100 attempts or 60 minutes, whichever is more."""
    declared: str = ""
    """A person's reason; the machine reviews, it does not roll back on a word."""


def certain(n: float, k: float, rule: Rule) -> float:
    """P(share > 1/2), from a flat prior: 8 of 8, 9 of 10, 16 of 20, 34 of 50, 62 of 100."""
    return beta.above(rule.share, n, k, prior=(1.0, 1.0))


def judge(inputs: Inputs, rule: Rule) -> Verdict:
    counts = Counts.of(inputs.attempts)
    hit = [cell for cell in counts.listed() if cell[2] > 0]
    p = certain(counts.n, counts.k, rule) if counts.n else 0.0
    fires = p >= rule.sure
    state: State = "THIN" if not counts.n else "OK"
    if fires:
        state = "ROLLBACK" if len(hit) >= rule.campaigns else "REVIEW"
    if inputs.declared and state in ("OK", "THIN"):
        state = "REVIEW"
    rate = counts.k / counts.n if counts.n else None
    told = (
        f"{counts.k:.0f} of the last {counts.n:.0f} attempts went wrong in "
        f"{len(hit)} of {len(counts.listed())} campaigns; "
        f"P(more than half) = {p:.3f}"
        if counts.n
        else "No attempt to send in the last hour"
    )
    if inputs.declared:
        told += f"; declared by a person: {inputs.declared}"
    return Verdict(
        trigger="bug",
        state=state,
        observed=rate,
        n=counts.n,
        n_eff=counts.n,
        threshold=rule.share,
        posterior=p,
        window=f"{rule.attempts} attempts or {rule.minutes} min",
        pause=tuple(cell[0] for cell in hit) if fires and len(hit) < rule.campaigns else (),
        literal=Literally(
            fires=None if rate is None else rate > rule.share,
            sentence=f"read literally (more than half of the sends): {percent(rate)}",
        ),
        sentence=told + ".",
    )
