"""A small, seeded part of the operating characteristics, with bounds that the full table keeps far from."""

from __future__ import annotations

import random

from mailfleet.migration.suite import bounces, outages, placements, table
from mailfleet.rules.migration import bounce


def rate(seen: list[object], what: str) -> float:
    return sum(getattr(each, what) is not None for each in seen) / len(seen)


def runs(world: object, count: int) -> list[object]:
    return [table.once(world, seed) for seed in range(count)]


def test_a_healthy_platform_is_hardly_ever_held_and_never_rolled_back() -> None:
    for volume in (100, 1000):
        seen = runs(bounces.ramp(volume, 0.02, 0.03), 60)
        assert rate(seen, "rollback") == 0 and rate(seen, "hold") <= 0.05


def test_twelve_per_cent_is_held_within_a_day() -> None:
    seen = runs(bounces.steady(1000, 0.12, 0.03), 60)
    within = [each.hold is not None and 0 <= each.hold - table.HOUR < 24 for each in seen]  # type: ignore[attr-defined]
    assert sum(within) / len(within) >= 0.85


def test_one_bad_list_is_not_the_platforms_fault() -> None:
    assert rate(runs(bounces.steady(100, 0.02, 0.01, bad_list=True), 40), "rollback") == 0


def test_outages_that_end_do_not_roll_back_and_those_that_last_do_after_four_hours() -> None:
    assert rate(runs(outages.World(0.5), 25), "fired") <= 0.08
    down = table.once(outages.World(steady=1.0, days=4, begin=1440), 1)
    assert down.fired == 1440 + 240


def test_a_deep_drop_of_placement_is_held_the_same_day() -> None:
    seen = [
        placements.run(placements.World(1000, 0.30, 0.40, 10, 14), seed, table._RULES.placement) for seed in range(4)
    ]
    assert all(each.hold == 10 for each in seen)


def test_a_world_repeats_and_another_seed_differs() -> None:
    world = bounces.steady(1000, 0.12, 0.03)
    assert table.once(world, 3) == table.once(world, 3)
    assert table.wilson(0, 1000)[1] < 0.004


def test_a_late_bounce_is_counted_in_each_window_exactly_as_long_as_its_mail_is_in_it() -> None:
    world = bounces.steady(100, 0.25, 0.03)
    hours = 24 * len(world.sends)
    history = bounces._History(max(world.campaigns), hours)
    bounces._fill(world, history, random.Random(1))
    windows = {width: bounces._Window(history, width) for width in bounce.WINDOWS}
    for now in range(hours):
        bounces._moved(windows, history, now, history.late.get(now, []))
        for width, window in windows.items():
            inside = slice(max(0, now - width + 1), now + 1)
            assert window.n == sum(sum(sent[inside]) for sent in history.sent)
            assert window.k == sum(sum(known[inside]) for known in history.known)
