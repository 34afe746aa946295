"""What one write is put through: a fault of the wire or the death of its process, then reading, then it again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
from tests.reconcile.deeds import Deed, Scene
from tests.sandbox_fixture import Sandbox

from mailfleet.errors import Ambiguous
from mailfleet.services import reconcile
from mailfleet.services.context import Fleet
from mailfleet.services.reconcile import Grace
from mailfleet.store.database import tuples

NOW = Grace(ambiguous=timedelta(0), intended=timedelta(0), absent=timedelta(0))
WIRE = {"timeout_before": 0, "timeout_after": 1, "reset": 0, "reset_after": 1}
DEATHS = {"killed_before": 0, "killed_after": 1}
"""Killed between the journal and the call; killed between the call and its answer."""
FATES = {**WIRE, **DEATHS}
SECONDS = 0.15


class Killed(BaseException):
    """The process is gone: nothing after it runs, as after SIGKILL."""


def _raise() -> None:
    raise Killed


class Cut(httpx2.AsyncHTTPTransport):
    """A wire at which a process dies, once armed: `end` is how."""

    def __init__(self, end: Callable[[], None] = _raise) -> None:
        super().__init__()
        self.armed: tuple[str, Deed] | None = None
        self._end = end

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        fate, deed = self.armed or ("", None)
        if deed is None or request.method != deed.method or deed.path not in request.url.path:
            return await super().handle_async_request(request)
        self.armed = None
        if fate == "killed_before":
            self._end()
        answer = await super().handle_async_request(request)
        await answer.aread()
        self._end()
        return answer


def begun(deed: Deed, fleet: Fleet, sandbox: Sandbox, n: str) -> Scene:
    scene = Scene(fleet, sandbox, n)
    scene.have["deed"] = deed
    return scene


def watched(scene: Scene) -> Scene:
    """From here the vendor's log counts for this write; its time is ours."""
    now = datetime.fromisoformat(scene.sandbox.control("GET", "/clock")["now"])
    scene.fleet.clock.set(now)  # type: ignore[attr-defined]
    scene.have["since"] = scene.sandbox.control("GET", "/log/http", after=0)["total"]
    return scene


def meet(fate: str, deed: Deed, sandbox: Sandbox, cut: Cut) -> None:
    """The next write of this kind meets its fate."""
    if fate in DEATHS:
        cut.armed = (fate, deed)
    else:
        sandbox.fault(fate, vendor=deed.face or deed.vendor, path=deed.path, method=deed.method, seconds=SECONDS)


async def states(fleet: Fleet, operation: str) -> list[str]:
    sql = "select state from mailfleet.journal where operation = %s order by wall_at, id"
    async with fleet.db.connection() as db:
        return [state for (state,) in await tuples(db, sql, [operation])]


async def attempt(deed: Deed, scene: Scene) -> str:
    """`done`, `lost` or `killed`."""
    try:
        await deed.make(scene)
    except Ambiguous:
        return "lost"
    except Killed:
        return "killed"
    return "done"


async def ordeal(deed: Deed, fate: str, fleet: Fleet, sandbox: Sandbox, cut: Cut, n: str) -> str:
    """Empty when it ended with exactly one effect and a settled entry; else what went wrong.

    What can never be read is made at most once: it stays as it fell out, and is not made again.
    """
    scene = begun(deed, fleet, sandbox, n)
    await deed.prepare(scene)
    watched(scene)
    before = len(await states(fleet, deed.operation))
    meet(fate, deed, sandbox, cut)
    became = await attempt(deed, scene)
    left = (await states(fleet, deed.operation))[before:]
    if left != (["intended"] if fate in DEATHS else ["ambiguous"]):
        return f"{became}, left {left}"
    return await settled(deed, fate, scene, before)


async def settled(deed: Deed, fate: str, scene: Scene, before: int) -> str:
    """Reading tells what became of it; what is absent is made now."""
    happened = FATES[fate]
    passed(scene)
    seen = await reconcile.settle_open(scene.fleet, NOW)
    if (seen.settled, seen.left) != (1, 0):
        return f"not settled: {seen}"
    wanted = "unreadable" if not deed.readable else "reconciled_done" if happened else "reconciled_absent"
    state = (await states(scene.fleet, deed.operation))[before:]
    if state != [wanted]:
        return f"{state}, not {wanted}"
    if deed.readable and not happened:
        await deed.make(scene)
        passed(scene)
    there, due = await deed.count(scene), 1 if deed.readable else happened
    return "" if there == due else f"{there} effects, not {due}"


def passed(scene: Scene) -> None:
    if later := scene.have["deed"].later:
        scene.sandbox.advance(seconds=later)


async def any_sequence(deed: Deed, rng: random.Random, fleet: Fleet, sandbox: Sandbox, cut: Cut, n: str) -> str:
    """Tried until it is known to be done, whatever meets it; what reading finds decides whether it is made again."""
    scene = begun(deed, fleet, sandbox, n)
    await deed.prepare(scene)
    watched(scene)
    fates: list[str] = []
    while True:
        fates += [rng.choice(list(FATES)) if rng.random() < 0.7 else "calm"]
        if fates[-1] != "calm":
            meet(fates[-1], deed, sandbox, cut)
        if await attempt(deed, scene) == "done":
            passed(scene)
            break
        passed(scene)
        seen = await reconcile.settle_open(fleet, NOW)
        if seen.done or seen.unreadable:
            break
        if not seen.absent:
            return f"{fates}: not settled: {seen}"
    there: Any = await deed.count(scene)
    due = 1 if deed.readable else FATES.get(fates[-1], 1)
    return "" if there == due else f"{fates}: {there} effects, not {due}"
