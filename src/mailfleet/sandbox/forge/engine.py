"""Sequence mail: who is written to next, from which mailbox, and when.

The order of things within a day is published nowhere. Here: follow-ups first, from the mailbox that wrote before; new
contacts after them; a mailbox's mails spread evenly over its window; its daily limit over all of its sequences.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache, partial
from typing import cast
from zoneinfo import ZoneInfo

from mailfleet.sandbox.engine.react import react
from mailfleet.sandbox.forge.notices import Noticed, sent_hook
from mailfleet.sandbox.forge.state import GOES_ON, Box, Enrolment, Mail, Sequence, Variant, Workspace, ident
from mailfleet.sandbox.reputation import note
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.world import World

# What a sequence sends by before anybody has set a window (published nowhere): weekdays, nine to five.
USUAL = [{"weekday": day, "fromHour": 9, "toHour": 17} for day in range(1, 6)]
_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
_IDLE = timedelta(hours=6)
_KEPT = timedelta(hours=50)
_SHORTEST_GAP = timedelta(minutes=3)


class Missing(Exception):
    """A custom variable that the contact does not have."""


@dataclass
class Engine:
    """What a sequence still has to do."""

    fresh: deque[tuple[int, Enrolment]] = field(default_factory=deque[tuple[int, Enrolment]])
    follow: dict[str, list[tuple[datetime, str, int, Enrolment]]] = field(
        default_factory=dict[str, list[tuple[datetime, str, int, Enrolment]]]
    )
    wake: datetime | None = None
    turn: int = 0


def engine(sequence: Sequence) -> Engine:
    """The sequence's engine."""
    if sequence.engine is None:
        sequence.engine = Engine()
    return cast(Engine, sequence.engine)


def enqueue(world: World, ws: Workspace, enrolment: Enrolment) -> None:
    """Puts a contact's next mail into its sequence's queues."""
    work = engine(enrolment.sequence)
    if enrolment.box is None:
        work.fresh.append((enrolment.version, enrolment))
    else:
        entry = (enrolment.due or world.now, enrolment.contact.id, enrolment.version, enrolment)
        heapq.heappush(work.follow.setdefault(enrolment.box.id, []), entry)
    wake(world, ws, enrolment.sequence, world.now)


def set_status(world: World, ws: Workspace, sequence: Sequence, status: str) -> None:
    """Pauses or activates a sequence."""
    sequence.status = status
    engine(sequence).wake = None
    if status == "active":
        wake(world, ws, sequence, world.now + timedelta(seconds=30))


def wake(world: World, ws: Workspace, sequence: Sequence, moment: datetime) -> None:
    """Looks again at `moment`, unless the sequence looks earlier anyway."""
    work = engine(sequence)
    if sequence.status != "active" or (work.wake is not None and work.wake <= moment):
        return
    work.wake = moment
    world.at(moment, partial(_tick, world, ws, sequence, moment))


def _tick(world: World, ws: Workspace, sequence: Sequence, moment: datetime) -> None:
    work = engine(sequence)
    if work.wake != moment or sequence.status != "active":
        return
    work.wake = None
    opening = next_open(sequence, world.now)
    if opening > world.now:
        wake(world, ws, sequence, opening)
        return
    boxes = list(sequence.mailboxes.values())
    work.turn += 1
    cut = work.turn % len(boxes) if boxes else 0
    later = [at for box in boxes[cut:] + boxes[:cut] if (at := _use(world, ws, sequence, box)) is not None]
    if not later and _finished(sequence):
        sequence.status = "completed"
        return
    wake(world, ws, sequence, max(world.now + timedelta(seconds=1), min(later, default=world.now + _IDLE)))


def _finished(sequence: Sequence) -> bool:
    return bool(sequence.enrolments) and all(found.status not in GOES_ON for found in sequence.enrolments.values())


def _use(world: World, ws: Workspace, sequence: Sequence, box: Box) -> datetime | None:
    """Sends from a mailbox if it may now; when it could send next, None when it has nothing to do."""
    if box.status != "active":
        return None
    work = engine(sequence)
    if not work.fresh and not work.follow.get(box.id):
        return None
    if box.free_from is not None and box.free_from > world.now:
        return box.free_from
    start = midnight(sequence, world.now)
    if sum(1 for at in box.sent_at if at >= start) >= box.daily_limit:
        return next_open(sequence, start + timedelta(days=1))
    enrolment, due = _pick(world, ws, sequence, box)
    if enrolment is None:
        return next_open(sequence, due) if due else None
    _send(world, ws, enrolment, box)
    gap = max(_SHORTEST_GAP, _window(sequence, world.now) / max(1, box.daily_limit))
    box.free_from = world.now + gap * (0.85 + 0.3 * fraction(world, "forge gap", box.id, len(ws.mails)))
    return box.free_from


def _pick(world: World, ws: Workspace, sequence: Sequence, box: Box) -> tuple[Enrolment | None, datetime | None]:
    work = engine(sequence)
    queued = work.follow.get(box.id, [])
    while queued and queued[0][0] <= world.now:
        _, _, number, enrolment = heapq.heappop(queued)
        if number == enrolment.version and _sendable(ws, enrolment):
            return enrolment, None
    while work.fresh:
        number, enrolment = work.fresh.popleft()
        if number == enrolment.version and _sendable(ws, enrolment):
            return enrolment, None
    return None, queued[0][0] if queued else None


def _sendable(ws: Workspace, enrolment: Enrolment) -> bool:
    """Whether the contact may still be written to, as it is looked at just before sending."""
    sequence, contact = enrolment.sequence, enrolment.contact
    if enrolment.status not in GOES_ON or sequence.enrolments.get(contact.id) is not enrolment:
        return False
    if ws.forbids(contact.email):
        enrolment.status = "dnc"
        return False
    return enrolment.next_step < len(sequence.steps)


