"""Campaigns as the entries use them: made part by part, started with every condition met, paused, found, put away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mailfleet.errors import Busy, MailfleetError, NotAllowed, Unknown
from mailfleet.platforms.port import SendingPlatform
from mailfleet.rules import campaign_file
from mailfleet.services import (
    alerts,
    campaign_apply,
    campaign_caps,
    campaign_hooks,
    campaign_preflight,
    campaign_rest,
    holds,
    push,
)
from mailfleet.services.campaign_create import at_platform, draft
from mailfleet.services.campaign_parts import both, config_of, schedule_of, settings_of, step_rows, steps
from mailfleet.services.campaign_plan import stored, unfit
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.services.holds import Held
from mailfleet.services.push import Pushed
from mailfleet.store import audit, campaigns, clients, links, mailboxes, ownership, transitions
from mailfleet.store.campaigns import Campaign
from mailfleet.store.mailboxes import Mailbox

preflight = campaign_preflight.preflight
__all__ = ["at_platform", "draft", "preflight"]


async def configure_steps(fleet: Fleet, campaign_id: UUID, given: Sequence[Mapping[str, Any]]) -> str:
    """Writes the sequence here and at the platform; returns the sequence's id, ours.

    The configuration was checked as a whole: other steps than its own are refused.
    """
    fleet, campaign, ref = await both(fleet, campaign_id)
    config = config_of(campaign)
    if given and [step.get("body") for step in given] != [step.body for step in config.sequence]:
        raise NotAllowed(f"{campaign.name} has another sequence.", reasons=("the configuration decides its steps",))
    if campaign.state != "draft":
        return str(campaign.sequence_id)
    async with fleet.db.transaction() as db:
        client = await the_client(db, str(campaign.client_id))
        boxes = await _boxes(fleet, db, campaign)
        await campaigns.put_steps(db, campaign_id, step_rows(config.sequence))
        await links.put(
            db, platform=campaign.platform, kind="sequence", ours=campaign.sequence_id, ref=ref, at=fleet.clock.now()
        )
    names = {box.display_name for box in boxes}
    wanted = steps(config, client.identity, names.pop() if len(names) == 1 else "")
    await fleet.platform(campaign.platform).set_steps(ref, wanted)
    return str(campaign.sequence_id)


async def _boxes(fleet: Fleet, db: Any, campaign: Campaign) -> Sequence[Mailbox]:
    wanted = config_of(campaign).from_mailboxes
    if not wanted:
        return await mailboxes.every(db, states=("PRODUCTION",), client_id=campaign.client_id)
    return [box for address in wanted if (box := await mailboxes.find(db, address))]


async def assign_mailboxes(fleet: Fleet, campaign_id: UUID, mailbox_ids: Sequence[UUID]) -> Sequence[str]:
    """Gives the campaign these mailboxes, each with its share of what it may send a day (S2); returns addresses.

    Raises NotAllowed with every reason when one is not ours, not in PRODUCTION, or another client's.
    """
    fleet, campaign, ref = await both(fleet, campaign_id)
    async with fleet.db.transaction() as db:
        found = [(id, await mailboxes.get(db, id)) for id in mailbox_ids]
        reasons = [reason for id, box in found if (reason := unfit(campaign.client_id, id, box))]
        if reasons or not found:
            raise NotAllowed(
                f"{campaign.name} cannot send from these mailboxes.",
                reasons=tuple(reasons) or ("no mailbox is in PRODUCTION",),
                hint="`mailfleet mailbox list` shows which are in PRODUCTION.",
            )
        if campaign.state == "draft":
            await campaign_apply.share_out(fleet, db, campaign, mailbox_ids)
        senders = await campaigns.senders(db, campaign_id)
    if campaign.state == "draft":
        refs = [sender.ref for sender in senders if sender.ref]
        await fleet.platform(campaign.platform).set_campaign_mailboxes(ref, refs)
    return [sender.address for sender in senders]


async def set_schedule(fleet: Fleet, campaign_id: UUID, schedule: Mapping[str, Any] | None = None) -> None:
    """Sets schedule and settings at the platform, in the campaign's own time zone.

    The configuration was checked as a whole: a `schedule` that differs from it is refused.
    """
    fleet, campaign, ref = await both(fleet, campaign_id)
    config = config_of(campaign)
    if schedule and str(schedule.get("timezone", config.schedule.timezone)) != config.schedule.timezone:
        raise NotAllowed(f"{campaign.name} has another schedule.", reasons=("the configuration decides it",))
    if campaign.state != "draft":
        return
    async with fleet.db.connection() as db:
        factor = await campaigns.factor(db, campaign_id)
    await fleet.platform(campaign.platform).set_campaign(
        ref, schedule=schedule_of(config, factor), settings=settings_of(config)
    )


async def set_pace(fleet: Fleet, campaign_id: UUID, factor: float) -> None:
    """Sets the part of its new leads a day that it may take, and reads back that the platform has it (S1)."""
    fleet, campaign, ref = await both(fleet, campaign_id)
    platform, wanted = fleet.platform(campaign.platform), schedule_of(config_of(campaign), factor)
    await _tell_drift(fleet, campaign)
    await platform.set_campaign(ref, schedule=wanted, settings=None)
    shown = (await platform.campaign(ref)).max_new_leads_per_day
    if shown is not None and shown > wanted.max_new_leads_per_day:
        raise NotAllowed(
            f"{campaign.platform} shows {shown} new leads a day for {campaign.name}, "
            f"{wanted.max_new_leads_per_day} were set.",
            reasons=(f"read back: {shown}",),
            hint="It is set again at the next look.",
        )
    async with fleet.db.connection() as db:
        await campaigns.set_factor(db, campaign_id, factor)


async def _tell_drift(fleet: Fleet, campaign: Campaign) -> None:
    """A safeguard does not wait for somebody's change of the schedule there, but it does not hide it either."""
    drift = [each for each in (await stored(fleet, campaign)).drift if each.part == "schedule"]
    if drift:
        told = ", ".join(f"{each.field} was {each.before}, there it was {each.there}" for each in drift)
        await alerts.tell(
            fleet,
            fact_key=f"campaign-drift:{campaign.id}:{told}",
            kind="campaign_drift",
            severity="warning",
            title=f"The schedule of {campaign.name} was changed at {campaign.platform}",
            body=f"{told}. It is set as its file says, with fewer new leads a day.",
        )


