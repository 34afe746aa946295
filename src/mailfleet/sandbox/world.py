"""The simulated world: its clock, its logs, what is due when, and what the faces have put into it.

What each face owns:

- `mail_accounts`  address to password at the mail host; read by its SMTP and IMAP servers
- `zones`          domain to the Cloudflare zone that holds it
- `delegations`    domain to the nameservers the parent names, each from a moment on
- `state`          everything else, one key per face (`state["registrar"]`, `state["smartlead"]`, …)
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailfleet.sandbox.cloudflare.zone import Zone
    from mailfleet.sandbox.dns.views import Delegation

START = datetime(2026, 3, 2, tzinfo=UTC)
LOGS = ("sends", "people", "http", "webhooks", "slack", "sms", "dns", "mail")

Action = Callable[[], Awaitable[None] | None]
Hook = Callable[[datetime], Awaitable[None]]


class Log:
    """Append-only lists, one per name in LOGS; every entry has its number `n` (from 1) and `at` in sandbox time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LOGS}

    def add(self, name: str, fields: Mapping[str, object]) -> dict[str, Any]:
        """Appends one entry and returns it. An `at` among the fields replaces the current moment."""
        entries = self.lists[name]
        entry = {"n": len(entries) + 1, "at": self._now().isoformat(), **fields}
        entries.append(entry)
        return entry

    def slack(self, **fields: object) -> None:
        """A message that Slack took."""
        self.add("slack", fields)

    def sms(self, **fields: object) -> None:
        """A text message that Twilio took."""
        self.add("sms", fields)

    def dns(self, **fields: object) -> None:
        """A query that one of the DNS servers answered."""
        self.add("dns", fields)

    def mail(self, **fields: object) -> None:
        """A mail that the mail host took by SMTP."""
        self.add("mail", fields)

    def people(self, **fields: object) -> None:
        """Something a recipient or a receiving system did: the truth, whether or not any vendor notices it."""
        self.add("people", fields)


class World:
    """One seeded world. Nothing in it depends on real time, and no draw depends on the order of calls."""

    def __init__(self, seed: int = 1, start: datetime = START) -> None:
        self.seed = seed
        self.start = start
        self.now = start
        self.log = Log(lambda: self.now)
        self.mail_accounts: dict[str, str] = {}
        self.zones: dict[str, Zone] = {}
        self.delegations: dict[str, list[Delegation]] = {}
        self.state: dict[str, Any] = {}
        # Awaited before the clock passes a moment: deliveries that are still under way.
        self.before: list[Hook] = []
        self._due: list[tuple[datetime, int, Action]] = []
        self._numbers = itertools.count()
        # Set while the clock stands: within a jump there is no moment at which a caller could have called.
        self.still = asyncio.Event()
        self.still.set()

    def rng(self, name: str) -> random.Random:
        """A generator that belongs to this name in this world, the same whenever it is asked for."""
        digest = hashlib.blake2b(f"{self.seed}\x1f{name}".encode(), digest_size=8).digest()
        return random.Random(int.from_bytes(digest, "big"))

    def at(self, moment: datetime, action: Action) -> None:
        """Does `action` once the clock reaches `moment`; at the next step of the clock if it already has."""
        heapq.heappush(self._due, (moment, next(self._numbers), action))

    async def advance(self, to: datetime) -> int:
        """Moves the clock to `to`, doing everything due until then in order; returns how many things were done."""
        done = 0
        while self._due and self._due[0][0] <= to:
            moment, _, action = heapq.heappop(self._due)
            for hook in self.before:
                await hook(moment)
            self.now = max(self.now, moment)
            pending = action()
            if pending is not None:
                await pending
            done += 1
        for hook in self.before:
            await hook(to)
        self.now = max(self.now, to)
        return done
