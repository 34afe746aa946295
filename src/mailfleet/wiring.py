"""The one place that puts the parts together, for every entry: command line, flows, receiver, worker, demonstration."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

from mailfleet.errors import ConfigError
from mailfleet.settings import Settings
from mailfleet.store.embedded import LocalPostgres

DATABASE = "mailfleet"


@contextlib.contextmanager
def database(settings: Settings) -> Generator[tuple[str, LocalPostgres | None]]:
    """The DSN of our database, and the embedded server when it is that one, held running as long as the block.

    DATABASE_URL wins; without it the server in MAILFLEET_HOME is used.
    """
    if given := settings.secret("database_url"):
        yield given, None
        return
    with LocalPostgres(settings.home / "postgres").running() as local:
        yield local.ensure_database(DATABASE), local


def receiver_token(settings: Settings) -> str:
    """The unguessable part of the receiver's path: as set, else made once and kept in MAILFLEET_HOME."""
    if given := settings.secret("receiver_token"):
        return given
    return kept(settings.home / "receiver_token", lambda: secrets.token_urlsafe(24))
