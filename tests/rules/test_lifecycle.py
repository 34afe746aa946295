from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.errors import NotAllowed
from mailfleet.policy.model import default_policy
from mailfleet.rules.graduation import History, checklist
from mailfleet.rules.heat import Heat, heat
from mailfleet.rules.lifecycle import (
    EVENTS,
    ILLEGAL,
    STATES,
    TABLE,
    Facts,
    Reading,
    apply,
    decide,
    diagram,
    notices,
    recovery_streak,
)

POLICY = default_policy()
START = datetime(2026, 3, 2, tzinfo=UTC)
GOOD = checklist(POLICY.graduation, History(warmup_days=14, heat=Heat(value=92, state="OK"), sent=325, complaints=0))


def ok(value: float) -> Heat:
    return Heat(value=value, state="OK")


def facts(state: str, heats: list[float | None] | None = None, **more: object) -> Facts:
    days = tuple((START.date() + timedelta(days=n), value) for n, value in enumerate(heats or []))
    return Facts(state=state, state_since=START, heats=days, **more)  # type: ignore[arg-type]  # names vary by case


def reading(day: int, value: float | None = None, **more: object) -> Reading:
    at = START + timedelta(days=day)
    return Reading(at=at, day=at.date(), heat=None if value is None else ok(value), **more)  # type: ignore[arg-type]  # as above


def test_every_pair_of_state_and_event_is_listed_or_illegal() -> None:
    pairs = set(product(STATES, EVENTS))
    assert set(TABLE) | ILLEGAL == pairs
    assert not set(TABLE) & ILLEGAL
    for state, event in ILLEGAL:
        with pytest.raises(NotAllowed):
            apply(state, event)
    for (state, event), after in TABLE.items():
        assert apply(state, event) == after


def test_the_specifications_edges_are_there() -> None:
    assert {
        ("NEW", "WARMING"), ("NEW", "ERROR"), ("ERROR", "NEW"), ("WARMING", "PRODUCTION"), ("WARMING", "DEGRADED"),
        ("DEGRADED", "WARMING"), ("DEGRADED", "RETIRED"), ("PRODUCTION", "WARMING"),
    } <= {(state, after) for (state, _), after in TABLE.items()}  # fmt: skip


def test_a_retired_mailbox_is_left_alone_by_the_machine() -> None:
    assert [event for state, event in TABLE if state == "RETIRED"] == ["operator_reinstated"]
    assert (
        decide(facts("RETIRED", [95] * 20), reading(60, 99, checklist=GOOD, api_ok=True, warmup_running=True), POLICY)
        is None
    )


def test_graduation_when_every_criterion_is_met() -> None:
    decision = decide(facts("WARMING", [92] * 14), reading(14, 92, checklist=GOOD), POLICY)
    assert decision is not None
    assert (decision.event, decision.to_state) == ("criteria_met", "PRODUCTION")
    assert decision.rule_version == POLICY.version
    assert len(decision.evidence["checklist"]) == 6  # type: ignore[arg-type]  # a list by contract


def test_production_falls_back_to_warming_not_to_degraded() -> None:
    decision = decide(facts("PRODUCTION", [90]), reading(1, 55), POLICY)
    assert decision is not None
    assert decision.to_state == "WARMING"


def test_one_low_reading_does_not_degrade_two_in_a_row_do() -> None:
    assert decide(facts("WARMING"), reading(0, 55), POLICY) is None
    assert decide(facts("WARMING", [55, 70]), reading(2, 55), POLICY) is None
    decision = decide(facts("WARMING", [55]), reading(1, 58), POLICY)
    assert decision is not None
    assert decision.event == "heat_low_twice"


def test_two_readings_of_one_day_are_one_reading() -> None:
    assert decide(facts("WARMING", [55]), reading(0, 52), POLICY) is None


@pytest.mark.parametrize("state", STATES)
def test_a_missing_reading_changes_nothing(state: str) -> None:
    assert decide(facts(state, [50, 50, 50]), reading(40), POLICY) is None
    thin = Reading(at=START + timedelta(days=40), day=date(2026, 4, 11), heat=Heat(value=None, state="THIN"))
    assert decide(facts(state, [50, 50, 50]), thin, POLICY) is None


