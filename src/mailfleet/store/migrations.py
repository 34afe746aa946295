"""Migrations as stored: state and phase by compare-and-set, parameters in versions, everything else append-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.errors import Unknown
from mailfleet.rules.migration.parameters import Parameters
from mailfleet.rules.migration.phases import ENDED, Phase, State
from mailfleet.rules.migration.routing import Candidate, Decision
from mailfleet.store.database import Connection, execute, row, rows, tuples, value

NoteKind = Literal["issue", "declared", "review", "lesson", "confirmed"]

_COLUMNS: LiteralString = """id, name, from_platform, to_platform, seed, timezone, start_on, state, phase, stopped,
    clock_held_since, volume::float8 as volume, parameters, old_cancelled_on, old_paid_until, version, created_by,
    created_at, started_at, ended_at, post_mortem_signed_at"""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """`volume`: mails a day over both sides, as planned. `stopped`: a person stopped the line."""

    id: UUID
    name: str
    from_platform: str
    to_platform: str
    seed: int
    timezone: str
    start_on: date
    state: State
    phase: Phase
    stopped: bool
    clock_held_since: datetime | None
    volume: float
    parameters: int
    old_cancelled_on: date | None
    old_paid_until: date | None
    version: int
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    post_mortem_signed_at: datetime | None


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A phase that was entered; `held`: for how long its clock stood."""

    phase: Phase
    entered_at: datetime
    held: timedelta
    checklist: list[dict[str, Any]]
    by: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the controller or a person did."""

    id: int
    at: datetime
    actor: str
    action: str
    reason: str
    detail: dict[str, Any]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: NoteKind
    subject: str
    reason: str
    by: str
    at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closing: str


async def add(
    db: Connection,
    *,
    name: str,
    from_platform: str,
    to_platform: str,
    seed: int,
    timezone: str,
    start_on: date,
    volume: float,
    by: str,
    at: datetime,
) -> Migration:
    """A plan; a plan of the same name that has not begun takes the new figures."""
    found = await row(
        db,
        Migration,
        """insert into mailfleet.migrations as m
               (name, from_platform, to_platform, seed, timezone, start_on, volume, created_by, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (name) do update
           set from_platform = excluded.from_platform, to_platform = excluded.to_platform, seed = excluded.seed,
               timezone = excluded.timezone, start_on = excluded.start_on, volume = excluded.volume
           where m.state = 'planned' returning """
        + _COLUMNS,
        [name, from_platform, to_platform, seed, timezone, start_on, volume, by, at],
    )
    return found or await need(db, name)


async def need(db: Connection, name: str = "") -> Migration:
    """The one of this name; without a name the one under way, else the latest. Raises Unknown."""
    found = await row(
        db,
        Migration,
        "select "
        + _COLUMNS
        + """ from mailfleet.migrations where %(name)s = '' or name = %(name)s or id::text = %(name)s
              order by (state = any(%(ended)s)), created_at desc limit 1""",
        {"name": name, "ended": sorted(ENDED)},
    )
    if found:
        return found
    raise Unknown(f"There is no migration {name}".rstrip() + ".", hint="Make a plan: `mailfleet migration plan`.")


async def active(db: Connection) -> Migration | None:
    """The one that has begun and not ended; there is one at most."""
    return await row(
        db,
        Migration,
        "select " + _COLUMNS + " from mailfleet.migrations where state <> 'planned' and not state = any(%s)",
        [sorted(ENDED)],
    )


async def home(db: Connection, default: str) -> str:
    """The platform on which a new campaign is made: the old one until it is routed, and again after a rollback."""
    found = await tuples(
        db,
        """select case when state = 'done' then to_platform else from_platform end from mailfleet.migrations
           where state not in ('planned', 'aborted') order by created_at desc limit 1""",
    )
    return found[0][0] if found else default


async def last_rolled_back(db: Connection) -> Migration | None:
    return await row(
        db,
        Migration,
        "select " + _COLUMNS + " from mailfleet.migrations where state = 'rolled_back' order by ended_at desc limit 1",
    )


async def move(
    db: Connection,
    migration: Migration,
    *,
    state: State | None = None,
    phase: Phase | None = None,
    held_since: datetime | None = None,
    at: datetime,
) -> bool:
    """Compare-and-set on `version`. `held_since` is what the clock of the ramp shows after it."""
    to = state or migration.state
    changed = await execute(
        db,
        """update mailfleet.migrations set state = %(state)s, phase = %(phase)s, version = version + 1,
               clock_held_since = %(held)s,
               started_at = case when state = 'planned' then %(at)s else started_at end,
               ended_at = case when %(ended)s then %(at)s else ended_at end
           where id = %(id)s and version = %(version)s""",
        {
            "state": to,
            "phase": phase or migration.phase,
            "held": held_since,
            "ended": to in ENDED,
            "at": at,
            "id": migration.id,
            "version": migration.version,
        },
    )
    return changed == 1


async def stop(db: Connection, id: UUID, stopped: bool) -> bool:
    """The one global stop. False: it was so already."""
    return (
        await execute(
            db, "update mailfleet.migrations set stopped = %s where id = %s and stopped <> %s", [stopped, id, stopped]
        )
        == 1
    )


async def sign(db: Connection, id: UUID, at: datetime) -> bool:
    """The post-mortem is signed; False: there is none to sign."""
    return (
        await execute(
            db,
            """update mailfleet.migrations set post_mortem_signed_at = %s
               where id = %s and state = 'rolled_back' and post_mortem_signed_at is null""",
            [at, id],
        )
        == 1
    )


async def old_side(db: Connection, id: UUID, *, cancelled_on: date, paid_until: date) -> None:
    await execute(
        db,
        "update mailfleet.migrations set old_cancelled_on = %s, old_paid_until = %s where id = %s",
        [cancelled_on, paid_until, id],
    )


async def put_parameters(
    db: Connection, id: UUID, parameters: Parameters, *, reason: str, by: str, at: datetime
) -> int:
    """A new version, in force from now on; old verdicts keep theirs. The same figures stay what they were."""
    found = await tuples(
        db,
        """select version, digest from mailfleet.migration_parameters where migration_id = %s
           order by version desc limit 1""",
        [id],
    )
    last, digest = found[0] if found else (0, "")
    if digest == parameters.version:
        return last
    await execute(
        db,
        """insert into mailfleet.migration_parameters (migration_id, version, digest, value, reason, by, at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [id, last + 1, parameters.version, Json(msgspec.to_builtins(parameters)), reason, by, at],
    )
    await execute(db, "update mailfleet.migrations set parameters = %s where id = %s", [last + 1, id])
    return last + 1


async def parameters(db: Connection, id: UUID, version: int) -> Parameters:
    stored = await value(
        db, "select value from mailfleet.migration_parameters where migration_id = %s and version = %s", [id, version]
    )
    return msgspec.convert(stored, Parameters)


async def enter(db: Connection, id: UUID, phase: Phase, *, checklist: Sequence[Any], by: str, at: datetime) -> None:
    await execute(
        db,
        """insert into mailfleet.migration_phases (migration_id, phase, entered_at, checklist, by)
           values (%s, %s, %s, %s, %s) on conflict do nothing""",
        [id, phase, at, Json(msgspec.to_builtins(list(checklist))), by],
    )


async def add_held(db: Connection, id: UUID, phase: Phase, held: timedelta) -> None:
    await execute(
        db,
        "update mailfleet.migration_phases set held = held + %s where migration_id = %s and phase = %s",
        [held, id, phase],
    )


async def entered(db: Connection, id: UUID) -> list[Entered]:
    return await rows(
        db,
        Entered,
        """select phase, entered_at, held, checklist, by from mailfleet.migration_phases
           where migration_id = %s order by entered_at""",
        [id],
    )


async def log(
    db: Connection,
    id: UUID,
    *,
    actor: str,
    action: str,
    reason: str,
    at: datetime,
    detail: Mapping[str, object] | None = None,
) -> None:
    await execute(
        db,
        """insert into mailfleet.migration_log (migration_id, at, actor, action, reason, detail)
           values (%s, %s, %s, %s, %s, %s)""",
        [id, at, actor, action, reason, Json(dict(detail or {}))],
    )


async def history(db: Connection, id: UUID, *, actions: Sequence[str] = (), limit: int = 200) -> list[Done]:
    """The last ones, oldest first."""
    return await rows(
        db,
        Done,
        """select id, at, actor, action, reason, detail from (
               select id, at, actor, action, reason, detail from mailfleet.migration_log
               where migration_id = %(id)s
                 and (cardinality(%(actions)s::text[]) = 0 or action = any(%(actions)s::text[]))
               order by id desc limit %(limit)s) t order by id""",
        {"id": id, "actions": list(actions), "limit": limit},
    )


async def note(db: Connection, id: UUID, kind: NoteKind, subject: str, *, reason: str, by: str, at: datetime) -> UUID:
    return await value(
        db,
        """insert into mailfleet.migration_notes (migration_id, kind, subject, reason, by, at)
           values (%s, %s, %s, %s, %s, %s) returning id""",
        [id, kind, subject, reason, by, at],
    )


async def close_note(db: Connection, note: UUID, *, by: str, closing: str, at: datetime) -> bool:
    return (
        await execute(
            db,
            """update mailfleet.migration_notes set closed_at = %s, closed_by = %s, closing = %s
               where id = %s and closed_at is null""",
            [at, by, closing, note],
        )
        == 1
    )


async def notes(db: Connection, id: UUID, *, kinds: Sequence[NoteKind] = (), open: bool = False) -> list[Note]:
    return await rows(
        db,
        Note,
        """select id, kind, subject, reason, by, at, closed_at, closed_by, closing from mailfleet.migration_notes
           where migration_id = %(id)s and (cardinality(%(kinds)s::text[]) = 0 or kind = any(%(kinds)s::text[]))
             and (not %(open)s or closed_at is null)
           order by at, id""",
        {"id": id, "kinds": list(kinds), "open": open},
    )


async def put_day(db: Connection, id: UUID, day: date, metrics: Mapping[str, object]) -> None:
    """The day's row; the last reading of a day stays."""
    await execute(
        db,
        """insert into mailfleet.migration_days (migration_id, day, metrics) values (%s, %s, %s)
           on conflict (migration_id, day) do update set metrics = excluded.metrics""",
        [id, day, Json(dict(metrics))],
    )


async def days(db: Connection, id: UUID) -> list[tuple[date, dict[str, Any]]]:
    found = await tuples(
        db, "select day, metrics from mailfleet.migration_days where migration_id = %s order by day", [id]
    )
    return [(day, metrics) for day, metrics in found]


async def lock_routes(db: Connection, id: UUID) -> None:
    """Two campaigns routed at once would both see the same deficit."""
    await execute(db, "select from mailfleet.migrations where id = %s for update", [id])


async def routed(db: Connection, id: UUID, campaign_id: UUID, phase: str, decision: Decision, at: datetime) -> None:
    await execute(
        db,
        """insert into mailfleet.migration_routes
               (migration_id, campaign_id, phase, to_new, u, p, deficit, weight, volume, stratum, why, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            id,
            campaign_id,
            phase,
            decision.to_new,
            decision.u,
            decision.p,
            decision.deficit,
            decision.weight,
            decision.volume,
            decision.stratum,
            decision.why,
            at,
        ],
    )


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """The latest decision on a campaign."""

    campaign_id: UUID
    phase: str
    to_new: bool
    u: float
    p: float
    deficit: float
    weight: float
    volume: float
    stratum: str
    why: str
    at: datetime

    def decision(self) -> Decision:
        return Decision(
            campaign=str(self.campaign_id),
            to_new=self.to_new,
            u=self.u,
            p=self.p,
            deficit=self.deficit,
            weight=self.weight,
            volume=self.volume,
            stratum=self.stratum,
            why=self.why,
        )


async def routes(db: Connection, id: UUID) -> list[Routed]:
    """The latest decision of each campaign, in the order they were made."""
    return await rows(
        db,
        Routed,
        """select campaign_id, phase, to_new, u, p, deficit, weight, volume, stratum, why, at from (
               select distinct on (campaign_id) id, campaign_id, phase, to_new, u, p, deficit, weight, volume, stratum,
                      why, at
               from mailfleet.migration_routes where migration_id = %s order by campaign_id, id desc) t
           order by id""",
        [id],
    )


async def backlog(db: Connection, platform: str) -> list[Candidate]:
    """Campaigns of a platform that have not started and hold no contacted lead; volume = leads × steps."""
    return await rows(
        db,
        Candidate,
        """select c.id::text as id,
                  greatest(1, count(distinct l.id) * jsonb_array_length(c.config -> 'sequence'))::float8 as volume,
                  c.client_id::text as stratum,
                  coalesce(bool_or(o.lead_id is not null), false) as contacted, c.created_at
           from mailfleet.campaigns c
           left join mailfleet.leads l on l.campaign_id = c.id
           left join mailfleet.lead_ownership o on o.campaign_id = c.id and o.state <> 'released'
           where c.platform = %s and c.state in ('draft', 'ready') and c.started_at is null
           group by c.id order by c.created_at, c.id""",
        [platform],
    )


async def repoint(db: Connection, campaign_id: UUID, *, of: str, to: str) -> bool:
    """The campaign's platform, while nothing was sent from it."""
    return (
        await execute(
            db,
            """update mailfleet.campaigns set platform = %s, version = version + 1
               where id = %s and platform = %s and started_at is null and state in ('draft', 'ready')
                 and not exists (select 1 from mailfleet.lead_ownership o
                                 where o.campaign_id = campaigns.id and o.state <> 'released')""",
            [to, campaign_id, of],
        )
        == 1
    )


async def book(db: Connection, platforms: Sequence[str]) -> Mapping[str, float]:
    """Volume (leads × steps) of every campaign that is not over, by platform."""
    found = await tuples(
        db,
        """select platform, sum(volume)::float8 from (
               select c.platform, greatest(1, count(l.id) * jsonb_array_length(c.config -> 'sequence')) as volume
               from mailfleet.campaigns c left join mailfleet.leads l on l.campaign_id = c.id
               where c.platform = any(%s) and c.state not in ('completed', 'archived') group by c.id) t
           group by platform""",
        [list(platforms)],
    )
    return dict(found)


async def inventory(db: Connection, platforms: Sequence[str]) -> list[dict[str, Any]]:
    """Campaigns by platform and state, with their leads."""
    found = await tuples(
        db,
        """select c.platform, c.state, count(distinct c.id)::int, count(l.id)::int
           from mailfleet.campaigns c left join mailfleet.leads l on l.campaign_id = c.id
           where c.platform = any(%s) group by 1, 2 order by 1, 2""",
        [list(platforms)],
    )
    return [
        {"platform": platform, "state": state, "campaigns": n, "leads": leads} for platform, state, n, leads in found
    ]
