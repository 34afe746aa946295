"""The parts of the demonstration, real ones: Postgres, Prefect's server, the sandbox, the receiver and the worker.

Each is a process of its own that dies with this one. The database is new each time; Prefect's is kept, which makes the
second start quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from pydantic import SecretStr

from mailfleet.clock import FileClock
from mailfleet.demo.control import Control
from mailfleet.errors import Busy
from mailfleet.flows.server import client_environment, prefect_server
from mailfleet.process import Child, free_port
from mailfleet.services.context import Fleet
from mailfleet.settings import Settings, environment_of, usable
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.migrate import migrate
from mailfleet.wiring import open_fleet

START = datetime(2026, 3, 2, tzinfo=UTC)
DATABASE = "mailfleet_demo"
TOKEN = "demonstration"  # noqa: S105 - the receiver listens on loopback for as long as the demonstration lasts
# The sandbox says so in its headers and the transport follows: the days pass in seconds.
RATE_LIMIT = 60_000
_READY_WITHIN = 60.0
# Its data are thrown away at the next start: a crash of the machine may cost the last moment of them.
SETTINGS = {"synchronous_commit": "off"}
Tell = Callable[[str], None]


@dataclass
class Rig:
    """Everything that runs, and how to reach it."""

    home: Path
    settings: Settings
    fleet: Fleet
    clock: FileClock
    control: Control
    sandbox: Mapping[str, Any]
    prefect_api: str
    receiver: str

    @property
    def addresses(self) -> dict[str, str]:
        return {
            "Prefect": self.prefect_api.removesuffix("/api"),
            "receiver": self.receiver,
            "vendor's status page": str(self.sandbox["status_page"]),
        }


@contextlib.asynccontextmanager
async def assembled(home: Path, seed: int, *, tell: Tell) -> AsyncGenerator[Rig]:
    """Starts every part and stops them in order. Raises Busy when a demonstration already runs in `home`."""
    with _alone(home):
        tell("database")
        server = LocalPostgres(home / "postgres", SETTINGS)
        async with server.serving() as postgres, _parts(home, seed, postgres, tell) as rig:
            yield rig


@contextlib.asynccontextmanager
async def console(rig: Rig) -> AsyncGenerator[str]:
    """The address of our own status page, served as long as the block."""
    argv = [sys.executable, "-m", "mailfleet.cli", "console", "--port", "0"]
    environment, log = environment_of(rig.settings), rig.home / "console.log"
    async with Child.running(
        argv, environment=environment, log=log, cwd=rig.home, announces=True, name="the console"
    ) as child:
        yield str(msgspec.json.decode(await child.announcement())["console"])


@contextlib.asynccontextmanager
async def _parts(home: Path, seed: int, postgres: LocalPostgres, tell: Tell) -> AsyncGenerator[Rig]:
    dsn = await asyncio.to_thread(_fresh_database, postgres)
    tell("Prefect, the sandbox, the receiver and the worker")
    prefect_api = f"http://127.0.0.1:{(port := free_port())}/api"
    os.environ.update(client_environment(prefect_api, home))
    clock = FileClock(home / "clock")
    clock.set(START)
    async with contextlib.AsyncExitStack() as stack:
        # Prefect takes longest to start: everything else starts meanwhile.
        prefect = asyncio.create_task(_entered(stack, prefect_server(home, postgres=postgres, port=port)))
        stack.push_async_callback(_ended, prefect)
        sandbox = await _sandbox(stack, home, seed)
        settings = settings_for(home, dsn, prefect_api, sandbox, free_port())
        control = await stack.enter_async_context(Control(sandbox["control"]["base_url"]))
        receiver = await _processes(stack, home, settings)
        await prefect
        stack.enter_context(_recording_at(prefect_api))
        fleet = await stack.enter_async_context(open_fleet(settings, actor="machine"))
        yield Rig(
            home=home,
            settings=settings,
            fleet=fleet,
            clock=clock,
            control=control,
            sandbox=sandbox,
            prefect_api=prefect_api,
            receiver=receiver,
        )


def settings_for(home: Path, dsn: str, prefect_api: str, sandbox: Mapping[str, Any], port: int) -> Settings:
    """The product's settings, every vendor being the sandbox's face of it."""
    smartlead, mailhost, dns = sandbox["smartlead"], sandbox["mailhost"], sandbox["dns"]
    named: dict[str, Any] = {
        f"{vendor}_{name}": value
        for vendor in ("cloudflare", "namecheap", "slack")
        for name, value in sandbox[vendor].items()
        if f"{vendor}_{name}" in Settings.model_fields and name != "webhook_url"
    }
    return Settings(
        **named,
        mailfleet_home=home,
        mailfleet_clock=f"file:{home / 'clock'}",
        mailfleet_log_level="warning",
        mailfleet_sync_delay=0,  # the story says when the flows run
        database_url=SecretStr(dsn),
        prefect_api_url=prefect_api,
        smartlead_api_key=SecretStr(smartlead["api_key"]),
        smartlead_base_url=smartlead["base_url"],
        smartlead_delivery_base_url=smartlead["delivery_base_url"],
        smartlead_webhook_secret=SecretStr(smartlead["webhook_secret"]),
        twilio_account_sid=sandbox["twilio"]["account_sid"],
        twilio_auth_token=SecretStr(sandbox["twilio"]["auth_token"]),
        twilio_from=sandbox["twilio"]["from_number"],
        twilio_base_url=sandbox["twilio"]["base_url"],
        sms_numbers="+61400000000",
        dns_parent=dns["parent"],
        dns_nameservers=dns["nameservers"],
        dns_resolvers=",".join(dns["resolvers"]),
        mailbox_spf=mailhost["spf"],
        mailbox_mx=mailhost["hostname"],
        mailbox_smtp=f"{mailhost['smtp_host']}:{mailhost['smtp_port']}",
        mailbox_imap=f"{mailhost['imap_host']}:{mailhost['imap_port']}",
        mailbox_tls=False,
        receiver_port=port,
        receiver_public_url=f"http://127.0.0.1:{port}",
        receiver_token=SecretStr(TOKEN),
    )


def sandbox_argv(seed: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mailfleet.sandbox", "--port", "0", "--seed", str(seed), "--json"),
        *("--start", START.isoformat(), "--rate-limit", str(RATE_LIMIT)),
    ]


async def _sandbox(stack: contextlib.AsyncExitStack, home: Path, seed: int) -> Mapping[str, Any]:
    child = await _started(stack, home, "sandbox", sandbox_argv(seed), announces=True)
    return msgspec.json.decode(await child.announcement())


async def _processes(stack: contextlib.AsyncExitStack, home: Path, settings: Settings) -> str:
    """The receiver and the worker; the receiver's address once it answers."""
    url = f"http://127.0.0.1:{settings.receiver_port}"
    environment = environment_of(settings)
    children = [
        await _started(stack, home, name, [sys.executable, "-m", "mailfleet.cli", name, *more], environment=environment)
        for name, more in (("receiver", ()), ("worker", ("--pause", "0.1")))
    ]
    await children[0].answers(f"{url}/healthz", within=_READY_WITHIN)
    return url


