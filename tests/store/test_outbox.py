from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from mailfleet.store import outbox
from mailfleet.store.database import Database

NOW = datetime(2026, 3, 2, tzinfo=UTC)
pytestmark = pytest.mark.anyio


async def put(database: Database, topic: str = "lead.stop", **more: object) -> bool:
    async with database.transaction() as db:
        return await outbox.put(db, topic, {"n": 1}, now=NOW, **more)  # type: ignore[arg-type] - keywords pass through


async def states(database: Database) -> dict[str, int]:
    async with database.connection() as db:
        return await outbox.counts(db)


async def test_a_command_with_a_known_key_is_queued_once(database: Database) -> None:
    assert await put(database, dedupe_key="stop:1")
    assert not await put(database, dedupe_key="stop:1")
    assert await put(database, dedupe_key="stop:2")
    assert await states(database) == {"pending": 2}


async def test_two_workers_never_hold_the_same_command(database: Database) -> None:
    for _ in range(20):
        await put(database)
    taken: list[int] = []

    async def work() -> None:
        while True:
            async with outbox.taken(database, now=NOW) as command:
                if command is None:
                    return
                taken.append(command.id)
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(work)
    assert len(taken) == len(set(taken)) == 20
    assert await states(database) == {"done": 20}


async def test_a_command_whose_worker_is_stopped_returns_at_once(database: Database) -> None:
    await put(database)
    with anyio.CancelScope() as scope:
        async with outbox.taken(database, now=NOW) as command:
            assert command is not None
            scope.cancel()
            await anyio.sleep_forever()
    async with outbox.taken(database, now=NOW) as again:
        assert again is not None and again.attempts == 0


async def test_a_failed_command_waits_longer_each_time_and_dies_in_the_end(database: Database) -> None:
    await put(database)
    now, waits = NOW, []
    for _ in range(outbox.MAX_ATTEMPTS):
        with pytest.raises(ValueError, match="no"):
            async with outbox.taken(database, now=now) as command:
                assert command is not None
                raise ValueError("no")
        async with database.connection() as db:
            if due := await outbox.next_due(db):
                waits.append(due - now)
                now = due
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=5)
    assert waits[-1] == timedelta(hours=1)
    assert await states(database) == {"dead": 1}
    async with database.connection() as db:
        assert not await outbox.revive(db, 999, now=now)
        assert await outbox.revive(db, command.id, now=now)
    assert await states(database) == {"pending": 1}


async def test_nothing_is_taken_before_its_time_or_of_another_topic(database: Database) -> None:
    await put(database, run_at=NOW + timedelta(hours=1))
    async with database.transaction() as db:
        assert await outbox.take(db, now=NOW) is None
        later = NOW + timedelta(hours=1)
        assert await outbox.take(db, now=later, topics=["lead.block"]) is None
        assert await outbox.take(db, now=later, topics=["lead.stop"]) is not None
