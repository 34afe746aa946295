"""The payloads of the vendor's events, with the new names and the deprecated ones that are still sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mailfleet.sandbox.smartlead.deliveries import emit, envelope
from mailfleet.sandbox.smartlead.state import (
    Campaign,
    Lead,
    LeadMap,
    Mailbox,
    Message,
    Sent,
    Webhook,
    hook_time,
    plain,
    rest_time,
    smartlead,
    stats_uuid,
)
from mailfleet.sandbox.world import World

_INBOX = "https://app.smartlead.sandbox.example/app/master-inbox"


def name_of(lead: Lead) -> str:
    """First and last name."""
    return " ".join(str(lead.fields[key]) for key in ("first_name", "last_name") if lead.fields.get(key))


def message(message_id: str, html: str, text: str, at: datetime) -> dict[str, Any]:
    """A mail as payloads show it."""
    return {"message_id": message_id, "html": html, "text": text, "time": hook_time(at)}


def _about(sent: Sent) -> dict[str, Any]:
    lead = sent.lead_map.lead
    return {
        "stats_id": sent.stats_id,
        "sl_email_lead_id": str(lead.id),
        "sl_email_lead_map_id": sent.lead_map.id,
        "sl_lead_email": lead.email,
        "from_email": sent.mailbox.address,
        "to_email": lead.email,
        "to_name": name_of(lead),
        "subject": sent.subject,
        "sequence_number": sent.step.number,
        "sent_message": message(sent.message_id, sent.body, plain(sent.body), sent.at),
        "sent_message_body": sent.body,
        "ui_master_inbox_link": f"{_INBOX}?leadMap={sent.lead_map.id}",
    }


def _emit(world: World, event: str, sent: Sent, more: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> None:
    at = hook_time(world.now)

    def body(hook: Webhook) -> dict[str, Any]:
        whole = envelope(world, hook, event, sent.lead_map.campaign, at) | _about(sent) | dict(more)
        return {key: value for key, value in whole.items() if key not in without}

    emit(world, event, sent.lead_map.campaign, body)


def sent_event(world: World, sent: Sent) -> None:
    """EMAIL_SENT, and FIRST_EMAIL_SENT before it for the first step."""
    more = {
        "time_sent": hook_time(sent.at),
        "custom_subject": sent.subject,
        "custom_email_message": sent.body,
        "message_id": sent.message_id,
        "description": f"{sent.mailbox.fields['from_name']} sent an email to {name_of(sent.lead_map.lead)}",
    }
    if sent.step.number == 1:
        _emit(world, "FIRST_EMAIL_SENT", sent, more)
    _emit(world, "EMAIL_SENT", sent, more)


def opened_event(world: World, sent: Sent) -> None:
    """EMAIL_OPEN."""
    more = {"time_opened": hook_time(world.now), "message_id": sent.message_id, "description": "Email opened"}
    _emit(world, "EMAIL_OPEN", sent, more)


def clicked_event(world: World, sent: Sent, link: str) -> None:
    """EMAIL_LINK_CLICK."""
    more = {
        "time_clicked": hook_time(world.now),
        "link_clicked": [link],
        "link_details": [link],
        "message_id": sent.message_id,
        "description": "Link clicked",
    }
    _emit(world, "EMAIL_LINK_CLICK", sent, more)


def replied_event(world: World, sent: Sent, reply: Message) -> None:
    """EMAIL_REPLY; `from_email` stays our mailbox."""
    text = plain(reply.body)
    more = {
        "time_replied": hook_time(reply.at),
        "subject": reply.subject,
        "reply_message": message(reply.message_id, reply.body, text, reply.at),
        "message_id": reply.message_id,
        "reply_body": reply.body,
        "preview_text": text[:150],
        "cc_emails": reply.cc,
        "leadCorrespondence": {
            "targetLeadEmail": sent.lead_map.lead.email,
            "replyReceivedFrom": reply.sender,
            "repliedCompanyDomain": "SameCompany",
        },
        "description": f"{name_of(sent.lead_map.lead)} replied",
    }
    _emit(world, "EMAIL_REPLY", sent, more)


def bounced_event(world: World, sent: Sent, message_id: str, text: str, *, by_sender: bool) -> None:
    """EMAIL_BOUNCE: no class, only the message; without the lead's ids (smartlead: help, Email Bounce)."""
    html = "<pre>" + text.replace("<", "&lt;") + "</pre>"
    more = {
        "created_at": rest_time(world.now),
        "time_sent": hook_time(sent.at),
        "is_bounced": True,
        "is_sender_originated_bounce": by_sender,
        "bounce_message": message(message_id, html, text, world.now),
        "bounce_reply_message_id": message_id,
        "bounce_reply_email": html,
        "bounce_reply_email_preview": text[:200],
        "description": "Email bounced",
    }
    _emit(world, "EMAIL_BOUNCE", sent, more, without=("sl_email_lead_id", "sl_email_lead_map_id"))


