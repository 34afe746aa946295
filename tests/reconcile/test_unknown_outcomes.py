"""Whatever happens on the wire, every write has exactly one effect at the vendor, and its journal entry is settled."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import anyio
import msgspec
import pytest
from tests.reconcile.deeds import DEEDS, Deed, Scene
from tests.reconcile.vendors import opened
from tests.sandbox_fixture import Sandbox

from mailfleet.errors import Ambiguous, VendorError
from mailfleet.services import reconcile
from mailfleet.services.context import Fleet
from mailfleet.services.reconcile import Grace
from mailfleet.store import journal
from mailfleet.store.database import Database, tuples

pytestmark = pytest.mark.anyio
NOW = Grace(ambiguous=timedelta(0), intended=timedelta(0), absent=timedelta(0))
FAULTS = {"timeout_before": 0, "timeout_after": 1, "reset": 0, "reset_after": 1}
SECONDS = 0.2
_number = itertools.count()


@pytest.fixture
def calm(request: pytest.FixtureRequest, shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared world; a fresh one for the registrar, who takes 20 calls a minute."""
    deed = request.node.callspec.params.get("deed") if hasattr(request.node, "callspec") else None
    chosen = request.getfixturevalue("sandbox") if deed and deed.vendor == "namecheap" else shared_sandbox
    yield chosen
    chosen.control("DELETE", "/faults")


@pytest.fixture
async def fleet(database: Database, calm: Sandbox) -> AsyncIterator[Fleet]:
    async with opened(database, calm.info) as made:
        yield made


async def scene_of(deed: Deed, fleet: Fleet, sandbox: Sandbox) -> Scene:
    scene = Scene(fleet, sandbox, f"x{next(_number)}")
    await deed.prepare(scene)
    return scene


def break_wire(deed: Deed, sandbox: Sandbox, kind: str) -> None:
    sandbox.fault(kind, vendor=deed.vendor, path=deed.path, method=deed.method, seconds=SECONDS)


async def states(fleet: Fleet, operation: str) -> list[str]:
    async with fleet.db.connection() as db:
        found = await tuples(
            db, "select state from mailfleet.journal where operation = %s order by wall_at, id", [operation]
        )
    return [state for (state,) in found]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name)
async def test_a_lost_answer_is_settled_by_reading_and_the_effect_is_there_once(
    deed: Deed, fleet: Fleet, calm: Sandbox
) -> None:
    faults = FAULTS if deed.vendor != "namecheap" else {"timeout_after": 1, "reset": 0}
    for kind, happened in faults.items():
        scene = await scene_of(deed, fleet, calm)
        before = len(await states(fleet, deed.operation))
        break_wire(deed, calm, kind)
        with pytest.raises(Ambiguous):
            await deed.make(scene)
        assert (await states(fleet, deed.operation))[before:] == ["ambiguous"]
        seen = await reconcile.settle_open(fleet, NOW)
        assert (seen.settled, seen.left) == (1, 0), (kind, seen)
        wanted = "reconciled_done" if happened else "reconciled_absent"
        assert (await states(fleet, deed.operation))[before:] == [wanted], kind
        if not happened:
            await deed.make(scene)
        assert await deed.count(scene) == 1, kind


KILLED = """
import asyncio, os, sys
import httpx2, msgspec
from tests.reconcile.deeds import Scene, a_campaign
from tests.reconcile.vendors import opened
from mailfleet.store.database import Database

class Dies(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request):
        if request.method == "POST" and sys.argv[3] == "before":
            os._exit(9)
        answer = await super().handle_async_request(request)
        if request.method == "POST":
            await answer.aread()
            os._exit(9)
        return answer

async def main():
    async with Database(sys.argv[1]) as database:
        async with opened(database, msgspec.json.decode(sys.argv[2]), Dies()) as fleet:
            await a_campaign(Scene(fleet, None, sys.argv[4]))

asyncio.run(main())
"""


