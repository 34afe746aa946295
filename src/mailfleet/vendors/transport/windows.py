"""How many calls a vendor allows: the published plans, what its headers say now, and how long it asks us to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mailfleet.vendors.transport.protocols import Window

LONGEST_WAIT = 24 * 3600.0
MINUTE = 60.0
_UNIX = 1e9
_LEFT = re.compile(r"\br=(\d+)\s*;\s*t=(\d+)")
_POLICY = re.compile(r"\bq=(\d+)\s*;\s*w=(\d+)")


def scaled(windows: Sequence[Window], per_minute: int) -> tuple[Window, ...]:
    """All windows in proportion to the vendor's own figure for a minute; never below one call."""
    usual = next((limit for limit, seconds in windows if seconds == MINUTE), per_minute)
    return tuple((max(1, limit * per_minute // usual), seconds) for limit, seconds in windows)


def seen(headers: Mapping[str, str], windows: Sequence[Window]) -> tuple[Window, ...] | None:
    """The windows that an answer's headers speak of; None: it says nothing.

    `x-ratelimit-limit` is per minute (smartlead:rate-limits); `Ratelimit-Policy` names quota and window
    (cloudflare:changelog/2025-09-03).
    """
    figure = headers.get("x-ratelimit-limit", "").strip()
    if figure.isdigit() and int(figure) > 0:
        return scaled(windows, int(figure))
    if found := _POLICY.search(headers.get("ratelimit-policy", "")):
        return ((int(found[1]), float(found[2])),)
    return None


def spent(headers: Mapping[str, str]) -> float | None:
    """Seconds until a key that is used up now, by whoever shares it, may call again; None: something is left.

    `x-ratelimit-reset` is published without its unit: a moment in Unix time where it can be one, else seconds.
    """
    if found := _LEFT.search(headers.get("ratelimit", "")):
        return float(found[2]) or None if found[1] == "0" else None
    reset = headers.get("x-ratelimit-reset", "").strip()
    if headers.get("x-ratelimit-remaining", "").strip() != "0" or not reset.isdigit():
        return None
    told = float(reset)
    left = told - _now(headers.get("date", "")) if told > _UNIX else told
    return min(MINUTE, left) if left > 0 else None


def _now(date: str) -> float:
    """By the answer's own clock, where it shows one."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return datetime.now(UTC).timestamp()


def wait_asked(headers: Mapping[str, str], data: Any) -> float | None:
    """Seconds to wait by `Retry-After` (seconds or a date), else by `retry_after` in the body; None: not said."""
    header = headers.get("retry-after", "").strip()
    if header and (told := _seconds(header) or _until(header, headers.get("date", ""))) is not None:
        return told
    return _in_body(data)


def _seconds(text: str) -> float | None:
    try:
        return min(LONGEST_WAIT, max(0.0, float(text))) or 0.001
    except ValueError:
        return None


def _until(text: str, now: str) -> float | None:
    """RFC 9110 10.2.3; measured from the answer's own Date, so that a wrong clock of ours does not matter."""
    try:
        then = parsedate_to_datetime(text)
        start = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return min(LONGEST_WAIT, max(0.001, (then - start).total_seconds()))
    except (TypeError, ValueError):
        return None


def _in_body(data: Any) -> float | None:
    if not isinstance(data, Mapping):
        return None
    inner = data.get("error")
    told = inner.get("retry_after") if isinstance(inner, Mapping) else data.get("retry_after")
    return _seconds(str(told)) if told is not None else None
