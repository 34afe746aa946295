"""What the clients noticed about a vendor and adapted to: drift, longer deadlines, smaller batches, its status page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows

What = Literal["drift", "deadline", "batch", "status_page"]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`times` it was met from `first_at` to `last_at`; `detail` is of the last time."""

    vendor: str
    what: What
    subject: str
    first_at: datetime
    last_at: datetime
    times: int
    detail: Mapping[str, Any]


def seen(vendor: str, what: What, detail: Mapping[str, Any], at: datetime, subject: str = "") -> Note:
    """Met once, now."""
    return Note(vendor=vendor, what=what, subject=subject, first_at=at, last_at=at, times=1, detail=detail)


async def put(db: Connection, note: Note) -> None:
    """A fact, or one more time the same."""
    await execute(
        db,
        """insert into mailfleet.vendor_notes as n (vendor, what, subject, first_at, last_at, times, detail)
           values (%(vendor)s, %(what)s, %(subject)s, %(first_at)s, %(last_at)s, %(times)s, %(detail)s)
           on conflict (vendor, what, subject) do update
           set last_at = greatest(n.last_at, excluded.last_at), times = n.times + excluded.times,
               detail = excluded.detail""",
        {**msgspec.structs.asdict(note), "detail": Json(dict(note.detail))},
    )


async def get(db: Connection, vendor: str, what: What, subject: str = "") -> Note | None:
    return await row(
        db,
        Note,
        """select vendor, what, subject, first_at, last_at, times, detail from mailfleet.vendor_notes
           where vendor = %s and what = %s and subject = %s""",
        [vendor, what, subject],
    )


async def listed(db: Connection, *, since: datetime, what: What | None = None) -> Sequence[Note]:
    """Those met since then, the latest first."""
    return await rows(
        db,
        Note,
        """select vendor, what, subject, first_at, last_at, times, detail from mailfleet.vendor_notes
           where last_at >= %(since)s and (%(what)s::text is null or what = %(what)s)
           order by last_at desc, vendor, what, subject""",
        {"since": since, "what": what},
    )
