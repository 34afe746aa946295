"""Fitting and mapping as pure rules."""

from __future__ import annotations

import random
import tomllib
from datetime import UTC, datetime, timedelta

import pytest

from mailfleet.rules import baseline, mapping
from mailfleet.rules.baseline import Baseline, Mail
from mailfleet.rules.mapping import Form, Source

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("rho", [0.0, 0.03, 0.15])
def test_the_correlation_that_was_put_in_is_found(rho: float) -> None:
    rng, groups = random.Random(5), []
    for _ in range(3000):
        a, b = (0.06 * (1 / rho - 1), 0.94 * (1 / rho - 1)) if rho else (0.0, 0.0)
        share = rng.betavariate(a, b) if rho else 0.06
        n = rng.randint(10, 60)
        groups.append((n, sum(rng.random() < share for _ in range(n))))
    found = baseline.fit(groups)
    assert found.rho == pytest.approx(rho, abs=0.012)
    assert found.clusters == 3000


@pytest.mark.parametrize("groups", [[], [(5, 1)], [(5, 0), (5, 0)], [(1, 1), (1, 0)], [(5, 5), (5, 5)]])
def test_too_little_is_said_to_be_too_little(groups: list[tuple[int, int]]) -> None:
    assert baseline.fit(groups).rho is None


def test_the_curve_leaves_out_mails_that_may_still_be_answered() -> None:
    counted = Baseline(NOW)
    for days, hours in ((30, 1), (30, 30), (20, 200), (3, 1)):
        at = NOW - timedelta(days=days)
        counted.add(
            Mail(campaign="c", domain="d", recipient="a@gmail.com", at=at, replied_at=at + timedelta(hours=hours))
        )
    curve = counted.curve()
    assert curve.answers == 3
    assert curve.shares[1] == pytest.approx(1 / 3) and curve.shares[24] == pytest.approx(1 / 3)
    assert curve.shares[48] == pytest.approx(2 / 3) and curve.shares[336] == 1
    assert Baseline(NOW).curve().shares == {}


@pytest.mark.parametrize(
    ("text", "becomes", "fields", "lost"),
    [
        ("Hi {{first_name}} of {{ company }}", "Hi {{first_name}} of {{company}}", set(), 0),
        ("{{city}}", "{{city}}", {"city"}, 0),
        ("{{Hi | Hello | Hey}} you", "Hi you", set(), 1),
        ("{{First Name}}", "{{First Name}}", set(), 1),
        ("{{first_name", "{{first_name", set(), 1),
        ("{{}}", "{{}}", set(), 1),
        ("no field { here }", "no field { here }", set(), 0),
    ],
)
def test_merge_fields_carry_over_and_what_does_not_is_told(
    text: str, becomes: str, fields: set[str], lost: int
) -> None:
    found, told = set[str](), list[str]()
    assert mapping.translated(text, "step 1", found, told) == becomes
    assert (found, len(told)) == (fields, lost)


def test_the_review_file_is_toml_that_keeps_what_was_answered() -> None:
    source = Source(
        ref="seq_1", name='A "quoted" name', state="active", mailboxes=("b@x.y", "a@x.y"),
        steps=(Form(delay_days=0, wordings=(("A", "{{a|b}}", "x"),)), Form(delay_days=3, wordings=(("A", "", "y"),))),
    )  # fmt: skip
    found = mapping.mapped(source, {})
    assert found.asked == mapping.ASKED and "schedule" not in found.config
    blank = tomllib.loads(mapping.review([(source, found)], {}))
    assert blank == {"seq_1": {"name": 'A "quoted" name', "timezone": "", "days": [], "skip": False}}
    answers = {"seq_1": {"timezone": "UTC", "days": [1], "start_hour": 0, "end_hour": 8}}
    kept = tomllib.loads(mapping.review([(source, found)], answers))["seq_1"]
    assert kept | answers["seq_1"] == kept
    whole = mapping.mapped(source, kept)
    assert not whole.asked and whole.config["from_mailboxes"] == ["a@x.y", "b@x.y"]
    assert [step["delay_days"] for step in whole.config["sequence"]] == [0, 3]
    assert mapping.differences(whole.config, whole.config) == []
