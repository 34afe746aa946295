"""What stops a mailbox, and how it is found out: auto-pause, bounce bands, complaints (S1, S8, S12b).

All of it runs without an orchestrator; every decision rests on events and readings of our own store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.rules import autopause, bounce_bands, complaints
from mailfleet.rules.autopause import Health, Verdict
from mailfleet.services import (
    alerts,
    clients,
    evaluation,
    evidence,
    holds,
    ladder,
    limits_of_day,
    mailboxes,
    reconcile,
    staffing,
    upkeep,
    vendor_health,
)
from mailfleet.services.context import Fleet
from mailfleet.services.evidence import Evidence, Known
from mailfleet.services.ladder import Subject
from mailfleet.store import campaigns as campaign_rows
from mailfleet.store import domains as domain_rows
from mailfleet.store import holds as hold_rows
from mailfleet.store import levels
from mailfleet.store import mailboxes as rows
from mailfleet.store.database import Connection
from mailfleet.store.evidence import History, Sums, Wanted
from mailfleet.store.evidence import histories as read_histories
from mailfleet.store.holds import Hold, Scope
from mailfleet.store.levels import Level
from mailfleet.store.mailboxes import Mailbox

_WORKING = ("WARMING", "PRODUCTION", "DEGRADED")


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round of the monitor goes by, read once for all."""

    now: datetime
    boxes: Sequence[Mailbox]
    subjects: Sequence[Subject]
    found: Evidence
    histories: Mapping[UUID, History]
    later: Mapping[Wanted, Sums]
    levels: Mapping[levels.Key, Level]
    released: Mapping[tuple[str, str], datetime]
    held: Mapping[tuple[str, str, str], Hold]
    """The machine's own, by scope, id and kind."""
    theirs: Mapping[UUID, Fleet]


async def check_auto_pause_conditions(fleet: Fleet, mailbox_id: str | UUID) -> Verdict:
    """The specification's `{should_pause, reasons, recommended_action}`, with the evidence and its samples (S8).

    Looks only; the monitor acts on it.
    """
    async with fleet.db.connection() as db:
        mailbox = await mailboxes.find(db, mailbox_id)
        fleet = await clients.fleet_of(fleet, mailbox.client_id, db)
        return autopause.conditions(await health(fleet, db, mailbox), fleet.policy.auto_pause)


async def health(fleet: Fleet, db: Connection, mailbox: Mailbox) -> Health:
    """What is known of a mailbox over the policy's windows; a heat too old to trust is unknown, not low (I10)."""
    found = await evidence.gather(fleet, db, [mailbox])
    (history,) = await read_histories(db, [mailbox.id], platform=fleet.default_platform, days=1)
    released = (await levels.released(db, _week_ago(fleet))).get(("mailbox", str(mailbox.id)))
    now = fleet.clock.now()
    later = await evidence.later(fleet, db, health_spans(fleet, mailbox.id, released, now))
    return health_of(fleet, mailbox, found.of("mailbox", mailbox.id), history, released, later, now)


def health_spans(fleet: Fleet, id: UUID, released: datetime | None, now: datetime) -> list[Wanted]:
    """The mails since a person let a mailbox go: of the day's window, and all."""
    if released is None:
        return []
    day = now - timedelta(hours=fleet.policy.auto_pause.bounce_window_hours)
    return [Wanted(scope="mailbox", scope_id=str(id), since=since) for since in (max(released, day), released)]


