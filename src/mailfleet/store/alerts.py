"""Alerts and their deliveries: the row first, the message second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples, value

Severity = Literal["info", "warning", "urgent", "critical", "emergency"]
Channel = Literal["slack", "sms", "email"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """`fact_key` names the fact: the same fact, noticed again, is the same alert."""

    id: UUID
    fact_key: str
    kind: str
    severity: Severity
    client_id: UUID | None
    title: str
    body: str
    context: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery taken to be made now, with what it says."""

    id: UUID
    channel: Channel
    target: str
    attempts: int
    severity: Severity
    title: str
    body: str
    context: dict[str, Any]


class New(msgspec.Struct, frozen=True, kw_only=True):
    """An alert to be."""

    fact_key: str
    kind: str
    severity: Severity
    client_id: UUID | None
    title: str
    body: str
    context: dict[str, Any]


async def add(db: Connection, told: Sequence[New], at: datetime) -> Mapping[str, UUID]:
    """The ids of the new alerts by their facts; those told before are left out."""
    found = await tuples(
        db,
        """insert into mailfleet.alerts (fact_key, kind, severity, client_id, title, body, context, created_at)
           select fact_key, kind, severity, client_id, title, body, context, %s
           from json_to_recordset(%s::json) as r(fact_key text, kind text, severity text, client_id uuid, title text,
                                                 body text, context jsonb)
           on conflict (fact_key) do nothing returning fact_key, id""",
        [at, json_rows(told)],
    )
    return dict(found)


async def add_deliveries(db: Connection, wanted: Sequence[tuple[UUID, Channel, str]], at: datetime) -> None:
    """(alert, channel, target), each once."""
    items = [{"alert_id": alert, "channel": channel, "target": target} for alert, channel, target in wanted]
    await execute(
        db,
        """insert into mailfleet.deliveries (alert_id, channel, target, next_at)
           select alert_id, channel, target, %s
           from json_to_recordset(%s::json) as r(alert_id uuid, channel text, target text)
           on conflict (alert_id, channel, target) do nothing""",
        [at, json_rows(items)],
    )


async def take_due(db: Connection, *, now: datetime, until: datetime, limit: int) -> Sequence[Due]:
    """Takes deliveries that are due and puts them off to `until`, so that no other process makes them meanwhile."""
    return await rows(
        db,
        Due,
        """with due as (
               select id from mailfleet.deliveries
               where state in ('pending', 'failed') and next_at <= %(now)s
               order by next_at, id limit %(limit)s for update skip locked),
           taken as (
               update mailfleet.deliveries d set attempts = attempts + 1, next_at = %(until)s
               from due where d.id = due.id returning d.id, d.alert_id, d.channel, d.target, d.attempts)
           select t.id, t.channel, t.target, t.attempts, a.severity, a.title, a.body, a.context
           from taken t join mailfleet.alerts a on a.id = t.alert_id order by a.created_at, t.id""",
        {"now": now, "until": until, "limit": limit},
    )


async def sent(db: Connection, id: UUID, *, vendor_ref: str, at: datetime) -> None:
    await execute(
        db,
        """update mailfleet.deliveries set state = 'sent', sent_at = %s, vendor_ref = %s, error = ''
           where id = %s""",
        [at, vendor_ref, id],
    )


async def failed(db: Connection, id: UUID, *, error: str, next_at: datetime | None) -> None:
    """`next_at` None: given up."""
    await execute(
        db,
        """update mailfleet.deliveries set state = %s, error = %s, next_at = coalesce(%s, next_at)
           where id = %s""",
        ["failed" if next_at else "dead", error, next_at, id],
    )


async def unknown(db: Connection, id: UUID, *, error: str) -> None:
    """It may have arrived: not made again (I5)."""
    await execute(
        db,
        """update mailfleet.deliveries set state = 'unknown', error = %s
           where id = %s and state in ('pending', 'failed')""",
        [error, id],
    )


async def count_unknown(db: Connection, since: datetime) -> int:
    """Deliveries of open alerts since then of which nobody knows whether they arrived."""
    return await value(
        db,
        """select count(*) from mailfleet.deliveries d join mailfleet.alerts a on a.id = d.alert_id
           where d.state = 'unknown' and a.resolved_at is null and a.created_at >= %s""",
        [since],
    )


async def resolve(db: Connection, fact_key: str, at: datetime) -> bool:
    changed = await execute(
        db,
        "update mailfleet.alerts set resolved_at = %s where fact_key = %s and resolved_at is null",
        [at, fact_key],
    )
    return changed == 1


async def resolve_beginning(db: Connection, beginning: str, at: datetime) -> int:
    return await execute(
        db,
        """update mailfleet.alerts set resolved_at = %s
           where resolved_at is null and starts_with(fact_key, %s)""",
        [at, beginning],
    )


async def every(db: Connection, *, open_only: bool = False, limit: int = 200) -> Sequence[Alert]:
    """Newest first."""
    return await rows(
        db,
        Alert,
        """select id, fact_key, kind, severity, client_id, title, body, context, created_at, resolved_at
           from mailfleet.alerts where (not %s or resolved_at is null) order by created_at desc, id limit %s""",
        [open_only, limit],
    )
