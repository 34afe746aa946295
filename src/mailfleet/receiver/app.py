"""Webhooks in: checked, stored, acknowledged only after the commit (I4). Everything else is done by the worker.

Answers: 200 stored · 400 no JSON object · 401 wrong secret · 404 wrong path · 405 no POST · 413 too large ·
503 our own fault, to be sent again. A vendor stops retrying after a 4xx, so our faults are never one.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from psycopg import Error as PsycopgError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mailfleet.clock import Clock
from mailfleet.errors import MailfleetError
from mailfleet.receiver import checks
from mailfleet.receiver.group_commit import Full, GroupCommit, Unstorable
from mailfleet.receiver.keys import HookKeys
from mailfleet.store.database import Database
from mailfleet.store.events import event_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST = 1 << 20
"""Bytes of a body; a reply with its quoted thread is some tens of kilobytes."""
_KEPT = (b"x-request-id", b"x-webhook-level", b"user-agent")
log = structlog.get_logger(__name__)


class TooLarge(Exception):
    """The body is larger than any event."""


class Receiver:
    """The ASGI application. `secrets` are the webhook secrets by platform, `signed` the platforms whose hooks sign
    with secrets of their own; a platform in neither is not served."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        token: str,
        secrets: Mapping[str, str],
        signed: Mapping[str, HookKeys] | None = None,
        writers: int = 2,
        backlog: int = 20_000,
    ) -> None:
        self.database, self.clock, self.secrets = database, clock, dict(secrets)
        self.signed = dict(signed or {})
        self._token = token.encode()
        self.inbox = GroupCommit(database, writers=writers, backlog=backlog)
        self.stored = 0
        self._rest = Starlette(routes=[Route("/healthz", self._health)], lifespan=self._life)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/hooks/"):
            await self._hook(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    @asynccontextmanager
    async def _life(self, _app: Starlette) -> AsyncGenerator[None]:
        await self.database.open()
        self.inbox.start()
        try:
            yield
        finally:
            await self.inbox.stop()
            await self.database.close()

    async def _health(self, _request: Request) -> JSONResponse:
        try:
            async with self.database.connection() as db:
                await db.execute("select 1")
        except (PsycopgError, MailfleetError) as error:
            return JSONResponse({"ok": False, "database": type(error).__name__}, status_code=503)
        return JSONResponse({"ok": True, "stored": self.stored})

    async def _hook(self, scope: Scope, receive: Receive, send: Send) -> None:
        platform = self._platform(scope["path"])
        if platform is None:
            await _answer(send, 404, b'{"error":"not found"}')
        elif scope["method"] != "POST":
            await _answer(send, 405, b'{"error":"only POST"}')
        else:
            await _answer(send, *await self._take(platform, scope["headers"], receive))

    def _platform(self, path: str) -> str | None:
        parts = path.split("/")
        if len(parts) != 4 or not hmac.compare_digest(parts[2].encode("utf-8", "replace"), self._token):
            return None
        return parts[3] if parts[3] in self.secrets or parts[3] in self.signed else None

    async def _take(self, platform: str, headers: Sequence[tuple[bytes, bytes]], receive: Receive) -> tuple[int, bytes]:
        try:
            body = await _body(receive)
            envelope = checks.decode(body)
            text = body.decode()
        except TooLarge:
            return 413, b'{"error":"too large"}'
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return 400, b'{"error":"not a JSON object"}'
        try:
            if not await self._trusted(platform, envelope, headers, body):
                return 401, b'{"error":"wrong secret"}'
        except (PsycopgError, MailfleetError) as error:
            log.warning("webhook not checked", error=type(error).__name__)
            return 503, b'{"error":"not checked, send it again"}'
        return await self._store(self._row(platform, headers, envelope, text))

    async def _trusted(
        self, platform: str, envelope: checks.Envelope, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        if (keys := self.signed.get(platform)) is None:
            return checks.allowed(envelope, headers, body, self.secrets[platform])
        now = self.clock.now()
        return checks.signed(headers, body, keys.known(), now) or checks.signed(headers, body, await keys.again(), now)

    def _row(
        self, platform: str, headers: Sequence[tuple[bytes, bytes]], envelope: checks.Envelope, text: str
    ) -> bytes:
        now = self.clock.now()
        kept = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in _KEPT}
        # The id is of the bytes: a retry is the same row. What is the same event in other bytes is found when applied.
        head = {
            "id": str(event_id(platform, text, checks.event_time(envelope, now))),
            "platform": platform,
            "received_at": now,
            "headers": kept,
        }
        return msgspec.json.encode(head)[:-1] + b',"body":' + text.encode() + b"}"

    async def _store(self, row: bytes) -> tuple[int, bytes]:
        try:
            await self.inbox.add(row)
        except Full:
            return 503, b'{"error":"busy, send it again"}'
        except Unstorable:
            return 400, b'{"error":"cannot be stored"}'
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("webhook not stored", error=type(error).__name__)
            return 503, b'{"error":"not stored, send it again"}'
        self.stored += 1
        return 200, b'{"ok":true}'


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "the sender went away")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST:
            raise TooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
