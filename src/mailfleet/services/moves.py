"""Whether the operation is being moved from one platform to another, for what has to wait until it is over."""

from __future__ import annotations

from datetime import datetime

from mailfleet.services.context import Fleet
from mailfleet.store.database import tuples


async def last(fleet: Fleet) -> tuple[bool, datetime | None]:
    """(a migration runs now, when the last one ended)."""
    async with fleet.db.connection() as db:
        ((moving, ended),) = await tuples(
            db,
            """select coalesce(bool_or(state not in ('planned', 'rolled_back', 'done', 'aborted')), false),
                      max(ended_at) from mailfleet.migrations""",
        )
    return moving, ended
