"""Leads that could not be sent as they were, brought back once what they lacked is there (spec 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from mailfleet.errors import BadFile, NotAllowed, Unknown
from mailfleet.rules import country as countries
from mailfleet.rules import rendering
from mailfleet.rules.address import company_key, is_formula
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.services import lead_rows
from mailfleet.services.clients import only
from mailfleet.services.context import Fleet
from mailfleet.store import audit, campaigns, leads
from mailfleet.store.database import Connection
from mailfleet.store.leads import Lead

_OWN = ("first_name", "last_name", "company", "country", "timezone")
_FIXED = ("email", "domain")
_PAGE = 2000


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """`ready` are sent by the next push; `still_invalid` lack something yet, by what it is."""

    ready: int
    still_invalid: int
    reasons: Mapping[str, int] = {}


async def fix(
    fleet: Fleet, email_norm: str, values: Mapping[str, str], *, client: str | None = None,
    campaign_id: UUID | None = None,
) -> Fixed:  # fmt: skip
    """Writes these fields of the lead and judges it again. Raises Unknown, BadFile or NotAllowed."""
    _checked(values)
    owner = await only(fleet, client)
    async with fleet.db.transaction() as db:
        found = [
            lead
            for lead in await leads.by_email(db, email_norm)
            if owner in (None, lead.client_id) and campaign_id in (None, lead.campaign_id)
        ]
        if not found:
            raise Unknown(f"There is no lead {email_norm}.", hint="`mailfleet lead list --invalid` shows them.")
        wrong = [lead for lead in found if lead.status not in ("invalid", "ready_to_send")]
        if wrong:
            raise NotAllowed(
                f"{email_norm} is {wrong[0].status}: only leads that wait or are invalid are corrected.", reasons=()
            )
        fixed = [_with(lead, values) for lead in found]
        await leads.rewrite(db, fixed, fleet.clock.now())
        await audit.record(
            db, actor=fleet.actor, action="fix_lead", entity="lead", entity_id=str(found[0].id), at=fleet.clock.now(),
            detail={"fields": sorted(values)},
        )  # fmt: skip
        return await _judge(fleet, db, fixed)


async def fix_all(fleet: Fleet, *, campaign_id: UUID | None = None, client: str | None = None) -> Fixed:
    """Judges every invalid lead again."""
    owner, after = await only(fleet, client), 0
    total = Fixed(ready=0, still_invalid=0)
    while True:
        async with fleet.db.transaction() as db:
            page = await leads.listed(
                db, client_id=owner, campaign_id=campaign_id, status="invalid", after=after, limit=_PAGE
            )
            if not page:
                return total
            after = page[-1].id
            total = _sum(total, await _judge(fleet, db, page))


def _checked(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if name in _FIXED:
            raise BadFile(f"{name} cannot be changed: it is who the lead is.", hint="Import the right address instead.")
        if is_formula(value):
            raise BadFile(f"{value!r} begins like a spreadsheet formula.", hint="Write it without the sign.")
    if values.get("country") and not countries.code(values["country"]):
        raise BadFile(f"There is no country {values['country']!r}.", hint="Give its two letters, such as DE.")


def _with(lead: Lead, values: Mapping[str, str]) -> Lead:
    own = {name: value for name, value in values.items() if name in _OWN}
    if "country" in own:
        own["country"] = countries.code(own["country"])
    fields = {**lead.fields, **{name: value for name, value in values.items() if name not in _OWN}}
    changed = msgspec.structs.replace(lead, fields=fields, **own)
    return msgspec.structs.replace(
        changed,
        company_norm=company_key(changed.company),
        person_key=lead_rows.person_key(changed.first_name, changed.last_name, changed.domain),
    )


async def _judge(fleet: Fleet, db: Connection, found: Sequence[Lead]) -> Fixed:
    """Ready when nothing of its campaign's text stays empty; what a platform refused as no address stays refused."""
    configs: dict[UUID | None, CampaignConfig | None] = {None: None}
    bad: dict[int, str] = {}
    for lead in found:
        if lead.campaign_id not in configs:
            campaign = await campaigns.need(db, lead.campaign_id) if lead.campaign_id else None
            configs[lead.campaign_id] = msgspec.convert(campaign.config, CampaignConfig) if campaign else None
        config = configs[lead.campaign_id]
        if lead.invalid_reason.startswith("refused"):
            bad[lead.id] = lead.invalid_reason
        elif config and (missing := rendering.missing_fields(config, lead.merge_values())):
            bad[lead.id] = "empty merge fields: " + ", ".join(missing)
    good = [lead.id for lead in found if lead.id not in bad]
    if bad:
        await leads.invalidate(db, bad, fleet.clock.now())
    await leads.validate(db, good, fleet.clock.now())
    reasons: dict[str, int] = {}
    for reason in bad.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    return Fixed(ready=len(good), still_invalid=len(bad), reasons=reasons)


def _sum(one: Fixed, other: Fixed) -> Fixed:
    reasons = {**one.reasons}
    for reason, n in other.reasons.items():
        reasons[reason] = reasons.get(reason, 0) + n
    return Fixed(ready=one.ready + other.ready, still_invalid=one.still_invalid + other.still_invalid, reasons=reasons)
