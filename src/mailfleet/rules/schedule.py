"""When a campaign may send: windows in its own time zone, over changes of the clocks (spec, flow 3)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Local hours [start_hour, end_hour) on ISO weekdays (1 = Monday)."""

    timezone: str
    days: tuple[int, ...]
    start_hour: int
    end_hour: int

    @property
    def hours_a_week(self) -> int:
        return max(0, self.end_hour - self.start_hour) * len(set(self.days))


@functools.cache
def zone(name: str) -> ZoneInfo:
    """Raises ValueError for a name that the time zone database does not hold."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone") from error


def weekday(name: str | int) -> int:
    """`mon` … `sun` or an ISO number, as an ISO number. Raises ValueError."""
    if isinstance(name, int) and not isinstance(name, bool) and 1 <= name <= 7:
        return name
    if isinstance(name, str) and name.strip().lower()[:3] in DAYS:
        return DAYS.index(name.strip().lower()[:3]) + 1
    raise ValueError(f"{name!r} is not a weekday")


def local_day(timezone: str, at: datetime) -> date:
    """The calendar day there: what a mailbox's daily limit counts by."""
    return at.astimezone(zone(timezone)).date()


def day_bounds(timezone: str, day: date) -> tuple[datetime, datetime]:
    """[start, end) of a local day in UTC; 23 or 25 hours long when the clocks change."""
    there = zone(timezone)
    start = datetime.combine(day, time(0), tzinfo=there).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(0), tzinfo=there).astimezone(UTC)
    return start, end


def is_open(window: Window, at: datetime) -> bool:
    """May a mail leave at this instant?"""
    there = at.astimezone(zone(window.timezone))
    return there.isoweekday() in window.days and window.start_hour <= there.hour < window.end_hour


def openings(window: Window, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[from, until) in UTC of each sending day from `after` on, the running one first and cut to what is left of it.

    Endless for a possible window and empty for an impossible one.
    """
    if window.hours_a_week == 0:
        return
    day = local_day(window.timezone, after)
    while True:
        if day.isoweekday() in window.days:
            start, end = _span(window, day)
            if end > after and start < end:
                yield max(start, after.astimezone(UTC)), end
        day += timedelta(days=1)


def next_send(window: Window, after: datetime) -> datetime | None:
    """The first instant at or after `after` when a mail may leave; None for an impossible window."""
    return next((start for start, _ in openings(window, after)), None)


def next_sending_day(window: Window, day: date) -> date | None:
    """The first sending day on or after `day`."""
    if window.hours_a_week == 0:
        return None
    return next(day + timedelta(days=n) for n in range(7) if (day + timedelta(days=n)).isoweekday() in window.days)


def sendable_hours(window: Window, day: date) -> float:
    """Real hours between opening and closing on that day: the clocks may change in between."""
    if day.isoweekday() not in window.days:
        return 0.0
    start, end = _span(window, day)
    return max(0.0, (end - start).total_seconds() / 3600)


def slots(window: Window, day: date, gap_minutes: int) -> int:
    """Mails one mailbox can send within that day's hours, at least `gap_minutes` apart, the first at the opening."""
    minutes = sendable_hours(window, day) * 60
    # The closing minute itself is outside: a window of 60 minutes takes six mails 10 minutes apart.
    return int(-(-minutes // max(1, gap_minutes)))


def left_slots(window: Window, at: datetime, gap_minutes: int) -> int:
    """As `slots`, for what is left of the day that holds `at`."""
    opened = next(openings(window, at), None)
    if opened is None or local_day(window.timezone, opened[0]) != local_day(window.timezone, at):
        return 0
    return int(-(-((opened[1] - opened[0]).total_seconds() / 60) // max(1, gap_minutes)))


def _span(window: Window, day: date) -> tuple[datetime, datetime]:
    return _instant(window.timezone, day, window.start_hour), _instant(window.timezone, day, window.end_hour)


def _instant(timezone: str, day: date, hour: int) -> datetime:
    # An hour skipped by the clocks is read with the offset before the change, so it falls just after the gap.
    moment = datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), tzinfo=zone(timezone))
    return moment.astimezone(UTC)
