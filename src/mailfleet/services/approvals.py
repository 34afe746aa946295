"""What waits for a person, given or taken back. Each approval is for one thing, once, and is in the audit."""

from __future__ import annotations

from mailfleet.errors import NotAllowed, Unknown
from mailfleet.services.context import Fleet
from mailfleet.store import approvals, audit
from mailfleet.store.approvals import Approval


async def waiting(fleet: Fleet) -> list[Approval]:
    async with fleet.db.connection() as db:
        return await approvals.waiting(db, at=fleet.clock.now())


async def approve(fleet: Fleet, id: str, *, by: str, reason: str = "") -> Approval:
    """One person's yes. Raises Unknown, or NotAllowed when it is not open or not theirs to give (four eyes)."""
    async with fleet.db.transaction() as db:
        found = await _need(fleet, db, id)
        given = await approvals.approve(db, found.id, by=by, at=fleet.clock.now())
        if given is None:
            raise NotAllowed(
                f"{by} cannot give this approval.",
                reasons=(_why_not(found, by),),
                hint="Where several people are needed, whoever asked is none of them.",
            )
        await audit.record(
            db, actor=by, action="approve", entity="approval", entity_id=found.id, reason=reason, at=fleet.clock.now(),
            detail={"action": found.action, "scope": found.scope},
        )  # fmt: skip
    return given


async def withdraw(fleet: Fleet, id: str, *, by: str, reason: str) -> None:
    """Takes it back, while it has not taken effect. Raises Unknown or NotAllowed."""
    async with fleet.db.transaction() as db:
        found = await _need(fleet, db, id)
        if not await approvals.withdraw(db, found.id, at=fleet.clock.now()):
            raise NotAllowed("It cannot be withdrawn.", reasons=("it was used, withdrawn or has expired",))
        await audit.record(
            db, actor=by, action="withdraw", entity="approval", entity_id=found.id, reason=reason,
            at=fleet.clock.now(), detail={"action": found.action, "scope": found.scope},
        )  # fmt: skip


async def _need(fleet: Fleet, db: approvals.Connection, id: str) -> Approval:
    if found := await approvals.find(db, id):
        return found
    raise Unknown(f"There is no approval {id}.", hint="`mailfleet approve` lists what waits.")


def _why_not(found: Approval, by: str) -> str:
    if found.used_at:
        return "it was used"
    if found.withdrawn_at:
        return "it was withdrawn"
    if found.needed > 1 and found.requested_by == by:
        return "whoever asked does not approve"
    return "it has expired"
