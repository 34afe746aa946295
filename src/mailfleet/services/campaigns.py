"""Campaigns: from a checked configuration to the platform, started with every condition met, read back throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Ambiguous, Busy, MailfleetError, NotAllowed, Unknown
from mailfleet.platforms.port import CampaignSettings, CampaignStats, Schedule, SendingPlatform, Step
from mailfleet.rules import campaigns as rules
from mailfleet.rules import limits
from mailfleet.rules.bodies import to_html
from mailfleet.rules.campaigns import CampaignConfig, Check, Readiness
from mailfleet.services import budgets, holds, push, readings
from mailfleet.services.clients import fleet_of, the_client
from mailfleet.services.context import Fleet
from mailfleet.services.holds import Held
from mailfleet.services.push import Pushed
from mailfleet.store import (
    audit,
    campaigns,
    clients,
    events,
    leads,
    links,
    mailboxes,
    migrations,
    ownership,
    transitions,
)
from mailfleet.store import holds as held
from mailfleet.store.campaigns import Campaign, Sender, StepRow

# smartlead:campaigns/settings - the platform's own bounce pause, as a backstop (V12).
BACKSTOP_PERCENT = 8


async def draft(fleet: Fleet, config: Mapping[str, Any]) -> Campaign:
    """The campaign of this configuration, by client and name; made as a draft here and at the platform when new.

    Raises BadFile with every problem. A repeated call adopts what is there; a campaign that is no draft any more
    refuses another configuration (NotAllowed).
    """
    fleet = await _whose(fleet, config)
    parsed = rules.parse(config, fleet.policy.send_limits)
    async with fleet.db.transaction() as db:
        client = await the_client(db, parsed.client_id or None)
        made = await campaigns.add(
            db, client_id=client.id, name=parsed.name, platform=await migrations.home(db, fleet.default_platform),
            config=msgspec.to_builtins(parsed), config_hash=parsed.hash, at=fleet.clock.now(),
        )  # fmt: skip
    if made.config_hash != parsed.hash:
        raise NotAllowed(
            f"{made.name} is {made.state} with another configuration.",
            reasons=("a campaign that was started keeps its configuration",),
            hint="Use another name, or finish this one first.",
        )
    await at_platform(fleet, made)
    return made


async def configure_steps(fleet: Fleet, campaign_id: UUID, steps: Sequence[Mapping[str, Any]]) -> str:
    """Writes the sequence here and at the platform; returns the sequence's id, ours."""
    fleet, campaign, ref = await _both(fleet, campaign_id)
    config = _config(campaign)
    given = msgspec.convert([{"subject": "", "delay_days": 0, **step} for step in steps], tuple[rules.Step, ...])
    if campaign.state != "draft":
        return str(campaign.sequence_id)
    async with fleet.db.transaction() as db:
        await campaigns.put_steps(db, campaign_id, _step_rows(given))
        await links.put(
            db, platform=campaign.platform, kind="sequence", ours=campaign.sequence_id, ref=ref, at=fleet.clock.now()
        )
    await fleet.platform(campaign.platform).set_steps(ref, [_port_step(step, config) for step in given])
    return str(campaign.sequence_id)


async def assign_mailboxes(fleet: Fleet, campaign_id: UUID, mailbox_ids: Sequence[UUID]) -> Sequence[str]:
    """Gives the campaign these mailboxes, each with its share of what it may send a day (S2); returns addresses.

    Raises NotAllowed with every reason when one is not ours, not in PRODUCTION, or another client's.
    """
    fleet, campaign, ref = await _both(fleet, campaign_id)
    async with fleet.db.transaction() as db:
        found = [(id, await mailboxes.get(db, id)) for id in mailbox_ids]
        reasons = [reason for id, box in found if (reason := _unfit(campaign, id, box))]
        if reasons or not found:
            raise NotAllowed(
                f"{campaign.name} cannot send from these mailboxes.",
                reasons=tuple(reasons) or ("no mailbox is in PRODUCTION",),
                hint="`mailfleet mailbox list` shows which are in PRODUCTION.",
            )
        caps = {box.id: await _share(fleet, db, campaign, box.id) for _, box in found if box}
        await campaigns.put_mailboxes(db, campaign_id, caps, fleet.clock.now())
        senders = await campaigns.senders(db, campaign_id)
    refs = [sender.ref for sender in senders if sender.ref]
    await fleet.platform(campaign.platform).set_campaign_mailboxes(ref, refs)
    return [sender.address for sender in senders]


