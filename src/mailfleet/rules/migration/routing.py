"""Which platform a whole campaign goes to: seeded, replayable, volume-true, never back (migration-control 3.2, M2).

`random_weighted` honours the weight per unit of volume. Per campaign it favours the small ones at low weights, which is
the safe direction: of two campaigns of unequal size at 10 %, the smaller is the likelier to go first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that has not started: `volume` = leads × steps; a contacted lead makes it stay where it is."""

    id: str
    volume: float
    stratum: str = ""
    contacted: bool = False
    created_at: datetime | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the routing ledger: enough to make the decision again."""

    campaign: str
    to_new: bool
    u: float
    p: float
    deficit: float
    weight: float
    volume: float
    stratum: str
    why: str = "draw"


class Volumes(msgspec.Struct, frozen=True, kw_only=True):
    """Volume routed so far in this phase: to the new platform, and in all."""

    new: float = 0.0
    all: float = 0.0

    def deficit(self, weight: float) -> float:
        """D > 0: the new platform has got more than its share."""
        return self.new - weight * self.all

    def plus(self, volume: float, to_new: bool) -> Volumes:
        return Volumes(new=self.new + volume * to_new, all=self.all + volume)


def draw(seed: int, migration: str, campaign: str) -> float:
    """u ∈ [0, 1), the same whenever it is asked."""
    digest = hashlib.sha256(f"{seed}|{migration}|{campaign}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def chance(weight: float, deficit: float, volume: float) -> float:
    """p = clip(w − D / v, 0, 1)."""
    if weight <= 0 or weight >= 1 or volume <= 0:
        return float(weight >= 1)
    return min(1.0, max(0.0, weight - deficit / volume))


def route(
    campaign: Candidate,
    *,
    seed: int,
    migration: str,
    weight: float,
    routed: Volumes,
    of_stratum: Volumes | None = None,
) -> Decision:
    """A campaign that arrives. The deficit of its stratum decides first, the overall one once strata are level."""
    own = of_stratum if of_stratum is not None else routed
    deficit = own.deficit(weight) if own.all > 0 else routed.deficit(weight)
    u, p = draw(seed, migration, campaign.id), chance(weight, deficit, campaign.volume)
    return Decision(
        campaign=campaign.id,
        to_new=u < p and not campaign.contacted,
        u=u,
        p=p,
        deficit=deficit,
        weight=weight,
        volume=campaign.volume,
        stratum=campaign.stratum,
        why="contacted" if campaign.contacted else "draw",
    )


def offer(
    backlog: Iterable[Candidate], *, seed: int, migration: str, weight: float, new: float, all: float
) -> list[Decision]:
    """At a change of phase: the backlog in order of u, each that still fits goes to the new platform.

    `new`, `all`: volume on the new platform and on both, the backlog counted as old. What is on the new platform stays
    there, so that set only grows. A share above zero with nothing on the new platform takes the smallest.
    """
    waiting = sorted((each for each in backlog if not each.contacted), key=lambda each: draw(seed, migration, each.id))
    target = weight * all
    found: list[Decision] = []
    for each in waiting:
        fits = new + each.volume <= target + 1e-9
        found.append(_offered(each, fits, seed, migration, weight, new - target, "first fit"))
        new += each.volume * fits
    if weight > 0 and new <= 0 and waiting:
        smallest = min(waiting, key=lambda each: (each.volume, each.id))
        place = waiting.index(smallest)
        found[place] = _offered(smallest, True, seed, migration, weight, new - target, "no empty phase")
    return found


def _offered(
    each: Candidate, fits: bool, seed: int, migration: str, weight: float, deficit: float, why: str
) -> Decision:
    return Decision(
        campaign=each.id,
        to_new=fits,
        u=draw(seed, migration, each.id),
        p=float(fits),
        deficit=deficit,
        weight=weight,
        volume=each.volume,
        stratum=each.stratum,
        why=why,
    )


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Three shares that are easily taken for each other. The target is on `routed`; alarms look at `sending`."""

    target: float
    routed: float | None
    sending: float | None
    owned: float | None


def share(new: float, all: float) -> float | None:
    return new / all if all > 0 else None


def ratio_off(routed: Volumes, weight: float, largest: float) -> bool:
    """Is the routed volume farther from its target than one campaign? Then the ledger and the routing disagree."""
    return abs(routed.deficit(weight)) > largest + 1e-9


def replayed(decisions: Sequence[Decision], seed: int, migration: str) -> list[str]:
    """Campaigns whose stored decision is not what the rule says on the stored figures."""
    wrong: list[str] = []
    for each in decisions:
        p = chance(each.weight, each.deficit, each.volume) if each.why == "draw" else each.p
        u = draw(seed, migration, each.campaign)
        says = u < p if each.why == "draw" else each.to_new
        if u != each.u or abs(p - each.p) > 1e-12 or says != each.to_new:
            wrong.append(each.campaign)
    return wrong


def volumes(decisions: Iterable[Decision]) -> tuple[Volumes, Mapping[str, Volumes]]:
    """Summed over a phase, overall and by stratum."""
    overall, by = Volumes(), dict[str, Volumes]()
    for each in decisions:
        overall = overall.plus(each.volume, each.to_new)
        by[each.stratum] = by.get(each.stratum, Volumes()).plus(each.volume, each.to_new)
    return overall, by
