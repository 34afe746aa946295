"""The authoritative and resolving servers, asked over real sockets (RFC 1034, 2308, 4592, 6891, 7208)."""

import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns.rcode import Rcode

from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.dns.views import flipped
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import DOMAIN, Cloud, Dns, Registrar

pytestmark = pytest.mark.anyio

EDGE = timedelta(minutes=6)
PARENT = timedelta(hours=5)
Later = Callable[[timedelta], None]


def values(message: dns.message.Message) -> list[str]:
    return sorted(item.to_text() for entry in message.answer for item in entry)


async def test_a_record_is_served_only_after_the_edge_has_it(cloud: Cloud, names: Dns, later: Later) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, {"type": "A", "name": "www", "content": "192.0.2.1"})

    early = await names.ask("nameservers", f"www.{DOMAIN}", "A")
    later(EDGE)
    late = await names.ask("nameservers", f"www.{DOMAIN}", "A")

    assert early.rcode() == Rcode.NXDOMAIN
    assert values(late) == ["192.0.2.1"]
    assert late.flags & dns.flags.AA
    assert not late.flags & dns.flags.RA


async def test_a_changed_record_is_served_as_before_until_the_edge_has_the_change(
    cloud: Cloud, names: Dns, later: Later
) -> None:
    zone = await cloud.zone()
    (record,) = await cloud.records(zone, {"type": "A", "name": "www", "content": "192.0.2.1"})
    later(EDGE)
    await cloud.call("PATCH", f"/zones/{zone['id']}/dns_records/{record['id']}", json={"content": "192.0.2.2"})

    early = await names.ask("nameservers", f"www.{DOMAIN}", "A")
    later(EDGE)
    late = await names.ask("nameservers", f"www.{DOMAIN}", "A")

    assert (values(early), values(late)) == (["192.0.2.1"], ["192.0.2.2"])


async def test_the_parent_refers_to_the_registrar_and_later_to_the_assigned_pair(
    cloud: Cloud, registrar: Registrar, names: Dns, later: Later
) -> None:
    zone = await cloud.zone()
    before = await names.ask("parent", DOMAIN, "NS")
    await registrar.delegate(zone)
    meanwhile = await names.ask("parent", f"_dmarc.{DOMAIN}", "TXT")
    later(PARENT)
    after = await names.ask("parent", DOMAIN, "NS")

    default = {"dns1.registrar-servers.com.", "dns2.registrar-servers.com."}
    assert {str(item) for item in before.authority[0]} == default
    assert {str(item) for item in meanwhile.authority[0]} == default
    assert sorted(str(item) for item in after.authority[0]) == [f"{server}." for server in zone["name_servers"]]
    assert not after.answer
    assert not after.flags & (dns.flags.AA | dns.flags.RA)


async def test_the_parent_denies_what_nobody_registered_and_has_no_ds(names: Dns, world: World) -> None:
    namecheap.register(world, DOMAIN)
    unknown = await names.ask("parent", "never-registered-mfdemo.com.au", "NS")
    signed = await names.ask("parent", DOMAIN, "DS")

    assert unknown.rcode() == Rcode.NXDOMAIN
    assert unknown.authority[0].name.to_text() == "com.au."
    assert signed.rcode() == Rcode.NOERROR
    assert not signed.answer
    assert signed.flags & dns.flags.AA


async def test_a_zone_that_is_not_delegated_is_invisible_to_resolvers(
    cloud: Cloud, registrar: Registrar, names: Dns, later: Later, mail_records: list[dict[str, Any]]
) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, *mail_records)
    later(EDGE)
    authoritative = await names.ask("nameservers", DOMAIN, "TXT")
    before = await names.ask("resolvers", f"_dmarc.{DOMAIN}", "TXT")
    await registrar.delegate(zone)
    later(PARENT)
    after = await names.ask("resolvers", f"_dmarc.{DOMAIN}", "TXT")

    assert values(authoritative) == ['"v=spf1 ip4:192.0.2.10 ~all"']
    assert before.rcode() == Rcode.NXDOMAIN
    assert values(after) == ['"v=DMARC1; p=quarantine"']
    assert after.flags & dns.flags.RA
    assert not after.flags & dns.flags.AA


