"""A campaign goes on without a mailbox only as long as enough others can send; else it is held and told (S12a).

A mailbox that is stopped stays in its campaigns, suspended at the platform: leads in the middle of a thread keep their
sender and wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from uuid import UUID

from mailfleet.policy.model import Staffing
from mailfleet.services import alerts, holds
from mailfleet.services.context import Fleet
from mailfleet.store import holds as hold_rows
from mailfleet.store.holds import Hold, Staff

MARK = "staffing: "


def floor(rule: Staffing, given: int) -> int:
    """How many of the mailboxes a campaign was given have to be able to send."""
    return min(given, max(rule.minimum, math.ceil(rule.share * given)))


async def check(fleet: Fleet, theirs: Mapping[UUID, Fleet]) -> list[str]:
    """Holds campaigns that have too few, lets go of those that have enough again; names of those held."""
    async with fleet.db.connection() as db:
        staffs = await hold_rows.staffs(db)
        standing = {hold.scope_id: hold for hold in await hold_rows.standing(db, scope="campaign", kind="sending")
                    if hold.actor_kind == "machine"}  # fmt: skip
    held: list[str] = []
    for staff in staffs:
        view = theirs.get(staff.client_id, fleet)
        if staff.given and staff.able < floor(view.policy.staffing, staff.given):
            held.append(staff.name)
            await _hold(view, staff, standing.get(str(staff.id)))
        elif (hold := standing.get(str(staff.id))) and hold.reason.startswith(MARK):
            await holds.release_own(view, "campaign", str(staff.id), f"{staff.able} of {staff.given} can send again")
    return held


async def _hold(fleet: Fleet, staff: Staff, standing: Hold | None) -> None:
    if standing is not None:
        return
    reason = f"{MARK}{staff.able} of {staff.given} mailboxes can send"
    made = await holds.pause(
        fleet, "campaign", str(staff.id), reason, evidence={"given": staff.given, "able": staff.able}
    )
    await alerts.tell(
        fleet,
        fact_key=f"staffing:{made.hold.id}",
        kind="staffing",
        severity="urgent",
        title=f"{staff.name} is paused: too few mailboxes",
        body=f"{staff.able} of {staff.given} can send; stopped are {', '.join(staff.lacking)}. "
        "It goes on by itself once enough can send again; leads in a thread keep their sender.",
    )
