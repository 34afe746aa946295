"""The controller: each tick re-reads everything, does at most one step, writes it with its reason, and returns.

Triggers are judged in every state, also while a person is waited for. What stops comes before what advances, and a
stop of the line holds back only what advances. Nothing is kept between two ticks: any process may run the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.migration import evidence, gate, oldside, reconcile, routing, saga
from mailfleet.migration.evidence import Judged
from mailfleet.rules.migration import phases
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.phases import Phase
from mailfleet.rules.migration.verdicts import State, Trigger, Verdict
from mailfleet.services import alerts, holds
from mailfleet.services.context import Fleet
from mailfleet.store import approvals, migrations, sagas, transitions, verdicts, watermarks
from mailfleet.store import holds as held
from mailfleet.store.database import Connection
from mailfleet.store.migrations import Migration

AUTOMATIC: frozenset[Trigger] = frozenset[Trigger]({"bounce", "placement", "api", "bug"})
"""Triggers that may roll back by themselves (spec 7)."""
PROMOTE = "migration.promote"
RESPECTED = timedelta(hours=24)
"""For how long a person's decision to let it send stands against the same trigger."""
DAILY = timedelta(hours=20)
"""A step of every day is due again after this."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a tick did, and why."""

    did: str
    reason: str
    state: str = ""
    phase: str = ""
    verdicts: dict[str, str] = {}


async def tick(fleet: Fleet) -> Step:
    """One look and at most one step; two at once do nothing twice."""
    async with fleet.db.single_flight("migration") as mine:
        if not mine:
            return Step(did="nothing", reason="another tick is under way")
        async with fleet.db.connection() as db:
            migration = await migrations.active(db)
        if migration is None:
            return Step(did="nothing", reason="no migration is under way")
        async with fleet.db.transaction() as db:
            parameters = await migrations.parameters(db, migration.id, migration.parameters)
            judged = await evidence.judge(fleet, db, migration, parameters)
            await keep(fleet, db, migration, parameters, judged)
        step = await _step(fleet, migration, parameters, judged)
        return await _written(fleet, migration, step, judged)


async def _step(fleet: Fleet, migration: Migration, parameters: Parameters, judged: Mapping[Trigger, Judged]) -> Step:
    acting: dict[Trigger, Verdict] = {
        name: each.verdict for name, each in judged.items() if name not in parameters.record_only
    }
    for attempt in (_way_back, _emergency, _breakers, _hold_or_clear, _reviews, _bursts, _old_side):
        if step := await attempt(fleet, migration, parameters, acting):
            return step
    if migration.stopped:
        return Step(did="nothing", reason="a person stopped the line")
    if window := phases.frozen(parameters.freezes, fleet.clock.now()):
        return Step(did="nothing", reason=f"freeze: {window.reason}")
    if migration.state == "held":
        return Step(did="nothing", reason="held: the clock of the ramp stands")
    if step := await _reconcile(fleet, migration) or await _route(fleet, migration, parameters):
        return step
    return await _advance(fleet, migration, parameters, judged)


