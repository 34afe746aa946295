"""The old platform's mailboxes, read once a day: what readiness to come back is measured on (M7)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mailfleet.errors import VendorError
from mailfleet.platforms.port import MailboxSeen
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.store import mailboxes, verdicts, watermarks
from mailfleet.store.mailboxes import Mailbox, Reading


class Read(msgspec.Struct, frozen=True, kw_only=True):
    mailboxes: int
    problems: str = ""


async def read(fleet: Fleet, platform: str) -> Read:
    """One list an account. What the platform does not answer leaves the last reading as it is (I10)."""
    async with fleet.db.connection() as db:
        known = {box.id: box for box in await mailboxes.every(db)}
        ours = {ref: known[id] for ref, id in (await verdicts.linked(db, platform)).items() if id in known}
        accounts = {id(own.platform(platform)): own.platform(platform) for own in (await views(fleet, db)).values()}
    now, found = fleet.clock.now(), list[Reading]()
    try:
        for account in accounts.values():
            found += [
                _reading(ours[seen.ref], platform, seen, now) async for seen in account.mailboxes() if seen.ref in ours
            ]
    except VendorError as error:
        return Read(mailboxes=0, problems=f"; not read: {error}")
    async with fleet.db.transaction() as db:
        for reading in found:
            await mailboxes.put_reading(db, reading, {})
        await watermarks.put(db, mark(platform), now, {"mailboxes": len(found)})
    return Read(mailboxes=len(found))


def mark(platform: str) -> str:
    return f"old-side:{platform}"


def _reading(box: Mailbox, platform: str, seen: MailboxSeen, now: datetime) -> Reading:
    """The platform's own score is its heat (V3); its warm-up counts as kept up at the pace that is set there."""
    return Reading(
        mailbox_id=box.id,
        day=local_day(now, box.timezone),
        platform=platform,
        heat=seen.reputation,
        heat_state="UNKNOWN" if seen.reputation is None else "OK",
        vendor_reputation=seen.reputation,
        warmup_sent=None,
        warmup_inbox=None,
        warmup_spam=None,
        warmup_sent_day=(seen.warmup_per_day or 0) if seen.warmup_enabled else 0,
        campaign_sent=0,
        bounces=0,
        complaints=0,
        opens=0,
        replies=0,
        taken_at=now,
    )
