"""Things that go wrong on demand: on the wire between a client and a vendor, and in the world behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.responses import HTMLResponse, JSONResponse, Response

from mailfleet.sandbox import status_page
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.engine.send import set_status
from mailfleet.sandbox.reputation import standing
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.smartlead.http import too_many
from mailfleet.sandbox.smartlead.payloads import account_event
from mailfleet.sandbox.smartlead.state import Mailbox, smartlead
from mailfleet.sandbox.world import World

WIRE = (
    "timeout_before", "timeout_after", "reset", "reset_after", "slow", "429", "429_bare", "403_html", "401", "500",
    "502", "200_false", "partial_batch", "stale_reads",
)  # fmt: skip
# smartlead behind Cloudflare: error 1010, the banned signature of a user agent.
_BANNED = (
    "<!DOCTYPE html><html><head><title>Access denied | server.smartlead.ai used Cloudflare to restrict access</title>"
    "</head><body><h1>Error 1010</h1><p>The owner of this website has banned your access based on your browser's "
    "signature.</p></body></html>"
)
_BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
# What a hostile world does to requests by itself: share of requests, kind.
_HOSTILE = ((0.010, "429"), (0.006, "502"), (0.004, "500"), (0.003, "reset"), (0.002, "reset_after"), (0.002, "slow"))


@dataclass
class Fault:
    """A fault on the wire."""

    number: int
    kind: str
    vendor: str | None = None
    path: str = ""
    method: str | None = None
    # How many requests it still meets; None = until it is taken away.
    times: int | None = 1
    seconds: float = 3600.0
    text: str = ""
    kept: dict[str, tuple[int, list[tuple[bytes, bytes]], bytes]] = field(
        default_factory=dict[str, tuple[int, list[tuple[bytes, bytes]], bytes]]
    )

    def shown(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        names = ("number", "kind", "vendor", "path", "method", "times", "seconds", "text")
        return {name: getattr(self, name) for name in names}


@dataclass
class Faults:
    """The faults of this world."""

    wire: list[Fault] = field(default_factory=list[Fault])
    made: int = 0
    hostile: bool = False
    requests: int = 0


def faults(world: World) -> Faults:
    """The faults of this world."""
    return cast(Faults, world.state.setdefault("wire_faults", Faults()))


def meet(world: World, vendor: str, method: str, path: str) -> Fault | None:
    """The fault this request meets, if any; counts it."""
    held = faults(world)
    held.requests += 1
    for fault in held.wire:
        if fault.vendor not in (None, vendor) or fault.path not in path or fault.method not in (None, method):
            continue
        if fault.kind == "stale_reads" and method != "GET":
            continue
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                held.wire.remove(fault)
        return fault
    return _by_chance(world, held, vendor) if held.hostile else None


def _by_chance(world: World, held: Faults, vendor: str) -> Fault | None:
    share = fraction(world, "hostile", vendor, held.requests)
    for part, kind in _HOSTILE:
        share -= part
        if share < 0:
            return Fault(0, kind, seconds=3.0)
    return None


def answer(fault: Fault) -> Response | None:
    """The answer a fault gives in the vendor's place; None for the kinds that are not an answer."""
    if fault.kind == "401":
        return JSONResponse({"message": "Invalid API Key"}, 401)
    if fault.kind in ("429", "429_bare"):
        seconds = int(fault.seconds) if fault.seconds != 3600.0 else 2
        return too_many(seconds, {}, retry_after=fault.kind == "429")
    if fault.kind == "403_html":
        return HTMLResponse(_BANNED, 403)
    if fault.kind == "502":
        return HTMLResponse(_BAD_GATEWAY, 502)
    if fault.kind == "500":
        return JSONResponse({"message": fault.text or "Internal Server Error"}, 500)
    if fault.kind == "200_false":
        return JSONResponse({"ok": False, "message": fault.text or "Something went wrong, please try again later"})
    return None


def start(world: World, given: Mapping[str, Any]) -> dict[str, Any]:
    """Begins a fault. Raises ValueError with what is wrong about it."""
    kind = str(given.get("kind", ""))
    if kind in WIRE:
        return _wire(world, kind, given)
    doing = _WORLDLY.get(kind)
    if doing is None:
        raise ValueError(f"kind {kind!r} is none of {', '.join((*WIRE, *_WORLDLY))}.")
    try:
        doing(world, given)
    except KeyError as missing:
        raise ValueError(f"{kind} needs {missing.args[0]!r}.") from None
    return {"kind": kind}