async def _way_back(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """A rollback under way comes before everything; its own journal says what is next."""
    async with fleet.db.connection() as db:
        running = await sagas.running(db, migration.to_platform)
    if running is None:
        return None
    executor = saga.Executor(fleet, running.id, pace=pace(parameters), judge=judge_of(fleet, migration))
    last = await executor.run()
    async with fleet.db.transaction() as db:
        now = await sagas.get(db, running.id)
        state = await _state_of(db, now)
        if now.whole:
            await _moved(fleet, db, migration, state=state, reason=last.why)
    return Step(did="rollback", reason=f"{state}: {last.why}")


async def _state_of(db: Connection, running: sagas.Saga) -> phases.State:
    """What the migration is doing while its saga is where it is."""
    if running.ended_at:
        return "rolled_back" if running.outcome == "done" else "held"
    kinds = {line.kind for line in await sagas.journal(db, running.id) if line.outcome == "ok"}
    if "warm" in kinds:
        return "watching"
    if "decide" in kinds or running.committed is not None:
        return "rolling_back"
    return "assessing" if "still" in kinds else "pausing"


async def _emergency(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """ROLLBACK and PAUSE open the way back; whether it is gone to the end is decided after ASSESS."""
    worst = next((v for name, v in acting.items() if v.state in ("ROLLBACK", "PAUSE") and name in AUTOMATIC), None)
    if worst is None or await _called_off(fleet, migration, worst.trigger):
        return None
    opened, new = await saga.open_saga(
        fleet,
        migration_id=migration.id,
        from_platform=migration.to_platform,
        to_platform=migration.from_platform,
        trigger=worst.trigger,
        reason=worst.sentence,
        automatic=True,
    )
    if new:
        async with fleet.db.transaction() as db:
            await _moved(fleet, db, migration, state="pausing", reason=worst.sentence)
        return Step(did="pause", reason=f"{worst.trigger}: {worst.sentence}")
    return Step(did="nothing", reason=f"rollback {opened.id} is open already")


async def _called_off(fleet: Fleet, migration: Migration, trigger: str) -> bool:
    """Did a person let the platform send again today, against this trigger? Then it holds, and asks no second time."""
    async with fleet.db.connection() as db:
        past = await sagas.of_migration(db, migration.id)
    since = fleet.clock.now() - RESPECTED
    return any(
        each.outcome == "stopped" and each.trigger == trigger and each.ended_at and each.ended_at > since
        for each in past
    )


async def _breakers(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """Single campaigns whose own rate is beyond doubt: a bad list is no fault of the platform."""
    for campaign in [each for verdict in acting.values() for each in verdict.pause]:
        async with fleet.db.connection() as db:
            standing = await held.over_campaign(db, UUID(campaign), "sending")
            before = await migrations.history(db, migration.id, actions=("breaker",), limit=10_000)
        if standing or any(done.detail.get("campaign") == campaign for done in before):
            continue
        verdict = next(v for v in acting.values() if campaign in v.pause)
        reason = f"its own {verdict.trigger} breaker is open; the other campaigns are judged without it"
        await holds.pause(fleet, "campaign", campaign, reason, evidence={"trigger": verdict.trigger})
        await _log(fleet, migration, "breaker", reason, {"campaign": campaign})
        return Step(did="breaker", reason=f"campaign {campaign}: {reason}")
    return None


async def _hold_or_clear(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """HOLD stops the clock of the ramp and the routing of new campaigns; it ends on evidence, or by a person."""
    standing = [v for v in acting.values() if v.state in ("HOLD", "PAUSE", "ROLLBACK")]
    if standing and migration.state == "running":
        reason = "; ".join(f"{v.trigger}: {v.sentence}" for v in standing)
        async with fleet.db.transaction() as db:
            await _moved(fleet, db, migration, state="held", reason=reason)
            await alerts.raise_alert(
                fleet, db, fact_key=f"migration-hold:{migration.id}:{fleet.clock.now().isoformat()}",
                kind="migration_hold", severity="critical", title=f"{migration.name}: HOLD by {standing[0].trigger}",
                body=reason,
            )  # fmt: skip
        return Step(did="hold", reason=reason)
    if standing or migration.state != "held":
        return None
    async with fleet.db.connection() as db:
        asked = await migrations.history(db, migration.id, actions=("hold", "resume", "clear", "rollback"), limit=1)
        if asked and asked[-1].action in ("hold", "rollback") and asked[-1].actor.startswith("person"):
            return None
    async with fleet.db.transaction() as db:
        await _moved(fleet, db, migration, state="running", reason="every trigger shows recovery on fresh sends")
    return Step(did="clear", reason="every trigger shows recovery on fresh sends")


async def _reviews(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """A REVIEW is a note that a person closes with a reason; until then nothing is promoted."""
    async with fleet.db.transaction() as db:
        open_notes = {note.subject for note in await migrations.notes(db, migration.id, kinds=("review",), open=True)}
        for verdict in acting.values():
            if verdict.state != "REVIEW" or verdict.trigger in open_notes:
                continue
            await migrations.note(
                db, migration.id, "review", verdict.trigger, reason=verdict.sentence, by=fleet.actor,
                at=fleet.clock.now(),
            )  # fmt: skip
            await alerts.raise_alert(
                fleet, db, fact_key=f"migration-review:{migration.id}:{verdict.trigger}:{fleet.clock.now():%Y-%m-%d}",
                kind="migration_review", severity="urgent", title=f"{migration.name}: review {verdict.trigger}",
                body=verdict.sentence,
            )  # fmt: skip
            return Step(did="review", reason=f"{verdict.trigger}: {verdict.sentence}")
    return None


async def _bursts(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """Extra seed tests are asked for once a day; whoever makes them records them with `--burst`."""
    asking = next((v for v in acting.values() if "burst" in v.asks or "placement" in v.asks), None)
    if asking is None:
        return None
    day = fleet.clock.now().astimezone(ZoneInfo(migration.timezone)).date().isoformat()
    async with fleet.db.transaction() as db:
        done = await migrations.history(db, migration.id, actions=("burst",), limit=1)
        if done and done[-1].detail.get("day") == day:
            return None
        await alerts.raise_alert(
            fleet, db, fact_key=f"migration-burst:{migration.id}:{day}", kind="migration_burst", severity="warning",
            title=f"{migration.name}: three extra seed tests a domain on both platforms", body=asking.sentence,
        )  # fmt: skip
        await _log(fleet, migration, "burst", asking.sentence, {"day": day}, db=db)
    return Step(did="burst", reason=asking.sentence)


async def _old_side(
    fleet: Fleet, migration: Migration, parameters: Parameters, acting: Mapping[Trigger, Verdict]
) -> Step | None:
    """Once a day, in every state: what could go back is only known from the old mailboxes as they are (M7)."""
    async with fleet.db.connection() as db:
        last = await watermarks.get(db, oldside.mark(migration.from_platform))
    if last is not None and fleet.clock.now() - last < DAILY:
        return None
    found = await oldside.read(fleet, migration.from_platform)
    if found.problems:
        return None  # the last reading stands, and readiness with it
    return Step(did="read", reason=f"{found.mailboxes} mailboxes of {migration.from_platform} read")


async def _reconcile(fleet: Fleet, migration: Migration) -> Step | None:
    """Once a day the ledger is compared with the platform's own list (I1)."""
    async with fleet.db.connection() as db:
        last = await verdicts.reconciled_at(db, migration.to_platform)
    if last is not None and fleet.clock.now() - last < DAILY:
        return None
    found = await reconcile.ledger(fleet, migration.to_platform)
    return Step(
        did="reconcile", reason=f"{found.leads} leads compared, {found.unexplained} unexplained{found.problems}"
    )


async def _route(fleet: Fleet, migration: Migration, parameters: Parameters) -> Step | None:
    """One campaign. Those that were there when the phase began are offered in order of their draw."""
    if routing.weight_of(migration, parameters) <= 0:
        return None
    async with fleet.db.connection() as db:
        free = [each for each in await routing.pending(db, migration) if not each.contacted]
    if not free:
        return None
    decision = await routing.route(fleet, migration, parameters, free[0])
    where = migration.to_platform if decision.to_new else migration.from_platform
    return Step(
        did="route",
        reason=f"campaign {decision.campaign} goes to {where}: "
        f"u = {decision.u:.3f}, p = {decision.p:.3f}, {decision.why}",
    )


async def _advance(
    fleet: Fleet, migration: Migration, parameters: Parameters, judged: Mapping[Trigger, Judged]
) -> Step:
    """The next phase when every gate holds; asks for the approval when it alone is missing."""
    to = phases.after(migration.phase)
    if to is None:
        return await _finish(fleet, migration)
    async with fleet.db.transaction() as db:
        checks = await gate.checklist(fleet, db, migration, parameters, judged, to)
        missing = [check for check in checks if not check.ok]
        if missing and [check.name for check in missing] == ["approval"]:
            return await _asked(fleet, db, migration, parameters, to)
        if missing:
            return Step(did="nothing", reason=f"{to}: " + "; ".join(f"{c.name}: {c.detail}" for c in missing))
        used = await approvals.use(db, PROMOTE, scope=scope(migration, to), at=fleet.clock.now())
        if used is None:
            return Step(did="nothing", reason=f"{to}: the approval was used or withdrawn")
        await entered(fleet, db, migration, to, checks, by=", ".join(used.approved_by))
    return Step(did="promote", reason=f"{to}: every gate holds, approved by {', '.join(used.approved_by)}")


async def entered(fleet: Fleet, db: Connection, migration: Migration, to: Phase, checks: list[Any], *, by: str) -> None:
    await migrations.enter(db, migration.id, to, checklist=checks, by=by, at=fleet.clock.now())
    await migrations.move(db, migration, phase=to, at=fleet.clock.now())
    await transitions.record(
        db, entity="migration", entity_id=migration.id, from_state=migration.phase, to_state=to, event="promote",
        reason="every gate holds", evidence={"checks": msgspec.to_builtins(checks)}, rule="migration.gates",
        rule_version=str(migration.parameters), actor=by, at=fleet.clock.now(),
    )  # fmt: skip
    await alerts.raise_alert(
        fleet, db, fact_key=f"migration-phase:{migration.id}:{to}", kind="migration_phase", severity="info",
        title=f"{migration.name} enters {to}", body="; ".join(f"{check.name}: {check.detail}" for check in checks),
    )  # fmt: skip


async def _asked(fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters, to: Phase) -> Step:
    wanted = scope(migration, to)
    waiting = [each for each in await approvals.waiting(db, at=fleet.clock.now()) if each.scope == wanted]
    people = phases.step_of(parameters.steps, to).people
    if waiting:
        return Step(did="nothing", reason=f"{to}: approval {waiting[0].id} waits for {people} of its people")
    asked = await approvals.request(
        db, PROMOTE, scope=wanted, ceiling_cents=None, currency=None, by=fleet.actor,
        reason=f"{migration.name}: every other gate for {to} holds", at=fleet.clock.now(),
        expires_at=fleet.clock.now() + timedelta(hours=parameters.pace.approval_hours), needed=people,
    )  # fmt: skip
    await alerts.raise_alert(
        fleet, db, fact_key=f"migration-approval:{asked.id}", kind="migration_approval", severity="urgent",
        title=f"{migration.name} may enter {to}", body=f"`mailfleet approve {asked.id}` ({people} needed).",
    )  # fmt: skip
    return Step(did="ask", reason=f"{to}: approval {asked.id} is asked for, {people} needed")


async def _finish(fleet: Fleet, migration: Migration) -> Step:
    """Week 13: over when everything on the list is confirmed by a person."""
    async with fleet.db.transaction() as db:
        checks = await gate.last(db, migration)
        if missing := [check.name for check in checks if not check.ok]:
            return Step(did="nothing", reason=f"decommission waits for: {', '.join(missing)}")
        await _moved(fleet, db, migration, state="done", reason="everything on the decommission list is confirmed")
    return Step(did="finish", reason="everything on the decommission list is confirmed")


def scope(migration: Migration, to: str) -> dict[str, object]:
    return {"migration": str(migration.id), "to": to}


def pace(parameters: Parameters) -> saga.Pace:
    given = parameters.pace
    return saga.Pace(
        assess=timedelta(minutes=given.assess_minutes[0]),
        remind=timedelta(minutes=given.assess_minutes[1]),
        watch=timedelta(hours=given.watch_hours),
        automatic=given.automatic,
    )


def judge_of(fleet: Fleet, migration: Migration) -> saga.Judge:
    """The brief of ASSESS: every verdict anew, and whether a ROLLBACK still stands."""

    async def judge(_: sagas.Saga) -> Mapping[str, Any]:
        async with fleet.db.connection() as db:
            parameters = await migrations.parameters(db, migration.id, migration.parameters)
            judged = await evidence.judge(fleet, db, migration, parameters)
            owned = await verdicts.owned(db)
        standing = [name for name, each in judged.items() if name in AUTOMATIC and each.verdict.state == "ROLLBACK"]
        return {
            "standing": bool(set(standing) - set(parameters.record_only)),
            "verdicts": {name: each.verdict.sentence for name, each in judged.items()},
            "leads": owned.get(migration.to_platform, 0),
        }

    return judge


async def keep(
    fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters, judged: Mapping[Trigger, Judged]
) -> None:
    """Verdicts are stored when they change and once a day; the day's row always."""
    now = fleet.clock.now()
    before = await verdicts.latest(db, migration.id)
    zone = ZoneInfo(migration.timezone)
    for name, each in judged.items():
        old = before.get(name)
        same_day = old is not None and old.at.astimezone(zone).date() == now.astimezone(zone).date()
        same = old is not None and old.made().state == each.verdict.state and old.parameters == migration.parameters
        if not (same and same_day):
            await verdicts.add(db, migration.id, each.verdict, each.inputs, parameters=migration.parameters, at=now)
    ready = await evidence.ready(fleet, db, migration, parameters)
    shared = await routing.shares(fleet, db, migration, parameters)
    bill = evidence.the_bill(fleet, migration, now)
    await migrations.put_day(
        db,
        migration.id,
        now.astimezone(zone).date(),
        {
            "phase": migration.phase,
            "state": migration.state,
            "shares": msgspec.to_builtins(shared),
            "verdicts": {
                name: {
                    "state": each.verdict.state,
                    "observed": each.verdict.observed,
                    "interval": each.verdict.interval,
                    "n": each.verdict.n,
                    "literal": each.verdict.literal.fires if each.verdict.literal else None,
                }
                for name, each in judged.items()
            },
            "readiness": msgspec.to_builtins(ready),
            "cost_cents": bill.run_rate_cents,
            "double_cents": bill.double_cents,
        },
    )


async def _moved(fleet: Fleet, db: Connection, migration: Migration, *, state: phases.State, reason: str) -> bool:
    """The state, by compare-and-set, with the clock of the ramp and a transition row."""
    if migration.state == state:
        return False
    now = fleet.clock.now()
    stands = migration.clock_held_since
    if state == "running" and stands is not None:
        await migrations.add_held(db, migration.id, migration.phase, now - stands)
    since: datetime | None = None if state == "running" else stands or now
    if not await migrations.move(db, migration, state=state, held_since=since, at=now):
        return False
    await transitions.record(
        db, entity="migration", entity_id=migration.id, from_state=migration.state, to_state=state, event="tick",
        reason=reason, evidence={}, rule="migration.controller", rule_version=str(migration.parameters),
        actor=fleet.actor, at=now,
    )  # fmt: skip
    await alerts.raise_alert(
        fleet, db, fact_key=f"migration-state:{migration.id}:{state}:{now.isoformat()}", kind="migration_state",
        severity="info", title=f"{migration.name}: {migration.state} → {state}", body=reason,
    )  # fmt: skip
    return True


change = _moved
"""The same for the verbs of people."""


async def _log(
    fleet: Fleet,
    migration: Migration,
    action: str,
    reason: str,
    detail: Mapping[str, object] | None = None,
    *,
    db: Connection | None = None,
) -> None:
    at = fleet.clock.now()
    if db is not None:
        await migrations.log(
            db, migration.id, actor=fleet.actor, action=action, reason=reason, at=at, detail=detail
        )  # fmt: skip
        return
    async with fleet.db.connection() as own:
        await migrations.log(
            own, migration.id, actor=fleet.actor, action=action, reason=reason, at=at, detail=detail
        )  # fmt: skip


WRITTEN_ELSEWHERE = frozenset({"breaker", "burst"})


async def _written(fleet: Fleet, migration: Migration, step: Step, judged: Mapping[Trigger, Judged]) -> Step:
    """The step with its reason; a tick that did the same nothing as the one before it leaves no second row."""
    states: dict[str, State] = {name: each.verdict.state for name, each in judged.items()}
    if step.did not in WRITTEN_ELSEWHERE:
        async with fleet.db.transaction() as db:
            last = await migrations.history(db, migration.id, limit=1)
            if not (last and last[-1].action == step.did and last[-1].reason == step.reason):
                await migrations.log(
                    db, migration.id, actor=fleet.actor, action=step.did, reason=step.reason, at=fleet.clock.now(),
                    detail={"verdicts": states},
                )  # fmt: skip
    async with fleet.db.connection() as db:
        now = await migrations.need(db, str(migration.id))
    return msgspec.structs.replace(step, state=now.state, phase=now.phase, verdicts=dict(states))
