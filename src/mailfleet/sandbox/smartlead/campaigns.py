"""Smartlead's campaigns: create, state, schedule, settings, sequences, mailboxes. Written and read names differ."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.send import engine, set_status, wake
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.smartlead.accounts import list_item
from mailfleet.sandbox.smartlead.check import Refusal, Rule, failed, flag, group, many, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.leads import remove
from mailfleet.sandbox.smartlead.sequences import copied, sequences, step_shown
from mailfleet.sandbox.smartlead.state import Campaign, Mailbox, rest_time
from mailfleet.sandbox.world import World

_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
# smartlead: campaigns/update-settings; what is written is read under the shorter names.
_TRACK = {
    "DONT_TRACK_EMAIL_OPEN": "DONT_EMAIL_OPEN",
    "DONT_TRACK_LINK_CLICK": "DONT_LINK_CLICK",
    "DONT_TRACK_REPLY_TO_AN_EMAIL": "DONT_REPLY_TO_AN_EMAIL",
}
_STOP = ("REPLY_TO_AN_EMAIL", "CLICK_ON_A_LINK", "OPEN_AN_EMAIL")
SCHEDULE: dict[str, Rule] = {
    "timezone": text(required=True),
    "days_of_the_week": many(number(required=True, low=0, high=6), required=True, most=7),
    "start_hour": text(required=True),
    "end_hour": text(required=True),
    "min_time_btw_emails": number(required=True, low=3, high=10**6),
    "max_new_leads_per_day": number(low=0),
    "schedule_start_time": text(),
}
SETTINGS: dict[str, Rule] = {
    "name": text(),
    "track_settings": many(text(required=True)),
    "stop_lead_settings": text(),
    "unsubscribe_text": text(),
    "send_as_plain_text": flag(),
    "force_plain_text": flag(),
    "follow_up_percentage": number(low=0, high=100),
    "client_id": number(),
    "enable_ai_esp_matching": flag(),
    "auto_pause_domain_leads_on_reply": flag(),
    "ignore_ss_mailbox_sending_limit": flag(),
    "bounce_autopause_threshold": text(),
    "domain_level_rate_limit": flag(),
    "out_of_office_detection_settings": group(
        {
            "ignoreOOOasReply": flag(),
            "autoReactivateOOO": flag(),
            "reactivateOOOwithDelay": number(low=0, high=3650),
            "autoCategorizeOOO": flag(),
        }
    ),
    "add_unsubscribe_tag": flag(),
    "ai_categorisation_options": many(number(required=True)),
}
_STATES = {"START": "ACTIVE", "PAUSED": "PAUSED", "STOPPED": "STOPPED"}
CREATE: dict[str, Rule] = {"name": text(), "client_id": number()}
STATUS: dict[str, Rule] = {"status": text(required=True, options=tuple(_STATES))}
MAILBOXES: dict[str, Rule] = {"email_account_ids": many(number(required=True), required=True)}
TEST: dict[str, Rule] = {
    "leadId": number(),
    "sequenceNumber": number(required=True, low=1),
    "selectedEmailAccountId": number(),
    "customEmailAddress": text(),
}
_READ_SETTINGS = {
    "track_settings": [],
    "stop_lead_settings": "REPLY_TO_AN_EMAIL",
    "enable_ai_esp_matching": False,
    "send_as_plain_text": False,
    "follow_up_percentage": 40,
    "unsubscribe_text": "",
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Everything about campaigns but their leads, figures and hooks."""
    at = "/campaigns/{campaign_id}"
    table = (
        ("GET", "/campaigns", listed),
        ("POST", "/campaigns/create", create),
        ("GET", at, lambda ask: shown(ask.campaign)),
        ("DELETE", at, delete),
        ("POST", at, schedule),
        ("POST", at + "/duplicate", duplicate),
        ("POST", at + "/status", status),
        ("PATCH", at + "/status", status),
        ("POST", at + "/schedule", schedule),
        ("POST", at + "/settings", settings),
        ("GET", at + "/sequences", lambda ask: [step_shown(ask.campaign, step) for step in ask.campaign.steps]),
        ("POST", at + "/sequences", sequences),
        ("GET", at + "/email-accounts", lambda ask: [list_item(ask, box) for box in ask.campaign.mailboxes.values()]),
        ("POST", at + "/email-accounts", add_mailboxes),
        ("DELETE", at + "/email-accounts", remove_mailboxes),
        ("POST", at + "/send-test-email", send_test),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def listed(ask: Ask) -> list[dict[str, Any]]:
    """Every campaign, newest first, without paging."""
    ask.known("client_id", "include_tags")
    wanted = ask.query.get("client_id")
    found = [item for item in ask.vendor.campaigns.values() if wanted is None or str(item.client_id) == wanted]
    more = {"tags": []} if ask.query.get("include_tags") == "true" else {}
    return [shown(campaign) | more for campaign in reversed(found)]


def shown(campaign: Campaign) -> dict[str, Any]:
    """The campaign in the names it is read under."""
    return {
        "id": campaign.id,
        "user_id": 9001,
        "created_at": rest_time(campaign.created_at),
        "updated_at": rest_time(campaign.updated_at),
        "status": campaign.status,
        "name": campaign.name,
        "scheduler_cron_value": campaign.schedule,
        "min_time_btwn_emails": campaign.min_gap,
        "max_leads_per_day": campaign.max_new,
        "schedule_start_time": campaign.schedule_start,
        "parent_campaign_id": campaign.parent_id,
        "client_id": campaign.client_id,
        **{name: campaign.settings.get(name, default) for name, default in _READ_SETTINGS.items()},
    }


def create(ask: Ask) -> dict[str, Any]:
    """A draft."""
    given = ask.body(CREATE)
    if given.get("client_id") is not None and given["client_id"] not in ask.vendor.clients:
        raise failed(f"Client id - {given['client_id']} not found.")
    campaign = drafted(ask, given.get("name") or "Untitled Campaign", given.get("client_id"))
    return {"ok": True, "id": campaign.id, "name": campaign.name, "created_at": rest_time(campaign.created_at)}


def drafted(ask: Ask, name: str, client_id: int | None) -> Campaign:
    """A new campaign with nothing in it."""
    now = ask.world.now
    campaign = Campaign(ask.vendor.new_id("campaign"), name, now, now, client_id)
    ask.vendor.campaigns[campaign.id] = campaign
    return campaign


def delete(ask: Ask) -> dict[str, Any]:
    """Removes a campaign; leads that are in no other one go with it."""
    campaign = ask.campaign
    campaign.status = "ARCHIVED"
    for lead_map in campaign.maps.values():
        lead_map.lead.maps.pop(campaign.id, None)
        lead_map.version += 1
        remove(ask.vendor, lead_map.lead)
    del ask.vendor.campaigns[campaign.id]
    return {"ok": True}


def duplicate(ask: Ask) -> dict[str, Any]:
    """A draft with the same settings, schedule, sequence and mailboxes, without leads."""
    source = ask.vendor.campaigns.get(numbered(ask.path["campaign_id"]) or 0)
    if source is None:
        raise Refusal(500, {"message": "Invalid campaign Id!"})
    made = drafted(ask, f"Copy of {source.name}", source.client_id)
    made.schedule, made.min_gap, made.max_new = source.schedule, source.min_gap, source.max_new
    made.settings, made.mailboxes = dict(source.settings), dict(source.mailboxes)
    made.steps = [copied(ask, step) for step in source.steps]
    return {"ok": True, "newCampaignId": made.id}


def status(ask: Ask) -> dict[str, Any]:
    """START, PAUSED or STOPPED; a stopped campaign never starts again."""
    campaign, given = ask.campaign, ask.body(STATUS)
    wanted = _STATES[given["status"]]
    if wanted == "ACTIVE":
        _check_start(campaign)
    if campaign.status != wanted:
        set_status(ask.world, campaign, wanted)
    return {"ok": True}


def _check_start(campaign: Campaign) -> None:
    # smartlead: campaigns/update-status names the conditions; no source shows the body.
    if campaign.status == "STOPPED":
        raise failed("Campaign is stopped. A stopped campaign cannot be restarted.")
    for what, missing in (
        ("sequence", not campaign.steps),
        ("email account", not campaign.mailboxes),
        ("lead", not campaign.maps),
        ("schedule", campaign.schedule is None),
    ):
        if missing:
            raise failed(f"Campaign cannot be started - add at least one {what}.")


def schedule(ask: Ask) -> dict[str, Any]:
    """The flat form in; `scheduler_cron_value` comes out."""
    campaign, given = ask.campaign, ask.body(SCHEDULE)
    try:
        ZoneInfo(given["timezone"])
    except (ValueError, KeyError, OSError):
        raise failed(f"Invalid timezone - {given['timezone']}") from None
    for name in ("start_hour", "end_hour"):
        if not _HOUR.fullmatch(given[name]):
            raise failed(f"Invalid {name} - {given[name]}")
    if given["start_hour"] >= given["end_hour"]:
        raise failed("startHour cannot be greater that endHour")
    campaign.schedule = {
        "tz": given["timezone"],
        "days": sorted(set(given["days_of_the_week"])),
        "startHour": given["start_hour"],
        "endHour": given["end_hour"],
    }
    campaign.min_gap = given["min_time_btw_emails"]
    campaign.max_new = given.get("max_new_leads_per_day") or 0
    campaign.schedule_start = _start_time(given.get("schedule_start_time"))
    _changed(ask, campaign)
    return {"ok": True}


def _start_time(given: str | None) -> str | None:
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise said('"schedule_start_time" must be in ISO 8601 date format') from None
    return given if moment.tzinfo else f"{given}+00:00"


def settings(ask: Ask) -> dict[str, Any]:
    """Any part of the settings; the rest stays."""
    campaign, given = ask.campaign, ask.body(SETTINGS)
    for value in given.get("track_settings", ()):
        if value not in _TRACK:
            raise failed(f"Invalid track_settings value - {value}")
    stopping = given.get("stop_lead_settings")
    if stopping is not None and stopping not in _STOP:
        raise failed(f"Invalid stop_lead_settings value - {stopping}")
    _check_threshold(given.get("bounce_autopause_threshold"))
    if "track_settings" in given:
        given["track_settings"] = [_TRACK[value] for value in given["track_settings"]]
    campaign.name = given.pop("name", None) or campaign.name
    if "client_id" in given:
        campaign.client_id = given.pop("client_id")
    campaign.settings |= {name: value for name, value in given.items() if value is not None}
    _changed(ask, campaign)
    return {"ok": True}


def _check_threshold(given: str | None) -> None:
    if given is None:
        return
    if not given.isascii() or not given.replace(".", "", 1).isdigit() or not 0 <= float(given) <= 100:
        raise said('"bounce_autopause_threshold" must be a number between 0 and 100')


def _changed(ask: Ask, campaign: Campaign) -> None:
    campaign.updated_at = ask.world.now
    work = engine(campaign)
    if campaign.status == "ACTIVE":
        from_now = ask.world.now + timedelta(seconds=1)
        work.wake = None
        wake(ask.world, campaign, from_now)


def _boxes(ask: Ask) -> list[Mailbox]:
    given = ask.body(MAILBOXES)
    found: list[Mailbox] = []
    for identity in given["email_account_ids"]:
        if identity not in ask.vendor.mailboxes:
            raise failed(f"Email account id - {identity} not allowed. Permission Error.")
        found.append(ask.vendor.mailboxes[identity])
    return found


def add_mailboxes(ask: Ask) -> dict[str, Any]:
    """Adds accounts; those that are there stay."""
    campaign, boxes = ask.campaign, _boxes(ask)
    campaign.mailboxes |= {box.id: box for box in boxes}
    _changed(ask, campaign)
    return {"ok": True, "result": [{"email_campaign_id": campaign.id, "email_account_id": box.id} for box in boxes]}


def remove_mailboxes(ask: Ask) -> dict[str, Any]:
    """Takes accounts away, never the last one of a running campaign; others go on with their threads."""
    campaign, gone = ask.campaign, {box.id for box in _boxes(ask)}
    left = {number_: box for number_, box in campaign.mailboxes.items() if number_ not in gone}
    if campaign.status == "ACTIVE" and not left:
        raise failed("Cannot remove the last email account of an active campaign.")
    campaign.mailboxes = left
    work = engine(campaign)
    for number_ in gone:
        for entry in work.follow.pop(number_, []):
            if left:
                heir = list(left.values())[entry[1] % len(left)]
                entry[3].mailbox = heir
                work.follow.setdefault(heir.id, []).append(entry)
    for queued in work.follow.values():
        queued.sort(key=lambda entry: entry[:3])
    return {"ok": True}


def send_test(ask: Ask) -> dict[str, Any]:
    """One mail of the sequence to an address of one's own."""
    campaign = ask.campaign
    given = ask.body(TEST)
    step = campaign.step(given["sequenceNumber"])
    box = campaign.mailboxes.get(given.get("selectedEmailAccountId") or 0) or next(
        iter(campaign.mailboxes.values()), None
    )
    if step is None or box is None:
        raise failed("Campaign has no such sequence or no email account.")
    identity = f"<{hexes(ask.world, 24, 'test', campaign.id, step.id, ask.world.now)}@{box.domain}>"
    ask.world.log.add(
        "sends",
        {
            "platform": "smartlead",
            "campaign_id": campaign.id,
            "lead_id": given.get("leadId"),
            "lead_email": given.get("customEmailAddress"),
            "mailbox": box.address,
            "step": step.number,
            "variant": None,
            "message_id": identity,
            "kind": "test",
        },
    )
    return {"ok": True}
