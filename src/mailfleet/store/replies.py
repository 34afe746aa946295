"""Replies as they were read, and the tasks that people owe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, row, rows, tuples, value

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


async def add(db: Connection, reply: Reply) -> bool:
    """False when it was read before."""
    return (
        await execute(
            db,
            """insert into mailfleet.replies
                   (id, at, client_id, campaign_id, mailbox_id, lead_id, subject, text, stripped, category, subcategory,
                    rule, confidence, return_date, state)
               values (%(id)s, %(at)s, %(client_id)s, %(campaign_id)s, %(mailbox_id)s, %(lead_id)s, %(subject)s,
                       %(text)s, %(stripped)s, %(category)s, %(subcategory)s, %(rule)s, %(confidence)s,
                       %(return_date)s, %(state)s)
               on conflict (id) do nothing""",
            msgspec.structs.asdict(reply),
        )
        == 1
    )


async def newer_human(db: Connection, lead_id: int, at: datetime) -> bool:
    """Whether a person's reply later than `at` was read before: then an older one does not change the lead's state."""
    return bool(
        await value(
            db,
            """select exists (select 1 from mailfleet.replies
                              where lead_id = %s and at > %s and category <> 'out_of_office')""",
            [lead_id, at],
        )
    )


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


async def category_counts(db: Connection) -> Mapping[str, int]:
    found = await tuples(db, "select category, count(*)::int from mailfleet.replies group by 1 order by 1")
    return dict(found)


async def add_task(
    db: Connection,
    kind: TaskKind,
    *,
    client_id: UUID | None,
    lead_id: int | None,
    reply_id: UUID | None,
    due_at: datetime,
    note: str,
    at: datetime,
) -> None:
    """One of a kind for a reply."""
    await execute(
        db,
        """insert into mailfleet.tasks (kind, client_id, lead_id, reply_id, due_at, note, created_at)
           values (%s, %s, %s, %s, %s, %s, %s) on conflict (kind, reply_id) do nothing""",
        [kind, client_id, lead_id, reply_id, due_at, note, at],
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


async def sent_text(db: Connection, campaign_id: UUID, up_to_step: int) -> Sequence[tuple[str, Any]]:
    """(subject, body) of the steps a lead can have got, the last first: what a reply may quote."""
    found = await tuples(
        db,
        """select subject, body from mailfleet.steps where campaign_id = %s and position <= %s
           order by position desc, variant""",
        [campaign_id, max(1, up_to_step)],
    )
    return [(subject, body) for subject, body in found]
