from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from mailfleet.store import transitions
from mailfleet.store.database import Database

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, tzinfo=UTC)

HOLDER = """
import asyncio, sys
from mailfleet.store.database import Database

async def main():
    async with Database(sys.argv[1]) as database, database.single_flight("flow:x") as mine:
        print(mine, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_one_run_at_a_time_and_a_killed_one_frees_the_place(dsn: str, database: Database) -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, dsn, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    async with database.single_flight("flow:x") as mine, database.single_flight("flow:y") as other:
        assert (mine, other) == (False, True)
    holder.kill()
    await holder.wait()
    while True:
        async with database.single_flight("flow:x") as mine:
            if mine:
                break


async def test_the_history_of_a_state_is_kept_in_order_with_its_evidence(database: Database) -> None:
    async with database.transaction() as db:
        for was, now in (("NEW", "WARMING"), ("WARMING", "PRODUCTION")):
            await transitions.record(
                db,
                entity="mailbox",
                entity_id="7",
                from_state=was,
                to_state=now,
                event="e",
                reason="r",
                actor="machine",
                at=NOW,
                evidence={"days": 14},
            )
        history = await transitions.history(db, "mailbox", "7")
        assert [(each.from_state, each.to_state) for each in history] == [("NEW", "WARMING"), ("WARMING", "PRODUCTION")]
        assert history[0].evidence == {"days": 14}
        assert [each.to_state for each in await transitions.history(db, "mailbox", "7", limit=1)] == ["PRODUCTION"]
