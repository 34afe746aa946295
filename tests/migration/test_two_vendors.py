"""The way back by the real adapters over both vendors' faces, judged by the sandbox's own log of sends."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from tests.migration.desks import Pair, config
from tests.migration.kills import PACE, stands
from tests.platforms.test_against_sandbox import PASSWORD, mail_host
from tests.sandbox_fixture import Sandbox

from mailfleet.clock import FixedClock
from mailfleet.migration import saga as sagas_do
from mailfleet.migration.saga import Executor
from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.port import MailboxSpec
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.policy.model import default_policy
from mailfleet.services import campaigns, clients, push
from mailfleet.services.context import Fleet
from mailfleet.store import links, sagas
from mailfleet.store import mailboxes as boxes
from mailfleet.store.secrets import Kek, Vault
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.warmforge.client import get_warmforge_client

pytestmark = pytest.mark.anyio
LEADS = 6


@pytest.fixture
def outside() -> Iterator[Sandbox]:
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    running.control("POST", "/forge/seed", {"sequences": 1, "leads": 0, "fresh": 0, "mailboxes": 2, "days": 1})
    yield running
    running.close()


class Kept(dict[str, str]):
    async def keep(self, hook: str, secret: str) -> None:
        self[hook] = secret

    async def has(self, hook: str) -> bool:
        return hook in self


def now(outside: Sandbox) -> datetime:
    return datetime.fromisoformat(outside.control("GET", "/clock")["now"])


def vendors(outside: Sandbox) -> tuple[SmartleadPlatform, ForgePlatform]:
    means = Means(journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    told, core, warm = (outside.info[name] for name in ("smartlead", "salesforge", "warmforge"))
    new = SmartleadPlatform(
        get_smartlead_client(
            told["api_key"], means, base_url=told["base_url"], delivery_base_url=told["delivery_base_url"]
        )
    )
    old = ForgePlatform(
        get_salesforge_client(
            core["api_key"], means, base_url=core["base_url"], multichannel_base_url=core["multichannel_base_url"],
            rate=500,
        ),
        get_warmforge_client(warm["api_key"], means, base_url=warm["base_url"], rate=500),
        hooks=Kept(),
        today=lambda: now(outside).date(),
    )  # fmt: skip
    return new, old


async def built(database: Any, outside: Sandbox, new: SmartleadPlatform, old: ForgePlatform) -> Pair:
    """One campaign that runs at Smartlead from one mailbox, which Forge knows too."""
    clock = FixedClock(now(outside))
    fleet = Fleet(
        db=database, clock=clock, policy=default_policy(), vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": new, "forge": old}, dns_hosts={}, mailbox_hosts={}, channels={},
        names=None,  # type: ignore[arg-type]
        suppression_key=b"pepper", rng=random.Random(1),
    )  # fmt: skip
    await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    world = Pair(fleet, new, old, clock)  # type: ignore[arg-type]
    address = "ann@mailfleet-demo-out.com"
    outside.control("POST", "/mailhost/accounts", {"address": address, "password": PASSWORD})
    hosted = await mail_host(outside).mailbox(address, "Ann")
    ref = await new.connect_mailbox(
        MailboxSpec(
            address=address, display_name="Ann", username=hosted.username, password=hosted.password,
            smtp_host=hosted.smtp_host, smtp_port=hosted.smtp_port, imap_host=hosted.imap_host,
            imap_port=hosted.imap_port, daily_cap=40,
        )
    )  # fmt: skip
    theirs = [box.ref async for box in old.mailboxes() if box.connected]
    async with fleet.db.transaction() as db:
        client = await clients.the_client(db, None)
        box = await boxes.add(
            db, address, client_id=client.id, domain_id=None, persona_id=None, display_name="Ann",
            timezone="Australia/Sydney", host="custom_smtp", at=clock.now(),
        )  # fmt: skip
        await db.execute(
            "update mailfleet.mailboxes set state = 'PRODUCTION', connected = true where id = %s", [box.id]
        )
        await links.put(db, platform="smartlead", kind="mailbox", ours=box.id, ref=ref, at=clock.now())
        await links.put(db, platform="forge", kind="mailbox", ours=box.id, ref=theirs[0], at=clock.now())
    campaign = await campaigns.draft(fleet, config("Trades"))
    await campaigns.configure_steps(fleet, campaign.id, config("Trades")["sequence"])
    await campaigns.assign_mailboxes(fleet, campaign.id, [box.id])
    await campaigns.set_schedule(fleet, campaign.id)
    for n in range(LEADS):
        await world.do(
            """insert into mailfleet.leads (client_id, email, email_norm, domain, first_name, campaign_id,
                   created_at, updated_at) values (%s, %s, %s, %s, 'Kim', %s, %s, %s)""",
            client.id, *[f"silent.p{n}@there{n}.example"] * 2, f"there{n}.example", campaign.id, clock.now(),
            clock.now(),
        )  # fmt: skip
    await world.do("update mailfleet.campaigns set state = 'running', started_at = %s", clock.now())
    ids = [id for (id,) in await world.ask("select id from mailfleet.leads order by id")]
    await push.push(fleet, campaign.id, ids)
    async with fleet.db.connection() as db:
        world.campaigns = [await links.need(db, platform="smartlead", kind="campaign", ours=campaign.id)]
    await new.start_campaign(world.campaigns[0])
    return world


async def test_every_step_leaves_once_over_both_vendors(database: Any, outside: Sandbox) -> None:
    new, old = vendors(outside)
    try:
        world = await built(database, outside, new, old)
        outside.advance(days=2)
        world.clock.set(now(outside))
        saga, _ = await sagas_do.open_saga(
            world.fleet, migration_id=None, from_platform="smartlead", to_platform="forge", trigger="operator",
            reason="test", automatic=True,
        )  # fmt: skip
        for _ in range(200):
            action = await Executor(world.fleet, saga.id, pace=PACE, judge=stands).advance()
            if action.kind == "wait":
                outside.advance(seconds=1800)
                world.clock.set(now(outside))
            async with database.connection() as db:
                saga = await sagas.get(db, saga.id)
            if saga.ended_at:
                break
        outside.advance(days=20)
        log = [row for row in outside.log("sends") if row["lead_email"].startswith("silent.p")]
        assert saga.outcome == "done", action
        there = {row["lead_email"]: [] for row in log}
        for row in log:
            there[row["lead_email"]].append((row["platform"], row["step"]))
        # At the old vendor the steps that were left are counted anew.
        left = [("smartlead", 1), ("forge", 1), ("forge", 2)]
        assert there == {f"silent.p{n}@there{n}.example": left for n in range(LEADS)}
        assert {platform for _, platform, _ in await world.owners()} == {"forge"}
    finally:
        await new.close()
        await old.close()
