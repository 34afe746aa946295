"""What people at the agency note about leads: tags, notes, tasks (smartlead: crm, master-inbox)."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.smartlead.check import Rule, failed, many, number, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.state import Lead, rest_time
from mailfleet.sandbox.smartlead.views import conversation
from mailfleet.sandbox.world import World

TAG: dict[str, Rule] = {"lead_id": number(required=True), "tag_ids": many(number(required=True), required=True)}
NOTE: dict[str, Rule] = {"email_lead_map_id": number(required=True), "note_message": text(required=True)}
TASK: dict[str, Rule] = {
    "email_lead_map_id": number(required=True),
    "name": text(required=True),
    "description": text(),
    "priority": text(options=("LOW", "MEDIUM", "HIGH")),
    "due_date": text(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Tags, notes and tasks of leads."""
    table = (
        ("GET", "/crm/leads/tags", tags),
        ("POST", "/crm/leads/tags", tag),
        ("DELETE", "/crm/leads/tags/{mapping_id}", untag),
        ("GET", "/crm/leads/notes/{lead_id}", lambda ask: {"success": True, "data": ask.lead.notes}),
        ("GET", "/crm/leads/tasks/{lead_id}", lambda ask: {"success": True, "data": ask.lead.tasks}),
        ("POST", "/master-inbox/create-note", note),
        ("POST", "/master-inbox/create-task", task),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def _shown(ask: Ask, lead: Lead) -> list[dict[str, Any]]:
    return [
        {"tag_mapping_id": mapping, "lead_id": lead.id, "tag": ask.vendor.tags[tag_id]}
        for mapping, tag_id in lead.tags.items()
        if tag_id in ask.vendor.tags
    ]


def tags(ask: Ask) -> dict[str, Any]:
    """Which lead has which tag."""
    ask.known("lead_id")
    wanted = ask.query.get("lead_id")
    rows = [
        entry
        for lead in ask.vendor.leads.values()
        if wanted is None or str(lead.id) == wanted
        for entry in _shown(ask, lead)
    ]
    return {"success": True, "data": rows}


def tag(ask: Ask) -> dict[str, Any]:
    """Puts tags on a lead."""
    given = ask.body(TAG)
    lead = ask.vendor.leads.get(given["lead_id"])
    if lead is None:
        raise failed("Lead not found - Invalid lead_id.", 404)
    for tag_id in given["tag_ids"]:
        if tag_id not in ask.vendor.tags:
            raise failed(f"Tag id - {tag_id} not found.")
    for tag_id in given["tag_ids"]:
        if tag_id not in lead.tags.values():
            lead.tags[ask.vendor.new_id("mapping")] = tag_id
    return {"success": True, "data": _shown(ask, lead)}


def untag(ask: Ask) -> dict[str, Any]:
    """Takes a tag off a lead."""
    mapping = whole(ask.path["mapping_id"])
    lead = next((entry for entry in ask.vendor.leads.values() if mapping in entry.tags), None)
    if lead is None:
        raise failed(f"Tag mapping id - {mapping} not found.", 404)
    del lead.tags[mapping]
    return {"success": True, "message": "Tag removed"}


def note(ask: Ask) -> dict[str, Any]:
    """Writes a note about a lead."""
    given = ask.body(NOTE)
    lead = conversation(ask, given["email_lead_map_id"]).lead
    made = {"id": ask.vendor.new_id("note"), "note": given["note_message"], "created_at": rest_time(ask.world.now)}
    lead.notes.append(made)
    return {"success": True, "data": made}


def task(ask: Ask) -> dict[str, Any]:
    """Gives somebody something to do about a lead."""
    given = ask.body(TASK)
    lead = conversation(ask, given.pop("email_lead_map_id")).lead
    made = {"id": ask.vendor.new_id("task"), **given, "status": "OPEN", "created_at": rest_time(ask.world.now)}
    lead.tasks.append(made)
    return {"success": True, "data": made}
