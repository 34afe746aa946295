"""What a rehearsal stands on: the sandbox's world in this process, the shipped parts around it, one clock for both.

Vendors are answered over HTTP semantics without a socket, webhooks reach the shipped receiver the same way, and what
is stored is stored in a real Postgres. A wait of a client (rate limit, retry) passes in the world's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from mailfleet.demo.rig import settings_for
from mailfleet.receiver.app import Receiver
from mailfleet.receiver.keys import HookKeys
from mailfleet.rehearsal import determined
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.mail import smtp as mail_server
from mailfleet.sandbox.serve import info
from mailfleet.sandbox.within import ROOT, Inside
from mailfleet.services.context import Fleet
from mailfleet.services.hook_secrets import HookSecrets
from mailfleet.settings import Settings
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.migrate import migrate
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCircuit
from mailfleet.vendors.transport.transport import Means
from mailfleet.wiring import open_fleet, receiver_token

# The data are thrown away at the end: nothing has to survive a crash of the machine.
FAST = {"synchronous_commit": "off", "fsync": "off", "full_page_writes": "off", "autovacuum": "on"}
Flush = Callable[[], Any]


class WorldClock:
    """The product's clock is the world's."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def now(self) -> datetime:
        return self._inside.now

    def seconds(self) -> float:
        return self._inside.now.timestamp()


class Hooks(httpx2.AsyncBaseTransport):
    """The way of the vendors' webhooks: to whoever receives at the moment; nobody listens while a process is down."""

    def __init__(self) -> None:
        self.to: httpx2.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.to is None:
            raise httpx2.ConnectError("nobody listens", request=request)
        return await self.to.handle_async_request(request)


class Wire(httpx2.AsyncBaseTransport):
    """The way of our calls to the vendors. `before` and `after` may end the process there."""

    def __init__(self, inside: Inside) -> None:
        self._to = inside.transport()
        self.before: Callable[[httpx2.Request], None] = _nothing
        self.after: Callable[[httpx2.Request], None] = _nothing
        self.calls = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        self.before(request)
        answer = await self._to.handle_async_request(request)
        self.after(request)
        return answer

    def calm(self) -> None:
        """Nothing ends here any more."""
        self.before = self.after = _nothing

    def gone(self) -> None:
        """Of a process that has ended: whatever of it still runs reaches nobody."""
        self.before = _nobody


def _nothing(_: httpx2.Request) -> None: ...


def _nobody(request: httpx2.Request) -> None:
    raise httpx2.ConnectError("this process has ended", request=request)


@dataclass
class Stage:
    """The world, the shipped parts, and what moves time on. `fleet` is replaced when the process is started again."""

    inside: Inside
    settings: Settings
    clock: WorldClock
    wire: Wire
    hooks: Hooks
    fleet: Fleet = field(init=False)
    flush: Flush = field(init=False)
    _parts: contextlib.AsyncExitStack = field(init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def now(self) -> datetime:
        return self.inside.now

    async def until(self, at: datetime) -> None:
        """The world goes on to `at`; not at all when it is there already."""
        async with self._turn:
            if at > self.inside.now:
                await self.inside.advance(at)

    async def wait(self, seconds: float) -> None:
        """What a client's wait costs in the world."""
        await self.until(self.inside.now + timedelta(seconds=seconds))

    async def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The sandbox's own interface: what somebody does outside of every vendor."""
        base = self.inside.info["control"]["base_url"]
        async with httpx2.AsyncClient(transport=self.inside.transport()) as client:
            answer = await client.request(method, base + path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def up(self) -> None:
        """Starts the parts: clients, receiver, pool."""
        self._parts = contextlib.AsyncExitStack()
        self.fleet = await self._parts.enter_async_context(
            open_fleet(self.settings, clock=self.clock, outside=self._means)
        )
        self.fleet.rng = random.Random(f"{self.inside.world.seed}:fleet")  # noqa: S311 - names of batches, no secrets
        receiver = self._receiver()
        receiver.inbox.start()
        self._parts.push_async_callback(receiver.inbox.stop)
        self.hooks.to = httpx2.ASGITransport(app=receiver)

    async def down(self) -> None:
        """Ends them, as the end of a process would."""
        self.hooks.to = None
        await self._parts.aclose()

    async def again(self) -> None:
        """After the end of a process: a new one, with nothing in its memory."""
        self.wire.gone()
        await self.down()
        calls, self.wire = self.wire.calls, Wire(self.inside)
        self.wire.calls = calls
        await self.up()

    def _receiver(self) -> Receiver:
        fleet, hooks = self.fleet, HookSecrets(self.fleet.db, self.fleet.vault, "forge")
        return Receiver(
            fleet.db,
            self.clock,
            token=receiver_token(self.settings),
            secrets={"smartlead": self.settings.secret("smartlead_webhook_secret") or ""},
            signed={"forge": HookKeys(hooks.all, self.clock.seconds)},
        )

    def _means(self, means: Means) -> Means:
        """Limits and rests are agreed in the world's time, which no database's clock knows."""
        self.flush = getattr(means.calls, "flush", _no_flush)
        return replace(
            means,
            http=self.wire,
            sleep=self.wait,
            rng=random.Random(f"{self.inside.world.seed}:jitter"),  # noqa: S311 - jitter
            budget=MemoryBudget(self.clock.seconds),
            circuit=MemoryCircuit(clock=self.clock.seconds),
        )


async def _no_flush() -> None: ...


@contextlib.asynccontextmanager
async def opened(home: Path, *, seed: int, start: datetime) -> AsyncGenerator[Stage]:
    """A new world at `start` with a new database; both are gone after it."""
    server = LocalPostgres(home / "postgres", FAST, throwaway=True)
    async with contextlib.AsyncExitStack() as stack:
        local = await stack.enter_async_context(server.serving())
        dsn = local.ensure_database("rehearsal")
        await asyncio.to_thread(migrate, dsn)
        determined.identifiers(dsn, seed)
        hooks = Hooks()
        inside = Inside(seed, start, profile="calm", hooks=hooks)
        names = await dns_server.start(inside.world)
        stack.callback(names.close)
        mail = await mail_server.start(inside.world)
        stack.callback(mail.close)
        inside.world.state["mailhost"] = (mail.host, mail.smtp_port, mail.imap_port)
        inside.info = info(inside.world, ROOT, names, mail)
        made = Stage(inside, _settings(home, dsn, inside.info), WorldClock(inside), Wire(inside), hooks)
        await made.up()
        try:
            yield made
        finally:
            await made.down()


def _settings(home: Path, dsn: str, told: dict[str, Any]) -> Settings:
    forge = {
        "salesforge_api_key": told["salesforge"]["api_key"],
        "salesforge_base_url": told["salesforge"]["base_url"],
        "salesforge_multichannel_base_url": told["salesforge"]["multichannel_base_url"],
        "warmforge_api_key": told["warmforge"]["api_key"],
        "warmforge_base_url": told["warmforge"]["base_url"],
        "smartlead_plan": "pro",
        "forge_calls_per_second": 20,
    }
    base = settings_for(home, dsn, "", told, 8080)
    return base.model_copy(update=Settings.model_validate({**base.model_dump(), **forge}).model_dump())
