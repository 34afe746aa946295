"""A Forge account with a past, taken over into a fleet whose platform is Smartlead: both spoken to over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conformance.conftest import Kept
from tests.sandbox_fixture import Sandbox

from mailfleet.clock import FixedClock
from mailfleet.errors import NotAllowed
from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.policy.model import default_policy
from mailfleet.services import baseline, campaign_import, clients, merged, samples, suppression
from mailfleet.services.context import Fleet
from mailfleet.store.database import Database, tuples
from mailfleet.store.journal import PostgresJournal
from mailfleet.store.secrets import Kek, Vault
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.warmforge.client import get_warmforge_client

pytestmark = pytest.mark.anyio
ANSWERS = {"timezone": "Europe/Berlin", "days": [1, 2, 3, 4, 5], "start_hour": 9, "end_hour": 17}


@pytest.fixture(scope="module")
def outside() -> Iterator[Sandbox]:
    running = Sandbox("--seed", "3", "--rate-limit", "100000", "--profile", "calm")
    running.control("POST", "/forge/seed", {"sequences": 4, "leads": 300, "fresh": 10, "mailboxes": 2, "days": 90})
    yield running
    running.close()


@pytest.fixture
async def fleet(database: Database, outside: Sandbox) -> AsyncIterator[Fleet]:
    clock = FixedClock(datetime.fromisoformat(outside.control("GET", "/clock")["now"]).astimezone(UTC))
    journal = PostgresJournal(database, clock, actor="test")
    means = Means(journal=journal, budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    told, core, warm = (outside.info[name] for name in ("smartlead", "salesforge", "warmforge"))
    urls = {"base_url": told["base_url"], "delivery_base_url": told["delivery_base_url"]}
    more = {"base_url": core["base_url"], "multichannel_base_url": core["multichannel_base_url"]}
    forge = ForgePlatform(
        get_salesforge_client(core["api_key"], means, rate=500, **more),
        get_warmforge_client(warm["api_key"], means, base_url=warm["base_url"], rate=500),
        hooks=Kept(),
        today=lambda: clock.now().date(),
    )
    made = Fleet(
        db=database,
        clock=clock,
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={
            "smartlead": SmartleadPlatform(get_smartlead_client(told["api_key"], means, **urls)),
            "forge": forge,
        },
        dns_hosts={},
        mailbox_hosts={},
        channels={},
        names=None,  # type: ignore[arg-type]
        suppression_key=b"k" * 32,
    )
    await clients.put_client(made, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    yield made
    for platform in made.platforms.values():
        await platform.close()


async def rows(fleet: Fleet, sql: Any) -> list[tuple[Any, ...]]:
    async with fleet.db.connection() as db:
        return list(await tuples(db, sql))


async def test_the_baseline_counts_what_the_vendor_counts_and_is_kept(fleet: Fleet, outside: Sandbox) -> None:
    taken = await baseline.take(fleet, "forge")
    state = outside.control("GET", "/forge/state")
    assert taken.sent == state["mails"]
    assert taken.campaigns == len(state["sequences"])
    by_campaign = await baseline.rates(fleet, "forge", "campaign")
    assert {row["campaign"]: row["sent"] for row in by_campaign} == {
        one["name"]: one["sent"] for one in state["sequences"] if one["sent"]
    }
    replied = sum(int(str(row["replied"])) for row in by_campaign)
    bounced = sum(int(str(row["bounced"])) for row in by_campaign)
    assert 0.03 < replied / 1160 < 0.12 and 0.005 < bounced / 1160 < 0.05
    assert {row["provider"] for row in await baseline.rates(fleet, "forge", "provider")} == {
        "google", "microsoft", "yahoo", "own domain",
    }  # fmt: skip
    assert len(await baseline.rates(fleet, "forge", "week")) >= 12
    assert taken.reply_rho is not None and taken.fitted["replied"]["clusters"] > 10
    shares = list(taken.reply_curve["shares"].values())
    assert shares == sorted(shares) and taken.reply_curve["answers"] > 20 and shares[-1] > 0.9


async def test_sequences_are_asked_about_then_made_once_in_both_places(fleet: Fleet, outside: Sandbox) -> None:
    asked = [each for _, each in await campaign_import.plan(fleet, "forge", {})]
    assert {each.action for each in asked} == {"asks"}
    assert {each.asked for each in asked} == {("timezone", "days", "start_hour", "end_hour")}
    assert "only 'Hello' is kept" in " ".join(asked[0].lost) and "not ours yet" in asked[0].lost[-1]
    ref = asked[0].ref
    answers = {ref: ANSWERS, **{each.ref: {"skip": True} for each in asked[1:]}}
    planned = [each for _, each in await campaign_import.plan(fleet, "forge", answers)]
    assert [each.action for each in planned] == ["create", "skip", "skip", "skip"]
    assert planned[0].differences == ("new campaign",)
    assert not await rows(fleet, "select 1 from mailfleet.campaigns")
    done = await campaign_import.apply(fleet, "forge", planned)
    assert [each.ref for each in done] == [ref]
    there = fleet.platforms["smartlead"]
    made = await rows(
        fleet, "select ref from mailfleet.platform_links where kind = 'campaign' and platform = 'smartlead'"
    )
    steps = await there.steps(made[0][0])
    source = await fleet.platforms["forge"].steps(ref)
    assert [step.delay_days for step in steps] == [step.delay_days for step in source]
    assert [form[1] for form in steps[0].variants] == ["Hello {{first_name}}", "Quick one, {{first_name}}"]
    again = [each for _, each in await campaign_import.plan(fleet, "forge", answers)]
    assert (again[0].action, again[0].differences) == ("same", ())
    await campaign_import.apply(fleet, "forge", again)
    assert len(await rows(fleet, "select 1 from mailfleet.campaigns")) == 1
    late = [
        each for _, each in await campaign_import.plan(fleet, "forge", {**answers, ref: {**ANSWERS, "end_hour": 16}})
    ]
    assert late[0].action == "differs" and late[0].differences == ("schedule.end_hour: 17 → 16",)
    with pytest.raises(NotAllowed):
        await campaign_import.apply(fleet, "smartlead", again)


async def test_refusals_of_the_other_platform_are_ours_but_not_what_we_put_there(fleet: Fleet) -> None:
    forge = fleet.platforms["forge"]
    await forge.block(["ours@stopped.example"])
    core = forge.core  # type: ignore[attr-defined]
    ws = await forge.workspace()  # type: ignore[attr-defined]
    await core.people.add_dnc(ws, ["theirs@refused.example"])
    async with fleet.db.connection() as db:
        await db.execute("delete from mailfleet.journal where strpos(match::text, 'theirs') > 0")
    seen = await merged.suppressions(fleet, "forge", apply=False)
    assert seen["new"] == 0 and seen["ours"] == 1 and seen["reasons"]["vendor"] == 1
    done = await merged.suppressions(fleet, "forge", apply=True)
    assert done["new"] == sum(done["reasons"].values())
    assert await suppression.find(fleet, "theirs@refused.example") is not None
    assert await suppression.find(fleet, "ours@stopped.example") is None
    assert (await merged.suppressions(fleet, "forge", apply=True))["new"] == 0


async def test_whoever_was_met_there_was_met(fleet: Fleet, outside: Sandbox) -> None:
    told = await merged.contacted(fleet, "forge")
    met = await rows(fleet, "select count(*), max(last_at) from mailfleet.contacts where kind = 'address'")
    assert met[0][0] > 1000 and told["contacted"] >= met[0][0]
    await merged.contacted(fleet, "forge")
    assert await rows(fleet, "select count(*), max(last_at) from mailfleet.contacts where kind = 'address'") == met


async def test_what_no_vendor_keeps_is_sampled_daily_with_placement_and_lead_states(fleet: Fleet) -> None:
    forge = {"forge": fleet.platforms["forge"]}
    fleet = replace(fleet, platforms=forge)
    assert (await samples.sample(fleet))["errors"] == []
    await samples.sample(fleet)  # the same day again replaces
    assert isinstance(fleet.clock, FixedClock)
    fleet.clock = FixedClock(fleet.clock.now() + timedelta(days=1))
    await samples.sample(fleet)
    told = [row async for page in samples.history(fleet.db)("forge", None) for row in page.rows]
    by_kind: dict[str, list[Any]] = {}
    for row in told:
        by_kind.setdefault(row["kind"], []).append(row)
    assert {kind: len({row["day"] for row in found}) for kind, found in by_kind.items()} == {
        "mailbox": 2, "campaign": 2, "placement": 2,
    }  # fmt: skip
    assert all(0 <= row["sample"]["reputation"] <= 100 for row in by_kind["mailbox"])
    assert all(row["sample"]["sent"] == row["sample"]["inbox"] + row["sample"]["spam"] for row in by_kind["placement"])
    newest = by_kind["campaign"][-1]["sample"]
    assert newest["leads"]["finished"] > 0 and newest["leads"]["bounced"] == newest["bounced"] > 0


async def test_dead_addresses_of_the_other_platform_are_refusals_and_passing_troubles_are_not(fleet: Fleet) -> None:
    forge = fleet.platforms["forge"]
    gone = {mail.email async for mail in _bounces(forge)}
    done = await merged.suppressions(fleet, "forge", apply=True)
    assert gone and done["reasons"]["hard_bounce"] == len(gone)
    for email in gone:
        found = await suppression.find(fleet, email)
        assert found is not None and found.reason == "hard_bounce"
    assert merged.dead("550 5.1.1 no such user") and merged.dead("")
    assert not merged.dead("452 4.2.2 The email account that you tried to reach is over quota")


async def _bounces(platform: Any) -> AsyncIterator[Any]:
    for campaign in await platform.campaigns():
        async for mail in platform.sent_messages(campaign.ref):
            if mail.bounced:
                yield mail


async def test_the_baseline_is_read_anew_by_its_schedule_for_the_platform_that_is_left_alone(fleet: Fleet) -> None:
    assert await baseline.scheduled(fleet) == {"taken": 1, "errors": []}
    assert await rows(fleet, "select distinct platform from mailfleet.baselines") == [("forge",)]
