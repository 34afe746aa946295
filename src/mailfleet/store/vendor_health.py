"""How the vendors have been answering, from the call counts of every process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from mailfleet.store.database import Connection, rows, value


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor over the hour that ends with its latest call. `failed`: 5xx and no answer; `limited`: 429;
    `denied`: 401 and 403."""

    vendor: str
    until: datetime
    calls: int
    failed: int
    limited: int
    denied: int


async def first_sent(db: Connection, platform: str, since: datetime) -> datetime | None:
    """When the first mail after `since` left, by whichever source told of it."""
    return await value(
        db,
        """select at from mailfleet.events
           where id >= mailfleet.uuid_floor(%s) and platform = %s and kind = 'sent' and at > %s order by id limit 1""",
        [since, platform, since],
    )


async def last_hour(db: Connection) -> Sequence[Hour]:
    """Calls are counted on real time, whatever clock the product runs on; so the hour ends with the latest call."""
    return await rows(
        db,
        Hour,
        """with latest as (select vendor, max(minute) as until from mailfleet.vendor_calls group by vendor)
           select vendor, until, sum(calls)::int as calls,
                  coalesce(sum(calls) filter (where status !~ '^[1-4][0-9][0-9]$'), 0)::int as failed,
                  coalesce(sum(calls) filter (where status = '429'), 0)::int as limited,
                  coalesce(sum(calls) filter (where status in ('401', '403')), 0)::int as denied
           from mailfleet.vendor_calls join latest using (vendor)
           where minute > until - interval '1 hour'
           group by vendor, until order by vendor""",
    )
