from __future__ import annotations

import pytest

from mailfleet.store import circuits
from mailfleet.store.circuits import PostgresCircuit
from mailfleet.store.database import Database, execute

pytestmark = pytest.mark.anyio


async def fail(circuit: PostgresCircuit, times: int) -> None:
    for _ in range(times):
        await circuit.failed("v", "HTTP 502")


async def rested(database: Database) -> None:
    async with database.connection() as db:
        await execute(db, "update mailfleet.circuits set probe_at = clock_timestamp()")


async def test_opens_after_failures_of_all_processes_together(database: Database) -> None:
    one, two = PostgresCircuit(database, failures=3, believed=0), PostgresCircuit(database, failures=3, believed=0)
    assert await one.admit("v") == "closed"
    await fail(one, 2)
    assert await two.admit("v") == "closed"
    await fail(two, 1)
    assert [await each.admit("v") for each in (one, two)] == ["open", "open"]
    assert await one.admit("other") == "closed"
    async with database.connection() as db:
        [row] = await circuits.listed(db)
    assert (row.state, row.failures, row.last_error) == ("open", 3, "HTTP 502")


async def test_a_success_between_failures_starts_the_count_anew(database: Database) -> None:
    circuit = PostgresCircuit(database, failures=3, believed=0)
    await fail(circuit, 2)
    await circuit.admit("v")
    await circuit.succeeded("v")
    await fail(circuit, 2)
    assert await circuit.admit("v") == "closed"


async def test_after_the_rest_one_caller_probes_and_its_success_closes(database: Database) -> None:
    circuit, other = PostgresCircuit(database, failures=2, believed=0), PostgresCircuit(database, failures=2)
    await fail(circuit, 2)
    await rested(database)
    assert await circuit.admit("v") == "probe"
    assert await other.admit("v") == "open"
    await circuit.succeeded("v")
    assert await other.admit("v") == "closed"


async def test_a_failed_probe_opens_again_and_a_lost_probe_is_followed_by_another(database: Database) -> None:
    circuit = PostgresCircuit(database, failures=2, believed=0)
    await fail(circuit, 2)
    await rested(database)
    assert await circuit.admit("v") == "probe"
    await fail(circuit, 1)
    assert await circuit.admit("v") == "open"
    await rested(database)
    assert await circuit.admit("v") == "probe"
    await rested(database)
    assert await circuit.admit("v") == "probe"


async def test_a_healthy_vendor_costs_no_round_trip_for_a_second(database: Database) -> None:
    now = 0.0
    circuit = PostgresCircuit(database, failures=2, clock=lambda: now)
    assert await circuit.admit("v") == "closed"
    await fail(PostgresCircuit(database, failures=2), 2)
    assert await circuit.admit("v") == "closed"
    now = 1.5
    assert await circuit.admit("v") == "open"
