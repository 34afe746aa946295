"""Time is an argument. Nothing in the product reads the wall clock but through a `Clock`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from mailfleet.errors import ConfigError


class Clock(Protocol):
    """What time it is, always aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands until it is set; for tests and rehearsals within one process."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def set(self, at: datetime) -> None:
        self.at = at


class FileClock:
    """A clock that several processes share: one ISO 8601 line in a file, replaced atomically by whoever drives time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> datetime:
        try:
            return datetime.fromisoformat(self.path.read_text().strip()).astimezone(UTC)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The clock file {self.path} cannot be read: {error}.",
                hint="Set MAILFLEET_CLOCK=system, or write an ISO 8601 time into it.",
            ) from error

    def set(self, at: datetime) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(at.astimezone(UTC).isoformat())
        new.replace(self.path)


def clock_from(setting: str) -> Clock:
    """`system`, or `file:PATH` for a clock driven from outside (demo, rehearsal)."""
    if setting == "system":
        return SystemClock()
    if setting.startswith("file:"):
        return FileClock(Path(setting.removeprefix("file:")))
    raise ConfigError(f"MAILFLEET_CLOCK is {setting!r}.", hint="It is either `system` or `file:PATH`.")
