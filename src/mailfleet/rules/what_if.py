"""What a rule decided, on which inputs, and what would change if one of them were another.

Nothing here knows a threshold: each answer is the rule itself, run again on the changed input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import TypeVar

import msgspec

from mailfleet.policy.model import AutoPause, Complaints, Policy, SendLimits
from mailfleet.rules import autopause, bounce_bands, complaints, ladder, lifecycle
from mailfleet.rules.autopause import Health
from mailfleet.rules.bounce_bands import BANDS
from mailfleet.rules.graduation import Checklist, Criterion, History, checklist
from mailfleet.rules.heat import Heat
from mailfleet.rules.ladder import Sample
from mailfleet.rules.lifecycle import State
from mailfleet.rules.limits import budget

Plain = str | int | float | bool | None
T = TypeVar("T")
MOST_MAILS = 5_000
"""Further than this no answer is looked for."""


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """With `instead` in place of `now`, the rule says `then`."""

    input: str
    now: Plain
    instead: Plain
    then: str


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says. `acts`: it stops or lowers something, or moves the mailbox."""

    rule: str
    says: str
    acts: bool
    inputs: dict[str, Plain]
    what_if: tuple[WhatIf, ...] = ()


def of_ladder(
    policy: Policy,
    level: ladder.Level | None,
    window: Sample,
    fresh: Sample,
    now: datetime,
    *,
    released_at: datetime | None = None,
) -> Ruling:
    """The bands of a scope (S1): how many bounces more, or fewer, or good mails more would move it."""

    def run(bounced: int = 0, sent: int = 0, later: timedelta = timedelta()) -> ladder.Step:
        return ladder.look(
            policy, level, _more(window, sent, bounced), _more(fresh, sent, bounced), now + later,
            released_at=released_at,
        )  # fmt: skip

    step = run()
    return Ruling(
        rule="bounce_ladder",
        says=_step(step),
        acts=bool(step.factor < 1 or step.no_new_leads),
        inputs={
            "sent": window.sent, "bounced": window.bounced, "rate": _rate(window),
            "confidence": step.reading.confidence,
            "band_before": level.band if level else None, "sent_since": fresh.sent, "bounced_since": fresh.bounced,
        },
        what_if=tuple(_moves(policy, step, window, run)),
    )  # fmt: skip


def _moves(policy: Policy, step: ladder.Step, window: Sample, run: Callable[..., ladder.Step]) -> Iterator[WhatIf]:
    worse = first(1, window.sent - window.bounced, lambda k: _height(run(bounced=k)) > _height(step))
    if worse is not None:
        yield WhatIf(
            input="bounced", now=window.bounced, instead=window.bounced + worse, then=_step(run(bounced=worse))
        )
    better = first(1, window.bounced, lambda k: _height(run(bounced=-k)) < _height(step))
    if better is not None:
        instead = window.bounced - better
        yield WhatIf(input="bounced", now=window.bounced, instead=instead, then=_step(run(bounced=-better)))
    if step.level.band != "normal":
        wait = timedelta(hours=policy.bounce_evidence.step_hours)
        good = first(1, MOST_MAILS, lambda n: _height(run(sent=n, later=wait)) < _height(step))
        if good is not None:
            then = f"{_step(run(sent=good, later=wait))}, {policy.bounce_evidence.step_hours:g} h later"
            yield WhatIf(input="sent without a bounce", now=0, instead=good, then=then)


def of_breaker(policy: Policy, sent: int, bounced: int) -> Ruling:
    """The per-campaign breaker (migration-control 2.2)."""

    def run(k: int) -> bounce_bands.Breaker:
        return bounce_bands.breaker(policy, sent, k)

    found = run(bounced)
    other = _edge(bounced, sent, lambda k: run(k).open)
    return Ruling(
        rule="breaker",
        says=f"{'pauses the campaign' if found.open else 'lets it run'}: {found.reason}",
        acts=found.open,
        inputs={"sent": sent, "bounced": bounced, "probability": found.probability},
        what_if=()
        if other is None
        else (WhatIf(input="bounced", now=bounced, instead=other,
                     then="pauses the campaign" if run(other).open else "lets it run"),),
    )  # fmt: skip


