"""Journal, budget, circuit and calls for one process alone: trying a client out, and its tests."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailfleet.vendors.transport.protocols import Admission, Noted, Settled, Window


@dataclass
class Entry:
    """One write, from intent to outcome."""

    vendor: str
    operation: str
    key_id: str
    target: str
    request: Mapping[str, Any]
    match: Mapping[str, Any]
    state: str = "intended"
    outcome: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class MemoryJournal:
    """Forgets everything with the process: never for writes that matter."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    async def intend(
        self,
        *,
        vendor: str,
        operation: str,
        key_id: str,
        target: str,
        request: Mapping[str, Any],
        match: Mapping[str, Any],
    ) -> str:
        entry = str(uuid.uuid4())
        self.entries[entry] = Entry(vendor, operation, key_id, target, request, match)
        return entry

    async def finish(self, entry: str, state: Settled, *, outcome: Mapping[str, Any], error: str = "") -> None:
        found = self.entries[entry]
        found.state, found.outcome, found.error = state, outcome, error


class MemoryBudget:
    """Sliding windows over exact times; every window holds in any stretch of its length."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: dict[str, deque[float]] = defaultdict(deque)
        self._blocked: dict[str, float] = {}
        self.learned: dict[str, tuple[Window, ...]] = {}

    async def take(
        self, vendor: str, key_id: str, windows: Sequence[Window], *, reserved: float, urgent: bool
    ) -> float:
        now = self._clock()
        if (until := self._blocked.get(key_id, 0.0)) > now:
            return until - now
        taken = self._taken[key_id]
        holding = self.learned.get(key_id, tuple(windows))
        while taken and taken[0] <= now - max(seconds for _, seconds in holding):
            taken.popleft()
        wait = max(_wait(taken, now, limit, seconds, 0.0 if urgent else reserved) for limit, seconds in holding)
        if wait <= 0:
            taken.append(now)
        return max(0.0, wait)

    async def learn(self, vendor: str, key_id: str, windows: Sequence[Window]) -> None:
        self.learned[key_id] = tuple(windows)

    async def block(self, vendor: str, key_id: str, seconds: float) -> None:
        self._blocked[key_id] = max(self._blocked.get(key_id, 0.0), self._clock() + seconds)


def _wait(taken: Sequence[float], now: float, limit: int, seconds: float, reserved: float) -> float:
    kept = max(1, int(limit * reserved)) if reserved and limit > 1 else 0
    inside = [at for at in taken if at > now - seconds]
    over = len(inside) - (limit - kept)
    return inside[over] + seconds - now if over >= 0 else 0.0


class MemoryCircuit:
    """Opens after `failures` in a row; after `rest` seconds one caller probes."""

    def __init__(self, *, failures: int = 5, rest: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._limit, self._rest = clock, failures, rest
        self._failures: dict[str, int] = defaultdict(int)
        self._probe_at: dict[str, float] = {}

    async def admit(self, vendor: str) -> Admission:
        if self._failures[vendor] < self._limit:
            return "closed"
        now = self._clock()
        if now < self._probe_at[vendor]:
            return "open"
        self._probe_at[vendor] = now + self._rest
        return "probe"

    async def succeeded(self, vendor: str) -> None:
        self._failures[vendor] = 0

    async def failed(self, vendor: str, error: str) -> None:
        self._failures[vendor] += 1
        if self._failures[vendor] >= self._limit:
            self._probe_at[vendor] = self._clock() + self._rest


@dataclass(frozen=True)
class Call:
    """One attempt."""

    vendor: str
    operation: str
    status: str
    ms: int
    attempt: int


class MemoryCalls:
    """Keeps every attempt."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self.notes: list[tuple[str, Noted, str, Mapping[str, Any]]] = []

    def called(self, vendor: str, operation: str, status: str, *, ms: int, attempt: int) -> None:
        self.made.append(Call(vendor, operation, status, ms, attempt))

    def noted(self, vendor: str, what: Noted, subject: str, detail: Mapping[str, Any]) -> None:
        self.notes.append((vendor, what, subject, detail))
