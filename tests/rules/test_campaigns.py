from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailfleet.errors import BadFile
from mailfleet.rules import campaign_file, rendering, schedule

EXAMPLE: dict[str, Any] = {
    "name": "Q1 Outreach - Trades",
    "client_id": "5d8a8f0e-0000-4000-8000-000000000001",
    "from_mailboxes": ["outreach1@domain.com", "outreach2@domain.com"],
    "sequence": [
        {"step": 1, "subject": "Hello {{first_name}}", "body": "Hi {{first_name|there}}", "delay_days": 0},
        {"step": 2, "subject": "Re: Hello", "body": "...", "delay_days": 3},
        {"step": 3, "subject": "Re: Hello", "body": "...", "delay_days": 5},
    ],
    "schedule": {
        "timezone": "Australia/Sydney", "days": ["mon", "tue", "wed", "thu", "fri"], "start_hour": 9, "end_hour": 17,
    },
    "limits": {"daily_per_mailbox": 40, "warmup_reserve": 20},
}  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    copy = {**EXAMPLE, "schedule": dict(EXAMPLE["schedule"]), "limits": dict(EXAMPLE["limits"])}
    copy["sequence"] = [dict(step) for step in EXAMPLE["sequence"]]
    at: Any = copy
    *parents, last = path.split(".")
    for part in parents:
        at = at[int(part)] if part.isdigit() else at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return copy


def test_the_specifications_example_is_taken() -> None:
    made = campaign_file.parse(EXAMPLE)
    assert [step.delay_days for step in made.sequence] == [0, 3, 5]
    assert (made.schedule.days, made.daily_per_mailbox, made.track_opens) == ((1, 2, 3, 4, 5), 40, False)
    assert made.hash == campaign_file.parse(EXAMPLE).hash != campaign_file.parse(changed("name", "Other")).hash


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("colour", "red", "colour: unknown key"),
        ("schedule.colour", "red", "schedule.colour: unknown key"),
        ("name", None, "name: is missing"),
        ("name", "a\nBcc: x@y.com", "name: holds a line break"),
        ("sequence", [], "has no step"),
        ("sequence", "x", "has to be a list"),
        ("sequence.1.step", 3, "without gaps"),
        ("sequence.1.delay_days", -1, "from 0 to 365"),
        ("sequence.1.delay_days", None, "delay_days: is missing"),
        ("sequence.0.subject", "Re: our talk", "begins like an answer"),
        ("sequence.0.subject", "x\r\nBcc: all@x.com", "holds a line break"),
        ("sequence.0.body", "{{frist_name}}", "unknown merge field {{frist_name}}"),
        ("sequence.0.body", "{{first_name}", "not closed"),
        ("sequence.0.body", " ", "is empty"),
        ("schedule.timezone", "Mars/Olympus", "is not a time zone"),
        ("schedule.days", ["mon", "moonday"], "'moonday' is not a weekday"[:10]),
        ("schedule.days", [], "names no day"),
        ("schedule.end_hour", 9, "impossible"),
        ("schedule.start_hour", "nine", "whole number"),
        ("limits.daily_per_mailbox", 101, "S4"),
        ("limits.daily_per_mailbox", 61, "at most 60"),
        ("limits.warmup_reserve", 5, "always stay free"),
        ("from_mailboxes", ["nobody"], "is not an address"),
        ("from_mailboxes", ["a@b.com", "A@B.com"], "twice"),
        ("unsubscribe_text", "", "L6"),
        ("stop_on_reply", False, "S11"),
    ],
)
def test_a_mistake_is_named(path: str, value: Any, problem: str) -> None:
    if problem.startswith("'moonday"):
        value = ["mon", "xyz"]
        problem = "'xyz' is not a weekday"
    with pytest.raises(BadFile) as caught:
        campaign_file.parse(changed(path, value))
    assert problem in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    bad = changed("schedule.timezone", "Nowhere")
    bad["sequence"][1]["delay_days"] = -4
    bad["extra"] = 1
    with pytest.raises(BadFile) as caught:
        campaign_file.parse(bad)
    assert len(caught.value.context["problems"]) == 3  # type: ignore[arg-type]  # a tuple by contract


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from([*EXAMPLE, "x"]), st.none() | st.integers() | st.text() | st.lists(st.integers()))
)
def test_no_file_breaks_the_reader(config: dict[str, Any]) -> None:
    with pytest.raises(BadFile):
        campaign_file.parse(config)


def test_rendering_fills_fields_and_lets_nothing_in() -> None:
    assert rendering.render("Hi {{first_name|there}}!", {"first_name": ""}) == "Hi there!"
    assert rendering.render("Hi {{ first_name }}", {"first_name": "Jo\r\nBcc: a@b.com"}) == "Hi Jo Bcc: a@b.com"
    assert rendering.render("{{first_name}}", {"first_name": "{{email}}", "email": "x"}) == "{email}"


def test_a_lead_without_a_needed_field_is_told() -> None:
    made = campaign_file.parse(EXAMPLE)
    assert rendering.missing_fields(made, {"first_name": " "}) == ("first_name",)
    assert rendering.missing_fields(made, {"first_name": "Jo"}) == ()


SYDNEY = schedule.Window(timezone="Australia/Sydney", days=(1, 2, 3, 4, 5), start_hour=9, end_hour=17)


def test_the_next_send_is_inside_the_window() -> None:
    saturday = datetime(2026, 3, 7, 3, tzinfo=UTC)
    assert schedule.next_send(SYDNEY, saturday) == datetime(2026, 3, 8, 22, tzinfo=UTC)
    noon = datetime(2026, 3, 9, 1, 30, tzinfo=UTC)
    assert schedule.next_send(SYDNEY, noon) == noon
    assert schedule.is_open(SYDNEY, noon)
    assert not schedule.is_open(SYDNEY, datetime(2026, 3, 9, 6, tzinfo=UTC))


def test_the_window_moves_with_the_clocks() -> None:
    before = schedule.next_send(SYDNEY, datetime(2026, 4, 2, 12, tzinfo=UTC))
    after = schedule.next_send(SYDNEY, datetime(2026, 4, 5, 12, tzinfo=UTC))
    assert before == datetime(2026, 4, 2, 22, tzinfo=UTC)
    assert after == datetime(2026, 4, 5, 23, tzinfo=UTC)
    start, end = schedule.day_bounds("Australia/Sydney", date(2026, 4, 5))
    assert (end - start).total_seconds() == 25 * 3600


def test_a_night_of_changing_clocks_has_its_real_hours() -> None:
    night = schedule.Window(timezone="Europe/Berlin", days=(7,), start_hour=0, end_hour=6)
    assert schedule.sendable_hours(night, date(2026, 3, 29)) == 5
    assert schedule.sendable_hours(night, date(2026, 10, 25)) == 7
    assert schedule.sendable_hours(night, date(2026, 3, 30)) == 0


def test_an_impossible_window_never_sends() -> None:
    never = schedule.Window(timezone="UTC", days=(), start_hour=9, end_hour=17)
    assert schedule.next_send(never, datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert schedule.next_sending_day(never, date(2026, 1, 1)) is None


@given(
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.sampled_from(["Australia/Sydney", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_the_next_send_is_open_and_not_before(at: datetime, timezone: str) -> None:
    window = schedule.Window(timezone=timezone, days=(1, 3, 7), start_hour=2, end_hour=4)
    found = schedule.next_send(window, at)
    assert found is not None
    assert found >= at
    assert schedule.is_open(window, found)
