"""Inbox → events, sums, the lead's state and the commands that follow: one transaction, each fact once (I4)."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec
import structlog

from mailfleet.errors import DatabaseUnavailable, MailfleetError
from mailfleet.platforms.port import PlatformEvent
from mailfleet.services import commands, facts, outcomes, replies, sync_runs
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.services.facts import Fact, Understood
from mailfleet.services.replies import Done
from mailfleet.store import events, inbox, watermarks
from mailfleet.store.database import Connection, PsycopgError, PsycopgOperationalError
from mailfleet.store.inbox import Received

ATTEMPTS = 5
BATCH = 2000
_TALLY = {"replied": "replies_processed", "bounced": "bounces_processed", "unsubscribed": "unsubscribes_processed",
          "complained": "complaints_processed"}  # fmt: skip
_ACTED_ON = frozenset({"replied", "bounced", *outcomes.HANDLERS})
_BAD_ROW = (
    PsycopgError, MailfleetError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    msgspec.MsgspecError,
)  # fmt: skip
"""What a row may raise that is wrong in itself; it must not hold up those after it."""
log = structlog.get_logger(__name__)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """`events` are new facts; `duplicates` were known; `stopped` and `suppressed` are leads."""

    rows: int = 0
    events: int = 0
    duplicates: int = 0
    unknown: int = 0
    failed: int = 0
    kinds: Mapping[str, int] = {}
    stopped: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            rows=self.rows + other.rows,
            events=self.events + other.events,
            duplicates=self.duplicates + other.duplicates,
            unknown=self.unknown + other.unknown,
            failed=self.failed + other.failed,
            kinds=dict(Counter(self.kinds) + Counter(other.kinds)),
            stopped=self.stopped + other.stopped,
            suppressed=self.suppressed + other.suppressed,
        )


async def apply(
    fleet: Fleet,
    ids: Sequence[UUID] = (),
    *,
    limit: int = BATCH,
    told_by: UUID | Literal["all"] | None = None,
    wait: bool = True,
) -> Applied:
    """Applies these inbox rows, or the next `limit` new ones, in the order of their events.

    One applier works at a time; another waits for it, or without `wait` does nothing. A row that cannot be applied
    fails alone and is dead after five attempts; it stays to be shown and replayed. `told_by` is the campaign whose
    lead sync does it and will tell what happened, or "all" for every campaign's; for any other campaign that a webhook
    was about, a run is ordered.
    """
    waiting: Sequence[UUID] = ()
    try:
        async with fleet.db.transaction() as db:
            if not await inbox.applier(db, wait=wait):
                return Applied()
            received = await inbox.take(db, ids=ids, limit=limit)
            waiting = [each.id for each in received]
            return await _apply(fleet, db, received, told_by)
    except _BAD_ROW as error:
        if not waiting or not _of_a_row(error):
            raise
        log.warning("a batch of events is applied in parts", error=type(error).__name__)
        return await _in_parts(fleet, waiting, told_by, error)


async def apply_all(fleet: Fleet, *, wait: bool = True) -> Applied:
    """Until nothing new is left; without `wait`, nothing when another applier is at it."""
    total = Applied()
    while (done := await apply(fleet, wait=wait)).rows:
        total += done
    return total


async def report(fleet: Fleet, platform: str, event: PlatformEvent, *, source: str = "operator") -> UUID:
    """An event that a person or the second source tells: into the inbox like any other, applied like any other."""
    return (await enqueue(fleet, platform, [event], source=source))[0]


async def enqueue(fleet: Fleet, platform: str, told: Sequence[PlatformEvent], *, source: str) -> Sequence[UUID]:
    """Rows of our own for the inbox; their ids, new or not."""
    now = fleet.clock.now()
    items = [
        {
            "id": events.event_id(platform, f"{source}:{event.dedupe_key}", event.at),
            "platform": platform,
            "received_at": now,
            "headers": {"source": source},
            "body": msgspec.to_builtins(event),
        }
        for event in told
    ]
    async with fleet.db.transaction() as db:
        await inbox.put(db, items)
    return [uuid.UUID(str(item["id"])) for item in items]


async def _apply(
    fleet: Fleet, db: Connection, received: Sequence[Received], told_by: UUID | Literal["all"] | None
) -> Applied:
    if not received:
        return Applied()
    understood = await facts.understand(fleet, db, received)
    echoes = await _echoes(db, understood)
    told = {fact.event.id: fact for _, fact in understood.facts if fact.event.id not in echoes}
    await events.lock_leads(db, sorted({f.event.lead_id for f in told.values() if f.event.lead_id is not None}))
    new_ids: set[UUID] = set()
    for source in dict.fromkeys(fact.event.source for fact in told.values()):
        # One source after the other: only so does the second see what the first told in this very batch.
        new_ids |= await events.add(db, [fact.event for fact in told.values() if fact.event.source == source])
    new = sorted((fact for id, fact in told.items() if id in new_ids), key=lambda fact: fact.event.id)
    now = fleet.clock.now()
    await events.add_rollups(db, facts.rollups(new))
    await events.advance_leads(db, facts.deliveries(new), now)
    stopped, suppressed = await _consequences(fleet, db, new)
    await inbox.settle(db, _states(understood, echoes), now)
    await watermarks.tally(db, _tallies(new), now)
    if told_by != "all":
        await sync_runs.order(fleet, db, _heard_of(new) - {told_by})
    return Applied(
        rows=len(received),
        events=len(new),
        duplicates=len(told) - len(new),
        unknown=len(understood.unknown),
        kinds=Counter(fact.kind for fact in new),
        stopped=stopped,
        suppressed=suppressed,
    )


async def _consequences(fleet: Fleet, db: Connection, new: Sequence[Fact]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What replies, bounces and the rest bring about: those of one lead in the order of their time."""
    theirs = await views(fleet, db) if new else {}
    done = Done()
    for group in _groups([fact for fact in new if fact.kind in _ACTED_ON]):
        own = theirs.get(group[0].event.client_id, fleet) if group[0].event.client_id else fleet
        match group[0].kind:
            case "replied":
                one = await replies.handle(own, db, group)
            case "bounced":
                one = await outcomes.bounced(own, db, group)
            case kind:
                one = await outcomes.HANDLERS[kind](own, db, group[0])
        done = Done(stopped=done.stopped + one.stopped, suppressed=done.suppressed + one.suppressed)
    return done.stopped, done.suppressed


