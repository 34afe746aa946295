"""How large a batch a vendor is sent: halved when it keeps saying "too many", made larger again slowly (spec 6)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

REPEATED = 2
"""Refusals since the last change that make it a habit; one alone is what `Retry-After` is for."""
SMALLEST = 1 / 16
QUIET = timedelta(minutes=15)
STEP = 1 / 8


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """`factor` is the part of the usual batch; `since` when it was last changed."""

    factor: float = 1.0
    since: datetime


def after(pace: Pace, limited: int, now: datetime) -> Pace:
    """The pace to go on with. `limited` counts the refusals since `pace.since`."""
    if limited >= REPEATED:
        return Pace(factor=max(SMALLEST, pace.factor / 2), since=now)
    if pace.factor < 1 and not limited and now - pace.since >= QUIET:
        return Pace(factor=min(1.0, pace.factor + STEP), since=now)
    return pace


def batch(pace: Pace, most: int) -> int:
    return max(1, int(most * pace.factor))
