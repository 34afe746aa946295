"""The long-running processes: the worker that carries out, the receiver that takes in, the console that shows."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
from collections.abc import Generator
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from mailfleet.services.context import Fleet


def worker(*, pause: float = 0.5) -> None:
    """Applies what came in, carries out queued commands and sends notices, until stopped.

    Parameters
    ----------
    pause
        Seconds to rest when there is nothing to do.
    """
    asyncio.run(_worker(pause))


def receiver(*, host: str | None = None, port: int | None = None) -> None:
    """Takes in the vendors' webhooks, until stopped.

    Parameters
    ----------
    host
        Address to listen on; RECEIVER_HOST by default.
    port
        Port to listen on; RECEIVER_PORT by default.
    """
    from mailfleet.cli.session import started
    from mailfleet.receiver.serve import serve

    serve(started(), host=host, port=port)


def console(*, host: str | None = None, port: int | None = None) -> None:
    """Serves the status page: what there is, what waits, what is stopped and why. It changes nothing.

    Parameters
    ----------
    host
        Address to listen on; CONSOLE_HOST by default.
    port
        Port to listen on; CONSOLE_PORT by default.
    """
    from mailfleet.cli.session import started
    from mailfleet.web.serve import serve

    serve(started(), host=host, port=port)


async def _worker(pause: float) -> None:
    from mailfleet.cli.session import started
    from mailfleet.services.sync_runs import start_due
    from mailfleet.services.worker import again_and_again, run_forever
    from mailfleet.wiring import open_fleet

    settings = started()
    if settings.prefect_api_url:
        os.environ["PREFECT_API_URL"] = settings.prefect_api_url
    async with open_fleet(settings, actor="worker") as fleet:
        with stopping() as stop:
            # Beside the other work: a run that has to be done here must not keep a stop waiting.
            syncs = asyncio.create_task(again_and_again(lambda: start_due(fleet, _lead_sync), stop))
            try:
                await run_forever(fleet, stop, pause=pause)
            finally:
                syncs.cancel()
                await asyncio.wait([syncs])


async def _lead_sync(fleet: Fleet, campaign_id: UUID, key: str) -> bool:
    # Prefect takes a second to import, which a worker without webhooks never spends.
    on_webhooks = await asyncio.to_thread(importlib.import_module, "mailfleet.flows.on_webhooks")
    return await on_webhooks.lead_sync(fleet, campaign_id, key)


@contextlib.contextmanager
def stopping() -> Generator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
