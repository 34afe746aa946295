"""The single actions of the way back: what each reads, calls and writes. `saga.Executor` says when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from mailfleet.errors import Drift, MailfleetError, NotFound, Unavailable, VendorError
from mailfleet.platforms.port import SendingPlatform, WarmupSettings
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.migration import remaining
from mailfleet.rules.migration.saga import Action, Outcome
from mailfleet.services import campaigns as campaigns_do
from mailfleet.services import push
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns, holds, leads, links, sagas, transitions
from mailfleet.store.database import Connection
from mailfleet.store.sagas import Line, Paused, Saga

CALLS = frozenset({"pause", "create", "fill", "import", "exclude", "activate", "warm", "resume"})
"""Actions that write to a vendor."""
WARM_PER_DAY, WARM_RAMP = 8, 5
BATCH = 100
ENDED_ELSEWHERE = ("replied", "bounced", "unsubscribed")


class Refused(MailfleetError):
    """A call was answered, and the answer is not what was asked for."""

    code = "R405"


class Found(NamedTuple):
    outcome: Outcome
    result: Mapping[str, Any]
    error: str = ""


def in_doubt(error: VendorError) -> bool:
    """May the write have been carried out although this was raised?"""
    return isinstance(error, Unavailable | Drift)


async def platforms(fleet: Fleet, saga: Saga, client_id: UUID) -> tuple[SendingPlatform, SendingPlatform]:
    """The client's accounts at the platform that is left and at the one that is gone back to."""
    own = await fleet_of(fleet, client_id)
    return own.platform(saga.from_platform), own.platform(saga.to_platform)


def campaign_of(saga: Saga, id: str) -> Paused:
    return next(each for each in saga.paused() if str(each.id) == id)


def unit_of(name: str) -> tuple[UUID, int]:
    """campaign and first step of a staging campaign's name, `campaign:step#epoch`."""
    campaign, _, step = name.partition("#")[0].partition(":")
    return UUID(campaign), int(step)


async def hold(fleet: Fleet, db: Connection, saga: Saga) -> None:
    """No lead is claimed for what is left, and nothing starts it: in the transaction that opens the saga."""
    scopes = [("platform", saga.from_platform)] if saga.whole else [("campaign", str(c.id)) for c in saga.paused()]
    for scope, scope_id in scopes:
        await holds.add(
            db,
            scope="platform" if scope == "platform" else "campaign",
            scope_id=scope_id,
            kind="sending",
            reason=f"rollback: {saga.reason}",
            actor=fleet.actor,
            actor_kind="machine",
            evidence={"saga": str(saga.id)},
            at=fleet.clock.now(),
        )
    for each in saga.paused():
        await holds.campaign_paused(
            db, each.id, by="machine", reason=f"rollback: {saga.reason}", at=fleet.clock.now()
        )  # fmt: skip


async def call(fleet: Fleet, saga: Saga, action: Action, capacity: int | None) -> Mapping[str, Any]:
    match action.kind:
        case "pause" | "resume":
            return await _pause_or_resume(fleet, saga, action)
        case "create":
            return await _create(fleet, saga, action)
        case "fill":
            return await _fill(fleet, saga, action)
        case "import":
            return await _import(fleet, saga, action)
        case "exclude":
            return await _exclude(fleet, saga)
        case "activate":
            return await _activate(fleet, saga, action)
        case _:
            return await _warm(fleet, saga)


async def prepared(fleet: Fleet, db: Connection, saga: Saga, action: Action) -> None:
    """With the intent of a create: the campaign of ours that the staging one will be, an inactive draft."""
    if action.kind != "create":
        return
    original, first = unit_of(action.target)
    campaign = await campaigns.need(db, original)
    config = remaining.from_step(
        msgspec.convert(campaign.config, CampaignConfig), first, name_of(saga, campaign.name, action.target)
    )
    await campaigns.add(
        db,
        client_id=campaign.client_id,
        name=config.name,
        platform=saga.to_platform,
        config=msgspec.to_builtins(config),
        config_hash=config.hash,
        at=fleet.clock.now(),
    )


def name_of(saga: Saga, campaign: str, target: str) -> str:
    """The token: no other campaign is ever called so."""
    unit, _, epoch = target.partition("#")
    return f"rb-{str(saga.id)[:8]}-e{epoch}-s{unit.rpartition(':')[2]} {campaign}"


