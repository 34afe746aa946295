"""What is rehearsed: each an entry that says what goes wrong in the world, what people decide, and what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from mailfleet.errors import Unknown

Outcome = Literal["cut_over", "rolled_back", "held", "waiting"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong in the world: begun on a day (0 is the first of week 1) at an hour, for some days."""

    kind: str
    day: float
    days: float | None = None
    given: Mapping[str, Any] = {}


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`decision`: what people say when the new platform is paused and waits for them."""

    name: str
    title: str
    expected: str
    outcome: Outcome
    faults: tuple[Fault, ...] = ()
    decision: Literal["resume", "rollback"] = "resume"
    crashes: bool = False
    """The process is ended at random calls, all the time."""
    interrupts: bool = False
    """It is ended within the rollback, at boundaries of its journal, and calls of it are lost."""
    again: bool = False
    """After a rollback the post-mortem is signed and a new migration begins."""
    bad_list: float | None = None
    """One large campaign of this phase's weeks has such a share of dead addresses."""


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="smooth",
        title="Nothing goes wrong",
        expected="Every gate is passed on its date or signed by review; over in week 13, no hold, no rollback.",
        outcome="cut_over",
    ),
)


def scenario(name: str) -> Scenario:
    """Raises Unknown."""
    found = next((each for each in SCENARIOS if each.name == name), None)
    if found is None:
        raise Unknown(f"There is no scenario {name!r}.", hint=f"Known: {', '.join(each.name for each in SCENARIOS)}.")
    return found
