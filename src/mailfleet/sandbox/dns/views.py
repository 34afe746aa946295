"""Who answers what: the parent zones, the nameservers, the resolvers.

Everything is a function of sandbox time and of what was written at Cloudflare and at the registrar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import dns.rrset
from dns.name import Name
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA
from dns.rrset import RRset

from mailfleet.sandbox.cloudflare.records import presentation
from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.dns.fixed import (
    PARENT_SOA_TTL,
    REGISTRAR_NAMESERVERS,
    fixed_zones,
    parked,
    registrable,
    suffix,
)
from mailfleet.sandbox.dns.zone import (
    AUTOMATIC_TTL,
    PROXY_A,
    PROXY_AAAA,
    Answer,
    View,
    absolute,
    rrset,
    view,
)
from mailfleet.sandbox.world import World

_DELEGATION_TTL = 3600
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Delegation:
    """The nameservers that the parent names from `since` on."""

    since: datetime
    nameservers: tuple[str, ...]


def delegated_to(world: World, domain: str, moment: datetime) -> tuple[str, ...]:
    """The nameservers that the parent zone names for a domain; none = not registered."""
    fixed = fixed_zones().get(domain)
    if fixed is not None:
        return tuple(item.to_text().rstrip(".") for item in fixed.nodes[fixed.origin][RdataType.NS])
    current = [entry for entry in world.delegations.get(domain, []) if entry.since <= moment]
    return current[-1].nameservers if current else ()


def corrupted(world: World, domain: str) -> bool:
    """Whether the DKIM key served for this domain is to be wrong."""
    return domain in world.state.setdefault("faults", {}).get("corrupt_dkim", ())


def zone_view(world: World, zone: Zone, moment: datetime) -> View:
    """What Cloudflare's nameservers serve for a zone, active or not (docs: pending zones answer too)."""
    broken = corrupted(world, zone.name)
    return _zone_view(zone.name, zone.nameservers, tuple(zone.published(moment)), zone.version(moment), broken)


def parent_answer(world: World, qname: Name, qtype: RdataType) -> Answer:
    """The registry's answer: a referral for what is delegated, NXDOMAIN for what nobody owns."""
    text = qname.to_text(omit_final_dot=True)
    domain = registrable(text)
    registry = _registry(suffix(text))
    if domain is None:
        return registry.answer(qname, qtype)
    servers = delegated_to(world, domain, world.now)
    if not servers:
        return Answer(Rcode.NXDOMAIN, authority=[registry.soa])
    if qtype == RdataType.DS and qname == absolute(domain):
        return Answer(authority=[registry.soa])
    return Answer(authority=[_ns(domain, servers)], authoritative=False)


def nameserver_answer(world: World, qname: Name, qtype: RdataType, moment: datetime | None = None) -> Answer:
    """The answer of any authoritative nameserver; REFUSED for a zone that none of them holds."""
    domain = registrable(qname.to_text(omit_final_dot=True))
    held = _held(world, domain, moment or world.now) if domain else None
    if held is None:
        return Answer(Rcode.REFUSED, authoritative=False)
    return held.answer(qname, qtype)


def resolve(world: World, qname: Name, qtype: RdataType, moment: datetime | None = None) -> Answer:
    """What a resolver with an empty cache finds by following the delegations from the parent."""
    at = moment or world.now
    found = Answer(authoritative=False)
    for _ in range(_LONGEST_CHAIN):
        step = _ask_delegated(world, qname, qtype, at)
        found.answer += step.answer
        found.rcode, found.authority = step.rcode, [entry for entry in step.authority if entry.rdtype == RdataType.SOA]
        target = step.last_target()
        if target is None or qtype == RdataType.CNAME or step.rcode != Rcode.NOERROR:
            return found
        qname = target
    return Answer(Rcode.SERVFAIL, authoritative=False)


