"""How a receiver judges a domain's mail by what DNS serves now (RFC 7208, 6376, 9989)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT
from dns.rrset import RRset

from mailfleet.sandbox.cloudflare.records import txt_value
from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.dns.fixed import MAIL_ADDRESS
from mailfleet.sandbox.dns.views import corrupted, delegated_to, resolve
from mailfleet.sandbox.dns.zone import absolute
from mailfleet.sandbox.world import World

_MOST_LOOKUPS = 10
_MOST_VOIDS = 2
_SMALLEST_KEY = 1024  # bits, RFC 8301 3.2


@dataclass(frozen=True, kw_only=True)
class DomainAuth:
    """Which of the three a receiver would see pass for mail that leaves through the mail host."""

    spf: bool
    dkim: bool
    dmarc: bool


@dataclass
class _Spf:
    world: World
    address: ipaddress.IPv4Address
    lookups: int = 0
    voids: int = 0
    visited: set[str] = field(default_factory=set[str])


class _Permanent(Exception):
    """A permanent SPF error."""


def domain_auth(world: World, domain: str) -> DomainAuth:
    """SPF, DKIM and DMARC of a sending domain as receivers see them at this moment."""
    domain = domain.lower().rstrip(".")
    zone = world.zones.get(domain)
    known = world.state.setdefault("domain_auth", {})
    stamp = (
        delegated_to(world, domain, world.now),
        zone.version(world.now) if zone else None,
        zone.id if zone else None,
        corrupted(world, domain),
    )
    kept = known.get(domain)
    if kept and kept[0] == stamp:
        return kept[1]
    judged = DomainAuth(spf=_spf(world, domain), dkim=_dkim(world, domain), dmarc=_dmarc(world, domain))
    known[domain] = (stamp, judged)
    return judged


def texts(world: World, name: str) -> list[str]:
    """TXT values at a name as an uncached resolver finds them, strings joined."""
    return [text for found in resolve(world, absolute(name), RdataType.TXT).answer for text in _joined(found)]


def _joined(found: RRset) -> Iterator[str]:
    for item in found:
        if isinstance(item, TXT):
            yield b"".join(item.strings).decode("utf-8", "replace")


def _spf(world: World, domain: str) -> bool:
    try:
        return _spf_result(_Spf(world, ipaddress.IPv4Address(MAIL_ADDRESS)), domain) == "+"
    except _Permanent:
        return False


def _spf_result(check: _Spf, domain: str) -> str:
    found = [text for text in texts(check.world, domain) if text == "v=spf1" or text.startswith("v=spf1 ")]
    if len(found) != 1 or domain in check.visited:
        raise _Permanent
    check.visited.add(domain)
    redirect = ""
    for term in found[0].split()[1:]:
        if term.lower().startswith("redirect="):
            redirect = term[9:]
            continue
        if "=" in term.split(":", 1)[0]:
            continue
        qualifier = term[0] if term[0] in "+-~?" else "+"
        if _matches(check, term.lstrip("+-~?"), domain):
            return qualifier
    if redirect:
        _count(check)
        return _spf_result(check, redirect)
    return "?"


def _matches(check: _Spf, mechanism: str, domain: str) -> bool:
    name, _, value = mechanism.partition(":")
    kind = name.split("/")[0].lower()
    if kind == "all":
        return True
    if kind == "ip4":
        return _within(check.address, value)
    if kind == "ip6":
        return False
    if kind not in ("include", "a", "mx", "exists", "ptr"):
        raise _Permanent
    _count(check)
    return _looked_up(check, kind, (value or domain).split("/")[0])


def _looked_up(check: _Spf, kind: str, name: str) -> bool:
    if kind == "include":
        return _spf_result(check, name) == "+"
    if kind == "mx":
        found = resolve(check.world, absolute(name), RdataType.MX)
        hosts = [str(item).split()[-1] for entry in found.answer for item in entry if entry.rdtype == RdataType.MX]
        return any(_has_address(check, absolute(host)) for host in hosts)
    return kind in ("a", "exists") and _has_address(check, absolute(name))


def _has_address(check: _Spf, name: Name) -> bool:
    found = resolve(check.world, name, RdataType.A)
    values = [str(item) for entry in found.answer if entry.rdtype == RdataType.A for item in entry]
    if not values:
        check.voids += 1
        if check.voids > _MOST_VOIDS:
            raise _Permanent
    return str(check.address) in values


def _count(check: _Spf) -> None:
    check.lookups += 1
    if check.lookups > _MOST_LOOKUPS:
        raise _Permanent


def _within(address: ipaddress.IPv4Address, value: str) -> bool:
    try:
        return address in ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise _Permanent from None


def _dkim(world: World, domain: str) -> bool:
    zone = world.zones.get(domain)
    if zone is None:
        return False
    return any(_selector_ok(world, name, written) for name, written in _selectors(zone))


def _selectors(zone: Zone) -> Iterator[tuple[str, Record]]:
    for record in zone.records.values():
        if record.name.endswith(f"._domainkey.{zone.name}") and record.type in ("TXT", "CNAME"):
            yield record.name, record


def _selector_ok(world: World, name: str, written: Record) -> bool:
    served = texts(world, name)
    if len(served) != 1 or not usable_key(served[0]):
        return False
    # The mail host signs with the key whose public half was written; a served key that differs verifies nothing.
    return written.type == "CNAME" or served[0] == txt_value(written.content)


@lru_cache(maxsize=256)
def usable_key(text: str) -> bool:
    """Whether a DKIM record holds a key that a receiver accepts: RSA of 1024 bits or more, or Ed25519."""
    pairs = (part.split("=", 1) for part in text.split(";") if "=" in part)
    tags = {name.strip(): value.strip() for name, value in pairs}
    if tags.get("v", "DKIM1") != "DKIM1" or not tags.get("p"):
        return False
    try:
        key = base64.b64decode("".join(tags["p"].split()), validate=True)
        if tags.get("k", "rsa") == "ed25519":
            return len(key) == 32
        loaded = load_der_public_key(key)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(loaded, RSAPublicKey) and loaded.key_size >= _SMALLEST_KEY


def _dmarc(world: World, domain: str) -> bool:
    found = [text for text in texts(world, f"_dmarc.{domain}") if text.replace(" ", "").startswith("v=DMARC1")]
    return len(found) == 1 and "p=" in found[0].replace(" ", "").split("v=DMARC1", 1)[1]