def health_of(
    fleet: Fleet,
    mailbox: Mailbox,
    known: Known,
    history: History,
    released: datetime | None,
    later: Mapping[Wanted, Sums],
    now: datetime,
) -> Health:
    """Mails sent before a person let the mailbox go do not stop it again."""
    day, complained, week = (known.sent_day, known.bounced_day), known.complained_spam, known.sent_spam
    if released:
        fresh, since = (later.get(each, Sums()) for each in health_spans(fleet, mailbox.id, released, now))
        day, week, complained = (fresh.sent, fresh.bounced), since.sent, since.complained
    stale = now - timedelta(hours=fleet.policy.lifecycle.stale_hours)
    fresh_reading = history.read_at is not None and stale <= history.read_at <= now
    return Health(
        sent_24h=day[0],
        bounced_24h=day[1],
        sent_7d=week,
        complaints_7d=complained,
        heat=mailbox.heat if fresh_reading and mailbox.heat_state == "OK" else None,
        api_disabled=mailbox.disabled_since is not None,
        reputation=history.reputation if fresh_reading else None,
    )


def health_in(fleet: Fleet, round_: Round, box: Mailbox) -> Health:
    """As a round has read it."""
    known, released = round_.found.of("mailbox", box.id), round_.released.get(("mailbox", str(box.id)))
    return health_of(fleet, box, known, round_.histories[box.id], released, round_.later, round_.now)


def verdict_of(fleet: Fleet, round_: Round, box: Mailbox) -> Verdict:
    return autopause.conditions(health_in(fleet, round_, box), fleet.policy.auto_pause)


def _week_ago(fleet: Fleet) -> datetime:
    return fleet.clock.now() - timedelta(days=fleet.policy.bounce_evidence.window_days)


async def watch(fleet: Fleet) -> dict[str, Any]:
    """One round over everything that sends: `{checked, paused, throttled, campaigns, complaints, staffing, vendors,
    confirmed, settled, delivered}`.

    A scope is looked at when its own interval has gone by. Ends by trying again what no read has confirmed, by reading
    what became of writes of unknown outcome, and by sending the notices that are due.
    """
    await clients.check_policies(fleet)
    async with fleet.db.connection() as db:
        round_ = await read(fleet, db)
    paused = await _auto_pause(fleet, round_)
    throttled, broken = await _ladder(fleet, round_)
    complained = await _complaints(fleet, round_)
    await upkeep.reconnect(fleet, round_.theirs, round_.boxes)
    async with fleet.db.connection() as db:
        standing = list((await levels.every(db)).values())
    await upkeep.check_dns(fleet, standing)
    understaffed = await staffing.check(fleet, round_.theirs)
    paced = await ladder.throttle_campaigns(fleet, round_.theirs)
    await limits_of_day.begin(fleet, round_.theirs)
    return {
        "checked": len(round_.subjects),
        "paused": paused,
        "throttled": throttled,
        "campaigns": {"broken": broken, "paced": paced, "understaffed": understaffed},
        "complaints": complained,
        "vendors": await vendor_health.check(fleet),
        "confirmed": await holds.enforce_unconfirmed(fleet),
        "settled": (await reconcile.settle_open(fleet)).settled,
        "delivered": await alerts.deliver_due(fleet),
    }


async def read(fleet: Fleet, db: Connection, *, due: bool = True, only: Subject | None = None) -> Round:
    """`due`: what is due by its own interval; else everything that sends, or `only` one, whether it sends or not."""
    boxes = await rows.every(db, states=() if only else _WORKING)
    if only and only.scope == "mailbox":
        boxes = [box for box in boxes if str(box.id) == only.id]
    known, now = await levels.every(db), fleet.clock.now()
    there = [only] if only else await _subjects(db, boxes)
    subjects = [each for each in there if not due or ladder.is_due(known.get(each.key), now)]
    released, theirs = await levels.released(db, _week_ago(fleet)), await clients.views(fleet, db)
    return Round(
        now=now,
        boxes=boxes,
        subjects=subjects,
        found=await evidence.gather(fleet, db, boxes) if subjects else Evidence(sums={}),
        histories=await _histories(fleet, db, _due(subjects) if due else [box.id for box in boxes]),
        later=await _later(fleet, db, subjects, known, released, theirs, now, [] if due else evaluation.spans(boxes)),
        levels=known,
        released=released,
        held={(h.scope, h.scope_id, h.kind): h for h in await hold_rows.standing(db) if h.actor_kind == "machine"},
        theirs=theirs,
    )


