"""Things that go wrong on demand: on the wire between a client and a vendor, and in the world behind it.

Each begins at once or at a moment of sandbox time, and lasts until it is used up, over, or cleared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import formatdate
from functools import partial
from typing import Any, cast

from starlette.responses import HTMLResponse, JSONResponse, Response

from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.faults_world import KINDS, Undo, moment, number
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.smartlead.http import too_many
from mailfleet.sandbox.world import World

WIRE = (
    "timeout_before", "timeout_after", "reset", "reset_after", "slow", "429", "429_bare", "429_date", "403_html", "401",
    "500", "502", "200_false", "partial_batch", "stale_reads",
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
# How others than Smartlead say that there were too many calls (their rate limit pages).
_THROTTLED: Mapping[str, Mapping[str, Any]] = {
    "slack": {"ok": False, "error": "ratelimited"},
    "twilio": {
        "code": 20429,
        "message": "Too Many Requests",
        "more_info": "https://www.twilio.com/docs/errors/20429",
        "status": 429,
    },
    "cloudflare": {
        "result": None,
        "success": False,
        "errors": [{"code": 971, "message": "Please wait and consider throttling your request speed"}],
        "messages": [],
    },
}
# What a hostile world does to requests by itself: share of requests, kind.
_HOSTILE = (
    (0.010, "429"), (0.006, "502"), (0.004, "500"), (0.003, "reset"), (0.002, "reset_after"), (0.002, "slow"),
    (0.002, "429_bare"), (0.001, "429_date"), (0.001, "403_html"), (0.001, "timeout_after"),
)  # fmt: skip


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
class Planned:
    """A fault with a beginning or an end in sandbox time."""

    kind: str
    given: Mapping[str, Any]
    at: datetime
    until: datetime | None
    begun: bool = False
    cancelled: bool = False
    undo: Undo = None
    # Why it could not begin when its moment came.
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        until = self.until.isoformat() if self.until else None
        state = {"begun": self.begun, "error": self.error}
        return {"kind": self.kind, "at": self.at.isoformat(), "until": until, **state}


@dataclass
class Faults:
    """The faults of this world."""

    wire: list[Fault] = field(default_factory=list[Fault])
    planned: list[Planned] = field(default_factory=list[Planned])
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
        if fault.kind == "partial_batch" and not _takes_a_batch(method, path):
            continue
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                held.wire.remove(fault)
        return fault
    return _by_chance(world, held, vendor) if held.hostile else None


def _takes_a_batch(method: str, path: str) -> bool:
    return method == "POST" and path.rstrip("/").endswith(("/leads", "/import", "/add-domain-block-list"))


def _by_chance(world: World, held: Faults, vendor: str) -> Fault | None:
    share = fraction(world, "hostile", vendor, held.requests)
    for part, kind in _HOSTILE:
        share -= part
        if share < 0:
            return Fault(0, kind, seconds=3.0)
    return None


def answer(fault: Fault, vendor: str) -> Response | None:
    """The answer a fault gives in the vendor's place; None for the kinds that are not an answer."""
    if fault.kind.startswith("429"):
        return _throttled(fault, vendor)
    if fault.kind == "401":
        return JSONResponse({"message": "Invalid API Key"}, 401)
    if fault.kind == "403_html":
        return HTMLResponse(_BANNED, 403)
    if fault.kind == "502":
        return HTMLResponse(_BAD_GATEWAY, 502)
    if fault.kind == "500":
        return JSONResponse({"message": fault.text or "Internal Server Error"}, 500)
    if fault.kind == "200_false":
        if vendor == "slack":
            return JSONResponse({"ok": False, "error": fault.text or "internal_error"})
        return JSONResponse({"ok": False, "message": fault.text or "Something went wrong, please try again later"})
    return None


def _throttled(fault: Fault, vendor: str) -> Response:
    seconds = int(fault.seconds) if fault.seconds != 3600.0 else 2
    # RFC 9110 10.2.3: seconds or a date; a proxy in front of a vendor may send either.
    date = formatdate(time.time() + seconds, usegmt=True)
    later = {"429": {"Retry-After": str(seconds)}, "429_date": {"Retry-After": date}}.get(fault.kind, {})
    if vendor in _THROTTLED:
        return JSONResponse(_THROTTLED[vendor], 429, headers=later)
    return too_many(seconds, later, retry_after=fault.kind == "429")


