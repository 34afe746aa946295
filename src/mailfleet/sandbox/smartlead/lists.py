"""Smartlead's lead lists, and moving leads between lists and campaigns (smartlead: lead-list)."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.smartlead.add import MOST_ROWS, ROW, attach, known_or_new
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, group, many, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.leads import remove
from mailfleet.sandbox.smartlead.state import Campaign, Lead, LeadList, rest_time
from mailfleet.sandbox.world import World

_MOST_TAGGED = 10
_FLAGS = group(
    {
        "ignore_global_block_list": flag(),
        "ignore_unsubscribe_list": flag(),
        "ignore_community_bounce_list": flag(),
        "ignore_duplicate_leads_in_other_campaign": flag(),
    }
)
_WHICH = group({"listId": number(), "leadIds": many(number()), "allLeads": flag()}, required=True)
IMPORT: dict[str, Rule] = {"lead_list": many(group(ROW), required=True, most=MOST_ROWS), "settings": _FLAGS}
NAME: dict[str, Rule] = {"listName": text(required=True)}
ASSIGN: dict[str, Rule] = {
    "leadListIds": many(number(required=True), required=True, most=_MOST_TAGGED),
    "tagIds": many(number(required=True), required=True),
}
PUSH: dict[str, Rule] = {
    "campaignId": number(),
    "campaignName": text(),
    "action": text(required=True, options=("copy", "move")),
    "leadList": _WHICH,
}
BETWEEN: dict[str, Rule] = {
    "fromListId": number(),
    "toListId": number(required=True),
    "action": text(options=("copy", "move")),
    "leadIds": many(number()),
    "allLeads": flag(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Lead lists."""
    one = "/lead-list/{list_id}"
    table = (
        ("GET", "/lead-list", listed),
        ("POST", "/lead-list", create),
        ("POST", "/lead-list/assign-tags", assign),
        ("GET", one, lambda ask: {"success": True, "data": shown(ask, _list(ask))}),
        ("PUT", one, rename),
        ("DELETE", one, delete),
        ("POST", one + "/import", take),
        ("POST", "/leads/push-to-campaign", to_campaign),
        # The doubled segment is the vendor's; its command line speaks of the other.
        ("POST", "/leads/leads/push-between-lists", between_lists),
        ("POST", "/leads/push-to-list", between_lists),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def shown(ask: Ask, held: LeadList) -> dict[str, Any]:
    """A list as reads show it."""
    return {
        "id": held.id,
        "list_name": held.name,
        "created_at": rest_time(held.created_at),
        "lead_count": len(_members(ask, held.id)),
        "tags": [ask.vendor.tags[tag] for tag in held.tag_ids if tag in ask.vendor.tags],
    }


def _members(ask: Ask, number_: int) -> list[Lead]:
    return [lead for lead in ask.vendor.leads.values() if number_ in lead.lists]


def _list(ask: Ask) -> LeadList:
    return _held(ask, whole(ask.path["list_id"]))


def _held(ask: Ask, number_: int) -> LeadList:
    found = ask.vendor.lists.get(number_)
    if found is None:
        raise failed(f"Lead list id - {number_} not found.", 404)
    return found


def listed(ask: Ask) -> dict[str, Any]:
    """All lists."""
    ask.known("offset", "limit", "search")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 1000, 10)
    part = ask.query.get("search", "").lower()
    found = [held for held in ask.vendor.lists.values() if part in held.name.lower()]
    page = [shown(ask, held) for held in found[offset : offset + most]]
    return {"success": True, "data": page, "total": len(found)}


def create(ask: Ask) -> dict[str, Any]:
    """An empty list."""
    name = ask.body(NAME)["listName"]
    held = LeadList(ask.vendor.new_id("list"), name, ask.world.now)
    ask.vendor.lists[held.id] = held
    return {"success": True, "data": shown(ask, held)}


def rename(ask: Ask) -> dict[str, Any]:
    """Another name."""
    held = _list(ask)
    held.name = ask.body(NAME)["listName"]
    return {"success": True, "data": shown(ask, held)}


