"""How far each source has been read, and what was counted between two runs of the sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples, value


async def get(db: Connection, source: str) -> datetime | None:
    return await value(db, "select at from mailfleet.watermarks where source = %s", [source])


async def detail(db: Connection, source: str) -> Mapping[str, Any]:
    return await value(db, "select detail from mailfleet.watermarks where source = %s", [source]) or {}


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source has been read, and what was seen then."""

    source: str
    at: datetime
    detail: dict[str, Any]


async def of(db: Connection, sources: Sequence[str]) -> Mapping[str, Mark]:
    """The marks of these sources, those that have one."""
    found = await rows(
        db, Mark, "select source, at, detail from mailfleet.watermarks where source = any(%s)", [list(sources)]
    )
    return {mark.source: mark for mark in found}


async def move(db: Connection, sources: Sequence[str], at: datetime) -> None:
    """These were read up to `at` and nothing was new."""
    await execute(db, "update mailfleet.watermarks set at = %s where source = any(%s)", [at, list(sources)])


async def put(db: Connection, source: str, at: datetime, detail: Mapping[str, object] | None = None) -> None:
    await execute(
        db,
        """insert into mailfleet.watermarks (source, at, detail) values (%s, %s, %s)
           on conflict (source) do update set at = excluded.at, detail = excluded.detail""",
        [source, at, Json(dict(detail or {}))],
    )


async def tally(db: Connection, counted: Mapping[tuple[UUID | None, str], int], at: datetime) -> None:
    """Adds (campaign, kind) → n to what the next run of the sync reports."""
    items = [{"campaign_id": campaign, "kind": kind, "n": n} for (campaign, kind), n in counted.items() if n]
    if items:
        await execute(
            db,
            """insert into mailfleet.sync_tallies (campaign_id, kind, n, at)
               select campaign_id, kind, n, %s from json_to_recordset(%s::json)
                   as t(campaign_id uuid, kind text, n int)""",
            [at, json_rows(items)],
        )


async def take_tallies(db: Connection, campaign_id: UUID | None) -> Mapping[str, int]:
    """What happened since it was last asked, each thing told once; of one campaign, or of all."""
    found = await tuples(
        db,
        """with taken as (
               delete from mailfleet.sync_tallies
               where %(campaign)s::uuid is null or campaign_id = %(campaign)s returning kind, n)
           select kind, sum(n)::int from taken group by kind""",
        {"campaign": campaign_id},
    )
    return dict(found)
