"""A Smartlead campaign in our words and back: its names when written differ from its names when read (quirks.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.platforms.port import (
    CampaignSeen,
    CampaignSettings,
    CampaignSetup,
    EventKind,
    Schedule,
    Step,
    WebhookSeen,
)
from mailfleet.platforms.smartlead_events import KINDS
from mailfleet.platforms.smartlead_words import campaign_state
from mailfleet.vendors.smartlead import campaigns, models
from mailfleet.vendors.smartlead.webhooks import EVENTS

HOOK = "mailfleet"
HOOKED: frozenset[EventKind] = frozenset(KINDS[name] for name in EVENTS)
_CLOSING = "23:59"
"""The vendor has no hour 24 (smartlead:campaigns/schedule)."""
# Read form first, then the form that is written: one source reads back what it wrote.
_NO_OPENS = ("DONT_EMAIL_OPEN", campaigns.NO_OPENS)
_NO_CLICKS = ("DONT_LINK_CLICK", campaigns.NO_CLICKS)
_SIGNATURE = ("{{signature}}", "%signature%")
"""The vendor's own place for the signature of the mailbox that sends."""


def seen(found: models.Campaign) -> CampaignSeen:
    return CampaignSeen(
        ref=str(found.id),
        name=found.name or "",
        state=campaign_state(found.status),
        created_at=found.created_at,
        max_new_leads_per_day=found.max_leads_per_day,
        raw=msgspec.to_builtins(found),
    )


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """Flat, Sunday is 0, at least 3 minutes between mails (smartlead:campaigns/schedule)."""
    return {
        "timezone": schedule.timezone,
        "days_of_the_week": sorted(day % 7 for day in schedule.days),
        "start_hour": f"{schedule.start_hour:02d}:00",
        "end_hour": _CLOSING if schedule.end_hour >= 24 else f"{schedule.end_hour:02d}:00",
        "min_time_btw_emails": max(3, schedule.min_gap_minutes),
        "max_new_leads_per_day": schedule.max_new_leads_per_day,
    }


def settings_fields(settings: CampaignSettings) -> dict[str, Any]:
    """Tracking is switched off by naming what not to track; the threshold is text (smartlead:campaigns/settings)."""
    off = {campaigns.NO_OPENS: settings.track_opens, campaigns.NO_CLICKS: settings.track_clicks}
    fields: dict[str, Any] = {
        "track_settings": [name for name, wanted in off.items() if not wanted],
        "send_as_plain_text": settings.plain_text,
        "follow_up_percentage": settings.follow_up_percent,
        "unsubscribe_text": settings.unsubscribe_text,
        "bounce_autopause_threshold": str(settings.bounce_autopause_percent),
    }
    return fields | ({"stop_lead_settings": "REPLY_TO_AN_EMAIL"} if settings.stop_on_reply else {})


def setup(
    found: models.Campaign, sequences: Sequence[models.Sequence], accounts: Sequence[models.EmailAccount]
) -> CampaignSetup:
    return CampaignSetup(
        state=campaign_state(found.status),
        fields={**_schedule(found), **_settings(found)},
        steps=sorted(map(step, sequences), key=lambda each: each.position),
        mailbox_refs=frozenset(str(account.id) for account in accounts),
        variant_labels={
            str(form.id): f"{sequence.seq_number}:{form.variant_label or ''}"
            for sequence in sequences
            for form in sequence.sequence_variants or []
            if form.id is not None
        },
    )


def _schedule(found: models.Campaign) -> dict[str, Any]:
    read = found.scheduler_cron_value
    if not read:
        return {}
    closing = str(read.get("endHour", ""))
    return {
        "schedule.timezone": str(read.get("tz", "")),
        "schedule.days": sorted((int(day) or 7) for day in read.get("days", ())),
        "schedule.hours": f"{read.get('startHour', '')}-{'24:00' if closing == _CLOSING else closing}",
        "schedule.min_gap_minutes": found.min_time_btwn_emails,
        "schedule.max_new_leads_per_day": found.max_leads_per_day,
    }


def _settings(found: models.Campaign) -> dict[str, Any]:
    off = found.track_settings
    read: dict[str, Any] = {
        "track_opens": None if off is None else not set(off) & set(_NO_OPENS),
        "track_clicks": None if off is None else not set(off) & set(_NO_CLICKS),
        "stop_on_reply": None if found.stop_lead_settings is None else "REPLY" in found.stop_lead_settings,
        "plain_text": found.send_as_plain_text,
        "unsubscribe_text": found.unsubscribe_text,
        "follow_up_percent": found.follow_up_percentage,
    }
    return {f"settings.{name}": value for name, value in read.items() if value is not None}


def step_fields(step: Step, known: Mapping[int, models.Sequence]) -> dict[str, Any]:
    """One step to write. Its id is kept where the position exists already, so that statistics stay attached."""
    old = known.get(step.position)
    fields: dict[str, Any] = {
        "id": old and old.id,
        "seq_number": step.position,
        "seq_delay_details": {"delay_in_days": step.delay_days},
        "subject": _theirs(step.subject),
        "email_body": _theirs(step.body),
    }
    if step.variants:
        fields["variant_distribution_type"] = "MANUAL_PERCENTAGE" if step.shares else "MANUAL_EQUAL"
        fields["seq_variants"] = _variants(step, {v.variant_label: v.id for v in (old and old.sequence_variants) or []})
    return fields


def _variants(step: Step, ids: Mapping[str | None, int | None]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number, (label, subject, body) in enumerate(step.variants):
        form = {"subject": _theirs(subject), "email_body": _theirs(body), "variant_label": label}
        share = {"variant_distribution_percentage": step.shares[number]} if step.shares else {}
        made.append({"id": ids.get(label), **form, **share})
    return made


def step(sequence: models.Sequence) -> Step:
    forms = [found for found in sequence.sequence_variants or [] if not found.is_deleted]
    return Step(
        position=sequence.seq_number,
        subject=_ours(sequence.subject),
        body=_ours(sequence.email_body),
        delay_days=(sequence.seq_delay_details and sequence.seq_delay_details.days) or 0,
        variants=tuple((form.variant_label or "", _ours(form.subject), _ours(form.email_body)) for form in forms),
    )


def _theirs(text: str) -> str:
    return text.replace(_SIGNATURE[0], _SIGNATURE[1])


def _ours(text: str | None) -> str:
    return (text or "").replace(_SIGNATURE[1], _SIGNATURE[0])


def webhook(hook: models.Webhook) -> WebhookSeen:
    # Only the vendor's real names: a hook for `EMAIL_OPENED` is taken by some pages and never fires.
    kinds: set[EventKind] = {KINDS[name] for name in hook.names & set(EVENTS)}
    # An answer without the filter says nothing about it; an empty one was refused when it was made (live).
    filled = hook.categories is None or bool(hook.categories)
    return WebhookSeen(
        ref=str(hook.id), ours=hook.name == HOOK, url=hook.webhook_url or "", events=frozenset(kinds), filled=filled
    )