def delete(ask: Ask) -> dict[str, Any]:
    """Removes a list; its leads stay where else they are."""
    held = _list(ask)
    for lead in _members(ask, held.id):
        lead.lists.discard(held.id)
    del ask.vendor.lists[held.id]
    return {"success": True, "message": "Lead list deleted successfully"}


def assign(ask: Ask) -> dict[str, Any]:
    """Puts tags on lists."""
    given = ask.body(ASSIGN)
    for tag in given["tagIds"]:
        if tag not in ask.vendor.tags:
            raise failed(f"Tag id - {tag} not found.")
    held = [_held(ask, number_) for number_ in given["leadListIds"]]
    for entry in held:
        entry.tag_ids = list(dict.fromkeys([*entry.tag_ids, *given["tagIds"]]))
    return {"success": True, "message": "Tags assigned successfully"}


def take(ask: Ask) -> dict[str, Any]:
    """Takes leads into a list; those of the block list are left out unless that is switched off."""
    held, given = _list(ask), ask.body(IMPORT)
    flags = given.get("settings") or {}
    rows: list[dict[str, Any]] = given["lead_list"]
    if ask.world.state.get("partial_batch"):
        rows = rows[: len(rows) // 2]
    added, blocked, invalid = 0, 0, list[str]()
    for row in rows:
        lead = known_or_new(ask, row, ignore_blocks=bool(flags.get("ignore_global_block_list")))
        if isinstance(lead, Lead):
            added += held.id not in lead.lists
            lead.lists.add(held.id)
        elif lead == "blocked":
            blocked += 1
        else:
            invalid.append(str(row["email"]))
    return {
        "success": True,
        "upload_count": len(rows),
        "total_leads": added,
        "block_count": blocked,
        "invalid_email_count": len(invalid),
        "invalid_emails": invalid,
    }


def _chosen(ask: Ask, given: dict[str, Any], source: int | None) -> list[Lead]:
    if given.get("leadIds"):
        missing = [number_ for number_ in given["leadIds"] if number_ not in ask.vendor.leads]
        if missing:
            raise failed(f"Lead id - {missing[0]} not found.")
        return [ask.vendor.leads[number_] for number_ in given["leadIds"]]
    if source is not None:
        return _members(ask, _held(ask, source).id)
    if given.get("allLeads"):
        return list(ask.vendor.leads.values())
    raise said('"leadList" must contain at least one of [listId, leadIds, allLeads]')


def _target(ask: Ask, given: dict[str, Any]) -> Campaign:
    if given.get("campaignId") is not None:
        found = ask.vendor.campaigns.get(given["campaignId"])
    else:
        named = [item for item in ask.vendor.campaigns.values() if item.name == given.get("campaignName")]
        found = named[0] if named else None
    if found is None:
        raise failed("Campaign not found - Invalid campaign_id.", 404)
    return found


def to_campaign(ask: Ask) -> dict[str, Any]:
    """Puts leads into a campaign; `move` takes them out of the list they came from."""
    given = ask.body(PUSH)
    campaign, which = _target(ask, given), given["leadList"]
    added = 0
    for lead in _chosen(ask, which, which.get("listId")):
        if campaign.id not in lead.maps and not lead.unsubscribed and not ask.vendor.blocks_address(lead.email):
            attach(ask.world, campaign, lead, ask.vendor.new_id("map"))
            added += 1
        if given["action"] == "move" and which.get("listId") is not None:
            lead.lists.discard(which["listId"])
    return {"success": True, "message": "Leads pushed successfully", "data": {"total_leads": added}}


def between_lists(ask: Ask) -> dict[str, Any]:
    """Puts leads of one list into another."""
    given = ask.body(BETWEEN)
    target, source = _held(ask, given["toListId"]), given.get("fromListId")
    moved = _chosen(ask, given, source)
    for lead in moved:
        lead.lists.add(target.id)
        if given.get("action") == "move" and source is not None and source != target.id:
            lead.lists.discard(source)
            remove(ask.vendor, lead)
    return {"success": True, "message": "Leads pushed successfully", "data": {"total_leads": len(moved)}}
