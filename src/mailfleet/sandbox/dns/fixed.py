"""The zones that are simply there: the mail host, the tracking host, nameserver companies, parked domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from mailfleet.sandbox.dns.zone import View, view

# RFC 5737 addresses: nothing here can ever be contacted.
MAIL_HOST = "mail.sandbox.example"
MAIL_ADDRESS = "192.0.2.10"
TRACKING_HOST = "open.sleadtrack.com"
TRACKING_ADDRESS = "192.0.2.20"
PARKING_ADDRESS = "192.0.2.80"
# What Namecheap's own DNS is called; a domain points there until setCustom changes it.
REGISTRAR_NAMESERVERS = ("dns1.registrar-servers.com", "dns2.registrar-servers.com")
# Given names of the nameservers that Cloudflare assigns in pairs.
CLOUDFLARE_NAMES = (
    "ada", "amir", "anna", "ben", "carol", "cody", "dana", "drew", "elle", "erik", "gail", "gene",
    "hana", "igor", "jill", "kip", "lara", "miles", "nina", "otto", "pam", "rick", "sara", "vern",
)  # fmt: skip
PARENT_SOA_TTL = 900

_suffixes = PublicSuffixList()


@lru_cache(maxsize=4096)
def registrable(name: str) -> str | None:
    """The registered domain that `name` belongs to, None for a public suffix or the root."""
    return _suffixes.privatesuffix(name.lower().rstrip("."))


@lru_cache(maxsize=4096)
def suffix(name: str) -> str:
    """The public suffix that `name` is under; the root is the empty string."""
    clean = name.lower().rstrip(".")
    return (_suffixes.publicsuffix(clean) or clean) if clean else ""


def _company(origin: str, entries: Sequence[tuple[str, str, int, str]]) -> View:
    servers = (f"ns1.{origin}", f"ns2.{origin}")
    addresses = [(server, "A", 3600, f"192.0.2.{53 + at}") for at, server in enumerate(servers)]
    return view(
        origin,
        f"{servers[0]}. hostmaster.{origin}. 2026010101 7200 900 1209600 300",
        300,
        [*entries, *addresses],
        servers,
    )


@lru_cache(maxsize=1)
def fixed_zones() -> Mapping[str, View]:
    """Zones of other companies, by registered domain."""
    cloudflare = [(f"{name}.ns.cloudflare.com", "A", 3600, "192.0.2.53") for name in CLOUDFLARE_NAMES]
    registrar = [(name, "A", 3600, "192.0.2.54") for name in REGISTRAR_NAMESERVERS]
    mail = [
        (MAIL_HOST, "A", 300, MAIL_ADDRESS),
        (f"_spf.{MAIL_HOST}", "TXT", 300, f'"v=spf1 ip4:{MAIL_ADDRESS} -all"'),
        ("*._report._dmarc.sandbox.example", "TXT", 300, '"v=DMARC1"'),
    ]
    google = [
        ("_spf.google.com", "TXT", 300, '"v=spf1 include:_netblocks.google.com ~all"'),
        ("_netblocks.google.com", "TXT", 300, '"v=spf1 ip4:198.51.100.64/27 ~all"'),
        ("smtp.google.com", "A", 300, "198.51.100.65"),
    ]
    outlook = [
        ("spf.protection.outlook.com", "TXT", 300, '"v=spf1 ip4:198.51.100.128/27 -all"'),
        ("*.mail.protection.outlook.com", "A", 300, "198.51.100.129"),
    ]
    return {
        "google.com": _company("google.com", google),
        "outlook.com": _company("outlook.com", outlook),
        "sandbox.example": _company("sandbox.example", mail),
        "sleadtrack.com": _company("sleadtrack.com", [(TRACKING_HOST, "A", 300, TRACKING_ADDRESS)]),
        "cloudflare.com": _company("cloudflare.com", cloudflare),
        "registrar-servers.com": _company("registrar-servers.com", registrar),
    }


@lru_cache(maxsize=1024)
def parked(domain: str) -> View:
    """What the registrar's own DNS answers for a domain that is not used: an address, and no mail records."""
    first = REGISTRAR_NAMESERVERS[0]
    entries = [(name, "A", 1799, PARKING_ADDRESS) for name in (domain, f"www.{domain}")]
    soa = f"{first}. hostmaster.registrar-servers.com. 1762000000 43200 3600 604800 3601"
    return view(domain, soa, 3601, entries, REGISTRAR_NAMESERVERS)
