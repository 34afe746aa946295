"""Inbox placement by seed tests: suspicion asks for a burst, the burst decides (migration-control 2.3 and 4).

The new platform is compared with the old one of the same days, stratum by stratum (Mantel–Haenszel), so that young
domains or a bad week at a provider are not taken for the platform's fault. Seeds of one domain at one provider stand
or fall together; the worst domain is left out once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from mailfleet.rules import beta
from mailfleet.rules.migration import evidence
from mailfleet.rules.migration.evidence import Arm
from mailfleet.rules.migration.verdicts import Control, Literally, State, Verdict, percent

Test = tuple[int, str, str, str, float, float]
"""days ago, stratum, domain, provider, seeds, of these in the inbox."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    rho: float = 0.35
    baseline: float = 0.92
    floor: float = 0.80
    shrink: tuple[float, float] = (1.84, 2.0)
    new_days: tuple[int, ...] = (1, 3, 7)
    old_days: int = 14
    suspect_ratio: float = 0.90
    suspect: float = 0.5
    provider_ratio: float = 0.70
    provider_all: float = 0.98
    provider_without: float = 0.80
    hold_ratio: float = 0.95
    hold_all: float = 0.95
    hold_without: float = 0.80
    hold_days: tuple[int, ...] = (1, 3)
    rollback_ratio: float = 0.85
    rollback_all: float = 0.95
    rollback_without: float = 0.75
    rollback_streak: int = 2
    rollback_domains: int = 3
    """With fewer domains nothing but a HOLD can be trusted (2.3)."""
    review_all: float = 0.90
    review_days: tuple[int, ...] = (3, 7, 14)
    floor_all: float = 0.95
    uncovered: float = 0.30
    """Share of volume without a partner above which nothing is said."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    new: list[Test] = []
    old: list[Test] = []
    burst: bool = False
    """Today's extra tests are in."""
    streak: int = 0
    """Days in a row, before today, on which the condition of a ROLLBACK held."""
    held_hours: float | None = None


Cells = Mapping[tuple[str, str, str], tuple[float, float]]
"""(stratum, domain, provider) → seeds, in the inbox."""


class Compared(NamedTuple):
    new: Arm
    old: Arm
    covered: float
    strata: int
    pooled: float | None


