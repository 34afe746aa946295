"""Smartlead's leads: list, find, change, pause, resume, unsubscribe, categorise, delete, export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.exits import set_category, stop, unsubscribed, unsubscribed_here
from mailfleet.sandbox.engine.send import enqueue
from mailfleet.sandbox.smartlead.add import FIELDS, add
from mailfleet.sandbox.smartlead.check import Refusal, Rule, failed, flag, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.state import CATEGORIES, Lead, LeadMap, Smartlead, categories, category, rest_time
from mailfleet.sandbox.world import World

_STATES = ("STARTED", "INPROGRESS", "COMPLETED", "PAUSED", "STOPPED", "BLOCKED")
_EMAIL_STATES: dict[str, Callable[[LeadMap], bool]] = {
    "is_opened": lambda item: any(sent.opens for sent in item.sent),
    "is_clicked": lambda item: any(sent.clicks for sent in item.sent),
    "is_replied": lambda item: item.replied,
    "is_bounced": lambda item: item.bounced,
    "is_unsubscribed": lambda item: item.lead.unsubscribed or item.unsubscribed,
    "is_spam": lambda item: item.lead.spam,
    "is_accepted": lambda item: bool(item.sent) and not item.bounced,
    "not_replied": lambda item: bool(item.sent) and not item.replied,
    "is_sender_bounced": lambda item: any(sent.sender_bounced for sent in item.sent),
}
_EXPORTED = (
    "id", "campaign_lead_map_id", "status", "category", "is_interested", "created_at", "first_name", "last_name",
    "email", "phone_number", "company_name", "website", "location", "custom_fields", "linkedin_profile", "company_url",
    "is_unsubscribed", "unsubscribed_client_id_map", "last_email_sequence_sent", "open_count", "click_count",
    "reply_count",
)  # fmt: skip


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Leads in campaigns, and leads over all of them."""
    at, one = "/campaigns/{campaign_id}/leads", "/campaigns/{campaign_id}/leads/{lead_id}"
    table = (
        ("GET", "/campaigns/all-leads-activities", activities),
        ("GET", at, listed),
        ("POST", at, add),
        ("GET", "/campaigns/{campaign_id}/leads-export", export),
        ("POST", one, update),
        ("DELETE", one, delete),
        ("POST", one + "/pause", pause),
        ("POST", one + "/resume", resume),
        ("POST", one + "/unsubscribe", unsubscribe),
        ("POST", one + "/category", set_lead_category),
        ("POST", one + "/manual-complete", complete),
        ("GET", "/leads", by_email),
        ("GET", "/leads/fetch-categories", fetch_categories),
        ("GET", "/leads/global-leads", everyone),
        ("GET", "/leads/all", everyone_as_said_elsewhere),
        ("GET", "/leads/{lead_id}", by_id),
        ("GET", "/leads/{lead_id}/campaigns", campaigns_of),
        ("POST", "/leads/{lead_id}/unsubscribe", unsubscribe_everywhere),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def lead_fields(lead: Lead) -> dict[str, Any]:
    """A lead's own fields; those never given are null."""
    return {
        **{name: lead.fields.get(name) for name in FIELDS},
        "email": lead.email,
        "custom_fields": lead.fields.get("custom_fields", {}),
        "is_unsubscribed": lead.unsubscribed,
        "unsubscribed_client_id_map": {},
    }


def row(lead_map: LeadMap) -> dict[str, Any]:
    """An entry of the campaign's list."""
    return {
        "campaign_lead_map_id": lead_map.id,
        "lead_category_id": lead_map.category_id,
        "status": lead_map.status,
        "created_at": rest_time(lead_map.created_at),
        "lead": {"id": lead_map.lead.id, **lead_fields(lead_map.lead)},
    }


def listed(ask: Ask) -> dict[str, Any]:
    """The campaign's leads, filtered; `total_leads` is text and counts all that match."""
    campaign = ask.campaign
    ask.known(
        "offset", "limit", "status", "lead_category_id", "emailStatus", "created_at_gt", "last_sent_time_gt",
        "event_time_gt",
    )  # fmt: skip
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 100, 100)
    wanted = _filter(ask)
    everyone = campaign.maps.values()
    found = [item for item in everyone if all(check(item) for check in wanted)] if wanted else list(everyone)
    page = found[offset : offset + most]
    return {"total_leads": str(len(found)), "offset": offset, "limit": most, "data": [row(item) for item in page]}


