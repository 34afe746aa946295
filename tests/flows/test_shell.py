"""What every flow has around its work, through a real Prefect server and without one."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, LogFilter
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from mailfleet.clock import FixedClock
from mailfleet.errors import BadFile, MailfleetError
from mailfleet.flows import shell
from mailfleet.policy.model import default_policy
from mailfleet.services.context import Fleet
from mailfleet.store import flow_results
from mailfleet.store.database import tuples
from mailfleet.store.journal import PostgresJournal
from mailfleet.store.secrets import Kek, Vault
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit
from mailfleet.vendors.transport.secret import Hidden
from mailfleet.vendors.transport.transport import Means

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home: Path = tmp_path_factory.mktemp("prefect")
    quiet = {
        PREFECT_HOME: home,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,
        PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED: False,
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
    }
    with temporary_settings(quiet), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
async def fleet(database: Any) -> AsyncIterator[Fleet]:
    fleet = Fleet(
        db=database, clock=FixedClock(datetime(2026, 3, 2, tzinfo=UTC)), policy=default_policy(),
        vault=Vault(Kek(bytes(32))), platforms={}, dns_hosts={}, mailbox_hosts={}, channels={},
        names=None,  # type: ignore[arg-type]
        rng=random.Random(1),
    )  # fmt: skip
    with shell.using(fleet):
        yield fleet


@task(cache_policy=NO_CACHE)
async def double_task(number: int) -> int:
    assert shell.current().policy
    return 2 * number


@shell.specified(name="doubling", description="Doubles", tags=["tier:bulk", "test"])
async def doubling_flow(number: int = 1, fail: bool = False) -> dict[str, Any]:
    async def work(fleet: Fleet) -> dict[str, Any]:
        if fail:
            raise BadFile("No.", hint="Try yes.")
        return {"doubled": await shell.step(double_task, number)}

    return await shell.run("doubling", key="doubling", parameters={"number": number}, work=work, skipped={"doubled": 0})


async def rows(fleet: Fleet) -> list[flow_results.FlowResult]:
    async with fleet.db.connection() as db:
        return list(await flow_results.latest(db, "doubling"))


async def test_plain_needs_no_orchestrator(fleet: Fleet) -> None:
    assert await shell.plain(doubling_flow, 4) == {"doubled": 8}
    (kept,) = await rows(fleet)
    assert (kept.result, kept.parameters, kept.error, kept.flow_run_id) == ({"doubled": 8}, {"number": 4}, "", "")


async def test_a_failure_leaves_its_row_and_passes_on(fleet: Fleet) -> None:
    with pytest.raises(BadFile):
        await shell.plain(doubling_flow, fail=True)
    (kept,) = await rows(fleet)
    assert (kept.result, kept.error) == ({}, "C103 No. Try yes.")
    assert await shell.plain(doubling_flow) == {"doubled": 2}, "the lock is free again"


async def test_one_at_a_time(fleet: Fleet) -> None:
    async with fleet.db.single_flight("doubling") as mine:
        assert mine
        assert await shell.plain(doubling_flow, 4) == {
            "doubled": 0, "skipped": True, "reason": "another run is working on doubling",
        }  # fmt: skip
    assert await rows(fleet) == []


async def test_no_server_means_plain(fleet: Fleet) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert not await shell.orchestrator_up()
        assert await shell.run_or_plain(doubling_flow, 3) == {"doubled": 6}


async def test_a_task_outside_a_flow_says_so() -> None:
    with pytest.raises(MailfleetError, match="outside of its flow"):
        await shell.step(double_task, 1)


async def test_prefect_records_the_run_with_its_tags(fleet: Fleet, prefect_api: None) -> None:
    assert await shell.orchestrator_up()
    assert await shell.run_or_plain(doubling_flow, 5) == {"doubled": 10}
    (kept,) = await rows(fleet)
    async with get_client() as client:
        run = await client.read_flow_run(kept.flow_run_id)  # type: ignore[arg-type]
        artifacts = await client.read_artifacts()
    assert (set(run.tags), run.state_name) == ({"tier:bulk", "test"}, "Completed")
    assert [(each.key, each.type) for each in artifacts] == [("doubling", "table")]


async def test_prefect_shows_a_run_that_found_the_lock_taken_as_skipped(fleet: Fleet, prefect_api: None) -> None:
    async with fleet.db.single_flight("doubling"):
        result = await doubling_flow(5)
    assert (result["skipped"], result["doubled"]) == (True, 0)
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(like_="%"), state={"name": {"any_": ["Skipped"]}})
        )
    assert len(runs) == 1


async def test_a_failure_is_a_failed_run_for_prefect(fleet: Fleet, prefect_api: None) -> None:
    state = await doubling_flow(fail=True, return_state=True)
    assert state.is_failed()


def test_lag_counts_for_scheduled_runs_only() -> None:
    assert shell._too_late(timedelta(minutes=1)) == ""


KEY, PASSWORD = "pl4nted+key/9f=&x", "p4ss w+rd/é="


class _Repeats(httpx2.AsyncBaseTransport):
    """A vendor that answers with all it was sent."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        coded = base64.b64encode(KEY.encode()).decode()
        told = {"message": f"{request.url} {coded} {(await request.aread()).decode()}", "password": PASSWORD}
        return httpx2.Response(400, json=told)


@shell.specified(name="leaking", description="Meets a vendor that repeats everything", tags=[])
async def leaking_flow(address: str) -> dict[str, Any]:
    """Fails."""

    async def work(fleet: Fleet) -> dict[str, Any]:
        await shell.step(leak_task, address)
        return {}

    return await shell.run("leaking", key="leaking", parameters={"address": address}, work=work, skipped={})


@task(name="leak_task", cache_policy=NO_CACHE)
async def leak_task(address: str) -> None:
    fleet = shell.current()
    means = Means(
        journal=PostgresJournal(fleet.db, fleet.clock), budget=MemoryBudget(), circuit=MemoryCircuit(),
        calls=MemoryCalls(), http=_Repeats(),
    )  # fmt: skip
    client = get_smartlead_client(KEY, means)
    await client.create_email_account(Hidden({"id": None, "from_email": address, "password": PASSWORD}))


async def test_no_key_is_in_prefects_runs_and_logs_nor_in_our_rows(fleet: Fleet, prefect_api: None) -> None:
    """Neither raw nor URL-encoded nor in base64."""
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        state = await leaking_flow("ada@outreach-one.example", return_state=True)
        await APILogHandler.aflush()
    assert state.is_failed() and state.state_details.flow_run_id
    async with get_client() as client:
        run = await client.read_flow_run(state.state_details.flow_run_id)
        tasks = await client.read_task_runs()
        logs = await client.read_logs(LogFilter(flow_run_id={"any_": [run.id]}), limit=200)
    async with fleet.db.connection() as db:
        journaled = await tuples(db, "select j::text from mailfleet.journal j")
        kept = await tuples(db, "select r::text from mailfleet.flow_results r where error <> ''")
    assert any("create_email_account" in each.message for each in logs) and len(journaled) == len(kept) == 1
    shown = "\n".join([run.model_dump_json(), *(each.model_dump_json() for each in (*tasks, *logs)), str(kept)])
    for secret in (KEY, PASSWORD):
        coded = base64.b64encode(secret.encode()).decode()
        for form in (secret, quote(secret, safe=""), quote_plus(secret), coded, quote(coded, safe="")):
            assert form not in shown + str(journaled), form
