"""Smartlead's figures over the whole account: `/analytics/…`, one envelope, counts by day, campaign, mailbox, client.

Paths are documented, shapes only in part (smartlead: api-reference/analytics); what no page shows follows its
neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.people import provider_of
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.state import LeadMap, Sent, categories
from mailfleet.sandbox.smartlead.stats import between, counts
from mailfleet.sandbox.world import World

_POSITIVE = ("Interested", "Meeting Request", "Information Request")
QUERY = (
    "start_date", "end_date", "timezone", "client_ids", "campaign_ids", "full_data", "is_agency", "limit", "offset",
)  # fmt: skip


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Everything under /analytics."""
    return [
        entry for path, answer in TABLE.items() for entry in route(world, limit, "GET", f"/analytics/{path}", answer)
    ]


def _rows(ask: Ask) -> list[Sent]:
    ask.known(*QUERY)
    wanted = {part.strip() for part in ask.query.get("campaign_ids", "").split(",") if part.strip()}
    of_clients = {part.strip() for part in ask.query.get("client_ids", "").split(",") if part.strip()}
    rows = [
        sent
        for campaign in ask.vendor.campaigns.values()
        if (not wanted or str(campaign.id) in wanted) and (not of_clients or str(campaign.client_id) in of_clients)
        for sent in campaign.sent
    ]
    return between(ask, rows, "start_date", "end_date", zone=ask.query.get("timezone", "UTC"), needed=False)


def _success(data: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "message": "Data fetched successfully", "data": data}


def _share(part: int, whole: int) -> str:
    return f"{round(100 * part / max(1, whole))}%"


def _positive(ask: Ask, lead_map: LeadMap) -> bool:
    wanted = {categories(ask.world)[name] for name in _POSITIVE}
    return lead_map.replied and lead_map.category_id in wanted


def figures(ask: Ask, rows: Sequence[Sent]) -> dict[str, Any]:
    """The counts and rates that every group of messages has."""
    own = counts(rows)
    answered = {sent.lead_map.id: sent.lead_map for sent in rows if sent.replied_at}
    whole = own["sent_count"]
    return {
        "sent": whole,
        "opened": own["unique_open_count"],
        "replied": own["reply_count"],
        "bounced": own["bounce_count"],
        "unique_lead_count": own["unique_sent_count"],
        "unique_open_count": own["unique_open_count"],
        "positive_replied": sum(_positive(ask, item) for item in answered.values()),
        "open_rate": _share(own["unique_open_count"], whole),
        "reply_rate": _share(own["reply_count"], whole),
        "bounce_rate": _share(own["bounce_count"], whole),
    }


def _grouped(rows: Iterable[Sent], key: Callable[[Sent], str]) -> dict[str, list[Sent]]:
    groups: dict[str, list[Sent]] = {}
    for sent in rows:
        groups.setdefault(key(sent), []).append(sent)
    return dict(sorted(groups.items()))


def _day(sent: Sent) -> str:
    return sent.at.date().isoformat()


def overall(ask: Ask) -> dict[str, Any]:
    """Totals of the account."""
    return _success({"overall_stats": figures(ask, _rows(ask))})


def day_wise(ask: Ask) -> dict[str, Any]:
    """Counts by UTC day."""
    names = ("sent", "opened", "replied", "bounced")
    days = [(day, figures(ask, rows)) for day, rows in _grouped(_rows(ask), _day).items()]
    return _success({"day_wise_stats": [{"date": day, **{name: own[name] for name in names}} for day, own in days]})


def positive_by_day(ask: Ask) -> dict[str, Any]:
    """Positive replies by UTC day."""
    groups = _grouped(_rows(ask), _day)
    stats = [{"date": day, "positive_replied": figures(ask, rows)["positive_replied"]} for day, rows in groups.items()]
    return _success({"day_wise_stats": stats})


def campaigns(ask: Ask) -> dict[str, Any]:
    """Names and states of all campaigns."""
    ask.known(*QUERY)
    rows = [{"id": item.id, "name": item.name, "status": item.status} for item in ask.vendor.campaigns.values()]
    return _success({"campaign_list": rows})


def _per_campaign(ask: Ask) -> list[tuple[dict[str, Any], list[Sent]]]:
    rows = _rows(ask)
    return [
        ({"id": item.id, "name": item.name}, [sent for sent in rows if sent.lead_map.campaign is item])
        for item in ask.vendor.campaigns.values()
    ]


def by_campaign(ask: Ask) -> dict[str, Any]:
    """Counts by campaign."""
    return _success({"campaign_wise_performance": [head | figures(ask, rows) for head, rows in _per_campaign(ask)]})


def responses(ask: Ask) -> dict[str, Any]:
    """Replies and positive replies by campaign."""
    names = ("replied", "positive_replied", "reply_rate")
    rows = [(head, figures(ask, held)) for head, held in _per_campaign(ask)]
    return _success({"campaign_wise_response": [head | {name: own[name] for name in names} for head, own in rows]})


def states(ask: Ask) -> dict[str, Any]:
    """How many campaigns are in which state."""
    ask.known(*QUERY)
    held = [item.status for item in ask.vendor.campaigns.values()]
    return _success({"campaign_status_stats": {state.lower(): held.count(state) for state in sorted(set(held))}})


