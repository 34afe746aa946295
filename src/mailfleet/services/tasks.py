"""What people owe: calls to make and replies to read, each with its owner and its time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailfleet.errors import Unknown
from mailfleet.services.context import Fleet
from mailfleet.store import audit, replies
from mailfleet.store.replies import Task

_HINT = "`mailfleet task list` shows them."


async def listed(fleet: Fleet, *, open_only: bool = True, limit: int = 100) -> Sequence[Task]:
    async with fleet.db.connection() as db:
        return await replies.tasks(db, open_only=open_only, limit=limit)


async def done(fleet: Fleet, id: UUID) -> None:
    """Raises Unknown when there is no such open task."""
    async with fleet.db.transaction() as db:
        if not await replies.task_done(db, id, by=fleet.actor, at=fleet.clock.now()):
            raise Unknown(f"There is no open task {id}.", hint=_HINT)
        await audit.record(db, actor=fleet.actor, action="task_done", entity="task", entity_id=id, at=fleet.clock.now())


async def give(fleet: Fleet, id: UUID, owner: str) -> None:
    """Raises Unknown when there is no such open task."""
    async with fleet.db.transaction() as db:
        if not await replies.task_given(db, id, owner):
            raise Unknown(f"There is no open task {id}.", hint=_HINT)
        await audit.record(
            db, actor=fleet.actor, action="task_given", entity="task", entity_id=id, reason=owner, at=fleet.clock.now()
        )
