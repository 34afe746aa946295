from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailfleet.clock import FixedClock
from mailfleet.store import calls
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.database import Database

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)


async def test_calls_are_added_up_by_the_minute_over_processes(database: Database) -> None:
    for _ in range(2):
        counted = PostgresCalls(database, FixedClock(NOW))
        async with counted.writing():
            for n in range(10):
                counted.called("v", "get", "200" if n else "503", ms=n, attempt=1 + n % 2)
    async with database.connection() as db:
        [hour, day, month] = await calls.availability(db, now=NOW)
    assert (hour.hours, day.hours, month.hours) == (1, 24, 720)
    assert (hour.calls, hour.failed, hour.share, hour.ms_max) == (20, 2, 0.9, 9)


async def test_each_span_sees_its_own_time_and_no_data_is_no_share(database: Database) -> None:
    clock = FixedClock(NOW)
    counted = PostgresCalls(database, clock)
    for hours_ago, status in ((800, "500"), (30, "timeout"), (3, "200")):
        clock.set(NOW - timedelta(hours=hours_ago))
        counted.called("v", "get", status, ms=5, attempt=1)
    await counted.flush()
    async with database.connection() as db:
        found = {each.hours: (each.calls, each.failed) for each in await calls.availability(db, now=NOW)}
        assert await calls.prune(db, before=NOW - timedelta(days=30)) == 1
    assert found == {24: (1, 0), 720: (2, 1)}


async def test_what_the_database_did_not_take_is_kept_for_the_next_time(database: Database) -> None:
    closed = Database("host=/nowhere port=1 dbname=x")
    counted = PostgresCalls(closed, FixedClock(NOW))
    counted.called("v", "get", "200", ms=1, attempt=1)
    with pytest.raises(Exception, match="pool"):
        await counted.flush()
    counted.called("v", "get", "200", ms=2, attempt=1)
    counted._database = database
    await counted.flush()
    async with database.connection() as db:
        assert [each.calls for each in await calls.availability(db, now=NOW)] == [2, 2, 2]
