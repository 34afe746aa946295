"""Reading a mailbox: raw counts per local day, heat from the platform's own figures alone (V3). What is missing stays
missing (I10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from mailfleet.platforms.port import MailboxSeen, WarmupReading
from mailfleet.rules.heat import Heat, heat, score
from mailfleet.services.context import Fleet
from mailfleet.services.days import day_span, local_day
from mailfleet.store import mailboxes
from mailfleet.store.database import Connection
from mailfleet.store.mailboxes import Mailbox, Reading


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox after a reading, with its days since it began to warm (oldest first)."""

    mailbox: Mailbox
    heat: Heat
    days: tuple[Reading, ...]
    warmup_day: int
    """Today's number in the ramp: days gone by with at least one warm-up mail, plus one."""
    warmup_sent: int
    """Warm-up mails since entering WARMING."""


async def take(fleet: Fleet, mailbox: Mailbox, ref: str, seen: MailboxSeen) -> Taken:
    """Reads the platform's warm-up figures and keeps them under the mailbox's own day. Raises VendorError."""
    read = _sane(await fleet.platform().warmup(ref), _newest(fleet, mailbox))
    found = heat(
        seen.reputation,
        read.inbox if read else None,
        read.sent if read else None,
        thin_below=fleet.policy.lifecycle.thin_below,
    )
    async with fleet.db.transaction() as db:
        await _keep(fleet, db, mailbox, seen, read, found)
        return await _recount(fleet, db, mailbox, found)


def _newest(fleet: Fleet, mailbox: Mailbox) -> date:
    """The vendor counts by its own day, which may be ahead of the mailbox's."""
    now = fleet.clock.now()
    return max(local_day(now, mailbox.timezone), now.date())


def _sane(read: WarmupReading | None, newest: date) -> WarmupReading | None:
    """Without days that have not come and counts below zero: such a figure is none (I10)."""
    if read is None or min(read.sent, read.inbox) < 0:
        return None
    by_day = {day: sent for day, sent in read.by_day.items() if day <= newest and sent >= 0}
    return msgspec.structs.replace(read, by_day=by_day)


async def known(fleet: Fleet, db: Connection, mailbox: Mailbox) -> Taken:
    """What is stored already, without asking the platform."""
    return _taken(fleet, mailbox, Heat(value=mailbox.heat, state=mailbox.heat_state), await _days(fleet, db, mailbox))


async def _keep(
    fleet: Fleet, db: Connection, mailbox: Mailbox, seen: MailboxSeen, read: WarmupReading | None, found: Heat
) -> None:
    now = fleet.clock.now()
    day = local_day(now, mailbox.timezone)
    start, end = day_span(day, mailbox.timezone)
    counts = await mailboxes.counts(db, mailbox.id, since=start, until=end)
    platform = fleet.default_platform
    await mailboxes.put_reading(
        db,
        Reading(
            mailbox_id=mailbox.id,
            day=day,
            platform=platform,
            heat=found.value,
            heat_state=found.state,
            vendor_reputation=score(seen.reputation),
            warmup_sent=read.sent if read else None,
            warmup_inbox=read.inbox if read else None,
            warmup_spam=read.spam if read else None,
            warmup_sent_day=read.by_day.get(day) if read else None,
            campaign_sent=counts.sent,
            bounces=counts.bounced,
            complaints=counts.complained,
            opens=counts.opened,
            replies=counts.replied,
            taken_at=now,
        ),
        {"warmup": dict(read.raw) if read else None},
    )
    if read:
        await mailboxes.put_warmup_days(db, mailbox.id, platform, read.by_day, now)


async def _recount(fleet: Fleet, db: Connection, mailbox: Mailbox, found: Heat) -> Taken:
    days = await _days(fleet, db, mailbox)
    active = sum(1 for each in days if each.warmup_sent_day)
    if found.state == "UNKNOWN":
        await mailboxes.set_reading(
            db, mailbox.id, heat=mailbox.heat, heat_state=mailbox.heat_state, warmup_days=active
        )
    else:
        await mailboxes.set_reading(db, mailbox.id, heat=found.value, heat_state=found.state, warmup_days=active)
    fresh = await mailboxes.get(db, mailbox.id)
    assert fresh is not None
    return _taken(fleet, fresh, found, days)


def _taken(fleet: Fleet, mailbox: Mailbox, found: Heat, days: Sequence[Reading]) -> Taken:
    today = local_day(fleet.clock.now(), mailbox.timezone)
    return Taken(
        mailbox=mailbox,
        heat=found,
        days=tuple(days),
        warmup_day=1 + sum(1 for each in days if each.warmup_sent_day and each.day < today),
        warmup_sent=sum(each.warmup_sent_day or 0 for each in days),
    )


async def _days(fleet: Fleet, db: Connection, mailbox: Mailbox) -> Sequence[Reading]:
    return await mailboxes.readings(db, mailbox.id, since=_since(mailbox), platform=fleet.default_platform)


def _since(mailbox: Mailbox) -> date:
    return local_day(mailbox.warming_since or mailbox.created_at, mailbox.timezone)


def with_heat(taken: Taken, found: Heat) -> Taken:
    return msgspec.structs.replace(taken, heat=found)