def _filter(ask: Ask) -> list[Callable[[LeadMap], bool]]:
    query, checks = ask.query, list[Callable[[LeadMap], bool]]()
    state, email_state, number_ = (query.get(name) for name in ("status", "emailStatus", "lead_category_id"))
    if state:
        if state not in _STATES:
            raise said(f'"status" must be one of [{", ".join(_STATES)}]')
        checks.append(lambda item: item.status == state)
    if email_state:
        if email_state not in _EMAIL_STATES:
            raise said(f'"emailStatus" must be one of [{", ".join(_EMAIL_STATES)}]')
        checks.append(_EMAIL_STATES[email_state])
    if number_:
        checks.append(lambda item: str(item.category_id) == number_)
    for name, moment_of in (
        ("created_at_gt", _created),
        ("last_sent_time_gt", _last_sent),
        ("event_time_gt", _last_event),
    ):
        if name in query:
            checks.append(_later(moment_of, moment_in(query[name], name)))
    return checks


def _later(moment_of: Callable[[LeadMap], datetime | None], bound: datetime) -> Callable[[LeadMap], bool]:
    return lambda item: (moment := moment_of(item)) is not None and moment > bound


def _created(item: LeadMap) -> datetime | None:
    return item.created_at


def _last_sent(item: LeadMap) -> datetime | None:
    return item.sent[-1].at if item.sent else None


def _last_event(item: LeadMap) -> datetime | None:
    return max((at for at, _ in happened(item)), default=item.created_at)


def moment_in(given: str, name: str) -> datetime:
    """A date or date-time of a query, UTC unless it says otherwise. Raises Refusal."""
    try:
        moment = datetime.fromisoformat(given.strip().replace(" ", "T"))
    except ValueError:
        raise said(f'"{name}" must be in ISO 8601 date format') from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


CHANGES: dict[str, Rule] = {
    "email": text(required=True),
    **{name: Rule() if name == "phone_number" else text() for name in FIELDS},
    "custom_fields": Rule(kind="object"),
}


RESUME: dict[str, Rule] = {"resume_lead_with_delay_days": number(low=0, high=3650)}
CATEGORY: dict[str, Rule] = {"category_id": Rule(kind="integer", required=True), "pause_lead": flag()}


def update(ask: Ask) -> dict[str, Any]:
    """Changes a lead's global fields; custom fields are merged."""
    lead, given = ask.lead_map.lead, ask.body(CHANGES)
    if given["email"].strip().lower() != lead.email:
        raise failed("Email cannot be changed.")
    lead.fields |= {name: given[name] for name in FIELDS if name in given}
    lead.fields["custom_fields"] = {**lead.fields.get("custom_fields", {}), **(given.get("custom_fields") or {})}
    return {"ok": True}


def pause(ask: Ask) -> dict[str, Any]:
    """Holds a lead where it is."""
    ask.body({})
    lead_map = ask.lead_map
    stop(lead_map, "PAUSED")
    return {"ok": True, "data": "success"}


def resume(ask: Ask) -> dict[str, Any]:
    """Goes on with a lead that was paused or that a reply stopped, at once or after some days."""
    lead_map, given = ask.lead_map, ask.body(RESUME)
    resume_lead(ask.world, lead_map, int(given.get("resume_lead_with_delay_days") or 0))
    return {"ok": True, "data": "success"}


def resume_lead(world: World, lead_map: LeadMap, days: int) -> None:
    """Goes on with a lead. Raises Refusal after the last step."""
    if lead_map.campaign.step(lead_map.next_step) is None:
        raise Refusal(500, {"message": "This is the last sequence. You cannot resume this lead."})
    if lead_map.status in ("PAUSED", "STOPPED"):
        _resume(world, lead_map, days)


