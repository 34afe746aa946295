"""Smartlead's sequences: written whole, read under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailfleet.sandbox.smartlead.check import Rule, failed, group, many, number, text
from mailfleet.sandbox.smartlead.http import Ask
from mailfleet.sandbox.smartlead.state import Campaign, Step, Variant, rest_time

_VARIANT = group(
    {
        "id": number(),
        "subject": text(),
        "email_body": text(),
        "variant_label": text(),
        "variant_distribution_percentage": number(low=0, high=100),
    }
)
_STEP = group(
    {
        "id": number(),
        "seq_number": number(required=True, low=1, high=20),
        "seq_delay_details": group({"delay_in_days": number(required=True, low=0, high=3650)}, required=True),
        "subject": text(),
        "email_body": text(),
        "seq_variants": many(_VARIANT),
        "variant_distribution_type": text(options=("MANUAL_EQUAL", "MANUAL_PERCENTAGE", "AI_EQUAL")),
        "lead_distribution_percentage": number(low=20, high=100),
        "winning_metric_property": text(),
        "seq_type": text(),
    }
)
SEQUENCES: dict[str, Rule] = {"sequences": many(_STEP, required=True)}


def sequences(ask: Ask) -> dict[str, Any]:
    """Replaces the whole sequence; refused while the campaign runs."""
    campaign, given = ask.campaign, ask.body(SEQUENCES)
    if campaign.status == "ACTIVE":
        raise failed("Sequences cannot be edited while the campaign is active. Pause the campaign first.")
    ordered = sorted(given["sequences"], key=lambda entry: entry["seq_number"])
    if [entry["seq_number"] for entry in ordered] != list(range(1, len(ordered) + 1)):
        raise failed("Invalid seq_number - sequence numbers must be continuous and start from 1")
    campaign.steps = [_step_of(ask, campaign, entry) for entry in ordered]
    campaign.updated_at = ask.world.now
    return {"ok": True, "data": "success"}


def _step_of(ask: Ask, campaign: Campaign, entry: Mapping[str, Any]) -> Step:
    step = _step(
        ask,
        entry["seq_number"],
        entry["seq_delay_details"]["delay_in_days"],
        entry.get("subject") or "",
        entry.get("email_body") or "",
        entry.get("seq_variants") or [],
    )
    old = next((item for item in campaign.steps if item.id == entry.get("id")), None)
    if old is not None:
        step.id, step.created_at = old.id, old.created_at
    return step


def _step(ask: Ask, place: int, delay: int, subject: str, body: str, variants: list[dict[str, Any]]) -> Step:
    now = ask.world.now
    made = [
        Variant(
            ask.vendor.new_id("variant"),
            entry.get("subject") or "",
            entry.get("email_body") or "",
            entry.get("variant_label") or chr(ord("A") + at % 26),
            entry.get("variant_distribution_percentage"),
            now,
        )
        for at, entry in enumerate(variants)
    ]
    return Step(ask.vendor.new_id("sequence"), place, delay, subject, body, now, made)


def copied(ask: Ask, step: Step) -> Step:
    """The same step for another campaign, under ids of its own."""
    variants = [
        {
            "subject": variant.subject,
            "email_body": variant.body,
            "variant_label": variant.label,
            "variant_distribution_percentage": variant.share,
        }
        for variant in step.variants
    ]
    return _step(ask, step.number, step.delay_days, step.subject, step.body, variants)


def step_shown(campaign: Campaign, step: Step) -> dict[str, Any]:
    """A step as reads show it."""
    made = rest_time(step.created_at)
    variants = [
        {
            "id": variant.id,
            "created_at": made,
            "updated_at": made,
            "is_deleted": False,
            "subject": variant.subject,
            "email_body": variant.body,
            "email_campaign_seq_id": step.id,
            "variant_label": variant.label,
            "variant_distribution_percentage": variant.share,
        }
        for variant in step.variants
    ]
    return {
        "id": step.id,
        "created_at": made,
        "updated_at": made,
        "email_campaign_id": campaign.id,
        "seq_number": step.number,
        "subject": step.subject,
        "email_body": step.body,
        "seq_delay_details": {"delayInDays": step.delay_days},
        "sequence_variants": variants or None,
    }
