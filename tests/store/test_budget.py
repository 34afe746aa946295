from __future__ import annotations

import asyncio
import sys

import pytest

from mailfleet.store.budget import PostgresBudget, Window
from mailfleet.store.database import Database, tuples

pytestmark = pytest.mark.anyio
HOUR = 3600.0

TAKER = """
import asyncio, sys
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.database import Database

async def main():
    async with Database(sys.argv[1]) as database:
        budget = PostgresBudget(database, slack=0)
        for _ in range(int(sys.argv[2])):
            while wait := await budget.take("v", "k", [(12, 0.2), (40, 1.0)], reserved=0, urgent=False):
                await asyncio.sleep(wait)

asyncio.run(main())
"""


async def takes(database: Database) -> list[int]:
    """When each call was admitted, in microseconds."""
    async with database.connection() as db:
        found = await tuples(
            db, "select (extract(epoch from at) * 1000000)::bigint from mailfleet.api_takes order by n"
        )
    return [at for (at,) in found]


def fullest(times: list[int], seconds: float) -> int:
    """The most calls in any stretch of that length, counted the slow and obvious way."""
    return max(sum(1 for at in times if start <= at < start + seconds * 1_000_000) for start in times)


async def test_four_processes_never_exceed_any_window(dsn: str, database: Database) -> None:
    each = 30
    argv = [sys.executable, "-c", TAKER, dsn, str(each)]
    children = [await asyncio.create_subprocess_exec(*argv) for _ in range(4)]
    assert [await child.wait() for child in children] == [0] * 4
    times = await takes(database)
    assert len(times) == 4 * each
    assert fullest(times, 0.2) <= 12
    assert fullest(times, 1.0) <= 40


async def test_the_wait_is_that_of_the_window_that_opens_last(database: Database) -> None:
    budget, windows = PostgresBudget(database, slack=0), [(2, 10.0), (2, HOUR)]
    for _ in range(2):
        assert await budget.take("v", "k", windows, reserved=0, urgent=False) == 0
    assert HOUR - 60 < await budget.take("v", "k", windows, reserved=0, urgent=False) <= HOUR
    assert len(await takes(database)) == 2


@pytest.mark.parametrize(("limit", "reserved", "usual"), [(20, 0.1, 18), (5, 0.1, 4), (1, 0.5, 1), (7, 0, 7)])
async def test_a_share_is_kept_for_urgent_calls(database: Database, limit: int, reserved: float, usual: int) -> None:
    budget, windows = PostgresBudget(database), [(limit, HOUR)]

    async def admitted(*, urgent: bool) -> int:
        return [await budget.take("v", "k", windows, reserved=reserved, urgent=urgent) for _ in range(limit)].count(0)

    assert await admitted(urgent=False) == usual
    assert await admitted(urgent=True) == limit - usual


async def test_keys_do_not_share_a_budget(database: Database) -> None:
    budget, windows = PostgresBudget(database), [(1, HOUR)]
    assert [await budget.take("v", key, windows, reserved=0, urgent=False) > 0 for key in "aba"] == [False, False, True]


async def test_a_block_holds_for_everyone_and_is_never_shortened(database: Database) -> None:
    budget, windows = PostgresBudget(database), [(10, 1.0)]
    await budget.block("v", "k", 600)
    await budget.block("v", "k", 5)
    assert 500 < await budget.take("v", "k", windows, reserved=0, urgent=True) <= 600


async def test_what_headers_say_replaces_the_plan(database: Database) -> None:
    budget = PostgresBudget(database)
    plan: list[Window] = [(1, HOUR)]
    assert await budget.take("v", "k", plan, reserved=0, urgent=False) == 0
    assert await budget.take("v", "k", plan, reserved=0, urgent=False) > 0
    await budget.learn("v", "k", [(3, HOUR)])
    assert [await budget.take("v", "k", plan, reserved=0, urgent=False) > 0 for _ in range(3)] == [False, False, True]


async def test_old_takes_are_forgotten_but_never_those_a_window_needs(database: Database) -> None:
    budget, windows = PostgresBudget(database, slack=0), [(300, 0.001)]
    for _ in range(600):
        await budget.take("v", "k", windows, reserved=0, urgent=False)
    assert 300 <= len(await takes(database)) < 600
