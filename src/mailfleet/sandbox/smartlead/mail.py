"""What is in a mailbox, and what was said with many leads at once.

The reference names these paths and little more; bodies and answers follow the vendor's pages
(email-accounts/fetch-messages, campaigns/get-leads-history-bulk).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.smartlead.check import Rule, check, flag, group, many, number, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.inbox import said_so_far
from mailfleet.sandbox.smartlead.leads import moment_in
from mailfleet.sandbox.smartlead.state import Mailbox, plain, rest_time
from mailfleet.sandbox.world import World

_DAY = timedelta(days=1)
_SNIPPET = 100
FETCH: dict[str, Rule] = {
    "limit": number(low=1, high=500),
    "folder": text(),
    "includeBody": flag(),
    "from": text(),
    "to": text(),
}
SEVERAL = many(group({"account_id": number(required=True), **FETCH}), required=True, most=10)
HISTORIES: dict[str, Rule] = {"lead_ids": Rule(kind="array", items=number(required=True))}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Mail by mailbox, and histories by campaign."""
    table = (
        ("POST", "/email-accounts/multi/fetch-messages", fetch_several),
        ("POST", "/email-accounts/{account_id}/fetch-messages", fetch),
        ("POST", "/campaigns/{campaign_id}/message-history-for-leads/{token}", histories),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def fetch(ask: Ask) -> dict[str, Any]:
    """Recent mail of a mailbox, newest first; the number of the account is text here."""
    box = ask.mailbox
    return {"success": True, "accountId": str(box.id), "data": _found(ask, box, ask.body(FETCH))}


def fetch_several(ask: Ask) -> dict[str, Any]:
    """The same for up to ten mailboxes; one that cannot be read does not fail the others."""
    asked: list[dict[str, Any]] = check({"value": ask.json()}, {"value": SEVERAL})["value"]
    results = [_one(ask, given) for given in asked]
    good = sum(entry["status"] == "success" for entry in results)
    return {"results": results, "summary": {"total": len(results), "success": good, "error": len(results) - good}}


def _one(ask: Ask, given: dict[str, Any]) -> dict[str, Any]:
    box = ask.vendor.mailboxes.get(given["account_id"])
    if box is None:
        return {"account_id": given["account_id"], "status": "error", "error": "Account not found"}
    return {"account_id": box.id, "status": "success", "data": _found(ask, box, given)}


def _found(ask: Ask, box: Mailbox, given: dict[str, Any]) -> dict[str, Any]:
    after = moment_in(given["from"], "from") if given.get("from") else ask.world.now - _DAY
    before = moment_in(given["to"], "to") if given.get("to") else ask.world.now
    folder = given.get("folder")
    held = [
        (at, entry) for at, entry in _mail(ask, box) if after <= at <= before and folder in (None, _folder(entry, box))
    ]
    held.sort(key=lambda found: found[0], reverse=True)
    taken = held[: int(given.get("limit") or 100)]
    shown = [_shown(entry, at, box, whole=bool(given.get("includeBody"))) for at, entry in taken]
    names = [entry["folders"][0]["name"] for entry in shown]
    folders = [{"name": name, "count": names.count(name)} for name in sorted(set(names))]
    return {"messages": shown, "totalCount": len(held), "processedCount": len(shown), "folders": folders}


def _mail(ask: Ask, box: Mailbox) -> list[tuple[datetime, dict[str, Any]]]:
    maps = [item for campaign in ask.vendor.campaigns.values() for item in campaign.maps.values()]
    return [
        (moment_in(entry["time"], "time"), entry) for item in maps if item.mailbox is box for entry in said_so_far(item)
    ]


def _folder(entry: dict[str, Any], box: Mailbox) -> str:
    return "SENT" if entry["from"] == box.address else "INBOX"


def _shown(entry: dict[str, Any], at: datetime, box: Mailbox, *, whole: bool) -> dict[str, Any]:
    words, folder = plain(entry["email_body"]), _folder(entry, box)
    shown: dict[str, Any] = {
        "messageId": entry["message_id"],
        "threadId": entry["stats_id"],
        "subject": entry["subject"],
        "from": entry["from"],
        "to": entry["to"],
        "timestamp": rest_time(at),
        "date": format_datetime(at),
        "folders": [{"id": folder, "name": folder}],
        "labelIds": [folder],
        "snippet": words[:_SNIPPET],
        "sizeEstimate": len(entry["email_body"]),
    }
    return shown | ({"body": {"text": words, "html": entry["email_body"]}} if whole else {})


def histories(ask: Ask) -> dict[str, Any]:
    """What was said with several leads, or all, of a campaign: an object by the lead's number."""
    campaign, given = ask.campaign, ask.body(HISTORIES)
    ask.known("event_time_gt")
    wanted, since = given.get("lead_ids"), ask.query.get("event_time_gt")
    bound = rest_time(moment_in(since, "event_time_gt")) if since else None
    return {
        str(item.lead.id): [entry for entry in said_so_far(item) if bound is None or entry["time"] > bound]
        for item in campaign.maps.values()
        if wanted is None or item.lead.id in wanted
    }
