"""The way of every call: circuit, budget, journal, wire, judgement, and what to do when it fails (V8, V9, I5)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import msgspec

from mailfleet.background import in_background
from mailfleet.errors import Drift, Forbidden, RateLimited, Unauthorized, Unavailable, VendorError
from mailfleet.vendors.transport import failures, retry, windows
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import Rows
from mailfleet.vendors.transport.operation import Failure, Operation, Patience, Vendor
from mailfleet.vendors.transport.protocols import Budget, Calls, Circuit, Journal, Settled, Window
from mailfleet.vendors.transport.secret import Redactor
from mailfleet.vendors.transport.taken import Taken, taken
from mailfleet.vendors.transport.telling import Telling
from mailfleet.vendors.transport.wire import Lost, Outgoing, Wire, opened, place

T = TypeVar("T")
OUTCOME_KEPT = 4000


@dataclass(frozen=True, kw_only=True)
class Means:
    """What all transports of a process share."""

    journal: Journal
    budget: Budget
    circuit: Circuit
    calls: Calls
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=random.Random)
    """Jitter only: nothing that has to be repeatable."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    http: httpx2.AsyncBaseTransport | None = None
    """In place of sockets, for tests."""
    witness: Callable[[Taken], None] | None = None
    """Sees every exchange, masked: for recording what a vendor really answers."""
    waiting: Callable[[str], None] | None = None
    """Told what a call waits for, while it takes long."""
    refused: Callable[[str, str, str], Awaitable[object]] | None = None
    """Told at once when a key is refused: the vendor, the operation, the status that it means (401, 403)."""


