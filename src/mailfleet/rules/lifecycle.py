"""The life of a mailbox: one table of (state, event), one decision a reading (spec 5, S5).

Every pair is listed in `TABLE` or is illegal. `decide` looks at facts and one reading and names at most one event;
nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from mailfleet.errors import NotAllowed
from mailfleet.policy.model import Policy
from mailfleet.rules.graduation import Checklist
from mailfleet.rules.heat import Heat

State = Literal["NEW", "WARMING", "PRODUCTION", "DEGRADED", "RETIRED", "ERROR"]
Event = Literal[
    "warmup_started", "api_error", "retry_ok", "criteria_met", "heat_dropped", "heat_low_twice",
    "recovered", "no_recovery", "disabled_too_long", "operator_retired", "operator_reinstated",
]  # fmt: skip

RULE = "lifecycle"
STATES: tuple[State, ...] = ("NEW", "WARMING", "PRODUCTION", "DEGRADED", "RETIRED", "ERROR")
EVENTS: tuple[Event, ...] = (
    "warmup_started", "api_error", "retry_ok", "criteria_met", "heat_dropped", "heat_low_twice",
    "recovered", "no_recovery", "disabled_too_long", "operator_retired", "operator_reinstated",
)  # fmt: skip

TABLE: Mapping[tuple[State, Event], State] = {
    ("NEW", "warmup_started"): "WARMING",
    ("NEW", "api_error"): "ERROR",
    ("ERROR", "retry_ok"): "NEW",
    ("WARMING", "criteria_met"): "PRODUCTION",
    ("WARMING", "heat_low_twice"): "DEGRADED",
    ("PRODUCTION", "heat_dropped"): "WARMING",
    ("DEGRADED", "recovered"): "WARMING",
    ("DEGRADED", "no_recovery"): "RETIRED",
    ("WARMING", "disabled_too_long"): "RETIRED",
    ("PRODUCTION", "disabled_too_long"): "RETIRED",
    ("DEGRADED", "disabled_too_long"): "RETIRED",
    ("NEW", "operator_retired"): "RETIRED",
    ("ERROR", "operator_retired"): "RETIRED",
    ("WARMING", "operator_retired"): "RETIRED",
    ("PRODUCTION", "operator_retired"): "RETIRED",
    ("DEGRADED", "operator_retired"): "RETIRED",
    ("RETIRED", "operator_reinstated"): "NEW",
}
ILLEGAL: frozenset[tuple[State, Event]] = frozenset(
    (state, event) for state in STATES for event in EVENTS if (state, event) not in TABLE
)
SENDING: frozenset[State] = frozenset({"PRODUCTION"})
WARMS: frozenset[State] = frozenset({"WARMING", "PRODUCTION", "DEGRADED"})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a mailbox. `heats`: daily heat values since `state_since`, oldest first, None where unknown.

    `degraded_at` are the times it entered DEGRADED before, to count loops.
    """

    state: State
    state_since: datetime
    heats: tuple[tuple[date, float | None], ...] = ()
    degraded_at: tuple[datetime, ...] = ()
    disabled_since: datetime | None = None
    error_retries: int = 0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a mailbox. `heat` None: nothing was read. `api_ok` None: not asked."""

    at: datetime
    day: date
    """The mailbox's own local day."""
    heat: Heat | None = None
    api_ok: bool | None = None
    warmup_running: bool = False
    checklist: Checklist | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One transition, with what it rests on; stored as it stands (I9)."""

    event: Event
    from_state: State
    to_state: State
    reason: str
    evidence: dict[str, object]
    rule: str = RULE
    rule_version: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know or decide; the state stays."""

    kind: Literal["slow_warmup", "warmup_review", "degraded_loop", "error_review"]
    needs_person: bool
    reason: str


def apply(state: State, event: Event) -> State:
    """The state after `event`. Raises NotAllowed for a pair that is not in the table."""
    if (after := TABLE.get((state, event))) is None:
        raise NotAllowed(
            f"A mailbox in {state} cannot take {event}.",
            reasons=(f"({state}, {event}) is not a transition",),
            hint=f"From {state}: {', '.join(e for s, e in TABLE if s == state) or 'nothing'}.",
        )
    return after


def decide(facts: Facts, reading: Reading, policy: Policy) -> Decision | None:
    """At most one transition. A missing reading changes nothing (I10); RETIRED is left only by an operator."""
    found = _event(facts, reading, policy)
    if found is None:
        return None
    event, reason, evidence = found
    return Decision(
        event=event,
        from_state=facts.state,
        to_state=apply(facts.state, event),
        reason=reason,
        evidence=evidence,
        rule_version=policy.version,
    )


Found = tuple[Event, str, dict[str, object]] | None


def _event(facts: Facts, reading: Reading, policy: Policy) -> Found:
    if facts.state in WARMS and (gone := _disabled(facts, reading, policy)):
        return gone
    match facts.state:
        case "NEW":
            return _new(reading)
        case "ERROR":
            return _error(facts, reading)
        case "WARMING":
            return _warming(facts, reading, policy)
        case "PRODUCTION":
            return _production(reading, policy)
        case "DEGRADED":
            return _degraded(facts, reading, policy)
        case "RETIRED":
            return None


