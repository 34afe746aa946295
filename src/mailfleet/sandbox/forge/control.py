"""What the control API does to the Forge accounts: a past, what is not settled about them, and things that go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailfleet.sandbox.forge import engine, estate, warm
from mailfleet.sandbox.forge.http import CORE, INFRA, MAIL, MULTI, WARM, Refusal
from mailfleet.sandbox.forge.seeding import seed
from mailfleet.sandbox.forge.state import PRODUCTS, Sequence, Workspace, forge
from mailfleet.sandbox.world import World

_OPTIONS: Mapping[str, Callable[[Any], bool]] = {
    "profile": lambda value: value in ("2026-02", "2026-09"),
    "sending_data": lambda value: value in ("email", "contact"),
    "list_sequences": lambda value: isinstance(value, bool),
    "page_most": lambda value: isinstance(value, int) and value > 0,
    "per_second": lambda value: value is None or (isinstance(value, int | float) and value > 0),
    "lead_credits": lambda value: value is None or isinstance(value, int),
    "contact_capacity": lambda value: value is None or isinstance(value, int),
    "blocks": lambda value: isinstance(value, dict),
}


def calls(world: World) -> dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]]:
    """Method and path under /control to what is done."""
    return {
        ("POST", "/forge/seed"): lambda given: _seed(world, given),
        ("POST", "/forge/options"): lambda given: _options(world, given),
        ("POST", "/forge/domains"): lambda given: _domain(world, given),
        ("POST", "/forge/mailboxes"): lambda given: _mailbox(world, given),
        ("POST", "/forge/sequence-status"): lambda given: _sequence_status(world, given),
        ("POST", "/forge/mailbox-status"): lambda given: _mailbox_status(world, given),
        ("GET", "/forge/state"): lambda given: state(world),
    }


def info(world: World, root: str) -> dict[str, dict[str, Any]]:
    """Address and key of every product."""
    keys = forge(world).keys
    bases = {"salesforge": CORE, "warmforge": WARM, "infraforge": INFRA, "mailforge": MAIL}
    shown: dict[str, dict[str, Any]] = {
        name: {"base_url": root + bases[name], "api_key": keys[name]} for name in PRODUCTS
    }
    shown["salesforge"]["multichannel_base_url"] = root + MULTI.removesuffix("/multichannel")
    return shown


def _seed(world: World, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return seed(world, given)
    except Refusal as refusal:
        raise ValueError(str(refusal.body)) from None


def _options(world: World, given: dict[str, Any]) -> dict[str, Any]:
    held = forge(world)
    for name, value in given.items():
        if name not in _OPTIONS or not _OPTIONS[name](value):
            raise ValueError(f"{name}={value!r} is none of {', '.join(_OPTIONS)}, or no value of it.")
        setattr(held, name, value)
    return {name: getattr(held, name) for name in _OPTIONS}


def _product(given: Mapping[str, Any]) -> str:
    product = str(given.get("product", "infraforge"))
    if product not in ("infraforge", "mailforge"):
        raise ValueError(f"{product!r} holds no domains.")
    return product


def _domain(world: World, given: dict[str, Any]) -> dict[str, Any]:
    domain = estate.add_domain(world, _product(given), str(given["name"]))
    return {"id": domain.id, "name": domain.name, "nameservers": list(estate.NAMESERVERS)}


def _mailbox(world: World, given: dict[str, Any]) -> dict[str, Any]:
    names = str(given.get("first_name", "Ada")), str(given.get("last_name", "Byrne"))
    box = estate.add_mailbox(world, _product(given), str(given["address"]), *names)
    return {"id": box.id, "address": box.address}


def _found(world: World, identity: object) -> tuple[Workspace, Sequence]:
    for ws in forge(world).workspaces.values():
        if (sequence := ws.sequences.get(str(identity))) is not None:
            return ws, sequence
    raise ValueError(f"There is no sequence {identity}.")


def _sequence_status(world: World, given: dict[str, Any]) -> dict[str, Any]:
    ws, sequence = _found(world, given.get("id"))
    engine.set_status(world, ws, sequence, str(given.get("status", "paused")))
    return {"id": sequence.id, "status": sequence.status}


def _mailbox_status(world: World, given: dict[str, Any]) -> dict[str, Any]:
    address, status = str(given.get("address", "")).lower(), str(given.get("status", "access_lost"))
    changed = 0
    for ws in forge(world).workspaces.values():
        for box in ws.boxes.values():
            if box.address == address:
                box.status, changed = status, changed + 1
                box.disconnect_reason = str(given.get("reason", "" if status == "active" else "authentication failed"))
    if (warmed := warm.warm(world).boxes.get(address)) is not None:
        warmed.status, changed = ("active" if status == "active" else "access_lost"), changed + 1
    if not changed:
        raise ValueError(f"There is no mailbox {address}.")
    return {"address": address, "status": status}


def state(world: World) -> dict[str, Any]:
    """What there is, in short."""
    held = forge(world)
    sequences = [
        {
            "id": sequence.id,
            "name": sequence.name,
            "status": sequence.status,
            "leads": len(sequence.enrolments),
            "sent": len(sequence.mails),
            "timezone": sequence.timezone,
            "schedules": sequence.schedules,
        }
        for ws in held.workspaces.values()
        for sequence in ws.sequences.values()
    ]
    heat = [
        {"address": box.address, "heat": warm.heat(world, box), "enabled": box.enabled, "days": len(box.days)}
        for box in warm.warm(world).boxes.values()
    ]
    return {
        "profile": held.profile,
        "sequences": sequences,
        "contacts": sum(len(ws.contacts) for ws in held.workspaces.values()),
        "forbidden": sum(len(ws.dnc) for ws in held.workspaces.values()),
        "mails": sum(len(ws.mails) for ws in held.workspaces.values()),
        "threads": sum(len(ws.threads) for ws in held.workspaces.values()),
        "warmup": heat,
        "domains": sorted(domain.name for domain in estate.estate(world, "infraforge").domains.values()),
    }
