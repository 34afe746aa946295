"""Batches shrink when a vendor keeps refusing, and grow again slowly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailfleet.rules import pace
from mailfleet.rules.pace import Pace

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_one_refusal_changes_nothing_two_halve_and_the_way_back_is_longer() -> None:
    whole = Pace(since=NOW)
    assert pace.after(whole, 1, NOW) == whole
    half = pace.after(whole, 2, NOW)
    assert (half.factor, pace.batch(half, 100)) == (0.5, 50)
    now, steps = NOW, 0
    while half.factor < 1:
        now += pace.QUIET
        half, steps = pace.after(half, 0, now), steps + 1
    assert steps == 4
    assert pace.after(Pace(factor=0.5, since=NOW), 0, NOW + timedelta(minutes=14)).factor == 0.5


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 400))
def test_a_batch_is_never_empty_and_never_larger_than_usual(refusals: list[int], most: int) -> None:
    current, now = Pace(since=NOW), NOW
    for limited in refusals:
        now += timedelta(minutes=5)
        current = pace.after(current, limited, now)
        assert 1 <= pace.batch(current, most) <= most