def _resume(world: World, lead_map: LeadMap, days: int) -> None:
    lead_map.status = "INPROGRESS" if lead_map.sent else "STARTED"
    lead_map.version += 1
    earliest = world.now + timedelta(days=days)
    lead_map.resting_until = earliest if days else None
    lead_map.due = earliest if days else max(world.now, lead_map.due or world.now)
    if lead_map.sent or not days:
        enqueue(world, lead_map)
        return
    number_ = lead_map.version
    world.at(earliest, lambda: enqueue(world, lead_map) if lead_map.version == number_ else None)


def delete(ask: Ask) -> dict[str, Any]:
    """Takes a lead out of a campaign; one that is in no other campaign disappears."""
    lead_map = ask.lead_map
    lead, campaign = lead_map.lead, lead_map.campaign
    lead_map.version += 1
    del campaign.maps[lead_map.id], lead.maps[campaign.id]
    remove(ask.vendor, lead)
    return {"ok": True, "message": "success"}


def remove(vendor: Smartlead, lead: Lead) -> None:
    """Forgets a lead that is in no campaign and on no list any more."""
    if not lead.maps and not lead.lists:
        del vendor.leads[lead.id], vendor.by_email[lead.email]


def unsubscribe(ask: Ask) -> dict[str, Any]:
    """Ends the lead's sequence in this campaign."""
    ask.body({})
    unsubscribed_here(ask.world, ask.lead_map)
    return {"ok": True}


def unsubscribe_everywhere(ask: Ask) -> dict[str, Any]:
    """Ends the lead's sequences in all campaigns; `ok` false when there is no such lead."""
    lead = ask.vendor.leads.get(numbered(ask.path["lead_id"]) or 0)
    if lead is None:
        return {"ok": False}
    lead.unsubscribed = True
    for lead_map in list(lead.maps.values()):
        unsubscribed(ask.world, lead_map)
    return {"ok": True}


def set_lead_category(ask: Ask) -> dict[str, Any]:
    """Sets or clears the category, and pauses the lead if asked."""
    lead_map = ask.lead_map
    given = ask.body(CATEGORY)
    if given["category_id"] is not None and given["category_id"] not in categories(ask.world).values():
        raise failed(f"Invalid category - {given['category_id']}")
    if given.get("pause_lead"):
        stop(lead_map, "PAUSED")
    set_category(ask.world, lead_map, given["category_id"])
    return {"ok": True}


def complete(ask: Ask) -> dict[str, Any]:
    """Ends a lead's sequence as done; the id in the path is that of the lead in the campaign."""
    lead_map = ask.campaign.maps.get(numbered(ask.path["lead_id"]) or 0)
    if lead_map is None:
        raise failed("Lead not found - Invalid lead_map_id.", 404)
    stop(lead_map, "COMPLETED")
    return {"ok": True}


def by_email(ask: Ask) -> dict[str, Any]:
    """A lead by address with its campaigns; an empty object when nobody has it."""
    ask.known("email")
    if "email" not in ask.query:
        raise said('"email" is required')
    lead = ask.vendor.by_email.get(ask.query["email"].strip().lower())
    return {} if lead is None else _whole(lead)


def _whole(lead: Lead) -> dict[str, Any]:
    data = [
        {
            "campaign_lead_map_id": item.id,
            "campaign_id": item.campaign.id,
            "campaign_name": item.campaign.name,
            "client_id": item.campaign.client_id,
            "client_email": None,
            "lead_category_id": item.category_id,
        }
        for item in lead.maps.values()
    ]
    made = rest_time(lead.created_at)
    return {"id": str(lead.id), "created_at": made, **lead_fields(lead), "lead_campaign_data": data}


def by_id(ask: Ask) -> dict[str, Any]:
    """A lead by id, as a list of one."""
    lead = ask.lead
    data = {"id": lead.id, "created_at": rest_time(lead.created_at), **lead_fields(lead)}
    return {"ok": True, "message": "Lead fetched successfully", "data": [data]}


