"""What platforms keep no history of, sampled daily from the day of connection: mailboxes and campaigns as shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from mailfleet.errors import MailfleetError
from mailfleet.log import redact
from mailfleet.platforms.archive import Page
from mailfleet.platforms.port import CountsLeads, MailboxSeen, SendingPlatform
from mailfleet.services.context import Fleet
from mailfleet.store import exports
from mailfleet.store.database import Database

KINDS = ("mailbox", "campaign", "placement")
_PAGE = 1_000


async def sample(fleet: Fleet) -> dict[str, Any]:
    """One sample of everything, of today; a platform that does not answer costs only itself: `{sampled, errors}`."""
    sampled, errors = 0, list[str]()
    for _, name, platform in fleet.accounts():
        try:
            sampled += await _mailboxes(fleet, name, platform) + await _campaigns(fleet, name, platform)
        except MailfleetError as error:
            errors.append(f"{name}: {redact(error.coded)}")
    return {"sampled": sampled, "errors": errors}


async def _mailboxes(fleet: Fleet, name: str, platform: SendingPlatform) -> int:
    done = 0
    async for box in platform.mailboxes():
        told = {key: value for key, value in msgspec.to_builtins(box).items() if key not in ("raw", "ref")}
        await _put(fleet, name, "mailbox", box.ref, told)
        done += 1 + await _placement(fleet, name, platform, box)
    return done


async def _placement(fleet: Fleet, name: str, platform: SendingPlatform, box: MailboxSeen) -> int:
    """Where the mailbox's warm-up mail of the last days arrived."""
    if not platform.capabilities.warmup or not box.warmup_enabled:
        return 0
    read = await platform.warmup(box.ref)
    if read is None:
        return 0
    told = {"address": box.address, "sent": read.sent, "inbox": read.inbox, "spam": read.spam}
    await _put(fleet, name, "placement", box.ref, told)
    return 1


async def _campaigns(fleet: Fleet, name: str, platform: SendingPlatform) -> int:
    seen = [each for each in await platform.campaigns() if each.state not in ("draft", "archived")]
    for each in seen:
        stats = msgspec.to_builtins(await platform.stats(each.ref))
        if isinstance(platform, CountsLeads):
            stats["leads"] = dict(await platform.lead_states(each.ref))
        await _put(fleet, name, "campaign", each.ref, {"name": each.name, "state": each.state, **stats})
    return len(seen)


async def _put(fleet: Fleet, name: str, kind: str, ref: str, told: dict[str, Any]) -> None:
    async with fleet.db.connection() as db:
        await exports.put_sample(db, platform=name, kind=kind, ref=ref, at=fleet.clock.now(), sample=told)


def history(database: Database) -> Callable[[str, str | None], AsyncIterator[Page]]:
    """The samples of a platform as pages of an export: `{kind, ref, day, sample}`."""

    async def pages(platform: str, start: str | None) -> AsyncIterator[Page]:
        at, ref, day = json.loads(start) if start else (0, "", "")
        while at < len(KINDS):
            async with database.connection() as db:
                found = await exports.samples(db, platform, KINDS[at], (ref, day), limit=_PAGE)
            rows = [{"kind": KINDS[at], **msgspec.to_builtins(each)} for each in found]
            full = len(found) == _PAGE
            at, ref, day = (at, found[-1].ref, found[-1].day) if full else (at + 1, "", "")
            yield Page(rows=rows, next=json.dumps([at, ref, day]) if at < len(KINDS) else None)

    return pages
