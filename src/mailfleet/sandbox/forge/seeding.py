"""A past for the Forge accounts: domains, warmed mailboxes, sequences that have run for months, people and answers.

Rates are drawn around 2 % bounces, 45 % opens and 6 % answers a person, and vary by the sender's domain and week, so
that mails of one domain and week are more alike than others; answers come after a log-normal time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from mailfleet.sandbox.forge import engine, estate, multichannel, notices, warm
from mailfleet.sandbox.forge.enrolments import put
from mailfleet.sandbox.forge.sequences import check_timezone, make_product
from mailfleet.sandbox.forge.state import (
    Box,
    Contact,
    Email,
    Enrolment,
    Mail,
    Sequence,
    Step,
    Thread,
    Variant,
    Workspace,
    forge,
    ident,
    new_id,
    workspace,
)
from mailfleet.sandbox.reputation import Standing, placement, reputations
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

_FIRST = ("Ana", "Bo", "Carla", "David", "Elif", "Finn", "Grace", "Hana", "Ivan", "Jude", "Kim", "Lena", "Milo", "Nora")
_LAST = ("Ruiz", "Lind", "Moss", "Okafor", "Sato", "Weber", "Novak", "Silva", "Haas", "Doyle", "Kaya", "Brandt")
_COMPANY = ("northgate", "bluefern", "stonebay", "larkfield", "oakmere", "brightwell", "ironbridge", "foxhill")
_FREE = ("gmail.com", "outlook.com", "yahoo.com")
_CITIES = ("Sydney", "Berlin", "Austin", "Leeds", "Lyon")
_TEXTS = (
    ("{{Hello | Hi}} {{first_name}}", "<p>Hi {{first_name}},</p><p><br></p><p>how does {{company}} handle this in "
     '{{city}}? See <a href="https://example.com/a">this page</a>.</p>'),
    ("", "<p>Hi {{first_name}}, any thoughts?</p>"),
    ("", "<p>Last note from me, {{first_name}}.</p>"),
    ("", "<p>Shall I close this, {{first_name}}?</p>"),
    ("", "<p>All the best to {{company}}.</p>"),
)  # fmt: skip
_WAITS = (0, 3, 4, 7, 10)
_LOGGED_MOST = 100_000
_HALF_LIFE_HOURS = 7.0


@dataclass
class _Past:
    """What is being made up."""

    world: World
    ws: Workspace
    rng: random.Random
    days: int
    mails: list[Mail] = field(default_factory=list[Mail])
    effects: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])

    def effect(self, domain: str, at: datetime) -> float:
        """How much likelier answers are from this domain in this week."""
        key = (domain, at.toordinal() // 7)
        if key not in self.effects:
            self.effects[key] = math.exp(random.Random(f"{self.world.seed}:{key}").gauss(0, 0.4))
        return self.effects[key]


def seed(world: World, given: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a past. Raises ValueError for figures that cannot be meant; returns what there is now."""
    forge(world)
    ws = workspace(world, str(given.get("workspace", "Agency")))
    numbers = {name: int(given.get(name, usual)) for name, usual in _USUAL.items()}
    if any(number < 0 for number in numbers.values()) or not 1 <= numbers["steps"] <= len(_TEXTS):
        raise ValueError(f"steps is 1 to {len(_TEXTS)}, nothing is below 0.")
    zone = str(given.get("timezone", "Europe/Berlin"))
    check_timezone(zone)
    number = len(ws.sequences)
    past = _Past(world, ws, world.rng(f"forge seed {ws.name} {number}"), numbers["days"])
    boxes = [_box(past, address, numbers["warm_days"]) for address in _addresses(given, numbers)]
    made = [
        _sequence(past, f"{given.get('name', 'Outreach')} {number + place + 1}", zone, boxes, numbers)
        for place in range(numbers["sequences"])
    ]
    for sequence in made:
        _people(past, sequence, numbers)
    _settle(past)
    for place in range(numbers["multichannel"]):
        texts = [(_WAITS[at], *_TEXTS[at]) for at in range(numbers["steps"])]
        multichannel.add_graph(world, ws, f"Multichannel {place + 1}", texts)
    status = str(given.get("status", "active"))
    for sequence in made:
        engine.set_status(world, ws, sequence, status)
    rows = [{"id": sequence.id, "name": sequence.name, "leads": len(sequence.enrolments)} for sequence in made]
    return {"workspace": ws.id, "mailboxes": [box.address for box in boxes], "sequences": rows, "mails": len(ws.mails)}


_USUAL = {
    "sequences": 3, "leads": 200, "fresh": 20, "mailboxes": 4, "domains": 2, "days": 90, "steps": 3,
    "warm_days": 60, "multichannel": 0,
}  # fmt: skip


def _addresses(given: Mapping[str, Any], numbers: Mapping[str, int]) -> list[str]:
    named = given.get("addresses")
    if isinstance(named, list):
        return [str(address).lower() for address in cast("list[Any]", named)]
    domains = [f"forge-out-{number + 1}.com" for number in range(max(1, numbers["domains"]))]
    return [
        f"{_FIRST[number % len(_FIRST)].lower()}.{_LAST[number % len(_LAST)].lower()}{number // len(_FIRST) or ''}"
        f"@{domains[number % len(domains)]}"
        for number in range(numbers["mailboxes"])
    ]


