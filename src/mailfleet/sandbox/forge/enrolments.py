"""Salesforge core: putting contacts into sequences, and counting them by state."""

from __future__ import annotations

from typing import Any

from mailfleet.sandbox.forge import engine
from mailfleet.sandbox.forge.contacts import upsert
from mailfleet.sandbox.forge.http import Ask, Refusal, found, invalid, said, texts
from mailfleet.sandbox.forge.state import GOES_ON, Contact, Enrolment, Sequence, Workspace
from mailfleet.sandbox.world import World

_STATES = (
    "ooo", "bounced", "replied", "failed", "active", "paused", "finished", "dnc", "deleted", "unsubscribed",
)  # fmt: skip


def _sequence(ask: Ask) -> Sequence:
    return found(ask.ws.sequences, ask.path["sequenceID"], "sequence")


def enrol(ask: Ask) -> None:
    """Adds contacts; ids nobody knows are passed over; who is there already counts once more."""
    ws, sequence = ask.ws, _sequence(ask)
    wanted = texts(ask.body(), "contactIds")
    known = [ws.contacts[identity] for identity in wanted if identity in ws.contacts]
    _afford(ask, len(known))
    for contact in known:
        put(ask.world, ws, sequence, contact)


def _afford(ask: Ask, many: int) -> None:
    held = ask.held
    if held.lead_credits is not None and held.lead_credits < many:
        data = {"leadCreditsNeeded": many - held.lead_credits}
        raise Refusal(402, {"message": "not enough lead credits", "data": data})
    if held.contact_capacity is not None:
        active = sum(
            entry.status in GOES_ON for sequence in ask.ws.sequences.values() for entry in sequence.enrolments.values()
        )
        if active + many > held.contact_capacity:
            raise said("active contact limit reached", 422)
    if held.lead_credits is not None:
        held.lead_credits -= many


def put(world: World, ws: Workspace, sequence: Sequence, contact: Contact, *, imported: bool = False) -> Enrolment:
    """Enrols a contact. The count goes up whether or not it was there."""
    sequence.lead_count += 1
    entry = sequence.enrolments.get(contact.id)
    if entry is None:
        entry = Enrolment(contact, sequence, world.now, imported=imported)
        # Somebody who opted out stays opted out, and is enrolled all the same.
        if any(other.status == "unsubscribed" for other in contact.enrolments.values()):
            entry.status = "unsubscribed"
        elif ws.forbids(contact.email):
            entry.status = "dnc"
        sequence.enrolments[contact.id] = contact.enrolments[sequence.id] = entry
        engine.enqueue(world, ws, entry)
        ws.version += 1
    return entry


def import_lead(ask: Ask) -> None:
    """Makes a contact and enrols it."""
    sequence = _sequence(ask)
    _afford(ask, 1)
    put(ask.world, ask.ws, sequence, upsert(ask, ask.body()), imported=True)


def count(ask: Ask) -> Any:
    """How many are in one of these states. Who came by `import-lead` is missing until written to."""
    wanted = ask.several("statuses")
    for status in wanted:
        if status not in _STATES:
            raise invalid("statuses must be one of [" + " ".join(_STATES) + "]")
    entries = [entry for entry in _sequence(ask).enrolments.values() if entry.mails or not entry.imported]
    return {"count": sum(not wanted or state_of(entry) in wanted for entry in entries)}


def state_of(entry: Enrolment) -> str:
    """The state that counting knows: who waits for the first mail is active."""
    return "active" if entry.status in ("none", "contacted") else entry.status


def validation_start(ask: Ask) -> Any:
    """Begins a look at the addresses of a sequence; it is over at once, and nothing is paid for it here."""
    _sequence(ask)
    return {}


def _looked_at(ask: Ask) -> dict[str, dict[str, int]]:
    """By provider and verdict; the map writes `spam_trap` where the filter writes `spamtrap`."""
    found: dict[str, dict[str, int]] = {}
    for entry in _sequence(ask).enrolments.values():
        host = entry.contact.email.rpartition("@")[2]
        esp = {"gmail.com": "gmail", "outlook.com": "outlook", "yahoo.com": "yahoo"}.get(host, "unknown")
        counts = found.setdefault(esp, {"safe": 0, "spam_trap": 0})
        counts["safe"] += 1
    return found


def validation_result(ask: Ask) -> Any:
    """How far it is, and what it found."""
    return {"status": "completed", "progress": 100, "result": _looked_at(ask)}


def validation_validate(ask: Ask) -> Any:
    """The older way: waits for it."""
    return {"processedPercentage": 100, "result": _looked_at(ask)}


def validation_done(ask: Ask) -> None:
    """Confirmed or skipped: nobody is taken out here."""
    _sequence(ask)