async def set_schedule(
    fleet: Fleet, campaign_id: UUID, schedule: Mapping[str, Any] | None = None, *, factor: float | None = None
) -> int:
    """Sets schedule and settings at the platform, in the campaign's own time zone; returns new leads a day as set.

    The configuration was checked as a whole: a `schedule` that differs from it is refused. `factor`: the part of its
    new leads that the safeguards leave it (S1); the stored one when none is given.
    """
    fleet, campaign, ref = await _both(fleet, campaign_id)
    config = _config(campaign)
    if factor is None:
        async with fleet.db.connection() as db:
            factor = await campaigns.factor(db, campaign_id)
    most = max(1, int(config.max_new_leads_per_day * factor))
    if schedule and str(schedule.get("timezone", config.schedule.timezone)) != config.schedule.timezone:
        raise NotAllowed(f"{campaign.name} has another schedule.", reasons=("the configuration decides its schedule",))
    await fleet.platform(campaign.platform).set_campaign(
        ref,
        schedule=Schedule(
            timezone=config.schedule.timezone,
            days=config.schedule.days,
            start_hour=config.schedule.start_hour,
            end_hour=config.schedule.end_hour,
            min_gap_minutes=config.min_gap_minutes,
            max_new_leads_per_day=most,
        ),
        settings=CampaignSettings(
            track_opens=config.track_opens,
            track_clicks=config.track_clicks,
            stop_on_reply=config.stop_on_reply,
            bounce_autopause_percent=BACKSTOP_PERCENT,
            unsubscribe_text=config.unsubscribe_text,
            plain_text=config.plain_text,
        ),
    )
    return most


async def set_pace(fleet: Fleet, campaign_id: UUID, factor: float) -> None:
    """Sets the part of its new leads a day that it may take, and reads back that the platform has it (S1)."""
    wanted = await set_schedule(fleet, campaign_id, factor=factor)
    fleet, campaign, ref = await _both(fleet, campaign_id)
    shown = (await fleet.platform(campaign.platform).campaign(ref)).max_new_leads_per_day
    if shown is not None and shown > wanted:
        raise NotAllowed(
            f"{campaign.platform} shows {shown} new leads a day for {campaign.name}, {wanted} were set.",
            reasons=(f"read back: {shown}",),
            hint="It is set again at the next look.",
        )
    async with fleet.db.connection() as db:
        await campaigns.set_factor(db, campaign_id, factor)


async def mailboxes_for(fleet: Fleet, campaign_id: UUID) -> list[UUID]:
    """Those the configuration names, else the client's that are in PRODUCTION. Raises Unknown for a name of none."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        wanted = _config(campaign).from_mailboxes
        if not wanted:
            return [box.id for box in await mailboxes.every(db, states=("PRODUCTION",), client_id=campaign.client_id)]
        found = [(address, await mailboxes.find(db, address)) for address in wanted]
    if lacking := [address for address, box in found if box is None]:
        raise Unknown(f"Not our mailboxes: {', '.join(lacking)}.", hint="`mailfleet mailbox list` shows them.")
    return [box.id for _, box in found if box]


async def preflight(fleet: Fleet, campaign_id: UUID) -> Sequence[Check]:
    """Everything that has to be true before it starts, each with what it found."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        client = await clients.find(db, str(campaign.client_id))
        senders = await campaigns.senders(db, campaign_id)
        waiting = await leads.ready(db, campaign_id=campaign_id, client_id=campaign.client_id, shared=True, limit=1)
        live = await ownership.live_count(db, campaign_id)
        standing = await held.over_campaign(db, campaign_id, "sending")
    ready = Readiness(
        mailboxes_production=sum(1 for each in senders if each.state == "PRODUCTION"),
        mailboxes_connected=sum(1 for each in senders if each.connected is not False and each.ref),
        leads_ready=len(waiting) + live,
        identity={key: str(value) for key, value in (client.identity if client else {}).items()},
        domains_verified=all(each.domain_state in (None, "verified") for each in senders),
        limits_ok=all(each.daily_cap > 0 for each in senders),
    )
    free = Check(name="holds", ok=not standing, detail="; ".join(hold.reason for hold in standing) or "none")
    return (*rules.preflight(_config(campaign), ready), free)


