"""What people do with a migration. Each verb writes who, when and why; none of them speaks to a vendor by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import NeedsApproval, NotAllowed
from mailfleet.migration import controller, evidence, fit, gate, routing, saga
from mailfleet.rules.migration import detect, judging, phases, readiness
from mailfleet.rules.migration import parameters as figures
from mailfleet.rules.migration.evidence import icc
from mailfleet.rules.migration.gates import DECOMMISSION
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.services.context import Fleet
from mailfleet.store import approvals, audit, campaign_leads, migrations, sagas, verdicts
from mailfleet.store.approvals import Approval
from mailfleet.store.database import Connection
from mailfleet.store.migrations import Migration

START = "migration.start"
ABORT = "migration.abort"
DECLARABLE = ("feature", "support", "bug")
CALLS_PER_SECOND = 1.0
"""The default plan's sustained rate; the pause number is computed from it before it is needed."""


async def plan(
    fleet: Fleet, *, name: str, start_on: date, timezone: str, volume: float, seed: int, campaigns: int = 0,
    from_platform: str = "forge", to_platform: str = "smartlead",
) -> dict[str, Any]:  # fmt: skip
    """Writes the plan and asks for its approval; everything that can be known before the start is in the answer.

    Raises NotAllowed while the cool-down after a rollback lasts (M10) or another migration is under way, and for a
    platform that lacks what a way back needs.
    """
    fit.check(fleet, from_platform, to_platform)
    now = fleet.clock.now()
    chosen = figures.of(fleet.policy)
    async with fleet.db.transaction() as db:
        await _may_begin(fleet, db, chosen)
        made = await migrations.add(
            db, name=name, from_platform=from_platform, to_platform=to_platform, seed=seed, timezone=timezone,
            start_on=start_on, volume=volume, by=fleet.actor, at=now,
        )  # fmt: skip
        if made.state != "planned":
            raise NotAllowed(f"{name} has begun already.", reasons=(f"it is {made.state}",), hint="Take another name.")
        chosen = await _with_history(db, made, chosen, now)
        await migrations.put_parameters(db, made.id, chosen, reason="plan", by=fleet.actor, at=now)
        asked = await approvals.request(
            db, START, scope={"migration": str(made.id)}, ceiling_cents=None, currency=None, by=fleet.actor,
            reason=f"start the migration {name}", at=now, expires_at=now + timedelta(days=7),
        )  # fmt: skip
        await _audit(fleet, db, made, "plan", "")
        return {**await _printed(fleet, db, made, chosen, campaigns), "approval": str(asked.id)}


async def _may_begin(fleet: Fleet, db: Connection, parameters: Parameters) -> None:
    if under_way := await migrations.active(db):
        raise NotAllowed(
            f"{under_way.name} is under way.", reasons=(f"it is {under_way.state}",), hint="One at a time."
        )
    last = await migrations.last_rolled_back(db)
    if last is None:
        return
    reasons: list[str] = []
    if last.post_mortem_signed_at is None:
        reasons.append(f"the post-mortem of {last.name} is not signed")
    cool = timedelta(days=parameters.pace.cool_down_days)
    if last.ended_at and fleet.clock.now() < last.ended_at + cool:
        reasons.append(f"{last.name} was rolled back less than {cool.days} days ago")
    if reasons:
        raise NotAllowed(
            "A new migration cannot begin yet.", reasons=tuple(reasons), hint="`mailfleet migration sign` (M10)."
        )


async def _with_history(db: Connection, migration: Migration, chosen: Parameters, now: Any) -> Parameters:
    """ρ from the old platform's own campaigns, where they are enough to say it."""
    cells = (await verdicts.bounces(db, migration.from_platform, now, (24 * 90,)))[24 * 90]
    rho = icc({campaign: (n, k) for campaign, n, k in cells})
    if rho is None:
        return chosen
    return msgspec.structs.replace(chosen, bounce=msgspec.structs.replace(chosen.bounce, rho=rho))