@pytest.mark.parametrize(("moment", "wanted"), [("before", "reconciled_absent"), ("after", "reconciled_done")])
async def test_a_process_killed_around_the_call_leaves_an_intent_that_is_settled(
    fleet: Fleet, calm: Sandbox, dsn: str, moment: str, wanted: str
) -> None:
    deed = next(deed for deed in DEEDS if deed.name == "campaign")
    scene = await scene_of(deed, fleet, calm)
    info = msgspec.json.encode(calm.info).decode()
    command = [sys.executable, "-c", KILLED, dsn, info, moment, scene.n]
    assert (await anyio.run_process(command, check=False)).returncode == 9
    assert await states(fleet, deed.operation) == ["intended"]
    assert (await reconcile.settle_open(fleet)).settled == 0  # it may still be on its way
    assert (await reconcile.settle_open(fleet, NOW)).settled == 1
    assert await states(fleet, deed.operation) == [wanted]
    if wanted == "reconciled_absent":
        await deed.make(scene)
    assert await deed.count(scene) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_any_sequence_of_faults_ends_with_one_effect_each_and_nothing_open(
    fleet: Fleet, calm: Sandbox, seed: int
) -> None:
    """Tried until it is known to be done; what reading found done or absent decides whether it is made again."""
    rng = random.Random(seed)
    for deed in rng.sample([deed for deed in DEEDS if deed.vendor != "namecheap"], 5):
        scene = await scene_of(deed, fleet, calm)
        done = False
        while not done:
            if rng.random() < 0.7:
                break_wire(deed, calm, rng.choice(list(FAULTS)))
            try:
                await deed.make(scene)
                done = True
            except Ambiguous:
                done = (await reconcile.settle_open(fleet, NOW)).done == 1
        calm.control("DELETE", "/faults")
        assert await deed.count(scene) == 1, deed.name
    async with fleet.db.connection() as db:
        assert await journal.unsettled(db, older_than=timedelta(0)) == []


async def lost(fleet: Fleet, calm: Sandbox, kind: str = "reset") -> Scene:
    deed = next(deed for deed in DEEDS if deed.name == "campaign")
    scene = await scene_of(deed, fleet, calm)
    break_wire(deed, calm, kind)
    with pytest.raises(Ambiguous):
        await deed.make(scene)
    return scene


async def test_not_seeing_an_effect_counts_only_when_it_can_no_longer_be_on_its_way(
    fleet: Fleet, calm: Sandbox
) -> None:
    soon = Grace(ambiguous=timedelta(0))
    await lost(fleet, calm, "reset_after")
    await lost(fleet, calm, "reset")
    seen = await reconcile.settle_open(fleet, soon)
    assert (seen.done, seen.absent, seen.left) == (1, 0, 1)


async def test_two_processes_never_settle_the_same_entry(fleet: Fleet, calm: Sandbox) -> None:
    await lost(fleet, calm)
    async with fleet.db.transaction() as db:
        assert await journal.take(db, after=None, ambiguous_for=timedelta(0)) is not None
        assert await reconcile.settle_open(fleet, NOW) == reconcile.Round()
    assert (await reconcile.settle_open(fleet, NOW)).absent == 1


async def test_what_the_vendor_does_not_tell_waits_and_is_told_once_after_hours(fleet: Fleet, calm: Sandbox) -> None:
    await lost(fleet, calm)
    async with fleet.db.transaction() as db:
        await db.execute("update mailfleet.journal set key_id = 'smartlead:gone'")
        [(id,)] = await tuples(db, "select id from mailfleet.journal")
    assert (await reconcile.settle_open(fleet, NOW)).left == 1
    fleet.clock.set(fleet.clock.now() + timedelta(hours=7))  # type: ignore[attr-defined]
    for _ in range(2):
        assert (await reconcile.settle_open(fleet, NOW)).left == 1
    async with fleet.db.connection() as db:
        told = await tuples(db, "select fact_key, body from mailfleet.alerts")
    assert [key for key, _ in told] == [f"unsettled:{id}"] and "key it was made with" in told[0][1]
    await reconcile.abandon(fleet, UUID(str(id)), "looked up by hand: not there")
    async with fleet.db.connection() as db:
        assert await journal.counts(db) == {"abandoned": 1}
        assert await tuples(db, "select 1 from mailfleet.alerts where resolved_at is null") == []


async def test_a_vendor_that_is_down_is_asked_once_a_round_and_nothing_is_concluded(
    fleet: Fleet, calm: Sandbox
) -> None:
    await lost(fleet, calm)
    await lost(fleet, calm)
    before = len(calm.log("http"))
    calm.fault("401", vendor="smartlead", times=None)
    assert (await reconcile.settle_open(fleet, NOW)).left == 2
    assert len(calm.log("http")) - before == 1
    calm.control("DELETE", "/faults")
    assert (await reconcile.settle_open(fleet, NOW)).absent == 2


async def test_reading_changes_nothing_at_the_vendor(fleet: Fleet, calm: Sandbox) -> None:
    scene = await lost(fleet, calm, "reset_after")
    before = len(calm.log("http"))
    await reconcile.settle_open(fleet, NOW)
    assert {entry["method"] for entry in calm.log("http")[before:]} == {"GET"}
    assert scene.platform.keys
    with pytest.raises(VendorError):
        await scene.platform.campaign("999999")
