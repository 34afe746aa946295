"""When to try again: reads with backoff and jitter, a write only if it certainly had no effect (V9)."""

from __future__ import annotations

import random

from mailfleet.errors import RateLimited
from mailfleet.vendors.transport import windows
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.operation import Failure, Operation, Patience
from mailfleet.vendors.transport.wire import Lost

STRETCH, EASE = 1.5, 0.9


SHORTEST = 0.05


def timeout(operation: Operation, attempt: int, patience: Patience, stretch: float, left: float) -> float:
    """Seconds for this attempt: more each time, and more after calls that were not answered in time, within the cap
    and what is left until the deadline."""
    first = operation.timeout or patience.timeout
    return max(SHORTEST, min(max(patience.timeout_cap, first), first * attempt * stretch, left))


def stretched(stretch: float, *, timed_out: bool, patience: Patience) -> float:
    """How much longer the next call waits than the first one did: up at once, down a little with each answer."""
    if timed_out:
        return min(stretch * STRETCH, patience.timeout_cap / patience.timeout)
    return max(1.0, stretch * EASE)


def wait(
    operation: Operation,
    result: Answer | Lost,
    failure: Failure | None,
    attempt: int,
    patience: Patience,
    rng: random.Random,
) -> float | None:
    """Seconds before the next attempt; None: there is none."""
    timed_out = isinstance(result, Lost) and result.timed_out
    if attempt >= (patience.timeouts if timed_out else patience.attempts):
        return None
    if not _without_effect(operation, result, failure):
        return None
    asked = windows.wait_asked(result.headers, result.data) if isinstance(result, Answer) else None
    return patience.first_wait * 2 ** (attempt - 1) * (1 + rng.random()) if asked is None else asked


def _without_effect(operation: Operation, result: Answer | Lost, failure: Failure | None) -> bool:
    if isinstance(result, Lost):
        return not (operation.write and result.sent)
    if failure is None:
        return False
    if failure.kind is RateLimited:
        return not operation.own_limit
    return not failure.settled and not operation.write
