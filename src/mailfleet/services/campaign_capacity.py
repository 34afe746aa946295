"""What a campaign can send, from what is known here: its staff today, its leads, and room for more of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from mailfleet.rules import capacity as rules
from mailfleet.rules import limits, schedule
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.capacity import Capacity, Staff, Work
from mailfleet.services.campaign_parts import config_of, new_leads
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_leads, campaigns, holds, mailboxes
from mailfleet.store.campaigns import Campaign, Sender
from mailfleet.store.database import Connection
from mailfleet.store.holds import Hold


async def of(fleet: Fleet, campaign: Campaign) -> Capacity:
    async with fleet.db.connection() as db:
        fleet = await fleet_of(fleet, campaign.client_id, db)
        people = await staff(fleet, db, campaign)
        alone = await campaigns.only_running(db, campaign.id)
        done = await campaign_leads.progress(db, campaign.id, campaign.client_id, shared=alone)
        config = await _paced(db, campaign)
    today = schedule.local_day(config.schedule.timezone, fleet.clock.now())
    reached = {int(step): n for step, n in done.reached.items() if int(step) > 0}
    return rules.capacity(config, people, Work(waiting=done.waiting + done.unbegun, reached=reached), today=today)


async def _paced(db: Connection, campaign: Campaign) -> CampaignConfig:
    """Its configuration with the new leads a day that the safeguards leave it (S1)."""
    config = config_of(campaign)
    most = new_leads(config, await campaigns.factor(db, campaign.id))
    return msgspec.structs.replace(config, max_new_leads_per_day=most)


async def staff(fleet: Fleet, db: Connection, campaign: Campaign) -> Sequence[Staff]:
    """Its mailboxes as they can send now, each with its part for this campaign, as the day's budget has it."""
    standing = [hold for hold in await holds.standing(db, kind="sending") if hold.scope in ("mailbox", "domain")]
    factor = await campaigns.factor(db, campaign.id)
    mine = limits.Ask(
        campaign=str(campaign.id),
        wanted=config_of(campaign).daily_per_mailbox,
        factor=factor,
        platform=campaign.platform,
        window=config_of(campaign).schedule,
    )
    found: list[Staff] = []
    for each in await campaigns.senders(db, campaign.id):
        asks = [limits.Ask(**msgspec.structs.asdict(ask)) for ask in await mailboxes.asks(db, each.id)]
        others = [ask for ask in asks if ask.campaign != mine.campaign]
        found.append(_one(fleet, each, [*others, mine], standing))
    return found


def _one(fleet: Fleet, sender: Sender, asks: Sequence[limits.Ask], standing: Sequence[Hold]) -> Staff:
    """The last of `asks` is this campaign's."""
    day = schedule.local_day(sender.timezone, fleet.clock.now())
    rule, factor = fleet.policy.send_limits, sender.limit_factor
    plan = limits.day_plan(rule, "PRODUCTION", 0, asks, timezone=sender.timezone, day=day, factor=factor)
    why = unable(sender, standing)
    cap, share = plan.budget.campaign_cap // plan.spread, plan.shares[asks[-1].campaign]
    return Staff(address=sender.address, able=not why, cap=cap, share=share, why=why)


def unable(sender: Sender, standing: Sequence[Hold]) -> str:
    """Why this mailbox sends nothing; empty when it can."""
    if sender.state != "PRODUCTION":
        return f"it is {sender.state}, not PRODUCTION"
    if sender.connected is False or sender.ref is None:
        return "it is not connected at the platform"
    return held(sender, standing)


def held(sender: Sender, standing: Sequence[Hold]) -> str:
    reach = {("mailbox", str(sender.id)), ("domain", str(sender.domain_id))}
    return next((f"held: {hold.reason}" for hold in standing if (hold.scope, hold.scope_id) in reach), "")


async def room(fleet: Fleet, db: Connection, campaign: Campaign) -> int:
    """Leads to add now: the platform then has what it can begin on its next sending day, and no more."""
    config, now = await _paced(db, campaign), fleet.clock.now()
    today = schedule.local_day(config.schedule.timezone, now)
    # After today's closing the leads added now are tomorrow's.
    open_today = rules.sends_on(config, today) and schedule.left_slots(config.schedule, now, 1) > 0
    day = today if open_today else rules.next_day(config, today + timedelta(days=1))
    if day is None:
        return 0
    people = await staff(await fleet_of(fleet, campaign.client_id, db), db, campaign)
    done = await campaign_leads.progress(db, campaign.id, campaign.client_id, shared=False)
    since, _ = schedule.day_bounds(config.schedule.timezone, today)
    begun = await campaign_leads.begun_since(db, campaign.id, since) if open_today else 0
    return rules.room(config, people, begun_today=begun, waiting_there=done.unbegun, day=day)


async def shortage(fleet: Fleet, db: Connection, campaign: Campaign) -> str:
    """Why it is below its floor; empty when enough of its mailboxes can send (S12a)."""
    config = config_of(campaign)
    able = sum(1 for each in await staff(fleet, db, campaign) if each.able)
    # The policy's own floor is kept by `staffing`; this is the one a campaign sets for itself.
    if able >= config.minimum_mailboxes or config.minimum_mailboxes == 1:
        return ""
    return f"{able} of its mailboxes can send, at least {config.minimum_mailboxes} are needed"
