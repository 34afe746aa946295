"""Carries the way back out: at most one action a call, decided from the journal, intent before call, outcome after.

`rules.migration.saga` decides; `store.sagas` remembers; here the vendors are spoken to. Every writing transaction locks
the saga and asks the rules again, so what two executors decided on the same journal is done once. Nothing is kept
between two calls of `advance`: a process that dies at any line is followed by another that reads the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Ambiguous, MailfleetError, VendorError
from mailfleet.migration import saga_acts as acts
from mailfleet.rules.migration.saga import BURNING, Action, Unit, View, next_action
from mailfleet.services.alerts import raise_alert
from mailfleet.services.context import Fleet
from mailfleet.store import audit, sagas
from mailfleet.store.database import Connection
from mailfleet.store.sagas import Line, Paused, Saga

Judge = Callable[[Saga], Awaitable[Mapping[str, Any]]]
"""The evidence as it stands: `standing` (does the ROLLBACK verdict still stand?) and the brief to show."""
Reached = Callable[[str], None]
TROUBLE = 3
"""Tries of one thing after which people are told."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Times of the saga. Counters are looked at twice, `still` apart."""

    still: timedelta = timedelta(seconds=60)
    assess: timedelta = timedelta(minutes=15)
    remind: timedelta = timedelta(minutes=30)
    watch: timedelta = timedelta(hours=24)
    lease: timedelta = sagas.LEASE
    automatic: bool = True
    capacity: int | None = None
    """Mails a day at which the old side resumes; None: as planned."""


def _nothing(_: str) -> None: ...


async def _no_judge(_: Saga) -> Mapping[str, Any]:
    return {"standing": False}


