"""Every mailbox's limits as soon as its local day begins, and again as soon as its part of them changes (S2, I6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from mailfleet.errors import MailfleetError, VendorError
from mailfleet.platforms.port import MailboxSeen
from mailfleet.services import mailboxes
from mailfleet.services.context import Fleet
from mailfleet.store import links
from mailfleet.store import mailboxes as rows

FEW = 20
"""Up to this many are read one by one; more by the platform's list."""


async def begin(fleet: Fleet, theirs: Mapping[UUID, Fleet]) -> int:
    """Sets what is due at the platform and reads it back; how many mailboxes. What fails is tried at the next round."""
    async with fleet.db.connection() as db:
        due = await rows.without_budget(db, fleet.clock.now())
    if not due:
        return 0
    try:
        shown = await _shown(fleet, due)
    except VendorError:
        return 0  # told by the vendors' own check; nothing is set without knowing what stands there
    return sum([await _set(fleet, id, shown.get(id)) for id in due])


async def _set(fleet: Fleet, id: UUID, seen: MailboxSeen | None) -> bool:
    try:
        return await mailboxes.apply_limits(fleet, id, seen)
    except MailfleetError:
        return False


async def _shown(fleet: Fleet, due: Sequence[UUID]) -> Mapping[UUID, MailboxSeen]:
    if len(due) > FEW:
        return await mailboxes.shown(fleet)
    async with fleet.db.connection() as db:
        refs = await links.refs(db, platform=fleet.default_platform, kind="mailbox", ours=due)
    return {id: await mailboxes.look_at(fleet, id, refs[str(id)]) for id in due if str(id) in refs}
