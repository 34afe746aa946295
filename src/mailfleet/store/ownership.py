"""The ledger: which platform owns a lead. Rows change by compare-and-set alone (I1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples, value

State = Literal["claimed", "ambiguous", "active", "paused", "stopped", "completed", "released"]
LIVE = ("claimed", "ambiguous", "active", "paused")
"""States in which a platform may still send to the lead."""
_CLAIMS = "mailfleet:claims"


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A lead in the ledger, with what the platform calls it and its campaign."""

    lead_id: int
    client_id: UUID
    email: str
    email_norm: str
    platform: str
    campaign_id: UUID
    epoch: int
    state: State
    ref: str | None
    campaign_ref: str | None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    campaign_id: UUID
    platform: str
    state: Literal["claimed", "ambiguous", "done", "refused"]
    leads: int
    created_at: datetime


_OWNED: LiteralString = """o.lead_id, l.client_id, l.email, l.email_norm, o.platform, o.campaign_id, o.epoch, o.state,
    o.ref, k.ref as campaign_ref
    from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
    left join mailfleet.platform_links k
         on k.platform = o.platform and k.kind = 'campaign' and k.ours = o.campaign_id::text"""


async def one_claim_at_a_time(db: Connection) -> None:
    """Until the transaction ends. Two claims at once could both find an organisation untouched."""
    await db.execute("select pg_advisory_xact_lock(hashtext(%s))", [_CLAIMS])


async def lock_ready(db: Connection, ids: Sequence[int]) -> list[int]:
    """Those still ready to send, locked: a suppression that comes now waits, and then sees what was claimed (I3)."""
    found = await tuples(
        db,
        """select id from mailfleet.leads where id = any(%s) and status = 'ready_to_send'
           order by id for update skip locked""",
        [list(ids)],
    )
    return [id for (id,) in found]


async def claim(
    db: Connection, ids: Sequence[int], *, platform: str, campaign_id: UUID, batch_id: UUID, at: datetime
) -> list[int]:
    """The leads that are ours to send from now on: never owned, or released. Their batch is written with them."""
    found = await tuples(
        db,
        """with mine as (
               insert into mailfleet.lead_ownership
                   (lead_id, platform, campaign_id, state, batch_id, claimed_at, updated_at)
               select id, %(platform)s, %(campaign)s, 'claimed', %(batch)s, %(at)s, %(at)s
               from unnest(%(ids)s::bigint[]) as t(id) order by id
               on conflict (lead_id) do update
                   set platform = excluded.platform, campaign_id = excluded.campaign_id,
                       epoch = lead_ownership.epoch + 1, state = 'claimed', batch_id = excluded.batch_id, ref = null,
                       map_ref = null, claimed_at = excluded.claimed_at, pushed_at = null, stopped_at = null,
                       stop_reason = '', updated_at = excluded.updated_at
                   where lead_ownership.state = 'released'
               returning lead_id),
           batch as (
               insert into mailfleet.push_batches (id, campaign_id, platform, leads, created_at)
               select %(batch)s, %(campaign)s, %(platform)s, count(*), %(at)s from mine having count(*) > 0),
           noted as (
               update mailfleet.leads l set status = 'in_sequence', campaign_id = %(campaign)s, updated_at = %(at)s
               from mine where l.id = mine.lead_id)
           select lead_id from mine order by lead_id""",
        {"ids": list(ids), "platform": platform, "campaign": campaign_id, "batch": batch_id, "at": at},
    )
    return [id for (id,) in found]


async def unsettled(db: Connection, campaign_id: UUID) -> Sequence[Batch]:
    """Batches whose outcome is not written: a crash or an unknown outcome is settled by reading (I5)."""
    return await rows(
        db,
        Batch,
        """select id, campaign_id, platform, state, leads, created_at from mailfleet.push_batches
           where campaign_id = %s and state in ('claimed', 'ambiguous') order by created_at, id""",
        [campaign_id],
    )


async def in_batch(db: Connection, batch_id: UUID) -> Sequence[Owned]:
    """Those of a batch that have not got their platform reference yet."""
    return await rows(
        db,
        Owned,
        "select "
        + _OWNED
        + " where o.batch_id = %s and o.pushed_at is null and o.state <> 'released' order by o.lead_id",
        [batch_id],
    )


async def pushed(db: Connection, refs: Mapping[int, str], *, batch_id: UUID, at: datetime) -> Sequence[int]:
    """Writes the platform's ids; returns the leads that were stopped meanwhile and have to be taken out again."""
    found = await tuples(
        db,
        """with r as (select lead_id, ref from json_to_recordset(%(refs)s::json) as t(lead_id bigint, ref text)),
           o as (
               update mailfleet.lead_ownership o
               set ref = r.ref, pushed_at = coalesce(o.pushed_at, %(at)s), updated_at = %(at)s,
                   state = case when o.state in ('claimed', 'ambiguous') then 'active' else o.state end
               from r where o.lead_id = r.lead_id and o.batch_id = %(batch)s
               returning o.lead_id, o.ref, o.state),
           l as (
               update mailfleet.leads l set smartlead_id = o.ref, updated_at = %(at)s
               from o where l.id = o.lead_id)
           select lead_id from o where state = 'stopped' order by lead_id""",
        {"refs": json_rows([{"lead_id": id, "ref": ref} for id, ref in refs.items()]), "batch": batch_id, "at": at},
    )
    return [id for (id,) in found]


