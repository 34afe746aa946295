"""The ladder of bounces carried out: each scope's band stored, and everything it asks for brought about (S1).

What a band asks for is a state, not an event: every round brings it about again, so that a process that dies between
the row and the platform leaves nothing half done, and a second reading changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import MailfleetError
from mailfleet.rules import ladder
from mailfleet.rules.ladder import Sample, Step
from mailfleet.services import alerts, campaigns, holds, investigations
from mailfleet.services.context import Fleet
from mailfleet.services.evidence import Evidence
from mailfleet.store import holds as hold_rows
from mailfleet.store import levels, transitions
from mailfleet.store import mailboxes as rows
from mailfleet.store.evidence import Sums, Wanted
from mailfleet.store.levels import Level, Scope
from mailfleet.store.mailboxes import Mailbox

MARK = "bounces: "
_LATE = timedelta(seconds=90)
"""A run is due this much before its time, so that a schedule's lateness does not skip one."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A scope to look at. `name` is what people call it."""

    scope: Scope
    id: str
    client_id: UUID
    name: str

    @property
    def key(self) -> tuple[Scope, str]:
        return self.scope, self.id


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `known` is what is stored now; `mine`: this process made the step."""

    subject: Subject
    step: Step
    known: Level
    mine: bool


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """`window`: begun anew by a person's release; `fresh`: the mails since the band was entered. None: not needed."""

    window: Wanted | None
    fresh: Wanted | None

    @property
    def all(self) -> list[Wanted]:
        return [each for each in (self.window, self.fresh) if each]


def is_due(known: Level | None, now: datetime) -> bool:
    """Its own interval has gone by; a clock that was set back makes everything due."""
    if known is None or known.looked_at > now:
        return True
    return known.looked_at + timedelta(minutes=known.monitor_minutes) <= now + _LATE


def spans(fleet: Fleet, subject: Subject, known: Level | None, released_at: datetime | None, now: datetime) -> Spans:
    """Which of its later mails the look at a scope needs; `now` is the one it looks with."""
    rule = fleet.policy.bounce_evidence
    again = released_at if released_at and released_at > now - timedelta(days=rule.window_days) else None
    since = known.since if known and known.band != "normal" else None
    if since:
        since = max(since, now - timedelta(hours=rule.calm_window_hours))
    return Spans(window=_wanted(subject, again), fresh=_wanted(subject, since))


def look(
    fleet: Fleet,
    subject: Subject,
    found: Evidence,
    later: Mapping[Wanted, Sums],
    known: Level | None,
    released_at: datetime | None,
    now: datetime,
) -> Step:
    """What the rule says of this scope now."""
    seen = sample(fleet, subject, found, later, known, released_at, now)
    standing = ladder.Level(band=known.band, proven=known.proven, since=known.since) if known else None
    return ladder.look(fleet.policy, standing, *seen, now, released_at=released_at)


def sample(
    fleet: Fleet,
    subject: Subject,
    found: Evidence,
    later: Mapping[Wanted, Sums],
    known: Level | None,
    released_at: datetime | None,
    now: datetime,
) -> tuple[Sample, Sample]:
    """The mails of the window and those since the band was entered."""
    wanted = spans(fleet, subject, known, released_at, now)
    window = _sample(later, wanted.window) if wanted.window else found.of(subject.scope, subject.id).week
    return window, _sample(later, wanted.fresh) if wanted.fresh else Sample()


def _wanted(subject: Subject, since: datetime | None) -> Wanted | None:
    return Wanted(scope=subject.scope, scope_id=subject.id, since=since) if since else None


def _sample(later: Mapping[Wanted, Sums], wanted: Wanted) -> Sample:
    sums = later.get(wanted, Sums())
    return Sample(sent=sums.sent, bounced=sums.bounced)


async def keep(fleet: Fleet, looked: Sequence[tuple[Subject, Step, Level | None]]) -> list[Looked]:
    """Stores where each scope stands; a change by compare-and-set with its row, the rest in one statement."""
    kept: list[Looked] = []
    same: list[Looked] = []
    for subject, step, known in looked:
        row = _row(fleet, subject, step, known)
        before = (known.band, known.proven) if known else ("normal", "normal")
        if before == (row.band, row.proven):
            same.append(Looked(subject=subject, step=step, known=row, mine=False))
        else:
            kept += await _moved(fleet, subject, step, row, known)
    if same:
        async with fleet.db.connection() as db:
            await levels.looked(db, [each.known for each in same])
    return kept + same


async def _moved(fleet: Fleet, subject: Subject, step: Step, row: Level, known: Level | None) -> list[Looked]:
    async with fleet.db.transaction() as db:
        stored = await levels.put(db, row)
        if stored is None:
            return []  # another monitor made the step, and carries it out
        await transitions.record(
            db, entity=f"bounces:{subject.scope}", entity_id=subject.id,
            from_state=known.band if known else "normal", to_state=step.level.band,
            event="bounces_up" if step.moved > 0 else "bounces_down" if step.moved < 0 else "bounces_proven",
            reason=step.reason, evidence=evidence_of(step), rule="ladder", rule_version=fleet.policy.version,
            actor=fleet.actor, at=fleet.clock.now(),
        )  # fmt: skip
    return [Looked(subject=subject, step=step, known=stored, mine=True)]


