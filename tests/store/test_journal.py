from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mailfleet.clock import FixedClock
from mailfleet.errors import StoreError
from mailfleet.store import journal
from mailfleet.store.database import Database
from mailfleet.store.journal import PostgresJournal

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, tzinfo=UTC)


async def intend(database: Database, target: str = "/x") -> str:
    made = PostgresJournal(database, FixedClock(NOW), actor="person:me")
    return await made.intend(
        vendor="v", operation="create", key_id="v:1", target=target, request={"method": "POST"}, match={"name": "n"}
    )


async def finish(database: Database, entry: str, state: journal.Settled) -> None:
    await PostgresJournal(database, FixedClock(NOW)).finish(entry, state, outcome={"status": 200}, error="e")


async def test_an_intent_is_committed_before_the_call_returns(database: Database) -> None:
    entry = await intend(database)
    async with database.connection() as db:
        [kept] = await journal.entries(db, vendor="v", operation="create", target="/x")
    assert (str(kept.id), kept.state, kept.actor, kept.match) == (entry, "intended", "person:me", {"name": "n"})


@pytest.mark.parametrize("state", ["done", "refused", "abandoned"])
async def test_a_known_outcome_is_settled_and_never_overwritten(database: Database, state: journal.Settled) -> None:
    entry = await intend(database)
    await finish(database, entry, state)
    with pytest.raises(StoreError, match="not open"):
        await finish(database, entry, "done")
    async with database.connection() as db:
        assert await journal.unsettled(db) == []
        assert await journal.counts(db) == {state: 1}
        assert not await journal.settle(db, UUID(entry), "reconciled_done", outcome={}, at=NOW)


async def test_an_ambiguous_write_waits_until_reading_has_settled_it(database: Database) -> None:
    entry = await intend(database)
    await finish(database, entry, "ambiguous")
    async with database.connection() as db:
        [waiting] = await journal.unsettled(db, vendor="v", operations=["create"])
        assert await journal.unsettled(db, vendor="other") == []
        assert await journal.settle(db, waiting.id, "reconciled_done", outcome={"id": 7}, at=NOW)
        assert not await journal.settle(db, waiting.id, "reconciled_absent", outcome={}, at=NOW)
        [kept] = await journal.entries(db, vendor="v", operation="create")
    assert (kept.state, kept.outcome) == ("reconciled_done", {"status": 200, "id": 7})


async def test_a_write_whose_process_died_is_found_once_it_is_old_enough(database: Database) -> None:
    entry = await intend(database)
    async with database.connection() as db:
        assert await journal.unsettled(db) == []
        found = await journal.unsettled(db, older_than=timedelta(0))
    assert [str(each.id) for each in found] == [entry]