async def _printed(fleet: Fleet, db: Connection, made: Migration, chosen: Parameters, campaigns: int) -> dict[str, Any]:
    inventory = await migrations.inventory(db, [made.from_platform, made.to_platform])
    at_once = campaigns or max(1, sum(each["campaigns"] for each in inventory if each["state"] in ("running", "ready")))
    bill = evidence.the_bill(fleet, made, fleet.clock.now())
    ready = await evidence.ready(fleet, db, made, chosen)
    return {
        "name": made.name,
        "from": made.from_platform,
        "to": made.to_platform,
        "phases": [
            {
                "phase": step.phase,
                "week": step.week,
                "not_before": phases.week_start(made.start_on, step.week, made.timezone),
                "share": step.share,
                "people": step.people,
            }
            for step in chosen.steps
        ],
        "inventory": inventory,
        "readiness": ready.sentence,
        "cost": msgspec.to_builtins(bill),
        "detectable": msgspec.to_builtins(
            detect.table(
                chosen.steps, volume=made.volume, campaigns=at_once, b=chosen.bounce, r=chosen.reply, g=chosen.gates
            )
        ),
        "operating_characteristics": detect.published(made.volume),
        "rho": chosen.bounce.rho,
        "pause": {
            "campaigns_within_5_minutes": readiness.pause_capacity(CALLS_PER_SECOND),
            "seconds_for_all": readiness.pause_seconds(at_once, CALLS_PER_SECOND),
        },
    }


async def start(fleet: Fleet, name: str = "") -> Migration:
    """Raises NeedsApproval without an unused approval of exactly this plan."""
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        made = await migrations.need(db, name)
        if made.state != "planned":
            raise NotAllowed(f"{made.name} has begun already.", reasons=(f"it is {made.state}",))
        fit.check(fleet, made.from_platform, made.to_platform)
        await _may_begin(fleet, db, await migrations.parameters(db, made.id, made.parameters))
        if await approvals.use(db, START, scope={"migration": str(made.id)}, at=now) is None:
            raise NeedsApproval(
                f"{made.name} is not approved.", hint="`mailfleet approve` shows what waits; then start it again."
            )
        await migrations.move(db, made, state="running", phase="setup", at=now)
        await migrations.enter(db, made.id, "setup", checklist=[], by=fleet.actor, at=now)
        await _audit(fleet, db, made, "start", "")
        return await migrations.need(db, str(made.id))


async def hold(fleet: Fleet, reason: str) -> str:
    """No new campaigns, the clock of the ramp stands, until a person resumes."""
    async with fleet.db.transaction() as db:
        made = await _active(db)
        await controller.change(fleet, db, made, state="held", reason=reason)
        await _audit(fleet, db, made, "hold", reason)
    return "held"


async def stop_the_line(fleet: Fleet, reason: str) -> str:
    """The one global stop: nothing advances; triggers, pauses and a rollback under way go on."""
    async with fleet.db.transaction() as db:
        made = await _active(db)
        await migrations.stop(db, made.id, True)
        await _audit(fleet, db, made, "stop", reason)
    return "stopped"


async def pause(fleet: Fleet, reason: str) -> UUID:
    """Everything on the new platform stops sending, read back; a person decides what follows."""
    return await _open(fleet, reason, automatic=False)


async def resume(fleet: Fleet, reason: str) -> str:
    """Lifts the stop of the line and a HOLD; during ASSESS it lets the new platform send again.

    Reviews stay open: each is closed by itself.
    """
    async with fleet.db.transaction() as db:
        made = await _active(db)
        await migrations.stop(db, made.id, False)
        running = await sagas.running(db, made.to_platform)
        if running and not await sagas.decide(db, running.id, "resume", fleet.actor):
            raise NotAllowed("The rollback is decided already.", hint="`mailfleet migration abort` until the commit.")
        if running is None and made.state == "held":
            await controller.change(fleet, db, made, state="running", reason=reason)
        await _audit(fleet, db, made, "resume", reason)
    return "resumed"


async def rollback(fleet: Fleet, reason: str, *, campaigns: Sequence[UUID] = ()) -> UUID:
    """The whole way back, or that of single campaigns; paused and assessed first, with the decision made here."""
    id = await _open(fleet, reason, automatic=False, only=campaigns)
    async with fleet.db.transaction() as db:
        await sagas.decide(db, id, "proceed", fleet.actor)
    return id


