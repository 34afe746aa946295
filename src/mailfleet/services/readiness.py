"""How far a warming mailbox is: what it misses since when, and when it should be ready by its ramp as it went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from mailfleet.rules import warmup
from mailfleet.rules.graduation import Checklist
from mailfleet.services import mailboxes
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.services.readings import Taken
from mailfleet.store import mailboxes as rows
from mailfleet.store import readiness
from mailfleet.store.readiness import Missing


async def keep(fleet: Fleet, ids: Sequence[UUID]) -> dict[str, list[str]]:
    """Of these, the WARMING ones by address with the criteria they miss; each kept since when, with its date."""
    found: dict[str, list[str]] = {}
    for id in ids:
        taken = await mailboxes.stored(fleet, id)
        if taken.mailbox.state == "WARMING":
            found[taken.mailbox.address] = list((await _keep(fleet, taken)).missing)
    async with fleet.db.connection() as db:
        await readiness.forget_missing(db)
    return found


async def _keep(fleet: Fleet, taken: Taken) -> Checklist:
    view = await fleet_of(fleet, taken.mailbox.client_id)
    async with view.db.transaction() as db:
        checked = await mailboxes.checklist(view, db, taken)
        missing = [
            Missing(name=each.name, value=each.value, needed=each.needed)
            for each in checked.criteria
            if each.name in checked.missing
        ]
        await readiness.put_missing(db, taken.mailbox.id, missing, view.clock.now())
        await rows.set_ready_date(db, taken.mailbox.id, _ready(view, taken))
    return checked


def _ready(fleet: Fleet, taken: Taken) -> date | None:
    today = local_day(fleet.clock.now(), taken.mailbox.timezone)
    of_today = sum(each.warmup_sent_day or 0 for each in taken.days if each.day >= today)
    return warmup.estimated_from(
        fleet.policy.send_limits,
        fleet.policy.graduation,
        today,
        days=taken.warmup_day - 1,
        sent=taken.warmup_sent - of_today,
        warm_elsewhere=taken.mailbox.warm_elsewhere,
        per_day=fleet.platform().capabilities.warmup_per_day,
    )
