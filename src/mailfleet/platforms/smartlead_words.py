"""Smartlead's words in ours and back: states, mailboxes, leads, figures. Campaigns: `smartlead_setup`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.platforms.port import (
    CampaignState,
    CampaignStats,
    HistoryEntry,
    LeadSeen,
    LeadState,
    MailboxSeen,
    MailboxSpec,
    NewLead,
    SentMessage,
    WarmupReading,
)
from mailfleet.vendors.smartlead import models

CAMPAIGN_STATES: Mapping[str, CampaignState] = {
    "DRAFTED": "draft", "ACTIVE": "running", "PAUSED": "paused", "STOPPED": "stopped", "COMPLETED": "completed",
    "ARCHIVED": "archived",
}  # fmt: skip
LEAD_STATES: Mapping[str, LeadState] = {
    "STARTED": "started", "INPROGRESS": "in_progress", "COMPLETED": "completed", "PAUSED": "paused",
    "STOPPED": "stopped", "BLOCKED": "blocked",
}  # fmt: skip
_LEAD_WORDS = {state: word for word, state in LEAD_STATES.items()}
OWN_FIELDS = ("phone_number", "website", "location", "linkedin_profile", "company_url")


def lead_word(state: LeadState | None) -> str | None:
    """The vendor's word to filter by; None where there is none."""
    return _LEAD_WORDS.get(state) if state else None


def campaign_state(status: str | None) -> CampaignState:
    return CAMPAIGN_STATES.get((status or "").upper(), "unknown")


def account_fields(spec: MailboxSpec) -> dict[str, Any]:
    """What `save` takes (smartlead:email-accounts/save). The vendor logs in with it at once."""
    fields = {
        "id": None,
        "type": "SMTP",
        "from_name": spec.display_name,
        "from_email": spec.address,
        "user_name": spec.username,
        "password": spec.password,
        "smtp_host": spec.smtp_host,
        "smtp_port": spec.smtp_port,
        "imap_host": spec.imap_host,
        "imap_port": spec.imap_port,
        "max_email_per_day": spec.daily_cap,
        "time_to_wait_in_mins": spec.min_gap_minutes,
        "warmup_enabled": False,
    }
    given = {"signature": spec.signature, "custom_tracking_url": spec.tracking_host}
    return fields | {name: value for name, value in given.items() if value}


def mailbox(account: models.EmailAccount) -> MailboxSeen:
    """`connected` only when both logins are reported as working; V13a reads the same flags."""
    warmup = account.warmup_details
    failure = " ".join(filter(None, (account.smtp_failure_error, account.imap_failure_error)))
    return MailboxSeen(
        ref=str(account.id),
        address=account.from_email,
        connected=account.is_smtp_success is not False and account.is_imap_success is not False,
        failure=failure,
        suspended=bool(account.is_suspended),
        daily_cap=account.message_per_day,
        sent_today=account.daily_sent_count,
        min_gap_minutes=account.min_wait,
        warmup_enabled=None if warmup is None else (warmup.status or "").upper() == "ACTIVE",
        warmup_blocked=bool(warmup and (warmup.is_warmup_blocked or warmup.blocked_reason)),
        warmup_failure=(warmup and warmup.blocked_reason) or "",
        warmup_per_day=warmup and warmup.max_email_per_day,
        warmup_reply_percent=None if warmup is None or warmup.reply_rate is None else round(warmup.reply_rate),
        reputation=warmup and warmup.reputation,
        campaign_refs=None if account.campaign_ids is None else tuple(map(str, account.campaign_ids)),
        raw=msgspec.to_builtins(account),
    )


def warmup_reading(stats: models.WarmupStats) -> WarmupReading:
    """Seven days of counts (V3)."""
    return WarmupReading(
        sent=stats.sent_count,
        inbox=stats.inbox_count,
        spam=stats.spam_count,
        by_day={day.date: day.sent_count for day in stats.stats_by_date},
        raw=msgspec.to_builtins(stats),
    )


def lead_fields(lead: NewLead) -> dict[str, Any]:
    own = {name: lead.fields[name] for name in OWN_FIELDS if name in lead.fields}
    named = {"first_name": lead.first_name, "last_name": lead.last_name, "company_name": lead.company}
    other = {name: value for name, value in lead.fields.items() if name not in OWN_FIELDS}
    return {"email": lead.email, **named, **own, "custom_fields": other}


def lead(seen: models.CampaignLead, categories: Mapping[int, str]) -> LeadSeen:
    return LeadSeen(
        ref=str(seen.lead.id),
        map_ref=str(seen.campaign_lead_map_id),
        email=seen.lead.email,
        state=LEAD_STATES.get(seen.status.upper(), "unknown"),
        category=None if seen.lead_category_id is None else categories.get(seen.lead_category_id),
        unsubscribed=bool(seen.lead.is_unsubscribed),
        raw=msgspec.to_builtins(seen),
    )


def stats(totals: models.Totals) -> CampaignStats:
    return CampaignStats(
        sent=totals.sent_count,
        unique_sent=totals.unique_sent_count,
        opened=totals.unique_open_count or totals.open_count,
        clicked=totals.unique_click_count or totals.click_count,
        replied=totals.reply_count,
        bounced=totals.bounce_count,
        unsubscribed=totals.unsubscribed_count,
        leads=totals.campaign_lead_stats or {},
    )


def sent_message(row: models.MessageRow) -> SentMessage | None:
    """None for a row that has not been sent."""
    if row.sent_time is None:
        return None
    return SentMessage(
        message_ref=row.stats_id,
        email=row.lead_email,
        step=row.sequence_number,
        sent_at=row.sent_time,
        opened_at=row.open_time,
        clicked_at=row.click_time,
        replied_at=row.reply_time,
        bounced=bool(row.is_bounced),
        unsubscribed=bool(row.is_unsubscribed),
        mailbox_ref=None if row.email_account_id is None else str(row.email_account_id),
        variant_ref=None if row.seq_variant_id is None else str(row.seq_variant_id),
    )


def history(messages: Sequence[models.Message]) -> Sequence[HistoryEntry]:
    return [
        HistoryEntry(
            kind="reply" if message.type.upper() == "REPLY" else "sent",
            at=message.time,
            message_id=message.message_id or "",
            message_ref=message.stats_id or "",
            subject=message.subject or "",
            body=message.email_body or "",
            step=message.email_seq_number,
        )
        for message in messages
    ]
