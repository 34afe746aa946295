"""The way back on the real code and a real database, killed wherever it can be."""

from __future__ import annotations

from typing import Any

import pytest
from tests.migration import kills
from tests.migration.desks import Pair, pair
from tests.migration.kills import PACE, finished, opened, stands, to_the_end

from mailfleet.migration import saga as sagas_do
from mailfleet.migration.saga import Executor
from mailfleet.store import sagas
from mailfleet.store.sagas import Saga

pytestmark = pytest.mark.anyio


async def kinds(world: Pair, saga: Saga) -> list[str]:
    found = await world.ask("select kind from mailfleet.saga_journal where saga_id = %s order by no", saga.id)
    return [kind for (kind,) in found]


async def test_everyone_gets_the_rest_of_the_sequence_from_the_old_platform(database: Any) -> None:
    world = await pair(database)
    world.new.send(most=2)
    ended = await finished(world, await opened(world))
    assert ended.outcome == "done" and ended.committed == ended.epoch
    to_the_end(world)
    assert world.twice() == []
    assert len(world.log) == 5 * 3
    assert all(platform == "forge" for _, platform, _ in await world.owners())
    steps = await kinds(world, ended)
    assert steps.index("still") < steps.index("snapshot") < steps.index("create") < steps.index("commit")
    assert steps.index("commit") < steps.index("exclude") < steps.index("activate")


async def test_flows_find_owner_and_platform_in_the_ledger_afterwards(database: Any) -> None:
    world = await pair(database)
    world.new.send(most=1)
    await finished(world, await opened(world))
    states = await world.ask(
        "select platform, state, count(*)::int from mailfleet.campaigns group by 1, 2 order by 1, 2"
    )
    assert states == [("forge", "running", 3), ("smartlead", "archived", 2)]
    held = await world.ask("select scope, scope_id from mailfleet.holds where released_at is null")
    assert held == [("platform", "smartlead")]


async def test_who_replied_meanwhile_is_never_written_to_again(database: Any) -> None:
    world = await pair(database)
    world.new.send(most=2)
    answered = world.log[0][1]
    saga = await opened(world)
    for _ in range(300):
        action = await Executor(world.fleet, saga.id, pace=PACE, judge=stands).advance()
        if action.kind == "wait":
            world.later(minutes=1)
        if action.kind == "verify":
            await world.do(
                """update mailfleet.lead_ownership o set state = 'stopped' from mailfleet.leads l
                   where l.id = o.lead_id and l.email_norm = %s""",
                answered,
            )
        if action.kind == "commit":
            break
    await finished(world, saga)
    to_the_end(world)
    assert [platform for platform, email, _ in world.log if email == answered] == ["smartlead"]
    assert answered in world.old.blocked


async def test_it_asks_a_person_unless_the_trigger_is_automatic_and_still_stands(database: Any) -> None:
    world = await pair(database)
    saga = await opened(world, automatic=False)
    for _ in range(40):
        world.later(minutes=2)
        last = await Executor(world.fleet, saga.id, pace=PACE, judge=stands).run()
    assert last.why == "a person decides"
    told = await world.ask("select severity from mailfleet.alerts where kind = 'rollback'")
    assert ("emergency",) in told
    async with world.fleet.db.transaction() as db:
        await sagas.decide(db, saga.id, "resume", "ann")
    ended = await finished(world, saga)
    assert ended.outcome == "stopped"
    to_the_end(world)
    assert {platform for platform, _, _ in world.log} == {"smartlead"} and len(world.log) == 15
    assert await world.ask("select 1 from mailfleet.holds where released_at is null") == []


async def test_it_can_be_called_off_until_the_commit_and_not_after(database: Any) -> None:
    world = await pair(database)
    saga = await opened(world)
    for _ in range(200):
        action = await Executor(world.fleet, saga.id, pace=PACE, judge=stands).advance()
        if action.kind == "wait":
            world.later(minutes=1)
        if action.kind == "verify":
            break
    assert await sagas_do.abort(world.fleet, saga.id, "the list was the reason")
    ended = await finished(world, saga)
    assert ended.outcome == "stopped" and ended.committed is None
    to_the_end(world)
    assert {platform for platform, _, _ in world.log} == {"smartlead"} and world.twice() == []
    again = await finished(world, await opened(world))
    assert again.outcome == "done"
    assert not await sagas_do.abort(world.fleet, again.id, "too late")


@pytest.mark.parametrize("fate", ["lost", "done", "late", "refused"])
async def test_a_call_of_unknown_outcome_is_never_made_twice_into_one_name(database: Any, fate: str) -> None:
    world = await pair(database)
    world.new.send(most=2)
    saga = await opened(world)
    world.old.next = ["ok", fate, "ok", "ok", fate, "ok", "ok", fate]
    ended = await finished(world, saga)
    to_the_end(world)
    assert ended.outcome == "done" and world.twice() == [] and len(world.log) == 15


async def test_a_second_trigger_attaches_to_the_saga_there_is(database: Any) -> None:
    world = await pair(database)
    assert (await opened(world)).id == (await opened(world)).id


async def test_one_campaign_alone_goes_back(database: Any) -> None:
    world = await pair(database)
    saga, _ = await sagas_do.open_saga(
        world.fleet, migration_id=None, from_platform="smartlead", to_platform="forge", trigger="operator",
        reason="route back", automatic=True, only=[world.campaigns[0].id],
    )  # fmt: skip
    await finished(world, saga)
    to_the_end(world)
    assert world.twice() == [] and len(world.log) == 15
    assert {platform for _, platform, _ in await world.owners()} == {"forge", "smartlead"}


async def test_a_kill_at_a_boundary_of_the_journal_ends_in_the_same_state(database: Any) -> None:
    """Every sixteenth; `python -m proofs.saga_kills` takes each of them."""
    wanted, names = await kills.once(database, 0)
    assert len(names) > 40
    for at in range(7, len(names) + 1, 16):
        assert (await kills.once(database, at))[0] == wanted, names[at - 1]
