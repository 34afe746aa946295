"""The Forge stack's words in ours and back: states, steps, windows, mailboxes, contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from mailfleet.platforms.port import (
    CampaignSeen,
    CampaignSettings,
    CampaignSetup,
    CampaignState,
    LeadSeen,
    LeadState,
    MailboxSeen,
    MailboxSpec,
    NewLead,
    Schedule,
    Step,
    WarmupReading,
)
from mailfleet.vendors.salesforge import models
from mailfleet.vendors.warmforge import models as warm

# salesforge:sequences/list
CAMPAIGN_STATES: Mapping[str, CampaignState] = {
    "draft": "draft", "active": "running", "paused": "paused", "completed": "completed", "deleted": "archived",
}  # fmt: skip
# salesforge:contacts/get; an absence does not end a sequence there.
LEAD_STATES: Mapping[str, LeadState] = {
    "none": "started", "active": "in_progress", "contacted": "in_progress", "ooo": "in_progress",
    "multi-threading": "in_progress", "paused": "paused", "finished": "completed", "replied": "stopped",
    "failed": "stopped", "unsubscribed": "stopped", "deleted": "stopped", "bounced": "blocked",
    "bounce-protect": "blocked", "dnc": "blocked",
}  # fmt: skip
# salesforge:sequences/count
COUNTED = (
    "ooo", "bounced", "replied", "failed", "active", "paused", "finished", "dnc", "deleted", "unsubscribed",
)  # fmt: skip
NOBODY = "there"
"""A first name is asked for: who has none is greeted so."""


def campaign(seen: models.Sequence) -> CampaignSeen:
    state = CAMPAIGN_STATES.get(seen.status, "unknown")
    return CampaignSeen(ref=seen.id, name=seen.name, state=state, leads=seen.lead_count, raw=msgspec.to_builtins(seen))


def setup(seen: models.Sequence) -> CampaignSetup:
    return CampaignSetup(
        state=CAMPAIGN_STATES.get(seen.status, "unknown"),
        fields={
            "settings.track_opens": seen.open_tracking_enabled,
            "settings.track_clicks": seen.click_tracking_enabled,
        },
        steps=sorted((step(row) for row in seen.steps or []), key=lambda each: each.position),
        mailbox_refs=frozenset(row.id for row in seen.mailboxes or []),
    )


def moment(text: str | None) -> datetime | None:
    """A time as the vendor writes it, with an offset where seen; None for what has not happened."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def windows(schedule: Schedule) -> list[dict[str, int]]:
    """One row a weekday, Sunday is 0, the last hour is 24 (salesforge:sequences/schedules)."""
    end = min(24, max(schedule.end_hour, schedule.start_hour + 1))
    return [
        {"weekday": day, "fromHour": schedule.start_hour, "toHour": end}
        for day in sorted({day % 7 for day in schedule.days})
    ]


def settings_fields(settings: CampaignSettings) -> dict[str, Any]:
    """What a sequence takes of them; stopping on an answer is what it does anyway."""
    fields: dict[str, Any] = {
        "openTrackingEnabled": settings.track_opens,
        "clickTrackingEnabled": settings.track_clicks,
        "plainTextEmailsEnabled": settings.plain_text,
    }
    return fields | ({"optOutText": settings.unsubscribe_text} if settings.unsubscribe_text else {})


def step_fields(step: Step, order: int, known: models.Step | None) -> dict[str, Any]:
    """A step to write. Known ids are kept, so that what was counted for them stays with them."""
    forms = step.variants or (("A", step.subject, step.body),)
    share = 100 // len(forms)
    old = {variant.label: variant.id for variant in (known.variants if known else [])}
    return {
        "id": known.id if known else "",
        "order": order,
        "name": f"Step {step.position}",
        "waitDays": step.delay_days if order else 0,
        "distributionStrategy": "equal",
        "variants": [
            {
                "id": old.get(label, ""),
                "order": place,
                "label": label,
                "status": "active",
                "emailSubject": subject,
                "emailContent": body,
                "distributionWeight": share,
            }
            for place, (label, subject, body) in enumerate(forms)
        ],
    }


