"""The worker: applies what came in, carries out queued commands, sends notices. Any number may run, and be killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from mailfleet.errors import CircuitOpen, Conflict, Invalid, MailfleetError, NotFound, RateLimited, Unavailable
from mailfleet.services import alerts, commands, events, holds, investigations, outcomes, sync_runs
from mailfleet.services.context import Fleet
from mailfleet.store import leads, outbox
from mailfleet.store.outbox import Command

GROUP = 100
_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_PATIENT = (RateLimited, Unavailable, CircuitOpen)
_HOPELESS = (NotFound, Conflict, Invalid)
Payload = Mapping[str, Any]
log = structlog.get_logger(__name__)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round did."""

    applied: int = 0
    done: int = 0
    failed: int = 0
    delivered: int = 0
    ready_again: int = 0

    @property
    def idle(self) -> bool:
        return not (self.applied or self.done or self.delivered or self.ready_again)


async def run_once(fleet: Fleet, *, receive: bool = True) -> Round:
    """Everything that is due now; `receive` false leaves the inbox to the lead sync. One failure stops no other."""
    applied = await _apply(fleet) if receive else 0
    ready, done, failed = await _obey(fleet)
    delivered = await alerts.deliver_due(fleet)
    return Round(applied=applied, done=done, failed=failed, delivered=delivered, ready_again=ready)


async def run_forever(fleet: Fleet, stop: asyncio.Event, *, pause: float = _PAUSE) -> None:
    """Rounds until `stop` is set. Webhooks, commands and notices go side by side: a channel that takes one message a
    second keeps no stop waiting."""

    async def obeyed() -> bool:
        ready, done, _ = await _obey(fleet)
        return bool(ready or done)

    async with asyncio.TaskGroup() as group:
        for once in (lambda: _apply(fleet), obeyed, lambda: alerts.deliver_due(fleet)):
            group.create_task(again_and_again(once, stop, pause=pause))


async def _apply(fleet: Fleet) -> int:
    return (await events.apply_all(fleet, wait=False)).rows


async def _obey(fleet: Fleet) -> tuple[int, int, int]:
    """Leads that may be mailed again, commands done and failed."""
    done = failed = 0
    async with fleet.db.connection() as db:
        ready = await leads.due_again(db, fleet.clock.now())
        topics = await outbox.due_topics(db, now=fleet.clock.now())
    for topic in (each for each in topics if each != sync_runs.RUN):
        good, bad = await _drain(fleet, topic)
        done, failed = done + good, failed + bad
    return ready, done, failed


async def again_and_again(once: Callable[[], Awaitable[object]], stop: asyncio.Event, *, pause: float = _PAUSE) -> None:
    """A short rest when there was nothing to do (`once` says something false), a longer one when the database is away,
    until `stop` is set."""
    rest = pause
    while not stop.is_set():
        try:
            rest = 0.0 if await once() else pause
        except MailfleetError as error:
            log.warning("round failed", code=error.code, error=str(error))
            rest = min(max(rest, pause) * 2, _LONGEST_PAUSE)
        except Exception as error:  # the worker outlives whatever one round meets
            log.exception("round failed", error=type(error).__name__)
            rest = min(max(rest, pause) * 2, _LONGEST_PAUSE)
        try:
            await asyncio.wait_for(stop.wait(), timeout=rest)
        except TimeoutError:
            continue


async def _drain(fleet: Fleet, topic: str) -> tuple[int, int]:
    done = failed = 0
    while True:
        good, bad = await _group(fleet, topic)
        done, failed = done + good, failed + bad
        if not good:
            return done, failed


async def _group(fleet: Fleet, topic: str) -> tuple[int, int]:
    """One group of a topic. It stays locked while it is carried out, and returns to the queue if we die."""
    limit = GROUP if topic in _TOGETHER else 1
    async with fleet.db.transaction() as db:
        taken = await outbox.take_group(db, topic, now=fleet.clock.now(), limit=limit)
        if not taken:
            return 0, 0
        failed = await _failures(fleet, topic, taken)
        for each in taken:
            if error := failed.get(each.id):
                await _put_off(fleet, db, each, error)
            else:
                await outbox.done(db, each.id, now=fleet.clock.now())
    return len(taken) - len(failed), len(failed)


async def _failures(fleet: Fleet, topic: str, taken: Sequence[Command]) -> dict[int, Exception]:
    """Carries them out; those that failed, by id. A group is tried again in halves: one never loses the others."""
    try:
        await _carry_out(fleet, topic, [each.payload for each in taken])
    except _PATIENT as error:  # a vendor that needs a rest is not asked for each of them
        return {each.id: error for each in taken}
    except Exception as error:  # whatever a handler meets is its command's alone, and holds up no other topic
        if len(taken) == 1:
            return {taken[0].id: error}
    else:
        return {}
    middle = len(taken) // 2
    return await _failures(fleet, topic, taken[:middle]) | await _failures(fleet, topic, taken[middle:])


async def _put_off(fleet: Fleet, db: Any, command: Command, error: Exception) -> None:
    told = f"{error.code} {error}" if isinstance(error, MailfleetError) else f"{type(error).__name__}: {error}"
    log.warning("command failed", topic=command.topic, id=command.id, error=told)
    if isinstance(error, _HOPELESS):
        await outbox.bury(db, command.id, error=told)
        alive = False
    else:
        # A command never dies of a vendor's outage, however long: a stop that is given up lets the mails go on.
        patient = isinstance(error, _PATIENT)
        alive = await outbox.retry(db, command, error=told, now=fleet.clock.now(), patient=patient)
    if not alive:
        await alerts.raise_alert(
            fleet, db, fact_key=f"command-dead:{command.id}", kind="command_dead", severity="urgent",
            title=f"A command could not be carried out: {command.topic}", body=told,
            context={"command": command.id, "topic": command.topic},
        )  # fmt: skip


async def _carry_out(fleet: Fleet, topic: str, payloads: Sequence[Payload]) -> None:
    if together := _TOGETHER.get(topic):
        await together(fleet, payloads)
    elif handler := _EACH.get(topic):
        for payload in payloads:
            await handler(fleet, payload)
    else:
        raise Invalid(f"Nobody knows the command {topic}.", vendor="mailfleet", operation=topic)


async def _stops(fleet: Fleet, payloads: Sequence[Payload]) -> None:
    await commands.do_stops(fleet, payloads)


_TOGETHER: dict[str, Callable[[Fleet, Sequence[Payload]], Awaitable[None]]] = {
    commands.STOP: _stops,
    commands.BLOCK: commands.do_blocks,
    commands.UNBLOCK: commands.do_unblocks,
}
_EACH: dict[str, Callable[[Fleet, Payload], Awaitable[None]]] = {
    commands.PAUSE: commands.do_pause,
    commands.RESUME: commands.do_resume,
    commands.UNSUBSCRIBE: commands.do_unsubscribe,
    commands.FORGET: commands.do_forget,
    holds.START: holds.do_start,
    holds.LOOK: outcomes.do_look,
    investigations.RUN: investigations.do_run,
}