def _row(fleet: Fleet, subject: Subject, step: Step, known: Level | None) -> Level:
    return Level(
        scope=subject.scope, scope_id=subject.id, client_id=subject.client_id, band=step.level.band,
        proven=step.level.proven, factor=step.factor, since=step.level.since, version=known.version if known else 0,
        sent=step.reading.sent, bounced=step.reading.bounced, monitor_minutes=step.minutes,
        looked_at=fleet.clock.now(),
    )  # fmt: skip


def evidence_of(step: Step) -> dict[str, object]:
    """What a row about this step keeps, so that it can be made again (I9)."""
    reading = step.reading
    return {
        "sent": reading.sent, "bounced": reading.bounced, "rate": reading.rate, "band": step.level.band,
        "proven": step.level.proven, "confidence": round(reading.confidence, 4), "factor": step.factor,
        "actions": list(step.actions), "withheld": list(reading.withheld),
    }  # fmt: skip


async def bring_about(fleet: Fleet, looked: Looked, standing: Mapping[tuple[str, str, str], Any]) -> None:
    """The holds, the notice and the investigation of one scope; limits follow for all scopes together (`throttle`).

    `standing`: the machine's holds as (scope, id, kind). A stop is left only by a person: silence is no good news.
    """
    subject, step = looked.subject, looked.step
    told = f"{MARK}{step.reason}"
    if step.stops:
        await holds.pause(fleet, subject.scope, subject.id, told, evidence=evidence_of(step))
    held = standing.get((subject.scope, subject.id, "new_leads"))
    if step.no_new_leads and not held:
        await holds.hold_new_leads(fleet, subject.scope, subject.id, told, evidence=evidence_of(step))
    elif held and held.reason.startswith(MARK) and not step.no_new_leads:
        await holds.release(fleet, subject.scope, subject.id, "new_leads", reason=step.reason)
    await _tell(fleet, looked)
    if "trigger_investigation_flow" in step.actions:
        key = f"{subject.scope}:{subject.id}:{_stamp(looked)}"
        await investigations.order(fleet, subject.scope, subject.id, step.reason, key=key)


async def _tell(fleet: Fleet, looked: Looked) -> None:
    """Once each time a band is entered."""
    severity = severity_of(looked.step)
    if severity is None:
        return
    subject, step = looked.subject, looked.step
    await alerts.tell(
        fleet,
        fact_key=f"bounces:{subject.scope}:{subject.id}:{step.level.band}:{_stamp(looked)}",
        kind=f"bounces_{step.level.band}",
        severity=severity,
        title=f"{subject.scope} {subject.name}: bounces are {step.level.band}",
        body=f"{step.reason} (confidence {step.reading.confidence:.0%}). Done: {', '.join(step.actions)}."
        + (f" Not yet, for lack of evidence: {', '.join(step.reading.withheld)}." if step.reading.withheld else ""),
    )


def _stamp(looked: Looked) -> str:
    return looked.known.since.isoformat()


def severity_of(step: Step) -> alerts.Severity | None:
    """How urgently a step's actions are told."""
    if "send_sms_alert_to_dave" in step.actions:
        return "emergency"
    if "send_urgent_alert" in step.actions:
        return "urgent"
    return "warning" if "send_slack_alert" in step.actions else None


async def throttle(fleet: Fleet, mailboxes: Sequence[Mailbox]) -> list[str]:
    """Each mailbox's part of its limit: the lower of its own and its domain's. Addresses that are below the whole."""
    async with fleet.db.connection() as db:
        known = await levels.every(db)
        below: list[str] = []
        for mailbox in mailboxes:
            own, domain = known.get(("mailbox", str(mailbox.id))), known.get(("domain", str(mailbox.domain_id)))
            both = [level for level in (own, domain) if level]
            factor = min((level.factor for level in both), default=1.0)
            minutes = min((level.monitor_minutes for level in both), default=mailbox.monitor_minutes)
            below += [mailbox.address] if factor < 1 else []
            if (mailbox.limit_factor, mailbox.monitor_minutes) != (factor, minutes):
                await rows.set_throttle(db, mailbox.id, factor=factor, monitor_minutes=minutes)
    return below


async def throttle_campaigns(fleet: Fleet, theirs: Mapping[UUID, Fleet]) -> list[str]:
    """A campaign's new leads a day: its own band's part, less the share of its mailboxes that take none. Set at the
    platform; the stored figure follows only then, so that a failure is tried again. Names that were changed."""
    async with fleet.db.connection() as db:
        known = await levels.every(db)
        wanted = await hold_rows.free_shares(db)
    changed: list[str] = []
    for each in wanted:
        level = known.get(("campaign", str(each.id)))
        factor = round((level.factor if level else 1.0) * each.free, 4)
        if factor == each.limit_factor:
            continue
        try:
            await campaigns.set_pace(theirs.get(each.client_id, fleet), each.id, factor)
        except MailfleetError as error:
            await alerts.tell(
                fleet, fact_key=f"campaign-limit:{each.id}:{fleet.clock.now():%Y-%m-%dT%H}", kind="limits_not_set",
                severity="warning", title=f"The limit of {each.name} could not be set", body=error.coded,
            )  # fmt: skip
            continue
        changed.append(each.name)
    return changed
