"""Salesforge core: the key, workspaces, mailboxes, conversations, labels and webhooks."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.routing import BaseRoute

from mailfleet.sandbox.forge import engine
from mailfleet.sandbox.forge.http import (
    CORE_FACE,
    Ask,
    Refusal,
    absent,
    found,
    integer,
    invalid,
    route,
    said,
    text,
    texts,
)
from mailfleet.sandbox.forge.notices import secret, set_label
from mailfleet.sandbox.forge.state import Box, Email, Hook, Thread, Workspace, new_id, stamp, workspace
from mailfleet.sandbox.smartlead.login import check_logins
from mailfleet.sandbox.world import World

HOOKS = (
    "email_sent", "email_opened", "link_clicked", "email_replied", "linkedin_replied", "contact_unsubscribed",
    "email_bounced", "positive_reply", "negative_reply", "label_changed",
)  # fmt: skip
LATER_HOOKS = (
    "dnc_added", "meeting_booked", "meeting_completed", "linkedin_message_sent", "linkedin_inmail_sent",
    "linkedin_connection_request_sent", "linkedin_connection_request_accepted",
    "linkedin_connection_request_withdrawn", "linkedin_profile_viewed", "linkedin_post_liked",
    "linkedin_contact_followed",
)  # fmt: skip
# How long a new mailbox is looked at before it is active.
_CONNECTING = timedelta(minutes=2)


def routes(world: World) -> list[BaseRoute]:
    """Everything that is neither people nor sequences."""
    at, box, thread = "/workspaces/{workspaceID}", "/mailboxes/{mailboxID}", "/threads/{threadID}"
    hook = at + "/integrations/webhooks"
    table = (
        ("GET", "/me", me, 200),
        ("GET", "/workspaces", workspaces, 200),
        ("POST", "/workspaces", create_workspace, 201),
        ("GET", at, one_workspace, 200),
        ("GET", at + "/mailboxes", mailboxes, 200),
        ("POST", at + "/mailboxes", connect, 201),
        ("GET", at + box, one_mailbox, 200),
        ("PATCH", at + box, change_mailbox, 200),
        ("DELETE", at + box, disconnect, 204),
        ("GET", at + box + thread, one_thread, 200),
        ("PUT", at + box + thread + "/label", label_thread, 204),
        ("POST", at + box + "/emails/{emailID}/reply", reply, 204),
        ("GET", at + "/threads", threads, 200),
        ("GET", at + thread, one_thread_new, 200),
        ("PUT", at + thread + "/label", label_thread_new, 204),
        ("GET", at + "/primebox-labels", labels, 200),
        ("GET", hook, hooks, 200),
        ("POST", hook, create_hook, 201),
        ("GET", hook + "/{webhookID}", one_hook, 200),
        ("DELETE", hook + "/{webhookID}", delete_hook, 204),
    )
    return [route(world, CORE_FACE, method, path, answer, ok=ok) for method, path, answer, ok in table]


def me(ask: Ask) -> Any:
    """Whose key it is."""
    return {"accountId": ask.held.account_id, "apiKeyName": "sandbox"}


def _workspace(ask: Ask, ws: Workspace) -> dict[str, Any]:
    return {"id": ws.id, "accountId": ask.held.account_id, "name": ws.name, "slug": ws.slug}


def workspaces(ask: Ask) -> Any:
    """The workspaces."""
    return ask.paged(list(ask.held.workspaces.values()), lambda ws: _workspace(ask, ws))


def create_workspace(ask: Ask) -> Any:
    """One more."""
    return _workspace(ask, workspace(ask.world, text(ask.body(), "name", longest=100)))


def one_workspace(ask: Ask) -> Any:
    """One of them."""
    return _workspace(ask, ask.ws)


def mailbox(box: Box) -> dict[str, Any]:
    """A mailbox as it is read: no credentials, nothing of its warm-up."""
    return {
        "id": box.id,
        "address": box.address,
        "firstName": box.first_name,
        "lastName": box.last_name,
        "status": box.status,
        "disconnectReason": box.disconnect_reason,
        "mailboxProvider": box.provider,
        "dailyEmailLimit": box.daily_limit,
        "signature": box.signature,
        "resolvedSignature": box.signature,
        "trackingDomain": box.tracking_domain,
        "trackingDomainStatus": "active" if box.tracking_domain else "pending",
    }


def mailboxes(ask: Ask) -> Any:
    """The mailboxes; filters are taken and ignored in the older interface."""
    rows = list(ask.ws.boxes.values())
    if not ask.old:
        states, wanted, addresses = ask.several("statuses"), ask.several("mailbox_ids"), ask.several("addresses")
        searched = ask.query.get("search", "").lower()
        rows = [
            box
            for box in rows
            if (not states or box.status in states)
            and (not wanted or box.id in wanted)
            and (not addresses or box.address in [address.lower() for address in addresses])
            and searched in box.address
            and box.id not in ask.several("excluded_mailbox_ids")
        ]
    return ask.paged(rows, mailbox)


def _box(ask: Ask) -> Box:
    return found(ask.ws.boxes, ask.path["mailboxID"], "mailbox")


def one_mailbox(ask: Ask) -> Any:
    """One mailbox."""
    return mailbox(_box(ask))


async def connect(ask: Ask) -> Any:
    """Logs in first; what fails stores nothing. It is `pending` for a while and `active` after that."""
    if ask.old:
        raise absent()
    ws, given = ask.ws, ask.body()
    address = text(given, "address").strip().lower()
    names = text(given, "firstName"), text(given, "lastName")
    limit = integer(given, "dailyEmailLimit", 1, 100, 30)
    logins = {**_server(given, "imap"), **_server(given, "smtp")}
    if any(box.address == address and box.status == "pending" for box in ws.boxes.values()):
        raise said("mailbox is already being connected", 409)
    if any(box.address == address for box in ws.boxes.values()):
        raise said("mailbox already exists", 409)
    for problem in await check_logins({**logins, "username": logins["smtp_username"]}):
        if problem:
            raise said(problem)
    box = Box(new_id(ask.world, "mbox_"), address, *names, ask.world.now, daily_limit=limit)
    box.signature = str(given.get("signature") or "")
    ws.boxes[box.id] = box
    ask.world.at(ask.world.now + _CONNECTING, partial(_connected, ask.world, ws, box))
    return mailbox(box)


def _server(given: dict[str, Any], kind: str) -> dict[str, Any]:
    part: Any = given.get(kind)
    if not isinstance(part, dict):
        raise invalid(f"{kind} is a required field")
    row = cast("dict[str, Any]", part)
    port = integer(row, "port", 1, 65535)
    named = {f"{kind}_{name}": text(row, name) for name in ("host", "username", "password")}
    return {**named, f"{kind}_port": port, "password": named[f"{kind}_password"]}


def _connected(world: World, ws: Workspace, box: Box) -> None:
    if box.status != "pending":
        return
    box.status = "active"
    for sequence in ws.sequences.values():
        if box.id in sequence.mailboxes:
            engine.engine(sequence).wake = None
            engine.wake(world, ws, sequence, world.now)


def change_mailbox(ask: Ask) -> Any:
    """Name, signature, tracking and the daily limit."""
    if ask.old:
        raise absent()
    box, given = _box(ask), ask.body()
    if "dailyEmailLimit" in given:
        box.daily_limit = integer(given, "dailyEmailLimit", 1, 100)
    box.first_name = str(given.get("firstName") or box.first_name)
    box.last_name = str(given.get("lastName") or box.last_name)
    box.signature = str(given.get("signature", box.signature))
    box.tracking_domain = str(given.get("trackingDomain", box.tracking_domain))
    return mailbox(box)


def disconnect(ask: Ask) -> None:
    """Removes it here; the account at its provider stays."""
    if ask.old:
        raise absent()
    box = _box(ask)
    del ask.ws.boxes[box.id]
    box.status = "deleted"
    for sequence in ask.ws.sequences.values():
        sequence.mailboxes.pop(box.id, None)


def _row(ask: Ask, thread: Thread) -> dict[str, Any]:
    last = thread.emails[-1]
    row: dict[str, Any] = {
        "id": thread.id,
        "mailboxId": thread.box.id,
        "agentId": "",
        "agentReply": "",
        "agentStatus": "action_required" if thread.unread else "action_dismissed",
        "contactEmail": thread.contact.email,
        "contactFirstName": thread.contact.first_name,
        "contactLastName": thread.contact.last_name,
        "subject": thread.emails[0].subject,
        "content": last.content,
        "date": stamp(last.date),
        "isUnread": thread.unread,
        "labelId": thread.label_id,
        "replyType": thread.reply_type,
    }
    if not ask.old:
        row |= {"isPositive": thread.positive, "labelAppliedBy": thread.label_applied_by, "profilePictureUrl": ""}
        row["labelAppliedAt"] = stamp(thread.label_applied_at)
    return row


def threads(ask: Ask) -> Any:
    """Conversations, those with the newest mail first."""
    rows = ask.ws.by_newest()
    if not ask.old:
        boxes, sequences, marks = ask.several("mailbox_ids"), ask.several("sequence_ids"), ask.several("labels")
        rows = [
            thread
            for thread in rows
            if (not boxes or thread.box.id in boxes)
            and (not sequences or thread.sequence.id in sequences)
            and (not marks or thread.label_id in marks)
        ]
    return ask.paged(rows, lambda thread: _row(ask, thread))


def one_thread(ask: Ask) -> Any:
    """A conversation by its mailbox: the older address of it."""
    return _thread(ask, found(ask.ws.threads, ask.path["threadID"], "thread"))


def one_thread_new(ask: Ask) -> Any:
    """A conversation."""
    if ask.old:
        raise absent()
    return one_thread(ask)


def _thread(ask: Ask, thread: Thread) -> dict[str, Any]:
    contact, sequence = thread.contact, thread.sequence
    return {
        "contact": {
            "id": contact.id,
            "firstName": contact.first_name,
            "lastName": contact.last_name,
            "email": contact.email,
            "company": contact.company,
            "linkedinUrl": contact.linkedin,
        },
        "sequence": {
            "id": sequence.id,
            "name": sequence.name,
            "status": sequence.status,
            "product": ask.ws.products.get(sequence.product_id, {}),
        },
        "emails": [_email(ask, email) for email in thread.emails],
        **({} if ask.old else {"linkedinMessages": []}),
    }


def _email(ask: Ask, email: Email) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": email.id,
        "emailId": email.email_id,
        "type": email.type,
        "subject": email.subject,
        "content": email.content,
        "date": stamp(email.date),
        "fromAddress": email.sender,
        "toAddress": email.to,
    }
    return row if ask.old else row | {"tos": [email.to], "ccs": [], "bccs": [], "attachments": []}


def label_thread(ask: Ask) -> None:
    """Labels a conversation by hand."""
    label = found(ask.ws.labels, text(ask.body(), "labelId"), "label")
    thread = found(ask.ws.threads, ask.path["threadID"], "thread")
    set_label(ask.world, ask.ws, thread, label["specialLabel"], None, by="user")


def label_thread_new(ask: Ask) -> None:
    """The newer address of it."""
    if ask.old:
        raise absent()
    label_thread(ask)


def reply(ask: Ask) -> None:
    """Queues an answer in a conversation."""
    box, ws, given = _box(ask), ask.ws, ask.body()
    for thread in ws.threads.values():
        if any(email.id == ask.path["emailID"] for email in thread.emails):
            identity = new_id(ask.world, "eml_")
            content = str(given.get("content") or "")
            subject, to = f"Re: {thread.emails[0].subject}", thread.contact.email
            mail = Email(identity, f"{identity[4:]}@{box.domain}", "outbound", subject, content, ask.world.now, "", to)
            mail.sender, thread.unread = box.address, False
            ws.add_email(thread, mail)
            _log_reply(ask, thread, box, mail.email_id)
            return
    raise said("email not found", 404)


def _log_reply(ask: Ask, thread: Thread, box: Box, message_id: str) -> None:
    ask.world.log.add(
        "sends",
        {
            "platform": "forge",
            "campaign_id": thread.sequence.id,
            "lead_id": thread.contact.id,
            "lead_email": thread.contact.email,
            "mailbox": box.address,
            "step": None,
            "variant": None,
            "message_id": message_id,
            "kind": "reply",
        },
    )


def labels(ask: Ask) -> Any:
    """The labels of conversations."""
    return ask.paged(list(ask.ws.labels.values()), lambda row: row)


def _hook(ask: Ask, hook: Hook) -> dict[str, Any]:
    first = hook.sequence_ids[0] if hook.sequence_ids else ""
    row = {"id": hook.id, "name": hook.name, "type": hook.type, "url": hook.url, "sequenceId": first}
    return {**row, **({} if ask.old else {"sequenceIds": hook.sequence_ids}), "sentCount": hook.sent}


def hooks(ask: Ask) -> Any:
    """The webhooks, never their secrets."""
    return ask.paged(list(ask.ws.hooks.values()), lambda hook: _hook(ask, hook))


def create_hook(ask: Ask) -> Any:
    """One type a hook. The secret is shown here and never again."""
    given, types = ask.body(), HOOKS if ask.old else HOOKS + LATER_HOOKS
    name, url, kind = text(given, "name"), text(given, "url"), text(given, "type")
    if kind not in types:
        raise invalid("type must be one of [" + " ".join(types) + "]")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("url must be a valid URL")
    ids = texts(given, "sequenceIds", least=0) if given.get("sequenceIds") is not None else []
    if given.get("sequenceID"):
        ids.append(str(given["sequenceID"]))
    for identity in ids:
        if identity not in ask.ws.sequences:
            raise Refusal(500, {"message": "internal server error"})
    identity = new_id(ask.world, "rwh_" if ask.old else "wh_config_")
    hook = Hook(identity, name, kind, url, ids, secret(ask.world, identity))
    ask.ws.hooks[identity] = hook
    return {**_hook(ask, hook), "signingSecret": hook.secret}


def one_hook(ask: Ask) -> Any:
    """One webhook."""
    return _hook(ask, found(ask.ws.hooks, ask.path["webhookID"], "webhook"))


def delete_hook(ask: Ask) -> None:
    """Removes one, since 2026-09."""
    if ask.old:
        raise absent()
    found(ask.ws.hooks, ask.path["webhookID"], "webhook")
    del ask.ws.hooks[ask.path["webhookID"]]
