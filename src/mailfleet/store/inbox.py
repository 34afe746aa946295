"""Raw webhooks as received: stored before anything is understood, each applied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples, value

State = Literal["new", "applied", "ignored", "unknown", "dead"]

SECRETS: LiteralString = "array['secret_key', 'webhook_url']"
"""Top-level fields that carry a secret of ours: dropped before the body is stored (I8)."""

_APPLIER = 0x6D66_6170_706C_7972
"""Names the applier among Postgres' advisory locks."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    platform: str
    received_at: datetime
    headers: dict[str, Any]
    body: dict[str, Any]
    attempts: int


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A row as an operator sees it."""

    id: UUID
    platform: str
    received_at: datetime
    state: State
    attempts: int
    error: str
    applied_at: datetime | None
    body: dict[str, Any]


async def put_raw(db: Connection, rows_json: str) -> None:
    """A JSON array of {id, platform, received_at, headers, body}, already text; what is there already stays."""
    await db.execute(
        """insert into mailfleet.webhook_inbox (id, platform, received_at, headers, body)
           select id, platform, received_at, headers, body - """
        + SECRETS
        + """ from json_to_recordset(%s::json)
                as r(id uuid, platform text, received_at timestamptz, headers jsonb, body jsonb)
           on conflict do nothing""",
        [rows_json],
    )


async def put(db: Connection, items: Sequence[Mapping[str, object]]) -> Sequence[UUID]:
    """Rows of our own making (the second source, an operator); returns those that were new."""
    found = await tuples(
        db,
        """insert into mailfleet.webhook_inbox (id, platform, received_at, headers, body)
           select id, platform, received_at, headers, body from json_to_recordset(%s::json)
                as r(id uuid, platform text, received_at timestamptz, headers jsonb, body jsonb)
           on conflict do nothing returning id""",
        [json_rows(items)],
    )
    return [id for (id,) in found]


async def applier(db: Connection, *, wait: bool) -> bool:
    """Makes the caller's transaction the one that applies events: one at a time, so that a lead's events are applied
    in their order whatever number of processes there is. False, without `wait`: another one does it."""
    if wait:
        await db.execute("select pg_advisory_xact_lock(%s)", [_APPLIER])
        return True
    return bool(await value(db, "select pg_try_advisory_xact_lock(%s)", [_APPLIER]))


async def take(db: Connection, *, ids: Sequence[UUID] = (), limit: int = 1000) -> Sequence[Received]:
    """New rows in the order of their events, for the one applier."""
    return await rows(
        db,
        Received,
        """select id, platform, received_at, headers, body, attempts from mailfleet.webhook_inbox
           where state = 'new' and id = any(%s) order by id limit %s"""
        if ids
        else """select id, platform, received_at, headers, body, attempts from mailfleet.webhook_inbox
           where state = 'new' order by id limit %s""",
        [list(ids), limit] if ids else [limit],
    )


async def peek(db: Connection, *, after: UUID | None = None, limit: int = 1000) -> Sequence[Received]:
    """New rows without taking them."""
    return await rows(
        db,
        Received,
        """select id, platform, received_at, headers, body, attempts from mailfleet.webhook_inbox
           where state = 'new' and (%(after)s::uuid is null or id > %(after)s) order by id limit %(limit)s""",
        {"after": after, "limit": limit},
    )


async def settle(db: Connection, states: Mapping[UUID, State], at: datetime) -> None:
    items = [{"id": id, "state": state} for id, state in states.items()]
    await execute(
        db,
        """update mailfleet.webhook_inbox i set state = r.state, applied_at = %s, error = ''
           from json_to_recordset(%s::json) as r(id uuid, state text) where i.id = r.id""",
        [at, json_rows(items)],
    )


async def failed(db: Connection, id: UUID, *, error: str, most: int) -> None:
    """One attempt more; dead after `most`."""
    await execute(
        db,
        """update mailfleet.webhook_inbox
           set attempts = attempts + 1, error = %s, state = case when attempts + 1 >= %s then 'dead' else state end
           where id = %s and state = 'new'""",
        [error[:500], most, id],
    )


async def replay(db: Connection, ids: Sequence[UUID]) -> int:
    """Puts rows back to be applied; what was applied already has no further effect."""
    return await execute(
        db,
        "update mailfleet.webhook_inbox set state = 'new', attempts = 0, error = '' where id = any(%s)",
        [list(ids)],
    )


async def listed(db: Connection, *, state: str = "", limit: int = 50) -> Sequence[Stored]:
    return await rows(
        db,
        Stored,
        """select id, platform, received_at, state, attempts, error, applied_at, body
           from mailfleet.webhook_inbox where (%(state)s = '' or state = %(state)s) order by id desc limit %(limit)s""",
        {"state": state, "limit": limit},
    )


async def get(db: Connection, id: UUID) -> Stored | None:
    return await row(
        db,
        Stored,
        """select id, platform, received_at, state, attempts, error, applied_at, body
           from mailfleet.webhook_inbox where id = %s""",
        [id],
    )


async def counts(db: Connection) -> Mapping[str, int]:
    found = await tuples(db, "select state, count(*)::int from mailfleet.webhook_inbox group by 1 order by 1")
    return dict(found)


async def last_received(db: Connection, platform: str) -> datetime | None:
    """When a webhook of this platform last came in; rows of the second source do not count."""
    return await value(
        db,
        """select max(received_at) from mailfleet.webhook_inbox
           where platform = %s and coalesce(headers->>'source', '') = ''""",
        [platform],
    )
