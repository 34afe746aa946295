"""A world of seed tests on two platforms, judged once a day, with bursts of extra tests when the rule asks for them."""

from __future__ import annotations

import random
from typing import NamedTuple

from mailfleet.rules.migration import placement

SEEDS = (("gmail", 10), ("outlook", 6), ("other", 4))
DOMAINS = {100: 2, 1000: 10, 10_000: 40}
BASE, DAY_ICC, BURN_IN = 0.92, 0.15, 7


class World(NamedTuple):
    """`drop` of the new platform from day `onset` on; `icc` of a domain at a provider, redrawn about once a week."""

    volume: int
    icc: float
    drop: float = 0.0
    onset: int = 0
    days: int = 84


class Seen(NamedTuple):
    """Day of the first alarm of each kind; None: never."""

    hold: int | None
    rollback: int | None
    review: int | None


class _Arm:
    """A platform's domains, and their tests by day."""

    def __init__(self, rng: random.Random, name: str, domains: int, icc: float) -> None:
        self.rng, self.name, self.domains, self.icc = rng, name, domains, icc
        self.rates = {(d, p): self.drawn(BASE) for d in range(domains) for p, _ in SEEDS}
        self.tests: list[tuple[int, int, str, float, float]] = []

    def drawn(self, mean: float) -> float:
        s = (1 - self.icc) / self.icc
        return self.rng.betavariate(mean * s, (1 - mean) * s)

    def day(self, day: int, mean: float, *, anew: bool) -> None:
        for key in self.rates:
            if anew or self.rng.random() < 1 / 7:
                self.rates[key] = self.drawn(mean)
        for test in range(self.domains):
            self.test(day, test)

    def test(self, day: int, domain: int) -> None:
        s = (1 - DAY_ICC) / DAY_ICC
        for provider, n in SEEDS:
            mean = min(0.9999, max(0.0001, self.rates[domain, provider]))
            p = self.rng.betavariate(mean * s, (1 - mean) * s)
            k = sum(self.rng.random() < p for _ in range(n))
            self.tests.append((day, domain, provider, n, k))

    def seen(self, day: int, days: int) -> list[placement.Test]:
        self.tests = [test for test in self.tests if day - test[0] < 14]
        return [
            (day - at, "all", f"{self.name}{domain}", provider, n, k)
            for at, domain, provider, n, k in self.tests
            if day - at < days
        ]


def run(world: World, seed: int, rule: placement.Rule) -> Seen:
    rng = random.Random(seed)  # noqa: S311 - a world has to repeat
    new = _Arm(rng, "n", DOMAINS[world.volume], world.icc)
    old = _Arm(rng, "o", DOMAINS[world.volume], world.icc)
    first: dict[str, int] = {}
    streak = 0
    for day in range(world.days):
        new.day(day, BASE * (1 - world.drop) if day >= world.onset else BASE, anew=day == world.onset)
        old.day(day, BASE, anew=False)
        if day < BURN_IN:
            continue
        verdict = placement.judge(_inputs(new, old, day, streak, burst=False), rule)
        if verdict.state == "REVIEW":
            first.setdefault("review", day)
        if verdict.asks:
            for domain in range(new.domains):
                for _ in range(3):
                    new.test(day, domain)
                    old.test(day, domain)
            verdict = placement.judge(_inputs(new, old, day, streak, burst=True), rule)
        streak = verdict.streak
        if verdict.state in ("HOLD", "ROLLBACK"):
            first.setdefault("hold", day)
        if verdict.state == "ROLLBACK":
            first["rollback"] = day
            break
    return Seen(first.get("hold"), first.get("rollback"), first.get("review"))


def _inputs(new: _Arm, old: _Arm, day: int, streak: int, *, burst: bool) -> placement.Inputs:
    return placement.Inputs(new=new.seen(day, 14), old=old.seen(day, 14), burst=burst, streak=streak)
