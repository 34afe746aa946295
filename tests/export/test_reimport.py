"""An archive of the Forge stack brought into a platform: into Smartlead, and back into Salesforge itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.conformance.conftest import Kept
from tests.sandbox_fixture import Sandbox

from mailfleet.clock import FixedClock
from mailfleet.errors import ExportError
from mailfleet.platforms.archive import Page
from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.forge_archive import ForgeArchive
from mailfleet.platforms.forge_export import ForgeExport
from mailfleet.platforms.shelves import ObjectShelf
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.policy.model import default_policy
from mailfleet.services import archives, clients, export, push, reimport, restored
from mailfleet.services.context import Fleet
from mailfleet.services.lead_rows import Options
from mailfleet.store.database import Database, tuples
from mailfleet.store.journal import PostgresJournal
from mailfleet.store.secrets import Kek, Vault
from mailfleet.vendors.salesforge.client import SalesforgeClient, get_salesforge_client
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit
from mailfleet.vendors.transport.transport import Means

pytestmark = pytest.mark.anyio
ANSWERS = {"timezone": "Europe/Berlin", "days": [1, 2, 3, 4, 5], "start_hour": 9, "end_hour": 17}
OPTIONS = Options(country="US", source="archive")
SEED = {"sequences": 2, "leads": 70, "fresh": 12, "mailboxes": 2, "days": 12, "status": "paused"}


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    running = Sandbox("--seed", "6", "--rate-limit", "100000", "--profile", "calm")
    running.control("POST", "/forge/seed", SEED)
    yield running
    running.close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Sandbox]:
    """The accounts that are moved to; Salesforge has the product that every sequence needs, and nobody in it."""
    running = Sandbox("--seed", "7", "--rate-limit", "100000", "--profile", "calm")
    running.control("POST", "/forge/seed", {"sequences": 1, "leads": 0, "mailboxes": 1, "days": 1, "status": "paused"})
    yield running
    running.close()


@pytest.fixture(params=["smartlead", "forge"])
async def fleet(
    database: Database, world: Sandbox, elsewhere: Sandbox, request: pytest.FixtureRequest
) -> AsyncIterator[Fleet]:
    clock = FixedClock(datetime.fromisoformat(world.control("GET", "/clock")["now"]).astimezone(UTC))
    journal = PostgresJournal(database, clock, actor="test")
    means = Means(journal=journal, budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    told = elsewhere.info["smartlead"]
    today = lambda: clock.now().date()  # noqa: E731
    urls = {"base_url": told["base_url"], "delivery_base_url": told["delivery_base_url"]}
    today = lambda: clock.now().date()  # noqa: E731
    target: SmartleadPlatform | ForgePlatform
    if request.param == "forge":
        target = ForgePlatform(core(elsewhere, means), hooks=Kept(), today=today)
    else:
        target = SmartleadPlatform(get_smartlead_client(told["api_key"], means, **urls))
    made = Fleet(
        db=database, clock=clock, policy=default_policy(), vault=Vault(Kek(bytes(32))),
        platforms={request.param: target}, dns_hosts={}, mailbox_hosts={}, channels={},
        names=None,  # type: ignore[arg-type]  # nothing here asks DNS
        suppression_key=b"k" * 32, default_platform=request.param, archives={"forge": ForgeArchive},
        sources={"forge": ForgeExport(core(world, means), None, None, _nothing, today=today)},
    )  # fmt: skip
    await clients.put_client(made, "agency-os", name="Agency OS")
    yield made
    for part in (*made.platforms.values(), *made.sources.values()):
        await part.close()


def core(world: Sandbox, means: Means) -> SalesforgeClient:
    info = world.info["salesforge"]
    urls = {"base_url": info["base_url"], "multichannel_base_url": info["multichannel_base_url"]}
    return get_salesforge_client(info["api_key"], means, rate=500, **urls)


async def _nothing(kind: str, start: str | None) -> AsyncIterator[Page]:
    yield Page(rows=[], next=None)


def salesforge(world: Sandbox, method: str, path: str, body: Any = None, **query: Any) -> Any:
    info = world.info["salesforge"]
    ws = world.http.get(info["base_url"] + "/workspaces", headers={"Authorization": info["api_key"]}).json()["data"][0]
    url = f"{info['base_url']}/workspaces/{ws['id']}{path}"
    answer = world.http.request(method, url, json=body, params=query, headers={"Authorization": info["api_key"]})
    assert answer.is_success, answer.text
    return answer.json()


def contacts(world: Sandbox) -> list[Any]:
    total = salesforge(world, "GET", "/contacts", limit=1)["total"]
    return [
        row
        for at in range(0, total, 100)
        for row in salesforge(world, "GET", "/contacts", limit=100, offset=at)["data"]
    ]


async def rows(fleet: Fleet, sql: Any) -> list[tuple[Any, ...]]:
    async with fleet.db.connection() as db:
        return list(await tuples(db, sql))


async def test_whom_nobody_wrote_to_is_brought_in_once_and_reaches_the_platform_past_every_refusal(
    fleet: Fleet, world: Sandbox, shelf: ObjectShelf, keys: Any
) -> None:
    seal, opener, _ = keys
    listed = contacts(world)
    waiting = [row["email"] for row in listed if [each["status"] for each in row["sequences"]] == ["none"]]
    refused = waiting[0]
    salesforge(world, "POST", "/dnc/bulk", {"dncs": [refused]})
    made = await export.run(fleet, fleet.sources["forge"], [shelf], seal)
    await archives.restore(fleet, shelf, made.prefix, opener)
    archive = await restored.find(fleet, made.prefix)

    asked = await reimport.run(fleet, archive, {}, OPTIONS)
    assert {each.planned.action for each in asked.campaigns} == {"asks"}
    answers = {each.planned.ref: ANSWERS for each in asked.campaigns}
    dry = await reimport.run(fleet, archive, answers, OPTIONS)
    assert await rows(fleet, "select 1 from mailfleet.campaigns union all select 1 from mailfleet.leads") == []
    assert (dry.new, dry.contacted) == (0, 0)
    assert sum(each.taken for each in dry.campaigns) == len(waiting) - 1
    assert sum(each.refused.get("vendor", 0) for each in dry.campaigns) >= 1
    assert dry.refusals["hard_bounce"] > 0 and all(each.in_the_middle > 0 for each in dry.campaigns)

    done = await reimport.run(fleet, archive, answers, OPTIONS, apply=True)
    before = sorted(await rows(fleet, "select email_norm, campaign_id from mailfleet.leads"))
    assert {email for email, _ in before} == set(waiting) - {refused}
    assert done.contacted > 0 and done.new == sum(done.refusals.values())
    again = await reimport.run(fleet, archive, answers, OPTIONS, apply=True)
    assert again.new == 0 and {each.planned.action for each in again.campaigns} == {"same"}
    assert sorted(await rows(fleet, "select email_norm, campaign_id from mailfleet.leads")) == before
    assert len(await rows(fleet, "select 1 from mailfleet.campaigns")) == SEED["sequences"]

    target = fleet.platforms[fleet.default_platform]
    for each in again.campaigns:
        assert each.planned.ours
        ids = [
            id
            for (id,) in await rows(fleet, f"select id from mailfleet.leads where campaign_id = '{each.planned.ours}'")
        ]
        pushed = await push.push(fleet, each.planned.ours, ids)
        assert pushed.added > 0 and pushed.added + pushed.refused == len(ids)
        assert (await push.push(fleet, each.planned.ours, ids)).added == 0
        ((ref,),) = await rows(
            fleet, "select ref from mailfleet.platform_links where kind = 'campaign' and "
            f"platform = '{target.name}' and ours = '{each.planned.ours}'",
        )  # fmt: skip
        inside = {lead.email async for lead in target.leads(ref)}
        assert len(inside) == pushed.added and refused not in inside
        assert (await target.campaign(ref)).state == "draft", "nothing is sent until a person starts it"


async def test_an_archive_of_a_platform_nobody_reads_is_refused_with_the_reason(
    fleet: Fleet, shelf: ObjectShelf, keys: Any
) -> None:
    seal, opener, _ = keys
    made = await export.run(fleet, fleet.sources["forge"], [shelf], seal)
    await archives.restore(fleet, shelf, made.prefix, opener)
    fleet.archives = {}
    with pytest.raises(ExportError, match="is not read here"):
        await reimport.run(fleet, await restored.find(fleet, made.prefix), {}, OPTIONS)
