"""DNS as the outside sees it, by dnspython: the parent, each authoritative server, each resolver; one answer a server.

`outcome` is `match` for any positive answer: what the values have to be is decided by `rules.dns.plan`, not here.
A cached "no" would outlive the record (RFC 2308 5), so the caller asks resolvers last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import msgspec
from publicsuffixlist import PublicSuffixList

from mailfleet.errors import ConfigError
from mailfleet.platforms.ports import NameAnswer

TIMEOUT = 4.0
PUBLIC_RESOLVERS = ("1.1.1.1:53", "8.8.8.8:53", "9.9.9.9:53")
_EDNS_PAYLOAD = 1232  # DNS flag day 2020: no fragments

Outcome = Literal["match", "mismatch", "nxdomain", "nodata", "servfail", "refused", "timeout"]
_FAILED: dict[int, Outcome] = {
    dns.rcode.NXDOMAIN: "nxdomain",
    dns.rcode.SERVFAIL: "servfail",
    dns.rcode.REFUSED: "refused",
}


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ask, and what to call it in the evidence."""

    label: str
    host: str
    port: int


class DnsNames:
    """`Names` over real queries. `parent`, `nameservers` and `resolvers` (`host:port`) replace the real servers.

    Raises ConfigError for an address that is not `host:port`.
    """

    def __init__(self, *, parent: str = "", nameservers: str = "", resolvers: Sequence[str] = ()) -> None:
        self._parent = _server(parent, "parent") if parent else None
        self._nameservers = _server(nameservers, "nameserver") if nameservers else None
        self._resolvers = [_server(each, each) for each in resolvers or PUBLIC_RESOLVERS]
        self._suffixes = PublicSuffixList(only_icann=True)

    async def delegation(self, domain: str) -> NameAnswer:
        """The NS set that the parent zone gives; a resolver would give the child's own view."""
        answers = [await self._ask(server, domain, "NS") for server in await self._parents(domain)]
        positive = [answer for answer in answers if answer.outcome == "match"]
        if positive:
            return positive[0]
        return (
            answers[0] if answers else NameAnswer(server="parent", outcome="timeout", detail="no parent server found")
        )

    async def authoritative(
        self, domain: str, name: str, type: str, nameservers: Sequence[str]
    ) -> Sequence[NameAnswer]:
        servers = await asyncio.gather(*(self._nameserver(each) for each in nameservers))
        asked = [
            self._ask(server, name, type) if server else _nowhere(label)
            for server, label in zip(servers, nameservers, strict=True)
        ]
        return await asyncio.gather(*asked)

    async def resolvers(self, name: str, type: str) -> Sequence[NameAnswer]:
        return await asyncio.gather(*(self._ask(each, name, type, recursive=True) for each in self._resolvers))

    async def _parents(self, domain: str) -> Sequence[Server]:
        """The servers of the public suffix above the domain."""
        if self._parent:
            return [self._parent]
        suffix = self._suffixes.publicsuffix(domain) or domain.rpartition(".")[2]
        try:
            found = await dns.asyncresolver.resolve(f"{suffix}.", "NS", lifetime=TIMEOUT)
        except dns.exception.DNSException:
            return []
        hosts = sorted(str(each.target).rstrip(".") for each in found)[:3]
        servers = await asyncio.gather(*(self._nameserver(host) for host in hosts))
        return [server for server in servers if server]

    async def _nameserver(self, host: str) -> Server | None:
        if self._nameservers:
            return msgspec.structs.replace(self._nameservers, label=host)
        try:
            found = await dns.asyncresolver.resolve(host, "A", lifetime=TIMEOUT)
        except dns.exception.DNSException:
            return None
        return Server(label=host, host=str(found[0]), port=53)

    async def _ask(self, server: Server, name: str, type: str, *, recursive: bool = False) -> NameAnswer:
        query = dns.message.make_query(name, type, use_edns=0, payload=_EDNS_PAYLOAD)
        if not recursive:
            query.flags &= ~dns.flags.RD
        try:
            # UDP first, TCP when the answer is truncated (RFC 7766 5).
            reply, _ = await dns.asyncquery.udp_with_fallback(query, server.host, TIMEOUT, server.port)
        except (dns.exception.DNSException, OSError) as error:
            return NameAnswer(server=server.label, outcome="timeout", detail=error.__class__.__name__)
        return _read(server.label, reply, name, type)


def _read(label: str, reply: dns.message.Message, name: str, type: str) -> NameAnswer:
    authoritative = bool(reply.flags & dns.flags.AA)
    if failed := _FAILED.get(reply.rcode()):
        return NameAnswer(server=label, outcome=failed, authoritative=authoritative)
    # A parent answers with a referral: the NS set stands in the authority section (RFC 1034 4.3.2).
    sections = (reply.answer, reply.authority) if type == "NS" else (reply.answer,)
    wanted = dns.name.from_text(name)
    values = [
        _text(record)
        for section in sections
        for rrset in section
        if rrset.rdtype == dns.rdatatype.from_text(type) and (rrset.name == wanted or type != "NS")
        for record in rrset
    ]
    outcome: Outcome = "match" if values else "nodata"
    return NameAnswer(server=label, outcome=outcome, values=tuple(sorted(set(values))), authoritative=authoritative)


def _text(record: object) -> str:
    """As our records are written: TXT strings joined with nothing between (RFC 7208 3.3), names without the dot."""
    if isinstance(record, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(record.strings).decode("utf-8", "replace")
    return str(record).rstrip(".").lower()


def _server(address: str, label: str) -> Server:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{address!r} is not a DNS server's address.", hint="Write it as host:port, 127.0.0.1:53.")
    return Server(label=label, host=host, port=int(port))


async def _nowhere(label: str) -> NameAnswer:
    return NameAnswer(server=label, outcome="timeout", detail="its address was not found")
