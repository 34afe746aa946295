"""Domains and mailboxes at Infraforge and Mailforge: what there is, how it comes to be, what of it the DNS shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.dns.fixed import MAIL_ADDRESS, MAIL_HOST
from mailfleet.sandbox.dns.views import Delegation
from mailfleet.sandbox.forge.state import ident, new_id
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

NAMESERVERS = ("ns1.infraforge.example", "ns2.infraforge.example")
DKIM_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuL5hGfbLQJo5GE3L8LQ/6sCeaZVAlSIKMJv0VYF9oSherN2NjQNIYZEUC/5Q4Wn0"
    "JiRoqyJuQfYdnXZ0mvTUrHrT1C83m9K9vx5sY5pByhOqLdYoh/IvXuiSv5GEXNg5hAE00t3VcC7elI9+sTkSmxLtBW1L3gbKJ0ggqOIbf7nY"
    "ANco0dD8AXcVV3PKTx3CM+S0QtqqSCX1uqti2SmAYVlouczih9APjyr30rtuiTN4I48I7a0hN7RxZdtXLBp9/CnZv5ZQugt8JzCq/v2mGyR0"
    "2a0ojKfkVMdEYok97h01p3z2QmCik+KHQcwfm9MriQ5WzA6ajqwL8myDsNRt3QIDAQAB"
)


@dataclass
class Domain:
    """A domain that one of the two products holds."""

    id: str
    name: str
    workspace_id: str
    created_at: datetime
    status: str = "active"
    renewal: str = "disabled"
    forward: str = ""
    # As returned and as it was given: name, type, value, editable.
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass
class Hosted:
    """A mailbox of one of the two."""

    id: str
    address: str
    first_name: str
    last_name: str
    workspace_id: str
    domain_id: str
    password: str
    created_at: datetime
    status: str = "active"
    signature: str = ""
    forwarding: str = ""


@dataclass
class Estate:
    """What one product holds."""

    product: str
    workspaces: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    domains: dict[str, Domain] = field(default_factory=dict[str, Domain])
    boxes: dict[str, Hosted] = field(default_factory=dict[str, Hosted])
    # Times a domain's whole set of records was written.
    writes: int = 0


def estate(world: World, product: str) -> Estate:
    """What this product holds in this world."""
    held = cast("dict[str, Estate]", world.state.setdefault("forge_estates", {}))
    if product not in held:
        held[product] = Estate(product)
        _make_workspace(world, held[product], "Agency")
    return held[product]


def _make_workspace(world: World, own: Estate, name: str) -> dict[str, Any]:
    identity = ident(world, "ws_", own.product, name, len(own.workspaces))
    row: dict[str, Any] = {"id": identity, "name": name, "slug": name.lower().replace(" ", "-")}
    row |= {"mailserver": MAIL_HOST} if own.product == "infraforge" else {"accountId": ident(world, "acc_", "mail")}
    own.workspaces[identity] = row
    return row


def add_domain(world: World, product: str, name: str, *, workspace_id: str = "") -> Domain:
    """A domain with MX, SPF, DMARC and DKIM, served by the product unless somebody else holds its zone."""
    own, name = estate(world, product), name.lower()
    for domain in own.domains.values():
        if domain.name == name:
            return domain
    home = workspace_id or next(iter(own.workspaces))
    domain = Domain(new_id(world, "dom_"), name, home, world.now)
    for kind, at, value in (
        ("MX", name, MAIL_HOST),
        ("TXT", name, f"v=spf1 ip4:{MAIL_ADDRESS} -all"),
        ("TXT", f"default._domainkey.{name}", f"v=DKIM1; k=rsa; p={DKIM_KEY}"),
        ("TXT", f"_dmarc.{name}", f"v=DMARC1; p=reject; rua=mailto:dmarc@{name}"),
    ):
        domain.records.append({"name": at, "type": kind, "value": value, "editable": False})
    own.domains[domain.id] = domain
    if name not in world.zones and name not in world.delegations:
        identity = f"{product}-{domain.id}"
        world.zones[name] = Zone(identity, name, product, NAMESERVERS, (), world.now, status="active")
        world.delegations[name] = [Delegation(world.now, NAMESERVERS)]
    publish(world, domain)
    return domain


def publish(world: World, domain: Domain) -> None:
    """Serves the domain's records, where the product serves its zone."""
    zone = world.zones.get(domain.name)
    if zone is None or zone.nameservers != NAMESERVERS:
        return
    records: dict[str, Record] = {}
    for number, row in enumerate(domain.records):
        identity = f"{domain.id}-{number}-{row['type']}-{row['name']}-{row['value']}"
        records[identity] = Record(
            id=identity,
            name=row["name"],
            type=row["type"],
            content=_presented(row),
            ttl=300,
            proxied=False,
            priority=10 if row["type"] == "MX" else None,
            data=None,
            comment=None,
            created_on=world.now,
            modified_on=world.now,
        )
    zone.replace_records(records, lambda _: world.now)


def _presented(row: dict[str, Any]) -> str:
    """A value as a zone file has it: texts in quoted strings of at most 255 characters."""
    value = str(row["value"])
    if row["type"] != "TXT":
        return value
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))


def add_mailbox(world: World, product: str, address: str, first: str, last: str, *, works: bool = True) -> Hosted:
    """A mailbox with credentials; one that `works` can log in at the mail host."""
    own, address = estate(world, product), address.lower()
    for box in own.boxes.values():
        if box.address == address:
            return box
    domain = add_domain(world, product, address.rpartition("@")[2])
    password = world.mail_accounts.get(address) or hexes(world, 20, product, "password", address)
    box = Hosted(new_id(world, "mbx_"), address, first, last, domain.workspace_id, domain.id, password, world.now)
    own.boxes[box.id] = box
    if works:
        world.mail_accounts[address] = password
    return box
