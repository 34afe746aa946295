"""What every test may ask for: a migrated database of its own, on one embedded server for the whole session."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from tests.sandbox_fixture import sandbox, shared_sandbox

from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

__all__ = ["sandbox", "shared_sandbox"]
TEMPLATE = "migrated"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
DEBIAN = {"postgresql-15": "/usr/lib/postgresql/15/bin/postgres", "pgbouncer": "/usr/sbin/pgbouncer"}
_number = count()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`debian(package)`: skipped where the program is absent, but a failure where CI promises it."""
    for marker in item.iter_markers("debian"):
        name = marker.args[0]
        program = DEBIAN.get(name, name)
        if not Path(program).exists() and not shutil.which(program):
            told = f"needs {name} (apt-get install {name})"
            if os.environ.get("CI") == "true":
                pytest.fail(told, pytrace=False)
            pytest.skip(told)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all xdist workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def postgres(shared_folder: Path) -> Iterator[LocalPostgres]:
    """The session's server; its database `migrated` has the whole schema and is a template. Workers share it."""
    with LocalPostgres(shared_folder / "postgres", FAST, throwaway=True).running() as server:
        with (shared_folder / "template.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with psycopg.connect(server.dsn("postgres"), autocommit=True) as db:
                made = db.execute("select datistemplate from pg_database where datname = %s", [TEMPLATE]).fetchone()
                if made != (True,):
                    migrate.migrate(server.ensure_database(TEMPLATE))
                    db.execute(f"alter database {TEMPLATE} is_template true")
        yield server


@pytest.fixture
def dsn(postgres: LocalPostgres) -> Iterator[str]:
    """A fresh migrated database of this test's own."""
    name = f"t_{os.getpid()}_{next(_number)}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield postgres.dsn(name)
        db.execute(f"drop database {name} with (force)")


@pytest.fixture
async def database(dsn: str, anyio_backend: str) -> AsyncIterator[Database]:
    """`dsn`, opened."""
    async with Database(dsn) as opened:
        yield opened
