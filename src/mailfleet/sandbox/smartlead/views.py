"""The master inbox as lists: one row per lead in a campaign with what was said, chosen by view.

Paths are documented, the rows only so far that each has `email_history[]` (smartlead: master-inbox).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.exits import set_category
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, number, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.inbox import said_so_far
from mailfleet.sandbox.smartlead.leads import moment_in, resume_lead
from mailfleet.sandbox.smartlead.state import LeadMap, categories, rest_time, smartlead
from mailfleet.sandbox.world import World

_RECENT = timedelta(days=7)
VIEWS: dict[str, Callable[[World, LeadMap], bool]] = {
    "inbox-replies": lambda world, item: item.replied,
    "unread-replies": lambda world, item: item.replied and not item.read,
    "sent": lambda world, item: bool(item.sent),
    "important": lambda world, item: item.replied and item.category_id in _interesting(world),
    "scheduled": lambda world, item: item.status == "INPROGRESS" and item.due is not None,
    "snoozed": lambda world, item: item.resting_until is not None and item.resting_until > world.now,
    "reminders": lambda world, item: item.reminder is not None,
    "archived": lambda world, item: item.replied and item.status in ("STOPPED", "BLOCKED") and item.read,
    "assigned-me": lambda world, item: item.replied and _owners(world, item),
    "views": lambda world, item: item.replied,
}
LIST: dict[str, Rule] = {
    "offset": number(low=0),
    "limit": number(low=1, high=20),
    "filters": Rule(kind="object"),
    "sortBy": text(),
}
_WHICH = number(required=True)
READ: dict[str, Rule] = {"email_lead_map_id": _WHICH, "read_status": flag(required=True)}
CATEGORY: dict[str, Rule] = {
    "email_lead_map_id": _WHICH,
    "category_id": Rule(kind="integer", required=True),
}
REVENUE: dict[str, Rule] = {"email_lead_map_id": _WHICH, "revenue": Rule(kind="number", required=True, low=0)}
RESUME: dict[str, Rule] = {"email_lead_map_id": _WHICH, "resume_delay_days": number(low=0, high=3650)}
REMINDER: dict[str, Rule] = {"email_lead_map_id": _WHICH, "reminder_time": text(required=True), "message": text()}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Everything under /master-inbox but notes and tasks."""
    table: tuple[tuple[str, str, Callable[[Ask], Any]], ...] = (
        *(("POST", f"/{name}", partial(view, wanted=wanted)) for name, wanted in VIEWS.items()),
        ("GET", "/untracked-replies", untracked),
        ("GET", "/reply-status", reply_status),
        ("GET", "/{map_id}", lambda ask: {"ok": True, "data": row(_of_path(ask))}),
        ("PATCH", "/change-read-status", read),
        ("PATCH", "/update-category", category),
        ("PATCH", "/update-revenue", revenue),
        ("PATCH", "/resume-lead", resume),
        ("POST", "/set-reminder", remind),
    )
    return [
        entry for method, path, answer in table for entry in route(world, limit, method, f"/master-inbox{path}", answer)
    ]


def _interesting(world: World) -> set[int]:
    return {categories(world)[name] for name in ("Interested", "Meeting Request")}


def _owners(world: World, item: LeadMap) -> bool:
    """Whether the owner looks after it: given to the owner, or to nobody and written to lately."""
    if item.member is not None:
        return item.member == smartlead(world).user_id
    return item.sent[-1].at > world.now - _RECENT


