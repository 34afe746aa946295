"""One pool, typed rows, transactions: all that the rest of the store needs of psycopg."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, LiteralString, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mailfleet.errors import DatabaseUnavailable, StoreError

T = TypeVar("T")
Connection = AsyncConnection[Any]

set_json_dumps(msgspec.json.encode)
set_json_loads(msgspec.json.decode)


BELIEVED = 0.25
"""Seconds."""


class Database:
    """A pool of connections to one Postgres, direct or behind a transaction pooler.

    Prepared statements are off and nothing relies on session state, so that a transaction pooler is safe.
    """

    def __init__(self, dsn: str, *, max_size: int = 8) -> None:
        self.dsn = dsn
        self._checked: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=0,
            max_size=max_size,
            open=False,
            timeout=15,
            kwargs={"prepare_threshold": None, "autocommit": True},
            check=self._alive,
        )

    async def open(self) -> None:
        await self._pool.open()

    async def _alive(self, db: Connection) -> None:
        """Asks a connection that has been idle whether it still stands; each asking costs as much as a statement."""
        now, last = time.monotonic(), self._checked.get(db, 0.0)
        if now - last > BELIEVED:
            await AsyncConnectionPool.check_connection(db)
            self._checked[db] = time.monotonic()

    async def close(self) -> None:
        await self._pool.close()

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection in autocommit: each statement is its own transaction."""
        try:
            async with self._pool.connection() as db:
                yield db
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                "The database did not give a connection within 15 s.", hint="Check DATABASE_URL and `mailfleet doctor`."
            ) from error

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        async with self.connection() as db, db.transaction():
            yield db

    @contextlib.asynccontextmanager
    async def single_flight(self, key: str) -> AsyncGenerator[bool]:
        """True for the one run that holds `key`; freed by Postgres when the process dies.

        A transaction-level advisory lock on a transaction held open: it works through a transaction pooler too.
        """
        number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)
        async with await AsyncConnection.connect(self.dsn, prepare_threshold=None) as db:
            row = await (await db.execute("select pg_try_advisory_xact_lock(%s)", [number])).fetchone()
            yield bool(row and row[0])


async def rows(
    db: Connection, kind: type[T], sql: LiteralString, args: Sequence[object] | dict[str, object] = ()
) -> list[T]:
    """All rows as `kind`, columns matched by name."""
    async with db.cursor(row_factory=class_row(kind)) as cursor:
        return await (await cursor.execute(sql, args)).fetchall()


async def row(
    db: Connection, kind: type[T], sql: LiteralString, args: Sequence[object] | dict[str, object] = ()
) -> T | None:
    """The first row as `kind`, or None."""
    async with db.cursor(row_factory=class_row(kind)) as cursor:
        return await (await cursor.execute(sql, args)).fetchone()


async def tuples(
    db: Connection, sql: LiteralString, args: Sequence[object] | dict[str, object] = ()
) -> list[tuple[Any, ...]]:
    async with db.cursor(row_factory=tuple_row) as cursor:
        return await (await cursor.execute(sql, args)).fetchall()


async def dicts(
    db: Connection, sql: LiteralString, args: Sequence[object] | dict[str, object] = ()
) -> list[dict[str, Any]]:
    async with db.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(sql, args)).fetchall()


async def value(db: Connection, sql: LiteralString, args: Sequence[object] | dict[str, object] = ()) -> Any:
    """The first column of the first row, or None."""
    found = await (await db.execute(sql, args)).fetchone()
    return found[0] if found else None


async def execute(db: Connection, sql: LiteralString, args: Sequence[object] | dict[str, object] = ()) -> int:
    """Run it; how many rows it touched."""
    return (await db.execute(sql, args)).rowcount


def json_rows(items: Sequence[object]) -> str:
    """A batch as one JSON parameter for `json_to_recordset(%s::json)`: fastest up to some thousands of rows."""
    return msgspec.json.encode(items).decode()


PsycopgError = psycopg.Error
PsycopgOperationalError = psycopg.OperationalError


def told(error: Exception) -> StoreError | None:
    """What a person can act on: the server is away, full, read-only or refuses the role. None for any other error."""
    said = " ".join(str(error).split())
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return StoreError(
            f"The role in DATABASE_URL may not do this: {said}.",
            hint="Migrations need the database's owner with CREATEROLE, or a superuser; commands what those grant.",
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return DatabaseUnavailable(
            f"The database takes no changes now: {said}.", hint="Is DATABASE_URL a replica, or is a failover under way?"
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return DatabaseUnavailable(
            f"The database went away or refuses: {said}.", hint="See `mailfleet doctor`; run the command again after."
        )
    return None
