"""Deployments, asked of a real Prefect server: schedules yield runs, survive a stop, and leave nothing hanging."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from mailfleet.clock import FixedClock
from mailfleet.flows import deployments
from mailfleet.flows.deployments import PLAN, Planned
from mailfleet.flows.on_webhooks import DEPLOYMENT, lead_sync
from mailfleet.flows.server import clean_environment, client_environment, prefect_server
from mailfleet.process import Child
from mailfleet.services import sync_runs
from mailfleet.services.context import Fleet
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

pytestmark = pytest.mark.anyio
DELAY = timedelta(seconds=30)
SCHEDULED = {each.full_name for each in PLAN if each.schedule}


@pytest.fixture(scope="module")
async def server(
    postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("prefect")
    async with prefect_server(home, postgres=postgres) as api:
        with temporary_settings({PREFECT_API_URL: api}):
            yield api, home


async def until(found: Callable[[], Awaitable[bool]], within: float = 70) -> None:
    """Waits for another process."""
    end = time.monotonic() + within
    while not await found():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.2)


async def scheduled() -> set[str]:
    """Full names of the deployments that have runs waiting for their time."""
    async with get_client() as client:
        names = {each.id: each.name for each in await client.read_deployments()}
        flows = {each.id: each.name for each in await client.read_flows()}
        runs = await client.read_flow_runs(limit=200)
    return {
        f"{flows[run.flow_id]}/{names[run.deployment_id]}"
        for run in runs
        if run.auto_scheduled and run.deployment_id in names
    }


async def test_a_scheduled_deployment_gets_runs(server: tuple[str, Path]) -> None:
    for each in PLAN:
        await (await each.deployment()).aapply()

    async def all_have_runs() -> bool:
        return await scheduled() >= SCHEDULED

    await until(all_have_runs)
    assert await scheduled() == SCHEDULED


async def test_runs_carry_the_specified_tags(server: tuple[str, Path]) -> None:
    for each in PLAN:
        await (await each.deployment()).aapply()
    async with get_client() as client:
        for each in PLAN:
            made = await client.read_deployment_by_name(each.full_name)
            assert set(made.tags) == set(each.found().tags)


async def test_schedules_are_active_after_a_stop(server: tuple[str, Path]) -> None:
    api, home = server
    environment = {**clean_environment(), **client_environment(api, home), "MAILFLEET_HOME": str(home)}
    runner = await Child.start(
        [sys.executable, "-m", "mailfleet.flows.runner"], environment=environment, log=home / "runner.log", grace=60
    )

    async def registered() -> bool:
        assert runner.alive, (home / "runner.log").read_text()
        async with get_client() as client:
            return len([each for each in await client.read_deployments() if each.status == "READY"]) >= len(PLAN)

    await until(registered)
    # Not in the common temporary folder, which another account of the machine may own.
    assert (home / "runner" / "runner_storage").is_dir()
    assert await runner.stop() == 0, (home / "runner.log").read_text()
    async with get_client() as client:
        made = [await client.read_deployment_by_name(name) for name in SCHEDULED]
    assert all(not each.paused and all(schedule.active for schedule in each.schedules) for each in made)


async def test_a_run_nobody_executes_is_closed(server: tuple[str, Path]) -> None:
    plan = [each for each in PLAN if each.full_name == "mailfleet_monitor/five-minutely"]
    await (await plan[0].deployment()).aapply()
    async with get_client() as client:
        made = await client.read_deployment_by_name(plan[0].full_name)
        left = await client.create_flow_run_from_deployment(made.id)
        await client.set_flow_run_state(left.id, Running(), force=True)
        assert await deployments.reconcile(plan) == []
        assert await deployments.reconcile(plan, older_than=timedelta(0)) == [left.name]
        closed = await client.read_flow_run(left.id)
    assert closed.state_type is not None
    assert closed.state_type.value == "CRASHED"


async def test_draining_pauses_and_resuming_undoes_it(server: tuple[str, Path]) -> None:
    for each in PLAN:
        await (await each.deployment()).aapply()
    assert await deployments.drain(within=60)
    assert await paused() == {True}
    await deployments.resume()
    assert await paused() == {False}


async def paused() -> set[bool]:
    async with get_client() as client:
        return {bool((await client.read_deployment_by_name(each.full_name)).paused) for each in PLAN}


async def test_webhooks_start_one_run_at_a_time_of_their_campaign(server: tuple[str, Path], database: Database) -> None:
    fleet: Any = SimpleNamespace(db=database, clock=FixedClock(datetime(2026, 3, 2, tzinfo=UTC)), sync_delay=DELAY)
    first, second = uuid4(), uuid4()

    async def order(*campaigns: UUID) -> int:
        """A hundred batches of webhooks, their delay, and how many runs were started."""
        for _ in range(100):
            async with database.transaction() as db:
                await sync_runs.order(fleet, db, campaigns)
        fleet.clock.set(fleet.clock.now() + DELAY)
        return await sync_runs.start_due(fleet, lead_sync)

    await (await on_demand().deployment()).aapply()
    assert await order(first, second) == 2
    assert Counter(run.parameters["campaign_id"] for run in await asked()) == {str(first): 1, str(second): 1}
    assert {run.parameters["direction"] for run in await asked()} == {"pull"}
    assert await order(first) == 0, "the last run of the campaign has not even begun"

    async with get_client() as client:
        for run in await asked():
            await client.set_flow_run_state(run.id, Completed(), force=True)
    assert await order(first) == 1
    assert Counter(run.parameters["campaign_id"] for run in await asked()) == {str(first): 2, str(second): 1}


async def test_a_start_that_is_tried_again_is_the_same_run(server: tuple[str, Path]) -> None:
    await (await on_demand().deployment()).aapply()
    campaign, nobody = uuid4(), cast("Fleet", None)
    assert await lead_sync(nobody, campaign, f"key:{campaign}")
    made = [run for run in await asked() if run.parameters["campaign_id"] == str(campaign)]
    async with get_client() as client:
        await client.set_flow_run_state(made[0].id, Completed(), force=True)
    assert await lead_sync(nobody, campaign, f"key:{campaign}")
    assert [run.id for run in await asked() if run.parameters["campaign_id"] == str(campaign)] == [made[0].id]


def on_demand() -> Planned:
    return next(each for each in PLAN if each.full_name == DEPLOYMENT)


async def asked() -> list[Any]:
    """Runs that webhooks asked for."""
    async with get_client() as client:
        runs = await client.read_flow_runs(limit=200)
    return [run for run in runs if "webhooks" in run.tags]
