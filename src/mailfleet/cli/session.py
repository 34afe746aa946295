"""What a command needs to work: logging set up, settings read, the parts opened as the person at the keyboard."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import AsyncGenerator

from mailfleet import log
from mailfleet.services.context import Fleet
from mailfleet.settings import Settings, get_settings
from mailfleet.wiring import open_fleet


def started() -> Settings:
    """The settings, with logging set up as they say."""
    settings = get_settings()
    log.setup(settings.mailfleet_log_level, settings.mailfleet_log_format)
    return settings


def person() -> str:
    """Who acts, for transitions and the audit."""
    try:
        return f"person:{getpass.getuser()}"
    except (OSError, KeyError):
        return "person"


@contextlib.asynccontextmanager
async def opened() -> AsyncGenerator[Fleet]:
    """The parts, for one command."""
    async with open_fleet(started(), actor=person()) as fleet:
        yield fleet
