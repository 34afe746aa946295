"""SmartSenders: domains and mailboxes bought through Smartlead, on a host of its own (smartlead: smart-senders).

The pages show the envelope `{ok, data}` and one answer in full, that of an order; what the lists hold is as in it. The
DNS of what is bought is set up by the vendor, and no call shows a record.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.dns.fixed import MAIL_ADDRESS, MAIL_HOST
from mailfleet.sandbox.dns.views import Delegation
from mailfleet.sandbox.namecheap.state import available, price
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead.check import Rule, failed, group, many, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.state import rest_time
from mailfleet.sandbox.world import World

SENDERS = "/smartsenders/api/v1/smart-senders"
NAMESERVERS = ("ns1.senders.sandbox.example", "ns2.senders.sandbox.example")
_DKIM_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9Enl75OrB0mm89oKaM5J6I7HqU0cZikd+NkwqZkuKKfTfRcIPpwjEdrTP7M3"
    "rOwSynroEkpIglH8DKCuooz06NhbPtoU79/Mm2aOyq/Pq01B2MkY6EvXqzC980WF4my7GccFPRnFESQqJjtvX8uaHTo277QmDx7wSVFB"
    "F7jfUipV4jYy0MEEGTIC6fXx4QQ+3KeKdBdd37bJtpKmIRYHx4NgudnEFUnDYmr+LYd7vEtp2UeNJDS2i+j7dqYjo3fgiCvSvdZgonsl"
    "2R3Wzge3GvdAziVGHkjznh5+lH8AOsDkSzJWwo5oCBiaBEa/0FwhCdILMhns8nHbwQvSd3SEFQIDAQAB"
)
_VENDORS = ({"id": 1, "name": "Sandbox Mail"}, {"id": 2, "name": "Sandbox Workspace"})
_MOST = 15  # dollars: dearer offers are not shown
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*")
_ADDRESS = re.compile(r"[^@\s]+@([a-z0-9.-]+)")
_ENDINGS = ("com", "net", "org", "info", "co")
_GIVEN_NAMES = (("Ada", "Byrne"), ("Bo", "Lind"), ("Cleo", "Marsh"))
_WHO = ("email", "firstName", "lastName", "company", "country", "city", "addressLineOne", "postalCode", "state",
        "phoneCc", "phone", "languagePreference")  # fmt: skip
_PERSON = {name: text(required=True) for name in ("mailbox", "first_name", "last_name")}
GENERATE: dict[str, Rule] = {"vendor_id": Rule(required=True, nullable=False), "domains": Rule()}
ORDER: dict[str, Rule] = {
    "vendor_id": number(required=True),
    "forwarding_domain": text(required=True),
    "user_details": group(
        {**{name: text(required=True) for name in _WHO}, "addressLineTwo": text()},
        required=True,
    ),
    "domains": many(
        group(
            {
                "domain_name": text(required=True),
                "mailbox_details": many(
                    group({**_PERSON, "profile_pic": text(), "parent_account_id": number()}), required=True
                ),
            }
        ),
        required=True,
    ),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Everything on the host."""
    table = (
        ("GET", "/get-vendors", lambda ask: {"ok": True, "data": list(_VENDORS)}),
        ("GET", "/search-domain", search),
        ("POST", "/auto-generate-mailboxes", generate),
        ("POST", "/place-order", order),
        ("GET", "/get-domain-list", lambda ask: {"ok": True, "data": [dict(row) for row in _owned(ask.world)]}),
        ("GET", "/order-details", details),
        ("GET", "/auth-secret", secret),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer, SENDERS)]


def _orders(world: World) -> dict[str, dict[str, Any]]:
    return world.state.setdefault("senders_orders", {})


def _owned(world: World) -> list[dict[str, Any]]:
    return world.state.setdefault("senders_domains", [])


def _vendor(given: object) -> int:
    number_ = numbered(str(given))
    if number_ not in {row["id"] for row in _VENDORS}:
        raise failed(f"Invalid vendor_id - {given}")
    return int(number_ or 0)


def search(ask: Ask) -> dict[str, Any]:
    """Free domains of that name under the usual endings, at 15 dollars or less."""
    ask.known("domain_name", "vendor_id")
    name = ask.query.get("domain_name", "").strip().lower()
    if not _NAME.fullmatch(name):
        raise said('"domain_name" is required')
    if "vendor_id" in ask.query:
        _vendor(ask.query["vendor_id"])
    names = [name] if "." in name else [f"{name}.{ending}" for ending in _ENDINGS]
    offers = [(found, price(found)) for found in names if available(ask.world, found)]
    data = [{"domain_name": found, "price": float(asked)} for found, asked in offers if asked <= _MOST]
    return {"ok": True, "data": data}


def generate(ask: Ask) -> dict[str, Any]:
    """Addresses for each domain, made of given names."""
    given = ask.body(GENERATE)
    _vendor(given["vendor_id"])
    rows: list[dict[str, Any]] = []
    for domain in _names(given.get("domains")):
        people = [
            {"mailbox": f"{first.lower()}.{last.lower()}@{domain}", "first_name": first, "last_name": last}
            for first, last in _GIVEN_NAMES
        ]
        rows.append({"domain_name": domain, "mailbox_details": people})
    return {"ok": True, "data": rows}