def campaigns_of(ask: Ask) -> list[dict[str, Any]]:
    """The campaigns a lead is in."""
    return [
        {"id": item.campaign.id, "status": item.campaign.status, "name": item.campaign.name}
        for item in ask.lead.maps.values()
    ]


def everyone(ask: Ask) -> dict[str, Any]:
    """All leads of the account."""
    ask.known("offset", "limit")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 100, 100)
    found = list(ask.vendor.leads.values())
    page = [_whole(lead) for lead in found[offset : offset + most]]
    return {"data": page, "skip": offset, "limit": most, "hasMore": offset + most < len(found)}


def everyone_as_said_elsewhere(ask: Ask) -> dict[str, Any]:
    """The same under the path and in the shape of the vendor's command line; which of the two is real is not known."""
    return {"ok": True, "data": {"leads": everyone(ask)["data"]}}


def activities(ask: Ask) -> dict[str, Any]:
    """What happened to the leads of all campaigns, newest first."""
    ask.known("offset", "limit", "event_time_gt")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 1000, 100)
    bound = moment_in(ask.query["event_time_gt"], "event_time_gt") if "event_time_gt" in ask.query else None
    found = [
        (moment, kind, item)
        for campaign in ask.vendor.campaigns.values()
        for item in campaign.maps.values()
        for moment, kind in happened(item)
        if bound is None or moment > bound
    ]
    found.sort(key=lambda entry: entry[0], reverse=True)
    data = [
        {
            "campaign_id": item.campaign.id,
            "lead_id": item.lead.id,
            "email": item.lead.email,
            "campaign_lead_map_id": item.id,
            "activity_type": kind,
            "event_time": rest_time(moment),
        }
        for moment, kind, item in found[offset : offset + most]
    ]
    return {"ok": True, "data": data, "hasMore": offset + most < len(found), "skip": offset, "limit": most}


def happened(item: LeadMap) -> list[tuple[datetime, str]]:
    """Each thing that happened to a lead in a campaign, and when."""
    moments = [(entry.at, entry.type) for entry in item.messages]
    for sent in item.sent:
        told = ((sent.at, "SENT"), (sent.opened_at, "OPENED"), (sent.clicked_at, "CLICKED"))
        moments += [(at, kind) for at, kind in told if at is not None]
    return moments


def fetch_categories(ask: Ask) -> list[dict[str, Any]]:
    """The categories of the account."""
    made = rest_time(ask.world.start)
    return [
        {"id": category(ask.world, name), "name": name, "sentiment_type": sentiment, "created_at": made}
        for name, sentiment in CATEGORIES
    ]


def export(ask: Ask) -> Response:
    """All leads of the campaign as CSV."""
    campaign = ask.campaign
    names = {identity: name for name, identity in categories(ask.world).items()}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_EXPORTED)
    for lead_map in campaign.maps.values():
        shown = _exported(lead_map, names)
        writer.writerow([shown[name] for name in _EXPORTED])
    name = f'attachment; filename="sl_campaign_{campaign.id}_leads.csv"'
    return Response(out.getvalue(), media_type="text/csv", headers={"Content-Disposition": name})


def _exported(lead_map: LeadMap, names: dict[int, str]) -> dict[str, Any]:
    held = row(lead_map)
    lead = held.pop("lead")
    given = names.get(lead_map.category_id or 0)
    return {
        **{name: value for name, value in lead.items() if name in _EXPORTED},
        "campaign_lead_map_id": lead_map.id,
        "status": lead_map.status,
        "category": given or "",
        "is_interested": given in ("Interested", "Meeting Request"),
        "created_at": held["created_at"],
        "custom_fields": json.dumps(lead["custom_fields"]),
        "unsubscribed_client_id_map": "{}",
        "last_email_sequence_sent": len(lead_map.sent) or "",
        "open_count": sum(sent.opens for sent in lead_map.sent),
        "click_count": sum(sent.clicks for sent in lead_map.sent),
        "reply_count": sum(entry.type == "REPLY" for entry in lead_map.messages),
    }
