"""A process of its own that makes one write and is killed by SIGKILL in the middle of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from multiprocessing import get_context
from typing import Any

import httpx2
from tests.reconcile.deeds import Scene
from tests.reconcile.ordeal import Cut
from tests.reconcile.vendors import opened
from tests.sandbox_fixture import Sandbox

from mailfleet.store.database import Database

_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.reconcile.deaths", "tests.reconcile.further_deeds"])


class Elsewhere(Sandbox):
    """A sandbox that another process has started."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.info = dict(info)
        self.http = httpx2.Client(timeout=120, trust_env=False)


class Deaths:
    """Kills on a database and a sandbox."""

    def __init__(self, dsn: str, info: Mapping[str, Any]) -> None:
        self._dsn, self._info = dsn, dict(info)

    def die(self, fate: str, n: str, have: Mapping[str, Any]) -> int | None:
        """Makes `have["deed"]`; how the process ended (-9)."""
        named = {name: value for name, value in have.items() if name != "deed"}
        given = (self._dsn, self._info, have["deed"].name, fate, n, named)
        child = _context.Process(target=_work, args=given)
        child.start()
        child.join()
        return child.exitcode


def _work(dsn: str, info: Mapping[str, Any], name: str, fate: str, n: str, have: dict[str, Any]) -> None:
    scene = Scene(None, Elsewhere(info), n, have)  # type: ignore[arg-type]  # the fleet is opened by the one that dies
    asyncio.run(_make(dsn, info, name, fate, scene))


async def _make(dsn: str, info: Mapping[str, Any], name: str, fate: str, scene: Scene) -> None:
    from tests.reconcile.further_deeds import EVERY

    deed = next(deed for deed in EVERY if deed.name == name)
    cut = Cut(lambda: os.kill(os.getpid(), signal.SIGKILL))
    cut.armed = (fate, deed)
    async with Database(dsn) as database, opened(database, info, cut) as scene.fleet:
        await deed.make(scene)
