"""Doing what a plan shows: a running campaign is paused, changed, read back and runs again.

Every part is written only where it differs, so that an apply that was interrupted anywhere is finished by repeating it.
What it set out to do stands in the database before the first write leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Busy, NotAllowed, StalePlan
from mailfleet.platforms.port import SendingPlatform
from mailfleet.rules import limits, plans
from mailfleet.rules.plans import Change
from mailfleet.services import campaign_caps, campaign_create, holds
from mailfleet.services.campaign_parts import both, config_of, fields, seen_fields, step_rows
from mailfleet.services.campaign_plan import Ground, Plan, compared, ground_of
from mailfleet.services.context import Fleet
from mailfleet.store import audit, campaign_applies, campaigns, links, transitions
from mailfleet.store import holds as held
from mailfleet.store.campaigns import Campaign
from mailfleet.store.database import Connection

CHANGING = "a change is being applied"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """`done` is what the plan had; `resumed`: it ran before and runs again."""

    campaign_id: UUID
    checksum: str
    done: Sequence[Change]
    resumed: bool = False
    new: bool = False


async def apply(
    fleet: Fleet, config: Mapping[str, Any], *, checksum: str | None = None, overwrite: bool = False
) -> Applied:
    """Makes the platform have what the configuration says; the plan of `checksum`, when one is named.

    Raises NotAllowed with every reason, StalePlan when the plan is another by now. What was changed at the platform's
    own screen is overwritten only with `overwrite`.
    """
    fleet, ground = await ground_of(fleet, config)
    async with fleet.db.single_flight(f"apply:{ground.client.id}:{ground.config.name}") as mine:
        if not mine:
            raise Busy(f"Another run is changing {ground.config.name}.", hint="Wait for it to end.")
        fleet, ground = await ground_of(fleet, config)
        shown = await compared(fleet, ground)
        _check(shown, ground, checksum, overwrite)
        return await _apply(fleet, ground, shown, config)


async def prepare(fleet: Fleet, config: Mapping[str, Any]) -> tuple[Fleet, Ground, Plan]:
    """For a creation part by part: what it stands on, refused as an apply would refuse it."""
    fleet, ground = await ground_of(fleet, config)
    shown = await compared(fleet, ground)
    _check(shown, ground, None, overwrite=False)
    return fleet, ground, shown


async def begin(fleet: Fleet, ground: Ground, shown: Plan, campaign_id: UUID) -> UUID | None:
    """Before its parts are written; None when it is no draft any more and nothing is written."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
    return await _begin(fleet, ground, shown, campaign) if campaign.state == "draft" else None


async def finish(fleet: Fleet, ground: Ground, campaign_id: UUID, begun: UUID) -> None:
    """After them: read back, and kept as what we put there."""
    fleet, campaign, ref = await both(fleet, campaign_id)
    await confirmed(fleet, campaign, ref, ground)
    async with fleet.db.transaction() as db:
        await campaign_applies.finish(db, begun, fleet.clock.now())


def _check(shown: Plan, ground: Ground, checksum: str | None, overwrite: bool) -> None:
    if checksum and checksum not in {shown.checksum, *ground.begun}:
        raise StalePlan(
            f"The plan {checksum} is not what would be done now ({shown.checksum}).",
            reasons=("the platform, the file or the fleet changed since it was shown",),
            hint="Look at `mailfleet campaign plan` again.",
        )
    reasons = list(shown.refused)
    if shown.drift and not overwrite:
        reasons += [f"{change.field} was changed at the platform" for change in shown.drift]
    if reasons:
        raise NotAllowed(
            f"{shown.name} cannot be applied: {'; '.join(reasons)}.",
            reasons=tuple(reasons),
            hint="Take the change there into the file, or overwrite it with --overwrite." if shown.drift else "",
        )


async def _apply(fleet: Fleet, ground: Ground, shown: Plan, config: Mapping[str, Any]) -> Applied:
    known = ground.campaign
    campaign = known if known and known.state != "draft" else await campaign_create.draft(fleet, config)
    if not shown.empty or not ground.put or known is None or known.config_hash != shown.config_hash:
        campaign = await _carried_out(fleet, ground, shown, campaign)
    return Applied(
        campaign_id=campaign.id,
        checksum=shown.checksum,
        done=shown.changes,
        resumed=await _go_on(fleet, campaign),
        new=known is None,
    )


async def _carried_out(fleet: Fleet, ground: Ground, shown: Plan, campaign: Campaign) -> Campaign:
    row_id = await _begin(fleet, ground, shown, campaign)
    fleet, campaign, ref = await both(fleet, campaign.id)
    platform = fleet.platform(campaign.platform)
    if not shown.empty:
        await _stopped(platform, campaign, ref)
    changed = {change.part for change in shown.changes}
    await _write_steps(fleet, campaign, ref, ground, "steps" in changed)
    if changed & {"schedule", "settings"}:
        await platform.set_campaign(ref, schedule=ground.wanted.schedule, settings=ground.wanted.settings)
    await _write_mailboxes(fleet, campaign, ref, ground)
    await confirmed(fleet, campaign, ref, ground)
    async with fleet.db.transaction() as db:
        await campaign_applies.finish(db, row_id, fleet.clock.now())
    return campaign


