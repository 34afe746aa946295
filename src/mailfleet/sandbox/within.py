"""A world inside the calling process: no socket, no server; its clock moves when it is told to.

For rehearsals of many weeks, and for tests that would otherwise start a process each. What a server would answer over
HTTP is answered here through `transport()`; what the vendors call (hooks) goes through the transport given as `hooks`.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import httpx2

from mailfleet.sandbox.app import build
from mailfleet.sandbox.control import advance
from mailfleet.sandbox.mail.smtp import MailServers
from mailfleet.sandbox.serve import info
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.smartlead.login import IN_PROCESS
from mailfleet.sandbox.world import START, World

ROOT = "http://sandbox.internal"
_numbers = itertools.count(1)


class Inside:
    """One world in this process."""

    def __init__(
        self,
        seed: int = 1,
        start: datetime = START,
        *,
        profile: str = "calm",
        per_minute: int | None = None,
        hooks: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.world = World(seed, start)
        self.app = build(self.world, per_minute=per_minute, profile=profile)
        if hooks is not None:
            outbound(self.world).client = httpx2.AsyncClient(transport=hooks)
        # Logins that a vendor makes while a mailbox is connected end in this world's accounts.
        host = f"mail{next(_numbers)}.sandbox.internal"
        IN_PROCESS[host] = self.world
        self.info: dict[str, Any] = info(self.world, ROOT, None, MailServers(host, 587, 993))

    @property
    def now(self) -> datetime:
        """What the clock shows."""
        return self.world.now

    def transport(self) -> httpx2.AsyncBaseTransport:
        """For any httpx2 client: the addresses of `info` are answered by this world."""
        return httpx2.ASGITransport(app=self.app)

    async def advance(self, to: datetime) -> int:
        """Moves the clock and makes every delivery due on the way; returns how many things were done."""
        return await advance(self.world, to)
