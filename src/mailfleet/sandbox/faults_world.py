"""Things that go wrong in the world behind the vendors: each begins at once and says how it is undone, if it can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from mailfleet.sandbox import status_page
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.engine.send import set_status
from mailfleet.sandbox.providers import FILTERS, BadList, Refusal, Spell, receivers
from mailfleet.sandbox.reputation import standing
from mailfleet.sandbox.smartlead.deliveries import outbound, resend
from mailfleet.sandbox.smartlead.payloads import disconnected_notice
from mailfleet.sandbox.smartlead.state import Mailbox, smartlead
from mailfleet.sandbox.world import World

Given = Mapping[str, Any]
_MOST = 1_000_000_000
_SENDERS = ("smartlead", "forge")
Undo = Callable[[], None] | None
Begin = Callable[[World, Given], Undo]


def moment(given: object, name: str) -> datetime:
    """A moment in ISO 8601, UTC unless it says otherwise. Raises ValueError."""
    try:
        found = datetime.fromisoformat(str(given))
    except ValueError:
        raise ValueError(f"{name} is no moment: {given!r}.") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def number(given: Given, name: str, usual: float | None = None) -> float:
    """A number that can be meant. Raises ValueError."""
    value = given[name] if usual is None else given.get(name, usual)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _MOST:
        raise ValueError(f"{name} is no number up to {_MOST}: {value!r}.")
    return value


def _mailbox(world: World, given: Given) -> Mailbox:
    for box in smartlead(world).mailboxes.values():
        if box.address.lower() == str(given["address"]).lower():
            return box
    raise ValueError(f"Smartlead has no mailbox {given['address']}.")


def _disconnect(world: World, given: Given) -> Undo:
    box = _mailbox(world, given)
    box.smtp_ok, box.smtp_error = False, "Invalid login: 535 5.7.8 Authentication credentials invalid"
    disconnected_notice(world, box)
    return partial(_connect, box)


def _connect(box: Mailbox) -> None:
    box.smtp_ok, box.smtp_error = True, None


def _reconnect(world: World, given: Given) -> Undo:
    _connect(_mailbox(world, given))
    return None


def _standing(world: World, given: Given) -> Undo:
    found = standing(world, _mailbox(world, given))
    found.score = _share(given, "score")
    found.ceiling = _share(given, "ceiling", found.ceiling)
    return None


def _block_warmup(world: World, given: Given) -> Undo:
    warmup = _mailbox(world, given).warmup
    if warmup is None:
        raise ValueError("The mailbox has no warm-up.")
    warmup.blocked_reason, warmup.enabled = str(given.get("text", "Too many warm-up mails bounced")), False
    return None


def _campaign(world: World, given: Given) -> Undo:
    campaign = smartlead(world).campaigns.get(int(number(given, "campaign_id")))
    if campaign is None:
        raise ValueError(f"Smartlead has no campaign {given['campaign_id']}.")
    set_status(world, campaign, str(given.get("status", "PAUSED")))
    return None


def _page(world: World, given: Given) -> Undo:
    status_page.set_status(world, str(given["indicator"]), str(given.get("description", "")))
    return partial(status_page.set_status, world, "none")


def _lose(world: World, given: Given) -> Undo:
    outbound(world).lose += int(number(given, "times", 1))
    return None


def _repeat(world: World, given: Given) -> Undo:
    outbound(world).repeat += int(number(given, "times", 1))
    return None


def _reorder(world: World, given: Given) -> Undo:
    out = outbound(world)
    out.reorder += int(number(given, "times", 1))
    out.hold = timedelta(seconds=number(given, "seconds", 3600))
    return None


def _late(world: World, given: Given) -> Undo:
    out = outbound(world)
    out.late += int(number(given, "times", 1))
    out.lateness = timedelta(days=number(given, "days", 3))
    return None


def _resend(world: World, given: Given) -> Undo:
    resend(world, moment(given["after"], "after"), moment(given["before"], "before"))
    return None


def _retries(world: World, given: Given) -> Undo:
    vendor = smartlead(world)
    if not isinstance(given["minutes"], list):
        raise ValueError("minutes is a list of numbers.")
    listed: list[object] = given["minutes"]
    vendor.retry_minutes = tuple(number({"minutes": minutes}, "minutes") for minutes in listed)
    vendor.disable_after_failure = bool(given.get("disable", False))
    return None


def _sign(world: World, given: Given) -> Undo:
    smartlead(world).sign_webhooks = bool(given.get("on", True))
    return None


def _notices(world: World, given: Given) -> Undo:
    if given["shape"] not in ("flat", "dotted"):
        raise ValueError("shape is 'flat' or 'dotted'.")
    smartlead(world).notice_shape = given["shape"]
    return None


def _credits(world: World, given: Given) -> Undo:
    smartlead(world).lead_credits = None if given["count"] is None else int(number(given, "count"))
    return None


def _delivery_credits(world: World, given: Given) -> Undo:
    world.state["delivery_credits"] = None if given["count"] is None else int(number(given, "count"))
    return None


def _corrupt(world: World, given: Given) -> Undo:
    domain = str(given["domain"])
    dns_server.corrupt(world, domain)
    return partial(dns_server.heal, world, domain)


def _heal(world: World, given: Given) -> Undo:
    dns_server.heal(world, str(given["domain"]))
    return None


def _dns(world: World, given: Given) -> Undo:
    domain = str(given["domain"])
    dns_server.break_servers(world, domain, given["how"])
    return partial(dns_server.break_servers, world, domain, None)


def _share(given: Given, name: str, usual: float | None = None) -> float:
    value = number(given, name, usual)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a number from 0 to 1.")
    return value


def _spell(world: World, given: Given, factor: float) -> Undo:
    provider, vendor = given.get("provider"), given.get("vendor")
    if provider is not None and str(provider) not in FILTERS:
        raise ValueError(f"provider is one of {', '.join(FILTERS)}, or null for all.")
    spell = Spell(None if provider is None else str(provider), factor, None if vendor is None else _sender(vendor))
    held = receivers(world).spells
    held.append(spell)
    return partial(held.remove, spell)


def _sender(vendor: object) -> str:
    if vendor not in _SENDERS:
        raise ValueError(f"vendor is one of {', '.join(_SENDERS)}.")
    return str(vendor)


def _harder(world: World, given: Given) -> Undo:
    return _spell(world, given, _share(given, "factor", 0.5))


def _outage(world: World, given: Given) -> Undo:
    return _spell(world, given, 0.0)


def _refusal(world: World, given: Given) -> Undo:
    found, held = Refusal(_sender(given["vendor"]), _share(given, "share")), receivers(world).refusals
    held.append(found)
    return partial(held.remove, found)


def _bad_list(world: World, given: Given) -> Undo:
    bad = BadList(str(given.get("contains", "")), _share(given, "bounces", 0.1), _share(given, "complaints", 0.0))
    held = receivers(world).bad_lists
    held.append(bad)
    return partial(held.remove, bad)


def _skew(world: World, given: Given) -> Undo:
    held: dict[str, float] = world.state.setdefault("skew", {})
    vendor = str(given.get("vendor", "smartlead"))
    held[vendor] = number(given, "seconds")

    def undo() -> None:
        held.pop(vendor, None)

    return undo


KINDS: dict[str, tuple[Begin, tuple[str, ...]]] = {
    "corrupt_dkim": (_corrupt, ("domain",)),
    "heal_dkim": (_heal, ("domain",)),
    "disconnect_mailbox": (_disconnect, ("address",)),
    "reconnect_mailbox": (_reconnect, ("address",)),
    "dns": (_dns, ("domain", "how")),
    "standing": (_standing, ("address", "score")),
    "block_warmup": (_block_warmup, ("address",)),
    "campaign_status": (_campaign, ("campaign_id",)),
    "status_page": (_page, ("indicator",)),
    "webhook_loss": (_lose, ()),
    "webhook_repeat": (_repeat, ()),
    "webhook_reorder": (_reorder, ()),
    "webhook_late": (_late, ()),
    "webhook_resend": (_resend, ("after", "before")),
    "webhook_retries": (_retries, ("minutes",)),
    "sign_webhooks": (_sign, ()),
    "notice_shape": (_notices, ("shape",)),
    "lead_credits": (_credits, ("count",)),
    "delivery_credits": (_delivery_credits, ("count",)),
    "provider_filter": (_harder, ()),
    "provider_outage": (_outage, ()),
    "bad_list": (_bad_list, ()),
    "vendor_refused": (_refusal, ("vendor", "share")),
    "clock_skew": (_skew, ("seconds",)),
}
"""Each kind, how it begins, and what it cannot do without."""
