"""A campaign's configuration as the platform's parts, and both as fields that a plan compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.platforms.port import CampaignSettings, CampaignSetup, Schedule, Step
from mailfleet.rules import campaigns as rules
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.plans import Fields, Value
from mailfleet.rules.preflight import identity_of
from mailfleet.rules.rendering import complete, subject_for_platform
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, links
from mailfleet.store.campaigns import Campaign, StepRow

# smartlead:campaigns/settings - the platform's own bounce pause, as a backstop (V12).
BACKSTOP_PERCENT = 8


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a platform is given for a campaign. `mailboxes` is address → its reference there."""

    steps: tuple[Step, ...]
    schedule: Schedule
    settings: CampaignSettings
    mailboxes: Mapping[str, str]


def config_of(campaign: Campaign) -> CampaignConfig:
    return msgspec.convert(campaign.config, CampaignConfig)


async def both(fleet: Fleet, campaign_id: UUID) -> tuple[Fleet, Campaign, str]:
    """The client's parts, its campaign, and what the platform calls it."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        ref = await links.need(db, platform=campaign.platform, kind="campaign", ours=campaign_id)
        return await fleet_of(fleet, campaign.client_id, db), campaign, ref


def parts(
    config: CampaignConfig,
    client: Mapping[str, object],
    mailboxes: Mapping[str, str],
    names: Sequence[str],
    factor: float = 1.0,
) -> Parts:
    """`names` are those the mailboxes carry: one name fills the sender's fields."""
    sender = names[0] if len(set(names)) == 1 else ""
    return Parts(
        steps=steps(config, client, sender),
        schedule=schedule_of(config, factor),
        settings=settings_of(config),
        mailboxes=mailboxes,
    )


def schedule_of(config: CampaignConfig, factor: float) -> Schedule:
    """`factor`: the part of its new leads a day that the safeguards leave it (S1)."""
    return Schedule(
        timezone=config.schedule.timezone,
        days=config.schedule.days,
        start_hour=config.schedule.start_hour,
        end_hour=config.schedule.end_hour,
        min_gap_minutes=config.min_gap_minutes,
        max_new_leads_per_day=new_leads(config, factor),
    )


def new_leads(config: CampaignConfig, factor: float) -> int:
    return max(1, int(config.max_new_leads_per_day * factor))


def settings_of(config: CampaignConfig) -> CampaignSettings:
    return CampaignSettings(
        track_opens=config.track_opens,
        track_clicks=config.track_clicks,
        stop_on_reply=config.stop_on_reply,
        bounce_autopause_percent=BACKSTOP_PERCENT,
        # The way out stands in each body (L6); the platform would add its own sentence under it.
        unsubscribe_text="",
        follow_up_percent=config.follow_up_percent,
        plain_text=config.plain_text,
    )


def steps(config: CampaignConfig, client: Mapping[str, object], sender: str) -> tuple[Step, ...]:
    identity = identity_of(config, client)

    def body(text: str) -> str:
        return complete(text, identity=identity, unsubscribe=config.unsubscribe_text, sender=sender)

    return tuple(
        Step(
            position=each.step,
            subject=subject_for_platform(each.subject, sender),
            body=body(each.body),
            delay_days=each.delay_days,
            variants=tuple(
                (form.label, subject_for_platform(form.subject or each.subject, sender), body(form.body))
                for form in each.variants
            ),
            shares=tuple(form.share for form in each.variants) if any(f.share for f in each.variants) else (),
        )
        for each in config.sequence
    )


def fields(wanted: Parts) -> dict[str, Value]:
    """What is wanted, under the names of `CampaignSetup.fields`."""
    timing = wanted.schedule
    made: dict[str, Value] = {
        "schedule.timezone": timing.timezone,
        "schedule.days": list(timing.days),
        "schedule.hours": f"{timing.start_hour:02d}:00-{timing.end_hour:02d}:00",
        "schedule.min_gap_minutes": timing.min_gap_minutes,
        "schedule.max_new_leads_per_day": timing.max_new_leads_per_day,
    }
    settings: Mapping[str, Any] = msgspec.structs.asdict(wanted.settings)
    made |= {f"settings.{name}": value for name, value in settings.items()}
    made |= {"mailboxes": sorted(wanted.mailboxes)}
    return made | step_fields(wanted.steps)


def step_fields(sequence: Sequence[Step]) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for step in sequence:
        at = f"steps[{step.position}]"
        made |= {f"{at}.subject": step.subject, f"{at}.body": step.body, f"{at}.delay_days": step.delay_days}
        for label, subject, body in step.variants:
            made |= {f"{at}.variants[{label}].subject": subject, f"{at}.variants[{label}].body": body}
    return made


def seen_fields(setup: CampaignSetup, names: Mapping[str, str]) -> Fields:
    """What is there; `names` is reference → address of our mailboxes, and what is none of ours keeps its reference."""
    mailboxes = sorted(names.get(ref, f"#{ref}") for ref in setup.mailbox_refs)
    return {**setup.fields, "mailboxes": mailboxes, **step_fields(setup.steps)}


def step_rows(sequence: Sequence[rules.Step]) -> list[StepRow]:
    made: list[StepRow] = []
    for step in sequence:
        forms = [("", step.subject, step.body)] if not step.variants else []
        forms += [(form.label, form.subject or step.subject, form.body) for form in step.variants]
        made += [
            StepRow(position=step.step, variant=label, subject=subject, body=body, delay_days=step.delay_days)
            for label, subject, body in forms
        ]
    return made
