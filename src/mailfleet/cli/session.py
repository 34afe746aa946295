"""What a command needs to work: logging set up, settings read, the parts opened as the person at the keyboard."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import AsyncGenerator, Iterable

from mailfleet import log
from mailfleet.cli.output import say
from mailfleet.errors import ConfigError
from mailfleet.rules.address import BadAddress, normalise
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


def address(text: str) -> str:
    """An address as it is compared. Raises ConfigError for what is none."""
    try:
        return normalise(text).norm
    except BadAddress as error:
        raise ConfigError(f"{text!r} is not an e-mail address: {error}", hint="Give it as name@example.com.") from error


def one_of(word: str, known: Iterable[str], what: str) -> str:
    """The word, when it is known or empty. Raises ConfigError: an unknown word would be answered by an empty list."""
    words = tuple(known)
    if word and word not in words:
        raise ConfigError(f"There is no {what} {word!r}.", hint=f"It is one of {', '.join(filter(None, words))}.")
    return word


@contextlib.asynccontextmanager
async def opened() -> AsyncGenerator[Fleet]:
    """The parts, for one command."""
    async with open_fleet(started(), actor=person(), waiting=say) as fleet:
        yield fleet
