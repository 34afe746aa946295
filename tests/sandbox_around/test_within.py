"""A world without sockets: the same vendors, in this process, with a clock that only the caller moves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from mailfleet.sandbox.within import Inside

pytestmark = pytest.mark.anyio
STEPS = [{"seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hi", "email_body": "<div>Hi</div>"}]


class Caller:
    """Speaks to a world that is inside, as anybody would over HTTP."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.http = httpx2.AsyncClient(transport=inside.transport())

    async def smartlead(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        held = self.inside.info["smartlead"]
        return await self.http.request(method, held["base_url"] + path, params={"api_key": held["api_key"]}, json=body)

    async def control(self, path: str, body: Any) -> httpx2.Response:
        return await self.http.post(self.inside.info["control"]["base_url"] + path, json=body)

    async def mailbox(self, address: str, password: str = "pass-word") -> httpx2.Response:
        await self.control("/mailhost/accounts", {"address": address, "password": "pass-word"})
        host = self.inside.info["mailhost"]
        body = {"from_name": "Ada", "from_email": address, "user_name": address, "password": password}
        places = {name: host[name] for name in ("smtp_host", "smtp_port", "imap_host", "imap_port")}
        return await self.smartlead("POST", "/email-accounts/save", {**body, **places, "warmup_enabled": True})


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    caller = Caller(Inside(3))
    yield caller
    await caller.http.aclose()


async def campaign(caller: Caller, leads: list[str]) -> int:
    """A running campaign with one mailbox."""
    box = (await caller.mailbox("ada@one-mailfleet-demo.com")).json()["emailAccountId"]
    identity = (await caller.smartlead("POST", "/campaigns/create", {"name": "Inside"})).json()["id"]
    schedule = {"timezone": "UTC", "days_of_the_week": list(range(7)), "start_hour": "00:00", "end_hour": "23:00"}
    for path, body in (
        ("/schedule", {**schedule, "min_time_btw_emails": 3, "max_new_leads_per_day": 100}),
        ("/sequences", {"sequences": STEPS}),
        ("/email-accounts", {"email_account_ids": [box]}),
        ("/leads", {"lead_list": [{"email": email} for email in leads]}),
        ("/status", {"status": "START"}),
    ):
        answer = await caller.smartlead("POST", f"/campaigns/{identity}{path}", body)
        assert answer.status_code == 200, answer.text
    return identity


async def test_a_campaign_runs_without_a_socket(caller: Caller) -> None:
    identity = await campaign(caller, [f"silent{n}@firm{n}-mailfleet.com" for n in range(5)])
    await caller.inside.advance(caller.inside.now + timedelta(days=1))
    totals = (await caller.smartlead("GET", f"/campaigns/{identity}/analytics")).json()
    assert totals["sent_count"] == "5"


async def test_a_wrong_password_is_refused_without_a_socket(caller: Caller) -> None:
    answer = await caller.mailbox("bo@one-mailfleet-demo.com", "another")
    assert answer.status_code == 400
    assert "535" in answer.json()["error"]


async def test_hooks_are_delivered_through_the_transport_that_was_given() -> None:
    arrived: list[dict[str, Any]] = []

    async def receive(request: httpx2.Request) -> httpx2.Response:
        arrived.append(json.loads(request.content))
        return httpx2.Response(200)

    caller = Caller(Inside(3, hooks=httpx2.MockTransport(receive)))
    body = {
        "webhook_url": "https://hooks.example/in", "association_type": "user", "event_type_map": {"EMAIL_SENT": True}
    }  # fmt: skip
    assert (await caller.smartlead("POST", "/webhook/create", body)).status_code == 200
    await campaign(caller, [f"silent{n}@firm{n}-mailfleet.com" for n in range(3)])
    await caller.inside.advance(caller.inside.now + timedelta(days=1))
    assert [event["event_type"] for event in arrived] == ["EMAIL_SENT"] * 3
    await caller.http.aclose()


async def test_a_fault_can_be_planned_in_sandbox_time(caller: Caller) -> None:
    now = caller.inside.now
    begins, ends = now + timedelta(days=1), now + timedelta(days=2)
    body = {"kind": "502", "vendor": "smartlead", "at": begins.isoformat(), "until": ends.isoformat()}
    assert (await caller.control("/faults", body)).json()["begun"] is False
    statuses: list[int] = []
    for hours in (23, 2, 21, 3):
        await caller.inside.advance(caller.inside.now + timedelta(hours=hours))
        statuses.append((await caller.smartlead("GET", "/campaigns/")).status_code)
    assert statuses == [200, 502, 502, 200]


async def test_a_planned_fault_that_cannot_be_is_refused_at_once_or_says_why_later(caller: Caller) -> None:
    later = (caller.inside.now + timedelta(hours=1)).isoformat()
    assert (await caller.control("/faults", {"kind": "corrupt_dkim", "at": later})).status_code == 400
    assert (await caller.control("/faults", {"kind": "502", "at": later, "until": later})).status_code == 400
    planned = {"kind": "disconnect_mailbox", "address": "nobody@nowhere.com", "at": later}
    assert (await caller.control("/faults", planned)).status_code == 200
    await caller.inside.advance(caller.inside.now + timedelta(hours=2))
    shown = (await caller.http.get(caller.inside.info["control"]["base_url"] + "/faults")).json()["planned"]
    assert "no mailbox nobody@nowhere.com" in shown[0]["error"]


async def test_a_vendor_whose_clock_is_wrong_shifts_every_moment_it_tells(caller: Caller) -> None:
    identity = (await caller.smartlead("POST", "/campaigns/create", {})).json()
    assert identity["created_at"] == "2026-03-02T00:00:00.000Z"
    await caller.control("/faults", {"kind": "clock_skew", "seconds": -600})
    answer = await caller.smartlead("GET", f"/campaigns/{identity['id']}")
    assert answer.json()["created_at"] == "2026-03-01T23:50:00.000Z"
    await caller.http.delete(caller.inside.info["control"]["base_url"] + "/faults")
    answer = await caller.smartlead("GET", f"/campaigns/{identity['id']}")
    assert answer.json()["created_at"] == "2026-03-02T00:00:00.000Z"
