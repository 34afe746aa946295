"""Both platforms as one: whoever must not be written to on one is not on the other, a person met on either was met."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any

from mailfleet.errors import BadFile
from mailfleet.platforms.port import SendingPlatform
from mailfleet.rules import bounces
from mailfleet.rules.address import Address, BadAddress, normalise
from mailfleet.services import suppression
from mailfleet.services.context import Fleet
from mailfleet.store import contacts, journal
from mailfleet.store.suppressions import Reason

BATCH = 1000
Entry = tuple[str, Reason]


async def suppressions(fleet: Fleet, name: str, *, apply: bool) -> dict[str, Any]:
    """The platform's block list, and who opted out or bounced there, as entries of ours: `{found, ours, new, reasons}`.

    Entries of our own making (a lead stopped by its address) are no refusal of anybody and are left out.
    """
    platform = fleet.platforms[name]
    found: dict[str, Reason] = {key: reason async for key, reason in _refusals(platform)}
    async with fleet.db.connection() as db:
        own = await journal.blocked_by_us(db, list(found))
    theirs: dict[str, Reason] = {key: reason for key, reason in found.items() if key not in own or reason != "vendor"}
    new = await take(fleet, theirs, f"{name} import") if apply else 0
    return {"found": len(found), "ours": len(own), "new": new, "reasons": dict(Counter(theirs.values()))}


async def take(fleet: Fleet, refusals: Mapping[str, Reason], source: str) -> int:
    """Makes these addresses and domains entries of ours; how many were new."""
    new = 0
    for key, reason in refusals.items():
        async with fleet.db.transaction() as db:
            scope = "address" if "@" in key else "domain"
            made = await suppression.suppress(fleet, db, scope=scope, key=key, reason=reason, source=source)
        new += made.new
    return new


async def _refusals(platform: SendingPlatform) -> AsyncIterator[Entry]:
    if platform.capabilities.unblock:
        async for entry in platform.blocked():
            if key := key_of(entry):
                yield key, "vendor"
    for campaign in await platform.campaigns():
        async for lead in platform.leads(campaign.ref):
            if lead.unsubscribed and (key := key_of(lead.email)):
                yield key, "unsubscribe"
        async for message in platform.sent_messages(campaign.ref):
            if message.unsubscribed and (key := key_of(message.email)):
                yield key, "unsubscribe"
            elif message.bounced and dead(message.bounce_text) and (key := key_of(message.email)):
                yield key, "hard_bounce"


def dead(text: str) -> bool:
    """Whether a bounce says that the address is none. Without a text the platform's word is taken."""
    return not text or bounces.classify(text).outcome == "hard"


def key_of(entry: str) -> str:
    """As our list compares it; empty for what is neither address nor domain."""
    try:
        return suppression.key_of("address" if "@" in entry else "domain", entry)
    except BadFile:
        return ""


async def contacted(fleet: Fleet, name: str) -> dict[str, int]:
    """Marks everybody the platform has written to as contacted then, so that our gaps and duplicates see it."""
    platform, told = fleet.platforms[name], 0
    for campaign in await platform.campaigns():
        mails = platform.sent_messages(campaign.ref)
        told += await mark(fleet, ((message.email, message.sent_at) async for message in mails))
    return {"contacted": told}


async def mark(fleet: Fleet, mails: AsyncIterator[tuple[str, datetime]]) -> int:
    """Marks these addresses as written to then; how many entries that made, in batches."""
    told = 0
    batch: dict[str, tuple[Address, datetime]] = {}
    async for email, at in mails:
        try:
            address = normalise(email)
        except BadAddress:
            continue
        known = batch.get(address.norm)
        batch[address.norm] = (address, max(at, known[1]) if known else at)
        if len(batch) >= BATCH:
            told += await _mark(fleet, batch.values())
            batch = {}
    return told + await _mark(fleet, batch.values())


async def _mark(fleet: Fleet, batch: Iterable[tuple[Address, datetime]]) -> int:
    rows = [
        {"email": address.norm, "domain": "" if address.free else address.registrable, "at": at}
        for address, at in batch
    ]
    async with fleet.db.transaction() as db:
        await contacts.met(db, rows)
    return len(rows)