async def test_a_delegation_to_servers_without_the_zone_is_lame(
    registrar: Registrar, names: Dns, world: World, later: Later
) -> None:
    namecheap.register(world, DOMAIN)
    await registrar.delegate({"name": DOMAIN, "name_servers": ["ns1.elsewhere-mfdemo.com", "ns2.elsewhere-mfdemo.com"]})
    later(PARENT)

    assert (await names.ask("resolvers", DOMAIN, "TXT")).rcode() == Rcode.SERVFAIL
    assert (await names.ask("nameservers", DOMAIN, "TXT")).rcode() == Rcode.REFUSED


async def test_resolvers_keep_denials_for_the_soa_minimum_and_answers_for_their_ttl(
    cloud: Cloud, registrar: Registrar, names: Dns, later: Later
) -> None:
    zone = await cloud.zone()
    await registrar.delegate(zone)
    later(PARENT)
    denied = await names.ask("resolvers", f"www.{DOMAIN}", "A")
    await cloud.records(zone, {"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 120})
    later(EDGE)
    still = await names.ask("resolvers", f"www.{DOMAIN}", "A")
    later(timedelta(minutes=30))
    found = await names.ask("resolvers", f"www.{DOMAIN}", "A")
    later(timedelta(seconds=50))
    aged = await names.ask("resolvers", f"www.{DOMAIN}", "A")

    assert denied.rcode() == still.rcode() == Rcode.NXDOMAIN
    assert denied.authority[0].ttl - still.authority[0].ttl == EDGE.total_seconds()
    assert (found.answer[0].ttl, aged.answer[0].ttl) == (120, 70)


async def test_nodata_nxdomain_and_empty_non_terminals_are_told_apart(cloud: Cloud, names: Dns, later: Later) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, {"type": "A", "name": "a.b", "content": "192.0.2.1"})
    later(EDGE)

    no_type = await names.ask("nameservers", f"a.b.{DOMAIN}", "TXT")
    between = await names.ask("nameservers", f"b.{DOMAIN}", "A")
    no_name = await names.ask("nameservers", f"c.{DOMAIN}", "A")

    assert [message.rcode() for message in (no_type, between, no_name)] == [0, 0, 3]
    assert all(message.authority[0].rdtype == dns.rdatatype.SOA for message in (no_type, between, no_name))
    assert not no_type.answer


async def test_wildcards_answer_below_them_and_not_beside_existing_names(
    cloud: Cloud, names: Dns, later: Later
) -> None:
    zone = await cloud.zone()
    posts = [{"type": "A", "name": "*.w", "content": "192.0.2.1"}, {"type": "TXT", "name": "x.w", "content": "here"}]
    await cloud.records(zone, *posts)
    later(EDGE)

    assert values(await names.ask("nameservers", f"q.w.{DOMAIN}", "A")) == ["192.0.2.1"]
    assert values(await names.ask("nameservers", f"x.w.{DOMAIN}", "A")) == []
    assert (await names.ask("nameservers", f"y.x.w.{DOMAIN}", "A")).rcode() == Rcode.NXDOMAIN


async def test_an_alias_is_followed_by_resolvers_and_only_named_by_the_authority(
    cloud: Cloud, registrar: Registrar, names: Dns, later: Later
) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, {"type": "CNAME", "name": "track", "content": "open.sleadtrack.com"})
    await registrar.delegate(zone)
    later(PARENT)

    authority = await names.ask("nameservers", f"track.{DOMAIN}", "A")
    resolver = await names.ask("resolvers", f"track.{DOMAIN}", "A")

    assert values(authority) == ["open.sleadtrack.com."]
    assert values(resolver) == ["192.0.2.20", "open.sleadtrack.com."]


