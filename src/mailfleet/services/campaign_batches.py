"""The daily batches: each running campaign gets the leads it can begin on its next sending day, and no more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mailfleet.errors import Busy, NotAllowed, VendorError
from mailfleet.services import campaign_rest, push
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_leads, campaigns, holds, transitions
from mailfleet.store.campaigns import Campaign


class Topped(msgspec.Struct, frozen=True, kw_only=True):
    campaign: str
    added: int = 0
    refused: int = 0
    reason: str = ""
    """Why none could be added."""


async def top_up(fleet: Fleet) -> Sequence[Topped]:
    """Rests first, so that one below its floor takes no leads; one that was completed runs on when leads wait."""
    await campaign_rest.keep(fleet)
    async with fleet.db.connection() as db:
        found = await campaigns.every(db, states=("running", "completed"))
    return [await _one(fleet, each) for each in found if each.state == "running" or await _goes_on(fleet, each)]


async def _one(fleet: Fleet, campaign: Campaign) -> Topped:
    try:
        async with fleet.db.connection() as db:
            campaign = await campaigns.need(db, campaign.id)
        done = await push.push_ready(fleet, campaign)
    except NotAllowed as error:
        return Topped(campaign=campaign.name, reason="; ".join(error.reasons) or error.what)
    except (VendorError, Busy) as error:
        return Topped(campaign=campaign.name, reason=error.coded)
    return Topped(campaign=campaign.name, added=done.added, refused=done.refused)


async def _goes_on(fleet: Fleet, campaign: Campaign) -> bool:
    """Completed means that every lead was through, not that anybody stopped it: with new leads it goes on."""
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        waiting = (await campaign_leads.progress(db, campaign.id, campaign.client_id, shared=False)).waiting
        if not waiting or await holds.over_campaign(db, campaign.id, "sending"):
            return False
        if await campaigns.move(db, campaign, "running", now) is None:
            return False
        await transitions.record(
            db, entity="campaign", entity_id=str(campaign.id), from_state="completed", to_state="running",
            event="more_leads", reason=f"{waiting} leads wait", evidence={}, rule="campaign_batches",
            rule_version=fleet.policy.version, actor=fleet.actor, at=now,
        )  # fmt: skip
    return True
