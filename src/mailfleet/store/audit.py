"""Who did what and why: append-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute


async def record(
    db: Connection,
    *,
    actor: str,
    action: str,
    entity: str,
    entity_id: UUID | str,
    at: datetime,
    reason: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    await execute(
        db,
        """insert into mailfleet.audit (at, actor, action, entity, entity_id, reason, detail)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [at, actor, action, entity, str(entity_id), reason, Json(dict(detail or {}))],
    )
