"""What Salesforge does when it notices an open, a click, an answer, a bounce or an opt-out, and the hooks it tells.

One POST for an event, never repeated whatever the answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx2

from mailfleet.sandbox.engine.react import Answer
from mailfleet.sandbox.forge.state import (
    Box,
    Contact,
    Email,
    Enrolment,
    Hook,
    Mail,
    Thread,
    Workspace,
    forge,
    ident,
    new_id,
    stamp,
)
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.smartlead.state import plain
from mailfleet.sandbox.world import World

POSITIVE = ("positive", "info_request")
_NEGATIVE = ("negative", "unsubscribe", "wrong_person")
# The labelling by machine is not always right.
_WRONG = 0.10
# No open, click or answer stops a contact that has reached one of these.
_OVER = ("bounced", "replied", "unsubscribed", "dnc", "deleted")
_AGENT = "SalesforgeAI/salesforge-webhook-service-1.1"


def secret(world: World, identity: str) -> str:
    """A signing secret in the published form."""
    raw = hashlib.blake2b(f"{world.seed}\x1f{identity}".encode(), digest_size=32).digest()
    return "whsec_" + base64.b64encode(raw).decode().rstrip("=")


def signature(secret_: str, event_id: str, at: int, body: bytes) -> str:
    """The header's value: HMAC-SHA256 over id, time and body under the whole secret."""
    signed = f"{event_id}.{at}.".encode() + body
    return f"t={at},v1={hmac.new(secret_.encode(), signed, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True)
class Noticed:
    """A mail of Salesforge, as the receiving side meets it."""

    ws: Workspace
    mail: Mail

    @property
    def identity(self) -> str:
        return self.mail.id

    @property
    def message_id(self) -> str:
        return self.mail.message_id

    @property
    def subject(self) -> str:
        return self.mail.subject

    @property
    def body(self) -> str:
        return self.mail.body

    @property
    def at(self) -> datetime:
        return self.mail.at

    @property
    def links(self) -> list[str]:
        return [part.partition('"')[0] for part in self.mail.body.split('href="')[1:]]

    @property
    def to(self) -> str:
        return self.mail.enrolment.contact.email

    @property
    def to_name(self) -> str:
        return _name(self.mail.enrolment.contact)

    @property
    def step(self) -> int:
        return self.mail.step + 1

    @property
    def box(self) -> Box:
        return self.mail.box

    @property
    def sender_name(self) -> str:
        return f"{self.mail.box.first_name} {self.mail.box.last_name}".strip()

    def tracks(self, what: str) -> bool:
        settings = self.mail.enrolment.sequence.settings
        return bool(settings.get("openTrackingEnabled" if what == "EMAIL_OPEN" else "clickTrackingEnabled"))

    def opened(self, world: World) -> None:
        count_open(self.mail, world.now)
        tell(world, self.ws, "email_opened", self.mail)

    def clicked(self, world: World, link: str) -> None:
        count_click(self.mail, world.now)
        tell(world, self.ws, "link_clicked", self.mail)

    def replied(self, world: World, answer: Answer, meaning: str) -> None:
        replied(world, self.ws, self.mail, answer, meaning)

    def bounced(self, world: World, message_id: str, text: str, kind: str) -> None:
        bounced(world, self.ws, self.mail, message_id, text, kind)

    def unsubscribed(self, world: World) -> None:
        unsubscribed(world, self.ws, self.mail)

    def complained(self, world: World) -> None:
        """Nothing that is published tells the vendor of a complaint."""


def count_open(mail: Mail, at: datetime) -> None:
    """Counts an open of a mail."""
    sequence = mail.enrolment.sequence
    sequence.on(at.date(), "totalOpened")
    if not any(other.opened_at for other in mail.enrolment.mails):
        sequence.count("opened")
        sequence.on(at.date(), "uniqueOpened")
    mail.opened_at = mail.opened_at or at


def count_click(mail: Mail, at: datetime) -> None:
    """Counts a click in a mail."""
    sequence = mail.enrolment.sequence
    sequence.on(at.date(), "totalClicked")
    if not any(other.clicked_at for other in mail.enrolment.mails):
        sequence.count("clicked")
        sequence.on(at.date(), "uniqueClicked")
    mail.clicked_at = mail.clicked_at or at


def thread_of(world: World, ws: Workspace, mail: Mail, reply_type: str) -> Thread:
    """The conversation a mail belongs to, begun with the mails so far when there is none."""
    identity = ident(world, "mth_", mail.enrolment.sequence.id, mail.enrolment.contact.id)
    found = ws.threads.get(identity)
    if found is None:
        enrolment = mail.enrolment
        found = Thread(identity, mail.box, enrolment.contact, enrolment.sequence, reply_type)
        found.emails = [_outgoing(sent) for sent in enrolment.mails if sent.at <= mail.at]
        ws.threads[identity] = found
    return found