def _disabled(facts: Facts, reading: Reading, policy: Policy) -> Found:
    limit = policy.lifecycle.disabled_hours
    if facts.disabled_since is None or reading.at - facts.disabled_since <= timedelta(hours=limit):
        return None
    since = facts.disabled_since.isoformat()
    return "disabled_too_long", f"disabled at the vendor for over {limit:g} h", {"disabled_since": since}


def _new(reading: Reading) -> Found:
    if reading.api_ok is False:
        return "api_error", "the vendor refused the mailbox", {}
    return ("warmup_started", "warm-up is running", {}) if reading.warmup_running else None


def _error(facts: Facts, reading: Reading) -> Found:
    if not reading.api_ok:
        return None
    return "retry_ok", f"the vendor accepted it at retry {facts.error_retries}", {"retries": facts.error_retries}


def _warming(facts: Facts, reading: Reading, policy: Policy) -> Found:
    need, low = policy.lifecycle.degraded_readings, policy.lifecycle.low_heat
    known = [(day, value) for day, value in _heats(facts, reading) if value is not None]
    last = known[-need:]
    if _value(reading) is not None and len(last) == need and all(value < low for _, value in last):
        shown = ", ".join(f"{value:g}" for _, value in last)
        return "heat_low_twice", f"heat {shown}: {need} readings below {low:g}", {"heats": _shown(last)}
    if reading.checklist is not None and reading.checklist.ok:
        return "criteria_met", "every graduation criterion is met", {"checklist": reading.checklist.as_evidence()}
    return None


def _production(reading: Reading, policy: Policy) -> Found:
    value, low = _value(reading), policy.lifecycle.low_heat
    if value is None or value >= low:
        return None
    return "heat_dropped", f"heat {value:g} is below {low:g}", {"heat": value}


def _degraded(facts: Facts, reading: Reading, policy: Policy) -> Found:
    if _value(reading) is None:
        return None
    rule = policy.lifecycle
    streak = recovery_streak(_heats(facts, reading), rule.low_heat)
    if streak >= rule.recovery_days:
        return "recovered", f"{streak} daily readings in a row at {rule.low_heat:g} or above", {"streak": streak}
    days = (reading.at - facts.state_since).days
    if days >= rule.retire_days and streak == 0:
        return "no_recovery", f"{days} days DEGRADED and no recovery running", {"days": days, "heat": _value(reading)}
    return None


def recovery_streak(heats: tuple[tuple[date, float | None], ...], low: float) -> int:
    """Daily readings in a row, up to the last, at or above `low`. An unknown day neither counts nor breaks it."""
    streak = 0
    for _, value in reversed(heats):
        if value is None:
            continue
        if value < low:
            break
        streak += 1
    return streak


def notices(facts: Facts, reading: Reading, policy: Policy) -> tuple[Notice, ...]:
    """What a person should be told of this mailbox now; the caller raises each once per fact."""
    rule, found = policy.lifecycle, list[Notice]()
    days = (reading.at - facts.state_since).days
    if facts.state == "WARMING" and days >= rule.review_day:
        found.append(_notice("warmup_review", f"WARMING for {days} days, review from day {rule.review_day}", True))
    elif facts.state == "WARMING" and days >= rule.notice_day:
        found.append(_notice("slow_warmup", f"WARMING for {days} days, expected within {rule.notice_day}", False))
    since = reading.at - timedelta(days=rule.degraded_window_days)
    loops = sum(at >= since for at in facts.degraded_at)
    if facts.state == "DEGRADED" and loops >= rule.degraded_count:
        found.append(_notice("degraded_loop", f"DEGRADED {loops} times in {rule.degraded_window_days} days", True))
    if facts.state == "ERROR" and reading.at - facts.state_since > timedelta(hours=rule.error_review_hours):
        found.append(_notice("error_review", f"in ERROR for over {rule.error_review_hours:g} h", True))
    return tuple(found)


def _notice(
    kind: Literal["slow_warmup", "warmup_review", "degraded_loop", "error_review"], reason: str, person: bool
) -> Notice:
    return Notice(kind=kind, needs_person=person, reason=reason)


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> NEW"]
    lines += [f"    {state} --> {after}: {event}" for (state, event), after in TABLE.items()]
    return "\n".join(lines)


def _heats(facts: Facts, reading: Reading) -> tuple[tuple[date, float | None], ...]:
    """The stored days with this reading's in its place: one value a day."""
    days = dict(facts.heats)
    if (value := _value(reading)) is not None:
        days[reading.day] = value
    return tuple(sorted(days.items()))


def _value(reading: Reading) -> float | None:
    return reading.heat.value if reading.heat and reading.heat.state == "OK" else None


def _shown(heats: list[tuple[date, float]]) -> list[list[object]]:
    return [[day.isoformat(), value] for day, value in heats]
