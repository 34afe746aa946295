"""Who is in a sequence, and how far each has come. There is no list of that: it is put together from what there is.

Contacts that carry their sequences are the cheapest way (one pass for any number of sequences). Where they do not, who
is not in the sequence is taken from everybody, and each that is left is read by itself for its state. In the interface
of early 2026 filters are ignored, and only those who were written to can be named at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

import msgspec

from mailfleet.errors import NotFound
from mailfleet.platforms import forge_words
from mailfleet.platforms.port import SentMessage
from mailfleet.vendors.salesforge.client import SalesforgeClient
from mailfleet.vendors.salesforge.models import Contact, Sending, ThreadRow


class Mailed(msgspec.Struct, frozen=True, kw_only=True):
    """What left for one contact: times in order; `whole` False: only the last is known."""

    times: tuple[datetime, ...]
    whole: bool


async def members(client: SalesforgeClient, ws: str, sequence: str) -> AsyncIterator[tuple[Contact, str | None]]:
    """Each contact of a sequence with its state there; None: the vendor does not tell."""
    bare: list[Contact] = []
    async for contact in client.people.contacts(ws):
        if contact.sequences is None:
            bare.append(contact)
        elif status := status_in(contact, sequence):
            yield contact, status
    if bare:
        async for found in _by_difference(client, ws, sequence, bare):
            yield found


async def _by_difference(
    client: SalesforgeClient, ws: str, sequence: str, everybody: list[Contact]
) -> AsyncIterator[tuple[Contact, str | None]]:
    if not await client.people.dnc_readable(ws):
        sent = {row.contact_id async for row in client.people.sending(ws, sequence)}
        for contact in everybody:
            if contact.id in sent:
                yield contact, None
        return
    outside = {contact.id async for contact in client.people.outside(ws, sequence)}
    for contact in everybody:
        if contact.id in outside:
            continue
        try:
            whole = await client.people.contact(ws, contact.id)
        except NotFound:
            continue
        yield whole, status_in(whole, sequence)


def status_in(contact: Contact, sequence: str) -> str | None:
    return next((found.status for found in contact.sequences or [] if found.id == sequence), None)


async def mailed(client: SalesforgeClient, ws: str, sequence: str, sent: int) -> Mapping[str, Mailed]:
    """By contact what left. `sent` is the sequence's own count of mails: fewer rows than that, and a row is no mail."""
    rows = [row async for row in client.people.sending(ws, sequence) if row.sent]
    whole = len(rows) >= sent
    times: dict[str, list[datetime]] = {}
    for row in rows:
        if (at := forge_words.moment(row.sent)) is not None:
            times.setdefault(row.contact_id, []).append(at)
    return {contact: Mailed(times=tuple(sorted(found)), whole=whole) for contact, found in times.items()}


async def messages(
    client: SalesforgeClient, ws: str, sequence: str, *, sent: int, since: datetime | None
) -> AsyncIterator[SentMessage]:
    """Every mail with what became of it: sends, opens, clicks from one list, answers and bounces from the threads."""
    by_contact: dict[str, list[Sending]] = {}
    number = 0
    async for row in client.people.sending(ws, sequence):
        if row.sent:
            by_contact.setdefault(row.contact_id, []).append(row)
            number += 1
    whole = number >= sent
    threads: dict[str, ThreadRow] = {}
    async for thread in client.threads.list(ws, sequence):
        threads.setdefault(thread.contact_email.lower(), thread)
    for contact, rows in by_contact.items():
        rows.sort(key=lambda row: row.sent or "")
        found = [_message(contact, row, place if whole else 0) for place, row in enumerate(rows, 1)]
        for message in _answered(found, threads.get(rows[0].email.lower())):
            if since is None or message.sent_at >= since:
                yield message


def _message(contact: str, row: Sending, step: int) -> SentMessage:
    at = forge_words.moment(row.sent)
    assert at is not None
    return SentMessage(
        message_ref=f"{row.sequence_id}:{contact}:{step}",
        email=row.email,
        step=step,
        sent_at=at,
        opened_at=forge_words.moment(row.opened),
        clicked_at=forge_words.moment(row.clicked),
    )


def _answered(found: list[SentMessage], thread: ThreadRow | None) -> list[SentMessage]:
    """The answer, or the bounce, belongs to the last mail before it."""
    at = forge_words.moment(thread.date) if thread else None
    if thread is None or at is None:
        return found
    place = max((n for n, message in enumerate(found) if message.sent_at <= at), default=None)
    if place is None:
        return found
    what = {"bounced": True, "bounce_text": thread.content} if thread.reply_type == "bounced" else {"replied_at": at}
    return [msgspec.structs.replace(one, **what) if n == place else one for n, one in enumerate(found)]