def of_auto_pause(health: Health, rule: AutoPause) -> Ruling:
    """The five triggers of a mailbox (S8): for each, the nearest value with which the rule says something else."""

    def run(**changed: Plain) -> autopause.Verdict:
        return autopause.conditions(msgspec.structs.replace(health, **changed), rule)

    verdict = run()

    def flips() -> Iterator[WhatIf]:
        tries: dict[str, Plain] = {
            "bounced_24h": _edge(health.bounced_24h, health.sent_24h,
                                 lambda k: "bounce_rate_exceeded" in run(bounced_24h=k)["reasons"]),
            "complaints_7d": _edge(health.complaints_7d, health.sent_7d,
                                   lambda k: "spam_rate_exceeded" in run(complaints_7d=k)["reasons"]),
            "heat": _other_side(health.heat, rule.heat_score),
            "api_disabled": not health.api_disabled,
            "reputation": _other_side(health.reputation, rule.reputation),
        }  # fmt: skip
        for name, instead in tries.items():
            if instead is not None and (then := run(**{name: instead}))["reasons"] != verdict["reasons"]:
                yield WhatIf(input=name, now=getattr(health, name), instead=instead, then=_paused(then))

    return Ruling(
        rule="auto_pause", says=_paused(verdict), acts=verdict["should_pause"],
        inputs=msgspec.structs.asdict(health), what_if=tuple(flips()),
    )  # fmt: skip


def of_complaints(rule: Complaints, sent: int, complained: int) -> Ruling:
    """A scope's complaints (S12b)."""

    def run(k: int) -> complaints.Reading:
        return complaints.read(rule, sent, k)

    found = run(complained)
    worse = first(1, sent - complained, lambda k: run(complained + k).action != found.action)
    better = first(1, complained, lambda k: run(complained - k).action != found.action)
    others = [complained + worse if worse is not None else None, complained - better if better is not None else None]
    return Ruling(
        rule="complaints",
        says=f"{found.action}: {found.reason}",
        acts=found.action == "pause_all_campaigns",
        inputs={"sent": sent, "complaints": complained, "rate": found.rate},
        what_if=tuple(
            WhatIf(input="complaints", now=complained, instead=k, then=f"{run(k).action}: {run(k).reason}")
            for k in others
            if k is not None
        ),
    )


def of_life(
    facts: lifecycle.Facts, reading: lifecycle.Reading, policy: Policy, history: History | None = None
) -> Ruling:
    """The state machine (S5). `history`: of a WARMING mailbox, what its graduation is judged by."""
    checked = checklist(policy.graduation, history) if history else None
    reading = msgspec.structs.replace(reading, checklist=checked)
    decided = lifecycle.decide(facts, reading, policy)

    def then(changed: lifecycle.Reading, facts: lifecycle.Facts = facts) -> str:
        return _transition(facts, lifecycle.decide(facts, changed, policy))

    def flips() -> Iterator[WhatIf]:
        heat = reading.heat.value if reading.heat else None
        for value in (policy.lifecycle.low_heat, policy.lifecycle.low_heat - 0.1):
            changed = msgspec.structs.replace(reading, heat=Heat(value=value, state="OK"), checklist=checked)
            if (told := then(changed)) != then(reading):
                yield WhatIf(input="heat", now=heat, instead=value, then=told)
        gone = reading.at - timedelta(hours=policy.lifecycle.disabled_hours, minutes=1)
        if (told := then(reading, msgspec.structs.replace(facts, disabled_since=gone))) != then(reading):
            hours = f"{policy.lifecycle.disabled_hours:g} h and a minute"
            yield WhatIf(input="disabled for", now=_hours(facts, reading), instead=hours, then=told)
        if history and checked:
            yield from _criteria(facts, reading, policy, history, checked)

    inputs: dict[str, Plain] = {
        "state": facts.state, "since": facts.state_since.isoformat(),
        "heat": reading.heat.value if reading.heat else None,
        "heat_state": reading.heat.state if reading.heat else None, "readings": len(facts.heats),
        "disabled_since": facts.disabled_since.isoformat() if facts.disabled_since else None,
    }  # fmt: skip
    return Ruling(
        rule=lifecycle.RULE, says=_transition(facts, decided), acts=decided is not None, inputs=inputs,
        what_if=tuple(flips()),
    )  # fmt: skip


