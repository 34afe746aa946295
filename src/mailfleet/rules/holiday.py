"""Public holidays by country, for campaigns that do not send on them. Needs the `holidays` extra."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date
from importlib.util import find_spec


def available() -> bool:
    return find_spec("holidays") is not None


def problem(code: str) -> str:
    """What is wrong with `AU` or `AU-NSW`; empty when it names a calendar."""
    if not available():
        return "needs the extra `holidays`: install mailfleet[holidays]"
    try:
        _year(code, 2026)
    except NotImplementedError:
        return f"{code!r} is not a country or region with known holidays; name one like AU or AU-NSW"
    return ""


def name(codes: Sequence[str], day: date) -> str:
    """The holiday of any of these calendars on that day, with its calendar; empty on a working day."""
    return next((f"{found} ({code})" for code in codes if (found := _year(code, day.year).get(day))), "")


@functools.lru_cache(maxsize=512)
def _year(code: str, year: int) -> dict[date, str]:
    import holidays

    country, _, region = code.strip().upper().partition("-")
    return dict(holidays.country_holidays(country, subdiv=region or None, years=year))