def _wire(world: World, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    held = faults(world)
    held.made += 1
    times = given.get("times", 1)
    fault = Fault(
        held.made,
        kind,
        vendor=given.get("vendor"),
        path=str(given.get("path", "")),
        method=given.get("method"),
        times=None if times is None else int(times),
        seconds=float(given.get("seconds", 3600.0)),
        text=str(given.get("text", "")),
    )
    held.wire.append(fault)
    return fault.shown()


def clear(world: World) -> None:
    """Ends every fault on the wire and every corrupted key; a profile's own stay."""
    faults(world).wire.clear()
    for domain in list(world.state.get("faults", {}).get("corrupt_dkim", [])):
        dns_server.heal(world, domain)
    out = outbound(world)
    out.lose = out.repeat = 0


def _mailbox(world: World, given: Mapping[str, Any]) -> Mailbox:
    for box in smartlead(world).mailboxes.values():
        if box.address.lower() == str(given["address"]).lower():
            return box
    raise ValueError(f"Smartlead has no mailbox {given['address']}.")


def _disconnect(world: World, given: Mapping[str, Any]) -> None:
    box = _mailbox(world, given)
    box.smtp_ok, box.smtp_error = False, "Invalid login: 535 5.7.8 Authentication credentials invalid"
    notice = {"accountId": box.id, "email": box.address, "error": box.smtp_error, "title": "Account disconnected"}
    account_event(world, "EMAIL_ACCOUNT_DISCONNECTED", {**notice, "message": f"{box.address} was disconnected."})


def _reconnect(world: World, given: Mapping[str, Any]) -> None:
    box = _mailbox(world, given)
    box.smtp_ok, box.smtp_error = True, None


def _standing(world: World, given: Mapping[str, Any]) -> None:
    found = standing(world, _mailbox(world, given))
    found.score = float(given["score"])
    found.ceiling = float(given.get("ceiling", found.ceiling))


def _block_warmup(world: World, given: Mapping[str, Any]) -> None:
    warmup = _mailbox(world, given).warmup
    if warmup is None:
        raise ValueError("The mailbox has no warm-up.")
    warmup.blocked_reason, warmup.enabled = str(given.get("text", "Too many warm-up mails bounced")), False


def _campaign(world: World, given: Mapping[str, Any]) -> None:
    campaign = smartlead(world).campaigns.get(int(given["campaign_id"]))
    if campaign is None:
        raise ValueError(f"Smartlead has no campaign {given['campaign_id']}.")
    set_status(world, campaign, str(given.get("status", "PAUSED")))


def _page(world: World, given: Mapping[str, Any]) -> None:
    status_page.set_status(world, str(given["indicator"]), str(given.get("description", "")))


def _lose(world: World, given: Mapping[str, Any]) -> None:
    outbound(world).lose += int(given.get("times", 1))


def _repeat(world: World, given: Mapping[str, Any]) -> None:
    outbound(world).repeat += int(given.get("times", 1))


def _retries(world: World, given: Mapping[str, Any]) -> None:
    vendor = smartlead(world)
    vendor.retry_minutes = tuple(float(minutes) for minutes in given["minutes"])
    vendor.disable_after_failure = bool(given.get("disable", False))


def _sign(world: World, given: Mapping[str, Any]) -> None:
    smartlead(world).sign_webhooks = bool(given.get("on", True))


def _credits(world: World, given: Mapping[str, Any]) -> None:
    smartlead(world).lead_credits = None if given["count"] is None else int(given["count"])


def _delivery_credits(world: World, given: Mapping[str, Any]) -> None:
    world.state["delivery_credits"] = int(given["count"])


def _corrupt(world: World, given: Mapping[str, Any]) -> None:
    dns_server.corrupt(world, str(given["domain"]))


def _heal(world: World, given: Mapping[str, Any]) -> None:
    dns_server.heal(world, str(given["domain"]))


_WORLDLY: dict[str, Callable[[World, Mapping[str, Any]], None]] = {
    "corrupt_dkim": _corrupt,
    "heal_dkim": _heal,
    "disconnect_mailbox": _disconnect,
    "reconnect_mailbox": _reconnect,
    "standing": _standing,
    "block_warmup": _block_warmup,
    "campaign_status": _campaign,
    "status_page": _page,
    "webhook_loss": _lose,
    "webhook_repeat": _repeat,
    "webhook_retries": _retries,
    "sign_webhooks": _sign,
    "lead_credits": _credits,
    "delivery_credits": _delivery_credits,
}


async def wait(fault: Fault, gone: Callable[[], Any]) -> None:
    """Holds a request for the fault's seconds, or until the client has gone."""
    leaving = asyncio.ensure_future(gone())
    try:
        await asyncio.wait([leaving], timeout=fault.seconds)
    finally:
        leaving.cancel()