async def _started(stack: contextlib.AsyncExitStack, home: Path, name: str, argv: Sequence[str], **how: Any) -> Child:
    # In a folder of its own: a `.env` where the demonstration was called is not meant for it.
    child = await Child.start(argv, log=home / f"{name}.log", cwd=home, name=f"the {name}", **how)
    stack.push_async_callback(child.stop)
    return child


async def _ended(task: asyncio.Task[str]) -> None:
    """A start that is under way when something else fails is given up, and cleans up after itself."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _entered(stack: contextlib.AsyncExitStack, part: contextlib.AbstractAsyncContextManager[str]) -> str:
    return await stack.enter_async_context(part)


def _fresh_database(postgres: LocalPostgres) -> str:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"drop database if exists {DATABASE} with (force)")
    dsn = postgres.ensure_database(DATABASE)
    migrate(dsn)
    return dsn


@contextlib.contextmanager
def _recording_at(prefect_api: str) -> Generator[None]:
    """Flow runs of this process are recorded there, even where Prefect had been imported before."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    named = {PREFECT_API_URL: prefect_api, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    with temporary_settings({**named, PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield


@contextlib.contextmanager
def _alone(home: Path) -> Generator[None]:
    with (usable(home) / "demo.lock").open("a") as lock:
        end = time.monotonic() + 5  # a run that was just killed takes a moment to be gone
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Busy(
                        f"A demonstration is running in {home}.",
                        hint="Stop it, or set MAILFLEET_HOME to another folder.",
                    ) from None
                time.sleep(0.2)
        yield
