"""Smartlead's figures: one row per sent message, and totals that are mostly text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute

from mailfleet.sandbox.smartlead.check import failed, said
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.leads import moment_in
from mailfleet.sandbox.smartlead.payloads import name_of
from mailfleet.sandbox.smartlead.state import Campaign, LeadMap, Sent, categories, rest_time
from mailfleet.sandbox.world import World

_MARKS: dict[str, Callable[[Sent], bool]] = {
    "opened": lambda sent: sent.opens > 0,
    "clicked": lambda sent: sent.clicks > 0,
    "replied": lambda sent: sent.replied_at is not None,
    "unsubscribed": lambda sent: sent.unsubscribed,
    "bounced": lambda sent: sent.bounced,
}
_OUT_OF_OFFICE = "Out Of Office"


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Statistics and analytics of a campaign."""
    at = "/campaigns/{campaign_id}"
    table = (
        ("GET", at + "/statistics", statistics),
        ("GET", at + "/analytics", analytics),
        ("GET", at + "/analytics-by-date", by_date),
        ("GET", at + "/top-level-analytics-by-date", by_date),
        ("GET", at + "/mailbox-statistics", by_mailbox),
        ("GET", at + "/leads-statistics", by_lead),
        ("GET", at + "/sequence-analytics", by_step),
        ("GET", at + "/variant-statistics", by_variant),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def statistics(ask: Ask) -> dict[str, Any]:
    """One row per message; `total_stats` is text and counts all that match."""
    campaign = ask.campaign
    ask.known(
        "offset", "limit", "email_sequence_number", "email_status", "sent_time_start_date", "sent_time_end_date"
    )  # fmt: skip
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 1000, 100)
    found = [sent for sent in campaign.sent if _asked_for(ask, sent)]
    names = {identity: name for name, identity in categories(ask.world).items()}
    page = [_row(sent, names) for sent in found[offset : offset + most]]
    return {"total_stats": str(len(found)), "offset": offset, "limit": most, "data": page}


def _asked_for(ask: Ask, sent: Sent) -> bool:
    query = ask.query
    mark, steps = query.get("email_status"), query.get("email_sequence_number")
    if mark is not None and mark not in _MARKS:
        raise said(f'"email_status" must be one of [{", ".join(_MARKS)}]')
    if mark is not None and not _MARKS[mark](sent):
        return False
    if steps and str(sent.step.number) not in {part.strip() for part in steps.split(",")}:
        return False
    after, before = query.get("sent_time_start_date"), query.get("sent_time_end_date")
    if after and sent.at < moment_in(after, "sent_time_start_date"):
        return False
    return not (before and sent.at > moment_in(before, "sent_time_end_date"))


def _row(sent: Sent, names: dict[int, str]) -> dict[str, Any]:
    return {
        "stats_id": sent.stats_id,
        "lead_name": name_of(sent.lead_map.lead),
        "lead_email": sent.lead_map.lead.email,
        "lead_category": names.get(sent.lead_map.category_id or 0),
        "sequence_number": sent.step.number,
        "email_campaign_seq_id": sent.step.id,
        "seq_variant_id": sent.variant.id if sent.variant else None,
        "email_subject": sent.subject,
        "email_message": sent.body,
        "sent_time": rest_time(sent.at),
        "open_time": rest_time(sent.opened_at),
        "click_time": rest_time(sent.clicked_at),
        "reply_time": rest_time(sent.replied_at),
        "open_count": sent.opens,
        "click_count": sent.clicks,
        "is_unsubscribed": sent.unsubscribed,
        "is_bounced": sent.bounced,
        "ignore_reply": False,
        "email_account_id": sent.mailbox.id,
    }


def counts(rows: Iterable[Sent]) -> dict[str, int]:
    """The counters over these messages; replies count leads."""
    held = list(rows)
    return {
        "sent_count": len(held),
        "open_count": sum(sent.opens for sent in held),
        "click_count": sum(sent.clicks for sent in held),
        "reply_count": len({sent.lead_map.id for sent in held if sent.replied_at}),
        "bounce_count": sum(sent.bounced for sent in held),
        "unsubscribed_count": sum(sent.unsubscribed for sent in held),
        "unique_sent_count": len({sent.lead_map.id for sent in held}),
        "unique_open_count": len({sent.lead_map.id for sent in held if sent.opens}),
        "unique_click_count": len({sent.lead_map.id for sent in held if sent.clicks}),
    }


def _texts(numbers: dict[str, int]) -> dict[str, str]:
    return {name: str(value) for name, value in numbers.items()}


def _totals(campaign: Campaign, rows: Sequence[Sent]) -> dict[str, Any]:
    blocked = sum(item.status == "BLOCKED" for item in campaign.maps.values())
    return {
        "id": campaign.id,
        "user_id": 9001,
        "created_at": rest_time(campaign.created_at),
        "status": campaign.status,
        "name": campaign.name,
        **_texts(counts(rows)),
        "block_count": str(blocked),
        "total_count": str(len(campaign.maps)),
        "sequence_count": str(len(campaign.steps)),
        "drafted_count": "0",
        "client_id": campaign.client_id,
        "client_name": None,
        "client_email": None,
        "parent_campaign_id": campaign.parent_id,
        "tags": [],
    }


