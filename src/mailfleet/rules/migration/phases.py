"""The phases of a migration: a closed set, in order, none skipped; dates are not-before, gates decide (M1).

Week k is the days from 7(k−1) to 7k of the migration, half open, from local midnight of its time zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.errors import PolicyError
from mailfleet.policy.model import TrafficSplit

Phase = Literal["setup", "pilot", "ramp_10", "ramp_25", "ramp_75", "full", "decommission"]
PHASES: tuple[Phase, ...] = get_args(Phase)
State = Literal[
    "planned", "running", "held", "pausing", "assessing", "rolling_back", "watching", "rolled_back", "done", "aborted"
]
"""What the migration does in its phase. `held`: the clock of the ramp stands."""
ENDED: frozenset[State] = frozenset({"rolled_back", "done", "aborted"})
PILOT_LEADS = 100


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of the plan. `week`: the first week it may begin in; `stay`: days before the next may begin."""

    phase: Phase
    week: int
    share: float
    stay: int
    people: int = 1
    """Who have to approve entering it."""


def plan(split: TrafficSplit) -> tuple[Step, ...]:
    """The specification's timeline with the policy's shares.

    Weeks 3–4 hold two phases: the pilot, then the first tenth of the traffic. Entering 75 % needs two people.
    """
    weeks = _weeks(split)
    (_, ten), (five, quarter), (seven, most), (nine, whole) = weeks
    three = weeks[0][0]
    return (
        Step(phase="setup", week=1, share=0.0, stay=7 * (three - 1)),
        Step(phase="pilot", week=three, share=0.0, stay=0),
        Step(phase="ramp_10", week=three, share=ten, stay=7),
        Step(phase="ramp_25", week=five, share=quarter, stay=7 * (seven - five)),
        Step(phase="ramp_75", week=seven, share=most, stay=7 * (nine - seven), people=2),
        Step(phase="full", week=nine, share=whole, stay=28),
        Step(phase="decommission", week=nine + 4, share=whole, stay=7),
    )


def _weeks(split: TrafficSplit) -> list[tuple[int, float]]:
    """Begin of each row and the new platform's share; rows that do not follow on each other are refused."""
    found: list[tuple[int, float]] = []
    end = 2
    for name, row in (
        ("week_3_4", split.week_3_4),
        ("week_5_6", split.week_5_6),
        ("week_7_8", split.week_7_8),
        ("week_9+", split.week_9_on),
    ):
        first, last = _range(name)
        if first != end + 1 or (found and row.smartlead < found[-1][1]):
            raise PolicyError(
                f"parallel.traffic_split.{name} does not follow on the row before it.",
                hint="Weeks follow each other without a gap, and the share on the new platform never falls.",
            )
        if abs(row.smartlead + row.forge - 1) > 1e-9:
            raise PolicyError(f"parallel.traffic_split.{name} does not add up to 1.")
        found.append((first, row.smartlead))
        end = last
    return found


def _range(name: str) -> tuple[int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", name)]
    return numbers[0], numbers[-1]


def step_of(steps: tuple[Step, ...], phase: Phase) -> Step:
    return next(step for step in steps if step.phase == phase)


def after(phase: Phase) -> Phase | None:
    """The only phase that may follow."""
    place = PHASES.index(phase) + 1
    return PHASES[place] if place < len(PHASES) else None


def week_start(start: date, week: int, zone: str) -> datetime:
    """Local midnight at which week `week` begins."""
    return datetime.combine(start + timedelta(days=7 * (week - 1)), time(), ZoneInfo(zone))


def week_of(start: date, now: datetime, zone: str) -> int:
    return (now.astimezone(ZoneInfo(zone)).date() - start).days // 7 + 1


def not_before(
    steps: tuple[Step, ...], phase: Phase, *, start: date, entered: Mapping[str, datetime], held_days: float, zone: str
) -> datetime:
    """The earliest moment for a phase: its week, and its predecessors' full stay, however late they began.

    `held_days`: for how long the clock of the ramp stood in the phase before it.
    """
    place = PHASES.index(phase)
    earliest = week_start(start, steps[place].week, zone)
    for earlier in reversed(steps[:place]):
        if begun := entered.get(earlier.phase):
            skipped = sum(step.stay for step in steps[PHASES.index(earlier.phase) : place])
            day = begun.astimezone(ZoneInfo(zone)).date() + timedelta(days=skipped)
            slid = datetime.combine(day, time(), ZoneInfo(zone)) + timedelta(days=held_days)
            return max(earliest, slid)
    return earliest


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which nothing is promoted and nothing new is routed; safety goes on."""

    start: datetime
    end: datetime
    reason: str


def frozen(windows: tuple[Window, ...], now: datetime) -> Window | None:
    return next((window for window in windows if window.start <= now < window.end), None)
