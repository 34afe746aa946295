"""The small part of the crash campaigns: a few kills, seeded, with the comparison at the end."""

from __future__ import annotations

from pathlib import Path

from proofs import applier_crash, receiver_crash, receiver_fuzz


def test_the_receiver_is_killed_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    figures = receiver_crash.run(tmp_path, kills=4, seed=7)
    assert figures.acknowledged and figures.kills == 3 and figures.postgres_kills == 1
    assert (figures.lost, figures.twice, figures.never_sent) == (0, 0, 0)


def test_appliers_are_killed_and_every_event_is_applied_once(tmp_path: Path) -> None:
    figures = applier_crash.run(tmp_path, kills=4, leads=120, seed=7)
    assert not any(figures.differences.values())
    assert (figures.applied, figures.left_over) == (figures.facts, 0)


def test_rubbish_is_refused_and_good_webhooks_are_stored(tmp_path: Path) -> None:
    figures = receiver_fuzz.run(tmp_path, cases=60, seed=7)
    assert not figures.own_5xx and not figures.hung
    assert figures.good_sent == figures.good_stored == 6
