"""The ledger against the platform's own lists: every lead it holds is ours, and every lead of ours is there (I1)."""

from __future__ import annotations

import msgspec

from mailfleet.errors import VendorError
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import sagas, verdicts, watermarks


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """`unexplained`: on one side and not on the other."""

    leads: int
    unexplained: int
    problems: str = ""


async def ledger(fleet: Fleet, platform: str) -> Compared:
    """Reads each sending campaign's leads; a campaign that cannot be read leaves the comparison undone."""
    async with fleet.db.connection() as db:
        campaigns = await sagas.pausable(db, platform)
    leads = unexplained = 0
    for campaign in campaigns:
        there = (await fleet_of(fleet, campaign.client_id)).platform(platform)
        if not there.capabilities.list_leads:
            continue
        async with fleet.db.connection() as db:
            known, live = await verdicts.known_there(db, platform, campaign.id)
        try:
            seen = {lead.email.lower() async for lead in there.leads(campaign.ref)}
        except VendorError as error:
            return Compared(leads=leads, unexplained=unexplained, problems=f"; not finished: {error}")
        leads += len(seen)
        unexplained += len(seen - known) + len(live - seen)
    async with fleet.db.connection() as db:
        await watermarks.put(
            db, f"ledger:{platform}", fleet.clock.now(), {"leads": leads, "unexplained": unexplained}
        )  # fmt: skip
    return Compared(leads=leads, unexplained=unexplained)