async def release(db: Connection, ids: Sequence[int], *, batch_id: UUID, reason: str, at: datetime) -> list[int]:
    """Nobody's again: the platform did not take them. What was stopped meanwhile stays stopped."""
    found = await tuples(
        db,
        """update mailfleet.lead_ownership
           set state = 'released', stop_reason = %s, updated_at = %s
           where lead_id = any(%s) and batch_id = %s and state in ('claimed', 'ambiguous') returning lead_id""",
        [reason, at, list(ids), batch_id],
    )
    return [id for (id,) in found]


async def settle(db: Connection, batch_id: UUID, state: str, result: Mapping[str, object], at: datetime) -> None:
    await execute(
        db,
        """update mailfleet.push_batches set state = %s, result = %s, finished_at = case when %s = 'ambiguous'
               then null else %s::timestamptz end where id = %s""",
        [state, Json(dict(result)), state, at, batch_id],
    )
    if state == "ambiguous":
        await execute(
            db,
            "update mailfleet.lead_ownership set state = 'ambiguous' where batch_id = %s and state = 'claimed'",
            [batch_id],
        )


async def live_of(db: Connection, ids: Sequence[int]) -> Sequence[Owned]:
    """Those of these leads that a platform may still send to, locked."""
    return await rows(
        db,
        Owned,
        "select " + _OWNED + " where o.lead_id = any(%s) and o.state = any(%s) order by o.lead_id for update of o",
        [list(ids), list(LIVE)],
    )


async def get(db: Connection, lead_id: int) -> Owned | None:
    found = await rows(db, Owned, "select " + _OWNED + " where o.lead_id = %s", [lead_id])
    return found[0] if found else None


async def get_many(db: Connection, ids: Sequence[int]) -> Sequence[Owned]:
    return await rows(db, Owned, "select " + _OWNED + " where o.lead_id = any(%s) order by o.lead_id", [list(ids)])


async def by_refs(db: Connection, platform: str, refs: Sequence[str]) -> Mapping[str, int]:
    """The platform's lead id → ours."""
    found = await tuples(
        db,
        "select ref, lead_id from mailfleet.lead_ownership where platform = %s and ref = any(%s)",
        [platform, list(refs)],
    )
    return dict(found)


async def stop(db: Connection, reasons: Mapping[int, str], *, at: datetime) -> Mapping[int, int]:
    """Decided: no further step, for these leads each for its reason. `stopped_at` is written when the platform was read
    back. Returns the epochs of those it ended for."""
    found = await tuples(
        db,
        """update mailfleet.lead_ownership o
           set state = 'stopped', stop_reason = r.reason, stopped_at = null, updated_at = %s
           from json_to_recordset(%s::json) as r(lead_id bigint, reason text)
           where o.lead_id = r.lead_id and o.state = any(%s) returning o.lead_id, o.epoch""",
        [at, json_rows([{"lead_id": id, "reason": reason} for id, reason in reasons.items()]), list(LIVE)],
    )
    return dict(found)


async def confirm_stopped(db: Connection, ids: Sequence[int], at: datetime) -> int:
    """Read back as stopped at the platform; how many were not confirmed before."""
    return await execute(
        db,
        """update mailfleet.lead_ownership set stopped_at = %s
           where lead_id = any(%s) and state = 'stopped' and stopped_at is null""",
        [at, list(ids)],
    )


async def stopped_count(db: Connection, campaign_id: UUID) -> int:
    return await value(
        db,
        "select count(*)::int from mailfleet.lead_ownership where campaign_id = %s and state = 'stopped'",
        [campaign_id],
    )


async def move(db: Connection, lead_id: int, *, of: Sequence[State], to: State, at: datetime) -> bool:
    """Compare-and-set of the state alone."""
    changed = await execute(
        db,
        "update mailfleet.lead_ownership set state = %s, updated_at = %s where lead_id = %s and state = any(%s)",
        [to, at, lead_id, list(of)],
    )
    return changed == 1


async def move_many(
    db: Connection, ids: Sequence[int], *, of: Sequence[State], to: State, at: datetime
) -> Sequence[int]:
    """`move` for many; those that moved."""
    found = await tuples(
        db,
        """update mailfleet.lead_ownership set state = %s, updated_at = %s
           where lead_id = any(%s) and state = any(%s) returning lead_id""",
        [to, at, list(ids), list(of)],
    )
    return [id for (id,) in found]


