"""The control API: the clock, the mail host, the registrar, faults, logs and state. No vendor has anything like it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox import faults
from mailfleet.sandbox.control_openapi import description
from mailfleet.sandbox.describe import published
from mailfleet.sandbox.forge import control as forge_control
from mailfleet.sandbox.namecheap.state import register
from mailfleet.sandbox.reputation import placement, standing, warmup_reputation
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.smartlead.state import smartlead
from mailfleet.sandbox.world import LOGS, World

PREFIX = "/control"
_PAGE = 10_000
_FARTHEST = timedelta(days=400)


class Wrong(Exception):
    """A request that cannot be done, and why."""


def routes(world: World) -> list[BaseRoute]:
    """Everything under /control."""
    turn = asyncio.Lock()

    async def advanced(request: Request) -> Response:
        given = await _body(request)
        async with turn:
            done = await advance(world, _goal(world, given))
        return JSONResponse({"now": world.now.isoformat(), "done": done})

    def clock(given: dict[str, Any]) -> dict[str, Any]:
        return {"now": world.now.isoformat(), "start": world.start.isoformat(), "seed": world.seed}

    return [
        published(PREFIX + "/openapi.json", description(PREFIX)),
        _route("/clock", "GET", clock),
        Route(PREFIX + "/advance", _guarded(advanced), methods=["POST"]),
        _route("/mailhost/accounts", "POST", lambda given: _add_account(world, given)),
        _route("/registrar/domains", "POST", lambda given: _add_domain(world, given)),
        _route("/faults", "POST", lambda given: _start_fault(world, given)),
        _route("/faults", "DELETE", lambda given: _clear_faults(world)),
        _route("/faults", "GET", lambda given: faults.shown(world)),
        _route("/state", "GET", lambda given: state(world)),
        *(_route(path, method, do) for (method, path), do in forge_control.calls(world).items()),
        *(_route(f"/log/{name}", "GET", _log(world, name)) for name in LOGS),
    ]


async def advance(world: World, to: datetime) -> int:
    """Moves the clock and makes every delivery that falls due on the way; returns how many things were done.

    Calls to a vendor that arrive meanwhile are answered after the jump, so that a world does not depend on how fast its
    clients are.
    """
    done = 0
    world.still.clear()
    try:
        while True:
            done += await world.advance(to)
            if not await outbound(world).drain():
                return done
    finally:
        world.still.set()


def _route(path: str, method: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Route:
    async def serve(request: Request) -> Response:
        given = dict(request.query_params) if method == "GET" else await _body(request)
        return JSONResponse(answer(given))

    return Route(PREFIX + path, _guarded(serve), methods=[method])


def _guarded(serve: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            return await serve(request)
        except (Wrong, ValueError, OverflowError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        given = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise Wrong(f"The body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise Wrong("The body is not a JSON object.")
    return given


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Wrong(f"{name!r} is missing or no text.")
    return value


def _goal(world: World, given: dict[str, Any]) -> datetime:
    if "to" in given:
        goal = datetime.fromisoformat(_text(given, "to"))
        goal = goal.astimezone(UTC) if goal.tzinfo else goal.replace(tzinfo=UTC)
    elif isinstance(given.get("seconds"), int | float):
        if not abs(given["seconds"]) <= _FARTHEST.total_seconds():
            raise Wrong(f"More than {_FARTHEST.days} days at once.")
        goal = world.now + timedelta(seconds=given["seconds"])
    else:
        raise Wrong("Say 'to' (ISO 8601) or 'seconds' (a number).")
    if goal < world.now:
        raise Wrong(f"The clock stands at {world.now.isoformat()} and does not go back.")
    if goal > world.now + _FARTHEST:
        raise Wrong(f"More than {_FARTHEST.days} days at once.")
    return goal


def _add_account(world: World, given: dict[str, Any]) -> dict[str, Any]:
    address = _text(given, "address").lower()
    world.mail_accounts[address] = _text(given, "password")
    return {"address": address}


def _add_domain(world: World, given: dict[str, Any]) -> dict[str, Any]:
    domain = register(world, _text(given, "name"))
    return {"name": domain.name, "nameservers": list(domain.nameservers)}


def _start_fault(world: World, given: dict[str, Any]) -> dict[str, Any]:
    return faults.start(world, given)


def _clear_faults(world: World) -> dict[str, Any]:
    faults.clear(world)
    return {"faults": []}


def _log(world: World, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def page(given: dict[str, Any]) -> dict[str, Any]:
        after, most = int(given.get("after", 0)), min(int(given.get("limit", _PAGE)), _PAGE)
        entries = world.log.lists[name]
        shown = entries[max(0, after) : max(0, after) + most]
        return {"entries": shown, "total": len(entries), "next": shown[-1]["n"] if shown else after}

    return page


def state(world: World) -> dict[str, Any]:
    """What is there, in short, with the standings that no vendor shows."""
    vendor = smartlead(world)
    boxes = [
        {
            "id": box.id,
            "address": box.address,
            "warmup_sent": box.warmup.sent if box.warmup else 0,
            "reputation": warmup_reputation(world, box),
            "standing": round(standing(world, box).score, 4),
            "placement": round(placement(world, box), 4),
        }
        for box in vendor.mailboxes.values()
    ]
    campaigns = [
        {"id": item.id, "name": item.name, "status": item.status, "leads": len(item.maps), "sent": len(item.sent)}
        for item in vendor.campaigns.values()
    ]
    return {
        "now": world.now.isoformat(),
        "seed": world.seed,
        "mailboxes": boxes,
        "campaigns": campaigns,
        "leads": len(vendor.leads),
        "blocked": len(vendor.blocks),
        "hooks": [{"id": hook.id, "url": hook.url, "disabled": hook.disabled} for hook in vendor.webhooks.values()],
        "zones": sorted(world.zones),
        "logs": {name: len(entries) for name, entries in world.log.lists.items()},
    }
