"""The Forge adapter over real sockets against the sandbox, which was written from the documents apart from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sandbox_fixture import Sandbox
from tests.vendors.wires import caught

from mailfleet.errors import Conflict, NotAllowed
from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.port import CampaignSettings, MailboxSpec, NewLead, Schedule, Step, WarmupSettings
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.warmforge.client import get_warmforge_client

pytestmark = pytest.mark.anyio
DAILY = Schedule(timezone="UTC", days=(1, 2, 3, 4, 5, 6, 7), start_hour=8, end_hour=20)
STEPS = (
    Step(position=1, subject="Hi {{first_name}}", body="<p>one</p>", delay_days=0),
    Step(position=2, subject="", body="<p>two</p>", delay_days=2, variants=(("A", "s", "b"), ("B", "t", "c"))),
)


class Kept(dict[str, str]):
    async def keep(self, hook: str, secret: str) -> None:
        self[hook] = secret

    async def has(self, hook: str) -> bool:
        return hook in self


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    """One world for all: every test makes what it needs."""
    running = Sandbox("--seed", "1", "--profile", "calm")
    running.control("POST", "/forge/seed", {"sequences": 1, "leads": 60, "fresh": 5, "mailboxes": 2, "days": 40})
    yield running
    running.close()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
async def forge(world: Sandbox, journal: MemoryJournal) -> AsyncIterator[ForgePlatform]:
    means = Means(journal=journal, budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    core, warm = world.info["salesforge"], world.info["warmforge"]
    platform = ForgePlatform(
        get_salesforge_client(
            core["api_key"], means, base_url=core["base_url"], multichannel_base_url=core["multichannel_base_url"],
            rate=500,
        ),
        get_warmforge_client(warm["api_key"], means, base_url=warm["base_url"], rate=500),
        hooks=Kept(),
        today=lambda: datetime.fromisoformat(world.control("GET", "/clock")["now"]).astimezone(UTC).date(),
    )  # fmt: skip
    yield platform
    await platform.close()


async def every(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def running(forge: ForgePlatform, emails: list[str]) -> str:
    ref = await forge.create_campaign("Pilot", timezone="UTC")
    await forge.set_campaign(ref, schedule=DAILY, settings=CampaignSettings(track_opens=True))
    await forge.set_steps(ref, STEPS)
    await forge.set_campaign_mailboxes(ref, [box.ref for box in await every(forge.mailboxes()) if box.connected])
    if emails:
        await forge.add_leads(ref, [NewLead(email=email, first_name="Bo") for email in emails])
    return ref


async def test_a_sequence_reads_back_as_written_and_sends(forge: ForgePlatform, world: Sandbox) -> None:
    ref = await running(forge, ["silent.one@there.example", "replies-positive@there.example"])
    assert [step.position for step in await forge.steps(ref)] == [1, 2]
    assert (await forge.steps(ref))[1].variants == (("A", "s", "b"), ("B", "t", "c"))
    assert (await forge.campaign(ref)).state == "draft"
    await forge.start_campaign(ref)
    world.advance(days=4)
    assert (await forge.pulse(ref)).state in ("running", "completed")
    stats = await forge.stats(ref)
    assert (stats.sent, stats.replied) == (3, 1)
    sent = await every(forge.sent_messages(ref))
    assert sorted((one.email.split("@")[0], one.step) for one in sent) == [
        ("replies-positive", 1), ("silent.one", 1), ("silent.one", 2),
    ]  # fmt: skip
    assert [one.step for one in sent if one.replied_at] == [1]
    where = {one.email.split("@")[0]: (one.last_step, one.state) for one in await every(forge.positions(ref))}
    assert where == {"silent.one": (2, "completed"), "replies-positive": (1, "stopped")}
    lead = next(one for one in sent if one.replied_at)
    there = await forge.find_lead(lead.email)
    assert there and there[1] == [ref]
    history = await forge.history(ref, there[0])
    assert [entry.kind for entry in history] == ["sent", "reply"]


async def test_positions_say_nothing_of_steps_where_a_contact_has_one_row(forge: ForgePlatform, world: Sandbox) -> None:
    ref = await running(forge, ["silent.pos@there.example"])
    await forge.start_campaign(ref)
    world.advance(days=4)
    world.control("POST", "/forge/options", {"sending_data": "contact"})
    rows = await every(forge.positions(ref))
    messages = await every(forge.sent_messages(ref))
    world.control("POST", "/forge/options", {"sending_data": "email"})
    assert [(row.last_step, row.last_sent_at is not None) for row in rows] == [(None, True)]
    assert [message.step for message in messages] == [0]


async def test_no_lead_is_enrolled_twice(forge: ForgePlatform, world: Sandbox) -> None:
    ref = await running(forge, [])
    first = await forge.add_leads(ref, [NewLead(email="Once@there.example")])
    again = await forge.add_leads(ref, [NewLead(email="once@there.example"), NewLead(email="new@there.example")])
    assert set(first.added) == {"once@there.example"}
    assert (set(again.already_there), set(again.added)) == ({"once@there.example"}, {"new@there.example"})
    bad = await forge.add_leads(ref, [NewLead(email="no address"), NewLead(email="good@there.example")])
    assert (bad.invalid, set(bad.added)) == (("no address",), {"good@there.example"})
    world.control("POST", "/forge/options", {"lead_credits": 0})
    refused = await forge.add_leads(ref, [NewLead(email="broke@there.example")])
    world.control("POST", "/forge/options", {"lead_credits": None})
    assert refused.not_taken == ("broke@there.example",)
    assert (await forge.stats(ref)).leads["total"] == 3


@pytest.mark.parametrize("carried", [True, False])
async def test_members_are_found_with_their_state_either_way(
    forge: ForgePlatform, world: Sandbox, carried: bool
) -> None:
    ref = await running(forge, ["silent.m1@there.example", "silent.m2@there.example"])
    world.control("POST", "/forge/options", {"list_sequences": carried})
    found = await every(forge.leads(ref))
    world.control("POST", "/forge/options", {"list_sequences": True})
    assert sorted((lead.email, lead.state) for lead in found) == [
        ("silent.m1@there.example", "started"), ("silent.m2@there.example", "started"),
    ]  # fmt: skip


async def test_a_staged_campaign_sends_nothing_until_it_is_started(forge: ForgePlatform, world: Sandbox) -> None:
    boxes = [box.ref for box in await every(forge.mailboxes()) if box.connected]
    ref = await forge.stage(
        "rb-1-e1-pilot", remaining_steps=STEPS[1:], schedule=DAILY, settings=CampaignSettings(), mailbox_refs=boxes
    )
    await forge.add_leads(ref, [NewLead(email="silent.staged@there.example")])
    world.advance(days=3)
    assert await forge.pulse(ref) == type(await forge.pulse(ref))(state="draft", sent=0)
    await forge.start_campaign(ref)
    world.advance(days=1)
    assert (await forge.pulse(ref)).sent == 1
    burned = await forge.stage(
        "rb-1-e2-pilot", remaining_steps=STEPS, schedule=DAILY, settings=CampaignSettings(), mailbox_refs=boxes
    )
    await forge.discard(burned)
    assert burned not in [seen.ref for seen in await forge.campaigns()]


async def test_one_lead_is_stopped_by_its_address_and_goes_on_when_that_is_lifted(
    forge: ForgePlatform, world: Sandbox
) -> None:
    ref = await running(forge, ["silent.halt@there.example"])
    lead = (await every(forge.leads(ref)))[0]
    await forge.stop_lead(ref, lead.ref)
    assert (await every(forge.leads(ref)))[0].state == "blocked"
    assert "silent.halt@there.example" in await every(forge.blocked())
    await forge.unblock(["silent.halt@there.example", "never@there.example"])
    assert (await every(forge.leads(ref)))[0].state == "started"
    assert isinstance(await caught(forge.resume_lead(ref, lead.ref, delay_days=3)), NotAllowed)


async def test_mailboxes_are_joined_with_their_warmup_by_address(forge: ForgePlatform, world: Sandbox) -> None:
    box = next(box for box in await every(forge.mailboxes()) if box.warmup_enabled)
    assert box.reputation is not None and box.reputation > 80
    assert (await forge.find_mailbox(box.address.upper())) is not None
    applied = await forge.set_warmup(box.ref, WarmupSettings(enabled=True, per_day=40, rampup=3))
    assert applied.clamped == {"per_day": (40, 20)}
    assert (await forge.set_mailbox_limits(box.ref, daily_cap=0, min_gap_minutes=5)).clamped == {"daily_cap": (0, 1)}
    await forge.set_mailbox_limits(box.ref, daily_cap=40, min_gap_minutes=5)
    read = await forge.warmup(box.ref)
    assert read is not None and read.sent > 0 and sum(read.by_day.values()) == read.sent
    await forge.set_warmup(box.ref, WarmupSettings(enabled=False, per_day=0, rampup=0))
    assert (await forge.mailbox(box.ref)).warmup_enabled is False
    assert isinstance(await caught(forge.suspend_mailbox(box.ref, True)), NotAllowed)


async def test_a_mailbox_is_connected_at_both(forge: ForgePlatform, world: Sandbox) -> None:
    host = world.info["mailhost"]
    world.control("POST", "/mailhost/accounts", {"address": "new.box@forge-out-1.com", "password": "pw"})
    spec = MailboxSpec(
        address="new.box@forge-out-1.com", display_name="New Box", username="new.box@forge-out-1.com", password="pw",
        smtp_host=host["smtp_host"], smtp_port=host["smtp_port"], imap_host=host["imap_host"],
        imap_port=host["imap_port"], daily_cap=25,
    )  # fmt: skip
    ref = await forge.connect_mailbox(spec)
    seen = await forge.mailbox(ref)
    assert (seen.daily_cap, seen.warmup_enabled) == (25, False)
    assert isinstance(await caught(forge.connect_mailbox(spec)), Conflict)


async def test_hooks_are_registered_once_and_anew_when_the_secret_is_gone(
    forge: ForgePlatform, world: Sandbox, journal: MemoryJournal
) -> None:
    first = await forge.ensure_webhook("any", "http://127.0.0.1:9/hooks/t/forge")
    assert await forge.ensure_webhook("other", "http://127.0.0.1:9/hooks/t/forge") == first
    forge._hooks = Kept()
    again = await forge.ensure_webhook("any", "http://127.0.0.1:9/hooks/t/forge")
    assert set(again.split(",")).isdisjoint(first.split(","))
    assert "whsec_" not in str(journal.entries)
