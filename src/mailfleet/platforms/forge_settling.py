"""What became of a write at the Forge stack whose outcome is unknown: read where it can be read, never made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailfleet.errors import NotFound
from mailfleet.platforms.forge_people import status_in
from mailfleet.platforms.settling import Finding, OpenWrite, Reader, found, standing, unclear, unreadable
from mailfleet.vendors.salesforge.client import SalesforgeClient
from mailfleet.vendors.warmforge.client import WarmforgeClient


async def settle(core: SalesforgeClient, warm: WarmforgeClient | None, write: OpenWrite) -> Finding:
    """One entry. Warm-up writes name an address where those of Salesforge name an id."""
    if write.operation in WARM and ("address" in write.match) and "id" not in write.match:
        return await WARM[write.operation](warm, write) if warm else unreadable("there is no key for Warmforge")
    reader = READERS.get(write.operation)
    return await reader(core, write) if reader else unclear("nobody knows how to read this back")


async def _created_sequence(core: SalesforgeClient, write: OpenWrite) -> Finding:
    """Names may repeat: whoever made it takes none of these for its own unless nothing of ours is linked to it."""
    refs = [row.id async for row in core.sequences.list(write.match["ws"]) if row.name == write.match["name"]]
    return found(bool(refs), refs=refs)


async def _status(core: SalesforgeClient, write: OpenWrite) -> Finding:
    read = (await core.sequences.get(write.match["ws"], write.match["id"])).status
    return found(read == write.match["status"], read=read)


async def _gone(core: SalesforgeClient, write: OpenWrite) -> Finding:
    try:
        await core.sequences.get(write.match["ws"], write.match["id"])
    except NotFound:
        return found(True)
    return found(False)


async def _edited(core: SalesforgeClient, write: OpenWrite) -> Finding:
    row = await core.sequences.get(write.match["ws"], write.match["id"])
    read = {
        "name": row.name,
        "openTrackingEnabled": row.open_tracking_enabled,
        "clickTrackingEnabled": row.click_tracking_enabled,
    }
    return standing(write.match, read)


async def _steps(core: SalesforgeClient, write: OpenWrite) -> Finding:
    rows = (await core.sequences.get(write.match["ws"], write.match["id"])).steps or []
    read = [[row.order, row.wait_days, row.variants[0].email_subject if row.variants else ""] for row in rows]
    return found(sorted(read) == sorted(map(list, write.match["steps"])), steps=len(read))


async def _mailboxes(core: SalesforgeClient, write: OpenWrite) -> Finding:
    rows = (await core.sequences.get(write.match["ws"], write.match["id"])).mailboxes or []
    return found({row.id for row in rows} == set(write.match["mailboxIds"]), mailboxes=[row.id for row in rows])


async def _enrolled(core: SalesforgeClient, write: OpenWrite) -> Finding:
    """Each contact by itself; those that are not in may be enrolled, those that are must not be again."""
    inside: list[str] = []
    for contact in write.match["contactIds"]:
        try:
            if status_in(await core.people.contact(write.match["ws"], contact), write.match["id"]) is not None:
                inside.append(contact)
        except NotFound:
            continue
    asked = len(write.match["contactIds"])
    if 0 < len(inside) < asked:
        return unclear(f"{len(inside)} of {asked} are in the sequence", inside=inside)
    return found(len(inside) == asked, inside=inside)


async def _connected(core: SalesforgeClient, write: OpenWrite) -> Finding:
    there = await core.mailboxes.find(write.match["ws"], write.match["address"])
    return found(there is not None, refs=[there.id] if there else [])


async def _updated(core: SalesforgeClient, write: OpenWrite) -> Finding:
    row = await core.mailboxes.get(write.match["ws"], write.match["id"])
    return standing(write.match, {"dailyEmailLimit": row.daily_email_limit, "signature": row.signature})


async def _forbidden(core: SalesforgeClient, write: OpenWrite) -> Finding:
    there = await _on_list(core, write)
    return found(len(there) == len(write.match["dncs"]), there=len(there))


async def _allowed(core: SalesforgeClient, write: OpenWrite) -> Finding:
    return found(not await _on_list(core, write))


async def _on_list(core: SalesforgeClient, write: OpenWrite) -> set[str]:
    wanted = {str(value).lower() for value in write.match["dncs"]}
    return {row.value.lower() async for row in core.people.dnc(write.match["ws"]) if row.value.lower() in wanted}


async def _hooked(core: SalesforgeClient, write: OpenWrite) -> Finding:
    rows = [
        row.id
        async for row in core.webhooks.list(write.match["ws"])
        if (row.name, row.type) == (write.match["name"], write.match["type"])
    ]
    return found(bool(rows), refs=rows)


async def _unhooked(core: SalesforgeClient, write: OpenWrite) -> Finding:
    return found(write.match["id"] not in [row.id async for row in core.webhooks.list(write.match["ws"])])


async def _warmed(warm: WarmforgeClient, write: OpenWrite) -> Finding:
    row = await warm.mailbox(write.match["ws"], write.match["address"])
    read = {
        "warmupEnabled": row.warmup_enabled,
        "minEmailsPerDay": row.min_emails_per_day,
        "maxEmailsPerDay": row.max_emails_per_day,
        "emailRampUp": row.email_ramp_up,
        "replyRatePercent": row.reply_rate_percent,
    }
    return standing(write.match, read)


async def _in_warmup(warm: WarmforgeClient, write: OpenWrite) -> Finding:
    try:
        row = await warm.mailbox(write.match["ws"], write.match["address"])
    except NotFound:
        return found(False)
    return found(True, refs=[row.id])


def _never(reason: str) -> Reader:
    async def read(_client: Any, _write: OpenWrite) -> Finding:
        return unreadable(reason)

    return read


_OVERWRITTEN = _never("an address is written over itself: it may be written again")
READERS: Mapping[str, Reader] = {
    "create_sequence": _created_sequence,
    "edit_sequence": _edited,
    "delete_sequence": _gone,
    "set_sequence_status": _status,
    "set_sequence_steps": _steps,
    "set_sequence_schedules": _never("the window cannot be read; it replaces the whole and may be written again"),
    "set_sequence_mailboxes": _mailboxes,
    "enrol_contacts": _enrolled,
    "create_contact": _OVERWRITTEN,
    "create_contacts": _OVERWRITTEN,
    "connect_mailbox": _connected,
    "update_mailbox": _updated,
    "add_dnc": _forbidden,
    "remove_dnc": _allowed,
    "create_webhook": _hooked,
    "delete_webhook": _unhooked,
}
WARM: Mapping[str, Reader] = {"update_mailbox": _warmed, "connect_mailbox": _in_warmup}