class Resolver:
    """A resolver's cache, in sandbox time: answers by their TTL, denials by the SOA minimum (RFC 2308)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[tuple[Name, RdataType], tuple[datetime, datetime, Answer]] = {}

    def answer(self, qname: Name, qtype: RdataType) -> Answer:
        """From the cache, with the TTL left, or resolved now."""
        now = self._world.now
        kept = self._kept.get((qname, qtype))
        if kept and now < kept[1]:
            return _aged(kept[2], now - kept[0])
        found = resolve(self._world, qname, qtype)
        lifetime = _lifetime(found)
        if lifetime:
            self._kept[qname, qtype] = (now, now + timedelta(seconds=lifetime), found)
        return found


def _lifetime(found: Answer) -> int:
    if found.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return 0
    if found.authority:
        soa = found.authority[0]
        return min(soa.ttl, *(item.minimum for item in soa if isinstance(item, SOA)))
    return min((entry.ttl for entry in found.answer), default=0)


def _aged(found: Answer, age: timedelta) -> Answer:
    gone = int(age.total_seconds())
    return Answer(found.rcode, _older(found.answer, gone), _older(found.authority, gone), found.authoritative)


def _older(entries: Sequence[RRset], gone: int) -> list[RRset]:
    return [dns.rrset.from_rdata_list(entry.name, max(0, entry.ttl - gone), list(entry)) for entry in entries]


def _ask_delegated(world: World, qname: Name, qtype: RdataType, at: datetime) -> Answer:
    text = qname.to_text(omit_final_dot=True)
    domain = registrable(text)
    registry = _registry(suffix(text))
    if domain is None:
        return registry.answer(qname, qtype)
    servers = delegated_to(world, domain, at)
    if not servers:
        return Answer(Rcode.NXDOMAIN, authority=[registry.soa])
    held = fixed_zones().get(domain) or _behind(world, domain, servers, at)
    if held is None:
        return Answer(Rcode.SERVFAIL, authoritative=False)
    return held.answer(qname, qtype)


def _behind(world: World, domain: str, servers: Sequence[str], at: datetime) -> View | None:
    """The zone that the delegated servers serve; None = they refuse, the delegation is lame."""
    if set(servers) & set(REGISTRAR_NAMESERVERS):
        return parked(domain)
    zone = world.zones.get(domain)
    if zone is None or not set(servers) & set(zone.nameservers):
        return None
    return zone_view(world, zone, at)


def _held(world: World, domain: str, at: datetime) -> View | None:
    fixed = fixed_zones().get(domain)
    if fixed is not None:
        return fixed
    zone = world.zones.get(domain)
    return None if zone is None else zone_view(world, zone, at)


def _ns(domain: str, servers: Sequence[str]) -> RRset:
    return rrset(absolute(domain), _DELEGATION_TTL, "NS", [absolute(server).to_text() for server in servers])


@lru_cache(maxsize=256)
def _registry(under: str) -> View:
    name = under or "."
    soa = f"a.registry.example. hostmaster.registry.example. 2026010101 1800 900 604800 {PARENT_SOA_TTL}"
    return view(name, soa, PARENT_SOA_TTL, (), ("a.registry.example", "b.registry.example"))


@lru_cache(maxsize=512)
def _zone_view(name: str, servers: tuple[str, str], records: tuple[Record, ...], version: int, broken: bool) -> View:
    entries: list[tuple[str, str, int, str]] = []
    for record in records:
        entries += _entries(record, broken=broken)
    soa = f"{servers[0]}. dns.cloudflare.com. {2300000000 + version} 10000 2400 604800 1800"
    return view(name, soa, 1800, entries, servers)


def _entries(record: Record, *, broken: bool) -> list[tuple[str, str, int, str]]:
    ttl = AUTOMATIC_TTL if record.ttl == 1 or record.proxied else record.ttl
    if record.proxied:
        both = [("A", value) for value in PROXY_A] + [("AAAA", value) for value in PROXY_AAAA]
        return [(record.name, kind, ttl, value) for kind, value in both]
    value = presentation(record)
    if broken and record.type == "TXT" and "._domainkey." in record.name:
        value = flipped(value)
    return [(record.name, record.type, ttl, value)]


def flipped(value: str) -> str:
    """A DKIM record with one character of its key changed; anything else as it is."""
    start = value.find("p=")
    if start < 0:
        return value
    at = start + 40 if len(value) > start + 41 and value[start + 40].isalnum() else start + 2
    changed = "A" if value[at : at + 1] != "A" else "B"
    return value[:at] + changed + value[at + 1 :] if value[at : at + 1].isalnum() else value