async def start(fleet: Fleet, campaign_id: UUID) -> Pushed:
    """Starts it when every condition is met, and reads back that it runs; what became of the leads pushed first.

    Raises NotAllowed with every reason. A campaign that runs already is left alone.
    """
    fleet, campaign, ref = await _both(fleet, campaign_id)
    if campaign.state == "running":
        return Pushed()
    failed = [f"{check.name}: {check.detail}" for check in await preflight(fleet, campaign_id) if not check.ok]
    if campaign.state not in ("draft", "ready", "paused"):
        failed.append(f"it is {campaign.state}")
    if campaign.state == "paused" and campaign.paused_by != "machine" and fleet.actor == "machine":
        failed.append(f"a {campaign.paused_by} paused it: {campaign.pause_reason}")
    if failed:
        raise NotAllowed(f"{campaign.name} cannot start.", reasons=tuple(failed), hint="; ".join(failed))
    platform = fleet.platform(campaign.platform)
    await _hook(fleet, platform, campaign, ref)
    await _caps(fleet, campaign_id)
    first = await _first_leads(fleet, campaign)
    await platform.start_campaign(ref)
    seen = await platform.campaign(ref)
    if seen.state != "running":
        raise NotAllowed(
            f"{campaign.platform} shows {campaign.name} as {seen.state} after its start.",
            reasons=(f"read back: {seen.state}",),
            hint="Look at it there, then start it again.",
        )
    await _now_running(fleet, campaign)
    return first


async def pause(fleet: Fleet, campaign_id: UUID, reason: str, *, by_person: bool = False) -> Held:
    """Stops it with a reason, read back at the platform."""
    return await holds.pause(
        fleet, "campaign", str(campaign_id), reason, actor_kind="person" if by_person else "machine"
    )


async def stats(fleet: Fleet, campaign_id: UUID) -> dict[str, Any]:
    """The platform's totals and our own beside them, with how many leads are in which state."""
    fleet, campaign, ref = await _both(fleet, campaign_id)
    theirs: CampaignStats = await fleet.platform(campaign.platform).stats(ref)
    async with fleet.db.connection() as db:
        ours = await events.campaign_sums(db, campaign_id)
        states = await campaigns.lead_states(db, campaign_id)
    return {**msgspec.to_builtins(theirs), "ours": dict(ours), "leads_by_status": dict(states), "state": campaign.state}


async def sending(fleet: Fleet) -> Sequence[Campaign]:
    """Those that run or are paused."""
    async with fleet.db.connection() as db:
        return await campaigns.every(db, states=("running", "paused"))


async def find(fleet: Fleet, key: str) -> Campaign:
    """By id or name. Raises Unknown."""
    async with fleet.db.connection() as db:
        found = await campaigns.find(db, key)
    if len(found) == 1:
        return found[0]
    raise Unknown(
        f"There {'is no campaign' if not found else f'are {len(found)} campaigns called'} {key!r}.",
        hint="`mailfleet campaign list` shows them with their ids.",
    )


async def at_platform(fleet: Fleet, campaign: Campaign) -> str:
    """The platform's campaign, made once: one killed between the call and the link is found by its name (V9)."""
    async with fleet.db.single_flight(f"campaign:{campaign.id}") as mine:
        if not mine:
            raise Busy(f"Another run is creating {campaign.name}.", hint="Wait for it to end.")
        async with fleet.db.connection() as db:
            ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign.id)
        if ref is None:
            ref = await _adopted_or_made(fleet, campaign)
            async with fleet.db.transaction() as db:
                await links.put(
                    db, platform=campaign.platform, kind="campaign", ours=campaign.id, ref=ref, at=fleet.clock.now()
                )
                await audit.record(
                    db, actor=fleet.actor, action="create_campaign", entity="campaign", entity_id=campaign.id,
                    at=fleet.clock.now(), detail={"name": campaign.name, "hash": campaign.config_hash},
                )  # fmt: skip
    return ref


async def _adopted_or_made(fleet: Fleet, campaign: Campaign) -> str:
    platform = fleet.platform(campaign.platform)
    name = f"{campaign.name} [{str(campaign.id)[:8]}]"
    if known := await _named(platform, name):
        return known
    try:
        return await platform.create_campaign(name, timezone=_config(campaign).schedule.timezone)
    except Ambiguous:
        if made := await _named(platform, name):
            return made
        raise


async def _named(platform: SendingPlatform, name: str) -> str | None:
    return next((seen.ref for seen in await platform.campaigns() if seen.name == name), None)


