"""Runs the worlds over processes and counts; each share with its 95 % interval."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any, NamedTuple

import msgspec

from mailfleet.migration.suite import bounces, outages, placements
from mailfleet.policy.model import default_policy
from mailfleet.rules.migration import parameters

ICCS = (0.01, 0.03)
HOUR = 28 * 24 + 8
"""First sending hour after the onset of a drift."""


class Cell(NamedTuple):
    """One world, run many times. `about` says what its figures are shares of."""

    name: str
    about: str
    world: Any
    share: float = 1.0
    """Of the runs asked for: the largest worlds are run less often."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    of: int
    count: int
    low: float
    high: float
    median: float | None = None
    """Hours or days after the onset, of those that alarmed."""

    @property
    def share(self) -> float:
        return self.count / self.of if self.of else 0.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    cell: str
    about: str
    runs: int
    shares: tuple[Share, ...]
    seconds: float


def cells(*, largest: float = 0.25) -> Iterator[Cell]:
    for icc in ICCS:
        for rate in (0.02, 0.05):
            for volume in (100, 1000, 10_000):
                world = bounces.ramp(volume, rate, icc)
                yield Cell(
                    f"bounce {rate:.0%} all along, V = {volume}, ICC {icc}", "migrations of 77 days", world,
                    largest if volume == 10_000 else 1.0,
                )  # fmt: skip
        for daily in (10, 100, 1000):
            world = bounces.steady(daily, 0.02, icc, bad_list=True)
            yield Cell(f"one bad list, {daily} a day, ICC {icc}", "runs of 21 days", world)
        for then, daily in ((0.05, 1000), (0.12, 100), (0.12, 1000), (0.20, 1000)):
            world = bounces.steady(daily, then, icc)
            yield Cell(f"bounce 2 % → {then:.0%}, {daily} a day, ICC {icc}", "runs of 21 days", world)
    for icc in (0.15, 0.30):
        for volume in (100, 1000):
            yield Cell(
                f"placement unchanged, V = {volume}, ICC {icc}", "migrations of 77 days",
                placements.World(volume, icc), largest,
            )  # fmt: skip
    for drop in (0.25, 0.40):
        yield Cell(
            f"placement −{drop:.0%}, V = 1000, ICC 0.3", "runs of 21 days", placements.World(1000, 0.30, drop, 28, 49),
            largest,
        )  # fmt: skip
    for often in (0.5, 1.0, 3.0):
        yield Cell(
            f"API, {often} incidents a month, none of 4 h", "migrations of 77 days", outages.World(often), 1.0
        )  # fmt: skip
    for error, name in ((1.0, "hard down"), (0.05, "5 % errors")):
        yield Cell(f"API, {name}", "runs of 3 days", outages.World(steady=error, days=4, begin=1440), largest)


_RULES = parameters.of(default_policy())


def once(world: Any, seed: int) -> Any:
    """The same rule functions that the controller calls."""
    if isinstance(world, bounces.World):
        return bounces.run(world, seed, _RULES.bounce)
    if isinstance(world, placements.World):
        return placements.run(world, seed, _RULES.placement)
    return outages.run(world, seed, _RULES.api)


def _chunk(given: tuple[Any, int, int]) -> list[Any]:
    world, first, last = given
    return [once(world, seed) for seed in range(first, last)]


def measure(
    wanted: Iterable[Cell],
    runs: int,
    *,
    seed: int = 0,
    workers: int | None = None,
    told: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Rows in the order asked for."""
    found: list[Row] = []
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        for cell in wanted:
            began = time.monotonic()
            count = max(1, round(runs * cell.share))
            size = max(1, count // 16)
            parts = [(cell.world, seed + first, seed + min(first + size, count)) for first in range(0, count, size)]
            seen = [each for part in pool.map(_chunk, parts) for each in part]
            row = Row(
                cell=cell.name, about=cell.about, runs=count, shares=tuple(_shares(cell.world, seen)),
                seconds=time.monotonic() - began,
            )  # fmt: skip
            found.append(row)
            if told:
                told(row)
    return found


def _shares(world: Any, seen: Sequence[Any]) -> Iterator[Share]:
    if isinstance(world, outages.World):
        fair = [each for each in seen if world.steady or not each.long_incident]
        yield _share("rollback", [each.fired for each in fair], 0 if not world.steady else world.begin, 1 / 60)
        return
    start, unit = (HOUR, 1.0) if isinstance(world, bounces.World) else (world.onset, 1.0)
    drift = world.onset < 10**6 and (isinstance(world, bounces.World) or world.onset > 0)
    for what in ("hold", "rollback", "review", "pause"):
        if hasattr(seen[0], what):
            yield _share(what, [getattr(each, what) for each in seen], start if drift else 0, unit)
    if drift and isinstance(world, bounces.World):
        within = [each.hold if each.hold is not None and each.hold - HOUR + 1 <= 24 else None for each in seen]
        yield _share("hold within 24 h", within, HOUR, 1.0)


def _share(what: str, times: Sequence[int | None], start: int, unit: float) -> Share:
    """Alarms before the onset are no detections: those runs are left out."""
    kept = [at for at in times if at is None or at >= start]
    hits = [at - start + 1 for at in kept if at is not None]
    low, high = wilson(len(hits), len(kept))
    return Share(
        what=what, of=len(kept), count=len(hits), low=low, high=high, median=median(hits) * unit if hits else None
    )


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 %."""
    if n == 0:
        return 0.0, 1.0
    z, p = 1.96, k / n
    d = 1 + z * z / n
    mid, half = (p + z * z / (2 * n)) / d, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return max(0.0, mid - half), min(1.0, mid + half)


def markdown(rows: Sequence[Row]) -> str:
    head = ("| world | runs | hold | rollback | review | within 24 h |", "|---|---|---|---|---|---|")
    return "\n".join([*head, *map(line, rows)])


def line(row: Row) -> str:
    by = {each.what: each for each in row.shares}
    shown = [_shown(by.get(what)) for what in ("hold", "rollback", "review", "hold within 24 h")]
    return f"| {row.cell} | {row.runs} | {' | '.join(shown)} |"


def _shown(share: Share | None) -> str:
    if share is None:
        return "–"
    return f"{100 * share.share:.1f} % [{100 * share.low:.1f}–{100 * share.high:.1f}]"