def analytics(ask: Ask) -> dict[str, Any]:
    """Totals as text, and how many leads are where as numbers."""
    campaign = ask.campaign
    return _totals(campaign, campaign.sent) | {"campaign_lead_stats": _lead_stats(ask, campaign)}


def _lead_stats(ask: Ask, campaign: Campaign) -> dict[str, int]:
    states = [item.status for item in campaign.maps.values()]
    interested = {categories(ask.world)[name] for name in ("Interested", "Meeting Request")}
    return {
        "total": len(states),
        "paused": states.count("PAUSED"),
        "blocked": states.count("BLOCKED"),
        "stopped": states.count("STOPPED"),
        "completed": states.count("COMPLETED"),
        "inprogress": states.count("INPROGRESS"),
        "interested": sum(item.category_id in interested for item in campaign.maps.values()),
        "notStarted": states.count("STARTED"),
    }


def by_date(ask: Ask) -> dict[str, Any]:
    """Totals of the messages sent from one day to another, both included."""
    campaign = ask.campaign
    ask.known("start_date", "end_date", "time_zone")
    rows = between(ask, campaign.sent, "start_date", "end_date", zone=ask.query.get("time_zone", "UTC"))
    replied = {sent.lead_map.id: sent.lead_map for sent in rows if sent.replied_at}
    human = sum(not _is_away(ask, item) for item in replied.values())
    return _totals(campaign, rows) | {
        "start_date": ask.query["start_date"],
        "end_date": ask.query["end_date"],
        "total_reply_count": str(len(replied)),
        "non_ooo_reply_count": str(human),
    }


def _is_away(ask: Ask, lead_map: LeadMap) -> bool:
    return lead_map.category_id == categories(ask.world)[_OUT_OF_OFFICE]


def between(ask: Ask, rows: Iterable[Sent], first: str, last: str, *, zone: str, needed: bool = True) -> list[Sent]:
    """The messages sent from one day of the query to another, both included. Raises Refusal."""
    for name in (first, last):
        if name not in ask.query:
            if needed:
                raise said(f'"{name}" is required')
            return list(rows)
    try:
        place = ZoneInfo(zone)
    except (ValueError, KeyError, OSError):
        raise failed(f"Invalid timezone - {zone}") from None
    start, end = (_local(moment_in(ask.query[name], name), place) for name in (first, last))
    if len(ask.query[last].strip()) <= len("2026-01-01"):
        end += timedelta(days=1)
    return [sent for sent in rows if start <= sent.at < end]


def _local(moment: datetime, place: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=place)


def by_mailbox(ask: Ask) -> dict[str, Any]:
    """Counts per mailbox, as text."""
    campaign = ask.campaign
    ask.known("offset", "limit", "start_date", "end_date", "timezone", "client_id")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 20, 20)
    rows = between(ask, campaign.sent, "start_date", "end_date", zone=ask.query.get("timezone", "UTC"), needed=False)
    boxes = {sent.mailbox.id: sent.mailbox for sent in rows} | campaign.mailboxes
    data = [
        {
            "email_account_id": box.id,
            "from_email": box.address,
            **_texts(counts(sent for sent in rows if sent.mailbox is box)),
        }
        for box in list(boxes.values())[offset : offset + most]
    ]
    return {"ok": True, "data": data}


def by_lead(ask: Ask) -> dict[str, Any]:
    """Each lead with the history of its messages."""
    campaign = ask.campaign
    ask.known("offset", "limit", "created_at_gt", "event_time_gt")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 100, 100)
    found = list(campaign.maps.values())
    if "created_at_gt" in ask.query:
        bound = moment_in(ask.query["created_at_gt"], "created_at_gt")
        found = [item for item in found if item.created_at > bound]
    data = [
        {
            "lead_id": item.lead.id,
            "email": item.lead.email,
            "campaign_lead_map_id": item.id,
            "status": item.status,
            **counts(item.sent),
        }
        for item in found[offset : offset + most]
    ]
    return {"data": data, "hasMore": offset + most < len(found), "skip": offset, "limit": most}


def by_step(ask: Ask) -> dict[str, Any]:
    """Counts per step."""
    campaign = ask.campaign
    ask.known("start_date", "end_date", "time_zone")
    rows = between(ask, campaign.sent, "start_date", "end_date", zone=ask.query.get("time_zone", "UTC"))
    zeros = (
        "skipped_count", "failed_count", "stopped_count", "ln_connection_req_pending_count",
        "ln_connection_req_accepted_count", "ln_connection_req_skipped_sent_msg_count", "positive_reply_count",
    )  # fmt: skip
    data: list[dict[str, Any]] = []
    for step in campaign.steps:
        own = counts(sent for sent in rows if sent.step.id == step.id)
        own = {name: value for name, value in own.items() if not name.startswith("unique")}
        data.append({"email_campaign_seq_id": step.id, **own, **dict.fromkeys(zeros, 0)})
    return {"ok": True, "data": data}


def by_variant(ask: Ask) -> dict[str, Any]:
    """Counts per variant."""
    campaign = ask.campaign
    data = [
        {"seq_variant_id": variant.id, "variant_label": variant.label, "email_campaign_seq_id": step.id}
        | counts(sent for sent in campaign.sent if sent.variant and sent.variant.id == variant.id)
        for step in campaign.steps
        for variant in step.variants
    ]
    return {"ok": True, "data": data}
