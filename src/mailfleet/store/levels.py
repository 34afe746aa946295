"""Where each scope stands on the ladder of bounces, and what the machine last let a person release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.policy.model import Band
from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples

Scope = Literal["mailbox", "domain", "campaign"]
Key = tuple[Scope, str]


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """`version` guards every change: two monitors make one step."""

    scope: Scope
    scope_id: str
    client_id: UUID
    band: Band
    proven: Band
    factor: float
    since: datetime
    version: int
    sent: int
    bounced: int
    monitor_minutes: int
    looked_at: datetime


async def every(db: Connection) -> Mapping[Key, Level]:
    """All there are."""
    found = await rows(
        db,
        Level,
        """select scope, scope_id, client_id, band, proven, factor::float8 as factor, since, version, sent, bounced,
                  monitor_minutes, looked_at
           from mailfleet.bounce_levels order by scope, scope_id""",
    )
    return {(each.scope, each.scope_id): each for each in found}


async def put(db: Connection, level: Level) -> Level | None:
    """Added, or changed by compare-and-set on `version`; None when another monitor was first."""
    return await row(
        db,
        Level,
        """insert into mailfleet.bounce_levels as l
               (scope, scope_id, client_id, band, proven, factor, since, sent, bounced, monitor_minutes, looked_at)
           values (%(scope)s, %(scope_id)s, %(client_id)s, %(band)s, %(proven)s, %(factor)s, %(since)s, %(sent)s,
                   %(bounced)s, %(monitor_minutes)s, %(looked_at)s)
           on conflict (scope, scope_id) do update set
               band = excluded.band, proven = excluded.proven, factor = excluded.factor, since = excluded.since,
               sent = excluded.sent, bounced = excluded.bounced, monitor_minutes = excluded.monitor_minutes,
               looked_at = excluded.looked_at, version = l.version + 1
               where l.version = %(version)s
           returning scope, scope_id, client_id, band, proven, factor::float8 as factor, since, version, sent, bounced,
                     monitor_minutes, looked_at""",
        msgspec.structs.asdict(level),
    )


async def looked(db: Connection, levels: Sequence[Level]) -> None:
    """Scopes that stand where they stood, with what the look found; one not seen before stands as given."""
    await execute(
        db,
        """insert into mailfleet.bounce_levels as l
               (scope, scope_id, client_id, band, proven, factor, since, sent, bounced, monitor_minutes, looked_at)
           select scope, scope_id, client_id, band, proven, factor, since, sent, bounced, monitor_minutes, looked_at
           from json_to_recordset(%s::json) as g(scope text, scope_id text, client_id uuid, band text, proven text,
               factor numeric, since timestamptz, sent int, bounced int, monitor_minutes int, looked_at timestamptz)
           on conflict (scope, scope_id) do update set
               sent = excluded.sent, bounced = excluded.bounced, monitor_minutes = excluded.monitor_minutes,
               looked_at = greatest(excluded.looked_at, l.looked_at)""",
        [json_rows(levels)],
    )


async def released(db: Connection, since: datetime) -> Mapping[tuple[str, str], datetime]:
    """(scope, id) → when a person last let go of what the machine had stopped there, since an instant."""
    found = await tuples(
        db,
        """select scope, scope_id, max(released_at) from mailfleet.holds
           where actor_kind = 'machine' and kind = 'sending' and released_at >= %s
             and released_by not like 'machine%%' group by 1, 2""",
        [since],
    )
    return {(scope, id): at for scope, id, at in found}
