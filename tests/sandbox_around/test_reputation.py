"""How receivers come to think of a mailbox, over many worlds: trouble shows within days, trust returns slowly."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.sandbox.providers import FILTERS, Spell, receivers
from mailfleet.sandbox.reputation import domain_standing, note, placement, standing
from mailfleet.sandbox.world import World

DAY = timedelta(days=1)
CALM = 40
"""Mails a day that harm nobody."""
TROUBLE = {
    "three times the volume": (3 * CALM, 0.0, 0.0),
    "10 % bounces": (CALM, 0.10, 0.0),
    "0.5 % complaints": (CALM, 0.0, 0.005),
}
SEEDS = settings(max_examples=8, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Box:
    address: str
    vendor: str = "smartlead"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def mailing(world: World, box: Box, days: int, sent: int, bounced: float = 0.0, complained: float = 0.0) -> list[float]:
    """Days of the same mailing; the placement at the end of each."""
    shares: list[float] = []
    hurt, angry = 0.0, 0.0
    for _ in range(days):
        hurt, angry = hurt + sent * bounced, angry + sent * complained
        note(world, box, sent=sent, bounced=int(hurt), complained=int(angry))
        hurt, angry = hurt % 1, angry % 1
        world.now += DAY
        shares.append(placement(world, box))
    return shares


def warmed(seed: int, days: int = 60) -> tuple[World, Box]:
    """A world with a mailbox that has sent calmly for two months."""
    world = World(seed)
    box = Box(f"ada@seed{seed}-mailfleet-demo.com")
    standing(world, box).ceiling = 1.0
    mailing(world, box, days, CALM)
    return world, box


@pytest.mark.parametrize("trouble", TROUBLE)
@SEEDS
@given(seed=st.integers(1, 10**6))
def test_trouble_shows_within_days_and_goes_slower_than_it_came(trouble: str, seed: int) -> None:
    world, box = warmed(seed)
    before = placement(world, box)
    during = mailing(world, box, 8, *TROUBLE[trouble])
    fallen = during[-1]
    after = mailing(world, box, 60, CALM)

    assert min(during) < 0.98 * before
    lost = before - fallen
    half = before - lost / 2
    falling = next(day for day, share in enumerate(during, 1) if share <= half)
    rising = next(day for day, share in enumerate(after, 1) if share >= half)
    assert rising > falling
    assert after[-1] > 0.99 * before


@SEEDS
@given(seed=st.integers(1, 10**6), score=st.floats(0.2, 0.7))
def test_a_mailbox_left_calm_recovers(seed: int, score: float) -> None:
    world, box = warmed(seed)
    standing(world, box).score = score
    before = placement(world, box)
    shares = mailing(world, box, 45, CALM)

    assert shares[-1] > 1.05 * before
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(shares))


@SEEDS
@given(seed=st.integers(1, 10**6))
def test_what_a_mailbox_does_is_felt_by_its_domain(seed: int) -> None:
    world, box = warmed(seed)
    neighbour = Box(f"bo@{box.domain}")
    standing(world, neighbour).ceiling = 1.0
    before = placement(world, neighbour)
    mailing(world, box, 5, 60, 0.25)

    assert domain_standing(world, box.domain).score < 0.9
    assert placement(world, neighbour) < before


@SEEDS
@given(seed=st.integers(1, 10**6), provider=st.sampled_from(sorted(FILTERS)))
def test_a_provider_may_filter_harder_for_a_while_and_only_there(seed: int, provider: str) -> None:
    world, box = warmed(seed)
    usual = {name: placement(world, box, name) for name in FILTERS}
    spell = Spell(provider, 0.5)
    receivers(world).spells.append(spell)

    assert placement(world, box, provider) == pytest.approx(usual[provider] / 2)
    assert all(placement(world, box, name) == usual[name] for name in FILTERS if name != provider)
    receivers(world).spells.remove(spell)
    assert placement(world, box, provider) == usual[provider]


def test_providers_judge_the_same_mailbox_differently() -> None:
    world, box = warmed(3)
    standing(world, box).score = 0.4
    shares = {name: placement(world, box, name) for name in FILTERS}

    assert len({round(share, 3) for share in shares.values()}) == len(FILTERS)
    assert shares["postfix"] == max(shares.values())
    assert sum(own.part for own in FILTERS.values()) == pytest.approx(1)
