"""Webhooks start the lead sync of their campaign: once however many came, again for what comes later, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from tests.leads.conftest import CONFIG

from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
from mailfleet.flows.on_webhooks import lead_sync
from mailfleet.flows.shell import plain, using
from mailfleet.platforms.port import PlatformEvent
from mailfleet.services import campaigns, events, sync_runs, worker
from mailfleet.services.context import Fleet
from mailfleet.store import inbox, links
from mailfleet.store.events import event_id

pytestmark = pytest.mark.anyio
DELAY = timedelta(seconds=30)


class Bursts:
    """Webhooks for two campaigns, from the platform that `world` has."""

    def __init__(self, world: Any, ids: Sequence[UUID], refs: Sequence[str]) -> None:
        self.world, self.ids, self.refs, self.count = world, ids, refs, 0

    async def receive(self, n: int, *, campaigns: int = 2) -> None:
        now = self.world.clock.now()
        items: list[dict[str, Any]] = []
        for _ in range(n):
            self.count += 1
            told = PlatformEvent(
                kind="sent", at=now, dedupe_key=f"sent:{self.count}", campaign_ref=self.refs[self.count % campaigns],
                lead_email=f"s{self.count}@somewhere-mfdemo.com", step=1,
            )  # fmt: skip
            items.append(
                {
                    "id": event_id("smartlead", told.dedupe_key, now), "platform": "smartlead", "received_at": now,
                    "headers": {}, "body": msgspec.to_builtins(told),
                }
            )  # fmt: skip
        async with self.world.fleet.db.transaction() as db:
            await inbox.put(db, items)

    async def runs(self) -> dict[str, list[int]]:
        """campaign → how many events each of its runs told, oldest first."""
        told: dict[str, list[int]] = {}
        for id, n in await self.world.ask(
            """select parameters ->> 'campaign_id', (result ->> 'pulled_events')::int from mailfleet.flow_results
               where flow = 'smartlead_lead_sync' and error = '' order by started_at"""
        ):
            told.setdefault(id, []).append(n)
        return told

    async def waiting(self) -> int:
        return await self.world.one(
            "select count(*) from mailfleet.outbox where topic = 'sync.run' and done_at is null"
        )


@pytest.fixture
async def bursts(running: Any) -> Bursts:
    running.fleet.sync_delay = DELAY
    second = await campaigns.draft(running.fleet, {**CONFIG, "name": "Second"})
    async with running.fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'running', started_at = %s", [running.clock.now()])
        ref = await links.need(db, platform="smartlead", kind="campaign", ours=second.id)
    return Bursts(running, (running.campaign.id, second.id), (running.ref, ref))


async def test_a_burst_is_one_run_a_campaign_and_a_later_burst_one_more(bursts: Bursts) -> None:
    fleet = bursts.world.fleet
    for _ in range(5):
        await bursts.receive(100)
        await asyncio.gather(*(worker.run_once(fleet) for _ in range(3)))
        assert await sync_runs.start_due(fleet, lead_sync) == 0
        bursts.world.later(seconds=5)
    bursts.world.later(seconds=6)
    started = await asyncio.gather(*(sync_runs.start_due(fleet, lead_sync) for _ in range(3)))
    assert sum(started) == 2
    assert await bursts.runs() == {str(id): [250] for id in bursts.ids}

    await bursts.receive(40)
    await worker.run_once(fleet)
    bursts.world.later(seconds=31)
    assert await sync_runs.start_due(fleet, lead_sync) == 2
    assert await sync_runs.start_due(fleet, lead_sync) == 0
    assert await bursts.runs() == {str(id): [250, 20] for id in bursts.ids}
    assert await bursts.waiting() == 0


async def test_with_the_orchestrator_down_the_work_is_done_here(bursts: Bursts) -> None:
    await bursts.receive(20)
    await worker.run_once(bursts.world.fleet)
    bursts.world.later(seconds=31)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert await sync_runs.start_due(bursts.world.fleet, lead_sync) == 2
    assert await bursts.runs() == {str(id): [10] for id in bursts.ids}


async def test_what_comes_while_a_run_reads_has_a_run_of_its_own(bursts: Bursts) -> None:
    world = bursts.world

    async def start(fleet: Fleet, id: UUID, key: str) -> bool:
        went = await lead_sync(fleet, id, key)
        if bursts.count == 10:
            await bursts.receive(5, campaigns=1)
            await worker.run_once(fleet)
        return went

    await bursts.receive(10, campaigns=1)
    await worker.run_once(world.fleet)
    world.later(seconds=31)
    assert await sync_runs.start_due(world.fleet, start) == 1
    assert await bursts.waiting() == 1
    world.later(seconds=31)
    assert await sync_runs.start_due(world.fleet, start) == 1
    assert await bursts.runs() == {str(bursts.ids[0]): [10, 5]}


async def test_no_run_starts_before_what_it_is_for_is_committed(bursts: Bursts) -> None:
    world = bursts.world
    async with world.fleet.db.transaction() as db:
        await sync_runs.order(world.fleet, db, bursts.ids)
    world.later(seconds=31)
    async with world.fleet.db.transaction() as db:
        await sync_runs.order(world.fleet, db, bursts.ids[:1])
        assert await sync_runs.start_due(world.fleet, lead_sync) == 1
    assert await sync_runs.start_due(world.fleet, lead_sync) == 1
    assert await bursts.waiting() == 0


async def test_a_worker_that_dies_between_loses_nothing(bursts: Bursts) -> None:
    world, reached = bursts.world, asyncio.Event()

    async def hang(fleet: Fleet, id: UUID, key: str) -> bool:
        reached.set()
        await asyncio.Event().wait()
        return True

    await bursts.receive(10, campaigns=1)
    await worker.run_once(world.fleet)
    world.later(seconds=31)
    dying = asyncio.create_task(sync_runs.start_due(world.fleet, hang))
    await reached.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    await bursts.receive(6, campaigns=1)
    await worker.run_once(world.fleet)
    assert await sync_runs.start_due(world.fleet, lead_sync) == 1
    assert await bursts.runs() == {str(bursts.ids[0]): [16]}


async def test_a_run_waits_for_the_one_under_way_and_a_failed_start_is_tried_again(bursts: Bursts) -> None:
    world = bursts.world

    async def broken(fleet: Fleet, id: UUID, key: str) -> bool:
        raise ConnectionError("gone away")

    await bursts.receive(10, campaigns=1)
    await worker.run_once(world.fleet)
    world.later(seconds=31)
    async with world.fleet.db.single_flight(f"lead-sync:{bursts.ids[0]}"):
        assert await sync_runs.start_due(world.fleet, lead_sync) == 0
    world.later(seconds=11)
    assert await sync_runs.start_due(world.fleet, broken) == 0
    assert await bursts.waiting() == 1
    world.later(seconds=11)
    assert await sync_runs.start_due(world.fleet, lead_sync) == 1
    assert await bursts.runs() == {str(bursts.ids[0]): [10]}


async def test_a_sync_that_applies_webhooks_itself_orders_runs_for_the_other_campaigns_only(bursts: Bursts) -> None:
    fleet = bursts.world.fleet
    await bursts.receive(10)
    with using(fleet):
        await plain(smartlead_lead_sync_flow, direction="pull")
    assert await bursts.waiting() == 0
    await bursts.receive(10)
    with using(fleet):
        await plain(smartlead_lead_sync_flow, direction="pull", campaign_id=str(bursts.ids[0]))
    waiting = await bursts.world.ask("select payload ->> 'campaign_id' from mailfleet.outbox where topic = 'sync.run'")
    assert waiting == [(str(bursts.ids[1]),)]


async def test_without_a_delay_only_the_schedule_runs_it(bursts: Bursts) -> None:
    bursts.world.fleet.sync_delay = None
    await bursts.receive(10)
    await events.apply_all(bursts.world.fleet)
    assert await bursts.waiting() == 0
