"""The console's application: a plain status page, the same as JSON, and a health check.

It shows and changes nothing. It listens on loopback unless told otherwise and answers only to the names it was given:
a page of somebody else in the operator's browser must not read it by rebinding a name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import mailfleet
from mailfleet.clock import Clock
from mailfleet.errors import MailfleetError
from mailfleet.store import overview
from mailfleet.store.database import Database, PsycopgError, told

LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def console(database: Database, clock: Clock, *, hosts: Sequence[str] = LOCAL) -> Starlette:
    """The ASGI application. `hosts` are the names it answers to."""
    page = _pages().get_template("status.html")

    async def read() -> overview.Overview:
        async with database.connection() as db:
            return await overview.read(db)

    async def status(_: Request) -> Response:
        now = clock.now()
        shown = page.render(seen=await read(), now=now, version=mailfleet.__version__)
        return HTMLResponse(shown, headers=_HEADERS)

    async def status_json(_: Request) -> Response:
        return Response(msgspec.json.encode(await read()), media_type="application/json", headers=_HEADERS)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"ok": True})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        await database.open()
        yield
        await database.close()

    return Starlette(
        routes=[Route("/", status), Route("/status.json", status_json), Route("/healthz", healthz)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={MailfleetError: _unavailable, PsycopgError: _unavailable},
        lifespan=lifespan,
    )


async def _unavailable(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, MailfleetError) else told(error)
    what = f"{known.code} {known.what} {known.hint}" if known else "The database answered with an error."
    return Response(f"{what}\n", status_code=503, media_type="text/plain", headers=_HEADERS)


def _pages() -> Environment:
    made = Environment(loader=PackageLoader("mailfleet.web"), autoescape=True, undefined=StrictUndefined)
    made.filters["moment"] = _moment
    return made


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
