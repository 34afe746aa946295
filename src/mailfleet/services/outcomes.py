"""What bounces, opt-outs, complaints and the platform's own doings bring about, in the applier's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailfleet.services import alerts, commands, suppression
from mailfleet.services import facts as facts_of
from mailfleet.services import holds as held
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.facts import Fact
from mailfleet.services.replies import Done
from mailfleet.services.suppression import Wanted
from mailfleet.store import campaigns, events, holds, leads, links, mailboxes, outbox, ownership, transitions
from mailfleet.store.database import Connection
from mailfleet.store.leads import EmailStatus, Lead, Status
from mailfleet.store.suppressions import Reason


async def bounced(fleet: Fleet, db: Connection, facts: Sequence[Fact]) -> Done:
    """Bounces, no two of one lead. Hard: never again. Soft: held a day, three times, then stopped (S9).

    Refusals about us are never the lead's fault (V6): once a mailbox, day and class somebody is told.
    """
    known = {lead.id: lead for lead in await leads.by_ids(db, sorted({f.event.lead_id or 0 for f in facts}))}
    await alerts.raise_alerts(fleet, db, [_refused(fact) for fact in facts if _about_us(fact)])
    dead: list[tuple[Fact, Lead]] = []
    soft: list[tuple[Fact, Lead]] = []
    done = Done()
    for fact in facts:
        lead = known.get(fact.event.lead_id or 0)
        if fact.bounce is None or lead is None or _about_us(fact) or fact.bounce.outcome == "auto_reply":
            continue
        if fact.bounce.outcome == "complaint":
            one = await complained(fleet, db, fact)
            done = Done(stopped=done.stopped + one.stopped, suppressed=done.suppressed + one.suppressed)
        else:
            (dead if fact.bounce.outcome == "hard" else soft).append((fact, lead))
    ended = (*await _dead(fleet, db, dead), *await _soft(fleet, db, soft))
    return Done(stopped=done.stopped + ended, suppressed=done.suppressed + tuple(lead.id for _, lead in dead))


def _about_us(fact: Fact) -> bool:
    return fact.bounce is not None and fact.bounce.outcome in ("block", "account")


async def _dead(fleet: Fleet, db: Connection, dead: Sequence[tuple[Fact, Lead]]) -> tuple[int, ...]:
    if not dead:
        return ()
    now = fleet.clock.now()
    wanted = [
        Wanted(
            key=lead.email_norm,
            reason="hard_bounce",
            source=f"event {fact.event.id}",
            evidence={"detail": dict(fact.event.detail)},
        )
        for fact, lead in dead
    ]
    stopped = await suppression.suppress_addresses(fleet, db, wanted)
    furthest = [
        events.Delivery(lead_id=lead.id, email_status="bounced", step=0, at=fact.event.at) for fact, lead in dead
    ]
    await events.advance_leads(db, furthest, now)
    await leads.invalidate(db, {lead.id: fact.bounce.rule if fact.bounce else "" for fact, lead in dead}, now)
    return tuple(id for ids in stopped.values() for id in ids)


async def unsubscribed(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    lead = await _lead(db, fact)
    if lead is None:
        await _suppress_stranger(fleet, db, fact, "unsubscribe")
        return Done()
    await commands.unsubscribe(fleet, db, lead.id)
    return await _never_again(fleet, db, fact, lead, "unsubscribe", "unsubscribed", "rejected")


async def complained(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """Stopped everywhere, for ever; the content is reviewed by a person (S12b)."""
    lead = await _lead(db, fact)
    who = lead.email if lead else fact.given.lead_email or "somebody"
    await alerts.raise_alert(
        fleet, db, fact_key=f"complaint:{who}", kind="complaint", severity="urgent",
        title=f"{who} reported a mail as spam",
        body="The address is suppressed for ever and stopped everywhere. Review the content.",
        client_id=fact.event.client_id, context={"campaign": str(fact.event.campaign_id), "email": who},
    )  # fmt: skip
    if lead is None:
        await _suppress_stranger(fleet, db, fact, "complaint")
        return Done()
    await commands.unsubscribe(fleet, db, lead.id)
    return await _never_again(fleet, db, fact, lead, "complaint", "spam_complaint", "rejected")


async def campaign_status(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """A pause we did not ask for is held as the platform's own and never resumed by the machine (V12)."""
    if fact.event.campaign_id is None:
        return Done()
    campaign = await campaigns.get(db, fact.event.campaign_id)
    state = str(fact.given.detail.get("state") or "")
    if campaign is None or campaign.state != "running" or fact.event.at <= campaign.state_since:
        return Done()
    if state in ("paused", "stopped"):
        await _vendor_pause(fleet, db, campaign, f"{fact.event.platform} {state} it", event=str(fact.event.id))
    elif state == "completed" and not await ownership.live_count(db, campaign.id):
        now = fleet.clock.now()
        if await campaigns.move(db, campaign, "completed", now):
            await transitions.record(
                db, entity="campaign", entity_id=str(campaign.id), from_state="running", to_state="completed",
                event="campaign_status", reason="the platform reports it as completed", evidence={},
                rule="events.campaign_status", rule_version=fleet.policy.version, actor=fact.event.platform, at=now,
            )  # fmt: skip
    return Done()


