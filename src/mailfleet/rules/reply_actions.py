"""What a reply brings about: the actions for its category, or for its sub-category where it has one (S11)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import msgspec

from mailfleet.policy.model import Reply, ReplyAction
from mailfleet.rules.replies import Verdict


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with the lead. `resume_at` is set only when the sequence goes on by itself."""

    exit_sequence: bool
    status: str
    suppress: bool
    task: str
    task_due_at: datetime | None
    channel: str
    resume_at: datetime | None
    sets_replied: bool
    """An out-of-office never sets `email_status` to replied (S12d)."""
    review: bool
    reason: str


def plan(reply: Reply, verdict: Verdict, at: datetime) -> Plan:
    """Every human reply stops the sequence; only a proven out-of-office lets it go on (S11)."""
    action = action_for(reply, verdict)
    goes_on = not action.exit_sequence and verdict.category == "out_of_office" and verdict.proven_automatic
    return Plan(
        exit_sequence=not goes_on,
        status=action.update_status if goes_on or action.exit_sequence else "needs_review",
        suppress=action.add_to_suppression,
        task=action.create_task,
        task_due_at=at + timedelta(hours=reply.task_due_hours) if action.create_task else None,
        channel=action.notify_channel,
        resume_at=resume_at(reply, verdict.return_date, at, action.pause_days) if goes_on else None,
        sets_replied=verdict.category != "out_of_office",
        review=verdict.review or verdict.category == "unknown",
        reason=f"{verdict.subcategory or verdict.category}: {verdict.rule}",
    )


def action_for(reply: Reply, verdict: Verdict) -> ReplyAction:
    """The policy's row."""
    rows = reply.actions
    table = {
        "positive": rows.positive,
        "negative": rows.negative,
        "out_of_office": rows.out_of_office,
        "unknown": rows.unknown,
        "unsubscribe": rows.unsubscribe,
        "wrong_person": rows.wrong_person,
        "info_request": rows.info_request,
    }
    return table[verdict.subcategory or verdict.category]


def resume_at(reply: Reply, returns: date | None, at: datetime, pause_days: int) -> datetime:
    """The day after the return date when the text gave one that can be believed, else `pause_days` later."""
    latest = at.date() + timedelta(days=reply.pause_days_max)
    if returns is None or not at.date() <= returns <= latest:
        return at + timedelta(days=pause_days)
    return datetime.combine(returns + timedelta(days=1), time(0, 0), tzinfo=at.tzinfo)
