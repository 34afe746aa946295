"""A verdict: what one trigger says about the new platform, with everything it was said from.

OK         nothing against it
THIN       too little mail to say anything
INCONCLUSIVE  it cannot be measured: it neither stops nor promotes (I10)
REVIEW     a person looks; no promotion meanwhile
HOLD       no new campaigns, the clock of the ramp stops
PAUSE      everything on the new platform stops sending, reversible
ROLLBACK   the evidence for going back is complete
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

State = Literal["OK", "THIN", "INCONCLUSIVE", "REVIEW", "HOLD", "PAUSE", "ROLLBACK"]
Trigger = Literal["bounce", "placement", "reply", "api", "bug", "warmup", "cost"]
STATES: tuple[State, ...] = get_args(State)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
STOPPING: frozenset[State] = frozenset[State]({"HOLD", "PAUSE", "ROLLBACK"})
BLOCKING: frozenset[State] = frozenset[State]({"REVIEW", "HOLD", "PAUSE", "ROLLBACK"})
"""States in which nothing is promoted."""


class Literally(msgspec.Struct, frozen=True, kw_only=True):
    """The specification's sentence read word by word: recorded beside the verdict, never acted on (M4)."""

    fires: bool | None
    """None: it cannot be said."""
    sentence: str


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison with the old platform: stratum by stratum, and pooled beside it."""

    ratio: float | None
    pooled: float | None
    strata: int
    covered: float
    """Share of the new platform's volume that has a partner on the old one."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    trigger: Trigger
    state: State
    observed: float | None
    interval: tuple[float, float] | None = None
    n: float = 0
    n_eff: float = 0
    design_effect: float = 1
    threshold: float
    posterior: float | None = None
    """P(the rate is beyond `threshold`)."""
    without_worst: float | None = None
    worst: str = ""
    window: str = ""
    since: float | None = None
    """Hours for which the HOLD has been standing; None: none stands."""
    asks: tuple[str, ...] = ()
    """Measurements the rule wants now (`burst`: extra seed tests)."""
    pause: tuple[str, ...] = ()
    """Campaigns whose own breaker is open."""
    streak: int = 0
    """Days in a row on which the condition of a ROLLBACK held."""
    literal: Literally | None = None
    control: Control | None = None
    sentence: str = ""

    @property
    def stops(self) -> bool:
        return self.state in STOPPING

    @property
    def blocks(self) -> bool:
        return self.state in BLOCKING


def graver(one: State, two: State) -> State:
    return one if STATES.index(one) >= STATES.index(two) else two


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"