def _send(world: World, ws: Workspace, enrolment: Enrolment, box: Box) -> None:
    sequence, step = enrolment.sequence, enrolment.sequence.steps[enrolment.next_step]
    variant = _variant(world, enrolment)
    stem = (sequence.id, enrolment.contact.id, enrolment.next_step, len(enrolment.mails))
    try:
        subject, body = (fill(world, text, enrolment) for text in (variant.subject, variant.content))
    except Missing:
        enrolment.status = "failed"
        return
    first = enrolment.mails[0].subject if enrolment.mails else ""
    mail = Mail(
        ident(world, "eml_", *stem),
        f"{hexes(world, 24, 'forge mail', *stem)}@{box.domain}",
        enrolment,
        enrolment.next_step,
        variant.label,
        box,
        subject or (f"Re: {first}" if first else step.name),
        body,
        world.now,
    )
    record(world, ws, mail)
    _plan_next(world, enrolment, box)
    sent_hook(world, ws, mail)
    react(world, Noticed(ws, mail))


def record(world: World, ws: Workspace, mail: Mail) -> None:
    """Writes down a mail that left, in all the places that count it."""
    enrolment, box = mail.enrolment, mail.box
    sequence = enrolment.sequence
    if not enrolment.mails:
        sequence.count("contacted")
        sequence.on(mail.at.date(), "contacted")
    sequence.on(mail.at.date(), "sent")
    for kept in (enrolment.mails, sequence.mails, ws.mails):
        kept.append(mail)
    box.sent_at.append(mail.at)
    while box.sent_at[0] < mail.at - _KEPT:
        box.sent_at.popleft()
    note(world, box, sent=1)
    world.log.add("sends", send_fields(mail, "campaign"))


def send_fields(mail: Mail, kind: str) -> dict[str, object]:
    """A mail that left, as the world's log has it. `step` counts from 1, as for the other vendor."""
    return {
        "platform": "forge",
        "campaign_id": mail.enrolment.sequence.id,
        "lead_id": mail.enrolment.contact.id,
        "lead_email": mail.enrolment.contact.email,
        "mailbox": mail.box.address,
        "step": mail.step + 1,
        "variant": mail.variant,
        "message_id": mail.message_id,
        "kind": kind,
    }


def _plan_next(world: World, enrolment: Enrolment, box: Box) -> None:
    sequence = enrolment.sequence
    enrolment.box, enrolment.status = box, "active"
    enrolment.next_step += 1
    if enrolment.next_step >= len(sequence.steps):
        enrolment.status, enrolment.due = "finished", None
        sequence.count("completed")
        return
    enrolment.due = world.now + timedelta(days=sequence.steps[enrolment.next_step].wait_days)
    entry = (enrolment.due, enrolment.contact.id, enrolment.version, enrolment)
    heapq.heappush(engine(sequence).follow.setdefault(box.id, []), entry)


def _variant(world: World, enrolment: Enrolment) -> Variant:
    step = enrolment.sequence.steps[enrolment.next_step]
    open_ = [variant for variant in step.variants if variant.status == "active"] or step.variants
    weights = [variant.weight if step.strategy == "custom" else 1.0 for variant in open_]
    if not any(weights):
        weights = [1.0] * len(open_)
    point = fraction(world, "forge variant", enrolment.contact.id, step.id) * sum(weights)
    for variant, weight in zip(open_, weights, strict=True):
        point -= weight
        if point < 0:
            return variant
    return open_[-1]


def fill(world: World, text: str, enrolment: Enrolment) -> str:
    """The text with variables and spintax put in. Raises Missing for a custom variable the contact lacks."""
    contact = enrolment.contact
    built_in = {
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "company": contact.company,
        "email": contact.email,
        "job_title": contact.position or contact.custom.get("job_title", ""),
    }

    def put(found: re.Match[str]) -> str:
        inner = found[1].strip()
        if "|" in inner:
            options = [option.strip() for option in inner.split("|")]
            return options[int(fraction(world, "spintax", contact.id, inner) * len(options))]
        if inner in built_in:
            return built_in[inner]
        if inner not in contact.custom:
            raise Missing(inner)
        return contact.custom[inner]

    return _VARIABLE.sub(put, text)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def midnight(sequence: Sequence, now: datetime) -> datetime:
    """The beginning of the sequence's local day."""
    place = _zone(sequence.timezone)
    return datetime.combine(now.astimezone(place).date(), clock_time(), place).astimezone(now.tzinfo)


def _window(sequence: Sequence, now: datetime) -> timedelta:
    weekday = now.astimezone(_zone(sequence.timezone)).isoweekday() % 7
    hours = sum(row["toHour"] - row["fromHour"] for row in sequence.schedules or USUAL if row["weekday"] == weekday)
    return timedelta(hours=max(1, hours))


def next_open(sequence: Sequence, moment: datetime) -> datetime:
    """The first moment from `moment` on at which the window allows sending; hours are the sequence's own."""
    place = _zone(sequence.timezone)
    day = moment.astimezone(place).date()
    for ahead in range(15):
        that = day + timedelta(days=ahead)
        # 0 = Sunday.
        rows = [row for row in sequence.schedules or USUAL if row["weekday"] == that.isoweekday() % 7]
        start = datetime.combine(that, clock_time(), place)
        for row in sorted(rows, key=lambda row: row["fromHour"]):
            opens, closes = (
                (start + timedelta(hours=row[edge])).astimezone(moment.tzinfo) for edge in ("fromHour", "toHour")
            )
            if moment < closes:
                return max(moment, opens)
    return moment + timedelta(days=15)
