"""What a reply means when a person says so: the queue, decisions and their undoing (S11)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.errors import Unknown
from mailfleet.rules import reply_actions
from mailfleet.rules.replies import Category, Subcategory, Verdict
from mailfleet.rules.reply_actions import Plan
from mailfleet.services import commands, suppression
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import audit, leads, replies
from mailfleet.store.database import Connection
from mailfleet.store.replies import Owed, Read, Reply

Meaning = Literal[
    "positive", "negative", "out_of_office", "unknown", "unsubscribe", "wrong_person", "info_request"
]  # fmt: skip
_PARTS: dict[Meaning, tuple[Category, Subcategory | None]] = {
    "positive": ("positive", None),
    "negative": ("negative", None),
    "out_of_office": ("out_of_office", None),
    "unknown": ("unknown", None),
    "unsubscribe": ("negative", "unsubscribe"),
    "wrong_person": ("unknown", "wrong_person"),
    "info_request": ("unknown", "info_request"),
}


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """`lifted` are suppressions that this reply had made and that stand no more, here and on the platforms' lists."""

    id: UUID
    category: str
    subcategory: str | None
    lead_status: str
    suppressed: bool
    lifted: Sequence[str] = ()


async def queue(fleet: Fleet, *, state: str, category: str, limit: int) -> Sequence[Reply]:
    async with fleet.db.connection() as db:
        return await replies.listed(db, state=state, category=category, limit=limit)


async def one(fleet: Fleet, id: UUID) -> Read:
    """Raises Unknown."""
    async with fleet.db.connection() as db:
        return await _need(db, id)


async def decide(fleet: Fleet, id: UUID, meaning: Meaning) -> Decided:
    """A person's reading replaces the machine's, with all that follows. The sequence stays stopped. Raises Unknown."""
    category, subcategory = _PARTS[meaning]
    async with fleet.db.transaction() as db:
        read = await _need(db, id)
        own = await fleet_of(fleet, read.client_id) if read.client_id else fleet
        verdict = Verdict(
            category=category, subcategory=subcategory, rule="person", confidence=1.0, stripped=read.stripped,
            return_date=read.return_date,
        )  # fmt: skip
        plan = reply_actions.plan(own.policy.reply, verdict, fleet.clock.now())
        await replies.decide(
            db, id, category=category, subcategory=subcategory, rule="person", confidence=1.0, state="decided",
            by=fleet.actor, was=_was(read),
        )  # fmt: skip
        lifted = await _follow(own, db, read, plan)
        await _note(fleet, db, id, f"reply_{meaning}", read)
    return _told(id, category, subcategory, plan.status, plan.suppress, lifted)


async def undo(fleet: Fleet, id: UUID) -> Decided:
    """As it was before the last decision; what that one suppressed is lifted. Raises Unknown when nobody decided."""
    async with fleet.db.transaction() as db:
        read = await _need(db, id)
        if not read.was:
            raise Unknown(f"Nobody decided about reply {id}.", hint="`mailfleet reply list --state decided` shows all.")
        was = msgspec.convert(read.was, _Was)
        await replies.decide(
            db, id, category=was.category, subcategory=was.subcategory, rule=was.rule, confidence=was.confidence,
            state=was.state, by=was.decided_by, was={},
        )  # fmt: skip
        lifted = [] if was.suppressed else await suppression.lift(fleet, db, source=_source(id))
        if was.suppressed and read.email_norm:
            await _suppress(fleet, db, read, was.subcategory)
        if read.lead_id is not None and was.lead_status:
            status = msgspec.convert(was.lead_status, leads.Status)
            await leads.set_status(db, [read.lead_id], status, at=fleet.clock.now())
        await _note(fleet, db, id, "reply_undone", read)
    return _told(id, was.category, was.subcategory, was.lead_status, was.suppressed, lifted)


class _Was(msgspec.Struct, frozen=True, kw_only=True):
    category: Category
    subcategory: Subcategory | None
    rule: str
    confidence: float
    state: Literal["decided", "review", "undone"]
    decided_by: str
    lead_status: str
    suppressed: bool


def _was(read: Read) -> dict[str, object]:
    return {
        "category": read.category,
        "subcategory": read.subcategory,
        "rule": read.rule,
        "confidence": read.confidence,
        "state": read.state,
        "decided_by": read.decided_by,
        "lead_status": read.lead_status or "",
        "suppressed": read.suppressed,
    }


async def _follow(own: Fleet, db: Connection, read: Read, plan: Plan) -> list[str]:
    now = own.clock.now()
    lifted: list[str] = []
    if plan.suppress and read.email_norm:
        await _suppress(own, db, read, "unsubscribe")
    elif not plan.suppress:
        lifted = await suppression.lift(own, db, source=_source(read.id))
    if read.lead_id is not None:
        await commands.stop(own, db, [read.lead_id], reason=plan.reason)
        await leads.set_status(db, [read.lead_id], msgspec.convert(plan.status, leads.Status), at=now)
    await replies.close_tasks(db, read.id, by=own.actor, at=now)
    if plan.task and plan.task != "review_reply":
        await replies.add_tasks(db, [_owed(own, read, plan, plan.task_due_at or now)], now)
    return lifted


async def _suppress(fleet: Fleet, db: Connection, read: Read, subcategory: str | None) -> None:
    await suppression.suppress(
        fleet, db, scope="address", key=read.email_norm or "", source=_source(read.id),
        reason="unsubscribe" if subcategory == "unsubscribe" else "negative_reply",
        evidence={"decided_by": fleet.actor, "text": read.stripped[:500]},
    )  # fmt: skip


def _owed(fleet: Fleet, read: Read, plan: Plan, due_at: datetime) -> Owed:
    return Owed(
        kind=msgspec.convert(plan.task, replies.TaskKind),
        client_id=read.client_id,
        lead_id=read.lead_id,
        reply_id=read.id,
        owner=fleet.policy.reply.task_owner,
        due_at=due_at,
        note=plan.reason,
    )


def _source(id: UUID) -> str:
    return f"reply {id}"


def _told(
    id: UUID, category: str, subcategory: str | None, status: str, suppressed: bool, lifted: Sequence[str]
) -> Decided:
    return Decided(
        id=id, category=category, subcategory=subcategory, lead_status=status, suppressed=suppressed, lifted=lifted
    )


async def _need(db: Connection, id: UUID) -> Read:
    if found := await replies.get(db, id):
        return found
    raise Unknown(f"There is no reply {id}.", hint="`mailfleet reply list` shows them.")


async def _note(fleet: Fleet, db: Connection, id: UUID, action: str, read: Read) -> None:
    await audit.record(
        db, actor=fleet.actor, action=action, entity="reply", entity_id=id, at=fleet.clock.now(), detail=_was(read)
    )
