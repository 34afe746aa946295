"""Faults neither on the wire nor in a vendor's data: webhooks out of order, receivers that change, bad lists."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from tests.sandbox_around.test_within import Caller, campaign

from mailfleet.sandbox.within import Inside

pytestmark = pytest.mark.anyio
PEOPLE = [f"silent{n}@firm{n}-mailfleet.com" for n in range(6)]


class Hooked(Caller):
    """A caller with a hook of the account for everything sent and for notices."""

    def __init__(self) -> None:
        self.arrived: list[dict[str, Any]] = []

        async def receive(request: httpx2.Request) -> httpx2.Response:
            self.arrived.append({"when": self.inside.now, **json.loads(request.content)})
            return httpx2.Response(200)

        super().__init__(Inside(3, hooks=httpx2.MockTransport(receive)))

    async def hooked(self) -> Hooked:
        events = dict.fromkeys(("EMAIL_SENT", "EMAIL_ACCOUNT_DISCONNECTED"), True)
        body = {"webhook_url": "https://hooks.example/in", "association_type": "user", "event_type_map": events}
        assert (await self.smartlead("POST", "/webhook/create", body)).status_code == 200
        return self

    async def fault(self, kind: str, **more: Any) -> None:
        answer = await self.control("/faults", {"kind": kind, **more})
        assert answer.status_code == 200, answer.text

    async def days(self, count: float) -> None:
        await self.inside.advance(self.inside.now + timedelta(days=count))

    def people(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.inside.world.log.lists["people"] if entry["kind"] == kind]


@pytest.fixture
async def caller() -> AsyncIterator[Hooked]:
    caller = await Hooked().hooked()
    yield caller
    await caller.http.aclose()


async def test_deliveries_overtake_each_other(caller: Hooked) -> None:
    await caller.fault("webhook_reorder", times=6, seconds=36_000)
    await campaign(caller, PEOPLE)
    await caller.days(2)
    moments = [event["event_timestamp"] for event in caller.arrived]
    assert len(moments) == 6
    assert moments != sorted(moments)


async def test_deliveries_arrive_days_late(caller: Hooked) -> None:
    await caller.fault("webhook_late", times=6, days=4)
    await campaign(caller, PEOPLE)
    await caller.days(3)
    assert caller.arrived == []
    await caller.days(3)
    assert len(caller.arrived) == 6


async def test_what_was_sent_in_a_period_is_sent_once_more(caller: Hooked) -> None:
    start = caller.inside.now
    await campaign(caller, PEOPLE)
    await caller.days(5)
    await caller.fault("webhook_resend", after=start.isoformat(), before=caller.inside.now.isoformat())
    await caller.days(1)
    counted = Counter(event["stats_id"] for event in caller.arrived)
    assert sorted(counted.values()) == [2] * 6


@pytest.mark.parametrize(("shape", "key"), [("flat", "eventType"), ("dotted", "type")])
async def test_account_notices_have_either_published_shape(caller: Hooked, shape: str, key: str) -> None:
    await campaign(caller, PEOPLE[:1])
    await caller.fault("notice_shape", shape=shape)
    await caller.fault("disconnect_mailbox", address="ada@one-mailfleet-demo.com")
    await caller.days(1)
    notices = [event for event in caller.arrived if "disconnected" in str(event.get(key, "")).lower()]
    assert len(notices) == 1


async def test_a_bad_list_is_bad_only_while_it_is_said_to_be(caller: Hooked) -> None:
    await caller.fault("bad_list", contains="@bad", bounces=1.0, days=1)
    await campaign(caller, [f"p{n}@bad{n}-mailfleet.com" for n in range(4)] + PEOPLE)
    await caller.days(1)
    assert {entry["email"].partition("@")[2][:3] for entry in caller.people("bounced")} == {"bad"}
    assert len(caller.people("bounced")) == 4


async def test_a_provider_that_is_down_takes_nothing_for_now(caller: Hooked) -> None:
    await caller.fault("provider_outage", provider="google", days=1)
    await campaign(caller, [f"p{n}@at-{name}-mailfleet.com" for n in range(3) for name in ("google", "postfix")])
    await caller.days(1)
    hosts = {entry["email"].partition("@")[2] for entry in caller.people("bounced") if entry["category"] == "soft"}
    assert "at-google-mailfleet.com" in hosts
    assert "at-postfix-mailfleet.com" not in hosts
