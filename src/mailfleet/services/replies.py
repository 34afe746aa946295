"""A reply: read by rule, written down, and acted on as the policy says. Every human reply stops the sequence (S11)."""

from __future__ import annotations

import msgspec

from mailfleet.rules import campaigns as campaign_rules
from mailfleet.rules import replies as reply_rules
from mailfleet.rules import reply_actions
from mailfleet.rules.reply_actions import Plan
from mailfleet.services import alerts, commands, suppression
from mailfleet.services.context import Fleet
from mailfleet.services.facts import Fact
from mailfleet.store import events, leads, replies
from mailfleet.store.database import Connection
from mailfleet.store.leads import Lead
from mailfleet.store.replies import Reply


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Leads whose sequence ended, and leads that went onto the suppression list."""

    stopped: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()


async def handle(fleet: Fleet, db: Connection, fact: Fact) -> Done:
    """Classifies the reply, keeps it, and brings about what its category asks for, in the caller's transaction."""
    lead = await leads.get(db, fact.event.lead_id) if fact.event.lead_id is not None else None
    verdict = await _verdict(fleet, db, fact, lead)
    plan = reply_actions.plan(fleet.policy.reply, verdict, fact.event.at)
    if not await replies.add(db, _reply(fact, verdict, plan)):
        return Done()
    await _task(fleet, db, fact, plan)
    await _tell(fleet, db, fact, verdict, plan, lead)
    return await _act(fleet, db, fact, verdict, plan, lead) if lead else Done()


async def _verdict(fleet: Fleet, db: Connection, fact: Fact, lead: Lead | None) -> reply_rules.Verdict:
    detail = fact.given.detail
    headers = detail.get("headers")
    return reply_rules.classify(
        str(detail.get("text") or detail.get("html") or ""),
        str(detail.get("subject") or ""),
        dict(headers) if isinstance(headers, dict) else {},
        str(detail.get("sent_text") or "") or await _sent_text(db, fact, lead),
        on=fact.event.at.date(),
        keywords=fleet.policy.reply.auto_categories,
    )


async def _sent_text(db: Connection, fact: Fact, lead: Lead | None) -> str:
    """What we wrote to this lead, as far as its steps tell: the part of a reply that is quoted from us."""
    if lead is None or fact.event.campaign_id is None:
        return ""
    steps = await replies.sent_text(db, fact.event.campaign_id, max(lead.step_reached, fact.event.step or 0))
    values = lead.merge_values()
    return "\n".join(campaign_rules.render(f"{subject}\n{body}", values) for subject, body in steps)


def _reply(fact: Fact, verdict: reply_rules.Verdict, plan: Plan) -> Reply:
    event, detail = fact.event, fact.given.detail
    return Reply(
        id=event.id,
        at=event.at,
        client_id=event.client_id,
        campaign_id=event.campaign_id,
        mailbox_id=event.mailbox_id,
        lead_id=event.lead_id,
        subject=str(detail.get("subject") or "")[:500],
        text=str(detail.get("text") or detail.get("html") or ""),
        stripped=verdict.stripped,
        category=verdict.category,
        subcategory=verdict.subcategory,
        rule=verdict.rule,
        confidence=verdict.confidence,
        return_date=verdict.return_date,
        state="review" if plan.review else "decided",
    )


async def _task(fleet: Fleet, db: Connection, fact: Fact, plan: Plan) -> None:
    if plan.task and plan.task_due_at:
        await replies.add_task(
            db, msgspec.convert(plan.task, replies.TaskKind), client_id=fact.event.client_id,
            lead_id=fact.event.lead_id, reply_id=fact.event.id, due_at=plan.task_due_at, note=plan.reason,
            at=fleet.clock.now(),
        )  # fmt: skip


async def _tell(
    fleet: Fleet, db: Connection, fact: Fact, verdict: reply_rules.Verdict, plan: Plan, lead: Lead | None
) -> None:
    if not plan.channel:
        return
    who = f"{lead.first_name} {lead.last_name}".strip() or lead.email if lead else fact.given.lead_email or "somebody"
    await alerts.raise_alert(
        fleet, db, fact_key=f"reply:{fact.event.id}", kind="hot_reply", severity="info",
        title=f"{who}{f' of {lead.company}' if lead and lead.company else ''} answered: {verdict.category}",
        body=verdict.stripped[:1000], client_id=fact.event.client_id, channel=plan.channel,
        context={"email": lead.email if lead else fact.given.lead_email, "rule": verdict.rule,
                 "campaign": str(fact.event.campaign_id)},
    )  # fmt: skip


async def _act(fleet: Fleet, db: Connection, fact: Fact, verdict: reply_rules.Verdict, plan: Plan, lead: Lead) -> Done:
    now, at = fleet.clock.now(), fact.event.at
    stopped: tuple[int, ...] = ()
    if plan.sets_replied:
        await events.advance_leads(db, [events.Delivery(lead_id=lead.id, email_status="replied", step=0, at=at)], now)
    superseded = await replies.newer_human(db, lead.id, at)
    if plan.suppress:
        made = await suppression.suppress(
            fleet, db, scope="address", key=lead.email_norm, source=f"reply {fact.event.id}",
            reason="unsubscribe" if verdict.subcategory == "unsubscribe" else "negative_reply",
            evidence={"rule": verdict.rule, "text": verdict.stripped[:500]},
        )  # fmt: skip
        stopped = tuple(made.stopped)
    if plan.exit_sequence:
        stopped += tuple(await commands.stop(fleet, db, [lead.id], reason=plan.reason))
        if not superseded:
            await leads.set_status(db, [lead.id], msgspec.convert(plan.status, leads.Status), at=now)
    elif (
        plan.resume_at
        and not superseded
        and await commands.pause_until(fleet, db, lead.id, plan.resume_at, fact=str(fact.event.id))
    ):
        await leads.set_status(
            db, [lead.id], msgspec.convert(plan.status, leads.Status), at=now, resume_at=plan.resume_at
        )
    return Done(stopped=stopped, suppressed=(lead.id,) if plan.suppress else ())