async def mailboxes_for(fleet: Fleet, campaign_id: UUID) -> list[UUID]:
    """Those the configuration names, else the client's that are in PRODUCTION. Raises Unknown for a name of none."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        found = await _boxes(fleet, db, campaign)
    wanted = config_of(campaign).from_mailboxes
    if lacking := [address for address in wanted if address not in {box.address for box in found}]:
        raise Unknown(f"Not our mailboxes: {', '.join(lacking)}.", hint="`mailfleet mailbox list` shows them.")
    return [box.id for box in found]


async def start(fleet: Fleet, campaign_id: UUID) -> Pushed:
    """Starts it when every condition is met, and reads back that it runs; what became of the leads pushed first.

    Raises NotAllowed with every reason. A campaign that runs already is left alone.
    """
    fleet, campaign, ref = await both(fleet, campaign_id)
    if campaign.state == "running":
        return Pushed()
    failed = await refusals(fleet, campaign)
    if failed:
        raise NotAllowed(f"{campaign.name} cannot start.", reasons=tuple(failed), hint="; ".join(failed))
    platform = fleet.platform(campaign.platform)
    await campaign_hooks.ensure(fleet, platform, campaign, ref)
    await campaign_caps.set_today(fleet, campaign_id)
    first = await _first_leads(fleet, campaign)
    await _running_there(platform, campaign, ref)
    await _now_running(fleet, campaign)
    return first


async def refusals(fleet: Fleet, campaign: Campaign) -> list[str]:
    """Every reason for which it cannot start now."""
    told = [f"{check.name}: {check.detail}" for check in await preflight(fleet, campaign.id) if not check.ok]
    if campaign.state not in ("draft", "ready", "paused", "completed"):
        told.append(f"it is {campaign.state}")
    if campaign.state == "paused" and campaign.paused_by != "machine" and fleet.actor == "machine":
        told.append(f"a {campaign.paused_by} paused it: {campaign.pause_reason}")
    return told


async def _running_there(platform: SendingPlatform, campaign: Campaign, ref: str) -> None:
    await platform.start_campaign(ref)
    seen = await platform.campaign(ref)
    if seen.state != "running":
        raise NotAllowed(
            f"{campaign.platform} shows {campaign.name} as {seen.state} after its start.",
            reasons=(f"read back: {seen.state}",),
            hint="Look at it there, then start it again.",
        )


async def pause(fleet: Fleet, campaign_id: UUID, reason: str, *, by_person: bool = False) -> Held:
    """Stops it with a reason, read back at the platform."""
    return await holds.pause(
        fleet, "campaign", str(campaign_id), reason, actor_kind="person" if by_person else "machine"
    )


async def resume(fleet: Fleet, campaign_id: UUID, reason: str) -> dict[str, Any]:
    """A person lets go of every hold on it; what the platform had paused is started again, with every condition met."""
    released = await holds.release(fleet, "campaign", str(campaign_id), actor_kind="person", reason=reason)
    async with fleet.db.connection() as db:
        now = await campaigns.need(db, campaign_id)
    if now.state == "paused":
        await start(fleet, campaign_id)
    await campaign_rest.keep(fleet, campaign_id)  # not until the next round: today may be a holiday of its calendars
    async with fleet.db.connection() as db:
        now = await campaigns.need(db, campaign_id)
    return {"campaign": now.name, "released": released, "state": now.state}


async def duplicate(fleet: Fleet, campaign_id: UUID, name: str) -> Campaign:
    """A draft of the same configuration under another name, without leads. Raises NotAllowed for a name in use."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        client = await the_client(db, str(campaign.client_id))
        if await campaigns.named(db, campaign.client_id, name.strip()):
            raise NotAllowed(f"{client.name} has a campaign called {name!r}.", reasons=("the name is taken",))
    return await draft(fleet, {**campaign_file.dump(config_of(campaign)), "name": name, "client_id": client.slug})


