"""How the vendors have been answering, from the call counts of every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from mailfleet.store.database import Connection, rows, value


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor over the hour that ends with its latest call: how many calls had each outcome (an HTTP status, or the
    name of what went wrong instead of an answer)."""

    vendor: str
    until: datetime
    outcomes: Mapping[str, int]

    @property
    def calls(self) -> int:
        return sum(self.outcomes.values())

    @property
    def timeouts(self) -> int:
        return sum(n for status, n in self.outcomes.items() if "Timeout" in status)


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
           select vendor, until, jsonb_object_agg(status, n) as outcomes
           from (select vendor, until, status, sum(calls)::int as n
                 from mailfleet.vendor_calls join latest using (vendor)
                 where minute > until - interval '1 hour' group by vendor, until, status) told
           group by vendor, until order by vendor""",
    )


async def limited(db: Connection, vendor: str, since: datetime) -> int:
    """How many calls were refused as too many in the minutes that began since: none is counted for two changes."""
    return await value(
        db,
        """select coalesce(sum(calls), 0)::int from mailfleet.vendor_calls
           where vendor = %s and status = '429' and minute > date_trunc('minute', %s::timestamptz)""",
        [vendor, since],
    )
