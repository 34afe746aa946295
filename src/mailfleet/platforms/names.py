"""DNS as the outside sees it: the parent zone, each authoritative server, each resolver; every outcome kept apart.

`match` stands for any positive answer: what the values have to be is decided by `rules.dns.plan`, not here.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Literal

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import msgspec

from mailfleet.errors import ConfigError
from mailfleet.platforms.ports import NameAnswer

Outcome = Literal["match", "mismatch", "nxdomain", "nodata", "servfail", "refused", "timeout"]
PORT = 53
PUBLIC = ("1.1.1.1:53", "8.8.8.8:53", "9.9.9.9:53")
PAYLOAD = 1232
"""DNS flag day 2020: what travels without fragments; longer answers come over TCP."""
PARENTS_ASKED = 4
_CODES: dict[int, Outcome] = {
    dns.rcode.NXDOMAIN: "nxdomain",
    dns.rcode.REFUSED: "refused",
    dns.rcode.NOTAUTH: "refused",
}


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ask, and what to call it in the evidence."""

    label: str
    host: str
    port: int = PORT


class DnsNames:
    """`Names` on real queries. `parent`, `nameservers` and `resolvers` (`host:port`) replace the world's servers.

    Raises ConfigError for an address that is not `host:port`.
    """

    def __init__(
        self,
        *,
        parent: str = "",
        nameservers: str = "",
        resolvers: Sequence[str] = (),
        timeout: float = 3.0,
        tries: int = 2,
    ) -> None:
        self._parent = server(parent, "parent") if parent else None
        self._nameservers = server(nameservers, "nameserver") if nameservers else None
        self._resolvers = [server(each, each) for each in resolvers or PUBLIC]
        self._timeout, self._tries = timeout, tries

    async def delegation(self, domain: str) -> NameAnswer:
        """The NS set the parent zone gives, in a referral or as an answer (RFC 1034 4.3.2)."""
        last = _silent("parent", "no server of the parent zone was found")
        for parent in await self._parents(domain):
            last = await self._ask(parent, domain, "NS")
            if last.outcome not in ("timeout", "servfail", "refused"):
                return last
        return last

    async def authoritative(
        self, domain: str, name: str, type: str, nameservers: Sequence[str]
    ) -> Sequence[NameAnswer]:
        """What each of the zone's own servers answers; `authoritative` says whether it had the AA bit."""
        return await asyncio.gather(*(self._own(each.rstrip(".").lower(), name, type) for each in nameservers))

    async def resolvers(self, name: str, type: str) -> Sequence[NameAnswer]:
        return await asyncio.gather(*(self._ask(each, name, type, recursive=True) for each in self._resolvers))

    async def _own(self, label: str, name: str, type: str) -> NameAnswer:
        if self._nameservers is not None:
            return await self._ask(msgspec.structs.replace(self._nameservers, label=label), name, type)
        last = _silent(label, "the name server's own address was not found")
        for address in await self._addresses(label):
            last = await self._ask(Server(label=label, host=address), name, type)
            if last.outcome != "timeout":
                return last
        return last

    async def _parents(self, domain: str) -> Sequence[Server]:
        """The servers of the closest zone above the domain."""
        if self._parent is not None:
            return [self._parent]
        zone = dns.name.from_text(domain)
        while zone != dns.name.root:
            zone = zone.parent()
            if names := await self._look_up(zone.to_text(), "NS"):
                found = [(label, await self._addresses(label)) for label in names[:PARENTS_ASKED]]
                return [Server(label=label, host=addresses[0]) for label, addresses in found if addresses]
        return []

    async def _addresses(self, host: str) -> Sequence[str]:
        """Where a name server is, by the resolvers: they tell the way, never the records."""
        return [*await self._look_up(host, "A"), *await self._look_up(host, "AAAA")]

    async def _look_up(self, name: str, type: str) -> Sequence[str]:
        for resolver in self._resolvers:
            answer = await self._ask(resolver, name, type, recursive=True)
            if answer.outcome in ("match", "nxdomain", "nodata"):
                return answer.values
        return ()

    async def _ask(self, whom: Server, name: str, type: str, *, recursive: bool = False) -> NameAnswer:
        """UDP, then TCP when the answer is truncated (RFC 7766 5)."""
        try:
            query = dns.message.make_query(name, type, use_edns=0, payload=PAYLOAD)
        except dns.exception.DNSException as error:
            return NameAnswer(server=whom.label, outcome="refused", detail=f"not a name to ask for: {error}")
        if not recursive:
            query.flags &= ~dns.flags.RD
        told = ""
        for _ in range(self._tries):
            try:
                reply, _tcp = await dns.asyncquery.udp_with_fallback(query, whom.host, self._timeout, whom.port)
                return _read(whom.label, reply, name, type)
            except dns.exception.Timeout:
                told = f"no answer in {self._timeout:g} s"
            except (OSError, EOFError) as error:
                told = str(error) or error.__class__.__name__
            except dns.exception.DNSException as error:
                return NameAnswer(
                    server=whom.label, outcome="servfail", detail=f"malformed: {error.__class__.__name__}"
                )
        return _silent(whom.label, told)


def server(address: str, label: str) -> Server:
    """`host:port` or `[v6]:port`, the host an address. Raises ConfigError."""
    host, _, port = address.strip().rpartition(":")
    try:
        return Server(label=label, host=str(ipaddress.ip_address(host.strip("[]"))), port=int(port))
    except ValueError as error:
        raise ConfigError(
            f"{address!r} is not a DNS server's address.", hint="Write it as address:port, 127.0.0.1:53."
        ) from error


def _silent(label: str, told: str) -> NameAnswer:
    return NameAnswer(server=label, outcome="timeout", detail=told)


def _read(label: str, reply: dns.message.Message, name: str, type: str) -> NameAnswer:
    values = _values(reply, name, type)
    code = reply.rcode()
    failed = _CODES.get(code, "servfail") if code != dns.rcode.NOERROR else None
    return NameAnswer(
        server=label,
        outcome=failed or ("match" if values else "nodata"),
        values=() if failed else values,
        authoritative=bool(reply.flags & dns.flags.AA),
        detail=dns.rcode.to_text(code) if failed else "",
    )


def _values(reply: dns.message.Message, name: str, type: str) -> tuple[str, ...]:
    """The records of this type along a chain of aliases; a referral's NS set stands in the authority section."""
    wanted, owner = dns.rdatatype.from_text(type), dns.name.from_text(name)
    referring = reply.authority if wanted == dns.rdatatype.NS else []
    sets = [*reply.answer, *(rrset for rrset in referring if rrset.name == owner)]
    return tuple(sorted({_text(rdata) for rrset in sets if rrset.rdtype == wanted for rdata in rrset}))


def _text(rdata: object) -> str:
    """As our records are written: TXT strings joined with nothing between (RFC 7208 3.3), hosts without final dot."""
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(rdata.strings).decode("utf-8", "replace")
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        return f"{rdata.preference} {rdata.exchange.to_text(omit_final_dot=True).lower()}"
    return str(rdata).rstrip(".").lower()