def _due(subjects: Sequence[Subject]) -> list[UUID]:
    return [UUID(each.id) for each in subjects if each.scope == "mailbox"]


async def _histories(fleet: Fleet, db: Connection, looked: Sequence[UUID]) -> Mapping[UUID, History]:
    found: dict[UUID, History] = {}
    for start in range(0, len(looked), evidence.AT_ONCE):
        part = looked[start : start + evidence.AT_ONCE]
        found |= {h.mailbox_id: h for h in await read_histories(db, part, platform=fleet.default_platform, days=1)}
    return found


async def _later(
    fleet: Fleet,
    db: Connection,
    subjects: Sequence[Subject],
    known: Mapping[levels.Key, Level],
    released: Mapping[tuple[str, str], datetime],
    theirs: Mapping[UUID, Fleet],
    now: datetime,
    besides: Sequence[Wanted],
) -> Mapping[Wanted, Sums]:
    wanted: dict[Wanted, None] = dict.fromkeys(besides)
    for each in subjects:
        view, let_go = theirs[each.client_id], released.get((each.scope, each.id))
        asked = ladder.spans(view, each, known.get(each.key), let_go, now).all
        asked += health_spans(view, UUID(each.id), let_go, now) if each.scope == "mailbox" else []
        wanted |= dict.fromkeys(asked)
    return await evidence.later(fleet, db, list(wanted))


async def _subjects(db: Connection, boxes: Sequence[Mailbox]) -> list[Subject]:
    """What sends: mailboxes in PRODUCTION, their domains, campaigns that run."""
    sending = [box for box in boxes if box.state == "PRODUCTION"]
    found = [Subject(scope="mailbox", id=str(box.id), client_id=box.client_id, name=box.address) for box in sending]
    used = {box.domain_id for box in sending}
    found += [
        Subject(scope="domain", id=str(domain.id), client_id=domain.client_id, name=domain.name)
        for domain in await domain_rows.every(db)
        if domain.id in used
    ]
    return found + [
        Subject(scope="campaign", id=str(each.id), client_id=each.client_id, name=each.name)
        for each in await campaign_rows.every(db, states=("running",))
    ]


async def _auto_pause(fleet: Fleet, round_: Round) -> list[str]:
    """Pauses mailboxes for which a trigger holds, once; lets go of what the closed table lets the machine release."""
    paused: list[str] = []
    for box in round_.boxes:
        if box.state != "PRODUCTION" or box.id not in round_.histories:
            continue
        view = round_.theirs[box.client_id]
        seen = health_in(view, round_, box)
        verdict = autopause.conditions(seen, view.policy.auto_pause)
        if verdict["should_pause"]:
            await _pause(view, box, verdict)
            paused.append(box.address)
            continue
        hold = round_.held.get(("mailbox", str(box.id), "sending"))
        if hold and autopause.may_release(hold.reason, seen):
            await holds.release_own(view, "mailbox", str(box.id), "the reason for the pause is gone")
    return paused


async def _pause(fleet: Fleet, mailbox: Mailbox, verdict: Verdict) -> None:
    reason = ", ".join(verdict["reasons"])
    held = await holds.pause(fleet, "mailbox", str(mailbox.id), reason, evidence=dict(verdict["evidence"]))
    async with fleet.db.transaction() as db:
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"auto-pause:{held.hold.id}",
            kind="auto_pause",
            severity="urgent",
            title=f"{mailbox.address} is paused: {reason}",
            body=f"Recommended: {verdict['recommended_action']}. Warm-up goes on; campaign mail is stopped.",
            client_id=mailbox.client_id,
            context={"mailbox": mailbox.address, "reasons": list(verdict["reasons"])},
        )


