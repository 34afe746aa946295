from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mailfleet.store.database import Connection, Database, execute, tuples, value

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)


def event(at: datetime, tail: int = 1) -> UUID:
    return UUID(int=int(at.timestamp() * 1000) << 80 | tail)


async def put(db: Connection, at: datetime, tail: int = 1) -> int:
    return await execute(
        db,
        """insert into mailfleet.events (id, at, received_at, platform, kind) values (%s, %s, %s, 'smartlead', 'sent')
           on conflict do nothing""",
        [event(at, tail), at, at],
    )


async def months(db: Connection) -> list[str]:
    found = await tuples(
        db,
        r"""select c.relname from pg_inherits join pg_class c on c.oid = inhrelid
            where inhparent = 'mailfleet.events'::regclass and c.relname ~ '\d' order by 1""",
    )
    return [name for (name,) in found]


async def where(db: Connection, at: datetime) -> str:
    return await value(db, "select tableoid::regclass::text from mailfleet.events where id = %s", [event(at)])


async def kept(database: Database, today: datetime, ahead: int, keep: int) -> list[str]:
    async with database.transaction() as db:
        await execute(db, "select mailfleet.events_keep(%s, %s, %s)", [today, ahead, keep])
        return await months(db)


async def test_months_are_made_ahead_and_dropped_when_past_retention(database: Database) -> None:
    async with database.connection() as db:
        for (name,) in await tuples(db, "select unnest(%s::text[])", [await months(db)]):
            await db.execute(f"drop table mailfleet.{name}".encode())
    assert await kept(database, NOW, 2, 6) == ["events_202602", "events_202603", "events_202604", "events_202605"]
    assert await kept(database, NOW, 2, 6) == ["events_202602", "events_202603", "events_202604", "events_202605"]
    later = await kept(database, NOW + timedelta(days=40), 1, 1)
    assert later == ["events_202604", "events_202605", "events_202606"]


async def test_an_event_lies_in_its_month_and_a_replay_is_nothing(database: Database) -> None:
    async with database.connection() as db:
        await execute(db, "select mailfleet.events_keep(%s, 2, 600)", [NOW])
        first = datetime(2026, 4, 1, tzinfo=UTC)
        ancient = datetime(1999, 1, 1, tzinfo=UTC)
        for at in (NOW, first - timedelta(milliseconds=1), first, ancient):
            assert await put(db, at) == 1
            assert await put(db, at) == 0
        assert await where(db, first - timedelta(milliseconds=1)) == "mailfleet.events_202603"
        assert await where(db, first) == "mailfleet.events_202604"
        assert await where(db, ancient) == "mailfleet.events_other"