def _criteria(
    facts: lifecycle.Facts, reading: lifecycle.Reading, policy: Policy, history: History, checked: Checklist
) -> Iterator[WhatIf]:
    """Each missing criterion as if it were met, alone and then all of them."""
    rule = policy.graduation
    days = rule.probation_days if history.warm_elsewhere else rule.minimum_warmup_days
    met: dict[str, dict[str, object]] = {
        "warmup_days": {"warmup_days": days},
        "heat_score": {"heat": Heat(value=rule.minimum_heat_score, state="OK")},
        "emails_sent": {"sent": max(history.sent, rule.minimum_emails_sent)},
        "bounce_rate": {"bounced": 0, "campaign_bounced": 0},
        "spam_rate": {"complaints": 0},
    }
    missing = [each for each in checked.criteria if each.name in checked.missing]
    for names in [[each] for each in missing] + ([missing] if len(missing) > 1 else []):
        changed = history
        for each in names:
            changed = msgspec.structs.replace(changed, **met[each.name])
        again = checklist(rule, changed)
        told = _transition(facts, lifecycle.decide(facts, msgspec.structs.replace(reading, checklist=again), policy))
        if again.missing:
            told += f"; still missing: {', '.join(again.missing)}"
        yield WhatIf(
            input=" and ".join(each.name for each in names), now=", ".join(_short(each) for each in names),
            instead=", ".join(each.needed for each in names), then=told,
        )  # fmt: skip


def of_limits(
    limits: SendLimits, state: State, warmup_day: int, factor: float, *, set_for: date | None = None
) -> Ruling:
    """The mailbox's own part of a day (S2): before its campaigns' wishes and its platforms' days."""

    def run(state: State = state, factor: float = factor) -> str:
        made = budget(limits, state, warmup_day, factor=factor)
        return f"{made.campaign_cap} campaign and {made.warmup_target} warm-up mails a day, {made.hard_limit} at most"

    tries: list[tuple[str, Plain, Plain, str]] = [
        ("factor", factor, 1.0, run(factor=1.0)),
        ("factor", factor, 0.5, run(factor=0.5)),
        ("state", state, "PRODUCTION", run(state="PRODUCTION")),
    ]
    return Ruling(
        rule="limits", says=run(), acts=state == "PRODUCTION" and factor < 1,
        inputs={"state": state, "warmup_day": warmup_day, "factor": factor,
                "set_for": set_for.isoformat() if set_for else None},
        what_if=tuple(
            WhatIf(input=name, now=now, instead=instead, then=then)
            for name, now, instead, then in tries
            if now != instead and then != run()
        ),
    )  # fmt: skip


def first(least: int, most: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number from `least` to `most` for which `holds` is true, where it stays true from there on."""
    if least > most or not holds(most):
        return None
    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _edge(now: int, most: int, holds: Callable[[int], bool]) -> int | None:
    """The nearest count on the other side of what `holds`."""
    if holds(now):
        step = first(1, now, lambda k: not holds(now - k))
        return None if step is None else now - step
    step = first(1, most - now, lambda k: holds(now + k))
    return None if step is None else now + step


def _other_side(value: float | None, limit: float) -> float:
    return limit if value is not None and value < limit else limit - 0.1


def _more(sample: Sample, sent: int, bounced: int) -> Sample:
    sent = sample.sent + sent
    return Sample(sent=sent, bounced=max(0, min(sent, sample.bounced + bounced)))


def _rate(sample: Sample) -> float | None:
    return round(sample.bounced / sample.sent, 4) if sample.sent else None


def _height(step: ladder.Step) -> tuple[int, int]:
    return BANDS.index(step.level.band), BANDS.index(step.level.proven)


def _step(step: ladder.Step) -> str:
    told = f"{step.level.band}, proven {step.level.proven}: limit × {step.factor:g}"
    if step.stops:
        told += ", sending stopped"
    elif step.no_new_leads:
        told += ", no new leads"
    return f"{told}, looked at every {step.minutes} min"


def _paused(verdict: autopause.Verdict) -> str:
    if not verdict["should_pause"]:
        return "no pause"
    return f"pause: {', '.join(verdict['reasons'])}; {verdict['recommended_action']}"


def _transition(facts: lifecycle.Facts, decided: lifecycle.Decision | None) -> str:
    return f"{decided.to_state}: {decided.reason}" if decided else f"stays {facts.state}"


def _hours(facts: lifecycle.Facts, reading: lifecycle.Reading) -> str:
    gone = facts.disabled_since
    return f"{(reading.at - gone).total_seconds() / 3600:.1f} h" if gone else "connected"


def _short(criterion: Criterion) -> str:
    value = "unknown" if criterion.value is None else f"{criterion.value:g}"
    return value if criterion.n is None else f"{value} of {criterion.n}"
