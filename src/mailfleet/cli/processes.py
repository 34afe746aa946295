"""The two long-running processes: the worker that carries out, and the receiver that takes in."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator


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


async def _worker(pause: float) -> None:
    from mailfleet.cli.session import started
    from mailfleet.services.worker import run_forever
    from mailfleet.wiring import open_fleet

    async with open_fleet(started(), actor="worker") as fleet:
        with stopping() as stop:
            await run_forever(fleet, stop, pause=pause)


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
