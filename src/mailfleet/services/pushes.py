"""The push side of the lead sync: which leads wait for which campaign, and what became of them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Busy, NotAllowed, VendorError
from mailfleet.services import dedup, lead_source, push
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns

CHUNK = 2000
"""Leads of one task."""
MOST = 100_000
"""Leads of one run; the rest is the next run's."""


class Tally:
    """What a run's chunks came to."""

    def __init__(self) -> None:
        self.pushed = self.refused = self.waiting = 0
        self.rules: Counter[str] = Counter()
        self.reasons: list[str] = []

    def excluded(self, count: int) -> None:
        self.refused += count
        self.rules["duplicate"] += count

    def sent(self, done: Mapping[str, Any]) -> None:
        self.pushed += done["added"]
        self.refused += done["refused"]
        self.waiting += done["later"] + done["unsettled"]
        self.rules.update(done["by_rule"])
        self.reasons += [done["reason"]] if done["reason"] else []

    def result(self) -> dict[str, Any]:
        return {
            "pushed": self.pushed,
            "refused": self.refused,
            "refused_by_rule": {rule: n for rule, n in self.rules.items() if n},
            "waiting": self.waiting,
            "reasons": list(dict.fromkeys(self.reasons)),
        }


async def waiting(fleet: Fleet) -> dict[str, list[int]]:
    """campaign_id → leads that are ready for it, after what a crash or an unknown outcome left open was settled."""
    await lead_source.take(fleet)
    async with fleet.db.connection() as db:
        running = await campaigns.every(db, states=("running",))
    for each in running:
        with contextlib.suppress(VendorError):  # it is tried again before the push, where it is told
            await push.settle_open(fleet, each)
    return {str(each.id): await push.ready(fleet, each, limit=MOST) for each in running}


async def unique(fleet: Fleet, leads: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The same without those that may not be new contacts."""
    return {id: await dedup.unique_ids(fleet, ids, campaign_id=UUID(id)) for id, ids in leads.items()}


async def send(fleet: Fleet, campaign_id: UUID, ids: Sequence[int]) -> dict[str, Any]:
    """One chunk; what stops it is a reason, not an error: the leads wait for the next run."""
    try:
        done, reason = await push.push(fleet, campaign_id, ids), ""
    except NotAllowed as error:
        done, reason = push.Pushed(later=len(ids)), "; ".join(error.reasons) or str(error)
    except (VendorError, Busy) as error:
        done, reason = push.Pushed(later=len(ids)), f"{error.code} {error}"
    return {**msgspec.to_builtins(done), "reason": reason}


def chunks(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK)]
