"""Today's limits of a campaign's mailboxes, set at the platform before the campaign's first mail can leave (I6)."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from mailfleet.services import budgets, readings
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, mailboxes
from mailfleet.store.campaigns import Sender


async def set_today(fleet: Fleet, campaign_id: UUID) -> None:
    """As if it were sending already: a cap that is set after the start is set too late."""
    async with fleet.db.connection() as db:
        senders = await campaigns.senders(db, campaign_id)
        where = (await campaigns.need(db, campaign_id)).platform
    fleet = replace(fleet, default_platform=where)  # the references of its mailboxes are that platform's
    for sender in senders:
        if sender.ref is not None:
            await _set(fleet, sender, sender.ref, campaign_id)


async def _set(fleet: Fleet, sender: Sender, ref: str, campaign_id: UUID) -> None:
    async with fleet.db.connection() as db:
        box = await mailboxes.get(db, sender.id)
        assert box is not None
        known = await readings.known(fleet, db, box)
    seen = await fleet.platform().mailbox(ref)
    await budgets.apply_day(fleet, box, ref, seen, warmup_day=known.warmup_day, also=campaign_id)