async def _open(fleet: Fleet, reason: str, *, automatic: bool, only: Sequence[UUID] = ()) -> UUID:
    async with fleet.db.connection() as db:
        made = await _active(db)
    opened, _ = await saga.open_saga(
        fleet, migration_id=made.id, from_platform=made.to_platform, to_platform=made.from_platform,
        trigger="operator", reason=reason, automatic=automatic, only=only,
    )  # fmt: skip
    async with fleet.db.transaction() as db:
        await _audit(fleet, db, made, "rollback", reason)
        if not only:
            await controller.change(fleet, db, await _active(db), state="pausing", reason=reason)
    return opened.id


async def abort(fleet: Fleet, reason: str) -> str:
    """Calls a rollback off before its commit, with two people; without a rollback, ends the migration where it is.

    Raises NeedsApproval: the first call asks for it.
    """
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        made = await _active(db)
        running = await sagas.running(db, made.to_platform)
        if running and running.committed is not None:
            raise NotAllowed("The rollback is committed.", reasons=("from here it only goes forward",))
        scope = {"migration": str(made.id), "saga": str(running.id) if running else ""}
        used = await approvals.use(db, ABORT, scope=scope, at=now)
        asked = None if used else await _asked_to_abort(fleet, db, scope, reason)
    if asked:
        raise NeedsApproval(
            "Calling this off needs two people other than you.", hint=f"`mailfleet approve {asked.id}`, twice."
        )
    if running:
        return "called off" if await saga.abort(fleet, running.id, reason) else "too late: it was committed meanwhile"
    async with fleet.db.transaction() as db:
        await controller.change(fleet, db, await _active(db), state="aborted", reason=reason)
        await _audit(fleet, db, made, "abort", reason)
    return "aborted"


async def _asked_to_abort(fleet: Fleet, db: Connection, scope: Mapping[str, object], reason: str) -> Approval:
    now = fleet.clock.now()
    waiting = [each for each in await approvals.waiting(db, at=now) if each.scope == scope]
    return waiting[0] if waiting else await approvals.request(
        db, ABORT, scope=scope, ceiling_cents=None, currency=None, by=fleet.actor, reason=reason, at=now,
        expires_at=now + timedelta(hours=24), needed=2,
    )  # fmt: skip


async def retry(fleet: Fleet, *, start_on: date) -> dict[str, Any]:
    """A new plan with the last one's figures; a new id, phase 1 again (M10)."""
    async with fleet.db.connection() as db:
        last = await migrations.last_rolled_back(db)
        if last is None:
            raise NotAllowed("Nothing was rolled back.", hint="`mailfleet migration plan` makes a plan.")
    stem, _, number = last.name.rpartition("-try")
    name = f"{stem or last.name}-try{int(number) + 1 if stem and number.isdigit() else 2}"
    return await plan(
        fleet, name=name, start_on=start_on, timezone=last.timezone, volume=last.volume, seed=last.seed + 1,
        from_platform=last.from_platform, to_platform=last.to_platform,
    )  # fmt: skip


async def place(fleet: Fleet, campaign_id: UUID, reason: str) -> str:
    """A pilot's or a sentinel's campaign, put on the new platform by a person instead of a draw.

    Raises NotAllowed for one that has begun, or that holds more leads than a pilot may.
    """
    async with fleet.db.connection() as db:
        made = await _active(db)
        found = next((c for c in await migrations.backlog(db, made.from_platform) if c.id == str(campaign_id)), None)
        leads = await campaign_leads.total(db, campaign_id)
    if found is None or found.contacted:
        raise NotAllowed("It cannot be placed.", reasons=(f"it is no new campaign on {made.from_platform}",))
    if leads > phases.PILOT_LEADS:
        raise NotAllowed("It cannot be placed.", reasons=(f"it holds {leads} leads, a pilot {phases.PILOT_LEADS}",))
    await routing.carry_over(fleet, campaign_id, of=made.from_platform, to=made.to_platform)
    async with fleet.db.transaction() as db:
        await _audit(fleet, db, made, "place", f"{campaign_id}: {reason}")
    return made.to_platform


async def declare(fleet: Fleet, what: str, reason: str) -> UUID:
    """A trigger without a metric, by a person, with reason and clock: it blocks promotion until it is closed."""
    if what not in DECLARABLE:
        raise NotAllowed(f"{what!r} cannot be declared.", hint=f"It is one of {', '.join(DECLARABLE)}.")
    return await _note(fleet, "declared", what, reason)


async def note(fleet: Fleet, subject: str, reason: str = "", *, lesson: bool = False) -> UUID:
    return await _note(fleet, "lesson" if lesson else "issue", subject, reason)


