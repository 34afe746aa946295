"""Durable before 200: what arrives while one commit is under way shares the next one. No timer adds a delay."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import structlog
from psycopg import DataError, OperationalError
from psycopg import Error as PsycopgError

from mailfleet.errors import DatabaseUnavailable
from mailfleet.store import inbox
from mailfleet.store.database import Connection, Database

Stored = asyncio.Future[None]
_RETRIES = (0.05, 0.2, 1.0)
log = structlog.get_logger(__name__)


class Full(Exception):
    """More is waiting for the database than memory should hold."""


class Unstorable(Exception):
    """The event is JSON, but none that Postgres keeps."""


class GroupCommit:
    """Two writers overlap one commit's flush with the next group's parsing."""

    def __init__(self, database: Database, *, writers: int = 2, group: int = 2000, backlog: int = 20_000) -> None:
        self._database, self._writers, self._group, self._backlog = database, writers, group, backlog
        self._waiting: deque[tuple[bytes, Stored]] = deque()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: set[Stored] = set()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write()) for _ in range(self._writers)]

    async def stop(self) -> None:
        """What was accepted is settled before the process leaves."""
        await asyncio.gather(*(stored for _, stored in self._waiting), *self._under_way, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, event: bytes) -> Stored:
        """A future that is done once the event is on disk. `event` is a JSON object of an inbox row. Raises Full."""
        if len(self._waiting) >= self._backlog:
            raise Full
        stored: Stored = asyncio.get_running_loop().create_future()
        self._waiting.append((event, stored))
        self._arrived.set()
        return stored

    async def _write(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            group = [self._waiting.popleft() for _ in range(min(self._group, len(self._waiting)))]
            self._under_way.update(stored for _, stored in group)
            try:
                await self._persist(group)
            except asyncio.CancelledError:
                _settle(group, ConnectionError("the receiver is stopping"))
                raise
            except Exception as error:  # the writer outlives whatever one group meets
                log.exception("a group of webhooks was not stored", error=type(error).__name__)
                _settle(group, error)
            finally:
                self._under_way.difference_update(stored for _, stored in group)

    async def _persist(self, group: list[tuple[bytes, Stored]]) -> None:
        for pause in (*_RETRIES, None):
            try:
                async with self._database.connection() as db:
                    await self._store(db, group)
                return
            except (PsycopgError, DatabaseUnavailable) as error:  # safe to repeat: an event's id is its key
                group = [each for each in group if not each[1].done()]
                if pause is None:
                    _settle(group, error)
                    return
                await asyncio.sleep(pause)

    async def _store(self, db: Connection, group: list[tuple[bytes, Stored]]) -> None:
        if not group:
            return
        try:
            await inbox.put_raw(db, (b"[" + b",".join([event for event, _ in group]) + b"]").decode())
        except (DataError, OperationalError) as error:
            if isinstance(error, OperationalError) and not _about_the_data(error):
                raise
            await self._split(db, group)
        else:
            _settle(group)

    async def _split(self, db: Connection, group: list[tuple[bytes, Stored]]) -> None:
        """One bad event must not fail its neighbours; alone, it is tried once more without what Postgres refuses."""
        if len(group) > 1:
            half = len(group) // 2
            await self._store(db, group[:half])
            await self._store(db, group[half:])
            return
        event, stored = group[0]
        mended = _mended(event)
        if mended is None or mended == event:
            _settle(group, Unstorable())
        else:
            await self._store(db, [(mended, stored)])


def _about_the_data(error: OperationalError) -> bool:
    # 54001 statement too complex, 54000 program limit: a nesting deeper than the server's stack.
    return bool(error.sqlstate) and str(error.sqlstate).startswith("54")


def _mended(event: bytes) -> bytes | None:
    """Without zero bytes and lone surrogates, which jsonb does not hold."""
    try:
        return json.dumps(_clean(json.loads(event)), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _settle(group: list[tuple[bytes, Stored]], error: BaseException | None = None) -> None:
    for _, stored in group:
        if stored.done():  # the client may have gone away
            continue
        if error is None:
            stored.set_result(None)
        else:
            stored.set_exception(error)