def row(item: LeadMap) -> dict[str, Any]:
    """A conversation; some of its numbers are text here and nowhere else."""
    last = next((entry for entry in reversed(item.messages) if entry.type == "REPLY"), None)
    return {
        "email_lead_map_id": str(item.id),
        "email_lead_id": str(item.lead.id),
        "email_campaign_id": item.campaign.id,
        "email_campaign_name": item.campaign.name,
        "lead_email": item.lead.email,
        "lead_first_name": item.lead.fields.get("first_name"),
        "lead_last_name": item.lead.fields.get("last_name"),
        "lead_category_id": item.category_id,
        "lead_status": item.status,
        "email_account_id": item.mailbox.id if item.mailbox else None,
        "last_sent_time": rest_time(item.sent[-1].at) if item.sent else None,
        "last_reply_time": rest_time(last.at) if last else None,
        "has_new_unread_email": item.replied and not item.read,
        "revenue": item.revenue,
        "email_history": said_so_far(item),
    }


def view(ask: Ask, wanted: Callable[[World, LeadMap], bool]) -> dict[str, Any]:
    """The conversations of a view, latest first."""
    given = ask.body(LIST)
    ask.known("fetch_message_history")
    offset, most = int(given.get("offset") or 0), int(given.get("limit") or 20)
    found = [
        item for campaign in ask.vendor.campaigns.values() for item in campaign.maps.values() if wanted(ask.world, item)
    ]
    found.sort(key=lambda item: item.messages[-1].at if item.messages else item.created_at, reverse=True)
    return {"ok": True, "data": [row(item) for item in found[offset : offset + most]], "offset": offset, "limit": most}


def untracked(ask: Ask) -> dict[str, Any]:
    """Replies of people no campaign wrote to; nobody here does that."""
    ask.known("offset", "limit", "fetchBody", "fetchAttachments")
    return {
        "ok": True,
        "data": [],
        "offset": ask.number("offset", 0, 10**9, 0),
        "limit": ask.number("limit", 1, 20, 20),
    }


def reply_status(ask: Ask) -> dict[str, Any]:
    """How many conversations have an answer, and how many of those nobody read."""
    held = [item for campaign in ask.vendor.campaigns.values() for item in campaign.maps.values() if item.replied]
    return {"ok": True, "data": {"replied": len(held), "unread": sum(not item.read for item in held)}}


def conversation(ask: Ask, number_: int) -> LeadMap:
    """A conversation by the lead's number in its campaign. Raises Refusal."""
    for campaign in ask.vendor.campaigns.values():
        if number_ in campaign.maps:
            return campaign.maps[number_]
    raise failed(f"Email lead map id - {number_} not found.", 404)


def _of_path(ask: Ask) -> LeadMap:
    return conversation(ask, whole(ask.path["map_id"]))


def read(ask: Ask) -> dict[str, Any]:
    """Marks a conversation as read or unread."""
    given = ask.body(READ)
    conversation(ask, given["email_lead_map_id"]).read = given["read_status"]
    return {"success": True, "message": "Read status updated"}


def category(ask: Ask) -> dict[str, Any]:
    """Gives the lead a category."""
    given = ask.body(CATEGORY)
    if given["category_id"] is not None and given["category_id"] not in categories(ask.world).values():
        raise failed(f"Invalid category - {given['category_id']}")
    set_category(ask.world, conversation(ask, given["email_lead_map_id"]), given["category_id"])
    return {"success": True, "message": "Category updated"}


def revenue(ask: Ask) -> dict[str, Any]:
    """Notes what a lead was worth."""
    given = ask.body(REVENUE)
    conversation(ask, given["email_lead_map_id"]).revenue = given["revenue"]
    return {"success": True, "message": "Revenue updated"}


def resume(ask: Ask) -> dict[str, Any]:
    """Goes on with a lead."""
    given = ask.body(RESUME)
    item = conversation(ask, given["email_lead_map_id"])
    resume_lead(ask.world, item, int(given.get("resume_delay_days") or 0))
    return {"success": True, "message": "Lead resumed"}


def remind(ask: Ask) -> dict[str, Any]:
    """Sets a reminder."""
    given = ask.body(REMINDER)
    conversation(ask, given["email_lead_map_id"]).reminder = moment_in(given["reminder_time"], "reminder_time")
    return {"success": True, "message": "Reminder set"}