def first_reply(ask: Ask) -> dict[str, Any]:
    """How many leads were written to before the first reply came."""
    answers = [(head["id"], counts(rows)) for head, rows in _per_campaign(ask)]
    stats = [
        {"campaign_id": number, "leads": own["unique_sent_count"] // max(1, own["reply_count"])}
        for number, own in answers
    ]
    return _success({"leads_take_for_first_reply": stats})


def follow_ups(ask: Ask) -> dict[str, Any]:
    """Which part of the replies came to a follow-up."""
    replied = [sent for sent in _rows(ask) if sent.replied_at]
    later = sum(sent.step.number > 1 for sent in replied)
    return _success({"follow_up_reply_rate": _share(later, len(replied))})


def reply_time(ask: Ask) -> dict[str, Any]:
    """How long a reply takes, in hours, on average."""
    spans = [(sent.replied_at - sent.at).total_seconds() / 3600 for sent in _rows(ask) if sent.replied_at]
    return _success({"lead_to_reply_time": round(sum(spans) / len(spans), 1) if spans else 0})


def clients(ask: Ask) -> dict[str, Any]:
    """Names of the clients."""
    ask.known(*QUERY)
    rows = [{"id": number, "name": client["name"]} for number, client in ask.vendor.clients.items()]
    return _success({"client_list": rows})


def months(ask: Ask) -> dict[str, Any]:
    """How many clients were made in which month."""
    ask.known(*QUERY)
    made = [client["created_at"][:7] for client in ask.vendor.clients.values()]
    return _success({"month_wise_count": [{"month": month, "count": made.count(month)} for month in sorted(set(made))]})


def by_client(ask: Ask) -> dict[str, Any]:
    """Counts by client."""
    rows = _rows(ask)
    stats = [
        {"id": number, "name": client["name"]}
        | figures(ask, [sent for sent in rows if sent.lead_map.campaign.client_id == number])
        for number, client in ask.vendor.clients.items()
    ]
    return _success({"client_wise_performance": stats})


def mailboxes(ask: Ask) -> dict[str, Any]:
    """How many accounts are connected and used."""
    ask.known(*QUERY)
    boxes = list(ask.vendor.mailboxes.values())
    used = {number for campaign in ask.vendor.campaigns.values() for number in campaign.mailboxes}
    stats = {
        "total_connected": sum(box.smtp_ok and box.imap_ok for box in boxes),
        "in_use": sum(box.id in used for box in boxes),
        "disconnected": sum(not (box.smtp_ok and box.imap_ok) for box in boxes),
        "enabled_without_warmup": sum(box.warmup is None or not box.warmup.enabled for box in boxes),
    }
    return _success({"overall_mailbox_stats": stats})


def health(ask: Ask, by: str) -> dict[str, Any]:
    """Engagement by sending domain or by mailbox; it says nothing about DNS."""
    key, name = (_domain, "domain") if by == "domain" else (_address, "from_email")
    return _success({f"{by}_health_metrics": _performance(ask, key, name)})


def _domain(sent: Sent) -> str:
    return sent.mailbox.domain


def _address(sent: Sent) -> str:
    return sent.mailbox.address


def _performance(ask: Ask, key: Callable[[Sent], str], name: str) -> list[dict[str, Any]]:
    kept = ("sent", "opened", "replied", "bounced", "open_rate", "reply_rate", "bounce_rate")
    groups = [(what, figures(ask, rows)) for what, rows in _grouped(_rows(ask), key).items()]
    return [{name: what, **{part: own[part] for part in kept}} for what, own in groups]


def by_provider(ask: Ask) -> dict[str, Any]:
    """Engagement by the provider of the recipients."""

    def provider(sent: Sent) -> str:
        return provider_of(ask.world, sent.lead_map.lead.email.rpartition("@")[2])

    return _success({"provider_wise_performance": _performance(ask, provider, "provider")})


def leads(ask: Ask) -> dict[str, Any]:
    """How many leads there are and how many were written to."""
    rows = _rows(ask)
    stats = {"total": len(ask.vendor.leads), "contacted": len({sent.lead_map.lead.id for sent in rows})}
    return _success({"lead_overall_stats": stats})


def by_category(ask: Ask) -> dict[str, Any]:
    """How many leads that answered are in which category."""
    answered = {sent.lead_map.id: sent.lead_map for sent in _rows(ask) if sent.replied_at}
    held = [item.category_id for item in answered.values()]
    stats = [{"name": name, "total_response": held.count(number)} for name, number in categories(ask.world).items()]
    return _success({"lead_responses_by_category": {"leadResponseGrouping": stats}})


def team(ask: Ask) -> dict[str, Any]:
    """Counts by member of the team; the sandbox's account has one."""
    return _success({"team_board_stats": [{"user_id": ask.vendor.user_id, **figures(ask, _rows(ask))}]})


TABLE: Mapping[str, Callable[[Ask], dict[str, Any]]] = {
    "overall-stats-v2": overall,
    "day-wise-overall-stats": day_wise,
    "day-wise-overall-stats-by-sent-time": day_wise,
    "day-wise-positive-reply-stats": positive_by_day,
    "day-wise-positive-reply-stats-by-sent-time": positive_by_day,
    "campaign/list": campaigns,
    "campaign/overall-stats": by_campaign,
    "campaign/response-stats": responses,
    "campaign/status-stats": states,
    "campaign/leads-take-for-first-reply": first_reply,
    "campaign/follow-up-reply-rate": follow_ups,
    "campaign/lead-to-reply-time": reply_time,
    "client/list": clients,
    "client/month-wise-count": months,
    "client/overall-stats": by_client,
    "mailbox/overall-stats": mailboxes,
    "mailbox/name-wise-health-metrics": lambda ask: health(ask, "email"),
    "mailbox/domain-wise-health-metrics": lambda ask: health(ask, "domain"),
    "mailbox/provider-wise-overall-performance": by_provider,
    "lead/overall-stats": leads,
    "lead/category-wise-response": by_category,
    "team-board/overall-stats": team,
}
