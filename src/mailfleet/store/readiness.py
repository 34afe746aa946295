"""What stands between a mailbox and PRODUCTION, since when, and what was read of a domain day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: float | None
    needed: str


async def put_missing(db: Connection, mailbox_id: UUID, missing: Sequence[Missing], at: datetime) -> None:
    """Criteria it misses now; one missed before keeps its beginning, one met is forgotten."""
    await execute(
        db,
        """with now as (select * from json_to_recordset(%(rows)s::json) as m(name text, value numeric, needed text)),
                gone as (delete from mailfleet.criteria_missing
                         where mailbox_id = %(id)s and name not in (select name from now))
           insert into mailfleet.criteria_missing (mailbox_id, name, since, value, needed)
           select %(id)s, name, %(at)s, value, needed from now
           on conflict (mailbox_id, name) do update set value = excluded.value, needed = excluded.needed""",
        {"id": mailbox_id, "rows": json_rows(missing), "at": at},
    )


async def forget_missing(db: Connection) -> None:
    """Of mailboxes that do not warm up any more."""
    await execute(
        db,
        """delete from mailfleet.criteria_missing c using mailfleet.mailboxes m
           where m.id = c.mailbox_id and m.state <> 'WARMING'""",
    )


async def missing_since(db: Connection, mailbox_id: UUID) -> Mapping[str, datetime]:
    """Criterion → since when it is missed without a break."""
    found = await tuples(db, "select name, since from mailfleet.criteria_missing where mailbox_id = %s", [mailbox_id])
    return dict(found)


class DomainDay(msgspec.Struct, frozen=True, kw_only=True):
    """None is unknown, never zero."""

    day: date
    mailboxes: int
    heat_lowest: float | None
    heat_median: float | None
    heat_unknown: int
    warmup_sent: int | None
    campaign_sent: int
    bounces: int
    complaints: int
    opens: int
    replies: int
    placement_seeds: int | None
    placement_inbox: int | None


async def domain_days(db: Connection, domain_id: UUID, *, since: date) -> Sequence[DomainDay]:
    """Oldest first."""
    return await rows(
        db,
        DomainDay,
        """select day, mailboxes, heat_lowest::float8 as heat_lowest, heat_median::float8 as heat_median, heat_unknown,
                  warmup_sent, campaign_sent, bounces, complaints, opens, replies, placement_seeds, placement_inbox
           from mailfleet.domain_readings where domain_id = %s and day >= %s order by day""",
        [domain_id, since],
    )
