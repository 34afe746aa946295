"""P(rate > θ) after k of n, with a Beta prior: how sure one may be of a rate (migration-control 2.2)."""

from __future__ import annotations

import functools
import math

STEPS = 300
TINY = 1e-300


def above(theta: float, n: float, k: float, *, prior: tuple[float, float] = (1.0, 49.0)) -> float:
    """Posterior probability that the true rate is above `theta`, given `k` events in `n` sends."""
    return 1.0 - cdf(theta, prior[0] + k, prior[1] + max(0.0, n - k))


@functools.lru_cache(maxsize=16_384)  # ten thousand mailboxes stand on few different counts
def cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    # Lentz's method on the continued fraction of DLMF 8.17.22, written out: it runs millions of times in a rehearsal.
    c = 1.0
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > TINY else TINY)
    result = d
    for m in range(1, STEPS):
        top = a + 2 * m
        term = m * (b - m) * x / ((top - 1) * top)
        d = 1 + term * d
        d = 1 / (d if abs(d) > TINY else TINY)
        c = 1 + term / c
        c = c if abs(c) > TINY else TINY
        result *= c * d
        term = -(a + m) * (a + b + m) * x / (top * (top + 1))
        d = 1 + term * d
        d = 1 / (d if abs(d) > TINY else TINY)
        c = 1 + term / c
        c = c if abs(c) > TINY else TINY
        result *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return result
