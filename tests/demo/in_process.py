"""The scenario with receiver and worker in this process, so that a test can switch a guard off under them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from mailfleet.clock import FileClock
from mailfleet.demo.control import Control
from mailfleet.demo.rig import START, Rig, sandbox_argv, settings_for
from mailfleet.demo.run import judged
from mailfleet.demo.scenario import Plan
from mailfleet.process import Child, free_port
from mailfleet.receiver.serve import receiver
from mailfleet.services.worker import run_forever
from mailfleet.wiring import open_fleet

TINY = Plan(seed=1, leads=160, domains=1, mailboxes=2, sending_days=9)


async def verdicts(home: Path, dsn: str, plan: Plan = TINY) -> dict[str, tuple[bool, str]]:
    """Plays without an orchestrator; check → (ok, detail)."""
    async with rig(home, dsn, plan.seed) as parts:
        told: dict[str, Any] = await judged(parts, plan, lambda what, share: None, time.monotonic())
    return {check["name"]: (check["ok"], check["detail"]) for check in told["checks"]}


@contextlib.asynccontextmanager
async def rig(home: Path, dsn: str, seed: int) -> AsyncGenerator[Rig]:
    async with contextlib.AsyncExitStack() as stack:
        child = await stack.enter_async_context(
            Child.running(sandbox_argv(seed), log=home / "sandbox.log", announces=True, name="the sandbox")
        )
        sandbox = msgspec.json.decode(await child.announcement())
        clock = FileClock(home / "clock")
        clock.set(START)
        settings = settings_for(home, dsn, "", sandbox, free_port())
        control = await stack.enter_async_context(Control(sandbox["control"]["base_url"]))
        server = uvicorn.Server(
            uvicorn.Config(receiver(settings, dsn), port=settings.receiver_port, log_config=None, lifespan="on")
        )
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # signals are the test runner's
        stop = asyncio.Event()
        fleet = await stack.enter_async_context(open_fleet(settings))
        async with asyncio.TaskGroup() as running:
            running.create_task(server.serve())
            running.create_task(run_forever(fleet, stop, pause=0.02))
            yield Rig(
                home=home, settings=settings, fleet=fleet, clock=clock, control=control, sandbox=sandbox,
                prefect_api="", receiver=settings.receiver_public_url,
            )  # fmt: skip
            stop.set()
            server.should_exit = True