async def _both(fleet: Fleet, campaign_id: UUID) -> tuple[Fleet, Campaign, str]:
    """The client's parts, its campaign, and what the platform calls it."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        ref = await links.need(db, platform=campaign.platform, kind="campaign", ours=campaign_id)
        return await fleet_of(fleet, campaign.client_id, db), campaign, ref


async def _whose(fleet: Fleet, config: Mapping[str, Any]) -> Fleet:
    """The parts of the client that a configuration names. A wrong name is told after the configuration was checked."""
    async with fleet.db.connection() as db:
        try:
            return fleet.of(await the_client(db, str(config.get("client_id") or "") or None))
        except Unknown:
            return fleet


def _config(campaign: Campaign) -> CampaignConfig:
    return msgspec.convert(campaign.config, CampaignConfig)


def _step_rows(steps: Sequence[rules.Step]) -> list[StepRow]:
    made: list[StepRow] = []
    for step in steps:
        forms = [("", step.subject, step.body)] if not step.variants else []
        forms += [(form.label, form.subject or step.subject, form.body) for form in step.variants]
        made += [
            StepRow(position=step.step, variant=label, subject=subject, body=body, delay_days=step.delay_days)
            for label, subject, body in forms
        ]
    return made


def _port_step(step: rules.Step, config: CampaignConfig) -> Step:
    filled = {"unsubscribe": config.unsubscribe_text}
    return Step(
        position=step.step,
        subject=step.subject,
        body=to_html(_ours_filled(step.body, filled)),
        delay_days=step.delay_days,
        variants=tuple((form.label, form.subject, to_html(_ours_filled(form.body, filled))) for form in step.variants),
    )


def _ours_filled(text: str, values: Mapping[str, str]) -> str:
    """Fills what is ours to fill and leaves the lead's and the mailbox's fields to the platform."""
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _unfit(campaign: Campaign, id: UUID, box: mailboxes.Mailbox | None) -> str:
    if box is None:
        return f"{id} is not a mailbox of ours"
    if box.client_id != campaign.client_id:
        return f"{box.address} belongs to another client"
    return "" if box.state == "PRODUCTION" else f"{box.address} is {box.state}, not PRODUCTION"


async def _share(fleet: Fleet, db: Any, campaign: Campaign, mailbox_id: UUID) -> int:
    """This campaign's part of what the mailbox may send a day, beside what other campaigns ask of it."""
    config = _config(campaign)
    wanted = {
        **await campaigns.wanted_elsewhere(db, mailbox_id, campaign.id),
        str(campaign.id): config.daily_per_mailbox,
    }
    rule = fleet.policy.send_limits.production
    most = min(max(rule.campaign_per_mailbox, config.daily_per_mailbox), rule.hard_limit - rule.warmup_reserve)
    return limits.shares(most, wanted)[str(campaign.id)]


async def _hook(fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str) -> None:
    if not fleet.webhook_base or not platform.capabilities.webhooks:
        return
    hook = await platform.ensure_webhook(ref, f"{fleet.webhook_base.rstrip('/')}/{platform.name}")
    async with fleet.db.connection() as db:
        await links.put(
            db, platform=campaign.platform, kind="webhook", ours=campaign.id, ref=hook, at=fleet.clock.now()
        )


async def _caps(fleet: Fleet, campaign_id: UUID) -> None:
    """Today's limits at the platform, before the first mail can leave (I6)."""
    async with fleet.db.connection() as db:
        senders: Sequence[Sender] = await campaigns.senders(db, campaign_id)
    for sender in senders:
        if sender.ref is None:
            continue
        async with fleet.db.connection() as db:
            box = await mailboxes.get(db, sender.id)
            assert box is not None
            known = await readings.known(fleet, db, box)
        seen = await fleet.platform().mailbox(sender.ref)
        await budgets.apply_day(fleet, box, sender.ref, seen, warmup_day=known.warmup_day)


async def _first_leads(fleet: Fleet, campaign: Campaign) -> Pushed:
    """A platform starts no empty campaign (smartlead:campaigns/status): the first batch goes before the start."""
    async with fleet.db.connection() as db:
        live = await ownership.live_count(db, campaign.id)
    if live:
        return Pushed()
    some = fleet.platform(campaign.platform).capabilities.max_leads_per_call
    return await push.push(fleet, campaign.id, (await push.ready(fleet, campaign))[:some])


async def _now_running(fleet: Fleet, campaign: Campaign) -> None:
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        moved = await campaigns.move(db, campaign, "running", now)
        if moved is None:
            raise Busy(f"{campaign.name} was changed by another run meanwhile.", hint="Look at it and start it again.")
        await transitions.record(
            db, entity="campaign", entity_id=str(campaign.id), from_state=campaign.state, to_state="running",
            event="start", reason="every condition is met", evidence={}, rule="campaigns.preflight",
            rule_version=fleet.policy.version, actor=fleet.actor, at=now,
        )  # fmt: skip


def reasons_of(error: MailfleetError) -> str:
    """An error's reasons in one line."""
    return "; ".join(error.reasons) if isinstance(error, NotAllowed) and error.reasons else str(error)
