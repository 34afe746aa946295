"""The way back as stored: the saga's row is locked by whoever decides, its journal says what was done, once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.errors import Unknown
from mailfleet.rules.migration.saga import Action, Entry, Outcome
from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples

Kind = Literal["rollback", "drill"]
LEASE = timedelta(seconds=30)
"""By the database's clock: how long an executor may wait for an answer before its intent counts as unknown."""


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign of the saga. `was`: its state before; only what was running is ever resumed."""

    id: UUID
    name: str
    client_id: UUID
    ref: str
    was: str
    paused_by: str = ""


class Saga(msgspec.Struct, frozen=True, kw_only=True):
    """`whole`: the whole platform is left, not one campaign."""

    id: UUID
    migration_id: UUID | None
    kind: Kind
    from_platform: str
    to_platform: str
    trigger: str
    reason: str
    automatic: bool
    campaigns: list[Any]
    whole: bool
    epoch: int
    committed: int | None
    aborting: bool
    decision: Literal["proceed", "resume"] | None
    decided_by: str | None
    opened_by: str
    opened_at: datetime
    ended_at: datetime | None
    outcome: Literal["done", "stopped"] | None

    def paused(self) -> list[Paused]:
        return msgspec.convert(self.campaigns, list[Paused])


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the journal, as people read it."""

    no: int
    kind: str
    target: str
    attempt: int
    epoch: int
    outcome: Outcome
    result: dict[str, Any]
    error: str
    actor: str
    at: datetime
    finished_at: datetime | None
    age: timedelta


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A lead of the snapshot."""

    lead_id: int
    campaign_id: UUID
    next_step: int
    owner_epoch: int
    batch: int
    email: str
    email_norm: str


_COLUMNS: LiteralString = """id, migration_id, kind, from_platform, to_platform, trigger, reason, automatic, campaigns,
    whole, epoch, committed, aborting, decision, decided_by, opened_by, opened_at, ended_at, outcome"""


async def open(
    db: Connection,
    *,
    migration_id: UUID | None,
    kind: Kind,
    from_platform: str,
    to_platform: str,
    trigger: str,
    reason: str,
    automatic: bool,
    campaigns: Sequence[Paused],
    whole: bool,
    by: str,
    at: datetime,
) -> tuple[Saga, bool]:
    """The saga of this platform, and whether it is new: a second trigger attaches to the one there is."""
    new = await row(
        db,
        Saga,
        """insert into mailfleet.sagas (migration_id, kind, from_platform, to_platform, trigger, reason, automatic,
                                        campaigns, whole, opened_by, opened_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (from_platform, kind) where ended_at is null do nothing returning """
        + _COLUMNS,
        [
            migration_id,
            kind,
            from_platform,
            to_platform,
            trigger,
            reason,
            automatic,
            Json(msgspec.to_builtins(list(campaigns))),
            whole,
            by,
            at,
        ],
    )
    if new:
        return new, True
    standing = await running(db, from_platform, kind)
    assert standing is not None
    return standing, False


async def running(db: Connection, from_platform: str, kind: Kind = "rollback") -> Saga | None:
    return await row(
        db,
        Saga,
        "select " + _COLUMNS + " from mailfleet.sagas where from_platform = %s and kind = %s and ended_at is null",
        [from_platform, kind],
    )


async def of_migration(db: Connection, migration_id: UUID) -> list[Saga]:
    """Oldest first."""
    return await rows(
        db,
        Saga,
        "select " + _COLUMNS + " from mailfleet.sagas where migration_id = %s order by opened_at, id",
        [migration_id],
    )


async def get(db: Connection, id: UUID) -> Saga:
    """Raises Unknown."""
    if found := await row(db, Saga, "select " + _COLUMNS + " from mailfleet.sagas where id = %s", [id]):
        return found
    raise Unknown(f"There is no rollback {id}.", hint="`mailfleet migration status` shows it.")


async def lock(db: Connection, id: UUID) -> Saga:
    """Until the transaction ends nobody else decides."""
    await execute(db, "select from mailfleet.sagas where id = %s for update", [id])
    return await get(db, id)


async def journal(db: Connection, id: UUID) -> list[Line]:
    return await rows(
        db,
        Line,
        """select no, kind, target, attempt, epoch, outcome, result, error, actor, at, finished_at,
                  clock_timestamp() - wall_at as age
           from mailfleet.saga_journal where saga_id = %s order by no""",
        [id],
    )


def entries(lines: Sequence[Line], lease: timedelta = LEASE) -> tuple[Entry, ...]:
    """As the rules read them."""
    return tuple(
        Entry(
            line.no,
            line.kind,
            line.target,
            line.attempt,
            line.epoch,
            line.outcome,
            line.result,
            line.outcome == "intended" and line.age > lease,
        )
        for line in lines
    )


async def write(
    db: Connection,
    id: UUID,
    action: Action,
    outcome: Outcome,
    *,
    epoch: int,
    actor: str,
    at: datetime,
    result: Mapping[str, object] | None = None,
    error: str = "",
) -> int:
    """The next row of the journal; its number. The saga has to be locked."""
    found = await tuples(
        db,
        """insert into mailfleet.saga_journal
               (saga_id, no, kind, target, attempt, epoch, outcome, result, error, actor, at, finished_at)
           select %(saga)s, coalesce(max(no), 0) + 1, %(kind)s, %(target)s, %(attempt)s, %(epoch)s, %(outcome)s,
                  %(result)s, %(error)s, %(actor)s, %(at)s::timestamptz,
                  case when %(outcome)s = 'intended' then null else %(at)s::timestamptz end
           from mailfleet.saga_journal where saga_id = %(saga)s returning no""",
        {
            "saga": id,
            "kind": action.kind,
            "target": action.target,
            "attempt": action.attempt,
            "epoch": epoch,
            "outcome": outcome,
            "result": Json(dict(result or {})),
            "error": error[:2000],
            "actor": actor,
            "at": at,
        },
    )
    return found[0][0]


async def settle(
    db: Connection,
    id: UUID,
    no: int,
    outcome: Outcome,
    *,
    at: datetime,
    result: Mapping[str, object] | None = None,
    error: str = "",
) -> bool:
    """Compare-and-set: False when somebody else has said what became of it."""
    return (
        await execute(
            db,
            """update mailfleet.saga_journal set outcome = %s, result = %s, error = %s, finished_at = %s
               where saga_id = %s and no = %s and outcome = 'intended'""",
            [outcome, Json(dict(result or {})), error[:2000], at, id, no],
        )
        == 1
    )


async def raise_epoch(db: Connection, id: UUID, epoch: int) -> bool:
    """Refused once committed."""
    return (
        await execute(
            db,
            "update mailfleet.sagas set epoch = epoch + 1 where id = %s and epoch = %s and committed is null",
            [id, epoch],
        )
        == 1
    )


async def commit(db: Connection, id: UUID, epoch: int) -> bool:
    """Once, for the epoch that was decided on; never again."""
    return (
        await execute(
            db,
            """update mailfleet.sagas set committed = %(epoch)s
               where id = %(id)s and epoch = %(epoch)s and committed is null and not aborting""",
            {"id": id, "epoch": epoch},
        )
        == 1
    )


async def ask_abort(db: Connection, id: UUID) -> bool:
    """False: it is committed, or over."""
    return (
        await execute(
            db,
            "update mailfleet.sagas set aborting = true where id = %s and committed is null and ended_at is null",
            [id],
        )
        == 1
    )


async def decide(db: Connection, id: UUID, decision: Literal["proceed", "resume"], by: str) -> bool:
    """The first decision stands."""
    return (
        await execute(
            db,
            """update mailfleet.sagas set decision = %s, decided_by = %s
               where id = %s and decision is null and ended_at is null""",
            [decision, by, id],
        )
        == 1
    )


async def end(db: Connection, id: UUID, outcome: Literal["done", "stopped"], at: datetime) -> None:
    await execute(
        db,
        "update mailfleet.sagas set ended_at = %s, outcome = %s where id = %s and ended_at is null",
        [at, outcome, id],
    )


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A lead in the hands of the platform that is left, with what our ledger knows of it."""

    lead_id: int
    campaign_id: UUID
    email_norm: str
    epoch: int
    reached: int
    """The last step our events show as sent."""


async def handed(db: Connection, platform: str, campaigns: Sequence[UUID]) -> list[Handed]:
    """Those it may still send to: not replied, bounced, unsubscribed or finished."""
    return await rows(
        db,
        Handed,
        """select o.lead_id, o.campaign_id, l.email_norm, o.epoch,
                  greatest(coalesce((select max(e.step) from mailfleet.events e
                                     where e.lead_id = o.lead_id and e.campaign_id = o.campaign_id
                                       and e.kind = 'sent'), 0), 0)::int as reached
           from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
           where o.platform = %s and o.campaign_id = any(%s) and o.state in ('claimed', 'ambiguous', 'active', 'paused')
           order by o.lead_id""",
        [platform, list(campaigns)],
    )


async def put_snapshot(db: Connection, id: UUID, found: Sequence[Mapping[str, object]]) -> None:
    await execute(
        db,
        """insert into mailfleet.saga_leads (saga_id, lead_id, campaign_id, next_step, owner_epoch, batch, why, moved)
           select %s, lead_id, campaign_id, next_step, owner_epoch, batch, why, case when why <> '' then false end
           from json_to_recordset(%s::json)
                as t(lead_id bigint, campaign_id uuid, next_step int, owner_epoch bigint, batch int, why text)""",
        [id, json_rows(list(found))],
    )


async def waiting(db: Connection, id: UUID, *, campaign_id: UUID, next_step: int, batch: int | None) -> list[Waiting]:
    """Those of a unit, or of one of its batches, that were taken into the snapshot."""
    return await rows(
        db,
        Waiting,
        """select s.lead_id, s.campaign_id, s.next_step, s.owner_epoch, s.batch, l.email, l.email_norm
           from mailfleet.saga_leads s join mailfleet.leads l on l.id = s.lead_id
           where s.saga_id = %(saga)s and s.campaign_id = %(campaign)s and s.next_step = %(step)s and s.why = ''
             and (%(batch)s::int is null or s.batch = %(batch)s)
           order by s.lead_id""",
        {"saga": id, "campaign": campaign_id, "step": next_step, "batch": batch},
    )


async def not_taken(db: Connection, id: UUID, leads: Sequence[int], why: str) -> None:
    """These stay behind, and why."""
    await execute(
        db,
        "update mailfleet.saga_leads set moved = false, why = %s where saga_id = %s and lead_id = any(%s)",
        [why, id, list(leads)],
    )


async def change_owner(
    db: Connection,
    id: UUID,
    *,
    campaign_id: UUID,
    next_step: int,
    to_platform: str,
    to_campaign: UUID,
    refs: Mapping[str, str],
    at: datetime,
) -> int:
    """The owner of each lead of a unit, by compare-and-set on its epoch; those that ended meanwhile stay."""
    return await execute(
        db,
        """with given as (select key, value as ref from json_each_text(%(refs)s::json)),
           mine as (
               update mailfleet.lead_ownership o
               set platform = %(platform)s, campaign_id = %(new)s, epoch = o.epoch + 1, state = 'active',
                   ref = (select ref from given g where g.key = l.email_norm), map_ref = null, batch_id = null,
                   pushed_at = %(at)s, stopped_at = null, updated_at = %(at)s
               from mailfleet.saga_leads s join mailfleet.leads l on l.id = s.lead_id
               where s.saga_id = %(saga)s and s.campaign_id = %(campaign)s and s.next_step = %(step)s and s.why = ''
                 and o.lead_id = s.lead_id and o.epoch = s.owner_epoch
                 and o.state in ('claimed', 'ambiguous', 'active', 'paused')
               returning o.lead_id),
           told as (
               update mailfleet.saga_leads s
               set moved = exists (select 1 from mine m where m.lead_id = s.lead_id),
                   why = case when exists (select 1 from mine m where m.lead_id = s.lead_id) then ''
                              else 'ended before the commit' end
               where s.saga_id = %(saga)s and s.campaign_id = %(campaign)s and s.next_step = %(step)s and s.why = '')
           update mailfleet.leads l set campaign_id = %(new)s, updated_at = %(at)s
           from mine where l.id = mine.lead_id""",
        {
            "refs": msgspec.json.encode(dict(refs)).decode(),
            "platform": to_platform,
            "new": to_campaign,
            "at": at,
            "saga": id,
            "campaign": campaign_id,
            "step": next_step,
        },
    )


async def excluded(db: Connection, id: UUID, to_platform: str) -> list[str]:
    """Addresses that were imported and may not be written to: ended before the commit, or stopped since."""
    found = await tuples(
        db,
        """select distinct l.email from mailfleet.saga_leads s join mailfleet.leads l on l.id = s.lead_id
           left join mailfleet.lead_ownership o on o.lead_id = s.lead_id
           where s.saga_id = %(saga)s
             and ((s.moved = false and s.why = 'ended before the commit')
                  or (s.moved and (o.platform <> %(platform)s
                                   or o.state not in ('claimed', 'ambiguous', 'active', 'paused'))))
           order by 1""",
        {"saga": id, "platform": to_platform},
    )
    return [email for (email,) in found]


async def counts(db: Connection, id: UUID) -> Mapping[str, int]:
    """Of the snapshot: moved, waiting, and each reason for staying."""
    found = await tuples(
        db,
        """select case when moved then 'moved' when why <> '' then why else 'waiting' end, count(*)::int
           from mailfleet.saga_leads where saga_id = %s group by 1 order by 1""",
        [id],
    )
    return dict(found)


async def take_over(db: Connection, old: UUID, new: UUID, at: datetime) -> int:
    """Leads that were never handed to the platform follow their campaign; returns how many."""
    return await execute(
        db,
        """update mailfleet.leads set campaign_id = %s, updated_at = %s
           where campaign_id = %s and status in ('new', 'ready_to_send', 'held')""",
        [new, at, old],
    )


async def ready_leads(db: Connection, campaign_id: UUID) -> int:
    found = await tuples(
        db,
        """select count(*)::int from mailfleet.leads
           where campaign_id = %s and status in ('new', 'ready_to_send', 'held')""",
        [campaign_id],
    )
    return found[0][0]


async def pausable(db: Connection, platform: str, only: Sequence[UUID] = ()) -> list[Paused]:
    """Campaigns of a platform that may be sending, the one with the most live leads first."""
    return await rows(
        db,
        Paused,
        """select c.id, c.name, c.client_id, k.ref, c.state as was, coalesce(c.paused_by, '') as paused_by
           from mailfleet.campaigns c
           join mailfleet.platform_links k on k.platform = c.platform and k.kind = 'campaign' and k.ours = c.id::text
           where c.platform = %(platform)s and c.state in ('ready', 'running', 'paused')
             and (cardinality(%(only)s::uuid[]) = 0 or c.id = any(%(only)s))
           order by (select count(*) from mailfleet.lead_ownership o
                     where o.campaign_id = c.id
                       and o.state in ('claimed', 'ambiguous', 'active', 'paused')) desc, c.id""",
        {"platform": platform, "only": list(only)},
    )


async def archive(db: Connection, campaign_id: UUID, at: datetime) -> None:
    await execute(
        db,
        """update mailfleet.campaigns set state = 'archived', state_since = %s, version = version + 1, paused_by = null,
               pause_reason = '' where id = %s""",
        [at, campaign_id],
    )


async def activate(db: Connection, campaign_id: UUID, at: datetime) -> None:
    """The campaign the commit names is ours to run from now on."""
    await execute(
        db,
        """update mailfleet.campaigns set state = 'running', state_since = %(at)s, version = version + 1,
               started_at = coalesce(started_at, %(at)s) where id = %(id)s and state = 'draft'""",
        {"at": at, "id": campaign_id},
    )
