"""A second, tiny set of parts in memory: it shows that services need no more than the ports, and it can do what the
sandbox cannot be asked for at will (a create whose outcome is unknown, a resolver that lags, a vendor that lies)."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfleet.clock import FixedClock
from mailfleet.errors import Ambiguous, Unauthorized, Unavailable
from mailfleet.platforms.port import Applied, CampaignSeen, Capabilities, MailboxSeen, WarmupReading
from mailfleet.platforms.ports import DkimKey, HostedMailbox, NameAnswer, Quote, Zone, ZoneRecord
from mailfleet.policy.model import default_policy
from mailfleet.services import clients, personas
from mailfleet.services.context import Fleet
from mailfleet.store.clients import NewPersona
from mailfleet.store.secrets import Kek, Vault

START = datetime(2026, 3, 2, tzinfo=UTC)
DOMAIN = "brightwater-mailfleet-demo.com"


class MemoryPlatform:
    """Sends nothing; keeps what it is told."""

    name = "smartlead"
    capabilities = Capabilities(warmup_per_day=(1, 50), warmup_rampup=(5, 20), tracking_cname="open.sleadtrack.com")

    def __init__(self) -> None:
        self.boxes: dict[str, SimpleNamespace] = {}
        self.campaigns_: dict[str, str] = {}
        self.connects = 0
        self.reconnects = 0
        self.staff: dict[str, list[str]] = {}
        self.ambiguous: str | None = None
        """`made`: the next create is made but its answer is lost; `lost`: it is not made either."""
        self.refuses: set[str] = set()
        self.deaf = False
        self.first = 100
        self.blocked: list[str] = []
        self.away = False

    async def block(self, addresses: Sequence[str]) -> None:
        self.blocked += addresses

    async def find_mailbox(self, address: str) -> MailboxSeen | None:
        return next((self._seen(ref) for ref, box in self.boxes.items() if box.address == address), None)

    async def connect_mailbox(self, spec: Any) -> str:
        self.connects += 1
        if spec.address in self.refuses:
            raise Unavailable("down", vendor="smartlead", operation="save")
        if self.ambiguous == "lost":
            raise Ambiguous("no answer", vendor="smartlead", operation="save")
        ref = str(self.first + len(self.boxes))
        self.boxes[ref] = SimpleNamespace(
            address=spec.address, cap=spec.daily_cap, warm=False, per_day=0, days={}, inbox=0.97, reputation=95.0,
            connected=True, suspended=False,
        )  # fmt: skip
        if self.ambiguous == "made":
            raise Ambiguous("no answer", vendor="smartlead", operation="save")
        return ref

    async def mailboxes(self) -> AsyncIterator[MailboxSeen]:
        if self.away:
            raise Unavailable("down", vendor="smartlead", operation="list")
        for ref in list(self.boxes):
            yield self._seen(ref)

    async def mailbox(self, ref: str) -> MailboxSeen:
        return self._seen(ref)

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        self.boxes[ref].cap = daily_cap
        return Applied(values={"daily_cap": daily_cap})

    async def set_warmup(self, ref: str, settings: Any) -> Applied:
        self.boxes[ref].warm, self.boxes[ref].per_day = settings.enabled, settings.per_day
        return Applied()

    async def warmup(self, ref: str) -> WarmupReading | None:
        box = self.boxes[ref]
        if box.inbox is None:
            return None
        week = dict(sorted(box.days.items())[-7:])
        sent = sum(week.values())
        inbox = int(sent * box.inbox)
        return WarmupReading(sent=sent, inbox=inbox, spam=sent - inbox, by_day=week)

    async def suspend_mailbox(self, ref: str, suspended: bool) -> None:
        if not self.deaf:
            self.boxes[ref].suspended = suspended

    async def reconnect_mailboxes(self) -> None:
        self.reconnects += 1

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        self.staff[ref] = sorted(mailbox_refs)

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        if not self.deaf:
            self.campaigns_[ref] = "paused"

    async def start_campaign(self, ref: str) -> None:
        self.campaigns_[ref] = "running"

    async def campaign(self, ref: str) -> CampaignSeen:
        return CampaignSeen(ref=ref, name=ref, state=self.campaigns_[ref])  # type: ignore[arg-type]

    def _seen(self, ref: str) -> MailboxSeen:
        box = self.boxes[ref]
        return MailboxSeen(
            ref=ref, address=box.address, connected=box.connected, suspended=box.suspended, daily_cap=box.cap,
            warmup_enabled=box.warm, warmup_per_day=box.per_day, reputation=box.reputation,
        )  # fmt: skip


class MemoryDns:
    """A DNS host and, at once, what the world sees of it: delegation and visibility are switched by the test."""

    name = "cloudflare"

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self.records_: dict[str, list[ZoneRecord]] = {}
        self.batches = 0
        self.delegated = False
        self.visible: dict[str, bool] = {"authoritative": False, "resolvers": False}
        self.asked_resolvers = 0
        self.corrupt = ""
        self.silent = False
        self.foreign_servers = False

    async def find_zone(self, name: str) -> Zone | None:
        return next((zone for zone in self.zones.values() if zone.name == name), None)

    async def zone(self, ref: str) -> Zone:
        return self.zones[ref]

    async def create_zone(self, name: str) -> Zone:
        zone = Zone(ref=f"zone-{name}", name=name, status="pending", nameservers=("A.ns.test.", "b.ns.test"))
        self.zones[zone.ref], self.records_[zone.ref] = zone, []
        return zone

    async def check_activation(self, ref: str) -> None:
        raise Unavailable("asked too often", vendor="cloudflare", operation="activation_check")

    async def records(self, zone_ref: str) -> Sequence[ZoneRecord]:
        return list(self.records_[zone_ref])

    async def apply(
        self, zone_ref: str, *, create: Sequence[ZoneRecord] = (), change: Sequence[ZoneRecord] = ()
    ) -> Sequence[ZoneRecord]:
        self.batches += 1
        kept = self.records_[zone_ref]
        for record in create:
            kept.append(msgspec.structs.replace(record, ref=f"r{len(kept)}"))
        self.records_[zone_ref] = [next((c for c in change if c.ref == record.ref), record) for record in kept]
        return self.records_[zone_ref]

    # the outside

    async def delegation(self, domain: str) -> NameAnswer:
        if not self.delegated:
            return NameAnswer(server="parent", outcome="nxdomain")
        return NameAnswer(server="parent", outcome="match", values=("a.ns.test.", "b.ns.test."))

    async def authoritative(
        self, domain: str, name: str, type: str, nameservers: Sequence[str]
    ) -> Sequence[NameAnswer]:
        own = not self.foreign_servers
        return [self._answer(server, "authoritative", name, type, own) for server in nameservers]

    async def resolvers(self, name: str, type: str) -> Sequence[NameAnswer]:
        self.asked_resolvers += 1
        return [self._answer(server, "resolvers", name, type, False) for server in ("r1", "r2", "r3")]

    def _answer(self, server: str, who: str, name: str, type: str, own: bool) -> NameAnswer:
        if self.silent:
            return NameAnswer(server=server, outcome="timeout")
        values = tuple(
            self._value(record) for kept in self.records_.values() for record in kept
            if (record.name, record.type) == (name, type)
        )  # fmt: skip
        if not values or not self.visible[who]:
            return NameAnswer(server=server, outcome="nodata", authoritative=own)
        return NameAnswer(server=server, outcome="match", values=values, authoritative=own)

    def _value(self, record: ZoneRecord) -> str:
        text = f"{record.priority} {record.content}." if record.type == "MX" else record.content
        return text.replace("p=M", "p=N") if self.corrupt and self.corrupt in record.name else text


class MemoryHost:
    """A mailbox host; `issued` False: the key comes later, as with Google Workspace."""

    name = "custom_smtp"

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
        self.issued = True
        self.knows_login = True

    async def mailbox(self, address: str, display_name: str) -> HostedMailbox:
        if not self.knows_login:
            raise Unauthorized("login refused", vendor="custom_smtp", operation="login")
        return HostedMailbox(
            address=address, username=address, password="s3cret", smtp_host="mail.test", smtp_port=587,
            imap_host="mail.test", imap_port=993,
        )  # fmt: skip

    async def dkim(self, domain: str) -> DkimKey:
        return DkimKey(selector="mf1", record=self.record if self.issued else None, private_pem=b"-----PEM-----")

    async def spf_terms(self, domain: str) -> Sequence[str]:
        return ("ip4:192.0.2.10",)

    async def mx(self, domain: str) -> Sequence[tuple[int, str]]:
        return ((10, "mail.test"),)


class MemoryChannel:
    name = "slack"

    def __init__(self, name: str = "slack") -> None:
        self.name = name
        self.sent: list[tuple[str, str]] = []
        self.down = False

    async def send(
        self, target: str, *, title: str, body: str, severity: str, context: object, notice: str = ""
    ) -> str:
        if self.down:
            raise Unavailable("503", vendor=self.name, operation="post")
        self.sent.append((target, title))
        return f"m{len(self.sent)}"


class MemoryRegistrar:
    name = "namecheap"

    def __init__(self) -> None:
        self.domains: dict[str, list[str]] = {}
        self.price = 1100
        self.bought: list[str] = []

    async def quote(self, domain: str) -> Quote:
        return Quote(domain=domain, available=True, premium=False, price_cents=self.price)

    async def owned(self, domain: str) -> bool:
        return domain in self.domains

    async def buy(self, domain: str, *, ceiling_cents: int) -> str:
        self.bought.append(domain)
        return "order-1"

    async def nameservers(self, domain: str) -> Sequence[str]:
        return self.domains[domain]

    async def set_nameservers(self, domain: str, nameservers: Sequence[str]) -> None:
        self.domains[domain] = list(nameservers)


class World:
    """The parts, and hands to move them."""

    def __init__(self, fleet: Fleet, clock: FixedClock) -> None:
        self.fleet, self.clock = fleet, clock
        self.platform: Any = fleet.platforms["smartlead"]
        self.dns: Any = fleet.dns_hosts["cloudflare"]
        self.host: Any = fleet.mailbox_hosts["custom_smtp"]
        self.slack: Any = fleet.channels["slack"]
        self.sms: Any = fleet.channels["sms"]
        self.registrar: Any = fleet.registrars["namecheap"]

    def everyone_sees(self) -> None:
        self.dns.delegated = True
        self.dns.visible = {"authoritative": True, "resolvers": True}

    def days_pass(self, days: float) -> None:
        self.clock.set(self.clock.now() + timedelta(days=days))

    def warm(self, day: date | None = None) -> None:
        """The platform sends a day's warm-up mail for every mailbox that has it on."""
        for box in self.platform.boxes.values():
            if box.warm:
                box.days[day or (self.clock.now() + timedelta(hours=11)).date()] = box.per_day

    async def ask(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        async with self.fleet.db.connection() as db:
            return await (await db.execute(sql, args)).fetchall()  # type: ignore[arg-type]

    async def do(self, sql: str, *args: object) -> None:
        async with self.fleet.db.connection() as db:
            await db.execute(sql, args)  # type: ignore[arg-type]


@pytest.fixture
async def world(database: Any) -> World:
    dns, clock = MemoryDns(), FixedClock(START)
    fleet = Fleet(
        db=database,
        clock=clock,
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": MemoryPlatform()},  # type: ignore[dict-item]
        dns_hosts={"cloudflare": dns},
        mailbox_hosts={"custom_smtp": MemoryHost()},
        channels={"slack": MemoryChannel(), "sms": MemoryChannel("sms")},  # type: ignore[dict-item]
        names=dns,
        registrars={"namecheap": MemoryRegistrar()},
        sms_numbers=("+61400000000",),
        rng=random.Random(1),
    )
    client = await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    people = [("ann.lee", "Ann", "Lee"), ("bo.ek", "Bo", "Ek"), ("cy.day", "Cy", "Day")]
    await personas.put_personas(
        fleet, client, [NewPersona(local_part=local, first_name=one, last_name=two) for local, one, two in people]
    )
    return World(fleet, clock)
