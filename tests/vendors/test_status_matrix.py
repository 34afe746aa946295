"""ERROR_RESPONSES by status, and timeouts: how each is detected, met at once, got over, and told — by the vendor's and
the channel's own logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from tests.reconcile.vendors import START, opened
from tests.sandbox_fixture import Sandbox
from tests.vendors.wires import caught

from mailfleet.clock import FixedClock
from mailfleet.errors import (
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
    VendorError,
)
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.policy.model import default_policy
from mailfleet.rules import errors_matrix
from mailfleet.services import alerts, pace, vendor_health
from mailfleet.services.context import Fleet
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.database import Database, tuples
from mailfleet.vendors.smartlead.campaigns import CREATE
from mailfleet.vendors.transport.operation import Patience

pytestmark = pytest.mark.anyio
POLICY = default_policy()
PATIENCE = Patience(first_wait=0.01, timeout=0.15, timeout_cap=0.4)


class Unserved(httpx2.AsyncHTTPTransport):
    """Answers 502 as 503, which the sandbox is not told to give."""

    wanted = 502

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        answer.status_code = self.wanted if answer.status_code == 502 else answer.status_code
        return answer


@dataclass
class Desk:
    """A fleet, the world it speaks to, and what was told to whom."""

    fleet: Fleet
    world: Sandbox
    calls: PostgresCalls

    @property
    def clock(self) -> FixedClock:
        clock = self.fleet.clock
        assert isinstance(clock, FixedClock)
        return clock

    async def worker(self) -> list[str]:
        """One round of the worker: what reached Slack by it."""
        before = len(self.world.log("slack"))
        await alerts.deliver_due(self.fleet)
        return [str(entry) for entry in self.world.log("slack")[before:]]

    async def monitor(self) -> list[str]:
        """One round: what reached Slack by it."""
        await self.calls.flush()
        await vendor_health.check(self.fleet)
        return await self.worker()

    def asked(self) -> int:
        return sum(entry["vendor"] == "smartlead" for entry in self.world.log("http"))


@pytest.fixture
def wire() -> httpx2.AsyncBaseTransport | None:
    return None


@pytest.fixture
def calm(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield shared_sandbox
    shared_sandbox.control("DELETE", "/faults")


@pytest.fixture
async def desk(database: Database, calm: Sandbox, wire: httpx2.AsyncBaseTransport | None) -> AsyncIterator[Desk]:
    clock = FixedClock(START)
    calls = PostgresCalls(database, clock)
    async with opened(database, calm.info, wire, clock=clock, calls=calls, patience=PATIENCE) as fleet:
        yield Desk(fleet, calm, calls)


async def look(desk: Desk) -> Any:
    return await desk.fleet.platform().campaigns()


async def nobody(desk: Desk) -> Any:
    return await desk.fleet.platform().campaign("999999")


async def nonsense(desk: Desk) -> Any:
    platform = desk.fleet.platform()
    assert isinstance(platform, SmartleadPlatform)
    return await platform.client.transport.call(CREATE, body={"nonsense": 1})


@dataclass(frozen=True)
class Case:
    """`tries` is how often the vendor is asked; `told` what Slack then reads, "" for nothing."""

    status: str
    fault: str
    kind: type[VendorError]
    tries: int
    told: str
    times: int = 1
    call: Callable[[Desk], Awaitable[Any]] = look


CASES = (
    Case("400", "", Invalid, 1, "", 8, nonsense),
    Case("401", "401", Unauthorized, 1, "the key is wrong or may not do this"),
    Case("403", "403_html", Forbidden, 1, "the key is wrong or may not do this"),
    Case("404", "", NotFound, 1, "", 8, nobody),
    Case("429", "429_bare", RateLimited, 4, "review the quota", 2),
    Case("500", "500", Unavailable, 4, "calls failed within an hour", 2),
    Case("502", "502", Unavailable, 4, "calls failed within an hour", 2),
    Case("503", "502", Unavailable, 4, "calls failed within an hour", 2),
)


def test_every_status_of_the_table_has_its_scenario() -> None:
    assert {case.status for case in CASES} == {key for key in POLICY.errors if key.isdigit()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.status)
async def test_a_status_is_detected_met_got_over_and_told(case: Case, database: Database, calm: Sandbox) -> None:
    wire = Unserved()
    wire.wanted = int(case.status) if case.status == "503" else 502
    clock = FixedClock(START)
    calls = PostgresCalls(database, clock)
    async with opened(database, calm.info, wire, clock=clock, calls=calls, patience=PATIENCE) as fleet:
        desk = Desk(fleet, calm, calls)
        if case.fault:
            calm.fault(case.fault, vendor="smartlead", times=None)
        before = desk.asked()
        for _ in range(case.times):
            error = await caught(case.call(desk))
            assert type(error) is case.kind
        assert desk.asked() - before == case.tries * case.times
        action = errors_matrix.respond_to(POLICY.errors, error).action  # type: ignore[arg-type]
        assert action == POLICY.errors[case.status].action
        calm.control("DELETE", "/faults")
        at_once = POLICY.errors[case.status].action == "alert_critical"
        told = await (desk.worker() if at_once else desk.monitor())
        assert len(told) == (1 if case.told else 0) and case.told in "".join(told)
        assert (":red_circle:" in "".join(told)) == at_once
        assert await desk.monitor() == []
        assert await look(desk) is not None


async def test_a_limit_says_how_long_and_is_obeyed_and_batches_shrink_and_come_back(desk: Desk) -> None:
    desk.world.fault("429", vendor="smartlead", seconds=1, times=3)
    await look(desk)
    await desk.calls.flush()
    assert await pace.batch(desk.fleet, "smartlead", 100) == 50
    assert await pace.batch(desk.fleet, "smartlead", 100) == 50
    sizes: list[int] = []
    for _ in range(5):
        desk.clock.set(desk.clock.now() + pace.pace.QUIET)
        sizes.append(await pace.batch(desk.fleet, "smartlead", 100))
    assert sizes == [62, 75, 87, 100, 100]
    async with desk.fleet.db.connection() as db:
        kept = await tuples(db, "select what, times, detail from mailfleet.vendor_notes where what = 'batch'")
    assert [(what, times, detail["factor"]) for what, times, detail in kept] == [("batch", 5, 1)]


async def test_timeouts_are_tried_three_times_longer_each_and_the_status_page_is_looked_up(desk: Desk) -> None:
    desk.world.fault("timeout_before", vendor="smartlead", times=None, seconds=1)
    for _ in range(2):
        assert isinstance(await caught(look(desk)), TimedOut)
    desk.world.control("DELETE", "/faults")
    desk.world.fault("status_page", indicator="major", description="Partial outage")
    (told,) = await desk.monitor()
    assert "6 of 6 calls failed" in told and "major Partial" in told
    desk.world.fault("status_page", indicator="none", description="All good")
    async with desk.fleet.db.connection() as db:
        notes = dict(await tuples(db, "select what, detail from mailfleet.vendor_notes"))
    assert notes["deadline"]["seconds"] == 0.4 and notes["status_page"]["indicator"] == "major"
    assert await look(desk) is not None


async def test_a_status_page_that_does_not_answer_is_unknown(desk: Desk) -> None:
    desk.world.fault("timeout_before", vendor="smartlead", times=None, seconds=1)
    desk.world.fault("502", vendor="status", times=None)
    for _ in range(2):
        await caught(look(desk))
    (told,) = await desk.monitor()
    assert "unknown" in told


async def test_five_timeouts_an_hour_are_put_up_with(desk: Desk) -> None:
    desk.world.fault("timeout_before", vendor="smartlead", times=5, seconds=1)
    assert isinstance(await caught(look(desk)), TimedOut)
    await look(desk)
    await desk.calls.flush()
    async with desk.fleet.db.connection() as db:
        [(hour,)] = await tuples(db, "select sum(calls) from mailfleet.vendor_calls where status like '%%Timeout'")
    assert hour == 5 and await desk.monitor() == []