async def noted(fleet: Fleet, db: Connection, saga: Saga, action: Action, result: Mapping[str, Any]) -> None:
    """What of ours changes with a call's outcome, in one transaction with it."""
    now = fleet.clock.now()
    if action.kind == "create":
        made = await _staged(db, saga, action.target)
        await links.put(db, platform=saga.to_platform, kind="campaign", ours=made.id, ref=str(result["ref"]), at=now)
    elif action.kind == "activate":
        await sagas.activate(db, (await _staged(db, saga, action.target)).id, now)
    elif action.kind == "import" and (left := result.get("left")):
        for why, ids in left.items():
            await sagas.not_taken(db, saga.id, ids, why)
    elif action.kind == "resume":
        await holds.campaign_resumed(db, campaign_of(saga, action.target).id, paused_by=("machine",), at=now)


async def _staged(db: Connection, saga: Saga, target: str) -> campaigns.Campaign:
    original = await campaigns.need(db, unit_of(target)[0])
    name = name_of(saga, original.name, target)
    return next(each for each in await campaigns.find(db, name) if each.client_id == original.client_id)


async def _staged_ref(fleet: Fleet, saga: Saga, target: str) -> tuple[campaigns.Campaign, str]:
    async with fleet.db.connection() as db:
        made = await _staged(db, saga, target)
        return made, await links.need(db, platform=saga.to_platform, kind="campaign", ours=made.id)


async def _pause_or_resume(fleet: Fleet, saga: Saga, action: Action) -> Mapping[str, Any]:
    campaign = campaign_of(saga, action.target)
    leaving, _ = await platforms(fleet, saga, campaign.client_id)
    if action.kind == "pause":
        await leaving.pause_campaign(campaign.ref, urgent=True)
        return {}
    if campaign.was != "running":
        return {"left": f"it was {campaign.was} before"}  # what a person or the vendor paused stays so (I7)
    await leaving.start_campaign(campaign.ref)
    return {}


async def states(fleet: Fleet, saga: Saga) -> dict[str, str]:
    """One reading of the list an account: our campaign → its state there."""
    found: dict[str, str] = {}
    seen: dict[int, dict[str, str]] = {}
    for each in saga.paused():
        leaving, _ = await platforms(fleet, saga, each.client_id)
        if id(leaving) not in seen:
            seen[id(leaving)] = {campaign.ref: campaign.state for campaign in await leaving.campaigns()}
        found[str(each.id)] = seen[id(leaving)].get(each.ref, "unknown")
    return found


async def still(fleet: Fleet, saga: Saga, lines: Sequence[Line]) -> Found:
    """Do the counters stand where they stood at the last look?"""
    counters: dict[str, int] = {}
    for each in saga.paused():
        leaving, _ = await platforms(fleet, saga, each.client_id)
        counters[str(each.id)] = (await leaving.stats(each.ref)).sent
    before = next((line.result.get("counters") for line in reversed(lines) if line.kind == "still"), None)
    return Found("ok" if before == counters else "rejected", {"counters": counters})


async def snapshot(fleet: Fleet, saga: Saga) -> list[dict[str, Any]]:
    """Who waits for which step: our ledger, with what the platform that is left says it sent (V10)."""
    async with fleet.db.connection() as db:
        handed = await sagas.handed(db, saga.from_platform, [each.id for each in saga.paused()])
        lengths = {each.id: len((await campaigns.need(db, each.id)).config["sequence"]) for each in saga.paused()}
    seen = {each.id: await _sent(fleet, saga, each) for each in saga.paused()}
    found: list[dict[str, Any]] = []
    for lead in handed:
        reached, over = seen[lead.campaign_id].get(lead.email_norm, (0, ""))
        step = max(reached, lead.reached) + 1
        why = over or ("finished" if step > lengths[lead.campaign_id] else "")
        found.append(
            {
                "lead_id": lead.lead_id,
                "campaign_id": str(lead.campaign_id),
                "next_step": step,
                "owner_epoch": lead.epoch,
                "why": why,
            }
        )
    return found


