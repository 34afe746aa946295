"""Reads what the promotion gate looks at; `rules.migration.gates` decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from mailfleet.migration import evidence, routing
from mailfleet.migration.evidence import Judged
from mailfleet.rules.migration import availability, bounce, gates, phases, placement
from mailfleet.rules.migration.gates import Check, Facts, Pilot
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.phases import Phase
from mailfleet.rules.migration.verdicts import Trigger
from mailfleet.services.context import Fleet
from mailfleet.store import approvals, migrations, sagas, verdicts, watermarks
from mailfleet.store.database import Connection
from mailfleet.store.migrations import Migration, Note

FLOWS = (
    "smartlead_domain_setup", "smartlead_mailbox_provisioning", "smartlead_campaign", "smartlead_lead_sync",
)  # fmt: skip
SIGNED = "signed:"
"""A review that stands in for a gate is a confirmed note of this subject, for one phase."""


async def checklist(
    fleet: Fleet,
    db: Connection,
    migration: Migration,
    parameters: Parameters,
    judged: Mapping[Trigger, Judged],
    to: Phase,
) -> list[Check]:
    return gates.checklist(
        await facts(fleet, db, migration, parameters, judged, to),
        parameters.bounce,
        parameters.placement,
        parameters.gates,
    )


async def facts(
    fleet: Fleet,
    db: Connection,
    migration: Migration,
    parameters: Parameters,
    judged: Mapping[Trigger, Judged],
    to: Phase,
) -> Facts:
    now = fleet.clock.now()
    notes = await migrations.notes(db, migration.id)
    off, largest = await routing.off_target(db, migration, parameters)
    ready = await evidence.ready(fleet, db, migration, parameters)
    week = cast(availability.Inputs, judged["api"].inputs).week
    frozen = phases.frozen(parameters.freezes, now)
    reconciled = await verdicts.reconciled_at(db, migration.to_platform)
    return Facts(
        phase=to,
        now=now,
        not_before=await not_before(fleet, db, migration, parameters, to),
        bounce=await _of_phase(db, migration, now),
        placement=cast(placement.Inputs, judged["placement"].inputs),
        open_reviews=tuple(note.subject for note in notes if _blocks(note)),
        held=migration.state == "held" or any(each.verdict.stops for each in judged.values()),
        frozen=frozen.reason if frozen else "",
        api_week=1 - week[1] / week[0] if week[0] else None,
        share_off=off,
        largest=largest,
        reconciled_hours=(now - reconciled) / timedelta(hours=1) if reconciled else None,
        unexplained=int((await watermarks.detail(db, f"ledger:{migration.to_platform}")).get("unexplained", 0)),
        readiness=ready.share if ready.share is not None else (1.0 if migration.phase in ("setup", "pilot") else None),
        drill_days=await _drilled(db, migration, fleet),
        signed=tuple(
            note.subject.removeprefix(f"{SIGNED}{to}:")
            for note in notes
            if note.kind == "confirmed" and note.subject.startswith(f"{SIGNED}{to}:")
        ),
        approved=await _approved(fleet, db, migration, to),
        people=phases.step_of(parameters.steps, to).people,
        pilot=await pilot(fleet, db, migration, parameters, judged) if to == "ramp_10" else None,
    )


async def _of_phase(db: Connection, migration: Migration, now: datetime) -> bounce.Inputs:
    """The mails of the phase so far, or of the longest window when it is younger: a phase is judged as a whole."""
    began = {each.phase: each.entered_at for each in await migrations.entered(db, migration.id)}.get(migration.phase)
    longest = bounce.WINDOWS[-1]
    hours = max(longest, math.ceil((now - began) / timedelta(hours=1))) if began else longest
    return bounce.Inputs(
        windows={str(longest): (await verdicts.bounces(db, migration.to_platform, now, (hours,)))[hours]}
    )


def _blocks(note: Note) -> bool:
    return note.closed_at is None and note.kind in ("review", "declared")


async def not_before(fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters, to: Phase) -> datetime:
    seen = await migrations.entered(db, migration.id)
    held = next((each.held for each in seen if each.phase == migration.phase), timedelta())
    if migration.clock_held_since:
        held += fleet.clock.now() - migration.clock_held_since
    return phases.not_before(
        parameters.steps,
        to,
        start=migration.start_on,
        entered={each.phase: each.entered_at for each in seen},
        held_days=held / timedelta(days=1),
        zone=migration.timezone,
    )


async def _approved(fleet: Fleet, db: Connection, migration: Migration, to: Phase) -> int:
    """People on the approval that is given and neither used, withdrawn nor expired."""
    found = await approvals.given(
        db, "migration.promote", scope={"migration": str(migration.id), "to": to}, at=fleet.clock.now()
    )
    return len(found.approved_by) if found else 0


async def _drilled(db: Connection, migration: Migration, fleet: Fleet) -> float | None:
    """Days since a drill went to its end."""
    ends = [
        each.ended_at
        for each in await sagas.of_migration(db, migration.id)
        if each.kind == "drill" and each.outcome == "done" and each.ended_at
    ]
    return (fleet.clock.now() - max(ends)) / timedelta(days=1) if ends else None


async def pilot(
    fleet: Fleet, db: Connection, migration: Migration, parameters: Parameters, judged: Mapping[Trigger, Judged]
) -> Pilot:
    """A hundred leads through the new platform since the migration began; the exit report."""
    begun = migration.started_at or migration.created_at
    now = fleet.clock.now()
    sent = await verdicts.contacted(db, migration.to_platform, begun, now)
    received, known = await verdicts.heard(db, migration.to_platform, begun, now)
    control = judged["placement"].verdict.control
    return Pilot(
        leads=phases.PILOT_LEADS,
        sent=sent[0],
        bounced=sent[1],
        flows_green=tuple(await verdicts.flows_green(db, begun)),
        flows_wanted=FLOWS,
        received=received,
        reconciled=known,
        placement=control.ratio if control else None,
    )


async def last(db: Connection, migration: Migration) -> list[Check]:
    """The decommission list."""
    done = {note.subject for note in await migrations.notes(db, migration.id, kinds=("confirmed",))}
    return [
        Check(name=name, ok=name in done, detail="confirmed" if name in done else "not confirmed yet")
        for name in gates.DECOMMISSION
    ]
