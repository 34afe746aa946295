"""Whatever happens on the wire, every write has exactly one effect at the vendor, and its journal entry is settled."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import anyio.to_thread
import pytest
from tests.reconcile.deaths import Deaths
from tests.reconcile.deeds import Scene
from tests.reconcile.further_deeds import EVERY
from tests.reconcile.ordeal import DEATHS, FATES, NOW, Cut, any_sequence, meet, ordeal, settled, states, watched
from tests.reconcile.vendors import opened
from tests.reconcile.writes import written
from tests.sandbox_fixture import Sandbox

from mailfleet.errors import Ambiguous, VendorError
from mailfleet.services import reconcile
from mailfleet.services.context import Fleet
from mailfleet.services.reconcile import Grace
from mailfleet.store import journal
from mailfleet.store.database import Database, tuples

pytestmark = pytest.mark.anyio
OTHERS = tuple(deed for deed in EVERY if deed.vendor != "namecheap")
GROUPS = {
    "smartlead": [deed for deed in EVERY if deed.vendor == "smartlead"],
    "others": [deed for deed in OTHERS if deed.vendor != "smartlead"],
    "namecheap": [deed for deed in EVERY if deed.vendor == "namecheap"],
}
_number = itertools.count()


@pytest.fixture
def calm(request: pytest.FixtureRequest, shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared world; a fresh one for the registrar, who takes 20 calls a minute."""
    group = request.node.callspec.params.get("group") if hasattr(request.node, "callspec") else None
    chosen = request.getfixturevalue("sandbox") if group == "namecheap" else shared_sandbox
    yield chosen
    chosen.control("DELETE", "/faults")


@pytest.fixture
def cut() -> Cut:
    return Cut()


@pytest.fixture
async def fleet(database: Database, calm: Sandbox, cut: Cut) -> AsyncIterator[Fleet]:
    async with opened(database, calm.info, cut) as made:
        yield made


def new() -> str:
    return f"x{next(_number)}x"


def test_every_write_of_every_vendor_is_put_through_it() -> None:
    """The Forge stack's are in tests/platforms/test_forge.py."""
    ours = ("smartlead", "cloudflare", "namecheap", "slack", "twilio")
    writes = {(vendor, each.name) for vendor, each in written() if vendor in ours}
    assert {(deed.vendor, deed.operation) for deed in EVERY} == writes
    assert {vendor for vendor, _ in written()} - set(ours) <= {"salesforge", "warmforge", "infraforge", "mailforge"}


@pytest.mark.parametrize("group", GROUPS)
async def test_a_lost_answer_or_process_is_settled_by_reading_and_the_effect_is_there_once(
    group: str, fleet: Fleet, calm: Sandbox, cut: Cut
) -> None:
    """Each with its answer lost, and with another fate that the seed chooses; `proofs.write_faults` tries all."""
    for deed in GROUPS[group]:
        rng = random.Random(deed.name)
        for fate in ("timeout_after", rng.choice([fate for fate in FATES if fate != "timeout_after"])):
            assert await ordeal(deed, fate, fleet, calm, cut, new()) == "", (deed.name, fate)


@pytest.mark.parametrize("name", ["campaign", "leads", "records", "text"])
async def test_a_process_killed_around_the_call_leaves_an_intent_that_is_settled(
    name: str, fleet: Fleet, calm: Sandbox, dsn: str
) -> None:
    """A real process and SIGKILL."""
    deed = next(deed for deed in EVERY if deed.name == name)
    for fate in DEATHS:
        scene = Scene(fleet, calm, new(), {"deed": deed})
        await deed.prepare(scene)
        watched(scene)
        before = len(await states(fleet, deed.operation))
        assert await anyio.to_thread.run_sync(Deaths(dsn, calm.info).die, fate, scene.n, scene.have) == -9
        assert (await states(fleet, deed.operation))[before:] == ["intended"]
        assert (await reconcile.settle_open(fleet)).settled == 0  # it may still be on its way
        assert await settled(deed, fate, scene, before) == "", (name, fate)


@pytest.mark.parametrize("seed", range(2))
async def test_any_sequence_of_faults_ends_with_one_effect_each_and_nothing_open(
    fleet: Fleet, calm: Sandbox, cut: Cut, seed: int
) -> None:
    """Tried until it is known to be done; what reading found done or absent decides whether it is made again."""
    rng = random.Random(seed)
    for deed in rng.sample(OTHERS, 6):
        assert await any_sequence(deed, rng, fleet, calm, cut, new()) == "", deed.name
        calm.control("DELETE", "/faults")
    async with fleet.db.connection() as db:
        assert await journal.unsettled(db, older_than=timedelta(0)) == []


async def lost(fleet: Fleet, calm: Sandbox, kind: str = "reset") -> Scene:
    deed = next(deed for deed in EVERY if deed.name == "campaign")
    scene = Scene(fleet, calm, new())
    meet(kind, deed, calm, Cut())
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
