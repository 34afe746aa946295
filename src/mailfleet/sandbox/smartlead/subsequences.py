"""Subsequences: campaigns below another, into which single leads are moved (smartlead: campaigns, inbox)."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.exits import stop
from mailfleet.sandbox.smartlead.add import attach
from mailfleet.sandbox.smartlead.campaigns import drafted
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, many, number, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.state import Campaign, Lead, rest_time
from mailfleet.sandbox.smartlead.views import conversation
from mailfleet.sandbox.world import World

CREATE: dict[str, Rule] = {
    "parent_campaign_id": number(required=True),
    "subsequence_name": text(),
    "condition_events": many(Rule()),
}
PUSH: dict[str, Rule] = {
    "email_lead_map_id": number(required=True),
    "sub_sequence_id": number(required=True),
    "sub_sequence_delay_time": number(low=0, high=10**8),
    "stop_lead_on_parent_campaign_reply": flag(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Making one, and moving a lead into one."""
    table = (
        ("POST", "/campaigns/create-subsequence", create),
        ("POST", "/master-inbox/push-to-subsequence", push),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def create(ask: Ask) -> dict[str, Any]:
    """A draft below a campaign, with its mailboxes and hours; the number goes under both published names."""
    given = ask.body(CREATE)
    parent = ask.vendor.campaigns.get(given["parent_campaign_id"])
    if parent is None:
        raise failed("Campaign not found - Invalid campaign_id.", 404)
    made = drafted(ask, given.get("subsequence_name") or f"Subsequence of {parent.name}", parent.client_id)
    made.parent_id, made.mailboxes = parent.id, dict(parent.mailboxes)
    made.schedule, made.min_gap, made.max_new = parent.schedule, parent.min_gap, parent.max_new
    return {"ok": True, "success": True, "id": made.id, "subsequence_id": made.id}


def push(ask: Ask) -> dict[str, Any]:
    """Ends a lead in the campaign above and begins it below, after so many seconds."""
    given = ask.body(PUSH)
    item = conversation(ask, given["email_lead_map_id"])
    child = ask.vendor.campaigns.get(given["sub_sequence_id"])
    if child is None or child.parent_id != item.campaign.id:
        raise failed(f"Subsequence not found - {given['sub_sequence_id']}.", 404)
    begins = ask.world.now + timedelta(seconds=int(given.get("sub_sequence_delay_time") or 0))
    stop(item, "COMPLETED")
    if child.id not in item.lead.maps:
        ask.world.at(begins, partial(_begin, ask.world, child, item.lead, ask.vendor.new_id("map")))
    data = {
        "email_lead_map_id": item.id,
        "parent_campaign_id": item.campaign.id,
        "sub_sequence_id": child.id,
        "will_start_at": rest_time(begins),
        "stop_on_parent_reply": bool(given.get("stop_lead_on_parent_campaign_reply")),
    }
    return {"success": True, "message": "Lead pushed to subsequence successfully", "data": data}


def _begin(world: World, child: Campaign, lead: Lead, number_: int) -> None:
    if child.id not in lead.maps:
        attach(world, child, lead, number_)
