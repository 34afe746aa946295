"""Replies as they were read, and the tasks that people owe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples

TaskKind = Literal["follow_up_call", "review_reply", "investigate", "other"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the whole body for the person, `stripped` what the person wrote. `id` is the event's."""

    id: UUID
    at: datetime
    client_id: UUID | None
    campaign_id: UUID | None
    mailbox_id: UUID | None
    lead_id: int | None
    subject: str
    text: str
    stripped: str
    category: str
    subcategory: str | None
    rule: str
    confidence: float
    return_date: date | None
    state: Literal["decided", "review", "undone"]


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as a person sees it, with what became of its lead. `was`: before the last decision, empty if none."""

    id: UUID
    at: datetime
    client_id: UUID | None
    lead_id: int | None
    email_norm: str | None
    lead_status: str | None
    subject: str
    text: str
    stripped: str
    category: str
    subcategory: str | None
    rule: str
    confidence: float
    return_date: date | None
    state: Literal["decided", "review", "undone"]
    decided_by: str
    was: dict[str, Any]
    suppressed: bool


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A task to be."""

    kind: TaskKind
    client_id: UUID | None
    lead_id: int | None
    reply_id: UUID | None
    owner: str
    due_at: datetime
    note: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: TaskKind
    client_id: UUID | None
    lead_id: int | None
    reply_id: UUID | None
    owner: str
    due_at: datetime
    done_at: datetime | None
    note: str


async def add(db: Connection, read: Sequence[Reply]) -> set[UUID]:
    """Keeps them; those that were not read before."""
    found = await tuples(
        db,
        """insert into mailfleet.replies
               (id, at, client_id, campaign_id, mailbox_id, lead_id, subject, text, stripped, category, subcategory,
                rule, confidence, return_date, state)
           select id, at, client_id, campaign_id, mailbox_id, lead_id, subject, text, stripped, category, subcategory,
                  rule, confidence, return_date, state
           from json_to_recordset(%s::json)
                as r(id uuid, at timestamptz, client_id uuid, campaign_id uuid, mailbox_id uuid, lead_id bigint,
                     subject text, text text, stripped text, category text, subcategory text, rule text,
                     confidence numeric, return_date date, state text)
           on conflict (id) do nothing returning id""",
        [json_rows(read)],
    )
    return {id for (id,) in found}


async def newer_humans(db: Connection, answered: Mapping[int, datetime]) -> set[int]:
    """The leads of whom a person's reply later than the given one was read: an older one changes no state then."""
    items = [{"lead_id": lead_id, "at": at} for lead_id, at in answered.items()]
    found = await tuples(
        db,
        """select r.lead_id from json_to_recordset(%s::json) as r(lead_id bigint, at timestamptz)
           where exists (select 1 from mailfleet.replies x
                         where x.lead_id = r.lead_id and x.at > r.at and x.category <> 'out_of_office')""",
        [json_rows(items)],
    )
    return {id for (id,) in found}


async def listed(db: Connection, *, state: str = "", category: str = "", limit: int = 50) -> Sequence[Reply]:
    """Newest first."""
    return await rows(
        db,
        Reply,
        """select id, at, client_id, campaign_id, mailbox_id, lead_id, subject, text, stripped, category, subcategory,
                  rule, confidence::float8 as confidence, return_date, state
           from mailfleet.replies
           where (%(state)s = '' or state = %(state)s) and (%(category)s = '' or category = %(category)s)
           order by at desc, id limit %(limit)s""",
        {"state": state, "category": category, "limit": limit},
    )


async def get(db: Connection, id: UUID) -> Read | None:
    """The reply, locked until the transaction ends."""
    return await row(
        db,
        Read,
        """select r.id, r.at, r.client_id, r.lead_id, l.email_norm, l.status as lead_status, r.subject, r.text,
                  r.stripped, r.category, r.subcategory, r.rule, r.confidence::float8 as confidence, r.return_date,
                  r.state, r.decided_by, r.was,
                  exists (select 1 from mailfleet.suppressions s where s.source = 'reply ' || r.id) as suppressed
           from mailfleet.replies r left join mailfleet.leads l on l.id = r.lead_id
           where r.id = %s for update of r""",
        [id],
    )


async def decide(
    db: Connection,
    id: UUID,
    *,
    category: str,
    subcategory: str | None,
    rule: str,
    confidence: float,
    state: str,
    by: str,
    was: Mapping[str, object],
) -> None:
    """What it means from now on, and what it was taken for until now."""
    await execute(
        db,
        """update mailfleet.replies set category = %s, subcategory = %s, rule = %s, confidence = %s, state = %s,
                  decided_by = %s, was = %s where id = %s""",
        [category, subcategory, rule, confidence, state, by, Json(dict(was)), id],
    )


async def category_counts(db: Connection) -> Mapping[str, int]:
    found = await tuples(db, "select category, count(*)::int from mailfleet.replies group by 1 order by 1")
    return dict(found)


async def add_tasks(db: Connection, owed: Sequence[Owed], at: datetime) -> None:
    """One of a kind for a reply."""
    await execute(
        db,
        """insert into mailfleet.tasks (kind, client_id, lead_id, reply_id, owner, due_at, note, created_at)
           select kind, client_id, lead_id, reply_id, owner, due_at, note, %s
           from json_to_recordset(%s::json) as r(kind text, client_id uuid, lead_id bigint, reply_id uuid, owner text,
                                                 due_at timestamptz, note text)
           on conflict (kind, reply_id) do nothing""",
        [at, json_rows(owed)],
    )


async def tasks(db: Connection, *, open_only: bool = True, limit: int = 100) -> Sequence[Task]:
    """The one that is due first comes first."""
    return await rows(
        db,
        Task,
        """select id, kind, client_id, lead_id, reply_id, owner, due_at, done_at, note from mailfleet.tasks
           where not %s or done_at is null order by due_at, id limit %s""",
        [open_only, limit],
    )


async def task(db: Connection, id: UUID) -> Task | None:
    return await row(
        db,
        Task,
        """select id, kind, client_id, lead_id, reply_id, owner, due_at, done_at, note
           from mailfleet.tasks where id = %s""",
        [id],
    )


async def task_done(db: Connection, id: UUID, *, by: str, at: datetime) -> bool:
    changed = await execute(
        db, "update mailfleet.tasks set done_at = %s, done_by = %s where id = %s and done_at is null", [at, by, id]
    )
    return changed == 1


async def task_given(db: Connection, id: UUID, owner: str) -> bool:
    changed = await execute(db, "update mailfleet.tasks set owner = %s where id = %s and done_at is null", [owner, id])
    return changed == 1


async def close_tasks(db: Connection, reply_id: UUID, *, by: str, at: datetime) -> None:
    """Those that the machine's reading of a reply made: a person's reading makes its own."""
    await execute(
        db,
        "update mailfleet.tasks set done_at = %s, done_by = %s where reply_id = %s and done_at is null",
        [at, by, reply_id],
    )


async def sent_text(db: Connection, campaign_id: UUID, up_to_step: int) -> Sequence[tuple[str, Any]]:
    """(subject, body) of the steps a lead can have got, the last first: what a reply may quote."""
    found = await tuples(
        db,
        """select subject, body from mailfleet.steps where campaign_id = %s and position <= %s
           order by position desc, variant""",
        [campaign_id, max(1, up_to_step)],
    )
    return [(subject, body) for subject, body in found]
