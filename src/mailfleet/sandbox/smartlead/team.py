"""Who of the team looks after a campaign or a lead, and which mailbox writes to it (smartlead: campaigns, inbox)."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.send import enqueue
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, number
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.state import rest_time
from mailfleet.sandbox.smartlead.views import conversation
from mailfleet.sandbox.world import World

OF_CAMPAIGN: dict[str, Rule] = {"teamMemberId": number()}
OF_LEAD: dict[str, Rule] = {"email_lead_map_id": number(required=True), "team_member_id": number(required=True)}
MOVE: dict[str, Rule] = {
    "email_account_id": number(required=True),
    "email_campaign_id": number(required=True),
    "email_lead_id": number(required=True),
    "override_lead_email_account": flag(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Members of the team, and the mailbox of a lead."""
    table = (
        ("POST", "/campaigns/{campaign_id}/team-member", of_campaign),
        ("POST", "/master-inbox/update-team-member", of_lead),
        ("POST", "/campaigns/update-lead-email-account", move),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def _member(ask: Ask, number_: int | None) -> int | None:
    """The team of the sandbox's account is its owner and two others."""
    if number_ is not None and not ask.vendor.user_id <= number_ < ask.vendor.user_id + 3:
        raise failed(f"Team member not found with ID {number_}", 404)
    return number_


def of_campaign(ask: Ask) -> dict[str, Any]:
    """Gives a campaign to a member; null takes it back."""
    campaign = ask.campaign
    campaign.settings["team_member_id"] = _member(ask, ask.body(OF_CAMPAIGN).get("teamMemberId"))
    return {"success": True, "message": "Team member updated"}


def of_lead(ask: Ask) -> dict[str, Any]:
    """Gives a lead of a campaign to a member; it shows in the view of what is assigned to the owner."""
    given = ask.body(OF_LEAD)
    item = conversation(ask, given["email_lead_map_id"])
    item.member = _member(ask, given["team_member_id"])
    data = {"email_lead_map_id": item.id, "team_member_id": item.member, "assigned_at": rest_time(ask.world.now)}
    return {"success": True, "message": "Team member assigned successfully", "data": data}


def move(ask: Ask) -> dict[str, Any]:
    """Lets another mailbox of the campaign write to a lead; one that has a mailbox only when that is forced."""
    given = ask.body(MOVE)
    campaign = ask.vendor.campaigns.get(given["email_campaign_id"])
    lead = ask.vendor.leads.get(given["email_lead_id"])
    if campaign is None:
        raise failed("Campaign not found - Invalid campaign_id.", 404)
    item = None if lead is None else lead.maps.get(campaign.id)
    if item is None:
        raise failed("Lead not found - Invalid lead_id.", 404)
    box = campaign.mailboxes.get(given["email_account_id"])
    if box is None:
        raise failed(f"Email account id - {given['email_account_id']} not allowed. Permission Error.")
    if item.mailbox not in (None, box) and not given.get("override_lead_email_account"):
        raise failed("Lead already has an email account.")
    item.mailbox = box
    if item.status == "INPROGRESS":
        item.version += 1
        enqueue(ask.world, item)
    return {"success": True, "message": "Lead email account updated"}