async def _sent(fleet: Fleet, saga: Saga, campaign: Paused) -> dict[str, tuple[int, str]]:
    """address → the last step that went out, and how it ended if it did."""
    leaving, _ = await platforms(fleet, saga, campaign.client_id)
    found: dict[str, tuple[int, str]] = {}
    async for message in leaving.sent_messages(campaign.ref):
        step, over = found.get(message.email, (0, ""))
        ended = (message.replied_at is not None, message.bounced, message.unsubscribed)
        told = next((word for word, is_so in zip(ENDED_ELSEWHERE, ended, strict=True) if is_so), over)
        found[message.email] = (max(step, message.step), told)
    return found


async def keep_snapshot(fleet: Fleet, db: Connection, saga: Saga, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stored once, hashed, cut into batches. A campaign with leads never handed over gets a unit for them too."""
    size = min(BATCH, fleet.speaker(saga.to_platform).capabilities.max_leads_per_call)
    units: dict[str, int] = defaultdict(int)
    for lead in found:
        lead["batch"] = 0
        if not lead["why"]:
            unit = f"{lead['campaign_id']}:{lead['next_step']}"
            lead["batch"] = units[unit] // size
            units[unit] += 1
    for each in saga.paused():
        if await sagas.ready_leads(db, each.id):
            units.setdefault(f"{each.id}:1", 0)
    await sagas.put_snapshot(db, saga.id, found)
    lines = [(lead["lead_id"], lead["campaign_id"], lead["next_step"]) for lead in found if not lead["why"]]
    return {
        "units": [{"id": unit, "batches": -(-n // size), "leads": n} for unit, n in sorted(units.items())],
        "hash": remaining.digest(lines),
        "leads": len(lines),
    }


async def ready(fleet: Fleet, saga: Saga) -> dict[str, Any]:
    """What the old mailboxes can carry; the resume is throttled to it."""
    carried = boxes = 0
    for client_id in sorted({each.client_id for each in saga.paused()}, key=str):
        _, old = await platforms(fleet, saga, client_id)
        async for box in old.mailboxes():
            boxes += 1
            carried += (box.daily_cap or 0) if box.connected and not box.suspended else 0
    return {"mailboxes": boxes, "per_day": carried}


async def _create(fleet: Fleet, saga: Saga, action: Action) -> Mapping[str, Any]:
    async with fleet.db.connection() as db:
        made = await _staged(db, saga, action.target)
    _, old = await platforms(fleet, saga, made.client_id)
    zone = msgspec.convert(made.config, CampaignConfig).schedule.timezone
    return {"ref": await old.create_campaign(made.name, timezone=zone), "campaign": str(made.id)}


async def _fill(fleet: Fleet, saga: Saga, action: Action) -> Mapping[str, Any]:
    """Steps, mailboxes and schedule of the inactive campaign; each may be set again."""
    made, ref = await _staged_ref(fleet, saga, action.target)
    config = msgspec.convert(made.config, CampaignConfig)
    await campaigns_do.configure_steps(fleet, made.id, msgspec.to_builtins(config.sequence))
    async with fleet.db.transaction() as db:
        senders = await campaigns.senders(db, unit_of(action.target)[0])
        await campaigns.put_mailboxes(db, made.id, {each.id: each.daily_cap for each in senders}, fleet.clock.now())
        refs = [each.ref for each in await campaigns.senders(db, made.id) if each.ref]
    if not refs:
        raise Refused(f"No mailbox of {made.name} is known to {saga.to_platform}.", hint="Connect one there.")
    _, old = await platforms(fleet, saga, made.client_id)
    await old.set_campaign_mailboxes(ref, refs)
    await campaigns_do.set_schedule(fleet, made.id)
    return {"mailboxes": len(refs)}


async def _import(fleet: Fleet, saga: Saga, action: Action) -> Mapping[str, Any]:
    """One batch, once. Whoever the old platform refuses stays behind with its reason and is told."""
    name = action.target.rpartition("/")[0]
    campaign, step = unit_of(name)
    made, ref = await _staged_ref(fleet, saga, name)
    async with fleet.db.connection() as db:
        waiting = await sagas.waiting(db, saga.id, campaign_id=campaign, next_step=step, batch=action.batch)
        given = await leads.by_ids(db, [each.lead_id for each in waiting])
    if not given:
        return {"refs": {}}
    _, old = await platforms(fleet, saga, made.client_id)
    config = msgspec.convert(made.config, CampaignConfig)
    answer = await old.add_leads(ref, [push.new_lead(lead, config) for lead in given])
    ids = {lead.email_norm: lead.id for lead in given}
    doubtful = [*answer.unexplained, *answer.already_there]
    if doubtful or answer.not_taken:
        # In a campaign of this name nothing can be there already: something else was carried out.
        raise _unclear(saga, f"{len(doubtful) + len(answer.not_taken)} leads are not accounted for")
    left = {
        why: [ids[email] for email in emails]
        for why, emails in (("blocked", answer.blocked), ("invalid", answer.invalid))
        if emails
    }
    return {"refs": dict(answer.added), "left": left}


def _unclear(saga: Saga, what: str) -> Unavailable:
    return Unavailable(f"The import is unclear: {what}.", vendor=saga.to_platform, operation="import")


async def verify(fleet: Fleet, saga: Saga, lines: Sequence[Line], action: Action) -> Found:
    """Exactly the snapshot, each once: from the acknowledgements first, then by reading."""
    campaign, step = unit_of(action.target)
    made, ref = await _staged_ref(fleet, saga, action.target)
    async with fleet.db.connection() as db:
        wanted = {
            each.email_norm
            for each in await sagas.waiting(db, saga.id, campaign_id=campaign, next_step=step, batch=None)
        }
    _, old = await platforms(fleet, saga, made.client_id)
    told: set[str] = set()
    for line in lines:
        if line.kind == "import" and line.outcome == "ok" and line.target.rpartition("/")[0] == action.target:
            told |= set(line.result.get("refs", {}))
    # A list of members may show a person once who was enrolled twice; the count does not.
    counted = (await old.stats(ref)).leads
    count = counted.get("total", sum(counted.values()))
    fits = count == len(wanted)
    if old.capabilities.list_leads:
        there = [lead.email.lower() async for lead in old.leads(ref)]
        fits = fits and set(there) == wanted and len(there) == len(wanted)
    fits = fits and told == wanted and (await old.campaign(ref)).state in ("draft", "paused")
    return Found("ok" if fits else "rejected", {"wanted": len(wanted), "there": count, "acknowledged": len(told)})


async def burned(fleet: Fleet, db: Connection, saga: Saga, action: Action) -> None:
    """Its draft of ours is put away; at the vendor it stays inactive for ever."""
    await sagas.archive(db, (await _staged(db, saga, action.target)).id, fleet.clock.now())


async def commit(fleet: Fleet, db: Connection, saga: Saga, lines: Sequence[Line]) -> dict[str, Any]:
    """One transaction: the epoch is committed, every lead has its new owner, every campaign its new place."""
    if not await sagas.commit(db, saga.id, saga.epoch):
        raise Refused("The epoch has moved on.")
    now, moved = fleet.clock.now(), 0
    stages = live_stages(lines)
    for name in stages:
        campaign, step = unit_of(name)
        made = await _staged(db, saga, name)
        refs: dict[str, str] = {}
        for line in lines:
            if line.kind == "import" and line.outcome == "ok" and line.target.rpartition("/")[0] == name:
                refs |= line.result.get("refs", {})
        moved += await sagas.change_owner(
            db, saga.id, campaign_id=campaign, next_step=step, to_platform=saga.to_platform, to_campaign=made.id,
            refs=refs, at=now,
        )  # fmt: skip
        if step == 1:
            await sagas.take_over(db, campaign, made.id, now)
    for each in saga.paused():
        await sagas.archive(db, each.id, now)
        await transitions.record(
            db, entity="campaign", entity_id=str(each.id), from_state="paused", to_state="archived", event="rollback",
            reason=saga.reason, evidence={"saga": str(saga.id)}, rule="saga.commit", rule_version="1",
            actor=fleet.actor, at=now,
        )  # fmt: skip
    return {"stages": list(stages), "moved": moved}


def live_stages(lines: Sequence[Line]) -> list[str]:
    burned = {line.target for line in lines if line.kind == "burn"}
    return [line.target for line in lines if line.kind == "create" and line.target not in burned]


async def _exclude(fleet: Fleet, saga: Saga) -> Mapping[str, Any]:
    """Suppression before any activation, always: who replied or opted out since the snapshot is blocked there."""
    async with fleet.db.connection() as db:
        emails = await sagas.excluded(db, saga.id, saga.to_platform)
        clients = sorted({each.client_id for each in saga.paused()}, key=str)
    for client_id in clients if emails else ():
        _, old = await platforms(fleet, saga, client_id)
        await old.block(emails)
    return {"blocked": len(emails)}


async def _activate(fleet: Fleet, saga: Saga, action: Action) -> Mapping[str, Any]:
    made, ref = await _staged_ref(fleet, saga, action.target)
    _, old = await platforms(fleet, saga, made.client_id)
    async with fleet.db.connection() as db:
        emails = await sagas.excluded(db, saga.id, saga.to_platform)
        handed = await sagas.waiting(
            db, saga.id, campaign_id=unit_of(action.target)[0], next_step=unit_of(action.target)[1], batch=None
        )
    if emails:
        await old.block(emails)
    if not handed:
        return {"state": "empty"}  # its leads were never handed over; the next push starts it
    await old.start_campaign(ref)
    state = (await old.campaign(ref)).state
    if state not in ("running", "completed"):
        raise Refused(f"{made.name} is {state} after its start.", hint="It is tried again.")
    return {"state": state}


async def _warm(fleet: Fleet, saga: Saga) -> Mapping[str, Any]:
    """Warm-up on the old side is switched on where it was off (spec 7, M7)."""
    changed = 0
    for client_id in sorted({each.client_id for each in saga.paused()}, key=str):
        _, old = await platforms(fleet, saga, client_id)
        if not old.capabilities.warmup:
            continue
        async for box in old.mailboxes():
            if box.warmup_enabled is False:
                settings = WarmupSettings(enabled=True, per_day=WARM_PER_DAY, rampup=WARM_RAMP)
                try:
                    await old.set_warmup(box.ref, settings)
                except NotFound:
                    continue
                changed += 1
    return {"switched_on": changed}


async def draft(db: Connection, saga: Saga, lines: Sequence[Line]) -> str:
    """The post-mortem, from the journal; what only people know is asked for."""
    counts = await sagas.counts(db, saga.id)
    burned = [line for line in lines if line.kind == "burn"]
    doubts = [line for line in lines if line.outcome == "unknown"]
    began = lines[0].at if lines else saga.opened_at
    when = {line.kind: line.finished_at for line in lines if line.outcome == "ok"}
    paused, committed = when.get("readback"), when.get("commit")
    told = [
        f"# Post-mortem: {saga.from_platform} to {saga.to_platform}, {saga.opened_at:%Y-%m-%d}",
        "",
        f"Trigger: {saga.trigger}. {saga.reason}",
        f"Decided by {saga.decided_by}. Opened by {saga.opened_by} at {saga.opened_at:%Y-%m-%d %H:%M} UTC.",
        f"Paused and read back after {_after(began, paused)}, committed after {_after(began, committed)}.",
        f"Leads: {', '.join(f'{n} {what}' for what, n in counts.items()) or 'none'}.",
        f"{len(doubts)} calls had an unknown outcome, {len(burned)} staging campaigns were given up for it.",
        "",
        "## Root cause",
        "",
        "## Can it be mended?",
        "",
        "## What changes in the plan",
        "",
        "## When it is tried again",
        "",
        "## Journal",
        "",
        *(f"- {line.at:%H:%M:%S} {line.kind} {line.target} {line.outcome} {line.error}".rstrip() for line in lines),
    ]
    return "\n".join(told)


def _after(start: Any, end: Any) -> str:
    return "–" if end is None else f"{(end - start).total_seconds() / 60:.1f} min"


async def ended(fleet: Fleet, db: Connection, saga: Saga, outcome: Any) -> None:
    """The saga is over; called off, what it held is let go. After a rollback the platform stays held."""
    await sagas.end(db, saga.id, outcome, fleet.clock.now())
    if outcome == "stopped":
        for standing in await holds.standing(db, kind="sending"):
            if standing.evidence.get("saga") == str(saga.id):
                await holds.release(db, standing.id, by=fleet.actor, at=fleet.clock.now())