def _box(past: _Past, address: str, warm_days: int) -> Box:
    """A mailbox at all three products, warmed, of good standing."""
    world, ws = past.world, past.ws
    for box in ws.boxes.values():
        if box.address == address:
            return box
    local = address.partition("@")[0].rstrip("0123456789")
    first, _, last = (part.title() for part in local.partition("."))
    estate.add_mailbox(world, "infraforge", address, first, last or "Doe")
    box = Box(new_id(world, "mbox_"), address, first, last or "Doe", world.now - timedelta(days=past.days))
    box.status = "active"
    ws.boxes[box.id] = box
    since = (world.now - timedelta(days=max(past.days, warm_days))).date()
    for held, name in ((reputations(world).mailboxes, address), (reputations(world).domains, box.domain)):
        held.setdefault(name, Standing(since, score=0.95, scale=1 + 2 * (name == box.domain), settled=world.now.date()))
    _warmed(world, box, warm_days)
    return box


def _warmed(world: World, box: Box, days: int) -> None:
    warmed = warm.add(world, box.address, box.first_name, box.last_name, enabled=False)
    share = placement(world, box)
    for ago in range(days, 0, -1):
        day = (world.now - timedelta(days=ago)).date()
        for place in range(min(warmed.most, warmed.least + warmed.ramp * len(warmed.days))):
            warm.count(world, warmed, day, f"{box.address}:{day}:{place}", share)
    warmed.started = (world.now - timedelta(days=days)).date()
    warm.switch(world, warmed, on=True)


def _sequence(past: _Past, name: str, zone: str, boxes: list[Box], numbers: Mapping[str, int]) -> Sequence:
    world, ws = past.world, past.ws
    if not ws.products:
        make_product(world, ws, "Growth audit", {"name": "Growth audit", "industry": "Services"})
    product = next(iter(ws.products))
    began = world.now - timedelta(days=past.days)
    made = Sequence(new_id(world, "seq_"), name, product, began, "american_english", zone, settings={})
    made.settings = {"openTrackingEnabled": True, "clickTrackingEnabled": True}
    made.schedules = [{"id": new_id(world, "sch_"), **row} for row in engine.USUAL]
    made.steps = [_step(world, at) for at in range(numbers["steps"])]
    made.mailboxes = {box.id: box for box in boxes}
    ws.sequences[made.id] = made
    return made


def _step(world: World, at: int) -> Step:
    subject, content = _TEXTS[at]
    variants = [Variant(new_id(world, "stpv_"), "A", "active", subject, content, 50)]
    if at == 0:
        variants.append(Variant(new_id(world, "stpv_"), "B", "active", "Quick one, {{first_name}}", content, 50))
    name = "Initial email" if at == 0 else f"Follow-up {at}"
    return Step(new_id(world, "stp_"), name, _WAITS[at], "custom" if at == 0 else "equal", variants)


def _people(past: _Past, sequence: Sequence, numbers: Mapping[str, int]) -> None:
    """Contacts over the days, some of them not written to yet."""
    leads, fresh = numbers["leads"], min(numbers["fresh"], numbers["leads"])
    boxes = list(sequence.mailboxes.values())
    written = leads - fresh
    for number in range(leads):
        contact = _contact(past, sequence, number)
        if number >= written or not boxes:
            put(past.world, past.ws, sequence, contact)
            continue
        entry = Enrolment(contact, sequence, sequence.created_at)
        sequence.lead_count += 1
        sequence.enrolments[contact.id] = contact.enrolments[sequence.id] = entry
        begun = sequence.created_at + timedelta(days=past.days * number / max(1, written))
        _history(past, entry, boxes[number % len(boxes)], begun)
    past.ws.version += 1


def _contact(past: _Past, sequence: Sequence, number: int) -> Contact:
    world, ws, rng = past.world, past.ws, past.rng
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    company = f"{rng.choice(_COMPANY)}-{len(ws.contacts) // 3}"
    host = rng.choice(_FREE) if rng.random() < 0.15 else f"{company}.com"
    email = f"{first}.{last}{len(ws.contacts)}@{host}".lower()
    contact = Contact(
        new_id(world, "lead_"), email, first, last, company.title(), "CTO", "", sequence.created_at,
        [f"import-{sequence.id[4:8]}"], {"job_title": "CTO", "city": rng.choice(_CITIES)},
    )  # fmt: skip
    ws.contacts[contact.id] = ws.by_email[email] = contact
    ws.tags.setdefault(ident(world, "ltg_", ws.id, contact.tags[0]), contact.tags[0])
    return contact


def _office(rng: random.Random, at: datetime) -> datetime:
    """A working moment not before this one."""
    at = at.replace(hour=0, minute=0, second=0, microsecond=0)
    while at.isoweekday() > 5:
        at += timedelta(days=1)
    return at + timedelta(seconds=int(8 * 3600 + rng.random() * 8 * 3600))