def start(world: World, given: Mapping[str, Any]) -> dict[str, Any]:
    """Begins a fault, now or `at` a moment, for ever or `until` one (or for `days`). Raises ValueError."""
    kind = str(given.get("kind", ""))
    if kind not in WIRE and kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join((*WIRE, *KINDS))}.")
    for name in KINDS[kind][1] if kind in KINDS else ():
        if name not in given:
            raise ValueError(f"{kind} needs {name!r}.")
    begins = moment(given["at"], "at") if "at" in given else world.now
    planned = Planned(kind, given, begins, _end(given, begins))
    if begins <= world.now:
        shown = _begin(world, planned)
        if planned.until is None:
            return shown
    else:
        world.at(begins, partial(_begin_later, world, planned))
    faults(world).planned.append(planned)
    return planned.shown()


def _end(given: Mapping[str, Any], begins: datetime) -> datetime | None:
    if given.get("kind") == "webhook_late":
        return None
    if "until" in given:
        end = moment(given["until"], "until")
        if end <= begins:
            raise ValueError("It would end before it begins.")
        return end
    return begins + timedelta(days=number(given, "days")) if "days" in given else None


def _begin(world: World, planned: Planned) -> dict[str, Any]:
    planned.begun = True
    if planned.kind in WIRE:
        fault = _wire(world, planned.kind, planned.given, lasting=planned.until is not None)
        planned.undo, shown = partial(_drop, world, fault), fault.shown()
    else:
        planned.undo, shown = KINDS[planned.kind][0](world, planned.given), {"kind": planned.kind}
    if planned.until is not None:
        world.at(planned.until, partial(_finish, planned))
    return shown


def _begin_later(world: World, planned: Planned) -> None:
    if planned.cancelled:
        return
    try:
        _begin(world, planned)
    except ValueError as error:
        planned.error = str(error)


def _finish(planned: Planned) -> None:
    if planned.begun and not planned.cancelled and planned.undo is not None:
        planned.undo()
    planned.cancelled = True


def _drop(world: World, fault: Fault) -> None:
    held = faults(world).wire
    if fault in held:
        held.remove(fault)


def _wire(world: World, kind: str, given: Mapping[str, Any], *, lasting: bool) -> Fault:
    held = faults(world)
    held.made += 1
    times = given.get("times", None if lasting else 1)
    fault = Fault(
        held.made,
        kind,
        vendor=None if given.get("vendor") is None else str(given["vendor"]),
        path=str(given.get("path", "")),
        method=None if given.get("method") is None else str(given["method"]),
        times=None if times is None else int(number({"times": times}, "times")),
        seconds=number(given, "seconds", 3600.0),
        text=str(given.get("text", "")),
    )
    held.wire.append(fault)
    return fault


def shown(world: World) -> dict[str, Any]:
    """The faults on the wire, and those that have a beginning or an end to come."""
    held = faults(world)
    planned = [entry.shown() for entry in held.planned if not entry.cancelled]
    return {"faults": [fault.shown() for fault in held.wire], "planned": planned}


def clear(world: World) -> None:
    """Ends every fault on the wire, every planned one and every corrupted key; a profile's own stay."""
    held = faults(world)
    for planned in held.planned:
        _finish(planned)
    held.wire.clear()
    held.planned.clear()
    for domain in list(world.state.get("faults", {}).get("corrupt_dkim", [])):
        dns_server.heal(world, domain)
    world.state.pop("skew", None)
    out = outbound(world)
    out.lose = out.repeat = out.reorder = out.late = 0


async def wait(fault: Fault, gone: Callable[[], Any]) -> None:
    """Holds a request for the fault's seconds, or until the client has gone."""
    leaving = asyncio.ensure_future(gone())
    try:
        await asyncio.wait([leaving], timeout=fault.seconds)
    finally:
        leaving.cancel()
