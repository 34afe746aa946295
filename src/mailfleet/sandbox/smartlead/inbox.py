"""Smartlead's conversations and its block list."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.send import log_send
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.smartlead.check import Rule, failed, flag, many, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.leads import moment_in
from mailfleet.sandbox.smartlead.state import LeadMap, Message, Sent, plain, rest_time
from mailfleet.sandbox.world import World

_QUEUED = "Email added to the queue, will be sent out soon!"
REPLY: dict[str, Rule] = {
    "email_stats_id": text(required=True),
    "email_body": text(required=True),
    **{
        name: text()
        for name in (
            "to_email",
            "to_first_name",
            "to_last_name",
            "scheduled_time",
            "reply_message_id",
            "reply_email_body",
            "reply_email_time",
            "schedule_condition",
            "seq_type",
        )
    },
    "cc": Rule(),
    "bcc": Rule(),
    "add_signature": flag(),
    "attachments": many(Rule(kind="object")),
}
_SOURCES = ("manual", "bounce", "complaint", "invalid")
FORWARD: dict[str, Rule] = {
    "message_id": text(required=True),
    "stats_id": text(required=True),
    "to_emails": Rule(required=True, nullable=False),
}
BLOCK: dict[str, Rule] = {
    "domain_block_list": many(text(required=True), required=True),
    "client_id": number(),
}
INBOX_BLOCK: dict[str, Rule] = {
    "domains": many(text(required=True), required=True),
    "source": text(options=_SOURCES),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Message history, answers, block list."""
    at = "/campaigns/{campaign_id}"
    table = (
        ("GET", at + "/leads/{lead_id}/message-history", history),
        ("POST", at + "/reply-email-thread", reply),
        ("POST", at + "/forward-email", forward),
        ("POST", "/leads/add-domain-block-list", block),
        ("GET", "/leads/get-domain-block-list", blocked),
        ("DELETE", "/leads/delete-domain-block-list", unblock),
        ("POST", "/master-inbox/block-domains", block_from_inbox),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def history(ask: Ask) -> dict[str, Any]:
    """What was said between a lead and us, oldest first."""
    lead_map = ask.lead_map
    ask.known("event_time_gt", "show_plain_text_response")
    entries = _entries(lead_map, as_text=ask.query.get("show_plain_text_response") == "true")
    if "event_time_gt" in ask.query:
        bound = moment_in(ask.query["event_time_gt"], "event_time_gt")
        entries = [entry for entry in entries if entry[0] > bound]
    box = lead_map.mailbox.address if lead_map.mailbox else None
    return {"history": [shown for _, shown in entries], "from": box, "to": lead_map.lead.email}


def _entries(lead_map: LeadMap, *, as_text: bool = False) -> list[tuple[datetime, dict[str, Any]]]:
    entries = [(sent.at, _sent(sent, as_text=as_text)) for sent in lead_map.sent]
    entries += [(entry.at, _message(entry, as_text=as_text)) for entry in lead_map.messages]
    return sorted(entries, key=lambda entry: entry[0])


def said_so_far(lead_map: LeadMap) -> list[dict[str, Any]]:
    """What was said between a lead and us, oldest first."""
    return [shown for _, shown in _entries(lead_map)]


def _sent(sent: Sent, *, as_text: bool) -> dict[str, Any]:
    return {
        "type": "SENT",
        "time": rest_time(sent.at),
        "message_id": sent.message_id,
        "stats_id": sent.stats_id,
        "from": sent.mailbox.address,
        "to": sent.lead_map.lead.email,
        "cc": None,
        "bcc": None,
        "subject": sent.subject,
        "email_body": plain(sent.body) if as_text else sent.body,
        "attachments": [],
        "email_seq_number": str(sent.step.number),
        "open_count": sent.opens,
        "click_count": sent.clicks,
        "click_details": {},
    }


def _message(entry: Message, *, as_text: bool) -> dict[str, Any]:
    return {
        "type": entry.type,
        "time": rest_time(entry.at),
        "message_id": entry.message_id,
        "stats_id": entry.stats_id,
        "from": entry.sender,
        "to": entry.to,
        "cc": entry.cc,
        "bcc": None,
        "subject": entry.subject,
        "email_body": plain(entry.body) if as_text else entry.body,
        "attachments": [],
    }


def reply(ask: Ask) -> Response:
    """Queues an answer; a sentence in text/html comes back, and no id."""
    campaign, given = ask.campaign, ask.body(REPLY)
    sent = ask.vendor.by_stats_id.get(given["email_stats_id"])
    if sent is None or sent.lead_map.campaign is not campaign:
        raise failed("Email stats not found - Invalid email_stats_id.")
    number_ = sum(entry.type == "SENT" for entry in sent.lead_map.messages) + len(ask.world.log.lists["sends"])
    identity = f"<{hexes(ask.world, 24, 'answer', sent.stats_id, number_)}@{sent.mailbox.domain}>"
    ask.world.at(ask.world.now + timedelta(minutes=2), partial(_send, ask.world, sent, identity, given["email_body"]))
    return PlainTextResponse(_QUEUED, media_type="text/html")


def _send(world: World, sent: Sent, identity: str, body: str) -> None:
    lead_map = sent.lead_map
    subject = sent.subject if sent.subject.startswith("Re: ") else f"Re: {sent.subject}"
    box, email = sent.mailbox.address, lead_map.lead.email
    lead_map.messages.append(Message("SENT", world.now, identity, sent.stats_id, box, email, subject, body))
    sent.mailbox.sent_at.append(world.now)
    log_send(world, sent, "reply", identity)


def forward(ask: Ask) -> dict[str, Any]:
    """Sends a message of the conversation on to somebody else."""
    given = ask.body(FORWARD)
    sent = ask.vendor.by_stats_id.get(given["stats_id"])
    if sent is None or sent.lead_map.campaign is not ask.campaign:
        raise failed("Email stats not found - Invalid stats_id.")
    return {"ok": True}


def block(ask: Ask) -> dict[str, Any]:
    """Puts domains and addresses on the one list there is."""
    given = ask.body(BLOCK)
    listed = given["domain_block_list"]
    if ask.world.state.get("partial_batch"):
        listed = listed[: len(listed) // 2]
    added = sum(ask.vendor.block(entry, ask.world.now, "manual", given.get("client_id")) for entry in listed)
    return {"uploadCount": len(listed), "totalDomainAdded": added}


def block_from_inbox(ask: Ask) -> dict[str, Any]:
    """The same from the inbox, with a reason."""
    given = ask.body(INBOX_BLOCK)
    for entry in given["domains"]:
        ask.vendor.block(entry, ask.world.now, given.get("source") or "manual")
    return {"success": True, "message": "Domains blocked successfully"}


def blocked(ask: Ask) -> list[dict[str, Any]]:
    """The list, newest first, as a bare array."""
    ask.known("offset", "limit", "filter_email_or_domain", "filter_client_id")
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 1000, 100)
    part = ask.query.get("filter_email_or_domain", "").strip().lower()
    found = [entry for entry in reversed(ask.vendor.blocks.values()) if part in entry.what]
    return [
        {
            "id": entry.id,
            "email_or_domain": entry.what,
            "created_at": rest_time(entry.created_at),
            "source": entry.source,
            "client_id": entry.client_id,
        }
        for entry in found[offset : offset + most]
    ]


def unblock(ask: Ask) -> dict[str, Any]:
    """Takes an entry off the list."""
    number_ = numbered(ask.query.get("id", ""))
    if number_ is None:
        raise said('"id" is required')
    entry = ask.vendor.blocks.pop(number_, None)
    if entry is None:
        raise failed("Block list entry not found - Invalid id.", 404)
    del ask.vendor.blocked[entry.what]
    return {"ok": True}