async def bounce_breach(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """The notice carries no time and is repeated for hours: the platform itself is asked whether the pause stands, so
    that a late repetition does not pause in our books what a person has started again."""
    if fact.event.campaign_id is None:
        return Done()
    campaign = await campaigns.get(db, fact.event.campaign_id)
    if campaign is None or campaign.state != "running":
        return Done()
    order = {"campaign_id": str(campaign.id), "event": str(fact.event.id), "reason": "paused it for its bounce rate"}
    await outbox.put(db, held.LOOK, order, now=fleet.clock.now(), dedupe_key=f"{held.LOOK}:{fact.event.id}")
    return Done()


async def do_look(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    """Reads at the platform whether it paused a campaign of ours; then it is held as the platform's own (V12)."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.get(db, UUID(str(payload["campaign_id"])))
        if campaign is None or campaign.state != "running":
            return
        fleet = await fleet_of(fleet, campaign.client_id, db)
        ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign.id)
        if ref is None or await held.starting(db, campaign.id):
            return
    state = (await fleet.platform(campaign.platform).campaign(ref)).state
    if state not in ("paused", "stopped"):
        return
    async with fleet.db.transaction() as db:
        await _vendor_pause(
            fleet, db, campaign, f"{campaign.platform} {payload['reason']}", event=str(payload["event"])
        )


async def _vendor_pause(fleet: Fleet, db: Connection, campaign: campaigns.Campaign, reason: str, *, event: str) -> None:
    now = fleet.clock.now()
    hold, new = await holds.add(
        db, scope="campaign", scope_id=str(campaign.id), kind="sending", reason=reason, actor=campaign.platform,
        actor_kind="vendor", evidence={"event": event}, at=now,
    )  # fmt: skip
    if not new:
        return
    await holds.confirm(db, hold.id, now)
    was = await holds.campaign_paused(db, campaign.id, by="vendor", reason=reason, at=now)
    if was:
        await transitions.record(
            db, entity="campaign", entity_id=str(campaign.id), from_state=was, to_state="paused", event="vendor_pause",
            reason=reason, evidence={}, rule="events.vendor_pause", rule_version=fleet.policy.version,
            actor=campaign.platform, at=now,
        )  # fmt: skip
    await alerts.raise_alert(
        fleet, db, fact_key=f"vendor-pause:{hold.id}", kind="vendor_pause", severity="urgent",
        title=f"{campaign.name} is paused by {campaign.platform}",
        body=f"{reason}. It is not resumed by itself (V12).",
        client_id=campaign.client_id, context={"campaign": campaign.name},
    )  # fmt: skip


async def mailbox_disconnected(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    if fact.event.mailbox_id is None:
        return Done()
    await mailboxes.set_health(db, fact.event.mailbox_id, connected=False, at=fact.event.at)
    await alerts.raise_alert(
        fleet, db, fact_key=f"disconnected:{fact.event.mailbox_id}:{fact.event.at:%Y-%m-%d}",
        kind="mailbox_disconnected", severity="urgent", title=f"{fact.given.mailbox_address} is disconnected",
        body=str(fact.given.detail.get("reason") or "The platform cannot log in."), client_id=fact.event.client_id,
        context={"mailbox": fact.given.mailbox_address},
    )  # fmt: skip
    return Done()


HANDLERS: dict[str, Callable[[Fleet, Connection, Fact], Awaitable[Done]]] = {
    "unsubscribed": unsubscribed,
    "complained": complained,
    "campaign_status": campaign_status,
    "bounce_breach": bounce_breach,
    "mailbox_disconnected": mailbox_disconnected,
}


async def _lead(db: Connection, fact: Fact) -> Lead | None:
    return await leads.get(db, fact.event.lead_id) if fact.event.lead_id is not None else None


async def _never_again(
    fleet: Fleet,
    db: Connection,
    fact: Fact,
    lead: Lead,
    reason: Reason,
    delivery: EmailStatus,
    status: Status,
) -> Done:
    now = fleet.clock.now()
    made = await suppression.suppress(
        fleet, db, scope="address", key=lead.email_norm, reason=reason, source=f"event {fact.event.id}",
        evidence={"detail": dict(fact.event.detail)},
    )  # fmt: skip
    await events.advance_leads(
        db, [events.Delivery(lead_id=lead.id, email_status=delivery, step=0, at=fact.event.at)], now
    )
    await leads.set_status(db, [lead.id], status, at=now)
    return Done(stopped=tuple(made.stopped), suppressed=(lead.id,))


async def _soft(fleet: Fleet, db: Connection, soft: Sequence[tuple[Fact, Lead]]) -> tuple[int, ...]:
    """Held for a day; the last of as many as there may be ends the campaign for the lead (S9). Returns who stopped."""
    if not soft:
        return ()
    rule = fleet.policy.soft_bounce
    counts = await leads.soft_bounced(db, [lead.id for _, lead in soft], fleet.clock.now())
    stopped = await _final(fleet, db, [pair for pair in soft if counts.get(pair[1].id, 0) >= rule.max_retries])
    pauses = [
        commands.Pause(
            lead_id=lead.id,
            until=fact.event.at + timedelta(hours=rule.retry_after_hours),
            fact=str(fact.event.id),
        )
        for fact, lead in soft
        if counts.get(lead.id, 0) < rule.max_retries and lead.status == "in_sequence"
    ]
    await commands.pause_all(fleet, db, pauses, status="held")
    return stopped


async def _final(fleet: Fleet, db: Connection, last: Sequence[tuple[Fact, Lead]]) -> tuple[int, ...]:
    if not last:
        return ()
    rule, now = fleet.policy.soft_bounce, fleet.clock.now()
    ids = [lead.id for _, lead in last]
    await events.harden(db, [fact.event.id for fact, _ in last])
    await events.add_rollups(db, facts_of.hardened([fact for fact, _ in last]))
    stopped = await commands.stop(fleet, db, ids, reason=f"{rule.max_retries} soft bounces")
    await leads.set_status(db, ids, "held", at=now, resume_at=now + timedelta(days=rule.hold_days))
    furthest = [
        events.Delivery(lead_id=lead.id, email_status="bounced", step=0, at=fact.event.at) for fact, lead in last
    ]
    await events.advance_leads(db, furthest, now)
    return tuple(stopped)


def _refused(fact: Fact) -> alerts.Notice:
    """A refusal about our mailbox, address or content: once a mailbox, day and class."""
    assert fact.bounce is not None
    where = _where(fact)
    return alerts.Notice(
        fact_key=_refused_key(fact),
        kind=f"sender_{fact.bounce.outcome}",
        severity="warning",
        title=f"Mail from {where} was refused because of us",
        body=f"{fact.bounce.rule}: {str(fact.event.detail.get('text'))[:500]}",
        client_id=fact.event.client_id,
        context={"mailbox": where, "rule": fact.bounce.rule},
    )


def _refused_key(fact: Fact) -> str:
    outcome = fact.bounce.outcome if fact.bounce else ""
    return f"refused:{outcome}:{_where(fact)}:{fact.event.at:%Y-%m-%d}"


def _where(fact: Fact) -> str:
    return fact.given.mailbox_address or str(fact.event.mailbox_id or fact.event.campaign_id)


async def _suppress_stranger(fleet: Fleet, db: Connection, fact: Fact, reason: Reason) -> None:
    """Somebody we do not know as a lead, but the platform writes to."""
    if fact.given.lead_email:
        key = suppression.key_of("address", fact.given.lead_email)
        await suppression.suppress(fleet, db, scope="address", key=key, reason=reason, source=f"event {fact.event.id}")
