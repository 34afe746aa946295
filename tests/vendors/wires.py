"""Fake vendors written by hand: what each call is answered with, and what was really sent."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.transport import Means

Reply = httpx2.Response | Exception
Handler = Callable[[httpx2.Request], Reply]


@dataclass
class Bench:
    """Means in memory, a wire that answers by `handler`, and time that passes only by sleeping."""

    handler: Handler
    patience: Patience = field(default_factory=Patience)
    sent: list[httpx2.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.journal = MemoryJournal()
        self.budget = MemoryBudget(lambda: self.now)
        self.circuit = MemoryCircuit(clock=lambda: self.now)
        self.calls = MemoryCalls()
        self.means = Means(
            journal=self.journal,
            budget=self.budget,
            circuit=self.circuit,
            calls=self.calls,
            patience=self.patience,
            rng=random.Random(7),
            sleep=self._sleep,
            http=httpx2.MockTransport(self._answer),
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        reply = self.handler(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) if request.content else None for request in self.sent]

    def states(self) -> list[str]:
        return [entry.state for entry in self.journal.entries.values()]


def script(*replies: Reply) -> Handler:
    """Each call gets the next reply; the last one stays."""
    left = list(replies)

    def answer(_request: httpx2.Request) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def ok(body: Any = None, status: int = 200, **headers: str) -> httpx2.Response:
    """A JSON answer; header names with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body if body is not None else {"ok": True}, headers=named)


def text(body: str, status: int = 200, kind: str = "text/html", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, text=body, headers={"content-type": kind, **named})


async def caught(call: Awaitable[object]) -> Exception:
    """The error a call ends with."""
    try:
        await call
    except Exception as error:
        return error
    raise AssertionError("it succeeded")
