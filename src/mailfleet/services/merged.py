"""Both platforms as one: whoever must not be written to on one is not on the other, a person met on either was met."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from mailfleet.errors import BadFile
from mailfleet.platforms.port import SendingPlatform
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
    new = 0
    for key, reason in theirs.items() if apply else ():
        async with fleet.db.transaction() as db:
            scope = "address" if "@" in key else "domain"
            made = await suppression.suppress(fleet, db, scope=scope, key=key, reason=reason, source=f"{name} import")
        new += made.new
    return {"found": len(found), "ours": len(own), "new": new, "reasons": dict(Counter(theirs.values()))}


async def _refusals(platform: SendingPlatform) -> AsyncIterator[Entry]:
    if platform.capabilities.unblock:
        async for entry in platform.blocked():
            if key := _key(entry):
                yield key, "vendor"
    for campaign in await platform.campaigns():
        async for lead in platform.leads(campaign.ref):
            if lead.unsubscribed and (key := _key(lead.email)):
                yield key, "unsubscribe"
        async for message in platform.sent_messages(campaign.ref):
            if message.unsubscribed and (key := _key(message.email)):
                yield key, "unsubscribe"


def _key(entry: str) -> str:
    """As our list compares it; empty for what is neither address nor domain."""
    try:
        return suppression.key_of("address" if "@" in entry else "domain", entry)
    except BadFile:
        return ""


async def contacted(fleet: Fleet, name: str) -> dict[str, int]:
    """Marks everybody the platform has written to as contacted then, so that our gaps and duplicates see it."""
    platform, told = fleet.platforms[name], 0
    batch: dict[str, tuple[Address, datetime]] = {}
    for campaign in await platform.campaigns():
        async for message in platform.sent_messages(campaign.ref):
            try:
                address = normalise(message.email)
            except BadAddress:
                continue
            known = batch.get(address.norm)
            batch[address.norm] = (address, max(message.sent_at, known[1]) if known else message.sent_at)
            if len(batch) >= BATCH:
                told += await _mark(fleet, batch.values())
                batch = {}
    return {"contacted": told + await _mark(fleet, batch.values())}


async def _mark(fleet: Fleet, batch: Iterable[tuple[Address, datetime]]) -> int:
    rows = [
        {"email": address.norm, "domain": "" if address.free else address.registrable, "at": at}
        for address, at in batch
    ]
    async with fleet.db.transaction() as db:
        await contacts.met(db, rows)
    return len(rows)
