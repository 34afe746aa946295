"""The pull side of the lead sync: what was received and what the platform has besides, applied in chunks of ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from uuid import UUID

import structlog

from mailfleet.services import events, facts, suppression, sync
from mailfleet.services.context import Fleet
from mailfleet.services.events import Applied
from mailfleet.store import inbox, watermarks
from mailfleet.store.inbox import Received

_GROUPS: Mapping[str, str] = {
    "replied": "replies", "bounced": "bounces", "unsubscribed": "unsubscribes", "complained": "unsubscribes",
}  # fmt: skip
_COUNTED = (
    "pulled_events", "replies_processed", "bounces_processed", "sequence_exits", "unsubscribes_processed",
    "complaints_processed",
)  # fmt: skip
AT_ONCE = 1000
"""Rows that one run takes up; the next one finds the rest."""
_only: ContextVar[UUID | None] = ContextVar("mailfleet_pull_campaign", default=None)
log = structlog.get_logger(__name__)


def scope(campaign_id: UUID | None) -> None:
    """Which campaign this run polls; None: all."""
    _only.set(campaign_id)


async def updates(fleet: Fleet, since: str | None) -> dict[str, list[str]]:
    """Ids of inbox rows that wait, by what they are. When none waits, the second source is read first (V10)."""
    waiting = await _waiting(fleet)
    if not waiting:
        polled = await sync.poll(fleet, campaign_id=_only.get(), since=datetime.fromisoformat(since) if since else None)
        for problem in polled.problems:
            log.warning("not polled", problem=problem)
        await suppression.sweep(fleet)
        waiting = await _waiting(fleet) if polled.found else []
    found: dict[str, list[str]] = {"statuses": [], "replies": [], "bounces": [], "unsubscribes": []}
    for each in waiting:
        found[_group(fleet, each)].append(str(each.id))
    return found


async def apply(fleet: Fleet, ids: Sequence[str]) -> Applied:
    """Applies these rows; those that another process applied meanwhile are left alone."""
    wanted = [UUID(id) for id in ids]
    return await events.apply(fleet, wanted, limit=len(wanted), told_by=_only.get() or "all")


async def counted(fleet: Fleet, campaign_id: UUID | None) -> dict[str, int]:
    """What happened since the last run, whichever process did it; each thing is told by one run."""
    async with fleet.db.transaction() as db:
        told = await watermarks.take_tallies(db, campaign_id)
    return {name: told.get(name, 0) for name in _COUNTED}


async def lag(fleet: Fleet, campaign_id: UUID | None) -> int:
    """Seconds since that campaign was read which has waited longest."""
    return round((await sync.lag(fleet, campaign_id)).total_seconds())


async def _waiting(fleet: Fleet) -> Sequence[Received]:
    async with fleet.db.connection() as db:
        return await inbox.peek(db, limit=AT_ONCE)


def _group(fleet: Fleet, received: Received) -> str:
    try:
        event = facts.parse(fleet, received)
    except Exception:  # what cannot be read fails when it is applied, where it is counted
        return "statuses"
    return _GROUPS.get(event.kind, "statuses") if event else "statuses"