async def confirm(fleet: Fleet, subject: str, reason: str) -> UUID:
    """A person's word for what no machine can see: a line of the decommission list, or a gate signed by review.

    A gate is named `PHASE:GATE`. `subscriptions_cancelled` also dates the saving.
    """
    known = subject if subject in DECOMMISSION else f"{gate.SIGNED}{subject}"
    made = await _note(fleet, "confirmed", known, reason)
    if subject == "subscriptions_cancelled":
        today = fleet.clock.now().date()
        async with fleet.db.transaction() as db:
            await migrations.old_side(db, (await _active(db)).id, cancelled_on=today, paid_until=today)
    return made


async def _note(fleet: Fleet, kind: Any, subject: str, reason: str) -> UUID:
    async with fleet.db.transaction() as db:
        made = await migrations.need(db)
        id = await migrations.note(
            db, made.id, kind, subject, reason=reason, by=fleet.actor, at=fleet.clock.now()
        )  # fmt: skip
        await _audit(fleet, db, made, kind, f"{subject}: {reason}")
    return id


async def close(fleet: Fleet, note: UUID, closing: str) -> bool:
    """Ends a review or a declaration, with what was found."""
    async with fleet.db.transaction() as db:
        done = await migrations.close_note(db, note, by=fleet.actor, closing=closing, at=fleet.clock.now())
        await _audit(fleet, db, await migrations.need(db), "close", closing)
    return done


async def sign(fleet: Fleet, name: str, text: str) -> bool:
    """The post-mortem is complete; from here the cool-down decides alone (M10)."""
    async with fleet.db.transaction() as db:
        made = await migrations.need(db, name)
        done = await migrations.sign(db, made.id, fleet.clock.now())
        await migrations.note(
            db, made.id, "lesson", "post-mortem", reason=text, by=fleet.actor, at=fleet.clock.now()
        )  # fmt: skip
        await _audit(fleet, db, made, "sign", text)
    return done


async def configure(fleet: Fleet, changed: Mapping[str, Any], reason: str) -> int:
    """New figures from now on, as a new version; verdicts that were made keep the version they were made under."""
    async with fleet.db.transaction() as db:
        made = await migrations.need(db)
        now = msgspec.to_builtins(await migrations.parameters(db, made.id, made.parameters))
        merged = msgspec.convert(_merged(now, changed), Parameters)
        version = await migrations.put_parameters(
            db, made.id, merged, reason=reason, by=fleet.actor, at=fleet.clock.now()
        )  # fmt: skip
        await _audit(fleet, db, made, "configure", reason)
    return version


def _merged(base: Any, changed: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changed, Mapping):
        return changed
    if unknown := set(changed) - set(base):
        raise NotAllowed(f"There is no figure {', '.join(sorted(map(str, unknown)))}.", hint="See `migration status`.")
    return {key: _merged(value, changed[key]) if key in changed else value for key, value in base.items()}


async def explain(fleet: Fleet, *, id: int | None = None, trigger: str = "", name: str = "") -> dict[str, Any]:
    """A stored verdict made again from its stored inputs, under the figures of its version."""
    async with fleet.db.connection() as db:
        made = await migrations.need(db, name)
        stored = await verdicts.get(db, made.id, id, trigger)
        parameters = await migrations.parameters(db, made.id, stored.parameters)
    again = judging.replay(stored.trigger, stored.inputs, parameters)
    return {
        "id": stored.id,
        "at": stored.at,
        "trigger": stored.trigger,
        "state": again.state,
        "sentence": again.sentence,
        "literal": again.literal.sentence if again.literal else "",
        "parameters": stored.parameters,
        "same": again == stored.made(),
        "verdict": msgspec.to_builtins(again),
    }


async def _active(db: Connection) -> Migration:
    if found := await migrations.active(db):
        return found
    raise NotAllowed("No migration is under way.", hint="`mailfleet migration plan`, then `migration start`.")


async def _audit(fleet: Fleet, db: Connection, made: Migration, action: str, reason: str) -> None:
    now = fleet.clock.now()
    await audit.record(
        db, actor=fleet.actor, action=f"migration_{action}", entity="migration", entity_id=made.id, reason=reason,
        at=now,
    )  # fmt: skip
    await migrations.log(db, made.id, actor=fleet.actor, action=action, reason=reason, at=now)