def _names(given: object) -> list[str]:
    """Domains as texts, or as objects with a name; the page calls the list an object."""
    entries = list(given) if isinstance(given, list | dict) else []
    names = [entry.get("domain_name") if isinstance(entry, dict) else entry for entry in entries]
    return [name.lower() for name in names if isinstance(name, str) and _NAME.fullmatch(name.lower())]


def order(ask: Ask) -> dict[str, Any]:
    """Buys domains with mailboxes; they are ready some time later. Not idempotent."""
    given = ask.body(ORDER)
    vendor, wanted = _vendor(given["vendor_id"]), _wanted(ask, given["domains"])
    identity = f"ORD_{10001 + len(_orders(ask.world))}"
    made: dict[str, Any] = {
        "order_id": identity,
        "status": "processing",
        "vendor_id": vendor,
        "wanted": wanted,
        "created_at": rest_time(ask.world.now),
        "expires_at": rest_time(ask.world.now + timedelta(days=30)),
    }
    _orders(ask.world)[identity] = made
    for name in wanted:
        # Taken at once, so that it cannot be bought twice.
        ask.world.delegations.setdefault(name, [])
    takes = timedelta(minutes=20 + 100 * fraction(ask.world, "senders", identity))
    ask.world.at(ask.world.now + takes, partial(_deliver, ask.world, made))
    return {"ok": True, "data": {"order_id": identity, "status": "processing"}}


def _wanted(ask: Ask, domains: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Addresses by domain. Raises Refusal when one of either cannot be had."""
    wanted: dict[str, list[str]] = {}
    for entry in domains:
        name, boxes = entry["domain_name"].lower(), [row["mailbox"].lower() for row in entry["mailbox_details"]]
        if not available(ask.world, name) or name in wanted:
            raise failed(f"Domain not available - {name}")
        for address in boxes:
            found = _ADDRESS.fullmatch(address)
            if found is None or found.group(1) != name:
                raise failed(f"Invalid mailbox - {address}")
        wanted[name] = boxes
    if not wanted:
        raise said('"domains" must contain at least 1 items')
    return wanted


def _deliver(world: World, made: dict[str, Any]) -> None:
    for name, boxes in made["wanted"].items():
        _serve(world, name)
        for address in boxes:
            world.mail_accounts.setdefault(address, hexes(world, 16, "senders", address))
        row = {"domain_name": name, "vendor_id": made["vendor_id"], "order_id": made["order_id"], "status": "active"}
        _owned(world).append({**row, "email_accounts": list(boxes)})
    made["status"] = "completed"


def _serve(world: World, name: str) -> None:
    """The vendor's own zone for a domain, with everything a receiver wants to see."""
    world.delegations[name] = [Delegation(world.now, NAMESERVERS)]
    zone = Zone(f"senders-{name}", name, "senders", NAMESERVERS, (), world.now, status="active")
    world.zones[name] = zone
    key = f"v=DKIM1; k=rsa; p={_DKIM_KEY}"
    entries = (
        ("MX", name, MAIL_HOST),
        ("TXT", name, f'"v=spf1 ip4:{MAIL_ADDRESS} -all"'),
        ("TXT", f"s1._domainkey.{name}", " ".join(f'"{key[at : at + 255]}"' for at in range(0, len(key), 255))),
        ("TXT", f"_dmarc.{name}", '"v=DMARC1; p=quarantine"'),
    )
    records = [_record(world, *entry) for entry in entries]
    zone.replace_records({record.id: record for record in records}, lambda _: world.now)


def _record(world: World, kind: str, name: str, content: str) -> Record:
    return Record(
        id=f"senders-{kind}-{name}",
        name=name,
        type=kind,
        content=content,
        ttl=300,
        proxied=False,
        priority=10 if kind == "MX" else None,
        data=None,
        comment=None,
        created_on=world.now,
        modified_on=world.now,
    )


def details(ask: Ask) -> dict[str, Any]:
    """An order, with the logins of its mailboxes once they are there."""
    ask.known("order_id")
    if not ask.query.get("order_id"):
        raise said('"order_id" is required')
    made = _orders(ask.world).get(ask.query["order_id"])
    if made is None:
        raise failed(f"Order not found - {ask.query['order_id']}.")
    addresses = [address for boxes in made["wanted"].values() for address in boxes]
    ready = made["status"] == "completed"
    logins = (
        [{"email": address, "password": ask.world.mail_accounts[address]} for address in addresses] if ready else []
    )
    shown = {name: made[name] for name in ("order_id", "status", "created_at", "expires_at")}
    return {"ok": True, "data": {**shown, "domain": next(iter(made["wanted"])), "email_accounts": logins}}


def secret(ask: Ask) -> dict[str, Any]:
    """A one-time code for a bought mailbox."""
    ask.known("email_account")
    address = ask.query.get("email_account", "").lower()
    if not any(address in row["email_accounts"] for row in _owned(ask.world)):
        raise failed(f"Email account not found - {address or 'none'}.")
    code = int(hexes(ask.world, 8, "otp", address, int(ask.world.now.timestamp()) // 300), 16) % 10**6
    return {"ok": True, "data": {"otp": f"{code:06d}", "expires_in": 300}}
