"""What bounces, opt-outs, complaints and the platform's own doings bring about, in the applier's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailfleet.services import alerts, commands, suppression
from mailfleet.services import holds as held
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.facts import Fact
from mailfleet.services.replies import Done
from mailfleet.store import campaigns, events, holds, leads, links, mailboxes, outbox, ownership, transitions
from mailfleet.store.database import Connection
from mailfleet.store.leads import EmailStatus, Lead, Status
from mailfleet.store.suppressions import Reason


async def bounced(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """Hard: never again. Soft: held a day, three times, then stopped (S9). About us: never the lead's fault (V6)."""
    verdict = fact.bounce
    lead = await _lead(db, fact)
    if verdict is None or verdict.outcome == "auto_reply":
        return Done()
    if verdict.outcome in ("block", "account"):
        await _tell_about_us(fleet, db, fact)
        return Done()
    if lead is None:
        return Done()
    if verdict.outcome == "complaint":
        return await complained(fleet, db, fact)
    if verdict.outcome == "hard":
        return await _never_again(fleet, db, fact, lead, "hard_bounce", "bounced", "invalid", verdict.rule)
    return await _soft(fleet, db, fact, lead)


async def unsubscribed(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    lead = await _lead(db, fact)
    if lead is None:
        await _suppress_stranger(fleet, db, fact, "unsubscribe")
        return Done()
    await commands.unsubscribe(fleet, db, lead.id)
    return await _never_again(fleet, db, fact, lead, "unsubscribe", "unsubscribed", "rejected", "unsubscribed")


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
    return await _never_again(fleet, db, fact, lead, "complaint", "spam_complaint", "rejected", "complaint")


async def campaign_status(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """A pause we did not ask for is held as the platform's own and never resumed by the machine (V12)."""
    if fact.event.campaign_id is None:
        return Done()
    campaign = await campaigns.get(db, fact.event.campaign_id)
    state = str(fact.given.detail.get("state") or "")
    if campaign is None or campaign.state != "running" or fact.event.at < campaign.state_since:
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
    "bounced": bounced,
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
    why: str,
) -> Done:
    now = fleet.clock.now()
    made = await suppression.suppress(
        fleet, db, scope="address", key=lead.email_norm, reason=reason, source=f"event {fact.event.id}",
        evidence={"detail": dict(fact.event.detail)},
    )  # fmt: skip
    await events.advance_leads(
        db, [events.Delivery(lead_id=lead.id, email_status=delivery, step=0, at=fact.event.at)], now
    )
    if status == "invalid":
        await leads.invalidate(db, {lead.id: why}, now)
    else:
        await leads.set_status(db, [lead.id], status, at=now)
    return Done(stopped=tuple(made.stopped), suppressed=(lead.id,))


async def _soft(fleet: Fleet, db: Connection, fact: Fact, lead: Lead) -> Done:
    rule = fleet.policy.soft_bounce
    now = fleet.clock.now()
    count = await leads.soft_bounced(db, lead.id, now)
    if count >= rule.max_retries:
        stopped = await commands.stop(fleet, db, [lead.id], reason=f"{count} soft bounces")
        await leads.set_status(db, [lead.id], "held", at=now, resume_at=now + timedelta(days=rule.hold_days))
        await events.advance_leads(
            db, [events.Delivery(lead_id=lead.id, email_status="bounced", step=0, at=fact.event.at)], now
        )
        return Done(stopped=tuple(stopped))
    until = fact.event.at + timedelta(hours=rule.retry_after_hours)
    if lead.status == "in_sequence" and await commands.pause_until(fleet, db, lead.id, until, fact=str(fact.event.id)):
        await leads.set_status(db, [lead.id], "held", at=now, resume_at=until)
    return Done()


async def _tell_about_us(fleet: Fleet, db: Connection, fact: Fact) -> None:
    """A refusal about our mailbox, address or content: once a mailbox, day and class."""
    assert fact.bounce is not None
    where = fact.given.mailbox_address or str(fact.event.mailbox_id or fact.event.campaign_id)
    await alerts.raise_alert(
        fleet, db, fact_key=f"refused:{fact.bounce.outcome}:{where}:{fact.event.at:%Y-%m-%d}",
        kind=f"sender_{fact.bounce.outcome}", severity="warning",
        title=f"Mail from {where} was refused because of us",
        body=f"{fact.bounce.rule}: {str(fact.event.detail.get('text'))[:500]}",
        client_id=fact.event.client_id, context={"mailbox": where, "rule": fact.bounce.rule},
    )  # fmt: skip


async def _suppress_stranger(fleet: Fleet, db: Connection, fact: Fact, reason: Reason) -> None:
    """Somebody we do not know as a lead, but the platform writes to."""
    if fact.given.lead_email:
        key = suppression.key_of("address", fact.given.lead_email)
        await suppression.suppress(fleet, db, scope="address", key=key, reason=reason, source=f"event {fact.event.id}")
