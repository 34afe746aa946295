"""What was put at the platform for a campaign: the base against which a change made there is noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows, value

_COLUMNS: LiteralString = "id, campaign_id, checksum, config_hash, wanted, state, resume, actor, begun_at, finished_at"


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """`wanted` is field → value. `resume`: the campaign ran before, and runs again when this is done."""

    id: UUID
    campaign_id: UUID
    checksum: str
    config_hash: str
    wanted: dict[str, Any]
    state: Literal["applying", "applied", "left"]
    resume: bool
    actor: str
    begun_at: datetime
    finished_at: datetime | None


async def since_applied(db: Connection, campaign_id: UUID) -> Sequence[Apply]:
    """The last one finished and what was begun since, oldest first: any part of these may be at the platform."""
    return await rows(
        db,
        Apply,
        "select "
        + _COLUMNS
        + """ from mailfleet.campaign_applies
           where campaign_id = %(id)s and begun_at >= coalesce(
               (select max(begun_at) from mailfleet.campaign_applies where campaign_id = %(id)s and state = 'applied'),
               '-infinity')
           order by begun_at, id""",
        {"id": campaign_id},
    )


async def unfinished(db: Connection, campaign_id: UUID) -> Apply | None:
    return await row(
        db,
        Apply,
        "select " + _COLUMNS + " from mailfleet.campaign_applies where campaign_id = %s and state = 'applying'",
        [campaign_id],
    )


async def begin(
    db: Connection,
    campaign_id: UUID,
    *,
    checksum: str,
    config_hash: str,
    wanted: Mapping[str, object],
    resume: bool,
    actor: str,
    at: datetime,
) -> Apply:
    """A new one; an unfinished one is left for it and hands on what it owes: that the campaign runs again."""
    left = await value(
        db,
        """update mailfleet.campaign_applies set state = 'left', finished_at = %s
           where campaign_id = %s and state = 'applying' returning resume""",
        [at, campaign_id],
    )
    made = await row(
        db,
        Apply,
        """insert into mailfleet.campaign_applies (campaign_id, checksum, config_hash, wanted, resume, actor, begun_at)
           values (%(id)s, %(checksum)s, %(hash)s, %(wanted)s, %(resume)s, %(actor)s, %(at)s)
           returning """
        + _COLUMNS,
        {
            "id": campaign_id,
            "checksum": checksum,
            "hash": config_hash,
            "wanted": Json(dict(wanted)),
            "resume": resume or bool(left),
            "actor": actor,
            "at": at,
        },
    )
    assert made is not None
    return made


async def finish(db: Connection, id: UUID, at: datetime) -> None:
    await execute(
        db, "update mailfleet.campaign_applies set state = 'applied', finished_at = %s where id = %s", [at, id]
    )
