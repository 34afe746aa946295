"""Everything that has to be true before a campaign starts, gathered once and judged by `rules.preflight`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailfleet.errors import VendorError
from mailfleet.rules import preflight as rules
from mailfleet.rules.plans import Change
from mailfleet.rules.preflight import Check, Facts, Leads, Mailbox
from mailfleet.rules.rendering import needed_fields
from mailfleet.services import campaign_capacity, campaign_hooks, campaign_plan
from mailfleet.services.campaign_parts import config_of
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_applies, campaign_leads, campaigns, clients, holds, ownership
from mailfleet.store.campaigns import Campaign, Sender
from mailfleet.store.database import Connection


async def preflight(fleet: Fleet, campaign_id: UUID) -> Sequence[Check]:
    """Every rule with what it found; nothing is changed anywhere."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        fleet = await fleet_of(fleet, campaign.client_id, db)
        facts = await _facts(fleet, db, campaign)
        open_ = await campaign_applies.unfinished(db, campaign_id)
    found = list(rules.preflight(config_of(campaign), facts, fleet.policy.send_limits))
    reasons = (
        [f"a change was begun on {open_.begun_at:%Y-%m-%d %H:%M} and not finished: apply it again"] if open_ else []
    )
    return [*found, _answer("change", reasons, "none is under way"), await _as_planned(fleet, campaign)]


async def _facts(fleet: Fleet, db: Connection, campaign: Campaign) -> Facts:
    client = await clients.find(db, str(campaign.client_id))
    legal = fleet.policy.legal
    return Facts(
        mailboxes=await _mailboxes(fleet, db, campaign),
        leads=await _leads(db, campaign),
        identity={key: str(value) for key, value in (client.identity if client else {}).items()},
        opens_allowed=legal.open_tracking_allowed,
        clicks_allowed=legal.click_tracking_allowed,
        holds=[hold.reason for hold in await holds.over_campaign(db, campaign.id, "sending")],
        webhooks=campaign_hooks.unreachable(fleet, fleet.platform(campaign.platform)),
    )


async def _mailboxes(fleet: Fleet, db: Connection, campaign: Campaign) -> list[Mailbox]:
    senders = await campaigns.senders(db, campaign.id)
    shares = {each.address: each.share for each in await campaign_capacity.staff(fleet, db, campaign)}
    others = await campaigns.wanted_elsewhere(db, [each.id for each in senders], campaign.id)
    standing = await holds.standing(db, kind="sending")
    return [
        _mailbox(
            campaign, each, shares[each.address], sum(others[each.id].values()), campaign_capacity.held(each, standing)
        )
        for each in senders
    ]


def _mailbox(campaign: Campaign, sender: Sender, share: int, others: int, held: str) -> Mailbox:
    return Mailbox(
        address=sender.address,
        state=sender.state,
        ours=sender.client_id == campaign.client_id,
        connected=sender.connected is not False and sender.ref is not None,
        verified=sender.domain_state in (None, "verified"),
        domain=sender.domain or "",
        share=share,
        others=others,
        name=sender.display_name,
        held=held.removeprefix("held: "),
    )


async def _leads(db: Connection, campaign: Campaign) -> Leads:
    alone = await campaigns.only_running(db, campaign.id)
    done = await campaign_leads.progress(db, campaign.id, campaign.client_id, shared=True)
    needed = sorted(needed_fields(config_of(campaign)))
    empty, examples = await campaign_leads.empty_fields(db, campaign.id, campaign.client_id, needed, shared=alone)
    live = await ownership.live_count(db, campaign.id)
    return Leads(waiting=done.waiting, live=live, empty=empty, examples=examples)


async def _as_planned(fleet: Fleet, campaign: Campaign) -> Check:
    """What somebody changed at the platform's screen is told before it is started with."""
    try:
        plan = await campaign_plan.stored(fleet, campaign)
    except VendorError as error:
        return _answer("platform", [f"it cannot be read: {error.what}"], "")
    # Without a mailbox named, those that came or went since are the next plan's business.
    changed = [each for each in plan.changes if each.kind == "drift" or each.part not in ("mailboxes", "settings")]
    return _answer("platform", [_differs(each) for each in changed], "as it was put there")


def _differs(change: Change) -> str:
    if change.kind == "drift":
        return f"{change.field} was changed there"
    return f"{change.field} is not what its file and its client say now: plan and apply it"


def _answer(name: str, reasons: Sequence[str], found: str) -> Check:
    return Check(name=name, ok=not reasons, detail="; ".join(reasons) or found, reasons=tuple(reasons))