async def test_a_proxied_alias_answers_with_addresses_of_the_proxy(cloud: Cloud, names: Dns, later: Later) -> None:
    zone = await cloud.zone()
    post = {"type": "CNAME", "name": "track", "content": "open.sleadtrack.com", "proxied": True}
    await cloud.records(zone, post)
    later(EDGE)

    assert values(await names.ask("nameservers", f"track.{DOMAIN}", "CNAME")) == []
    assert values(await names.ask("nameservers", f"track.{DOMAIN}", "A")) == ["198.51.100.10", "198.51.100.11"]


async def test_a_long_key_is_cut_over_udp_and_whole_over_tcp(
    cloud: Cloud, names: Dns, later: Later, dkim_key: str
) -> None:
    zone = await cloud.zone()
    name = f"s1._domainkey.{DOMAIN}"
    texts = [f"v=DKIM1; k=rsa; p={dkim_key}", f"v=DKIM1; k=rsa; n=old; p={dkim_key}"]
    await cloud.records(zone, *({"type": "TXT", "name": name, "content": text} for text in texts))
    later(EDGE)

    cut = await names.ask("nameservers", name, "TXT")
    wide = await names.ask("nameservers", name, "TXT", use_edns=0, payload=1232)
    whole = await names.ask("nameservers", name, "TXT", tcp=True)

    assert cut.flags & dns.flags.TC
    assert not wide.flags & dns.flags.TC
    assert wide.edns == 0
    assert sorted(b"".join(item.strings).decode() for item in whole.answer[0]) == sorted(texts)
    assert all(len(part) <= 255 for item in whole.answer[0] for part in item.strings)


async def test_a_corrupted_key_differs_in_one_character_and_fails_dkim(
    cloud: Cloud, registrar: Registrar, names: Dns, world: World, later: Later, mail_records: list[dict[str, Any]]
) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, *mail_records)
    await registrar.delegate(zone)
    later(PARENT)
    name = f"s1._domainkey.{DOMAIN}"
    right = values(await names.ask("nameservers", name, "TXT", tcp=True))
    good = dns_server.domain_auth(world, DOMAIN)
    dns_server.corrupt(world, DOMAIN)
    wrong = values(await names.ask("nameservers", name, "TXT", tcp=True))
    bad = dns_server.domain_auth(world, DOMAIN)
    dns_server.heal(world, DOMAIN)

    assert sum(one != other for one, other in zip(right[0], wrong[0], strict=True)) == 1
    assert (good.spf, good.dkim, good.dmarc) == (True, True, True)
    assert (bad.spf, bad.dkim, bad.dmarc) == (True, False, True)
    assert dns_server.domain_auth(world, DOMAIN) == good


@pytest.mark.parametrize("value", ['"v=spf1 ~all"', '"v=DKIM1; p="', '"v=DKIM1; p=AB"'])
def test_only_a_key_can_be_corrupted(value: str) -> None:
    assert len(flipped(value)) == len(value)
    assert (flipped(value) != value) == ("p=AB" in value)


@pytest.mark.parametrize(
    ("content", "passes"),
    [
        ("v=spf1 ip4:192.0.2.10 ~all", True),
        ("v=spf1 include:_spf.mail.sandbox.example ~all", True),
        ("v=spf1 a:mail.sandbox.example -all", True),
        ("v=spf1 mx -all", True),
        ("v=spf1 redirect=_spf.mail.sandbox.example", True),
        ("v=spf1 ip4:198.51.100.1 ~all", False),
        ("v=spf1 ip4:192.0.2.10ip4:198.51.100.1 ~all", False),
        ("v=spf1 include:_spf.smartlead.ai ip4:192.0.2.10 ~all", False),
        ("v=spf1 a:one.sandbox.example a:two.sandbox.example a:three.sandbox.example ip4:192.0.2.10 ~all", False),
        ("v=spf1 " + "exists:open.sleadtrack.com " * 11 + "ip4:192.0.2.10 -all", False),
    ],
)
async def test_spf_is_judged_as_a_receiver_does(
    cloud: Cloud, registrar: Registrar, world: World, later: Later, content: str, passes: bool
) -> None:
    zone = await cloud.zone()
    mx = {"type": "MX", "name": DOMAIN, "content": "mail.sandbox.example", "priority": 10}
    await cloud.records(zone, mx, {"type": "TXT", "name": DOMAIN, "content": content})
    await registrar.delegate(zone)
    later(PARENT)

    assert dns_server.domain_auth(world, DOMAIN).spf is passes


