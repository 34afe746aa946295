"""What several benchmarks stand on: a server that is really durable, and the parts opened on it."""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import psycopg

from mailfleet.clock import SystemClock
from mailfleet.policy.model import default_policy
from mailfleet.services import clients
from mailfleet.services.context import Fleet
from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.secrets import Kek, Vault


@contextlib.contextmanager
def database() -> Generator[str]:
    """A migrated database of a fresh embedded server, as `mailfleet up` runs it: fsync and synchronous_commit on."""
    with tempfile.TemporaryDirectory() as folder, LocalPostgres(Path(folder, "pg")).running() as server:
        dsn = server.ensure_database("bench")
        migrate.migrate(dsn)
        with psycopg.connect(dsn) as db:
            for name in ("fsync", "synchronous_commit"):
                if db.execute(f"show {name}").fetchone() != ("on",):
                    sys.exit(f"{name} is off: this would measure nothing")
        yield dsn


@contextlib.asynccontextmanager
async def fleet_on(dsn: str) -> AsyncGenerator[Fleet]:
    """The parts without any vendor, with one client."""
    async with Database(dsn) as db:
        fleet = Fleet(
            db=db, clock=SystemClock(), policy=default_policy(), vault=Vault(Kek(bytes(32))), platforms={},
            dns_hosts={}, mailbox_hosts={}, channels={}, names=None,  # type: ignore[arg-type]
            suppression_key=b"pepper", rng=random.Random(1),
        )  # fmt: skip
        await clients.put_client(fleet, "bench", name="Bench")
        yield fleet