def window(tests: Iterable[Test], days: int) -> Cells:
    """Summed over the last `days`."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for ago, stratum, domain, provider, n, k in tests:
        if ago < days:
            cell = found[stratum, domain, provider]
            cell[0] += n
            cell[1] += k
    return {key: (n, k) for key, (n, k) in found.items()}


def compare(new: Cells, old: Cells, rho: float, *, without: str = "", provider: str = "") -> Compared | None:
    """Both arms on equal terms: the old one's strata weighted as the new one's mails, the ratio by Mantel–Haenszel.

    None: no stratum has tests on both sides.
    """
    mine = _strata(new, without, provider)
    theirs = _strata(old, "", provider)
    shared = [stratum for stratum in mine if stratum in theirs]
    total = sum(arm.n for arm in mine.values())
    if not shared or total <= 0:
        return None
    weight = sum(mine[s].n for s in shared)
    risk_new = risk_old = mean = variance = 0.0
    for stratum in shared:
        one, two = mine[stratum], theirs[stratum]
        both = one.n + two.n
        risk_new += one.k * two.n / both
        risk_old += two.k * one.n / both
        rate = (two.k + 1.84) / (two.n + 2.0)
        mean += one.n / weight * (two.k / two.n)
        variance += (one.n / weight) ** 2 * rate * (1 - rate) / (two.n / evidence.effect(two.n, two.squares, rho))
    n, squares = weight, sum(mine[s].squares for s in shared)
    ratio = risk_new / risk_old if risk_old > 0 else 1.0
    spread = min(max(mean, 0.001), 0.999)
    return Compared(
        new=Arm(min(1.0, ratio * mean), n / evidence.effect(n, squares, rho)),
        old=Arm(mean, spread * (1 - spread) / variance if variance > 0 else n),
        covered=weight / total,
        strata=len(shared),
        pooled=_pooled(mine, theirs),
    )


def suspected(inputs: Inputs, rule: Rule) -> bool:
    """Enough to spend extra tests on; nothing is decided by it."""
    old = window(inputs.old, rule.old_days)
    for days in rule.hold_days:
        found = compare(window(inputs.new, days), old, rule.rho)
        if found and evidence.ratio_below(found.new, found.old, rule.suspect_ratio, rule.shrink) >= rule.suspect:
            return True
    three = window(inputs.new, 3)
    for provider in {key[2] for key in three}:
        n = sum(cell[0] for key, cell in three.items() if key[2] == provider)
        k = sum(cell[1] for key, cell in three.items() if key[2] == provider)
        if n > 0 and k / n < rule.provider_ratio * rule.baseline:
            return True
    return False


def below(
    new: Cells, old: Cells, ratio: float, *, all: float, without: float, rule: Rule, provider: str = ""
) -> tuple[bool, float, float | None, str]:
    """Is new/old < ratio beyond doubt, also without the worst domain? With both probabilities and that domain."""
    found = compare(new, old, rule.rho, provider=provider)
    if found is None:
        return False, 0.0, None, ""
    p = evidence.ratio_below(found.new, found.old, ratio, rule.shrink)
    worst = worst_domain(new, ratio * rule.baseline, provider)
    if p < all:
        return False, p, None, worst
    rest = compare(new, old, rule.rho, without=worst, provider=provider)
    if rest is None:
        return False, p, None, worst
    q = evidence.ratio_below(rest.new, rest.old, ratio, rule.shrink)
    return q >= without, p, q, worst


def worst_domain(cells: Cells, theta: float, provider: str = "") -> str:
    missing: dict[str, float] = defaultdict(float)
    for (_, domain, at), (n, k) in cells.items():
        if not provider or at == provider:
            missing[domain] += theta * n - k
    return max(sorted(missing), key=lambda domain: missing[domain], default="")


def judge(inputs: Inputs, rule: Rule) -> Verdict:
    old = window(inputs.old, rule.old_days)
    new = {days: window(inputs.new, days) for days in {*rule.new_days, *rule.review_days}}
    week = new[7]
    base = _base(week, old, inputs, rule)
    if base.state == "THIN" or (base.control and base.control.covered < 1 - rule.uncovered):
        state: State = "THIN" if base.state == "THIN" else "INCONCLUSIVE"
        return _told(base, state=state)
    wants = suspected(inputs, rule) and not inputs.burst
    if wants:
        base = msgspec.structs.replace(base, asks=("burst",))
    decided = _decided(new, old, inputs, rule) if not wants else None
    if decided is None:
        decided = _reviewed(new, old, inputs, rule)
    state, ratio, days, p, q, worst, streak = decided
    return _told(
        base,
        state=state,
        threshold=ratio,
        posterior=p,
        without_worst=q,
        worst=worst,
        window=f"{days} d",
        streak=streak,
        since=(inputs.held_hours or 0.0) if state in ("HOLD", "ROLLBACK") else None,
    )


_Decided = tuple[State, float, int, float, "float | None", str, int]


def _decided(new: Mapping[int, Cells], old: Cells, inputs: Inputs, rule: Rule) -> _Decided | None:
    """ROLLBACK or HOLD, on windows that hold today's burst or needed none."""
    if not suspected(inputs, rule):
        return _floor(new, inputs, rule)
    for days in rule.new_days:
        yes, p, q, worst = below(
            new[days], old, rule.rollback_ratio, all=rule.rollback_all, without=rule.rollback_without, rule=rule
        )
        if yes:
            enough = inputs.streak + 1 >= rule.rollback_streak and _domains(new[days]) >= rule.rollback_domains
            state: State = "ROLLBACK" if enough else "HOLD"
            return state, rule.rollback_ratio, days, p, q, worst, inputs.streak + 1
    for days in rule.hold_days:
        yes, p, q, worst = below(
            new[days], old, rule.hold_ratio, all=rule.hold_all, without=rule.hold_without, rule=rule
        )
        if yes:
            return "HOLD", rule.hold_ratio, days, p, q, worst, 0
    return _one_provider(new[3], old, rule) or _floor(new, inputs, rule)


def _one_provider(cells: Cells, old: Cells, rule: Rule) -> _Decided | None:
    for provider in sorted({key[2] for key in cells}):
        yes, p, q, worst = below(
            cells,
            old,
            rule.provider_ratio,
            all=rule.provider_all,
            without=rule.provider_without,
            rule=rule,
            provider=provider,
        )
        if yes:
            return "HOLD", rule.provider_ratio, 3, p, q, f"{worst} at {provider}", 0
    return None


def _floor(new: Mapping[int, Cells], inputs: Inputs, rule: Rule) -> _Decided | None:
    """An absolute reading below the floor holds and asks, whatever the old platform does (M5)."""
    n, k, n_eff = _absolute(new[3], rule)
    if n <= 0:
        return None
    share = n_eff / n
    p = beta.cdf(rule.floor, 23 + k * share, 2 + (n - k) * share)
    return ("HOLD", rule.floor, 3, p, None, "", 0) if p >= rule.floor_all else None


def _reviewed(new: Mapping[int, Cells], old: Cells, inputs: Inputs, rule: Rule) -> _Decided:
    best = 0.0
    for days in rule.review_days:
        found = compare(new[days], old, rule.rho)
        if found is None:
            continue
        p = evidence.ratio_below(found.new, found.old, rule.hold_ratio, rule.shrink)
        if p >= rule.review_all:
            return "REVIEW", rule.hold_ratio, days, p, None, "", 0
        best = max(best, p)
    return "OK", rule.hold_ratio, 7, best, None, "", 0