def unsubscribed_event(world: World, lead_map: LeadMap) -> None:
    """LEAD_UNSUBSCRIBED: fewer fields than the others, and its own form of time."""
    lead, campaign = lead_map.lead, lead_map.campaign
    at = rest_time(world.now) or ""
    more = {
        "lead_email": lead.email,
        "to_email": lead.email,
        "lead_name": name_of(lead),
        "to_name": name_of(lead),
        "unsubscribed_client_id_map": {},
        "description": f"{name_of(lead)} unsubscribed",
    }
    emit(
        world,
        "LEAD_UNSUBSCRIBED",
        campaign,
        lambda hook: envelope(world, hook, "LEAD_UNSUBSCRIBED", campaign, at) | more,
    )


def category_event(world: World, lead_map: LeadMap, old: tuple[int, str] | None, new: tuple[int, str] | None) -> None:
    """LEAD_CATEGORY_UPDATED, by hand or by the vendor's own classification."""
    lead, campaign, at = lead_map.lead, lead_map.campaign, hook_time(world.now)
    history = [_sent_row(sent) for sent in lead_map.sent] + [_message_row(entry) for entry in lead_map.messages]
    last = next((row for row in reversed(history) if row["type"] == "REPLY"), None)
    more = {
        "created_at": rest_time(world.now),
        "lead_id": lead.id,
        "lead_email": lead.email,
        "lead_name": name_of(lead),
        "to_email": lead.email,
        "to_name": name_of(lead),
        "from_email": lead_map.mailbox.address if lead_map.mailbox else None,
        "from": lead_map.mailbox.address if lead_map.mailbox else None,
        "to": lead.email,
        "lead_category": {
            "old_id": old[0] if old else None,
            "old_name": old[1] if old else None,
            "new_id": new[0] if new else None,
            "new_name": new[1] if new else None,
        },
        "category": new[1] if new else None,
        "lead_category_id": new[0] if new else None,
        "lead_data": {"email": lead.email, **lead.fields},
        "history": history,
        "last_reply": last,
        "lastReply": last,
    }

    def body(hook: Webhook) -> dict[str, Any]:
        return envelope(world, hook, "LEAD_CATEGORY_UPDATED", campaign, at) | more

    emit(world, "LEAD_CATEGORY_UPDATED", campaign, body, category=new[1] if new else None)


def _sent_row(sent: Sent) -> dict[str, Any]:
    return {
        "stats_id": sent.stats_id,
        "type": "SENT",
        "message_id": sent.message_id,
        "time": rest_time(sent.at),
        "email_body": sent.body,
        "subject": sent.subject,
    }


def _message_row(entry: Message) -> dict[str, Any]:
    return {
        "stats_id": entry.stats_id,
        "type": entry.type,
        "message_id": entry.message_id,
        "time": rest_time(entry.at),
        "email_body": entry.body,
    }


def campaign_event(world: World, campaign: Campaign) -> None:
    """CAMPAIGN_STATUS_CHANGED."""
    at = hook_time(world.now)
    emit(
        world,
        "CAMPAIGN_STATUS_CHANGED",
        campaign,
        lambda hook: envelope(world, hook, "CAMPAIGN_STATUS_CHANGED", campaign, at),
    )


def disconnected_notice(world: World, box: Mailbox) -> None:
    """EMAIL_ACCOUNT_DISCONNECTED."""
    flat = {"accountId": box.id, "email": box.address, "error": box.smtp_error, "title": "Account disconnected"}
    data = {"account_id": box.id, "email": box.address, "reason": box.smtp_error}
    text = f"{box.address} was disconnected."
    _notice(world, "EMAIL_ACCOUNT_DISCONNECTED", {**flat, "message": text}, data)


def breach_notice(world: World, campaign: Campaign, share: float, threshold: object) -> None:
    """CAMPAIGN_BOUNCE_BREACH."""
    error = f"Bounce rate {share:.1f}% exceeded the threshold {threshold}%"
    text = f"The campaign {campaign.name} was paused at {rest_time(world.now)} because of its bounces."
    flat = {"campaignId": campaign.id, "error": error, "title": "Campaign paused", "message": text}
    data = {"campaign_id": campaign.id, "campaign_name": campaign.name, "reason": error}
    _notice(world, "CAMPAIGN_BOUNCE_BREACH", flat, data)


_DOTTED = {
    "EMAIL_ACCOUNT_DISCONNECTED": "email.account.disconnected",
    "CAMPAIGN_BOUNCE_BREACH": "campaign.bounce.breach",
}


def _notice(world: World, event: str, flat: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Two of the vendor's articles show two shapes for the same thing: 88 the flat one, 403 the dotted one."""
    if smartlead(world).notice_shape == "flat":
        emit(world, event, None, lambda hook: {"eventType": event, "appUrl": _INBOX, **flat})
        return
    identity = stats_uuid(world, "notice", event, world.now, *data.values())
    head = {"id": f"evt_{identity}", "type": _DOTTED[event], "created_at": rest_time(world.now)}
    tail = {"links": {"app": _INBOX}, "meta": {"attempt": 1, "level": "user"}}
    emit(world, event, None, lambda hook: {**head, "data": dict(data), **tail})