async def _ladder(fleet: Fleet, round_: Round) -> tuple[list[str], list[str]]:
    """The bands of every scope that is due, and the breakers of campaigns; (throttled addresses, broken campaigns)."""
    looked: list[tuple[Subject, ladder.Step, Level | None]] = []
    for subject in round_.subjects:
        known, released = round_.levels.get(subject.key), round_.released.get((subject.scope, subject.id))
        view = round_.theirs[subject.client_id]
        looked.append(
            (subject, ladder.look(view, subject, round_.found, round_.later, known, released, round_.now), known)
        )
    for each in await ladder.keep(fleet, looked):
        if each.step.actions or (each.subject.scope, each.subject.id, "new_leads") in round_.held:
            await ladder.bring_about(round_.theirs[each.subject.client_id], each, round_.held)
    broken = [subject.name for subject, step, _ in looked if await _breaker(fleet, round_, subject, step)]
    return await ladder.throttle(fleet, [box for box in round_.boxes if box.state == "PRODUCTION"]), broken


async def _breaker(fleet: Fleet, round_: Round, subject: Subject, step: ladder.Step) -> bool:
    """ "bounce > 5 % → pause campaign", on evidence (migration-control 2.2): that campaign alone."""
    if subject.scope != "campaign":
        return False
    view = round_.theirs[subject.client_id]
    found = bounce_bands.breaker(view.policy, step.reading.sent, step.reading.bounced)
    if not found.open:
        return False
    held = await holds.pause(
        view, "campaign", subject.id, f"breaker: {found.reason}", evidence=msgspec.to_builtins(found)
    )
    await alerts.tell(
        view,
        fact_key=f"breaker:{held.hold.id}",
        kind="campaign_breaker",
        severity="urgent",
        title=f"{subject.name} is paused: its list bounces",
        body=f"{found.reason}. Clean the list; a person starts it again.",
    )
    return True


async def _complaints(fleet: Fleet, round_: Round) -> dict[str, str]:
    """Of every campaign, domain and client: nothing, an urgent alert, or a pause of its campaigns (S12b)."""
    seen: dict[str, str] = {}
    for (scope, id), known in round_.found.sums.items():
        if known.complained_told == 0 or scope == "mailbox":
            continue
        view = _view_of(fleet, round_, scope, id)
        action = await _complained(view, scope, id, known, round_.released.get((scope, id)))
        if action != "none":
            seen[f"{scope} {id}"] = action
    return seen


def _view_of(fleet: Fleet, round_: Round, scope: str, id: str) -> Fleet:
    if scope == "client":
        return round_.theirs[UUID(id)]
    owner = next((each.client_id for each in round_.subjects if each.id == id), None)
    return round_.theirs[owner] if owner else fleet


async def complaints_since(fleet: Fleet, scope: levels.Scope, id: str, released: datetime) -> tuple[int, int]:
    """Of the mails since a person let a scope go."""
    since = Wanted(scope=scope, scope_id=id, since=released)
    async with fleet.db.connection() as db:
        again = (await evidence.later(fleet, db, [since])).get(since, Sums())
    return again.sent, again.complained


async def _complained(fleet: Fleet, scope: str, id: str, known: Known, released: datetime | None) -> str:
    """The lead itself has been stopped by whoever applied the complaint."""
    sent, complained = known.sent_told, known.complained_told
    place = msgspec.convert(scope, Scope)
    if released and (scope == "domain" or scope == "campaign"):
        sent, complained = await complaints_since(fleet, scope, id, released)
    reading = complaints.read(fleet.policy.complaints, sent, complained)
    if reading.action == "none":
        return reading.action
    if reading.action == "pause_all_campaigns":
        await holds.pause(fleet, place, id, reading.reason, evidence={"sent": sent, "complaints": complained})
    await alerts.tell(
        fleet,
        fact_key=f"complaints:{scope}:{id}:{complained}:{fleet.clock.now():%G-W%V}",
        kind="complaints",
        severity="critical" if reading.action == "pause_all_campaigns" else "urgent",
        title=f"Complaints in {scope} {id}",
        body=reading.reason,
    )
    return reading.action
