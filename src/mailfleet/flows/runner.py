"""The process that runs scheduled and requested flows on this machine: `python -m mailfleet.flows.runner`.

It closes what a killed runner left open, then serves; asked to stop, it starts nothing new and waits for what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile

from mailfleet import log
from mailfleet.flows import deployments
from mailfleet.settings import get_settings, usable

DRAIN_WITHIN = 60.0


async def run() -> None:
    settings = get_settings()
    log.setup(settings.mailfleet_log_level, settings.mailfleet_log_format)
    # Prefect keeps its runner's files in one folder of the common temporary directory, and that belongs to whichever
    # account of the machine made it first.
    tempfile.tempdir = str(usable(settings.mailfleet_home / "runner"))
    await deployments.reconcile()
    await deployments.resume()
    stop = asyncio.Event()
    serving = asyncio.create_task(_serve(stop))
    await stop.wait()
    await deployments.drain(within=DRAIN_WITHIN)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    await deployments.resume()


async def _serve(stop: asyncio.Event) -> None:
    """Prefect's runner sets handlers of its own when it starts: ours are set again after it has."""
    serving = asyncio.create_task(deployments.serve())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await serving
    finally:
        stop.set()


if __name__ == "__main__":
    asyncio.run(run())