def _history(past: _Past, entry: Enrolment, box: Box, begun: datetime) -> None:
    """A contact's mails until it answered, bounced, opted out, or the present."""
    rng, now, sequence = past.rng, past.world.now, entry.sequence
    entry.box, at = box, begun
    for place, step in enumerate(sequence.steps):
        at = _office(rng, at + timedelta(days=step.wait_days))
        if at >= now:
            entry.next_step, entry.due, entry.status = place, at, "active" if place else "none"
            entry.box = box if place else None
            engine.enqueue(past.world, past.ws, entry)
            return
        mail = _mail(past, entry, box, place, at)
        if _ended(past, mail):
            return
    entry.next_step, entry.status = len(sequence.steps), "finished"
    sequence.count("completed")


def _mail(past: _Past, entry: Enrolment, box: Box, place: int, at: datetime) -> Mail:
    sequence = entry.sequence
    step = sequence.steps[place]
    variant = step.variants[past.rng.randrange(len(step.variants))]
    stem = (sequence.id, entry.contact.id, place, 0)
    first = entry.mails[0].subject if entry.mails else ""
    mail = Mail(
        ident(past.world, "eml_", *stem), f"{hexes(past.world, 24, 'forge mail', *stem)}@{box.domain}", entry, place,
        variant.label, box, variant.subject or f"Re: {first}", variant.content, at,
    )  # fmt: skip
    if not entry.mails:
        sequence.count("contacted")
        sequence.on(at.date(), "contacted")
    sequence.on(at.date(), "sent")
    entry.mails.append(mail)
    entry.next_step = place + 1
    past.mails.append(mail)
    return mail


def _ended(past: _Past, mail: Mail) -> bool:
    """Decides what came of a mail; True when the contact gets no more."""
    rng, now, entry = past.rng, past.world.now, mail.enrolment
    if mail.step == 0 and rng.random() < 0.02:
        return _bounced(past, mail, min(now, mail.at + timedelta(minutes=2)))
    if rng.random() < 0.45:
        notices.count_open(mail, min(now, mail.at + timedelta(hours=rng.expovariate(0.2))))
        if rng.random() < 0.05:
            notices.count_click(mail, mail.opened_at or mail.at)
    if rng.random() < 0.003:
        entry.status = "unsubscribed"
        entry.sequence.count("optOuted")
        return True
    if rng.random() >= 0.025 * past.effect(mail.box.domain, mail.at):
        return False
    at = mail.at + timedelta(hours=_HALF_LIFE_HOURS * math.exp(rng.gauss(0, 1.3)))
    return at < now and _answered(past, mail, at)


def _bounced(past: _Past, mail: Mail, at: datetime) -> bool:
    mail.bounced, mail.enrolment.status = True, "bounced"
    mail.enrolment.sequence.count("bounced")
    text = f"550 5.1.1 The email account that you tried to reach does not exist: {mail.enrolment.contact.email}"
    _into_thread(past, mail, "bounced", f"mailer-daemon@{mail.box.domain}", at, text)
    return True


def _answered(past: _Past, mail: Mail, at: datetime) -> bool:
    rng, entry = past.rng, mail.enrolment
    away = rng.random() < 0.2
    good = not away and rng.random() < 0.3
    mail.replied_at = at
    text = "I am out of the office." if away else "Sounds good, tell me more." if good else "No, thank you."
    thread = _into_thread(past, mail, "ooo" if away else "lead_replied", entry.contact.email, at, text)
    special = "ooo" if away else "positive" if good else "negative"
    notices.set_label(past.world, past.ws, thread, special, None)
    thread.label_applied_at = at
    if away:
        return False
    entry.status = "replied"
    notices.count_reply(mail, at)
    if good:
        notices.count_positive(mail, at)
    return True


def _into_thread(past: _Past, mail: Mail, kind: str, sender: str, at: datetime, text: str) -> Thread:
    for sent in mail.enrolment.mails:
        sent.subject, sent.body = (engine.fill(past.world, text, sent.enrolment) for text in (sent.subject, sent.body))
    thread = notices.thread_of(past.world, past.ws, mail, kind)
    thread.reply_type = kind
    identity = f"{hexes(past.world, 20, 'seeded answer', mail.id)}@{sender.rpartition('@')[2]}"
    made = Email(ident(past.world, "eml_", identity), identity, "inbound", f"Re: {mail.subject}", text, at, sender, "")
    made.to = mail.box.address
    past.ws.add_email(thread, made)
    return thread


def _settle(past: _Past) -> None:
    """Puts the mails where they are read, in the order in which they left."""
    past.mails.sort(key=lambda mail: mail.at)
    logged = len(past.mails) <= _LOGGED_MOST
    for mail in past.mails:
        past.ws.mails.append(mail)
        mail.enrolment.sequence.mails.append(mail)
        if logged:
            fields = engine.send_fields(mail, "campaign")
            past.world.log.add("sends", {**fields, "at": mail.at.astimezone(UTC).isoformat()})
    past.mails = []
