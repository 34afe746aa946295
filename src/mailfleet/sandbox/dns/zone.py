"""How an authoritative server answers from one zone (RFC 1034 4.3.2, RFC 2308)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rrset
from dns.name import Name
from dns.rcode import Rcode
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rrset import RRset

# What a proxied name answers with: addresses of the proxy, never the record's own content.
PROXY_A = ("198.51.100.10", "198.51.100.11")
PROXY_AAAA = ("2001:db8:ffff::10", "2001:db8:ffff::11")
AUTOMATIC_TTL = 300
_LONGEST_CHAIN = 8


@dataclass
class Answer:
    """Sections of a response; `authoritative` sets AA."""

    rcode: Rcode = Rcode.NOERROR
    answer: list[RRset] = field(default_factory=list[RRset])
    authority: list[RRset] = field(default_factory=list[RRset])
    authoritative: bool = True

    def last_target(self) -> Name | None:
        """Where the chain of aliases ends when its end is an alias."""
        if self.answer and self.answer[-1].rdtype == RdataType.CNAME:
            return next(dns.name.from_text(item.to_text()) for item in self.answer[-1])
        return None


@dataclass(frozen=True)
class View:
    """A zone as served at one moment."""

    origin: Name
    soa: RRset
    nodes: Mapping[Name, Mapping[RdataType, RRset]]

    def answer(self, qname: Name, qtype: RdataType) -> Answer:
        """The answer to one question inside this zone, aliases within the zone followed."""
        found = Answer()
        seen: set[Name] = set()
        while qname not in seen and len(seen) < _LONGEST_CHAIN:
            seen.add(qname)
            target = self._step(found, qname, qtype)
            if target is None or not target.is_subdomain(self.origin):
                break
            qname = target
        return found

    def _step(self, found: Answer, qname: Name, qtype: RdataType) -> Name | None:
        node = self.nodes.get(qname)
        if node is None:
            node = self._wildcard(qname)
        if node is None:
            self._nothing(found, Rcode.NOERROR if self._has_below(qname) else Rcode.NXDOMAIN)
            return None
        return self._from_node(found, node, qname, qtype)

    def _from_node(self, found: Answer, node: Mapping[RdataType, RRset], qname: Name, qtype: RdataType) -> Name | None:
        if qtype == RdataType.ANY:
            found.answer.append(rrset(qname, 3789, "HINFO", ['"RFC8482" ""']))
        elif qtype in node:
            found.answer.append(_owned(node[qtype], qname))
        elif RdataType.CNAME in node:
            found.answer.append(_owned(node[RdataType.CNAME], qname))
            return found.last_target()
        else:
            self._nothing(found, Rcode.NOERROR)
        return None

    def _nothing(self, found: Answer, rcode: Rcode) -> None:
        found.rcode = rcode
        found.authority.append(self.soa)

    def _has_below(self, qname: Name) -> bool:
        return any(name.is_subdomain(qname) for name in self.nodes)

    def _wildcard(self, qname: Name) -> Mapping[RdataType, RRset] | None:
        while qname != self.origin and len(qname.labels) > 1:
            qname = qname.parent()
            node = self.nodes.get(dns.name.Name((b"*", *qname.labels)))
            if node is not None:
                return node
            if self._has_below(qname):  # RFC 4592 2.2.1: an existing closer name ends the search.
                return None
        return None


@lru_cache(maxsize=8192)
def rdata(kind: str, text: str) -> Rdata:
    """One record's data from its presentation form."""
    return dns.rdata.from_text(dns.rdataclass.IN, kind, text, relativize=False, origin=dns.name.root)


def rrset(name: Name, ttl: int, kind: str, values: Iterable[str]) -> RRset:
    """Records of one name and type."""
    return dns.rrset.from_rdata_list(name, ttl, [rdata(kind, value) for value in values])


def absolute(name: str) -> Name:
    """A name as the wire has it, in lower case, ending at the root."""
    return dns.name.from_text(name.lower().rstrip(".") + ".")


def view(
    origin: str, soa: str, soa_ttl: int, entries: Sequence[tuple[str, str, int, str]], name_servers: Sequence[str] = ()
) -> View:
    """A zone from `(name, type, ttl, value in presentation form)`; apex SOA and NS are added."""
    apex = absolute(origin)
    head = rrset(apex, soa_ttl, "SOA", [soa])
    nodes: dict[Name, dict[RdataType, RRset]] = {apex: {RdataType.SOA: head}}
    for server in name_servers:
        _add(nodes, apex, rrset(apex, 86400, "NS", [absolute(server).to_text()]))
    for name, kind, ttl, value in entries:
        owner = absolute(name)
        _add(nodes, owner, rrset(owner, ttl, kind, [value]))
    return View(apex, head, nodes)


def _add(nodes: dict[Name, dict[RdataType, RRset]], owner: Name, new: RRset) -> None:
    node = nodes.setdefault(owner, {})
    if new.rdtype in node:
        node[new.rdtype].update(new)
    else:
        node[new.rdtype] = new


def _owned(found: RRset, owner: Name) -> RRset:
    return found if found.name == owner else dns.rrset.from_rdata_list(owner, found.ttl, list(found))