def _outgoing(mail: Mail) -> Email:
    to = mail.enrolment.contact.email
    return Email(mail.id, mail.message_id, "outbound", mail.subject, mail.body, mail.at, mail.box.address, to)


def replied(world: World, ws: Workspace, mail: Mail, answer: Answer, meaning: str) -> None:
    """An answer arrived in the mailbox."""
    away = meaning == "out_of_office"
    enrolment = mail.enrolment
    thread = thread_of(world, ws, mail, "ooo" if away else "lead_replied")
    thread.reply_type = "ooo" if away else "lead_replied"
    mailed = answer.message_id.strip("<>")
    ws.add_email(
        thread,
        Email(
            ident(world, "eml_", mailed),
            mailed,
            "inbound",
            answer.subject,
            answer.html,
            answer.at,
            answer.sender,
            answer.to,
        ),
    )
    mail.replied_at = mail.replied_at or answer.at
    if enrolment.status not in _OVER:
        enrolment.status = "ooo" if away else "replied"
        enrolment.version += not away
    if not away:
        count_reply(mail, answer.at)
        tell(world, ws, "email_replied", mail)
    world.at(world.now + timedelta(seconds=20), partial(_label, world, ws, mail, thread, meaning))


def count_reply(mail: Mail, at: datetime) -> None:
    """Counts an answer, once a contact in a sequence."""
    sequence = mail.enrolment.sequence
    sequence.on(at.date(), "replied")
    sequence.count("replied")


def count_positive(mail: Mail, at: datetime) -> None:
    """Counts an answer that was labelled as a good one."""
    mail.enrolment.sequence.on(at.date(), "positive")
    mail.enrolment.sequence.count("repliedPositive")


def _label(world: World, ws: Workspace, mail: Mail, thread: Thread, meaning: str) -> None:
    special = "positive" if meaning in POSITIVE else "negative" if meaning in _NEGATIVE else ""
    if fraction(world, "label", thread.id) < _WRONG and special:
        special = "negative" if special == "positive" else "positive"
    special = "ooo" if meaning == "out_of_office" else special
    if special:
        set_label(world, ws, thread, special, mail)


def set_label(world: World, ws: Workspace, thread: Thread, special: str, mail: Mail | None, by: str = "llm") -> None:
    """Labels a conversation and tells the hooks."""
    label = next(found for found in ws.labels.values() if found["specialLabel"] == special)
    was = thread.positive
    thread.label_id, thread.label_applied_at, thread.label_applied_by = label["id"], world.now, by
    thread.positive = special in ("positive", "meeting_booked")
    if mail is None:
        return
    if thread.positive and not was:
        count_positive(mail, world.now)
    tell(world, ws, "label_changed", mail)
    if special in ("positive", "negative"):
        tell(world, ws, f"{special}_reply", mail)


def bounced(world: World, ws: Workspace, mail: Mail, message_id: str, text: str, kind: str) -> None:
    """A mail came back. Only a dead address ends the contact; which kind it was is not told."""
    mail.bounced = True
    enrolment, sequence = mail.enrolment, mail.enrolment.sequence
    sequence.count("bounced")
    thread = thread_of(world, ws, mail, "bounced")
    ws.add_email(
        thread,
        Email(
            ident(world, "eml_", message_id),
            message_id.strip("<>"),
            "inbound",
            f"Undeliverable: {mail.subject}",
            text,
            world.now,
            f"mailer-daemon@{mail.box.domain}",
            mail.box.address,
        ),
    )
    if kind == "hard" and enrolment.status not in _OVER:
        enrolment.status = "bounced"
        enrolment.version += 1
    tell(world, ws, "email_bounced", mail)


def unsubscribed(world: World, ws: Workspace, mail: Mail) -> None:
    """Somebody used the link: written to in no sequence any more. The do-not-contact list is another matter."""
    for enrolment in mail.enrolment.contact.enrolments.values():
        _opt_out(enrolment)
    mail.enrolment.sequence.count("optOuted")
    tell(world, ws, "contact_unsubscribed", mail)


def _opt_out(enrolment: Enrolment) -> None:
    enrolment.status = "unsubscribed"
    enrolment.version += 1


def sent_hook(world: World, ws: Workspace, mail: Mail) -> None:
    """Tells of a mail that left. `step` counts from 1 here and from 0 in the interface."""
    tell(world, ws, "email_sent", mail, {"emailSentData": {"step": mail.step + 1, "ai_generated": False}})


