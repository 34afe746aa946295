"""DNS over UDP and TCP on loopback: the parent zones, the nameservers and the resolvers, each on its own port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
from dns.message import Message, QueryMessage
from dns.name import Name
from dns.opcode import Opcode
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from mailfleet.sandbox.dns.auth import DomainAuth, domain_auth
from mailfleet.sandbox.dns.fixed import registrable
from mailfleet.sandbox.dns.views import Delegation, Resolver, nameserver_answer, parent_answer, resolve
from mailfleet.sandbox.dns.zone import Answer
from mailfleet.sandbox.world import World

__all__ = [
    "Delegation",
    "DnsServers",
    "DomainAuth",
    "break_servers",
    "corrupt",
    "domain_auth",
    "heal",
    "resolve",
    "respond",
    "start",
]

_PLAIN_UDP = 512
_OUR_UDP = 1232
_BROKEN = {"silent": Rcode.NOERROR, "servfail": Rcode.SERVFAIL, "refused": Rcode.REFUSED}
_TRANSFERS = (RdataType.AXFR, RdataType.IXFR)

Face = Callable[[Name, RdataType], Answer]


@dataclass
class DnsServers:
    """Where the three faces listen (`host:port`)."""

    parent: str
    nameservers: str
    resolvers: list[str]
    closers: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def close(self) -> None:
        """Stops listening."""
        for closer in self.closers:
            closer()


async def start(world: World, host: str = "127.0.0.1") -> DnsServers:
    """Opens the three faces on free ports of `host`, UDP and TCP on the same port."""
    closers: list[Callable[[], None]] = []
    resolver = Resolver(world)
    faces: dict[str, Face] = {
        "parent": lambda name, kind: parent_answer(world, name, kind),
        "nameservers": lambda name, kind: nameserver_answer(world, name, kind),
        "resolvers": resolver.answer,
    }
    at = {label: await _listen(world, host, label, face, closers) for label, face in faces.items()}
    return DnsServers(at["parent"], at["nameservers"], [at["resolvers"]], closers)


def corrupt(world: World, domain: str) -> None:
    """From now on the DKIM keys served for `domain` have one wrong character."""
    world.state.setdefault("faults", {}).setdefault("corrupt_dkim", []).append(domain.lower())


def heal(world: World, domain: str) -> None:
    """Ends `corrupt`."""
    faults = world.state.setdefault("faults", {})
    faults["corrupt_dkim"] = [name for name in faults.get("corrupt_dkim", []) if name != domain.lower()]


def break_servers(world: World, domain: str, how: str | None) -> None:
    """What every server does with questions about `domain`: `silent`, `servfail`, `refused`, or None = answers again.

    Raises ValueError for anything else.
    """
    if how is not None and how not in _BROKEN:
        raise ValueError(f"{how!r} is none of {', '.join(_BROKEN)}.")
    world.state.setdefault("faults", {}).setdefault("dns", {})[domain.lower()] = how


def respond(world: World, label: str, face: Face, request: bytes, transport: str) -> bytes | None:
    """The response to one request as it came off the wire; None when there is nothing to answer."""
    try:
        query = dns.message.from_wire(request)
    except (dns.exception.DNSException, ValueError):
        return _malformed(request)
    if query.flags & dns.flags.QR:
        return None
    response = dns.message.make_response(query, recursion_available=label == "resolvers", our_payload=_OUR_UDP)
    broken = _broken(world, query)
    if broken == "silent":
        return None
    if broken is None:
        _fill(response, query, face)
    else:
        response.set_rcode(_BROKEN[broken])
    _note(world, label, query, response, transport)
    return _wire(query, response, transport)


def _broken(world: World, query: Message) -> str | None:
    faults = world.state.get("faults", {}).get("dns")
    if not faults or not query.question:
        return None
    return faults.get(registrable(query.question[0].name.to_text(omit_final_dot=True)))


def _fill(response: Message, query: Message, face: Face) -> None:
    if query.opcode() != Opcode.QUERY or not isinstance(query, QueryMessage):
        response.set_rcode(Rcode.NOTIMP)
        return
    if len(query.question) != 1:
        response.set_rcode(Rcode.FORMERR)
        return
    question = query.question[0]
    if question.rdclass != RdataClass.IN or question.rdtype in _TRANSFERS:
        response.set_rcode(Rcode.REFUSED)
        return
    found = face(question.name.canonicalize(), question.rdtype)
    response.set_rcode(found.rcode)
    response.answer = [entry.copy() for entry in found.answer]
    response.authority = [entry.copy() for entry in found.authority]
    if found.authoritative:
        response.flags |= dns.flags.AA


def _wire(query: Message, response: Message, transport: str) -> bytes:
    if transport == "tcp":
        return response.to_wire(max_size=65535)
    offered = query.payload if query.edns >= 0 else _PLAIN_UDP
    return response.to_wire(max_size=min(max(offered, _PLAIN_UDP), _OUR_UDP), prefer_truncation=True)


def _malformed(request: bytes) -> bytes | None:
    if len(request) < 12:
        return None
    return request[:2] + bytes((0x80 | (request[2] & 0x79), int(Rcode.FORMERR))) + bytes(8)


def _note(world: World, label: str, query: Message, response: Message, transport: str) -> None:
    question = query.question[0] if query.question else None
    world.log.dns(
        server=label,
        transport=transport,
        name=question.name.to_text(omit_final_dot=True) if question else "",
        type=dns.rdatatype.to_text(question.rdtype) if question else "",
        rcode=Rcode(response.rcode()).name,
        answers=[entry.to_text() for entry in response.answer],
    )


async def _listen(world: World, host: str, label: str, face: Face, closers: list[Callable[[], None]]) -> str:
    loop = asyncio.get_running_loop()
    for _ in range(20):
        tcp = await asyncio.start_server(lambda r, w: _serve_tcp(world, label, face, r, w), host, 0)
        port = cast(int, tcp.sockets[0].getsockname()[1])
        try:
            udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(world, label, face), local_addr=(host, port))
        except OSError:  # Another program holds the UDP side of this port.
            tcp.close()
            continue
        closers += [udp.close, tcp.close]
        return f"{host}:{port}"
    raise OSError(f"No port is free on {host} for both UDP and TCP.")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, world: World, label: str, face: Face) -> None:
        self._world, self._label, self._face = world, label, face
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = respond(self._world, self._label, self._face, data, "udp")
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


async def _serve_tcp(
    world: World, label: str, face: Face, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            response = respond(world, label, face, await reader.readexactly(size), "tcp")
            if response is None:
                break
            writer.write(len(response).to_bytes(2, "big") + response)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    except asyncio.CancelledError:  # The server is closing; Python 3.11 would log a traceback for each client.
        pass
    finally:
        writer.close()
