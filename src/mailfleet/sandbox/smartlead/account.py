"""The account itself: who it is, what is left of its plan, and single mails outside campaigns."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.smartlead.check import Rule, failed, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route, whole
from mailfleet.sandbox.smartlead.state import Mailbox, rest_time
from mailfleet.sandbox.world import World

MAIL: dict[str, Rule] = {
    "from_email": text(required=True),
    "to_email": text(required=True),
    "subject": text(required=True),
    "email_body": text(required=True),
    "cc": Rule(),
    "bcc": Rule(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """The account and its single mails."""
    table = (
        ("GET", "/users/get-by-api-key", who),
        ("GET", "/subscription/credits-stats", left),
        ("POST", "/send-email/initiate", send),
        ("GET", "/send-email/track-email/{mail_id}", track),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def who(ask: Ask) -> dict[str, Any]:
    """Whose key this is."""
    data = {"id": ask.vendor.user_id, "name": "Sandbox", "email": "owner@agency.sandbox.example"}
    return {"success": True, "data": data}


def left(ask: Ask) -> dict[str, Any]:
    """What is left of the plan; null is without limit."""
    placement = ask.world.state.get("delivery_credits")
    return {"success": True, "data": {"lead_credits": ask.vendor.lead_credits, "spam_test_credits": placement}}


def send(ask: Ask) -> dict[str, Any]:
    """Queues one mail from a connected mailbox; not idempotent."""
    given = ask.body(MAIL)
    wanted = given["from_email"].lower()
    box = next((entry for entry in ask.vendor.mailboxes.values() if entry.address.lower() == wanted), None)
    if box is None:
        raise failed(f"Email account {given['from_email']} not found.")
    number = ask.vendor.new_id("mail")
    ask.vendor.mails[number] = {"id": number, "status": "QUEUED", "created_at": rest_time(ask.world.now)}
    ask.world.at(ask.world.now, partial(_leave, ask.world, ask.vendor.mails[number], box, given["to_email"]))
    return {"success": True, "data": {"id": number}}


def _leave(world: World, mail: dict[str, Any], box: Mailbox, to: str) -> None:
    mail["status"] = "SENT" if box.smtp_ok and not box.suspended else "FAILED"
    if mail["status"] == "FAILED":
        return
    box.sent_at.append(world.now)
    none = dict.fromkeys(("campaign_id", "lead_id", "step", "variant"))
    identity = f"<{hexes(world, 24, 'single', mail['id'])}@{box.domain}>"
    told = {"platform": "smartlead", "lead_email": to, "mailbox": box.address, "message_id": identity, "kind": "single"}
    world.log.add("sends", {**none, **told})


def track(ask: Ask) -> dict[str, Any]:
    """What became of a single mail."""
    found = ask.vendor.mails.get(whole(ask.path["mail_id"]))
    if found is None:
        raise failed("Email not found - Invalid id.", 404)
    return {"success": True, "data": found}
