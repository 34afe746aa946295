"""What the second source costs, by the sandbox's own log of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from tests.platforms.test_against_sandbox import SCHEDULE, STEPS, connected, means, smartlead
from tests.sandbox_fixture import Sandbox

from mailfleet.background import background
from mailfleet.clock import FixedClock
from mailfleet.platforms.port import CampaignSettings, NewLead
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.policy.model import default_policy
from mailfleet.services import clients, events, sync
from mailfleet.services.context import Fleet
from mailfleet.store import links
from mailfleet.store.database import Database, tuples
from mailfleet.store.secrets import Kek, Vault

__all__ = ["means", "smartlead"]
pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(database: Database, smartlead: SmartleadPlatform, sandbox: Sandbox) -> AsyncIterator[Fleet]:
    clock = FixedClock(datetime.fromisoformat(sandbox.control("GET", "/clock")["now"]))
    made = Fleet(
        db=database, clock=clock, policy=default_policy(),
        vault=Vault(Kek(bytes(32))), platforms={"smartlead": smartlead}, dns_hosts={}, mailbox_hosts={}, channels={},
        names=None, suppression_key=b"k" * 32,  # type: ignore[arg-type]
    )  # fmt: skip
    client = await clients.put_client(made, "agency-os", name="Agency OS")
    for n in range(4):
        ref = await smartlead.create_campaign(f"Pilot {n}")
        async with database.transaction() as db:
            [(id,)] = await tuples(
                db,
                """insert into mailfleet.campaigns
                       (client_id, name, state, state_since, config, config_hash, created_at)
                   values (%s, %s, 'running', %s, '{}', '', %s) returning id""",
                [client.id, f"Pilot {n}", made.clock.now(), made.clock.now()],
            )
            await links.put(db, platform="smartlead", kind="campaign", ours=id, ref=ref, at=made.clock.now())
    yield made


def calls(sandbox: Sandbox, after: int) -> Counter[str]:
    paths = (each["path"].split("?")[0] for each in sandbox.log("http")[after:] if each["vendor"] == "smartlead")
    return Counter(path.rsplit("/", 1)[-1] for path in paths)


async def test_a_sync_of_nothing_is_one_call_and_one_more_for_each_campaign_that_moved(
    fleet: Fleet, smartlead: SmartleadPlatform, sandbox: Sandbox
) -> None:
    clock = fleet.clock
    assert isinstance(clock, FixedClock)
    refs = [each.ref for each in await smartlead.campaigns()]
    moving = min(refs)
    await smartlead.set_campaign(moving, schedule=SCHEDULE, settings=CampaignSettings())
    await smartlead.set_steps(moving, STEPS)
    await smartlead.set_campaign_mailboxes(moving, [await connected(sandbox, smartlead)])
    leads = [f"p{n}@acme{n}-mailfleet-demo.com" for n in range(300)]  # more than three days take
    await smartlead.add_leads(moving, [NewLead(email=each, fields={}) for each in leads])
    async with fleet.db.connection() as db:
        await db.execute(
            """insert into mailfleet.leads (client_id, email, email_norm, domain, created_at, updated_at)
               select c.id, e, e, split_part(e, '@', 2), %(now)s, %(now)s
               from mailfleet.clients c, unnest(%(leads)s::text[]) e""",
            {"now": clock.now(), "leads": leads},
        )

    assert (await sync.poll(fleet)).campaigns == 4
    for _ in range(2):
        clock.set(clock.now() + timedelta(minutes=15))
        before = len(sandbox.log("http"))
        polled = await sync.poll(fleet)
        assert calls(sandbox, before) == {"overall-stats": 1}
        assert polled.lag == timedelta()

    await smartlead.start_campaign(moving)
    clock.set(datetime.fromisoformat(sandbox.advance(days=3)))
    found = await sync.poll(fleet)
    sends = [each for each in sandbox.log("sends") if each["kind"] == "campaign"]
    await events.apply_all(fleet)
    async with fleet.db.connection() as db:
        assert await tuples(db, "select count(*)::int from mailfleet.events where kind = 'sent'") == [(len(sends),)]
    assert found.found and sends
    clock.set(clock.now() + timedelta(minutes=15))
    before = len(sandbox.log("http"))
    await sync.poll(fleet)
    assert calls(sandbox, before)["analytics"] == 1
    clock.set(clock.now() + timedelta(minutes=15))
    before = len(sandbox.log("http"))
    assert not (await sync.poll(fleet)).found
    assert calls(sandbox, before) == {"overall-stats": 1}


async def test_background_calls_leave_half_of_the_budget(smartlead: SmartleadPlatform) -> None:
    asked: list[tuple[str, object, bool]] = []
    budget = smartlead.client.transport._means.budget
    take = budget.take

    async def told(vendor: str, key_id: str, windows: object, *, reserved: float, urgent: bool) -> float:
        asked.append((key_id.rsplit(":", 1)[-1], windows, urgent))
        return await take(vendor, key_id, windows, reserved=reserved, urgent=urgent)  # type: ignore[arg-type]

    budget.take = told  # type: ignore[method-assign]
    with background():
        await smartlead.campaigns()
    [(half, windows, _), (_, whole, _)] = asked
    assert half == "background"
    assert [(most * 2, span) for most, span in windows] == list(whole)  # type: ignore[attr-defined, call-overload]
