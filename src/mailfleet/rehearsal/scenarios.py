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
    """`decision`: what people say when the new platform is paused and waits for them; None: they wait and see."""

    name: str
    title: str
    expected: str
    outcome: Outcome
    faults: tuple[Fault, ...] = ()
    decision: Literal["resume", "rollback"] | None = None
    crashes: bool = False
    """The process is ended at random calls, all the time."""
    interrupts: bool = False
    """It is ended within the rollback, at boundaries of its journal, and calls of it are lost."""
    again: bool = False
    """After a rollback the post-mortem is signed and a new migration begins."""


COLLAPSE = Fault(kind="vendor_refused", day=44, given={"vendor": "smartlead", "share": 0.22})
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="smooth",
        title="Nothing goes wrong",
        expected="Every gate is passed on evidence or signed by review; over in week 13, nothing goes back.",
        outcome="cut_over",
    ),
    Scenario(
        name="bad-list",
        title="One list is full of dead addresses",
        expected="Its campaign alone is paused by its breaker; the platform is not blamed, the move goes on.",
        outcome="cut_over",
        faults=(Fault(kind="bad_list", day=57, given={"bounces": 0.25}),),
    ),
    Scenario(
        name="bounce-collapse",
        title="Receivers turn against the new platform",
        expected="HOLD within hours, then PAUSE; two days after the HOLD the way back is gone by itself.",
        outcome="rolled_back",
        faults=(COLLAPSE,),
    ),
    Scenario(
        name="slow-decline",
        title="Inbox placement of the new platform fades over two weeks",
        expected="Reviews and a HOLD on the way down, the way back once the drop is beyond 15 % on two days running.",
        outcome="rolled_back",
        faults=tuple(
            Fault(kind="provider_filter", day=43 + 2 * n, given={"vendor": "smartlead", "factor": 0.92})
            for n in range(8)
        ),
    ),
    Scenario(
        name="provider-event",
        title="One provider filters everybody harder for ten days",
        expected="Both platforms fall alike, so nothing goes back; at most the floor asks a person.",
        outcome="cut_over",
        faults=(Fault(kind="provider_filter", day=47, days=10, given={"provider": "google", "factor": 0.7}),),
    ),
    Scenario(
        name="api-outage",
        title="The new platform's interface is down for six hours",
        expected="The breach opens a pause after four hours; the outage over, a person lets it send again.",
        outcome="cut_over",
        faults=(Fault(kind="502", day=47.4, days=0.25, given={"vendor": "smartlead"}),),
        decision="resume",
    ),
    Scenario(
        name="vendor-autopause",
        title="The vendor pauses a campaign by itself",
        expected="It is an event and stays paused until a person starts it again; nothing goes back.",
        outcome="cut_over",
        faults=(Fault(kind="campaign_status", day=47.5),),
    ),
    Scenario(
        name="webhook-loss",
        title="Webhooks are lost for days",
        expected="The second source finds every event; nothing is held and nobody is written to after an answer.",
        outcome="cut_over",
        faults=(Fault(kind="webhook_loss", day=50, given={"for_days": 3}),),
    ),
    Scenario(
        name="crash-storm",
        title="The process is killed at random, all the time",
        expected="The same final ledger as without a crash.",
        outcome="cut_over",
        crashes=True,
    ),
    Scenario(
        name="rollback-interrupted",
        title="The way back is killed, cut off and answered too late",
        expected="It ends as an undisturbed one: everything on the old platform, each step once.",
        outcome="rolled_back",
        faults=(COLLAPSE,),
        crashes=True,
        interrupts=True,
    ),
    Scenario(
        name="rollback-then-retry",
        title="Rolled back, mended, and moved at the second try",
        expected="Rolled back in the 25 % weeks; after the post-mortem and a week a new migration moves everything.",
        outcome="cut_over",
        faults=(Fault(kind="vendor_refused", day=33, days=9, given={"vendor": "smartlead", "share": 0.35}),),
        again=True,
    ),
)


def scenario(name: str) -> Scenario:
    """Raises Unknown."""
    found = next((each for each in SCENARIOS if each.name == name), None)
    if found is None:
        raise Unknown(f"There is no scenario {name!r}.", hint=f"Known: {', '.join(each.name for each in SCENARIOS)}.")
    return found