class _Stratum:
    __slots__ = ("k", "n", "squares")

    def __init__(self) -> None:
        self.n = self.k = self.squares = 0.0


def _strata(cells: Cells, without: str, provider: str) -> dict[str, _Stratum]:
    found: dict[str, _Stratum] = {}
    for (stratum, domain, at), (n, k) in cells.items():
        if domain == without or (provider and at != provider) or n <= 0:
            continue
        arm = found.setdefault(stratum, _Stratum())
        arm.n += n
        arm.k += k
        arm.squares += n * n
    return found


def _pooled(mine: Mapping[str, _Stratum], theirs: Mapping[str, _Stratum]) -> float | None:
    n, k = sum(a.n for a in mine.values()), sum(a.k for a in mine.values())
    m, j = sum(a.n for a in theirs.values()), sum(a.k for a in theirs.values())
    return (k / n) / (j / m) if n and m and j else None


def _absolute(cells: Cells, rule: Rule) -> tuple[float, float, float]:
    n, k = sum(c[0] for c in cells.values()), sum(c[1] for c in cells.values())
    squares = sum(c[0] ** 2 for c in cells.values())
    return n, k, n / evidence.effect(n, squares, rule.rho) if n else 0.0


def _domains(cells: Cells) -> int:
    return len({domain for _, domain, _ in cells})


def _base(week: Cells, old: Cells, inputs: Inputs, rule: Rule) -> Verdict:
    n, k, n_eff = _absolute(week, rule)
    found = compare(week, old, rule.rho) if week and old else None
    control = (
        Control(ratio=found.new.rate / found.old.rate, pooled=found.pooled, strata=found.strata, covered=found.covered)
        if found and found.old.rate
        else None
    )
    share = n_eff / n if n else 0.0
    # A stratum without a partner cannot be compared; tests on one side only cannot either.
    state: State = "THIN" if not n or not old else ("OK" if control else "INCONCLUSIVE")
    return Verdict(
        trigger="placement",
        state=state,
        observed=k / n if n else None,
        interval=evidence.interval(n_eff, k * share, evidence.Prior(a=1, b=1)) if n else None,
        n=n,
        n_eff=n_eff,
        design_effect=1 / share if share else 1.0,
        threshold=rule.hold_ratio,
        window="7 d",
        control=control or (Control(ratio=None, pooled=None, strata=0, covered=0.0) if n and old else None),
        literal=_literal(week, rule),
    )


def _literal(week: Cells, rule: Rule) -> Literally:
    n, k = sum(c[0] for c in week.values()), sum(c[1] for c in week.values())
    limit = rule.rollback_ratio * rule.baseline
    if not n:
        return Literally(fires=None, sentence="read literally: no test, nothing to say")
    return Literally(
        fires=k / n < limit,
        sentence=f"read literally (7-day placement below {percent(limit)}, of a frozen {percent(rule.baseline, 0)}):"
        f" {percent(k / n)}",
    )


def _told(verdict: Verdict, **fields: object) -> Verdict:
    made = msgspec.structs.replace(verdict, **fields)
    return msgspec.structs.replace(made, sentence=_sentence(made))


def _sentence(verdict: Verdict) -> str:
    if verdict.observed is None:
        return "No seed test of the new platform in seven days: nothing is known of its inbox placement."
    low, high = verdict.interval or (0.0, 1.0)
    told = f"{percent(verdict.observed)} of {verdict.n:.0f} seeds in the inbox [{percent(low)} to {percent(high)}]"
    control = verdict.control
    if control is None:
        return f"{told}; the old platform has no tests, so there is nothing to compare with."
    if control.ratio is None or verdict.state == "INCONCLUSIVE":
        return (
            f"{told}; only {percent(control.covered, 0)} of this has a partner on the old platform (same domain age, "
            "provider and client), which is too little to compare."
        )
    told += (
        f"; {control.ratio:.2f} of the old platform's, over {control.strata} strata (pooled: {_two(control.pooled)})"
    )
    if verdict.posterior is not None:
        what = "placement" if verdict.threshold == 0.8 else "ratio"
        told += f"; P({what} < {verdict.threshold:.2f}) = {verdict.posterior:.3f} over {verdict.window}"
    if verdict.without_worst is not None:
        told += f", {verdict.without_worst:.2f} without {verdict.worst}"
    if verdict.asks:
        told += "; extra tests are asked for before anything is decided"
    if verdict.streak:
        told += f"; day {verdict.streak} in a row"
    return told + "."


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def drop_beyond(inputs: Inputs, drop: float, rule: Rule) -> float | None:
    """P(new < (1 − drop) × old) over seven days, for the promotion gate; None: nothing to compare."""
    found = compare(window(inputs.new, 7), window(inputs.old, rule.old_days), rule.rho)
    return evidence.ratio_below(found.new, found.old, 1 - drop, rule.shrink) if found else None
