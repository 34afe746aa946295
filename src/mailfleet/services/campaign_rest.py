"""Rests that the machine makes and ends by itself: public holidays, and too few mailboxes that can send (S12a).

A rest is no hold: a hold of anybody's beside it stays what it is, and then the campaign does not go on (I7).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from mailfleet.errors import VendorError
from mailfleet.rules import capacity, schedule
from mailfleet.services import campaign_capacity, holds
from mailfleet.services.campaign_parts import both, config_of
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, transitions
from mailfleet.store.campaigns import Campaign

HOLIDAY, SHORT = "public holiday: ", "too few mailboxes: "
AHEAD = timedelta(minutes=20)
"""A rest begins so long before its day: who keeps them comes every few minutes, and a campaign may send at
midnight."""


async def keep(fleet: Fleet, only: UUID | None = None) -> dict[str, Sequence[str]]:
    """`{rested, went_on, unconfirmed}`: campaigns by name. Read at the platform until it shows that they rest."""
    async with fleet.db.connection() as db:
        found = await campaigns.every(db, states=("running", "paused"))
    told: dict[str, list[str]] = {"rested": [], "went_on": [], "unconfirmed": []}
    for campaign in (each for each in found if only in (None, each.id)):
        resting = _resting(campaign)
        if campaign.state == "paused" and not resting:
            continue
        reason = await _reason(fleet, campaign)
        if reason and await _rest(fleet, campaign, reason):
            told["unconfirmed"].append(campaign.name)
        if reason and not resting:
            told["rested"].append(campaign.name)
        elif resting and not reason:
            await holds.resume(fleet, campaign.id)
            told["went_on"].append(campaign.name)
    return dict(told)


def _resting(campaign: Campaign) -> bool:
    return campaign.state == "paused" and campaign.pause_reason.startswith((HOLIDAY, SHORT))


async def _reason(fleet: Fleet, campaign: Campaign) -> str:
    config, now = config_of(campaign), fleet.clock.now()
    for at in (now, now + AHEAD):
        if found := capacity.holiday_of(config, schedule.local_day(config.schedule.timezone, at)):
            return HOLIDAY + found
    async with fleet.db.connection() as db:
        short = await campaign_capacity.shortage(await fleet_of(fleet, campaign.client_id, db), db, campaign)
    return SHORT + short if short else ""


async def _rest(fleet: Fleet, campaign: Campaign, reason: str) -> bool:
    """Writes it first, pauses at the platform, reads back; True while the platform does not show it."""
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        if await campaigns.pause_for(db, campaign.id, by="machine", reason=reason, at=now):
            await transitions.record(
                db, entity="campaign", entity_id=str(campaign.id), from_state="running", to_state="paused",
                event="rest", reason=reason, evidence={}, rule="campaign_rest", rule_version=fleet.policy.version,
                actor=fleet.actor, at=now,
            )  # fmt: skip
    try:
        fleet, campaign, ref = await both(fleet, campaign.id)
        platform = fleet.platform(campaign.platform)
        if (await platform.campaign(ref)).state != "running":
            return False
        await platform.pause_campaign(ref)
        return (await platform.campaign(ref)).state == "running"
    except VendorError:
        return True