def step(seen: models.Step) -> Step:
    """A step that was read; variants that were taken out are left out."""
    forms = [form for form in seen.variants if form.status != "deleted"]
    first = forms[0] if forms else models.Variant()
    several = tuple((form.label, form.email_subject, form.email_content) for form in forms)
    return Step(
        position=seen.order + 1,
        subject=first.email_subject,
        body=first.email_content,
        delay_days=seen.wait_days,
        variants=several if len(several) > 1 else (),
    )


def mailbox(seen: models.Mailbox, warmed: warm.Mailbox | None) -> MailboxSeen:
    """`active` may carry a reason for disconnection: the status decides (salesforge:mailboxes/list)."""
    health = warmed.health_report if warmed else None
    connected = seen.status in ("active", "pending")
    return MailboxSeen(
        ref=seen.id,
        address=seen.address,
        connected=connected,
        failure="" if connected else seen.disconnect_reason or seen.status,
        suspended=seen.status in ("suspended", "frozen"),
        daily_cap=seen.daily_email_limit,
        warmup_enabled=warmed.warmup_enabled if warmed else None,
        warmup_blocked=bool(warmed and warmed.status in ("access_lost", "suspended")),
        warmup_per_day=warmed.max_emails_per_day if warmed else None,
        reputation=health.heat_score if health else None,
        raw={"mailbox": msgspec.to_builtins(seen), "warmup": msgspec.to_builtins(warmed) if warmed else None},
    )


def reading(days: Sequence[warm.WarmupDay]) -> WarmupReading:
    sent, spam = sum(day.sent_count for day in days), sum(day.spam_count for day in days)
    by_day = {day.date: day.sent_count for day in days}
    return WarmupReading(sent=sent, inbox=sent - spam, spam=spam, by_day=by_day, raw={"days": len(days)})


def logins(spec: MailboxSpec) -> dict[str, dict[str, Any]]:
    both = {"smtp": (spec.smtp_host, spec.smtp_port), "imap": (spec.imap_host, spec.imap_port)}
    return {
        kind: {"host": host, "port": port, "username": spec.username, "password": spec.password}
        for kind, (host, port) in both.items()
    }


def names(display: str) -> tuple[str, str]:
    """First and last name, both asked for."""
    first, _, last = display.strip().partition(" ")
    return first or NOBODY.title(), last.strip() or first or NOBODY.title()


def warmup_login(spec: MailboxSpec) -> dict[str, Any]:
    first, last = names(spec.display_name)
    flat = {f"{kind}{name.title()}": value for kind, parts in logins(spec).items() for name, value in parts.items()}
    return {"address": spec.address, "firstName": first, "lastName": last, "warmupEnabled": False, **flat}


def contact_fields(lead: NewLead, tag: str) -> dict[str, Any]:
    """`linkedinUrl` is left out rather than empty, which is refused. Of our merge fields `company_name` is not one of
    the vendor's own: a text that uses it would fail for everybody (salesforge:sequences/steps)."""
    position = lead.fields.get("job_title", "")
    fields = {"email": lead.email, "firstName": lead.first_name or NOBODY, "lastName": lead.last_name}
    more = {"company": lead.company, "position": position}
    given = {name: value for name, value in (fields | more).items() if value}
    return {
        **given,
        "customVars": {
            name: str(value) for name, value in ({"company_name": lead.company} | dict(lead.fields)).items() if value
        },
        "tags": [tag],
    }


def lead(contact: models.Contact, sequence: str, status: str | None) -> LeadSeen:
    return LeadSeen(
        ref=contact.id,
        map_ref=f"{sequence}:{contact.id}",
        email=contact.email,
        state=LEAD_STATES.get(status or "", "unknown"),
        unsubscribed=status == "unsubscribed",
        raw={"status": status, **msgspec.to_builtins(contact)},
    )
