"""Each mail as these leads would get it, merge fields filled, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.errors import Unknown
from mailfleet.platforms.port import Step
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.rendering import lacking, lead_fields, needed_fields, render
from mailfleet.services.campaign_parts import steps
from mailfleet.services.campaign_plan import ground_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, leads
from mailfleet.store.leads import Lead


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` names the fields this lead leaves empty: such a lead is not sent to."""

    lead: str
    step: int
    variant: str
    day: int
    subject: str
    body: str
    missing: tuple[str, ...] = ()


async def preview(fleet: Fleet, config: Mapping[str, Any], emails: Sequence[str], *, most: int = 3) -> list[Mail]:
    """Every step for the leads named, or for the first that wait for the campaign. Raises Unknown for an address."""
    fleet, ground = await ground_of(fleet, config)
    async with fleet.db.connection() as db:
        found: list[Lead] = []
        for email in emails:
            known = [each for each in await leads.by_email(db, email) if each.client_id == ground.client.id]
            if not known:
                raise Unknown(f"{ground.client.name} has no lead {email}.", hint="`mailfleet lead list` shows them.")
            found += known
        if not emails and ground.campaign:
            shared = await campaigns.only_running(db, ground.campaign.id)
            ids = await leads.ready(
                db, campaign_id=ground.campaign.id, client_id=ground.client.id, shared=shared, limit=most
            )
            found = list(await leads.by_ids(db, ids))
    names = {box.display_name for box in ground.boxes}
    mails = steps(ground.config, ground.client.identity, names.pop() if len(names) == 1 else "")
    return [mail for lead in found for mail in rendered(ground.config, mails, lead.email, lead.merge_values())]


def rendered(config: CampaignConfig, mails: Sequence[Step], email: str, values: Mapping[str, str]) -> list[Mail]:
    filled = {**values, **lead_fields(config, values), "signature": "(the mailbox's signature)"}
    missing = lacking(needed_fields(config), values)
    made: list[Mail] = []
    day = 0
    for step in mails:
        day += step.delay_days
        for label, subject, body in step.variants or (("", step.subject, step.body),):
            made.append(
                Mail(
                    lead=email, step=step.position, variant=label, day=day, subject=render(subject, filled),
                    body=render(body, filled), missing=missing,
                )
            )  # fmt: skip
    return made