async def _begin(fleet: Fleet, ground: Ground, shown: Plan, campaign: Campaign) -> UUID:
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        await held.lock_campaign(db, campaign.id)
        ran = not shown.empty and await campaigns.pause_for(db, campaign.id, by="person", reason=CHANGING, at=now)
        if campaign.state != "draft":
            await campaigns.put_config(db, campaign.id, msgspec.to_builtins(ground.config), ground.config.hash)
        begun = await campaign_applies.begin(
            db, campaign.id, checksum=shown.checksum, config_hash=shown.config_hash, wanted=dict(ground.fields),
            resume=ran, actor=fleet.actor, at=now,
        )  # fmt: skip
        if ran:
            await transitions.record(
                db, entity="campaign", entity_id=str(campaign.id), from_state="running", to_state="paused",
                event="change", reason=CHANGING, evidence={"checksum": shown.checksum}, rule="campaign_apply",
                rule_version=fleet.policy.version, actor=fleet.actor, at=now,
            )  # fmt: skip
        await audit.record(
            db, actor=fleet.actor, action="apply_campaign", entity="campaign", entity_id=campaign.id, at=now,
            detail={"checksum": shown.checksum, "fields": [change.field for change in shown.changes]},
        )  # fmt: skip
    return begun.id


async def _stopped(platform: SendingPlatform, campaign: Campaign, ref: str) -> None:
    """Nothing is changed while mail leaves: a lead could get the old text of one step and the new of the next."""
    if (await platform.campaign(ref)).state != "running":
        return
    await platform.pause_campaign(ref)
    if (seen := (await platform.campaign(ref)).state) == "running":
        raise NotAllowed(
            f"{campaign.platform} does not confirm that {campaign.name} stopped; nothing was changed there.",
            reasons=(f"read back: {seen}",),
            hint="Run the same command again.",
        )


async def _write_steps(fleet: Fleet, campaign: Campaign, ref: str, ground: Ground, differs: bool) -> None:
    async with fleet.db.transaction() as db:
        await campaigns.put_steps(db, campaign.id, step_rows(ground.config.sequence))
        await links.put(
            db, platform=campaign.platform, kind="sequence", ours=campaign.sequence_id, ref=ref, at=fleet.clock.now()
        )
    if differs:
        await fleet.platform(campaign.platform).set_steps(ref, ground.wanted.steps)


async def _write_mailboxes(fleet: Fleet, campaign: Campaign, ref: str, ground: Ground) -> None:
    """Ours first, so that the shares are right before a mailbox is there; at the platform only what differs."""
    async with fleet.db.transaction() as db:
        await share_out(fleet, db, campaign, [box.id for box in ground.boxes])
    await fleet.platform(campaign.platform).set_campaign_mailboxes(ref, sorted(ground.wanted.mailboxes.values()))


async def share_out(fleet: Fleet, db: Connection, campaign: Campaign, mailbox_ids: Sequence[UUID]) -> None:
    """Gives it these mailboxes, each with its part of what one may send a day; the others' parts shrink (S2)."""
    await campaigns.put_mailboxes(db, campaign.id, dict.fromkeys(mailbox_ids, 0), fleet.clock.now())
    others = await campaigns.wanted_elsewhere(db, mailbox_ids, campaign.id)
    daily = config_of(campaign).daily_per_mailbox
    for id, asked in others.items():
        wanted = {**asked, str(campaign.id): daily}
        await campaigns.put_shares(db, id, limits.shares(limits.most_a_day(fleet.policy.send_limits, wanted), wanted))


async def confirmed(fleet: Fleet, campaign: Campaign, ref: str, ground: Ground) -> None:
    """Reads it back. Raises NotAllowed naming every field that is not as wanted."""
    setup = await fleet.platform(campaign.platform).campaign_setup(ref)
    left = plans.changes(fields(ground.wanted), seen_fields(setup, ground.refs), hidden=False)
    if left:
        raise NotAllowed(
            f"{campaign.platform} shows {campaign.name} other than it was written.",
            reasons=tuple(f"{change.field} is {change.there!r} there" for change in left),
            hint="Run the same command again; `mailfleet campaign plan` shows the difference.",
        )


async def _go_on(fleet: Fleet, campaign: Campaign) -> bool:
    """Runs it again if the change had stopped it, unless something else stopped it meanwhile."""
    async with fleet.db.connection() as db:
        now = await campaigns.need(db, campaign.id)
        if now.state != "paused" or now.pause_reason != CHANGING:
            return False
    await campaign_caps.set_today(fleet, campaign.id)
    await holds.resume(fleet, campaign.id)
    async with fleet.db.connection() as db:
        return (await campaigns.need(db, campaign.id)).state == "running"
