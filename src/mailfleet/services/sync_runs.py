"""Lead-sync runs that webhooks ask for: one a campaign, however many came (spec 4, flow 4).

The order is a command in the outbox, put in the transaction that applies the events; those that follow within the delay
join it. Once it is due it can be joined no more, so that what comes while the run reads is told by a run of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from uuid import UUID

import structlog

from mailfleet.services.context import Fleet
from mailfleet.store import outbox
from mailfleet.store.database import Connection
from mailfleet.store.outbox import Command

RUN = "sync.run"
_BUSY = timedelta(seconds=10)
Start = Callable[[Fleet, UUID, str], Awaitable[bool]]
"""Starts the run of a campaign; the text is the same when the same start is tried again. False: the campaign's last
run is not finished."""
log = structlog.get_logger(__name__)


async def order(fleet: Fleet, db: Connection, campaigns: Iterable[UUID | None]) -> None:
    """A run for each of these, after the delay. For the end of a transaction: its rows stay locked until the commit."""
    if fleet.sync_delay is None:
        return
    now = fleet.clock.now()
    for id in sorted({str(each) for each in campaigns if each}):
        await outbox.join(
            db, RUN, {"campaign_id": id}, now=now, dedupe_key=f"{RUN}:{id}", run_at=now + fleet.sync_delay
        )


async def start_due(fleet: Fleet, start: Start) -> int:
    """Starts every run that is due; how many. What was taken returns to the queue when this process dies."""
    async with fleet.db.transaction() as db:
        await outbox.part(db, RUN, now=fleet.clock.now())
    started = 0
    while (went := await _next(fleet, start)) is not None:
        started += went
    return started


async def _next(fleet: Fleet, start: Start) -> bool | None:
    """None: nothing is due."""
    async with fleet.db.transaction() as db:
        orders = await outbox.take_parted(db, RUN, now=fleet.clock.now())
        if not orders:
            return None
        try:
            went = await start(fleet, UUID(orders[0].payload["campaign_id"]), f"{RUN}:{orders[-1].id}")
        except Exception as error:  # whatever an orchestrator or a flow raises: the schedule tells it otherwise
            await _failed(fleet, db, orders, error)
            return False
        now = fleet.clock.now()
        for each in orders:
            if went:
                await outbox.done(db, each.id, now=now)
            else:
                await outbox.postpone(db, each.id, at=now + _BUSY)
    return went


async def _failed(fleet: Fleet, db: Connection, orders: Iterable[Command], error: Exception) -> None:
    log.warning("a lead sync could not be started", error=f"{type(error).__name__}: {error}")
    for each in orders:
        await outbox.retry(db, each, error=f"{type(error).__name__}: {error}", now=fleet.clock.now())
