"""What was looked into: opened once for a fact, closed with its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows, value


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    kind: str
    scope: str
    scope_id: str
    opened_at: datetime
    closed_at: datetime | None
    summary: str
    evidence: dict[str, Any]


async def open_(
    db: Connection, *, kind: str, scope: str, scope_id: str, at: datetime, evidence: Mapping[str, object]
) -> UUID | None:
    """None: one of this kind and scope is open already."""
    return await value(
        db,
        """insert into mailfleet.incidents (kind, scope, scope_id, opened_at, evidence) values (%s, %s, %s, %s, %s)
           on conflict (kind, scope, scope_id) where closed_at is null do nothing returning id""",
        [kind, scope, scope_id, at, Json(dict(evidence))],
    )


async def close(db: Connection, id: UUID, *, summary: str, evidence: Mapping[str, object], at: datetime) -> None:
    await execute(
        db,
        """update mailfleet.incidents set closed_at = %s, summary = %s, evidence = evidence || %s
           where id = %s and closed_at is null""",
        [at, summary, Json(dict(evidence)), id],
    )


async def get(db: Connection, id: UUID) -> Incident | None:
    return await row(
        db,
        Incident,
        """select id, kind, scope, scope_id, opened_at, closed_at, summary, evidence
           from mailfleet.incidents where id = %s""",
        [id],
    )


async def latest(
    db: Connection, kind: str, *, scope: str = "", scope_id: str = "", limit: int = 20
) -> Sequence[Incident]:
    """Newest first."""
    return await rows(
        db,
        Incident,
        """select id, kind, scope, scope_id, opened_at, closed_at, summary, evidence
           from mailfleet.incidents
           where kind = %s and (%s = '' or scope = %s) and (%s = '' or scope_id = %s)
           order by opened_at desc, id limit %s""",
        [kind, scope, scope, scope_id, scope_id, limit],
    )
