"""Who steps in for a mailbox that fails, and whose turn it is to rest.

A spare or rested mailbox of the same client joins the campaign before the failing one leaves it. Follow-ups of leads
in the middle of a thread keep their sender: as long as there are some, the failing mailbox stays, suspended, and they
wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from mailfleet.errors import MailfleetError
from mailfleet.services import holds, staffing
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.store import audit, campaigns, links, rotation
from mailfleet.store import holds as hold_rows
from mailfleet.store import mailboxes as rows
from mailfleet.store.mailboxes import Mailbox
from mailfleet.store.rotation import Leaving, Spare

MARK = "reserve: "


async def replace(fleet: Fleet, threshold: int) -> list[dict[str, Any]]:
    """Each `{campaign, out, in, threads, follow_ups}`; `in` None: nobody could step in."""
    async with fleet.db.connection() as db:
        await rotation.back_again(db)
        due = await rotation.leaving(db, threshold)
        theirs = await views(fleet, db)
    return [done for each in due if (done := await _replace(theirs[each.client_id], each))]


async def _replace(fleet: Fleet, leaving: Leaving) -> dict[str, Any] | None:
    spare = None if leaving.replaced else await _spare(fleet, leaving)
    if spare is not None:
        await _join(fleet, leaving, spare)
    out = (leaving.replaced or spare is not None) and leaving.threads == 0
    if out:
        async with fleet.db.connection() as db:
            await rotation.taken_out(db, leaving.campaign_id, leaving.mailbox_id, fleet.clock.now())
    problem = await _at_platform(fleet, leaving.campaign_id) if spare or out else ""
    if leaving.replaced and not out:
        return None
    return {
        "campaign": leaving.campaign,
        "out": leaving.address,
        "in": spare.address if spare else None,
        "threads": leaving.threads,
        "follow_ups": "wait for their sender" if leaving.threads else "none",
        **({"problem": problem} if problem else {}),
    }


async def _spare(fleet: Fleet, leaving: Leaving) -> Spare | None:
    async with fleet.db.connection() as db:
        found = await rotation.spares(db, leaving.campaign_id, low=fleet.policy.lifecycle.low_heat)
    return found[0] if found else None


async def _join(fleet: Fleet, leaving: Leaving, spare: Spare) -> None:
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        if not await rotation.stand_in(db, leaving, spare.id, now):
            return
        await rows.set_rest(db, spare.id, resting=None, working=now)
        await audit.record(
            db, actor=fleet.actor, action="rotate", entity="campaign", entity_id=leaving.campaign_id, at=now,
            detail={"out": leaving.address, "in": spare.address, "threads": leaving.threads},
        )  # fmt: skip
    if spare.resting:
        await holds.release_own(fleet, "mailbox", str(spare.id), f"steps in for {leaving.address}")


async def _at_platform(fleet: Fleet, campaign_id: UUID) -> str:
    """The campaign's mailboxes there as they are here; a failure is made good by the next round's comparison."""
    async with fleet.db.connection() as db:
        campaign = await campaigns.need(db, campaign_id)
        ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign_id)
        refs = [sender.ref for sender in await campaigns.senders(db, campaign_id) if sender.ref]
    if ref is None or not refs:
        return ""
    try:
        await fleet.platform(campaign.platform).set_campaign_mailboxes(ref, refs)
    except MailfleetError as error:
        return error.coded
    return ""


async def rest(fleet: Fleet) -> dict[str, list[str]]:
    """`{resting, back}`: whose turn it is, where a client's policy keeps a reserve. Never below a staffing floor."""
    async with fleet.db.connection() as db:
        theirs = await views(fleet, db)
        sending = await rows.every(db, states=("PRODUCTION",))
        standing = {hold.scope_id: hold for hold in await hold_rows.standing(db, scope="mailbox", kind="sending")}
        floors = await hold_rows.staffs(db)
    told: dict[str, list[str]] = {"resting": [], "back": []}
    for client, view in theirs.items():
        mine = [box for box in sending if box.client_id == client]
        for box in _back(view, mine):
            await _wake(view, box)
            told["back"].append(box.address)
        spare = min((staff.able - staffing.floor(view.policy.staffing, staff.given) for staff in floors
                     if staff.client_id == client and staff.given), default=len(mine))  # fmt: skip
        for box in _next(view, mine, standing)[: max(0, spare)]:
            await _sleep(view, box)
            told["resting"].append(box.address)
    return told


def _back(fleet: Fleet, mine: Sequence[Mailbox]) -> list[Mailbox]:
    rule, now = fleet.policy.reserve, fleet.clock.now()
    over = timedelta(days=rule.days_off)
    return [box for box in mine if box.resting_since and (rule.share == 0 or now - box.resting_since >= over)]


def _next(fleet: Fleet, mine: Sequence[Mailbox], standing: Mapping[str, object]) -> list[Mailbox]:
    """Those that have worked longest, as many as the pool has room for."""
    rule, now = fleet.policy.reserve, fleet.clock.now()
    room = math.floor(rule.share * len(mine)) - sum(
        1 for box in mine if box.resting_since and now - box.resting_since < timedelta(days=rule.days_off)
    )
    tired = [
        box
        for box in mine
        if box.resting_since is None and str(box.id) not in standing
        and now - _working_since(box) >= timedelta(days=rule.days_on)
    ]  # fmt: skip
    return sorted(tired, key=lambda box: (_working_since(box), box.address))[: max(0, room)]


def _working_since(box: Mailbox) -> datetime:
    return box.working_since or box.state_since


async def _sleep(fleet: Fleet, box: Mailbox) -> None:
    async with fleet.db.connection() as db:
        await rows.set_rest(db, box.id, resting=fleet.clock.now(), working=box.working_since)
    await holds.pause(fleet, "mailbox", str(box.id), f"{MARK}rests {fleet.policy.reserve.days_off} days")


async def _wake(fleet: Fleet, box: Mailbox) -> None:
    async with fleet.db.connection() as db:
        await rows.set_rest(db, box.id, resting=None, working=fleet.clock.now())
        standing = await hold_rows.standing(db, scope="mailbox", scope_id=str(box.id), kind="sending")
    if any(hold.actor_kind == "machine" and hold.reason.startswith(MARK) for hold in standing):
        await holds.release_own(fleet, "mailbox", str(box.id), "rested")