class Executor:
    """One of possibly several. `reached` is called at every boundary between journal and vendor."""

    def __init__(
        self,
        fleet: Fleet,
        id: UUID,
        *,
        pace: Pace | None = None,
        judge: Judge = _no_judge,
        reached: Reached = _nothing,
    ) -> None:
        self.fleet, self.id, self.pace, self.judge, self.reached = fleet, id, pace or Pace(), judge, reached

    async def run(self, *, most: int = 10_000) -> Action:
        """Until there is nothing to do now; the action that says why."""
        for _ in range(most):
            action = await self.advance()
            if action.kind == "wait":
                return action
        return Action("wait", why="more is to be done")

    async def advance(self) -> Action:
        """At most one action; `wait` when there is none now."""
        async with self.fleet.db.connection() as db:
            saga = await sagas.get(db, self.id)
            lines = await sagas.journal(db, self.id)
            action = next_action(await view(db, saga, lines, self.pace.lease))
        if action.kind == "wait":
            return action
        if wait := await self._not_yet(saga, lines, action):
            return wait
        if action.kind in acts.CALLS:
            return await self._call(saga, action)
        return await self._local(saga, lines, action)

    async def _not_yet(self, saga: Saga, lines: Sequence[Line], action: Action) -> Action | None:
        """Actions with a time of their own."""
        now = self.fleet.clock.now()
        ended = {line.kind: line.finished_at for line in lines if line.outcome == "ok" and line.finished_at}
        polls = [line.at for line in lines if line.kind == "still"]
        due = {
            "still": (polls[-1] if polls else now) + (self.pace.still if polls else timedelta()),
            "assess": (ended.get("still") or now) + self.pace.assess,
            "watch": (ended.get("warm") or now) + self.pace.watch,
        }.get(action.kind)
        if due is not None and now < due:
            return Action("wait", action.target, why=f"{action.kind} is due at {due.isoformat()}")
        if action.kind == "decide":
            return await self._undecided(saga, lines)
        return self._backing_off(lines, action)

    def _backing_off(self, lines: Sequence[Line], action: Action) -> Action | None:
        """A call that did not succeed waits longer each time, up to a quarter of an hour; so does a new name."""
        tries = _tries(lines, action)
        if not tries or action.kind not in acts.CALLS or tries[-1].outcome == "ok":
            return None
        due = tries[-1].at + timedelta(seconds=min(900, 5 * 2 ** min(len(tries), 10)))
        if self.fleet.clock.now() < due:
            why = f"{action.kind} {tries[-1].outcome} ({tries[-1].error}), again at {due.isoformat()}"
            return Action("wait", action.target, why=why)
        return None

    async def _undecided(self, saga: Saga, lines: Sequence[Line]) -> Action | None:
        """An automatic trigger that still stands decides by itself; a person decides everything else (M6)."""
        if saga.decision is not None:
            return None
        if saga.automatic and self.pace.automatic and (await self.judge(saga)).get("standing"):
            async with self.fleet.db.transaction() as db:
                await sagas.decide(db, self.id, "proceed", "machine")
            return None
        assessed = next((line.finished_at for line in reversed(lines) if line.kind == "assess"), None)
        late = assessed is not None and self.fleet.clock.now() >= assessed + self.pace.remind
        async with self.fleet.db.transaction() as db:
            await self._tell(
                db,
                "waiting-late" if late else "waiting",
                "emergency" if late else "critical",
                f"{saga.from_platform} is paused and waits for a decision",
                f"{saga.reason} `migration rollback` goes on, `migration resume` lets it send again.",
            )
        return Action("wait", why="a person decides")

    async def _call(self, saga: Saga, action: Action) -> Action:
        """Intent, call, outcome; each committed before the next."""
        self.reached(f"{action.kind}: before the intent")
        no = await self._intend(saga, action)
        if no is None:
            return Action("wait", action.target, why="another executor was first")
        self.reached(f"{action.kind}: before the call")
        try:
            result = await acts.call(self.fleet, saga, action, self.pace.capacity)
            outcome, error = "ok", ""
        except Ambiguous as told:
            result, outcome, error = {}, "unknown", f"{told.code} {told}"
        except VendorError as told:
            # A read within the action may have failed after its write: only what is refused for certain is `rejected`.
            certain = action.kind not in BURNING or not acts.in_doubt(told)
            result, outcome, error = {}, "rejected" if certain else "unknown", f"{told.code} {told}"
        except MailfleetError as told:
            result, outcome, error = {}, "unknown" if action.kind in BURNING else "rejected", f"{told.code} {told}"
        self.reached(f"{action.kind}: before its outcome")
        async with self.fleet.db.transaction() as db:
            await sagas.lock(db, self.id)
            mine = await sagas.settle(
                db, self.id, no, outcome, at=self.fleet.clock.now(), result=result, error=error
            )  # fmt: skip
            if mine and outcome == "ok":
                await acts.noted(self.fleet, db, saga, action, result)
            elif len(_tries(await sagas.journal(db, self.id), action)) >= TROUBLE:
                told = f"The rollback from {saga.from_platform} does not get on: {action.kind}"
                await self._tell(db, f"trouble:{action.kind}:{_unit(action.target)}", "critical", told, error)
        self.reached(f"{action.kind}: after its outcome")
        return action

    async def _intend(self, saga: Saga, action: Action) -> int | None:
        async with self.fleet.db.transaction() as db:
            now = await self._still(db, action)
            if now is None:
                return None
            await acts.prepared(self.fleet, db, now, action)
            return await sagas.write(
                db,
                self.id,
                action,
                "intended",
                epoch=now.epoch,
                actor=self.fleet.actor,
                at=self.fleet.clock.now(),
                result={"was": saga.committed},
            )

    async def _still(self, db: Connection, action: Action) -> Saga | None:
        """The saga, locked, if this is still what comes next."""
        saga = await sagas.lock(db, self.id)
        lines = await sagas.journal(db, self.id)
        return saga if next_action(await view(db, saga, lines, self.pace.lease)) == action else None

    async def _local(self, saga: Saga, lines: Sequence[Line], action: Action) -> Action:
        """What is read, decided or written here alone. Readings are made before the transaction."""
        self.reached(f"{action.kind}: before")
        try:
            found = await self._read(saga, lines, action)
        except VendorError as error:
            found = acts.Found("rejected", {}, f"{error.code} {error}")
        self.reached(f"{action.kind}: read")
        async with self.fleet.db.transaction() as db:
            now = await self._still(db, action)
            if now is None:
                return Action("wait", action.target, why="another executor was first")
            await self._write(db, now, lines, action, found)
        self.reached(f"{action.kind}: after")
        return action

    async def _read(self, saga: Saga, lines: Sequence[Line], action: Action) -> acts.Found:
        if action.kind == "readback":
            return acts.Found("ok", {"states": await acts.states(self.fleet, saga)})
        if action.kind == "still":
            return await acts.still(self.fleet, saga, lines)
        if action.kind == "assess":
            return acts.Found("ok", dict(await self.judge(saga)))
        if action.kind == "snapshot":
            return acts.Found("ok", {"leads": await acts.snapshot(self.fleet, saga)})
        if action.kind == "ready":
            return acts.Found("ok", await acts.ready(self.fleet, saga))
        if action.kind == "verify":
            return await acts.verify(self.fleet, saga, lines, action)
        return acts.Found("ok", {})

    async def _write(
        self, db: Connection, saga: Saga, lines: Sequence[Line], action: Action, found: acts.Found
    ) -> None:
        at, outcome, result = self.fleet.clock.now(), found.outcome, dict(found.result)
        if action.kind == "settle":
            open_line = next(line for line in lines if line.outcome == "intended")
            await sagas.settle(db, self.id, open_line.no, "unknown", at=at, error="its executor did not come back")
            return
        if action.kind == "snapshot":
            result = await acts.keep_snapshot(self.fleet, db, saga, result["leads"])
        if action.kind == "decide":
            result = {"decision": saga.decision, "by": saga.decided_by}
        if action.kind in ("burn", "claim"):
            await sagas.raise_epoch(db, self.id, saga.epoch)
        if action.kind == "burn":
            await acts.burned(self.fleet, db, saga, action)
        if action.kind == "commit":
            result = await acts.commit(self.fleet, db, saga, lines)
        if action.kind == "post_mortem":
            result = {"draft": await acts.draft(db, saga, lines)}
        if action.kind in ("done", "stopped"):
            await acts.ended(self.fleet, db, saga, "done" if action.kind == "done" else "stopped")
        await sagas.write(
            db,
            self.id,
            action,
            outcome,
            epoch=saga.epoch,
            actor=self.fleet.actor,
            at=at,
            result=result,
            error=found.error,
        )
        await self._told(db, saga, action, outcome)

    async def _told(self, db: Connection, saga: Saga, action: Action, outcome: str) -> None:
        told = {
            "still": f"{saga.from_platform} paused, evaluating rollback",
            "snapshot": f"Rollback from {saga.from_platform}: the leads to move are written down",
            "commit": f"Rollback from {saga.from_platform} is committed: {saga.to_platform} owns the leads",
            "post_mortem": f"Rollback from {saga.from_platform} is over; the post-mortem is drafted, due within 48 h",
            "stopped": f"{saga.from_platform} sends again: the rollback was called off",
        }.get(action.kind)
        if told and outcome == "ok":
            await self._tell(db, action.kind, "critical", told, saga.reason)

    async def _tell(self, db: Connection, fact: str, severity: Any, title: str, body: str) -> None:
        await raise_alert(
            self.fleet,
            db,
            fact_key=f"saga:{self.id}:{fact}",
            kind="rollback",
            severity=severity,
            title=title,
            body=body,
        )