def tell(world: World, ws: Workspace, kind: str, mail: Mail, block: dict[str, Any] | None = None) -> None:
    """Queues an event for every hook of its type that wants the sequence."""
    sequence = mail.enrolment.sequence
    more = {**(block or {}), **forge(world).blocks.get(kind, {})}
    for hook in ws.hooks.values():
        if hook.type == kind and (not hook.sequence_ids or sequence.id in hook.sequence_ids):
            event = new_id(world, "wh_")
            payload = {"webhookInfo": {"id": event, "eventTime": stamp(world.now), "type": kind}, **_about(ws, mail)}
            _queue(world, ws, hook, event, {**payload, **more})


def tell_dnc(world: World, ws: Workspace, value: str) -> None:
    """Tells the hooks of an address that was forbidden: no mail belongs to it."""
    for hook in ws.hooks.values():
        if hook.type == "dnc_added":
            event = new_id(world, "wh_")
            info = {"id": event, "eventTime": stamp(world.now), "type": "dnc_added"}
            place = {"id": ws.id, "name": ws.name, "slug": ws.slug}
            more = forge(world).blocks.get("dnc_added", {})
            _queue(world, ws, hook, event, {"webhookInfo": info, "workspace": place, "dnc": {"value": value}, **more})


def _about(ws: Workspace, mail: Mail) -> dict[str, Any]:
    """The blocks that every event of a mail has."""
    contact, box, sequence = mail.enrolment.contact, mail.box, mail.enrolment.sequence
    return {
        "sequenceEmail": {
            "emailId": mail.message_id,
            "fromEmail": box.address,
            "fromName": f"{box.first_name} {box.last_name}".strip(),
            "toEmail": contact.email,
            "toName": _name(contact),
            "subject": mail.subject,
            "content": {"text": plain(mail.body), "html": mail.body},
        },
        "workspace": {"id": ws.id, "name": ws.name, "slug": ws.slug},
        "contact": {
            "id": contact.id,
            "firstName": contact.first_name,
            "lastName": contact.last_name,
            "email": contact.email,
            "company": contact.company,
        },
        "sequence": {"id": sequence.id, "name": sequence.name},
        "mailbox": {
            "id": box.id,
            "firstName": box.first_name,
            "lastName": box.last_name,
            "email": box.address,
            "customDomain": box.tracking_domain,
        },
    }


def _name(contact: Contact) -> str:
    return f"{contact.first_name} {contact.last_name}".strip()


def _queue(world: World, ws: Workspace, hook: Hook, event: str, payload: dict[str, Any]) -> None:
    out = outbound(world)
    share, odd = fraction(world, "forge hook", event), fraction(world, "forge hook odd", event)
    if odd < out.disorder.lost or out.lose:
        out.lose = max(0, out.lose - 1)
        _noted(world, hook, event, payload, "lost", world.now)
        return
    late = odd < out.disorder.lost + out.disorder.late
    delay = timedelta(seconds=1 + 4 * share + (570 * share if late else 0))
    world.at(world.now + delay, partial(_due, world, ws, hook, event, payload))


def _due(world: World, ws: Workspace, hook: Hook, event: str, payload: dict[str, Any]) -> None:
    if hook.id not in ws.hooks:
        return
    out = outbound(world)
    out.since = out.since or world.now
    out.waiting.append(partial(_attempt, world, hook, event, payload, world.now))


async def _attempt(world: World, hook: Hook, event: str, payload: dict[str, Any], at: datetime) -> Callable[[], None]:
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _AGENT,
        "X-SalesforgeAI-Webhook-Event-ID": event,
        "X-SalesforgeAI-Webhook-Signature": signature(hook.secret, event, int(at.timestamp()), body),
    }
    status: int | str
    try:
        status = (await outbound(world).client.post(hook.url, content=body, headers=headers)).status_code
    except httpx2.TimeoutException:
        status = "timeout"
    except (httpx2.HTTPError, httpx2.InvalidURL):
        status = "unreachable"
    hook.sent += 1
    return partial(_noted, world, hook, event, payload, status, at)


def _noted(world: World, hook: Hook, event: str, payload: dict[str, Any], status: int | str, at: datetime) -> None:
    info: dict[str, Any] = payload["webhookInfo"]
    world.log.add(
        "webhooks",
        {
            "platform": "forge",
            "delivery": event,
            "hook": hook.id,
            "event": info["type"],
            "campaign_id": payload.get("sequence", {}).get("id"),
            "email": payload.get("contact", {}).get("email"),
            "event_timestamp": info["eventTime"],
            "attempt": 1,
            "status": status,
            "at": at.isoformat(),
        },
    )