async def complete(db: Connection, campaign_id: UUID, refs: Sequence[str], at: datetime) -> int:
    """Leads whose sequence the platform reports as finished; the lead's own status follows unless it says more."""
    return await execute(
        db,
        """with o as (
               update mailfleet.lead_ownership set state = 'completed', updated_at = %(at)s
               where campaign_id = %(campaign)s and ref = any(%(refs)s) and state = 'active' returning lead_id)
           update mailfleet.leads l set status = 'completed', updated_at = %(at)s
           from o where l.id = o.lead_id and l.status = 'in_sequence'""",
        {"campaign": campaign_id, "refs": list(refs), "at": at},
    )


async def complete_sent(db: Connection, campaign_id: UUID, last: int, at: datetime) -> int:
    """The same for those that the last step of this campaign was sent to, as we know it."""
    return await execute(
        db,
        """with o as (
               update mailfleet.lead_ownership o set state = 'completed', updated_at = %(at)s
               where o.campaign_id = %(campaign)s and o.state = 'active' and exists (
                   select 1 from mailfleet.events e
                   where e.lead_id = o.lead_id and e.campaign_id = o.campaign_id and e.kind = 'sent'
                     and e.step >= %(last)s)
               returning lead_id)
           update mailfleet.leads l set status = 'completed', updated_at = %(at)s
           from o where l.id = o.lead_id and l.status = 'in_sequence'""",
        {"campaign": campaign_id, "last": last, "at": at},
    )


async def completed_count(db: Connection, campaign_id: UUID) -> int:
    """How many of a campaign's leads are through."""
    return await value(
        db,
        "select count(*)::int from mailfleet.lead_ownership where campaign_id = %s and state = 'completed'",
        [campaign_id],
    )


async def suppressed_live(db: Connection, *, since: datetime | None, limit: int = 1000) -> list[int]:
    """Leads a platform may still send to although an entry made since `since` names them; their rows are locked.

    Locking the lead first waits for a claim under way and then sees what it claimed (I3).
    """
    found = await tuples(
        db,
        """with s as (
               select scope, key, client_id from mailfleet.suppressions
               where key is not null and (%(since)s::timestamptz is null or created_at >= %(since)s)),
           hit as (
               select l.id, l.client_id, s.client_id as only_for from s join mailfleet.leads l
                    on s.scope = 'address' and l.email_norm = s.key
               union all select l.id, l.client_id, s.client_id from s join mailfleet.leads l
                    on s.scope = 'domain' and l.domain = s.key
               union all select l.id, l.client_id, s.client_id from s join mailfleet.leads l
                    on s.scope = 'person' and l.domain = split_part(s.key, '|', 2) and l.person_key = s.key
                    and l.person_key <> '')
           select l.id from mailfleet.leads l
           where l.id in (select id from hit where only_for is null or only_for = client_id)
             and exists (select 1 from mailfleet.lead_ownership o
                         where o.lead_id = l.id and o.state = any(%(live)s))
           order by l.id limit %(limit)s for update""",
        {"since": since, "live": list(LIVE), "limit": limit},
    )
    return [id for (id,) in found]


async def lock_named(db: Connection, *, scope: str, key: str, client_id: UUID | None) -> list[int]:
    """The leads a suppression names, locked: this waits for a claim under way and then sees what it claimed (I3).

    By scope `mailbox` an address names every form of itself.
    """
    found = await tuples(db, _NAMED[scope], {"key": key, "client": client_id})
    return [id for (id,) in found]


async def lock_addresses(db: Connection, keys: Sequence[str]) -> Mapping[int, str]:
    """The leads that have one of these addresses, locked as `lock_named` does; lead → address."""
    found = await tuples(
        db,
        "select id, email_norm from mailfleet.leads where email_norm = any(%s) order by id for update",
        [list(keys)],
    )
    return dict(found)


_OF_CLIENT: LiteralString = "(%(client)s::uuid is null or client_id = %(client)s) order by id for update"
_NAMED: dict[str, LiteralString] = {
    "address": "select id from mailfleet.leads where email_norm = %(key)s and " + _OF_CLIENT,
    "mailbox": """select id from mailfleet.leads where (email_norm = %(key)s
        or (free_mail and mailfleet.mailbox_of(email_norm) collate "C" = mailfleet.mailbox_of(%(key)s))) and """
    + _OF_CLIENT,
    "domain": "select id from mailfleet.leads where domain = %(key)s and " + _OF_CLIENT,
    "person": """select id from mailfleet.leads
        where domain = split_part(%(key)s, '|', 2) and person_key = %(key)s and """
    + _OF_CLIENT,
}


async def state_counts(db: Connection, campaign_id: UUID | None = None) -> Mapping[str, int]:
    found = await tuples(
        db,
        """select state, count(*)::int from mailfleet.lead_ownership
           where %(campaign)s::uuid is null or campaign_id = %(campaign)s group by 1 order by 1""",
        {"campaign": campaign_id},
    )
    return dict(found)


async def live_count(db: Connection, campaign_id: UUID) -> int:
    return await value(
        db,
        "select count(*)::int from mailfleet.lead_ownership where campaign_id = %s and state = any(%s)",
        [campaign_id, list(LIVE)],
    )
