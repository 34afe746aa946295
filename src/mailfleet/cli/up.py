"""`mailfleet up`: everything on this machine, looked after. `mailfleet deploy`: the flows for workers elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mailfleet.cli.output import Json, say, show

if TYPE_CHECKING:
    from mailfleet.process import Child, Supervisor
    from mailfleet.settings import Settings

_DRAIN = 75.0


def up() -> None:
    """Runs database, Prefect, scheduled flows, receiver, worker and console until Ctrl-C; restarts what dies.

    DATABASE_URL and PREFECT_API_URL, when set, are used instead of servers of this machine.
    """
    asyncio.run(_up())


def deploy(*, pool: str, json: Json = False) -> None:
    """Registers the flows in a Prefect work pool (PREFECT_API_URL names the server).

    Parameters
    ----------
    pool
        The work pool, of any type. Its workers need mailfleet installed and its settings.
    """
    show(asyncio.run(_deploy(pool)), as_json=json)


async def _deploy(pool: str) -> list[dict[str, str]]:
    import os

    from mailfleet.cli.session import started

    settings = started()
    os.environ["PREFECT_API_URL"] = settings.need("prefect_api_url")
    from mailfleet.flows.deployments import register

    return [{"deployment": name, "pool": pool} for name in await register(pool)]


async def _up() -> None:
    from mailfleet.cli.processes import stopping
    from mailfleet.cli.session import started
    from mailfleet.process import Supervisor
    from mailfleet.store.migrate import migrate
    from mailfleet.wiring import database

    settings = started()
    with _only_one(settings.home), stopping() as stop:
        async with contextlib.AsyncExitStack() as stack:
            dsn, postgres = await asyncio.to_thread(stack.enter_context, database(settings))
            for name in await asyncio.to_thread(migrate, dsn):
                say(f"applied migration {name}")
            supervisor = await stack.enter_async_context(Supervisor())
            api = await _prefect(settings, supervisor, postgres is not None)
            await _parts(settings, supervisor, api)
            say("Everything runs. Ctrl-C stops it.")
            await stop.wait()
            say("Stopping: what runs is finished first.")


async def _prefect(settings: Settings, supervisor: Supervisor, embedded: bool) -> str:
    """The API's address: as set, else that of a server started here."""
    if settings.prefect_api_url:
        return settings.prefect_api_url
    from mailfleet.flows.server import started as server_started
    from mailfleet.process import free_port
    from mailfleet.store.embedded import LocalPostgres

    port = free_port(settings.prefect_port, setting="PREFECT_PORT")
    postgres = LocalPostgres(settings.home / "postgres") if embedded else None

    async def start() -> Child:
        return await server_started(settings.home, postgres=postgres, port=port)

    say("starting Prefect …")
    await supervisor.add("prefect", start)
    say(f"Prefect      http://127.0.0.1:{port}")
    return f"http://127.0.0.1:{port}/api"


async def _parts(settings: Settings, supervisor: Supervisor, api: str) -> None:
    from mailfleet.flows.server import client_environment
    from mailfleet.process import Child, free_port
    from mailfleet.settings import environment_of

    port = free_port(settings.receiver_port, settings.receiver_host, setting="RECEIVER_PORT")
    page = free_port(settings.console_port, settings.console_host, setting="CONSOLE_PORT")
    environment = {
        **environment_of(settings), **client_environment(api, settings.home),
        "RECEIVER_PORT": str(port), "CONSOLE_PORT": str(page),
    }  # fmt: skip
    health = f"http://{settings.receiver_host}:{port}/healthz"

    async def part(name: str, argv: Sequence[str], *, grace: float = 10.0, ready: str = "") -> None:
        async def start() -> Child:
            log: Path = settings.home / "log" / f"{name}.log"
            command = [sys.executable, "-m", *argv]
            child = await Child.start(command, environment=environment, log=log, name=f"the {name}", grace=grace)
            if ready:
                await child.answers(ready)
            return child

        await supervisor.add(name, start)

    await part("receiver", ["mailfleet.cli", "receiver"], ready=health)
    await part("worker", ["mailfleet.cli", "worker"])
    await part("console", ["mailfleet.cli", "console"])
    await part("runner", ["mailfleet.flows.runner"], grace=_DRAIN)
    say(f"receiver     http://{settings.receiver_host}:{port}")
    say(f"console      http://{settings.console_host}:{page}")
    say(f"logs         {settings.home / 'log'}")


@contextlib.contextmanager
def _only_one(home: Path) -> Generator[None]:
    """Two at once would run every schedule twice. Raises Busy."""
    import fcntl

    from mailfleet.errors import Busy
    from mailfleet.settings import usable

    with (usable(home) / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"`mailfleet up` runs already in {home}.", hint="Stop it first.") from None
        yield
