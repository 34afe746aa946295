"""What a campaign can send a day, what holds it back, and when it will be through."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.rules.campaign_file import parse
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.capacity import Staff, Work, capacity, room

MONDAY = date(2026, 3, 2)
WEEK = ["mon", "tue", "wed", "thu", "fri"]
STEP: dict[str, Any] = {"step": 1, "subject": "Hello", "body": "Hi.", "delay_days": 0}


def config(
    steps: int = 1, *, most: int = 40, new: int = 100, delay: int = 1, floor: int = 1, **timing: Any
) -> CampaignConfig:
    schedule = {
        "timezone": "UTC",
        "days": WEEK,
        "start_hour": 9,
        "end_hour": 17,
        "max_new_leads_per_day": new,
        **timing,
    }
    more = [{"step": n, "subject": "", "body": "Hi.", "delay_days": delay} for n in range(2, steps + 1)]
    return parse(
        {
            "name": "c", "schedule": schedule, "sequence": [STEP, *more],
            "limits": {"daily_per_mailbox": most, "minimum_mailboxes": floor},
        }
    )  # fmt: skip


def box(share: int = 40, cap: int = 40, *, able: bool = True, name: str = "a") -> Staff:
    return Staff(address=f"{name}@b.com", able=able, cap=cap, share=share)


def test_a_day_is_what_shares_and_hours_leave() -> None:
    found = capacity(config(), [box(10), box(30, name="b"), box(able=False, name="c")], Work(waiting=100), today=MONDAY)
    assert (found.mailboxes, found.able, found.a_day, found.new_a_day) == (3, 2, 40, 40)
    assert found.by_mailbox == {"a@b.com": 10, "b@b.com": 30, "c@b.com": 0}
    one_hour = capacity(config(end_hour=10), [box()], Work(waiting=100), today=MONDAY)
    assert (one_hour.a_day, one_hour.bottleneck) == (6, "hours")  # six times ten minutes


@pytest.mark.parametrize(
    ("made", "staff", "work", "bottleneck"),
    [
        (config(), [box()], Work(), "leads"),
        (config(end_hour=10), [box()], Work(waiting=9), "hours"),
        (config(new=5), [box()], Work(waiting=99), "new leads a day"),
        (config(), [box(20)], Work(waiting=99), "shared mailboxes"),
        (config(), [box()], Work(waiting=99), "mailboxes"),
        (config(floor=2), [box(), box(able=False, name="b")], Work(waiting=99), "floor"),
    ],
)
def test_the_bottleneck_is_named(made: CampaignConfig, staff: list[Staff], work: Work, bottleneck: str) -> None:
    found = capacity(made, staff, work, today=MONDAY)
    assert found.bottleneck == bottleneck
    assert found.below_floor is (bottleneck == "floor")


@pytest.mark.parametrize(
    ("made", "work", "days", "finish"),
    [
        (config(), Work(waiting=40), 1, MONDAY),
        (config(), Work(waiting=41), 2, MONDAY + timedelta(days=1)),
        (config(), Work(waiting=201), 6, MONDAY + timedelta(days=7)),  # the weekend is none of them
        (config(new=10), Work(waiting=25), 3, MONDAY + timedelta(days=2)),
        (config(2, delay=3), Work(waiting=10), 4, MONDAY + timedelta(days=3)),
        (config(2), Work(reached={1: 80}), 2, MONDAY + timedelta(days=2)),  # due tomorrow, forty a day
        (config(), Work(), 0, MONDAY - timedelta(days=1)),
    ],
)
def test_it_is_told_when_it_will_be_through(made: CampaignConfig, work: Work, days: int, finish: date) -> None:
    found = capacity(made, [box()], work, today=MONDAY)
    assert found.finish == finish
    assert days <= (found.sending_days or 0) + (days == 4) * 2


def test_holidays_are_no_sending_days() -> None:
    friday = date(2026, 4, 3)  # Good Friday, and Monday is Easter's
    found = capacity(config(holidays=["AU-NSW"]), [box()], Work(waiting=41), today=friday)
    assert found.finish == date(2026, 4, 8)


def test_one_that_cannot_send_never_ends() -> None:
    for staff in ([], [box(able=False)]):
        found = capacity(config(), staff, Work(waiting=1), today=MONDAY)
        assert (found.a_day, found.finish, found.sending_days) == (0, None, None)


@given(
    shares=st.lists(st.integers(0, 40), max_size=4), new=st.integers(1, 60), begun=st.integers(0, 60),
    there=st.integers(0, 90), floor=st.integers(1, 3),
)  # fmt: skip
def test_the_room_never_exceeds_a_day(shares: list[int], new: int, begun: int, there: int, floor: int) -> None:
    staff = [box(share, name=f"m{n}") for n, share in enumerate(shares)]
    found = room(config(new=new, floor=floor), staff, begun_today=begun, waiting_there=there, day=MONDAY)
    assert found >= 0 and (not found or found + begun + there <= min(sum(shares), new))
    assert not found or len(staff) >= floor
