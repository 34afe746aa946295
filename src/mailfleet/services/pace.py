"""How much at once: a platform that keeps answering "too many" gets smaller batches, and slowly larger ones again."""

from __future__ import annotations

import structlog

from mailfleet.rules import pace
from mailfleet.rules.pace import Pace
from mailfleet.services.context import Fleet
from mailfleet.store import vendor_health, vendor_notes

log = structlog.get_logger(__name__)


async def batch(fleet: Fleet, platform: str, most: int) -> int:
    """The size of the next batch; a change of pace is kept with its evidence."""
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        note = await vendor_notes.get(db, platform, "batch")
        if note is None and not await vendor_health.limited(db, platform, since=now - pace.QUIET):
            return most
        was = Pace(
            factor=float(note.detail["factor"]) if note else 1.0, since=note.last_at if note else now - pace.QUIET
        )
        limited = await vendor_health.limited(db, platform, since=was.since)
        new = pace.after(was, limited, now)
        if new != was:
            detail = {"factor": new.factor, "was": was.factor, "limited": limited}
            await vendor_notes.put(db, vendor_notes.seen(platform, "batch", detail, now))
            log.info("the batch is resized", platform=platform, **detail)
    return pace.batch(new, most)
