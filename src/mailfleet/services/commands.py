"""What follows at a platform from a committed decision: written as commands into the outbox with the decision itself,
done by the worker, and read back where the platform can be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Conflict, Invalid, NotFound
from mailfleet.platforms.port import ForgetsLeads, LeadState, SendingPlatform
from mailfleet.services import alerts
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import leads, outbox, ownership, suppressions, watermarks
from mailfleet.store.database import Connection
from mailfleet.store.leads import Status
from mailfleet.store.ownership import Owned

UNBLOCK = "lead.unblock"
STOP, BLOCK, PAUSE, RESUME, UNSUBSCRIBE = "lead.stop", "lead.block", "lead.pause", "lead.resume", "lead.unsubscribe"
FORGET = "lead.forget"
_ENDED = ("stopped", "completed", "blocked", "paused")
"""States at a platform in which a lead gets no further step."""
_ENDED_LISTS: Sequence[LeadState] = ("paused", "stopped", "blocked")
_TELL_AFTER = 3
_AT_ONCE = 8


async def stop(fleet: Fleet, db: Connection, ids: Sequence[int], *, reason: str) -> Sequence[int]:
    """Ends the sequence of these leads and orders it at their platforms; returns those it ended for."""
    return await stop_each(fleet, db, dict.fromkeys(ids, reason))


async def stop_each(fleet: Fleet, db: Connection, reasons: Mapping[int, str]) -> Sequence[int]:
    """`stop` for leads each with its own reason."""
    if not reasons:
        return ()
    stopped = await ownership.stop(db, reasons, at=fleet.clock.now())
    await _order(fleet, db, stopped)
    return list(stopped)


async def order_stop(fleet: Fleet, db: Connection, ids: Sequence[int], *, late: str) -> None:
    """`late` tells a second order of the same stop from the first: the platform got the lead after it."""
    await _order(fleet, db, {owned.lead_id: owned.epoch for owned in await ownership.get_many(db, ids)}, late)


async def _order(fleet: Fleet, db: Connection, epochs: Mapping[int, int], late: str = "") -> None:
    orders = {
        f"{STOP}:{id}:{epoch}{late and ':' + late}": {"lead_id": id, "epoch": epoch} for id, epoch in epochs.items()
    }
    if orders:
        await outbox.put_many(db, STOP, orders, now=fleet.clock.now())


async def block(fleet: Fleet, db: Connection, keys: Sequence[str]) -> None:
    """The block list of every account at every platform is told as well: a suppression holds everywhere."""
    for account, name, platform in (fleet.workspace or fleet).accounts():
        if platform.capabilities.block_list and keys:
            await _order_list(fleet, db, BLOCK, account, name, keys)


async def unblock(fleet: Fleet, db: Connection, keys: Sequence[str]) -> None:
    """What is suppressed no more goes from every block list that lets an entry go."""
    for account, name, platform in (fleet.workspace or fleet).accounts():
        if platform.capabilities.block_list and platform.capabilities.unblock and keys:
            await _order_list(fleet, db, UNBLOCK, account, name, keys)


async def _order_list(fleet: Fleet, db: Connection, topic: str, account: str, name: str, keys: Sequence[str]) -> None:
    """The same key may be suppressed, lifted and suppressed again: each time is an order of its own."""
    now = fleet.clock.now()
    orders = {
        f"{topic}:{name}:{account and account + ':'}{key}:{now.isoformat()}": {
            "platform": name, "account": account, "key": key,
        }
        for key in keys
    }  # fmt: skip
    await outbox.put_many(db, topic, orders, now=now)


async def forget(fleet: Fleet, db: Connection, owned: Sequence[Owned]) -> None:
    """Each platform forgets these leads, by its own ids: their addresses are gone here when it is done."""
    for each in owned:
        if each.campaign_ref is not None and each.ref is not None:
            payload = {
                "platform": each.platform, "client": str(each.client_id), "campaign_ref": each.campaign_ref,
                "ref": each.ref,
            }  # fmt: skip
            await outbox.put(
                db, FORGET, payload, now=fleet.clock.now(), dedupe_key=f"{FORGET}:{each.lead_id}:{each.epoch}"
            )


async def do_forget(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    """Where the platform cannot forget, the lead is stopped there and the block list keeps it so."""
    platform = (await fleet_of(fleet, UUID(payload["client"]))).platform(str(payload["platform"]))
    try:
        if isinstance(platform, ForgetsLeads):
            await platform.forget_lead(str(payload["campaign_ref"]), str(payload["ref"]))
    except NotFound:
        return


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """`fact` names what caused it, so that it happens once."""

    lead_id: int
    until: datetime
    fact: str


async def pause_all(fleet: Fleet, db: Connection, wanted: Sequence[Pause], *, status: Status) -> None:
    """Pauses leads at their platforms and orders their return; those whose sequence is over already are left out."""
    if not wanted:
        return
    now = fleet.clock.now()
    ids = [each.lead_id for each in wanted]
    moved = set(await ownership.move_many(db, ids, of=("active", "paused"), to="paused", at=now))
    paused = [each for each in wanted if each.lead_id in moved]
    if not paused:
        return
    for topic in (PAUSE, RESUME):
        orders = {
            f"{topic}:{each.lead_id}:{each.fact}": {"lead_id": each.lead_id, "fact": each.fact} for each in paused
        }
        times = {f"{RESUME}:{each.lead_id}:{each.fact}": each.until for each in paused}
        await outbox.put_many(db, topic, orders, now=now, run_at=times)
    await leads.wait_until(db, {each.lead_id: each.until for each in paused}, status, at=now)


async def unsubscribe(fleet: Fleet, db: Connection, lead_id: int) -> None:
    await outbox.put(
        db, UNSUBSCRIBE, {"lead_id": lead_id}, now=fleet.clock.now(), dedupe_key=f"{UNSUBSCRIBE}:{lead_id}"
    )


async def unsubscribed_by_us(db: Connection, ids: Sequence[int]) -> set[int]:
    """Those of these leads whose opt-out was known, and ordered at their platform, before."""
    keys = {f"{UNSUBSCRIBE}:{id}": id for id in ids}
    return {keys[key] for key in await outbox.known(db, list(keys))}


async def do_stops(fleet: Fleet, payloads: Sequence[Mapping[str, Any]]) -> int:
    """Stops the leads at their platforms and reads them back; returns how many are seen as stopped for the first time.

    One that the platform still shows as under way is ordered again. Raises what the platform raises: the caller tries
    the whole group again, which is harmless.
    """
    tried = {int(each["lead_id"]): int(each.get("tried", 0)) for each in payloads}
    async with fleet.db.connection() as db:
        owned = await ownership.get_many(db, [int(each["lead_id"]) for each in payloads])
    wanted = [each for each in owned if each.state == "stopped"]
    confirmed = 0
    for key in dict.fromkeys((each.platform, each.campaign_ref, each.client_id) for each in wanted):
        group = [each for each in wanted if (each.platform, each.campaign_ref, each.client_id) == key]
        platform = (await fleet_of(fleet, key[2])).platform(key[0])
        confirmed += await _stop_group(fleet, platform, key[1], group, tried)
    return confirmed


async def _stop_group(
    fleet: Fleet,
    platform: SendingPlatform,
    campaign_ref: str | None,
    group: Sequence[Owned],
    tried: Mapping[int, int],
) -> int:
    ended = group if campaign_ref is None else await _stopped_at(platform, campaign_ref, group)
    async with fleet.db.transaction() as db:
        now = fleet.clock.now()
        count = await ownership.confirm_stopped(db, [each.lead_id for each in ended], now)
        await watermarks.tally(db, {(group[0].campaign_id, "sequence_exits"): count}, now)
        done = {each.lead_id for each in ended}
        for each in group:
            if each.lead_id not in done:
                await _stop_again(fleet, db, each, tried[each.lead_id] + 1)
    return count


async def _stop_again(fleet: Fleet, db: Connection, owned: Owned, tried: int) -> None:
    """The platform shows it as under way: not stopped until it does not (spec 6), and a person is told."""
    now = fleet.clock.now()
    await outbox.put(
        db, STOP, {"lead_id": owned.lead_id, "epoch": owned.epoch, "tried": tried}, now=now,
        run_at=now + outbox.wait(tried), dedupe_key=f"{STOP}:{owned.lead_id}:{owned.epoch}:{now.isoformat()}",
    )  # fmt: skip
    if tried >= _TELL_AFTER:
        await alerts.raise_alert(
            fleet, db, fact_key=f"stop-unconfirmed:{owned.lead_id}:{owned.epoch}", kind="stop_unconfirmed",
            severity="critical", title=f"{owned.email} is not stopped at {owned.platform}",
            body="The platform still shows the lead as under way. It is tried again; look at it there.",
            client_id=owned.client_id, context={"lead": owned.lead_id, "campaign": str(owned.campaign_id)},
        )  # fmt: skip


async def _stopped_at(platform: SendingPlatform, campaign_ref: str, group: Sequence[Owned]) -> Sequence[Owned]:
    refs = {each.lead_id: each.ref or await _ref(platform, each) for each in group}
    # The budget of the key says how fast; side by side, as each answer takes its time.
    gate = asyncio.Semaphore(_AT_ONCE)

    async def stop_one(ref: str) -> None:
        async with gate:
            # Gone, or in a state that needs no stopping: the reading below tells.
            with contextlib.suppress(NotFound, Conflict, Invalid):
                await platform.stop_lead(campaign_ref, ref)

    done = await asyncio.gather(*(stop_one(ref) for ref in refs.values() if ref), return_exceptions=True)
    for error in (each for each in done if isinstance(each, BaseException)):
        raise error
    states = await _read_back(platform, campaign_ref, {ref for ref in refs.values() if ref})
    return [each for each in group if _is_over(refs[each.lead_id], states)]


async def _read_back(platform: SendingPlatform, campaign_ref: str, wanted: set[str]) -> Mapping[str, str]:
    """The states of these leads: looked for among the few that have ended, then in the whole campaign."""
    if platform.capabilities.one_state:
        return {ref: await platform.lead_state(campaign_ref, ref) for ref in sorted(wanted)}
    states: dict[str, str] = {}
    for ended in (*_ENDED_LISTS, None):
        if wanted <= states.keys():
            break
        async for seen in platform.leads(campaign_ref, state=ended):
            states[seen.ref] = "stopped" if seen.unsubscribed else seen.state
    return states


def _is_over(ref: str | None, states: Mapping[str, str]) -> bool:
    return ref is None or states.get(ref, "stopped") in _ENDED


async def _ref(platform: SendingPlatform, owned: Owned) -> str | None:
    found = await platform.find_lead(owned.email_norm)
    return found[0] if found else None


async def do_blocks(fleet: Fleet, payloads: Sequence[Mapping[str, Any]]) -> None:
    """What is suppressed now, whatever was ordered meanwhile: an order that was lifted does nothing."""
    for account, name, keys, named in await _by_account(fleet, payloads):
        if wanted := [key for key in keys if key in named]:
            await fleet.account(account, name).block(wanted)


async def do_unblocks(fleet: Fleet, payloads: Sequence[Mapping[str, Any]]) -> None:
    """What is suppressed no more; an entry made again meanwhile stays."""
    for account, name, keys, named in await _by_account(fleet, payloads):
        if wanted := [key for key in keys if key not in named]:
            await fleet.account(account, name).unblock(wanted)


async def _by_account(
    fleet: Fleet, payloads: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, list[str], set[str]]]:
    """(account, platform, keys, those of them that are suppressed everywhere now)"""
    by_account: dict[tuple[str, str], list[str]] = {}
    for each in payloads:
        by_account.setdefault((str(each.get("account", "")), str(each["platform"])), []).append(str(each["key"]))
    async with fleet.db.connection() as db:
        keys = [str(each["key"]) for each in payloads]
        named = await suppressions.everywhere(db, keys, pepper=fleet.suppression_key)
    return [(account, name, keys, named) for (account, name), keys in by_account.items()]


async def do_pause(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    async with fleet.db.connection() as db:
        owned = await ownership.get(db, int(payload["lead_id"]))
    if owned and owned.state == "paused" and owned.ref and owned.campaign_ref:
        await (await _platform(fleet, owned)).pause_lead(owned.campaign_ref, owned.ref)


async def do_resume(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    """Goes on only if the lead still waits and its day has come: a later reply, suppression or absence wins."""
    lead_id = int(payload["lead_id"])
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        owned = await ownership.get(db, lead_id)
        lead = await leads.get(db, lead_id)
    if owned is None or lead is None or owned.state != "paused" or lead.status not in ("paused_ooo", "held"):
        return
    if lead.resume_at is not None and lead.resume_at > now:
        return
    if owned.ref and owned.campaign_ref:
        await (await _platform(fleet, owned)).resume_lead(owned.campaign_ref, owned.ref)
    async with fleet.db.transaction() as db:
        if await ownership.move(db, lead_id, of=("paused",), to="active", at=now):
            await leads.set_status(db, [lead_id], "in_sequence", at=now)
            await watermarks.tally(db, {(owned.campaign_id, "resumed"): 1}, now)
        else:
            # Stopped while the call was under way: the platform may have done the two in the other order.
            await order_stop(fleet, db, [lead_id], late="resume")


async def do_unsubscribe(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    async with fleet.db.connection() as db:
        owned = await ownership.get(db, int(payload["lead_id"]))
    if owned and owned.ref:
        try:
            await (await _platform(fleet, owned)).unsubscribe_lead(owned.ref)
        except NotFound:
            return


async def _platform(fleet: Fleet, owned: Owned) -> SendingPlatform:
    return (await fleet_of(fleet, owned.client_id)).platform(owned.platform)
