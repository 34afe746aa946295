"""All faces as one application, with the log of requests and the faults in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mailfleet.sandbox import control, slack, status_page, twilio
from mailfleet.sandbox.cloudflare import face as cloudflare
from mailfleet.sandbox.faults import Fault, answer, faults, meet, wait
from mailfleet.sandbox.forge import face as forge
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.routing import Indexed
from mailfleet.sandbox.skew import Shifting, date_header, skew
from mailfleet.sandbox.smartlead import face as smartlead
from mailfleet.sandbox.smartlead.deliveries import PROFILES, outbound
from mailfleet.sandbox.world import World

_VENDORS = (
    "smartlead",
    "smartdelivery",
    "smartsenders",
    "cloudflare",
    "namecheap",
    "slack",
    "twilio",
    "status",
    *forge.VENDORS,
)
_ABORT = "sandbox.abort"
_UNLIMITED = 10**9
_JUMP = 10.0
"""Seconds of real time a call waits for the clock to stand; who calls before answering a webhook waits for itself."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also lets a face cut the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[_ABORT] = self.transport.abort


def build(world: World, *, per_minute: int | None = 60, profile: str = "typical") -> ASGIApp:
    """The application of a world; `per_minute` None lifts the limits of every vendor, which count in real time."""
    calls = _UNLIMITED if per_minute is None else per_minute
    wide = per_minute is None
    outbound(world).disorder = PROFILES[profile]
    faults(world).hostile = profile == "hostile"
    routes = [
        *smartlead.routes(world, calls),
        *cloudflare.routes(world, cloudflare.Limit(quota=_UNLIMITED) if wide else None),
        *namecheap.routes(world, namecheap.Limit(windows=((60.0, _UNLIMITED),)) if wide else None),
        *slack.routes(world),
        *twilio.routes(world),
        *forge.routes(world),
        *control.routes(world),
        *status_page.routes(world),
    ]
    inner = Starlette(exception_handlers={404: _unknown, 405: _unknown})
    inner.router = Indexed(routes)
    return Front(world, inner)


async def _unknown(request: Request, error: Exception) -> Response:
    # smartlead: an unknown path and an unknown method both answer 404.
    return JSONResponse({"message": "Not Found"}, 404)


class Front:
    """Stands before every vendor's face: faults first, then the face, then the log. The control API has none of it."""

    def __init__(self, world: World, inner: ASGIApp) -> None:
        self.world = world
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        vendor = scope["path"].split("/")[1] if scope["type"] == "http" else ""
        if vendor not in _VENDORS:
            await self.inner(scope, receive, send)
            return
        if not self.world.still.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.world.still.wait(), _JUMP)
        begun, status, wrong = time.perf_counter(), ["none"], skew(self.world, vendor)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = str(message["status"])
                message["headers"] = [*message["headers"], (b"date", date_header(time.time() + wrong))]
            await send(message)

        fault = meet(self.world, vendor, scope["method"], scope["path"])
        try:
            await self._served(vendor, scope, receive, Shifting(noted, wrong) if wrong else noted, fault)
        finally:
            self._log(scope, vendor, status[0], begun, fault)

    async def _served(self, vendor: str, scope: Scope, receive: Receive, send: Send, fault: Fault | None) -> None:
        if fault is None:
            await self.inner(scope, receive, send)
            return
        instead = answer(fault, vendor)
        if instead is not None:
            await instead(scope, receive, send)
        elif fault.kind in ("timeout_before", "reset"):
            await _hang(scope, receive, fault, cut=fault.kind == "reset")
        elif fault.kind in ("timeout_after", "reset_after"):
            await self.inner(scope, receive, _swallow)
            await _hang(scope, receive, fault, cut=fault.kind == "reset_after")
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self.inner(scope, receive, send)
        elif fault.kind == "stale_reads":
            await self._stale(scope, receive, send, fault)
        else:
            self.world.state["partial_batch"] = True
            try:
                await self.inner(scope, receive, send)
            finally:
                self.world.state.pop("partial_batch", None)

    async def _stale(self, scope: Scope, receive: Receive, send: Send, fault: Fault) -> None:
        """Answers as the first time, whatever happened since."""
        address = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        if address not in fault.kept:
            kept: list[Message] = []
            await self.inner(scope, receive, _into(kept))
            body = b"".join(part.get("body", b"") for part in kept[1:])
            fault.kept[address] = (kept[0]["status"], list(kept[0]["headers"]), body)
        status, headers, body = fault.kept[address]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _log(self, scope: Scope, vendor: str, status: str, begun: float, fault: Fault | None) -> None:
        fields: dict[str, object] = {
            "wall": datetime.now(UTC).isoformat(),
            "vendor": vendor,
            "method": scope["method"],
            "path": scope["path"],
            "status": int(status) if status.isdigit() else status,
            "key": _fingerprint(scope["query_string"], dict(scope["headers"]).get(b"authorization", b"")),
            "ms": round(1000 * (time.perf_counter() - begun), 2),
        }
        self.world.log.add("http", fields | ({"fault": fault.kind} if fault else {}))


def _into(kept: list[Message]) -> Callable[[Message], Any]:
    async def keep(message: Message) -> None:
        kept.append(message)

    return keep


async def _swallow(message: Message) -> None:
    """Drops a part of an answer that never arrives."""


async def _hang(scope: Scope, receive: Receive, fault: Fault, *, cut: bool) -> None:
    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    if not cut:
        await wait(fault, gone)
    abort = scope.get(_ABORT)
    if abort is not None:
        abort()


@lru_cache(maxsize=4096)
def _fingerprint(query: bytes, authorization: bytes) -> str | None:
    """Tells keys apart without showing one."""
    asked = QueryParams(query)
    given = asked.get("api_key") or authorization.decode("latin-1") or asked.get("ApiKey")
    return hashlib.blake2b(given.encode(), digest_size=6).hexdigest() if given else None
