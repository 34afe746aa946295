"""Replies: read by rule, written down, and acted on as the policy says. Every human reply stops the sequence (S11).

A batch is worked through in a few statements; replies of one lead come in order, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mailfleet.rules import referral, rendering, reply_actions
from mailfleet.rules import replies as reply_rules
from mailfleet.rules.campaigns import STEPS_MAX
from mailfleet.rules.reply_actions import Plan
from mailfleet.services import alerts, commands, suppression
from mailfleet.services.commands import Pause
from mailfleet.services.context import Fleet
from mailfleet.services.facts import Fact
from mailfleet.services.suppression import Wanted
from mailfleet.store import events, leads, replies
from mailfleet.store.database import Connection
from mailfleet.store.leads import Lead
from mailfleet.store.replies import Owed, Reply


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Leads whose sequence ended, and leads that went onto the suppression list."""

    stopped: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One reply with what it means and what is to be done."""

    fact: Fact
    verdict: reply_rules.Verdict
    plan: Plan
    lead: Lead | None


async def handle(fleet: Fleet, db: Connection, facts: Sequence[Fact]) -> Done:
    """Classifies replies, no two of one lead, keeps them and does what their categories ask, in one transaction."""
    ids = sorted({fact.event.lead_id for fact in facts if fact.event.lead_id is not None})
    known = {lead.id: lead for lead in await leads.by_ids(db, ids)} if ids else {}
    texts = await _texts(db, facts)
    judged = [_judged(fleet, fact, known.get(fact.event.lead_id or 0), texts) for fact in facts]
    new = await replies.add(db, [_reply(each) for each in judged])
    judged = [each for each in judged if each.fact.event.id in new]
    await _owe(fleet, db, judged)
    await alerts.raise_alerts(fleet, db, [_notice(each) for each in judged if each.plan.channel])
    return await _act(fleet, db, judged)


async def _texts(db: Connection, facts: Sequence[Fact]) -> Mapping[object, Sequence[tuple[str, str]]]:
    """The steps of the campaigns in question, once each: what we wrote, as far as they tell."""
    campaigns = {
        fact.event.campaign_id
        for fact in facts
        if fact.event.campaign_id is not None and not fact.given.detail.get("sent_text")
    }
    return {id: await replies.sent_text(db, id, STEPS_MAX) for id in campaigns}


def _judged(fleet: Fleet, fact: Fact, lead: Lead | None, texts: Mapping[object, Sequence[tuple[str, str]]]) -> Judged:
    detail = fact.given.detail
    headers = detail.get("headers")
    verdict = reply_rules.classify(
        str(detail.get("text") or detail.get("html") or ""),
        str(detail.get("subject") or ""),
        dict(headers) if isinstance(headers, dict) else {},
        str(detail.get("sent_text") or "") or _sent_text(lead, texts.get(fact.event.campaign_id, ())),
        on=fact.event.at.date(),
        keywords=fleet.policy.reply.auto_categories,
    )
    plan = reply_actions.plan(fleet.policy.reply, verdict, fact.event.at)
    return Judged(fact=fact, verdict=verdict, plan=plan, lead=lead)


def _sent_text(lead: Lead | None, steps: Sequence[tuple[str, str]]) -> str:
    """What we may have written to this lead: the part of a reply that is quoted from us."""
    if lead is None or not steps:
        return ""
    values = lead.merge_values()
    return "\n".join(rendering.render(f"{subject}\n{body}", values) for subject, body in steps)


def _reply(judged: Judged) -> Reply:
    event, detail, verdict = judged.fact.event, judged.fact.given.detail, judged.verdict
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
        state="review" if judged.plan.review else "decided",
    )


async def _owe(fleet: Fleet, db: Connection, judged: Sequence[Judged]) -> None:
    owed = [
        Owed(
            kind=msgspec.convert(each.plan.task, replies.TaskKind),
            client_id=each.fact.event.client_id,
            lead_id=each.fact.event.lead_id,
            reply_id=each.fact.event.id,
            owner=fleet.policy.reply.task_owner,
            due_at=each.plan.task_due_at,
            note=_note(each),
        )
        for each in judged
        if each.plan.task and each.plan.task_due_at
    ]
    if owed:
        await replies.add_tasks(db, owed, fleet.clock.now())


def _note(judged: Judged) -> str:
    """Why, and whom a wrong person names instead."""
    if judged.verdict.subcategory != "wrong_person":
        return judged.plan.reason
    lead = judged.lead.email if judged.lead else judged.fact.given.lead_email or ""
    named = referral.find(judged.verdict.stripped, lead)
    return f"{judged.plan.reason}; names {named}" if named else judged.plan.reason


def _notice(judged: Judged) -> alerts.Notice:
    fact, lead = judged.fact, judged.lead
    who = f"{lead.first_name} {lead.last_name}".strip() or lead.email if lead else fact.given.lead_email or "somebody"
    return alerts.Notice(
        fact_key=f"reply:{fact.event.id}", kind="hot_reply", severity="info",
        title=f"{who}{f' of {lead.company}' if lead and lead.company else ''} answered: {judged.verdict.category}",
        body=judged.verdict.stripped[:1000], client_id=fact.event.client_id, channel=judged.plan.channel,
        context={"email": lead.email if lead else fact.given.lead_email, "rule": judged.verdict.rule,
                 "campaign": str(fact.event.campaign_id)},
    )  # fmt: skip


async def _act(fleet: Fleet, db: Connection, judged: Sequence[Judged]) -> Done:
    ours = [(each, each.lead) for each in judged if each.lead is not None]
    if not ours:
        return Done()
    now = fleet.clock.now()
    answered = [(lead.id, each.fact.event.at) for each, lead in ours if each.plan.sets_replied]
    deliveries = [events.Delivery(lead_id=id, email_status="replied", step=0, at=at) for id, at in answered]
    await events.advance_leads(db, deliveries, now)
    superseded = await replies.newer_humans(db, {lead.id: each.fact.event.at for each, lead in ours})
    wanted = [_wanted(each, lead) for each, lead in ours if each.plan.suppress]
    ended = await suppression.suppress_addresses(fleet, db, wanted)
    stopped = [id for ids in ended.values() for id in ids]
    reasons = {lead.id: each.plan.reason for each, lead in ours if each.plan.exit_sequence}
    stopped += await commands.stop_each(fleet, db, reasons)
    moves: dict[str, list[int]] = {}
    pauses: dict[str, list[Pause]] = {}
    for each, lead in ours:
        if lead.id in superseded:
            continue
        if each.plan.exit_sequence:
            moves.setdefault(each.plan.status, []).append(lead.id)
        elif each.plan.resume_at:
            pause = Pause(lead_id=lead.id, until=each.plan.resume_at, fact=str(each.fact.event.id))
            pauses.setdefault(each.plan.status, []).append(pause)
    for status, ids in moves.items():
        await leads.set_status(db, ids, msgspec.convert(status, leads.Status), at=now)
    for status, wanted_pauses in pauses.items():
        await commands.pause_all(fleet, db, wanted_pauses, status=msgspec.convert(status, leads.Status))
    return Done(stopped=tuple(stopped), suppressed=tuple(lead.id for each, lead in ours if each.plan.suppress))


def _wanted(judged: Judged, lead: Lead) -> Wanted:
    verdict = judged.verdict
    return Wanted(
        key=lead.email_norm,
        reason="unsubscribe" if verdict.subcategory == "unsubscribe" else "negative_reply",
        source=f"reply {judged.fact.event.id}",
        evidence={"rule": verdict.rule, "text": verdict.stripped[:500]},
    )