def test_recovery_needs_seven_daily_readings_in_a_row() -> None:
    assert decide(facts("DEGRADED", [70] * 5), reading(5, 70), POLICY) is None
    assert decide(facts("DEGRADED", [70, 70, 50, 70, 70, 70]), reading(6, 70), POLICY) is None
    decision = decide(facts("DEGRADED", [70] * 6), reading(6, 60), POLICY)
    assert decision is not None
    assert (decision.event, decision.to_state) == ("recovered", "WARMING")


def test_an_unknown_day_neither_counts_nor_breaks_a_streak() -> None:
    days = tuple((START.date() + timedelta(days=n), v) for n, v in enumerate([50.0, 70.0, None, 70.0]))
    assert recovery_streak(days, 60) == 2


def test_retired_at_the_first_reading_from_day_30_on_that_is_not_in_a_streak() -> None:
    assert decide(facts("DEGRADED", [50] * 29), reading(29, 50), POLICY) is None
    decision = decide(facts("DEGRADED", [50] * 30), reading(30, 50), POLICY)
    assert decision is not None
    assert (decision.event, decision.to_state) == ("no_recovery", "RETIRED")
    running = facts("DEGRADED", [50] * 28 + [70, 70])
    assert decide(running, reading(30, 70), POLICY) is None
    broken = decide(facts("DEGRADED", [50] * 28 + [70, 70, 70]), reading(31, 50), POLICY)
    assert broken is not None
    assert broken.event == "no_recovery"


def test_disabled_for_over_a_day_retires() -> None:
    since = START + timedelta(days=3)
    assert decide(facts("PRODUCTION", disabled_since=since), reading(4, 90), POLICY) is None
    decision = decide(facts("PRODUCTION", disabled_since=since), reading(5, 90), POLICY)
    assert decision is not None
    assert decision.event == "disabled_too_long"


def test_new_error_and_retry() -> None:
    assert decide(facts("NEW"), reading(0, api_ok=False), POLICY).event == "api_error"  # type: ignore[union-attr]  # fails loudly
    assert decide(facts("NEW"), reading(0, warmup_running=True), POLICY).to_state == "WARMING"  # type: ignore[union-attr]  # as above
    retried = decide(facts("ERROR", error_retries=2), reading(1, api_ok=True), POLICY)
    assert retried is not None
    assert retried.evidence == {"retries": 2}
    assert decide(facts("ERROR"), reading(1, api_ok=False), POLICY) is None


def test_notices_on_day_21_and_30_and_for_loops() -> None:
    assert notices(facts("WARMING"), reading(20), POLICY) == ()
    assert [n.kind for n in notices(facts("WARMING"), reading(21), POLICY)] == ["slow_warmup"]
    assert [n.kind for n in notices(facts("WARMING"), reading(30), POLICY)] == ["warmup_review"]
    loops = tuple(START - timedelta(days=d) for d in (60, 30, 0))
    assert [n.kind for n in notices(facts("DEGRADED", degraded_at=loops), reading(1), POLICY)] == ["degraded_loop"]


@given(
    state=st.sampled_from(STATES),
    heats=st.lists(st.none() | st.floats(0, 100), max_size=40),
    value=st.none() | st.floats(0, 100),
    day=st.integers(0, 60),
)
def test_a_decision_is_always_one_listed_transition(
    state: str, heats: list[float | None], value: float | None, day: int
) -> None:
    decision = decide(facts(state, heats), reading(day, value, checklist=GOOD, api_ok=True), POLICY)
    if decision is not None:
        assert TABLE[(decision.from_state, decision.event)] == decision.to_state
        assert decision.from_state == state
        assert decision.reason


def test_the_diagram_shows_every_transition() -> None:
    assert diagram().count("-->") == len(TABLE) + 1


def test_heat_is_the_lower_of_two_and_never_a_guess() -> None:
    assert heat(100, 64, 65) == Heat(value=98.5, state="OK")
    assert heat(70, 64, 65).value == 70
    assert heat(99, 19, 19).state == "THIN"
    assert heat(99, None, None).state == "UNKNOWN"
    assert heat(None, 18, 20).value == 90