async def test_two_spf_records_fail(cloud: Cloud, registrar: Registrar, world: World, later: Later) -> None:
    zone = await cloud.zone()
    texts = ("v=spf1 ip4:192.0.2.10 ~all", "v=spf1 ip4:192.0.2.10 -all")
    await cloud.records(zone, *({"type": "TXT", "name": DOMAIN, "content": text} for text in texts))
    await registrar.delegate(zone)
    later(PARENT)

    assert not dns_server.domain_auth(world, DOMAIN).spf


async def test_the_hosts_that_records_point_to_resolve(names: Dns) -> None:
    assert values(await names.ask("resolvers", "mail.sandbox.example", "A")) == ["192.0.2.10"]
    assert values(await names.ask("resolvers", "open.sleadtrack.com", "A")) == ["192.0.2.20"]
    assert values(await names.ask("resolvers", "ada.ns.cloudflare.com", "A")) == ["192.0.2.53"]
    reports = f"{DOMAIN}._report._dmarc.sandbox.example"
    assert values(await names.ask("resolvers", reports, "TXT")) == ['"v=DMARC1"']


async def test_transfers_other_classes_and_other_operations_are_refused(names: Dns) -> None:
    assert (await names.ask("nameservers", DOMAIN, "AXFR", tcp=True)).rcode() == Rcode.REFUSED
    assert (await names.ask("nameservers", DOMAIN, "A", rdclass="CH")).rcode() == Rcode.REFUSED


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\x12\x34" + b"\xff" * 40, b"\x12\x34\x01\x00\x00\x01" + b"\x00" * 6])
async def test_junk_gets_an_error_or_silence_and_the_server_goes_on(names: Dns, junk: bytes) -> None:
    host, port = names.servers.nameservers.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(junk, (host, int(port)))

    assert values(await names.ask("nameservers", "mail.sandbox.example", "A")) == ["192.0.2.10"]


async def test_one_tcp_connection_answers_several_questions(names: Dns) -> None:
    host, port = names.servers.nameservers.split(":")
    query = dns.message.make_query("mail.sandbox.example", "A").to_wire()
    framed = len(query).to_bytes(2, "big") + query

    def twice() -> list[int]:
        sizes: list[int] = []
        with socket.create_connection((host, int(port)), timeout=5) as sock, sock.makefile("rb") as stream:
            for _ in range(2):
                sock.sendall(framed)
                sizes.append(len(stream.read(int.from_bytes(stream.read(2), "big"))))
        return sizes

    assert len(set(await asyncio.to_thread(twice))) == 1


async def test_the_servers_of_a_domain_can_be_made_to_fail(names: Dns, world: World) -> None:
    namecheap.register(world, DOMAIN)
    dns_server.break_servers(world, DOMAIN, "servfail")
    failed = await names.ask("resolvers", f"_dmarc.{DOMAIN}", "TXT")
    dns_server.break_servers(world, DOMAIN, "silent")
    query = dns.message.make_query(DOMAIN, "TXT").to_wire()
    silence = dns_server.respond(
        world, "parent", lambda name, kind: dns_server.resolve(world, name, kind), query, "udp"
    )
    dns_server.break_servers(world, DOMAIN, None)

    assert failed.rcode() == Rcode.SERVFAIL
    assert silence is None
    assert (await names.ask("resolvers", DOMAIN, "A")).rcode() == Rcode.NOERROR


async def test_the_mailbox_companies_spf_records_resolve(names: Dns) -> None:
    for name in ("_spf.google.com", "_netblocks.google.com", "spf.protection.outlook.com"):
        assert values(await names.ask("resolvers", name, "TXT"))[0].startswith('"v=spf1 ')
