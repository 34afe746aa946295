"""A mailbox's day is its own time zone's; a vendor's day, where it names none, is UTC's."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def local_day(at: datetime, timezone: str) -> date:
    return at.astimezone(ZoneInfo(timezone)).date()


def day_begins(day: date, timezone: str) -> datetime:
    """The first instant of a local day; days differ in length where clocks change."""
    return datetime.combine(day, time(), ZoneInfo(timezone))


def day_span(day: date, timezone: str) -> tuple[datetime, datetime]:
    """Half-open."""
    return day_begins(day, timezone), day_begins(day + timedelta(days=1), timezone)


def next_vendor_day(at: datetime) -> datetime:
    """When what a vendor allows by the day begins anew: no document names a zone, so UTC's midnight."""
    return datetime.combine(at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
