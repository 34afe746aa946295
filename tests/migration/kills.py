"""Carries a whole way back out, with the process ended at one boundary of its journal; for tests and proofs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.migration.desks import Pair, pair

from mailfleet.migration import saga as sagas_do
from mailfleet.migration.saga import Executor, Pace
from mailfleet.store import sagas
from mailfleet.store.sagas import Saga

PACE = Pace(
    still=timedelta(seconds=60), assess=timedelta(minutes=15), watch=timedelta(hours=24), lease=timedelta(seconds=-1)
)


async def stands(_: Saga) -> dict[str, Any]:
    return {"standing": True}


async def opened(world: Pair, *, automatic: bool = True) -> Saga:
    saga, _ = await sagas_do.open_saga(
        world.fleet, migration_id=None, from_platform="smartlead", to_platform="forge", trigger="bounce",
        reason="12 % bounce", automatic=automatic,
    )  # fmt: skip
    return saga


async def finished(world: Pair, saga: Saga, **given: Any) -> Saga:
    """Ticks until it is over, a minute or an hour at a time."""
    for _ in range(400):
        action = await Executor(world.fleet, saga.id, pace=PACE, judge=stands, **given).advance()
        if action.kind == "wait":
            world.later(minutes=30 if "due" in action.why and "watch" in action.why else 1)
            world.new.deliver()
            world.old.deliver()
        async with world.fleet.db.connection() as db:
            saga = await sagas.get(db, saga.id)
        if saga.ended_at:
            return saga
    raise AssertionError(f"not over: {action}")


def to_the_end(world: Pair) -> None:
    while world.new.send() + world.old.send():
        pass


class Killed(BaseException):
    """The process ends here."""


class Boundary:
    """Counts boundaries, and ends the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.names = at, list[str]()

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.at:
            raise Killed(name)


async def once(database: Any, at: int) -> tuple[Any, list[str]]:
    """The final state and the boundaries passed, the process killed at boundary `at` and started again; 0: never."""
    await clear(database)
    world = await pair(database, leads=(2,))
    world.new.send(most=1)
    boundary = Boundary(at)
    saga = await opened(world)
    while True:
        try:
            await finished(world, saga, reached=boundary)
            break
        except Killed:
            continue
    to_the_end(world)
    assert world.twice() == [], boundary.names
    seen = sorted((email, text) for _, email, text in world.log)
    states = await world.ask(
        """select platform, state, count(*)::int from mailfleet.campaigns where state <> 'archived'
           group by 1, 2 order by 1"""
    )
    return (seen, await world.owners(), states), boundary.names


async def clear(database: Any) -> None:
    async with database.connection() as db:
        await db.execute(
            """truncate mailfleet.clients, mailfleet.sagas, mailfleet.holds, mailfleet.platform_links, mailfleet.alerts,
                   mailfleet.contacts, mailfleet.outbox cascade"""
        )
