"""Flow 1: idempotent, honest about what is missing, and never ahead of DNS."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.errors import BadFile, NotAllowed, Unknown
from mailfleet.flows import shell
from mailfleet.flows.domain_setup import mailfleet_dns_check_flow, smartlead_domain_setup_flow
from mailfleet.platforms.ports import ZoneRecord
from mailfleet.services import clients, domains, holds

pytestmark = pytest.mark.anyio
DOMAIN = "brightwater-mailfleet-demo.com"


async def set_up(world: Any, **given: Any) -> dict[str, Any]:
    with shell.using(world.fleet):
        return await shell.plain(smartlead_domain_setup_flow, domain=DOMAIN, **given)


async def check(world: Any) -> dict[str, Any]:
    with shell.using(world.fleet):
        return await shell.plain(mailfleet_dns_check_flow)


async def test_everything_visible_at_once_sets_up_and_warms(world: Any) -> None:
    world.everyone_sees()
    result = await set_up(world)
    assert result == {
        "success": True,
        "domain": DOMAIN,
        "mailboxes_created": 2,
        "dns_configured": True,
        "warmup_enabled": True,
        "estimated_ready_date": "2026-03-16",
        "errors": [],
        "state": "verified",
        "waiting_for": result["waiting_for"],
        "mailboxes": [f"ann.lee@{DOMAIN}", f"bo.ek@{DOMAIN}"],
        "zone_id": f"zone-{DOMAIN}",
    }
    assert [box.warm for box in world.platform.boxes.values()] == [True, True]
    assert {box.per_day for box in world.platform.boxes.values()} == {5}


async def test_a_second_run_changes_nothing(world: Any) -> None:
    world.everyone_sees()
    first = await set_up(world)
    connects, batches = world.platform.connects, world.dns.batches
    again = await set_up(world)
    assert {**again, "waiting_for": []} == {**first, "waiting_for": []}
    assert (world.platform.connects, world.dns.batches) == (connects, batches) == (2, 1)


async def test_warm_up_waits_for_dns_and_the_scheduled_check_begins_it(world: Any) -> None:
    result = await set_up(world)
    assert (result["success"], result["warmup_enabled"], result["state"]) == (True, False, "verifying")
    assert not any(box.warm for box in world.platform.boxes.values())
    assert (await check(world))["pending"]
    world.everyone_sees()
    assert (await check(world))["verified"] == [DOMAIN]
    assert all(box.warm for box in world.platform.boxes.values())
    assert (await check(world))["checked"] == 0


async def test_no_resolver_is_asked_before_the_zones_own_servers_agree(world: Any) -> None:
    await set_up(world)
    world.dns.delegated = True
    await check(world)
    assert world.dns.asked_resolvers == 0
    world.dns.visible["authoritative"] = True
    await check(world)
    assert world.dns.asked_resolvers > 0
    assert await world.ask("select state from mailfleet.domains") == [("verifying",)]


async def test_one_wrong_byte_in_the_key_leaves_it_verifying(world: Any) -> None:
    world.everyone_sees()
    world.dns.corrupt = "_domainkey"
    result = await set_up(world)
    assert (result["state"], result["warmup_enabled"]) == ("verifying", False)
    assert await world.ask("select purpose from mailfleet.dns_records where outcome <> 'match'") == [("dkim",)]


async def test_servers_that_are_not_authoritative_do_not_count(world: Any) -> None:
    world.everyone_sees()
    world.dns.foreign_servers = True
    assert (await set_up(world))["state"] == "verifying"


async def test_silence_overwrites_no_good_evidence(world: Any) -> None:
    world.everyone_sees()
    await set_up(world)
    world.dns.silent = True
    verdict = await domains.verify(world.fleet, DOMAIN)
    assert not verdict.verified
    assert await world.ask("select distinct outcome from mailfleet.dns_records") == [("match",)]
    assert await world.ask("select state, last_good ? 'delegation' from mailfleet.domains") == [("verified", True)]


async def test_after_48_hours_an_alert_tells_once_and_it_stays_verifying(world: Any) -> None:
    await set_up(world)
    world.days_pass(2.1)
    await check(world)
    await check(world)
    assert await world.ask("select count(*) from mailfleet.alerts where kind = 'dns_overdue'") == [(1,)]
    assert await world.ask("select state from mailfleet.domains") == [("verifying",)]


async def test_a_given_zone_is_adopted_only_if_it_is_the_domains_own(world: Any) -> None:
    other = await world.dns.create_zone("other-mailfleet-demo.com")
    result = await set_up(world, cloudflare_zone_id=other.ref)
    assert not result["success"]
    assert "not of" in result["errors"][0]
    own = await world.dns.create_zone(DOMAIN)
    assert (await set_up(world, cloudflare_zone_id=own.ref))["zone_id"] == own.ref
    assert len(world.dns.zones) == 2


async def test_nobody_is_invented(world: Any) -> None:
    result = await set_up(world, mailbox_count=5)
    assert (result["success"], result["mailboxes_created"]) == (False, 3)
    assert "mailfleet mailbox personas" in result["errors"][0]


async def test_one_failed_mailbox_makes_it_no_success_and_the_next_run_heals_it(world: Any) -> None:
    world.everyone_sees()
    world.platform.refuses = {f"bo.ek@{DOMAIN}"}
    result = await set_up(world)
    assert (result["success"], result["mailboxes_created"], len(result["errors"])) == (False, 1, 1)
    assert await world.ask("select state, error_retries from mailfleet.mailboxes order by address") == [
        ("WARMING", 0),
        ("ERROR", 1),
    ]
    world.platform.refuses = set()
    result = await set_up(world)
    assert (result["success"], result["warmup_enabled"], result["mailboxes_created"]) == (True, True, 2)
    assert await world.ask("select distinct state from mailfleet.mailboxes") == [("WARMING",)]


@pytest.mark.parametrize(("outcome", "made"), [("made", 2), ("lost", 0)])
async def test_a_create_without_an_answer_is_settled_by_looking(world: Any, outcome: str, made: int) -> None:
    world.platform.ambiguous = outcome
    result = await set_up(world)
    assert result["mailboxes_created"] == made
    assert len(world.platform.boxes) == made
    assert world.platform.connects == 2


async def test_spf_that_stands_is_merged_and_its_text_kept(world: Any) -> None:
    zone = await world.dns.create_zone(DOMAIN)
    standing = [
        ZoneRecord(type="TXT", name=DOMAIN, content="v=spf1 ip4:198.51.100.7 -all", ref="old"),
        ZoneRecord(type="TXT", name=DOMAIN, content="google-site-verification=abc", ref="foreign"),
    ]
    world.dns.records_[zone.ref] = standing
    await set_up(world)
    kept = {record.ref: record.content for record in world.dns.records_[zone.ref]}
    assert kept["old"] == "v=spf1 ip4:198.51.100.7 ip4:192.0.2.10 -all"
    assert kept["foreign"] == "google-site-verification=abc"
    previous = await world.ask("select previous from mailfleet.dns_records where purpose = 'spf'")
    assert previous == [("v=spf1 ip4:198.51.100.7 -all",)]


async def test_two_spf_records_are_refused_not_guessed(world: Any) -> None:
    zone = await world.dns.create_zone(DOMAIN)
    world.dns.records_[zone.ref] = [
        ZoneRecord(type="TXT", name=DOMAIN, content=f"v=spf1 ip4:198.51.100.{n} -all", ref=str(n)) for n in (1, 2)
    ]
    result = await set_up(world)
    assert (result["success"], result["dns_configured"], world.dns.batches) == (False, False, 0)


async def test_a_registrar_of_ours_is_told_and_else_a_person_is(world: Any) -> None:
    result = await set_up(world)
    assert "nameservers" in result["waiting_for"][0]
    assert await world.ask("select kind from mailfleet.alerts") == [("nameservers",)]
    world.registrar.domains[DOMAIN] = ["old.registrar.test"]
    await set_up(world)
    assert world.registrar.domains[DOMAIN] == ["a.ns.test", "b.ns.test"]


async def test_a_key_that_comes_later_is_waited_for(world: Any) -> None:
    world.everyone_sees()
    world.host.issued = False
    result = await set_up(world)
    assert (result["state"], result["warmup_enabled"]) == ("awaiting_key", False)
    dmarc = await world.ask("select desired from mailfleet.dns_records where purpose = 'dmarc'")
    assert dmarc == [("v=DMARC1; p=none",)]
    assert (await check(world))["pending"] == {DOMAIN: ["the mailbox host has not issued the DKIM key yet"]}
    world.host.issued = True
    assert (await check(world))["verified"] == [DOMAIN]


async def test_the_key_is_made_once_and_kept_encrypted(world: Any) -> None:
    await set_up(world)
    await set_up(world)
    assert await world.ask("select count(*), count(secret_id) from mailfleet.dkim_keys") == [(1, 1)]
    secrets = await world.ask(
        "select count(*) from mailfleet.secrets where position('PEM' in encode(ciphertext, 'escape')) > 0"
    )
    assert secrets == [(0,)]


async def test_a_login_that_does_not_work_connects_nothing(world: Any) -> None:
    world.host.knows_login = False
    result = await set_up(world)
    assert (result["mailboxes_created"], world.platform.connects) == (0, 0)
    assert "login refused" in result["errors"][0]


async def test_a_domain_serves_one_client(world: Any) -> None:
    await set_up(world, client_id="agency-os")
    await clients.put_client(world.fleet, "other", name="Other")
    with pytest.raises(NotAllowed, match="another client"):
        await set_up(world, client_id="other", mailbox_count=0)
    with pytest.raises(Unknown, match="Which client"):
        await set_up(world)


@pytest.mark.parametrize("name", ["", "com", "www.example.com", "exa mple.com", "co.uk", "..", "x" * 70 + ".com"])
def test_only_a_registrable_domain_is_taken(name: str) -> None:
    with pytest.raises(BadFile):
        domains.clean_name(name)


@pytest.mark.parametrize(
    ("given", "taken"), [("Example.COM.", "example.com"), ("bücher.de", "xn--bcher-kva.de"), (" a.com.au ", "a.com.au")]
)
def test_names_are_brought_into_one_form(given: str, taken: str) -> None:
    assert domains.clean_name(given) == taken


async def test_two_at_once_make_one_set_of_mailboxes(world: Any) -> None:
    async with world.fleet.db.single_flight(f"domain:{DOMAIN}"):
        result = await set_up(world)
    assert (result["skipped"], result["success"], world.platform.connects) == (True, False, 0)


async def test_each_run_leaves_a_row(world: Any) -> None:
    result = await set_up(world)
    rows = await world.ask(
        "select flow, result, error, finished_at is not null, parameters->>'domain' from mailfleet.flow_results"
    )
    assert rows == [("smartlead_domain_setup", result, "", True, DOMAIN)]
    assert await world.ask("select count(*) from mailfleet.audit where action = 'provisioning'") == [(1,)]


async def test_a_run_that_raises_leaves_its_error(world: Any) -> None:
    with pytest.raises(BadFile), shell.using(world.fleet):
        await shell.plain(smartlead_domain_setup_flow, domain="not a domain")
    assert (await world.ask("select left(error, 4) from mailfleet.flow_results")) == [("C103",)]


async def test_records_that_change_later_stop_campaign_mail_until_they_are_right_again(world: Any) -> None:
    world.everyone_sees()
    await set_up(world)
    world.days_pass(0.01)
    assert (await check(world))["rechecked"] == 0
    world.dns.corrupt = "_domainkey"
    world.days_pass(0.1)
    assert (await check(world))["drifted"] == [DOMAIN]
    assert all(box.suspended and box.warm for box in world.platform.boxes.values())
    assert await world.ask("select state from mailfleet.domains") == [("verifying",)]
    assert await world.ask("select kind from mailfleet.alerts where kind ~ '^dns'") == [("dns_drift",)]
    world.days_pass(0.1)
    await check(world)
    assert await world.ask("select count(*) from mailfleet.holds where scope = 'domain'") == [(1,)]
    world.dns.corrupt = ""
    assert (await check(world))["verified"] == [DOMAIN]
    assert not any(box.suspended for box in world.platform.boxes.values())
    assert await world.ask("select resolved_at is not null from mailfleet.alerts where kind = 'dns_drift'") == [(True,)]


async def test_a_lost_delegation_is_a_drift_and_silence_is_none(world: Any) -> None:
    world.everyone_sees()
    await set_up(world)
    world.days_pass(1)
    world.dns.silent = True
    assert (await check(world))["drifted"] == []
    world.dns.silent, world.dns.delegated = False, False
    world.days_pass(0.1)
    assert (await check(world))["drifted"] == [DOMAIN]


async def test_a_green_look_lets_go_of_no_other_hold(world: Any) -> None:
    world.everyone_sees()
    await set_up(world)
    id = (await world.ask("select id from mailfleet.domains"))[0][0]
    await holds.pause(world.fleet, "domain", str(id), "by hand", "person:ann", "person")
    world.dns.corrupt = "_dmarc"
    world.days_pass(1)
    world.dns.delegated = False
    await check(world)
    world.everyone_sees()
    world.dns.corrupt = ""
    await check(world)
    assert await world.ask("select actor_kind from mailfleet.holds where released_at is null") == [("person",)]
    assert all(box.suspended for box in world.platform.boxes.values())


async def test_records_of_our_own_that_are_on_their_way_are_no_drift(world: Any) -> None:
    world.everyone_sees()
    await set_up(world)
    world.days_pass(1)
    await world.do("update mailfleet.dns_records set written_at = %s where purpose = 'dmarc'", world.clock.now())
    world.dns.delegated = False
    await domains.verify(world.fleet, DOMAIN)
    assert await world.ask("select count(*) from mailfleet.holds") == [(0,)]
