"""Why a campaign is not sending now: every reason, the outermost first, each with what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from mailfleet.errors import VendorError
from mailfleet.rules import capacity as rules
from mailfleet.rules import schedule
from mailfleet.services import campaign_capacity, campaign_hooks, campaign_plan
from mailfleet.services.campaign_parts import config_of
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_applies, campaign_leads, campaigns, holds, links
from mailfleet.store.campaigns import Campaign


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """`stops`: nothing is sent while it stands; else it only holds some of it back."""

    what: str
    next: str
    stops: bool = True


async def explain(fleet: Fleet, campaign_id: UUID) -> list[Reason]:
    """Empty when it sends now, as far as can be seen."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        fleet = await fleet_of(fleet, campaign.client_id, db)
    found = [each async for each in _here(fleet, campaign)]
    return found + [each async for each in _there(fleet, campaign)]


async def _here(fleet: Fleet, campaign: Campaign) -> AsyncIterator[Reason]:
    async with fleet.db.connection() as db:
        standing = await holds.over_campaign(db, campaign.id, "sending")
        closed = await holds.over_campaign(db, campaign.id, "new_leads", least=fleet.policy.bounce_actions.least_free)
        open_ = await campaign_applies.unfinished(db, campaign.id)
        people = await campaign_capacity.staff(fleet, db, campaign)
        alone = await campaigns.only_running(db, campaign.id)
        done = await campaign_leads.progress(db, campaign.id, campaign.client_id, shared=alone)
    if campaign.state != "running":
        yield _state(campaign)
    for hold in standing:
        yield Reason(
            what=f"{hold.actor_kind} {hold.actor} holds it: {hold.reason}", next=_release(campaign, hold.scope)
        )
    if open_:
        yield Reason(what="a change was begun and not finished", next="run `mailfleet campaign apply` again")
    for reason in _closed_now(fleet, campaign):
        yield reason
    able = [each for each in people if each.able]
    for each in people:
        if not each.able:
            yield Reason(
                what=f"{each.address} does not send: {each.why}", next="`mailfleet mailbox list`", stops=not able
            )
    if not people:
        yield Reason(what="it has no mailbox", next="name some in its file, then plan and apply")
    if not done.live and not done.waiting:
        yield Reason(what="no lead waits and none is in its sequence", next="`mailfleet lead import`")
    for hold in closed:
        yield Reason(what=f"it takes no new leads: {hold.reason}", next="", stops=not done.live)


def _state(campaign: Campaign) -> Reason:
    if campaign.state == "paused":
        who = f"a {campaign.paused_by}" if campaign.paused_by == "person" else f"the {campaign.paused_by}"
        return Reason(what=f"{who} paused it: {campaign.pause_reason}", next="`mailfleet campaign resume`")
    nexts = {"draft": "`mailfleet campaign start`", "completed": "add leads; the daily run starts it again"}
    return Reason(what=f"it is {campaign.state}", next=nexts.get(campaign.state, "nothing: it was put away"))


def _release(campaign: Campaign, scope: str) -> str:
    return "`mailfleet campaign resume`" if scope == "campaign" else f"release the hold on its {scope}"


def _closed_now(fleet: Fleet, campaign: Campaign) -> list[Reason]:
    config, now = config_of(campaign), fleet.clock.now()
    today = schedule.local_day(config.schedule.timezone, now)
    day = rules.next_day(config, today)
    name = rules.holiday_of(config, today)
    if name:
        return [Reason(what=f"today is {name}", next=f"it goes on on {day}")]
    if schedule.is_open(config.schedule, now):
        return []
    opens = schedule.next_send(config.schedule, now)
    when = f"{opens:%Y-%m-%d %H:%M} UTC" if opens else "never"
    return [Reason(what=f"its hours are closed in {config.schedule.timezone}", next=f"they open at {when}")]


async def _there(fleet: Fleet, campaign: Campaign) -> AsyncIterator[Reason]:
    platform = fleet.platform(campaign.platform)
    async with fleet.db.connection() as db:
        ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign.id)
    if ref is None:
        yield Reason(what=f"it is not at {campaign.platform}", next="`mailfleet campaign apply`")
        return
    try:
        seen = (await platform.campaign(ref)).state
        if campaign.state == "running" and seen != "running":
            yield Reason(
                what=f"{campaign.platform} shows it as {seen}", next="the next sync takes that in, then resume it"
            )
        for change in (await campaign_plan.stored(fleet, campaign)).drift:
            yield Reason(
                what=f"{change.field} was changed at {campaign.platform}", next="`mailfleet campaign plan`", stops=False
            )
        for problem in (
            (await campaign_hooks.check(fleet, campaign.id)).problems if platform.capabilities.webhooks else ()
        ):
            yield Reason(what=f"its webhook: {problem}", next="`mailfleet campaign webhook repair`", stops=False)
    except VendorError as error:
        yield Reason(what=f"{campaign.platform} cannot be read: {error.what}", next="`mailfleet doctor`", stops=False)