class Transport:
    """Calls one vendor with one key."""

    def __init__(self, vendor: Vendor, means: Means) -> None:
        self.vendor = vendor
        self.key_id = vendor.access.key_id(vendor.name)
        self._means = means
        self._redactor = vendor.access.redactor()
        self._wire = Wire(vendor, means.http)
        self._learned: Sequence[Window] | None = None
        self._stretch = 1.0

    def __repr__(self) -> str:
        return f"Transport({self.key_id})"

    async def close(self) -> None:
        await self._wire.close()

    async def ask(self, operation: Operation, kind: type[T], /, **call: Any) -> T:
        """As `call`, the body fitted to `kind`. Raises `Drift` naming the field where it does not fit."""

        return await self._run(operation, kind, **call)

    async def rows(self, operation: Operation, kind: type[T], at: str = "", /, **call: Any) -> Rows[T]:
        """The rows of a list, `at` naming the field they are in ("" is the body itself). A row that does not fit is
        kept as a `Drift` beside those that do, so that one of them does not cost the others."""
        answer = await self._run(operation, Answer, **call)
        found = failures.rows(self.vendor.name, operation, answer, kind, at, self._redactor)
        if found.drift:
            self._note(found.drift)
        return found

    async def call(self, operation: Operation, /, **call: Any) -> Answer:
        """The answer to a call that succeeded; any other outcome raises a `VendorError`.

        `at` fills the path, `query` and `body` (JSON) or `form` go along; `urgent` uses the reserved share of the
        budget and tries even a resting vendor; of a write, `match` is what reconciliation compares, `journaled`
        replaces the body in the journal.
        """
        return await self._run(operation, Answer, **call)

    async def _run(
        self,
        operation: Operation,
        kind: type[T],
        *,
        at: Mapping[str, object] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        urgent: bool = False,
        match: Mapping[str, Any] | None = None,
        journaled: Any = None,
    ) -> T:
        path = place(operation.path, at or {})
        going = Outgoing(operation=operation, path=path, query=query or {}, body=body, form=form, headers=headers or {})
        redactor, patience = self._redactor.also(body), self._means.patience
        started, attempt, entry, stretch = time.monotonic(), 0, "", self._stretch
        with Telling(self._means.waiting, f"{self.vendor.name} {operation.name}", patience.silent) as telling:
            while True:
                attempt += 1
                if refusal := await self._turn(operation, urgent, telling):
                    await self._finish(entry, "abandoned", {}, refusal.what)
                    raise refusal
                if operation.write and not entry:
                    entry = await self._intend(going, match or {}, journaled)
                left = patience.deadline - (time.monotonic() - started)
                allowed = retry.timeout(operation, attempt, patience, stretch, left)
                telling.what = f"waits for its answer, at most {allowed:.0f} s, attempt {attempt}"
                result = await self._wire.exchange(going, allowed)
                if self._means.witness:
                    self._means.witness(taken(self.vendor, going, result, redactor))
                failure = await self._noted(operation, result, attempt)
                if isinstance(result, Answer) and failure is None:
                    return await self._accept(operation, entry, result, kind, redactor)
                wait = retry.wait(operation, result, failure, attempt, patience, self._means.rng)
                if wait is None or time.monotonic() - started + wait >= patience.deadline:
                    raise await self._give_up(operation, entry, result, failure, redactor)
                telling.what = f"is tried again in {wait:.0f} s after {failures.counted(operation, result, failure)}"
                await self._pause(result, failure, wait)

    async def _turn(self, operation: Operation, urgent: bool, telling: Telling) -> VendorError | None:
        """Waits until circuit and budget let us go; the error when they will not."""
        vendor, means = self.vendor, self._means
        if await means.circuit.admit(vendor.circuit_name) == "open" and not urgent:
            return failures.resting(vendor.name, operation)
        waited = 0.0
        for key, allowed, reserved, at_once in self._budgets(urgent):
            while wait := await means.budget.take(vendor.name, key, allowed, reserved=reserved, urgent=at_once):
                waited += wait
                if waited > means.patience.queue:
                    return failures.exhausted(vendor.name, operation, wait)
                telling.what = f"waits {wait:.0f} s for the rate limit of its key"
                await means.sleep(wait)
        return None

    def _budgets(self, urgent: bool) -> Sequence[tuple[str, Sequence[Window], float, bool]]:
        """(key, windows, reserved, urgent) of what a call is counted in: background work first in its own half."""
        whole = (self.key_id, self.vendor.windows, self.vendor.reserved, urgent)
        if urgent or not in_background():
            return (whole,)
        half = [(max(1, most // 2), seconds) for most, seconds in self._learned or self.vendor.windows]
        return ((f"{self.key_id}:background", half, 0.0, True), whole)

    async def _intend(self, going: Outgoing, match: Mapping[str, Any], journaled: Any) -> str:
        body = opened(going.body) if going.body is not None else going.form
        request = {
            "method": going.operation.method,
            "query": going.query,
            "body": body if journaled is None else journaled,
        }
        return await self._means.journal.intend(
            vendor=self.vendor.name,
            operation=going.operation.name,
            key_id=self.key_id,
            target=self._redactor.text(going.path),
            request=self._redactor.value(msgspec.to_builtins(request)),
            match=self._redactor.value(msgspec.to_builtins(dict(match))),
        )

    async def _noted(self, operation: Operation, result: Answer | Lost, attempt: int) -> Failure | None:
        """Measures the attempt, tells the circuit and the budget; what the answer means when it is no success."""
        means, name = self._means, self.vendor.circuit_name
        failure = self.vendor.judge(result) if isinstance(result, Answer) else None
        status = failures.counted(operation, result, failure)
        means.calls.called(self.vendor.name, operation.name, status, ms=result.ms, attempt=attempt)
        self._wait_longer(isinstance(result, Lost) and result.timed_out)
        if isinstance(result, Lost) or (failure and issubclass(failure.kind, Unavailable)):
            await means.circuit.failed(name, status)
        else:
            await means.circuit.succeeded(name)
        if isinstance(result, Answer):
            await self._learn(result)
        if means.refused and failure and failure.kind in (Unauthorized, Forbidden):
            await means.refused(self.vendor.name, operation.name, status)
        return failure

    def _wait_longer(self, timed_out: bool) -> None:
        """Recovery from timeouts (spec 6): later calls wait longer too, until answers come in time again."""
        patience, was = self._means.patience, self._stretch
        self._stretch = new = retry.stretched(was, timed_out=timed_out, patience=patience)
        if new > was or (new == 1.0 and was > 1.0):
            seconds = round(patience.timeout * new, 1)
            self._means.calls.noted(self.vendor.name, "deadline", "", {"seconds": seconds, "usual": patience.timeout})

    async def _learn(self, answer: Answer) -> None:
        told = windows.seen(answer.headers, self.vendor.windows)
        if told and told != self._learned:
            self._learned = told
            await self._means.budget.learn(self.vendor.name, self.key_id, told)
        if wait := windows.spent(answer.headers):
            await self._means.budget.block(self.vendor.name, self.key_id, wait)

    async def _pause(self, result: Answer | Lost, failure: Failure | None, wait: float) -> None:
        """Before the next attempt: a rate limit holds every process that uses the key, anything else only us."""
        if isinstance(result, Answer) and failure and failure.kind is RateLimited:
            await self._means.budget.block(self.vendor.name, self.key_id, wait)
        await self._means.sleep(wait)

    async def _accept(self, operation: Operation, entry: str, answer: Answer, kind: type[T], redactor: Redactor) -> T:
        """A success. One whose shape we do not know is settled by reading, like an unknown outcome."""
        value = failures.fitted(self.vendor.name, operation, answer, kind, redactor)
        if isinstance(value, Drift):
            self._note(value)
            await self._finish(entry, "ambiguous", _kept(answer, redactor), value.what)
            raise value
        if entry:
            await self._finish(entry, "done", _kept(answer, redactor))
        return value

    async def _give_up(
        self, operation: Operation, entry: str, result: Answer | Lost, failure: Failure | None, redactor: Redactor
    ) -> VendorError:
        """The error to raise, the journal already closed accordingly."""
        if isinstance(result, Lost):
            error = failures.unanswered(self.vendor.name, operation, result, redactor)
            await self._finish(entry, "ambiguous" if result.sent else "abandoned", {}, error.what)
            return error
        meaning = failure or Failure(kind=VendorError, message=failures.text_of(result))
        wait = windows.wait_asked(result.headers, result.data)
        if meaning.kind is RateLimited and not operation.own_limit and wait:
            await self._means.budget.block(self.vendor.name, self.key_id, wait)
        error = failures.raised(self.vendor.name, operation, result, meaning, redactor, wait)
        await self._finish(entry, "refused" if meaning.settled else "ambiguous", _kept(result, redactor), error.what)
        return error

    def _note(self, drift: Drift) -> None:
        field = str(drift.context.get("field", ""))
        detail = {"told": drift.what, "body": drift.body, "request_id": drift.request_id}
        self._means.calls.noted(self.vendor.name, "drift", f"{drift.operation} {field}", detail)

    async def _finish(self, entry: str, state: Settled, outcome: Mapping[str, Any], error: str = "") -> None:
        if entry:
            await self._means.journal.finish(entry, state, outcome=outcome, error=error)


def _kept(answer: Answer, redactor: Redactor) -> dict[str, Any]:
    shown = redactor.value(answer.data)
    if len(msgspec.json.encode(shown)) > OUTCOME_KEPT:
        shown = None
    return {"status": answer.status, "request_id": answer.request_id, "answer": shown}
