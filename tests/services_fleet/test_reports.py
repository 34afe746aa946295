"""DMARC reports: asked for where the policy says so, and let through where they go to another domain."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.errors import PolicyError
from mailfleet.flows import shell
from mailfleet.flows.domain_setup import smartlead_domain_setup_flow
from mailfleet.services import clients, domains

pytestmark = pytest.mark.anyio
SENDER, REPORTS = "brightwater-mailfleet-demo.com", "reports-mailfleet-demo.com"
LEAVE = f"{SENDER}._report._dmarc.{REPORTS}"


async def set_up(world: Any, domain: str) -> dict[str, Any]:
    world.everyone_sees()
    with shell.using(world.fleet):
        return await shell.plain(smartlead_domain_setup_flow, domain, 1)


async def report_to(world: Any, address: str) -> None:
    async with world.fleet.db.connection() as db:
        client = await clients.the_client(db, None)
    await clients.set_policy(world.fleet, client, {"dns": {"report_address": address}})


async def published(world: Any) -> dict[str, str]:
    return dict(await world.ask("select name, desired from mailfleet.dns_records where purpose in ('dmarc', 'report')"))


async def test_without_an_address_nobody_is_asked_to_report(world: Any) -> None:
    await set_up(world, SENDER)
    assert await published(world) == {f"_dmarc.{SENDER}": "v=DMARC1; p=quarantine"}


async def test_reports_to_the_domain_itself_need_no_leave(world: Any) -> None:
    await report_to(world, f"dmarc@{SENDER}")
    await set_up(world, SENDER)
    assert await published(world) == {f"_dmarc.{SENDER}": f"v=DMARC1; p=quarantine; rua=mailto:dmarc@{SENDER}"}


async def test_leave_is_written_into_the_zone_of_a_domain_of_ours(world: Any) -> None:
    await set_up(world, REPORTS)
    await report_to(world, f"dmarc@{REPORTS}")
    assert (await set_up(world, SENDER))["state"] == "verified"
    assert (await published(world))[LEAVE] == "v=DMARC1"
    written = [(each.name, each.content) for each in world.dns.records_[f"zone-{REPORTS}"] if "_report" in each.name]
    assert written == [(LEAVE, "v=DMARC1")]
    await set_up(world, SENDER)
    assert sum("_report" in each.name for each in world.dns.records_[f"zone-{REPORTS}"]) == 1
    assert (await domains.verify(world.fleet, REPORTS)).verified
    assert await world.ask("select outcome from mailfleet.dns_records where purpose = 'report'") == [("match",)]
    assert await world.ask("select count(*) from mailfleet.alerts where kind = 'dmarc_reports'") == [(0,)]


async def test_a_person_is_told_once_what_to_publish_elsewhere(world: Any) -> None:
    await report_to(world, "dmarc@elsewhere-mfdemo.com")
    assert (await set_up(world, SENDER))["state"] == "verified"
    await set_up(world, SENDER)
    told = await world.ask("select body from mailfleet.alerts where kind = 'dmarc_reports'")
    assert told == [(f'Publish at elsewhere-mfdemo.com: {SENDER}._report._dmarc.elsewhere-mfdemo.com TXT "v=DMARC1".',)]


@pytest.mark.parametrize("address", ["nobody", "a@b", "a@b.com, c@d.com", "a@b.com; p=none", "a@b.com!10m"])
async def test_an_address_that_would_spoil_the_record_is_no_policy(world: Any, address: str) -> None:
    with pytest.raises(PolicyError, match=r"dns\.report_address"):
        await report_to(world, address)