async def archive(fleet: Fleet, campaign_id: UUID, reason: str) -> Campaign:
    """Puts it away: it sends nothing and cannot be started again. Nothing is deleted at the platform (V14).

    Raises NotAllowed while it runs, or while leads are in its sequence.
    """
    fleet, campaign, ref = await both(fleet, campaign_id)
    async with fleet.db.connection() as db:
        live = await ownership.live_count(db, campaign_id)
    reasons = ["it runs: pause it first"] if campaign.state == "running" else []
    reasons += [f"{live} leads are in its sequence"] if live else []
    if reasons:
        raise NotAllowed(f"{campaign.name} cannot be archived.", reasons=tuple(reasons), hint="; ".join(reasons))
    platform = fleet.platform(campaign.platform)
    if (await platform.campaign(ref)).state == "running":
        await platform.pause_campaign(ref)
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        moved = await campaigns.move(db, campaign, "archived", now)
        if moved is None:
            raise _changed(campaign)
        await transitions.record(
            db, entity="campaign", entity_id=str(campaign.id), from_state=campaign.state, to_state="archived",
            event="archive", reason=reason, evidence={}, rule="campaigns.archive", rule_version=fleet.policy.version,
            actor=fleet.actor, at=now,
        )  # fmt: skip
        await audit.record(
            db, actor=fleet.actor, action="archive_campaign", entity="campaign", entity_id=campaign.id, at=now,
            reason=reason,
        )  # fmt: skip
    return moved


async def sending(fleet: Fleet) -> Sequence[Campaign]:
    """Those that run or are paused."""
    async with fleet.db.connection() as db:
        return await campaigns.every(db, states=("running", "paused"))


async def find(fleet: Fleet, key: str) -> Campaign:
    """By id, name, or `CLIENT/NAME` where two clients have one of the same name. Raises Unknown."""
    async with fleet.db.connection() as db:
        found = await campaigns.find(db, key)
        slug, _, name = key.partition("/")
        if len(found) != 1 and name and (client := await clients.find(db, slug)):
            one = await campaigns.named(db, client.id, name)
            found = [one] if one else found
    if len(found) == 1:
        return found[0]
    raise Unknown(
        f"There {'is no campaign' if not found else f'are {len(found)} campaigns called'} {key!r}.",
        hint="`mailfleet campaign list` shows them with their ids" + ("; or name it CLIENT/NAME." if found else "."),
    )


async def _first_leads(fleet: Fleet, campaign: Campaign) -> Pushed:
    """A platform starts no empty campaign (smartlead:campaigns/status): the first batch goes before the start."""
    async with fleet.db.connection() as db:
        live = await ownership.live_count(db, campaign.id)
    if live:
        return Pushed()
    some = fleet.platform(campaign.platform).capabilities.max_leads_per_call
    return await push.push(fleet, campaign.id, (await push.ready(fleet, campaign, limit=some)))


async def _now_running(fleet: Fleet, campaign: Campaign) -> None:
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        moved = await campaigns.move(db, campaign, "running", now)
        if moved is None:
            raise _changed(campaign)
        await transitions.record(
            db, entity="campaign", entity_id=str(campaign.id), from_state=campaign.state, to_state="running",
            event="start", reason="every condition is met", evidence={}, rule="campaigns.preflight",
            rule_version=fleet.policy.version, actor=fleet.actor, at=now,
        )  # fmt: skip


def _changed(campaign: Campaign) -> Busy:
    return Busy(f"{campaign.name} was changed by another run meanwhile.", hint="Look at it and start it again.")


def reasons_of(error: MailfleetError) -> str:
    """An error's reasons in one line."""
    return "; ".join(error.reasons) if isinstance(error, NotAllowed) and error.reasons else str(error)
