"""What came of a rehearsal, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from mailfleet.rehearsal import agency, witness
from mailfleet.rehearsal.scenarios import Outcome
from mailfleet.rules.migration import phases
from mailfleet.store import migrations, sagas
from mailfleet.store.database import Connection, tuples
from mailfleet.store.migrations import Migration


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A hold or a rollback, by what began it; `to` is empty while it stands."""

    trigger: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    phase: str
    week: int
    at: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `double_sends`, `lost_leads` and what stands beside them come from the vendors' own logs."""

    scenario: str
    seed: int
    volume: int
    outcome: Outcome
    ended_week: int
    phases: Sequence[Entered]
    holds: Sequence[Span]
    rollbacks: Sequence[Span]
    breakers: int
    ledger_balanced: bool
    double_sends: int
    lost_leads: int
    on_both_sides: int
    mails: int
    ledger: str
    """A hash of who owns which lead at the end."""
    seconds: float
    cpu_seconds: float


def outcome(made: Migration) -> Outcome:
    if made.state == "done":
        return "cut_over"
    if made.state == "rolled_back":
        return "rolled_back"
    return "held" if made.state == "held" else "waiting"


async def entered(db: Connection, made: Migration) -> list[Entered]:
    return [
        Entered(
            phase=each.phase,
            week=phases.week_of(made.start_on, each.entered_at, made.timezone),
            at=each.entered_at.isoformat(),
        )
        for each in await migrations.entered(db, made.id)
    ]


async def holds(db: Connection, made: Migration) -> list[Span]:
    """From the transitions of the migration: into `held`, out of it."""
    found = await tuples(
        db,
        """select at, from_state, to_state, reason from mailfleet.transitions
           where entity = 'migration' and entity_id = %s and event = 'tick' order by at, id""",
        [str(made.id)],
    )
    spans: list[Span] = []
    for at, before, after, reason in found:
        if after == "held":
            spans.append(Span(trigger=reason.partition(":")[0], start=at.isoformat(), end=""))
        elif before == "held" and spans and not spans[-1].end:
            spans[-1] = msgspec.structs.replace(spans[-1], end=at.isoformat())
    return spans


async def rollbacks(db: Connection, made: Migration) -> list[Span]:
    """Whole ways back that were opened, whatever came of them; drills are none."""
    return [
        Span(
            trigger=each.trigger if each.outcome != "stopped" else f"{each.trigger} (called off)",
            start=each.opened_at.isoformat(),
            end=each.ended_at.isoformat() if each.ended_at else "",
        )
        for each in await sagas.of_migration(db, made.id)
        if each.kind == "rollback"
    ]


async def ledger(db: Connection) -> str:
    """Who owns whom at the end: address, platform, campaign by its first name. Sentinels are the agency's own."""
    found = await tuples(
        db,
        """select l.email_norm, o.platform, regexp_replace(c.name, '^(rb-[^ ]+ )+', '')
           from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
           join mailfleet.campaigns c on c.id = o.campaign_id where o.state <> 'released'""",
    )
    return witness.digest([line for line in found if not line[2].startswith("Sentinel")])


async def queued(db: Connection) -> set[str]:
    """Whoever no vendor was given yet and whose campaign goes on: they wait with us."""
    found = await tuples(
        db,
        """select l.email_norm from mailfleet.leads l join mailfleet.campaigns c on c.id = l.campaign_id
           where l.status in ('new', 'ready_to_send', 'held') and c.state in ('draft', 'ready', 'running', 'paused')""",
    )
    return {email for (email,) in found}


async def balanced(db: Connection, seen: dict[str, set[str]]) -> bool:
    """Whoever a vendor may write to at this moment is live in our ledger, with that vendor as the owner."""
    found = await tuples(
        db,
        """select l.email_norm, o.platform
           from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id""",
    )
    owner = dict(found)
    return all(owner.get(email) == platform for platform, emails in seen.items() for email in emails)


def week(at: datetime) -> int:
    return phases.week_of(agency.START_ON, at, agency.ZONE)
