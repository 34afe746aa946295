"""How sure one may be of a rate when the mails come in clusters: design effect, and still true without the worst.

Mails of one campaign stand or fall together, so n of them say as much as n/D independent ones (Kish). One bad cluster
is no fault of the platform, so a claim has to hold without the worst of them too (migration-control 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from mailfleet.rules import beta

Cell = tuple[str, float, float]
"""cluster, mails, events of these mails."""


class Prior(msgspec.Struct, frozen=True, kw_only=True):
    """Beta(a, b): what was known before the first mail."""

    a: float = 1.0
    b: float = 49.0


class Counts:
    """Mails and their events by cluster, with the sums that every question needs kept at hand."""

    __slots__ = ("cells", "k", "n", "squares")

    def __init__(self) -> None:
        self.cells: dict[str, list[float]] = {}
        self.n = self.k = self.squares = 0.0

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Counts:
        made = cls()
        for cluster, n, k in cells:
            made.add(cluster, n, k)
        return made

    def add(self, cluster: str, n: float, k: float) -> None:
        """Adds to a cluster; negative figures take away what has left the window."""
        cell = self.cells.get(cluster)
        if cell is None:
            cell = self.cells[cluster] = [0.0, 0.0]
        self.squares += (2 * cell[0] + n) * n
        cell[0] += n
        cell[1] += k
        self.n += n
        self.k += k

    def listed(self) -> list[Cell]:
        return [(cluster, n, k) for cluster, (n, k) in sorted(self.cells.items()) if n or k]

    def worst(self, theta: float) -> str:
        """The cluster with the most events beyond theta of its mails."""
        return max(self.cells, key=lambda c: self.cells[c][1] - theta * self.cells[c][0], default="")


class Sure(NamedTuple):
    """P(rate > theta) on all clusters and without the worst one; `without` None: there is no other."""

    p: float
    without: float | None
    worst: str
    effect: float
    n_eff: float


def effect(n: float, squares: float, rho: float) -> float:
    """D = max(1, 1 + (Σ n²/n − 1) ρ)."""
    return max(1.0, 1.0 + (squares / n - 1.0) * rho) if n > 0 else 1.0


def above(theta: float, n: float, k: float, squares: float, rho: float, prior: Prior) -> float:
    """P(rate > theta | k of n, discounted by the design effect)."""
    d = effect(n, squares, rho)
    return beta.above(theta, n / d, min(k, n) / d, prior=(prior.a, prior.b))


def passes(counts: Counts, theta: float, *, all: float, without: float, rho: float, prior: Prior) -> bool:
    """gate(theta, all, without) of 2.2. `without` 0: the worst cluster is not left out.

    The median of a Beta lies at or below its mean while a ≤ b, so a mean at or below theta cannot reach `all` ≥ 1/2:
    most questions are answered without the integral.
    """
    n, k = counts.n, counts.k
    if n <= 0 or k <= theta * n:
        return False
    d = effect(n, counts.squares, rho)
    if prior.a + k / d <= theta * (prior.a + prior.b + n / d):
        return False
    if beta.above(theta, n / d, min(k, n) / d, prior=(prior.a, prior.b)) < all:
        return False
    if without <= 0:
        return True
    left = _without(counts, counts.worst(theta))
    return left[0] > 0 and above(theta, *left, rho, prior) >= without


def sure(counts: Counts, theta: float, *, rho: float, prior: Prior) -> Sure:
    """The figures behind `passes`, for the record."""
    worst = counts.worst(theta)
    left = _without(counts, worst)
    d = effect(counts.n, counts.squares, rho)
    return Sure(
        p=above(theta, counts.n, counts.k, counts.squares, rho, prior),
        without=above(theta, *left, rho, prior) if left[0] > 0 else None,
        worst=worst,
        effect=d,
        n_eff=counts.n / d,
    )


def interval(n_eff: float, k_eff: float, prior: Prior, *, mass: float = 0.95) -> tuple[float, float]:
    """The equal-tailed posterior interval of the rate."""
    a, b = prior.a + k_eff, prior.b + max(0.0, n_eff - k_eff)
    tail = (1 - mass) / 2
    return quantile(tail, a, b), quantile(1 - tail, a, b)


def quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (mid, high) if beta.cdf(mid, a, b) < p else (low, mid)
    return (low + high) / 2


def normal(z: float) -> float:
    """Φ(z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


class Arm(NamedTuple):
    """A rate and how many independent mails it is worth."""

    rate: float
    n_eff: float


def ratio_below(new: Arm, old: Arm, r: float, shrink: tuple[float, float]) -> float:
    """P(new/old < r), normal on the log scale; `shrink` = (events, mails) added to each side (2.3)."""
    events, mails = shrink
    a = (new.rate * new.n_eff + events) / (new.n_eff + mails)
    b = (old.rate * old.n_eff + events) / (old.n_eff + mails)
    if a <= 0 or b <= 0:
        return 0.0
    variance = (1 - a) / (a * (new.n_eff + mails)) + (1 - b) / (b * (old.n_eff + mails))
    return normal((math.log(r) - math.log(a / b)) / math.sqrt(max(variance, 1e-12)))


def icc(groups: Mapping[str, tuple[float, float]], *, low: float = 0.005, high: float = 0.05) -> float | None:
    """ρ from the old platform's history, one-way ANOVA over campaigns, kept within [low, high]; None: too little."""
    cells = [(n, k) for n, k in groups.values() if n > 1]
    total, events = sum(n for n, _ in cells), sum(k for _, k in cells)
    if len(cells) < 2 or total <= len(cells) or not 0 < events < total:
        return None
    mean = events / total
    between = sum(n * (k / n - mean) ** 2 for n, k in cells) / (len(cells) - 1)
    within = sum(k * (1 - k / n) for n, k in cells) / (total - len(cells))
    size = (total - sum(n * n for n, _ in cells) / total) / (len(cells) - 1)
    found = (between - within) / (between + (size - 1) * within)
    return min(high, max(low, found))


def _without(counts: Counts, cluster: str) -> tuple[float, float, float]:
    n, k = counts.cells.get(cluster, (0.0, 0.0))
    return counts.n - n, counts.k - k, counts.squares - n * n
