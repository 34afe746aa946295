"""Every change of a state machine's state, with what decided it (I9).

The compare-and-set itself is in each domain's module.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, rows


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change: `evidence` is what the rule saw, so that the decision can be made again."""

    entity: str
    entity_id: str
    from_state: str
    to_state: str
    event: str
    reason: str
    evidence: dict[str, Any]
    rule: str
    rule_version: str
    actor: str
    at: datetime


async def record(
    db: Connection,
    *,
    entity: str,
    entity_id: UUID | str,
    from_state: str,
    to_state: str,
    event: str,
    reason: str,
    actor: str,
    at: datetime,
    evidence: Mapping[str, object] | None = None,
    rule: str = "",
    rule_version: str = "",
) -> None:
    """Written in the transaction of the change itself."""
    await execute(
        db,
        """insert into mailfleet.transitions
               (entity, entity_id, from_state, to_state, event, reason, evidence, rule, rule_version, actor, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            entity,
            str(entity_id),
            from_state,
            to_state,
            event,
            reason,
            Json(dict(evidence or {})),
            rule,
            rule_version,
            actor,
            at,
        ],
    )


async def history(db: Connection, entity: str, entity_id: UUID | str, *, limit: int = 200) -> list[Transition]:
    """Oldest first, the last `limit` of them."""
    return await rows(
        db,
        Transition,
        """select entity, entity_id, from_state, to_state, event, reason, evidence, rule, rule_version, actor, at
           from (select * from mailfleet.transitions where entity = %s and entity_id = %s order by id desc limit %s) t
           order by id""",
        [entity, str(entity_id), limit],
    )
