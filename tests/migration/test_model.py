"""The protocol of the way back over every reachable state, and the simpler protocols that must not pass."""

from __future__ import annotations

import pytest
from tests.migration import model

SHORTEST = dict(zip(model.SIMPLER, (5, 7, 12, 12, 22, 23, 34), strict=True))


@pytest.mark.parametrize(("workers", "crashes", "losses", "doubts"), [(1, 1, 1, 1), (2, 0, 0, 1), (2, 1, 1, 1)])
def test_no_step_goes_out_twice_and_nobody_is_lost(workers: int, crashes: int, losses: int, doubts: int) -> None:
    found = model.search(model.Ours(workers=workers, crashes=crashes, losses=losses, doubts=doubts))
    assert found.wrong == {}
    assert found.stuck == 0
    assert found.states > 1000


@pytest.mark.parametrize("name", list(model.SIMPLER))
def test_the_simpler_protocols_are_caught_by_their_shortest_way(name: str) -> None:
    assert len(model.search(model.SIMPLER[name]).wrong["DOUBLE"]) == SHORTEST[name]


@pytest.mark.parametrize("mutant", [model.NoBurn, model.Blind])
def test_ours_without_one_of_its_guards_is_caught(mutant: type[model.Ours]) -> None:
    assert "DOUBLE" in model.search(mutant()).wrong
