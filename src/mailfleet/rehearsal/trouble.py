"""What goes wrong in the world, as a scenario names it, put into the sandbox when its day has come."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from mailfleet.rehearsal import agency
from mailfleet.rehearsal.agency import Book
from mailfleet.rehearsal.scenarios import Fault
from mailfleet.rehearsal.stage import Stage
from mailfleet.sandbox import faults
from mailfleet.sandbox.engine.send import set_status
from mailfleet.sandbox.smartlead.state import smartlead
from mailfleet.sandbox.world import World


def begin(stage: Stage, plan: Book, fault: Fault) -> None:
    world = stage.inside.world
    day, hour = int(fault.day), 24 * (fault.day % 1)
    at = agency.moment(day, hour)
    if fault.kind == "campaign_status":
        world.at(at, partial(_pause_largest, world))
        return
    given: dict[str, Any] = {"kind": fault.kind, **fault.given}
    if fault.kind == "bad_list":
        given["contains"] = f"@{_largest_tag(plan, day)}-"
    elif fault.kind == "webhook_loss":
        given["times"] = round(1.2 * plan.volume * float(given.pop("for_days")))
    if at > world.now:
        given["at"] = at.isoformat()
    if fault.days is not None:
        given["until"] = (at + timedelta(days=fault.days)).isoformat()
    faults.start(world, given)


def _largest_tag(plan: Book, day: int) -> str:
    """The largest campaign that begins in the week from `day` on."""
    return max((each for each in plan.campaigns if day <= each.day < day + 7), key=lambda each: each.leads).tag


def _pause_largest(world: World) -> None:
    """The vendor stops the campaign with the most leads, as its own protection does."""
    sending = [each for each in smartlead(world).campaigns.values() if each.status == "ACTIVE"]
    if sending:
        set_status(world, max(sending, key=lambda each: len(each.maps)), "PAUSED")