def _unit(target: str) -> str:
    return target.partition("#")[0]


def _tries(lines: Sequence[Line], action: Action) -> list[Line]:
    """Earlier ones of the same thing; a create under another name is the same thing."""
    same = _unit(action.target) if action.kind == "create" else action.target
    return [
        line
        for line in lines
        if line.kind == action.kind and same == (_unit(line.target) if action.kind == "create" else line.target)
    ]


async def view(db: Connection, saga: Saga, lines: Sequence[Line], lease: timedelta) -> View:
    """What the rules decide on, from the journal alone."""
    units: list[Unit] = []
    for line in lines:
        if line.kind == "snapshot" and line.outcome == "ok":
            units = [Unit(each["id"], each["batches"]) for each in line.result["units"]]
    return View(
        epoch=saga.epoch,
        committed=saga.committed,
        campaigns=tuple(str(each.id) for each in saga.paused()),
        units=tuple(units),
        entries=sagas.entries(lines, lease),
        abort=saga.aborting,
    )


async def open_saga(
    fleet: Fleet,
    *,
    migration_id: UUID | None,
    from_platform: str,
    to_platform: str,
    trigger: str,
    reason: str,
    automatic: bool,
    only: Sequence[UUID] = (),
    kind: sagas.Kind = "rollback",
) -> tuple[Saga, bool]:
    """Begins the way back: the hold that stops pushes and starts is in the same transaction.

    A second trigger attaches to the saga there is.
    """
    async with fleet.db.transaction() as db:
        campaigns: list[Paused] = await sagas.pausable(db, from_platform, only)
        saga, new = await sagas.open(
            db,
            migration_id=migration_id,
            kind=kind,
            from_platform=from_platform,
            to_platform=to_platform,
            trigger=trigger,
            reason=reason,
            automatic=automatic,
            campaigns=campaigns,
            whole=not only,
            by=fleet.actor,
            at=fleet.clock.now(),
        )
        if new:
            await acts.hold(fleet, db, saga)
        await audit.record(
            db,
            actor=fleet.actor,
            action="open_rollback" if new else "attach_to_rollback",
            entity="saga",
            entity_id=saga.id,
            reason=f"{trigger}: {reason}",
            at=fleet.clock.now(),
        )
    return saga, new


async def abort(fleet: Fleet, id: UUID, reason: str) -> bool:
    """Before the commit alone: what was paused goes on, the staging campaigns stay inactive. False: too late."""
    async with fleet.db.transaction() as db:
        await sagas.lock(db, id)
        done = await sagas.ask_abort(db, id)
        await audit.record(
            db,
            actor=fleet.actor,
            action="abort_rollback",
            entity="saga",
            entity_id=id,
            reason=reason,
            at=fleet.clock.now(),
            detail={"in_time": done},
        )
    return done
