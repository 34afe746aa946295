"""Registering the vendor's webhooks, of a campaign and of the account; what became of them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import BaseRoute

from mailfleet.sandbox.smartlead.check import Rule, failed, many, number, said, text
from mailfleet.sandbox.smartlead.deliveries import queue
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.leads import moment_in
from mailfleet.sandbox.smartlead.state import Webhook, categories, rest_time
from mailfleet.sandbox.world import World

EVENTS = (
    "EMAIL_SENT", "FIRST_EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK", "EMAIL_REPLY", "EMAIL_BOUNCE",
    "LEAD_UNSUBSCRIBED", "LEAD_CATEGORY_UPDATED", "CAMPAIGN_STATUS_CHANGED", "UNTRACKED_REPLIES", "MANUAL_STEP_REACHED",
)  # fmt: skip
NOTICES = ("EMAIL_ACCOUNT_DISCONNECTED", "LINKEDIN_DISCONNECTED", "CAMPAIGN_BOUNCE_BREACH")
_ASSOCIATIONS = {"user": "user", "client": "client", "campaign": "campaign", 1: "user", 2: "client", 3: "campaign"}
SAVE: dict[str, Rule] = {
    "id": number(),
    "name": text(required=True),
    "webhook_url": text(required=True),
    "event_types": many(text(required=True), required=True),
    "categories": many(text(required=True), required=True),
}
CREATE: dict[str, Rule] = {
    "webhook_url": text(required=True),
    "association_type": Rule(required=True, options=tuple(_ASSOCIATIONS)),
    "email_campaign_id": number(),
    "client_id": number(),
    "name": text(),
    "event_type_map": Rule(kind="object"),
    "category_id_map": Rule(kind="object"),
    "event_type": text(),
    "category_id": number(),
    "webhook_type": Rule(),
    "force_create": Rule(kind="boolean"),
}

DELETE: dict[str, Rule] = {"id": number(required=True)}
RETRIGGER: dict[str, Rule] = {"fromTime": text(required=True), "toTime": text(required=True)}
UPDATE: dict[str, Rule] = {name: Rule(kind=rule.kind, options=rule.options) for name, rule in CREATE.items()}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Hooks of a campaign, and hooks of the account. `GET /webhooks` does not exist."""
    at = "/campaigns/{campaign_id}/webhooks"
    table = (
        ("GET", at, listed),
        ("POST", at, save),
        ("DELETE", at, delete),
        ("GET", at + "/summary", summary),
        ("POST", at + "/retrigger-failed-events", retrigger),
        ("DELETE", at + "/{webhook_id}", delete),
        ("POST", "/webhook/create", create),
        ("GET", "/webhook/{webhook_id}", one),
        ("PUT", "/webhook/update/{webhook_id}", update),
        ("DELETE", "/webhook/delete", delete_any),
        ("DELETE", "/webhook/delete/{webhook_id}", delete_any),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def shown(hook: Webhook) -> dict[str, Any]:
    """A hook as reads show it."""
    return {
        "id": hook.id,
        "name": hook.name,
        "created_at": rest_time(hook.created_at),
        "updated_at": rest_time(hook.created_at),
        "webhook_url": hook.url,
        "email_campaign_id": hook.campaign_id,
        "event_types": hook.events,
        "event_type_map": dict.fromkeys(hook.events, True),
        "categories": hook.categories,
    }


def listed(ask: Ask) -> list[dict[str, Any]]:
    """The campaign's hooks."""
    return [shown(hook) for hook in _own(ask)]


def _own(ask: Ask) -> list[Webhook]:
    campaign = ask.campaign
    return [hook for hook in ask.vendor.webhooks.values() if hook.campaign_id == campaign.id]


def save(ask: Ask) -> dict[str, Any]:
    """Makes (`id` null) or changes a hook of the campaign. `categories` must hold something (seen live)."""
    campaign, given = ask.campaign, ask.body(SAVE)
    if not given["categories"]:
        raise said('"categories" does not contain 1 required value(s)')
    if not given["event_types"]:
        raise said('"event_types" does not contain 1 required value(s)')
    _check_url(given["webhook_url"])
    for event in given["event_types"]:
        if event not in EVENTS:
            raise failed(f"Invalid event_types - {event}")
    for name in given["categories"]:
        if name not in categories(ask.world):
            raise failed(f"Invalid category - {name}")
    hook = next((entry for entry in _own(ask) if entry.id == given.get("id")), None)
    if given.get("id") is not None and hook is None:
        raise failed(f"Webhook id - {given['id']} not found.", 404)
    if hook is None:
        hook = _new(ask, given["name"], given["webhook_url"], given["event_types"])
        hook.campaign_id = campaign.id
    hook.name, hook.url, hook.events = given["name"], given["webhook_url"], list(given["event_types"])
    hook.categories, hook.disabled = list(given["categories"]), False
    return {"ok": True, **shown(hook)}


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise failed(f"Invalid webhook_url - {url}")


def _new(ask: Ask, name: str, url: str, events: list[str]) -> Webhook:
    hook = Webhook(ask.vendor.new_id("webhook"), name, url, list(events), [], ask.world.now)
    ask.vendor.webhooks[hook.id] = hook
    return hook


def delete(ask: Ask) -> dict[str, Any]:
    """Removes a hook of the campaign, by the body's id or the path's."""
    given = ask.path.get("webhook_id") or ask.body(DELETE)["id"]
    hook = next((entry for entry in _own(ask) if str(entry.id) == str(given)), None)
    if hook is None:
        raise failed(f"Webhook id - {given} not found.", 404)
    del ask.vendor.webhooks[hook.id]
    return {"ok": True}


def summary(ask: Ask) -> dict[str, Any]:
    """How the deliveries of a period went."""
    after, before = _period(ask.query.get("fromTime"), ask.query.get("toTime"))
    results = [done for hook in _own(ask) for at, done in hook.results if after <= at <= before]
    good = sum(results)
    return {
        "total_calls": len(results),
        "successful_calls": good,
        "failed_calls": len(results) - good,
        "success_rate": f"{round(100 * good / len(results)) if results else 0}%",
    }


def _period(after: str | None, before: str | None) -> tuple[datetime, datetime]:
    if not after:
        raise said('"fromTime" is required')
    if not before:
        raise said('"toTime" is required')
    return moment_in(after, "fromTime"), moment_in(before, "toTime")


def retrigger(ask: Ask) -> dict[str, Any]:
    """Sends failed events of a period again, however old they are."""
    given = ask.body(RETRIGGER)
    after, before = _period(given["fromTime"], given["toTime"])
    count = 0
    for hook in _own(ask):
        again = [entry for entry in hook.failed if after <= entry["at"] <= before]
        hook.failed = [entry for entry in hook.failed if entry not in again]
        for entry in again:
            ask.world.at(ask.world.now, partial(queue, ask.world, hook, entry["event"], entry["payload"]))
        count += len(again)
    return {"success": True, "retriggered_count": count}


def create(ask: Ask) -> dict[str, Any]:
    """A hook of the account, a client or a campaign."""
    given = ask.body(CREATE)
    asked = given["association_type"]
    kind = _ASSOCIATIONS.get(asked) if isinstance(asked, str | int) and not isinstance(asked, bool) else None
    if kind is None:
        raise said('"association_type" must be one of [user, client, campaign]')
    _check_url(given["webhook_url"])
    events = [name for name, wanted in (given.get("event_type_map") or {}).items() if wanted]
    events += [given["event_type"]] if given.get("event_type") else []
    for event in events:
        if event not in (*EVENTS, *NOTICES):
            raise failed(f"Invalid event_types - {event}")
    if not events:
        raise said('"event_type_map" is required')
    hook = _new(ask, given.get("name") or "Webhook", given["webhook_url"], events)
    if kind == "campaign":
        if given.get("email_campaign_id") not in ask.vendor.campaigns:
            del ask.vendor.webhooks[hook.id]
            raise failed("Campaign not found - Invalid campaign_id.", 404)
        hook.campaign_id = given["email_campaign_id"]
    hook.client_id = given.get("client_id") if kind == "client" else None
    return {"ok": True, "id": hook.id, "webhook_url": hook.url}


def _any(ask: Ask, given: object) -> Webhook:
    found = ask.vendor.webhooks.get(numbered(str(given)) or 0)
    if found is None:
        raise failed(f"Webhook id - {given} not found.", 404)
    return found


def one(ask: Ask) -> dict[str, Any]:
    """A hook by id."""
    return shown(_any(ask, ask.path["webhook_id"]))


def update(ask: Ask) -> dict[str, Any]:
    """Changes a hook of the account."""
    hook, given = _any(ask, ask.path["webhook_id"]), ask.body(UPDATE)
    if given.get("webhook_url"):
        _check_url(given["webhook_url"])
        hook.url = given["webhook_url"]
    if given.get("event_type_map"):
        hook.events = [
            name for name, wanted in given["event_type_map"].items() if wanted and name in (*EVENTS, *NOTICES)
        ]
    hook.name, hook.disabled = given.get("name") or hook.name, False
    return {"ok": True, "id": hook.id, "webhook_url": hook.url}


def delete_any(ask: Ask) -> dict[str, Any]:
    """Removes any hook."""
    given = ask.path.get("webhook_id") or ask.body(DELETE)["id"]
    del ask.vendor.webhooks[_any(ask, given).id]
    return {"ok": True}