def _groups(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Replies of one client together, and bounces; whatever else there is, one by one. A lead's second event comes
    after everybody's first, its third after every second: so each lead's come in their order."""
    told: Counter[int] = Counter()
    groups: dict[tuple[int, object, object], list[Fact]] = {}
    for fact in facts:
        event = fact.event
        alone = fact.kind in outcomes.HANDLERS
        key = (told[event.lead_id] if event.lead_id else 0, fact.kind, event.id if alone else event.client_id)
        groups.setdefault(key, []).append(fact)
        if event.lead_id:
            told[event.lead_id] += 1
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


async def _echoes(db: Connection, understood: Understood) -> set[UUID]:
    """Opt-outs that are our own order coming back: a platform reports whoever is unsubscribed, by whomsoever."""
    told = {
        fact.event.id: fact.event.lead_id
        for _, fact in understood.facts
        if fact.kind == "unsubscribed" and fact.event.lead_id is not None
    }
    ours = await commands.unsubscribed_by_us(db, sorted(set(told.values()))) if told else set[int]()
    return {id for id, lead_id in told.items() if lead_id in ours}


def _states(understood: Understood, echoes: set[UUID]) -> dict[UUID, inbox.State]:
    states: dict[UUID, inbox.State] = dict.fromkeys(understood.unknown, "unknown")
    for id, fact in understood.facts:
        # An event of nothing of ours is kept and counted, but changes nothing.
        ours = any((fact.event.campaign_id, fact.event.mailbox_id, fact.event.lead_id))
        states[id] = "applied" if ours and fact.event.id not in echoes else "ignored"
    return states


def _heard_of(new: Sequence[Fact]) -> set[UUID | None]:
    return {fact.event.campaign_id for fact in new if fact.event.source == "webhook"}


def _tallies(new: Sequence[Fact]) -> dict[tuple[UUID | None, str], int]:
    counted: Counter[tuple[UUID | None, str]] = Counter()
    for fact in new:
        counted[(fact.event.campaign_id, "pulled_events")] += 1
        if fact.kind in _TALLY:
            counted[(fact.event.campaign_id, _TALLY[fact.kind])] += 1
    return dict(counted)


def _of_a_row(error: Exception) -> bool:
    """Whether a row caused it. What the server has against the moment (away, full, a deadlock) is no row's fault, but
    a value beyond its limits is (class 54)."""
    if isinstance(error, PsycopgOperationalError):
        return bool(error.sqlstate) and str(error.sqlstate).startswith("54")
    return not isinstance(error, DatabaseUnavailable)


async def _in_parts(
    fleet: Fleet, ids: Sequence[UUID], told_by: UUID | Literal["all"] | None, error: Exception
) -> Applied:
    """Halves of a batch that failed, one after the other, down to the row that does not go."""
    if len(ids) == 1:
        async with fleet.db.connection() as db:
            await inbox.failed(db, ids[0], error=f"{type(error).__name__}: {error}", most=ATTEMPTS)
        return Applied(rows=1, failed=1)
    middle = len(ids) // 2
    return await _part(fleet, ids[:middle], told_by) + await _part(fleet, ids[middle:], told_by)


async def _part(fleet: Fleet, ids: Sequence[UUID], told_by: UUID | Literal["all"] | None) -> Applied:
    try:
        async with fleet.db.transaction() as db:
            await inbox.applier(db, wait=True)
            return await _apply(fleet, db, await inbox.take(db, ids=ids, limit=len(ids)), told_by)
    except _BAD_ROW as error:
        if not _of_a_row(error):
            raise
        return await _in_parts(fleet, ids, told_by, error)
