"""Mailboxes that are not where they should be: cannot be logged in to, are gone or renamed there, do nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mailfleet.errors import MailfleetError, NotFound, VendorError
from mailfleet.platforms.port import MailboxSeen, SendingPlatform
from mailfleet.services import alerts, domains, provisioning
from mailfleet.services.context import Fleet
from mailfleet.store import domains as domain_rows
from mailfleet.store import links, rotation, watermarks
from mailfleet.store import mailboxes as rows
from mailfleet.store.levels import Level
from mailfleet.store.mailboxes import Mailbox

_DAY = timedelta(hours=24)
_APART = timedelta(hours=4)
_WATCHED = ("warning", "critical", "emergency")


async def reconnect(fleet: Fleet, theirs: Mapping[UUID, Fleet], boxes: Sequence[Mailbox]) -> dict[str, list[str]]:
    """`{asked, back}`: the platform is asked to log in again where something is disconnected, as often as it allows,
    spread over the day; who is connected again is seen at once (S12a)."""
    lost = [box for box in boxes if box.disabled_since is not None and box.missing_since is None]
    accounts: dict[int, tuple[SendingPlatform, Fleet, list[Mailbox]]] = {}
    for box in lost:
        view = theirs[box.client_id]
        accounts.setdefault(id(view.platform()), (view.platform(), view, []))[2].append(box)
    told: dict[str, list[str]] = {"asked": [], "back": []}
    for platform, view, mine in accounts.values():
        told["back"] += await _seen_again(view, platform, mine)
        if len(told["back"]) < len(mine) and await _ask(view, platform, mine):
            told["asked"] += [box.address for box in mine]
    return told


async def _ask(fleet: Fleet, platform: SendingPlatform, mine: Sequence[Mailbox]) -> bool:
    """The count is kept before the call: a process that dies in between has used it up."""
    now = fleet.clock.now()
    mark = f"reconnect:{platform.name}:{fleet.client_id if fleet.client_id else ''}"
    async with fleet.db.transaction() as db:
        before = [datetime.fromisoformat(at) for at in (await watermarks.detail(db, mark)).get("at", [])]
        recent = [at for at in before if timedelta() <= now - at < _DAY]
        if len(recent) >= fleet.policy.upkeep.reconnects_a_day or (recent and now - max(recent) < _APART):
            return False
        await watermarks.put(db, mark, now, {"at": [at.isoformat() for at in (*recent, now)]})
    try:
        await platform.reconnect_mailboxes()
    except VendorError:
        return False  # refused or away: the clock of S12a runs on, the next try is hours away
    return True


async def _seen_again(fleet: Fleet, platform: SendingPlatform, mine: Sequence[Mailbox]) -> list[str]:
    back: list[str] = []
    async with fleet.db.connection() as db:
        refs = await links.refs(db, platform=platform.name, kind="mailbox", ours=[box.id for box in mine])
    for box in mine:
        if ref := refs.get(str(box.id)):
            try:
                seen = await platform.mailbox(ref)
            except (NotFound, VendorError):
                continue
            if seen.connected:
                async with fleet.db.connection() as db:
                    await rows.set_health(db, box.id, connected=True, at=fleet.clock.now())
                back.append(box.address)
    return back


async def compare(fleet: Fleet, ours: Sequence[Mailbox], shown: Mapping[UUID, MailboxSeen], *, whole: bool) -> None:
    """Tells who is gone from the platform's list and who has another address there.

    `whole`: the list was read to its end in every account; else an absence means nothing (I10).
    """
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        linked = await links.refs(db, platform=fleet.default_platform, kind="mailbox")
    for box in ours:
        seen = shown.get(box.id)
        gone = whole and seen is None and str(box.id) in linked
        if gone or seen:
            async with fleet.db.connection() as db:
                await rows.set_missing(db, box.id, now if gone else None)
        if gone:
            await _tell(fleet, box, f"missing:{box.id}:{box.version}", "mailbox_missing", "urgent",
                        "is not at the platform any more", "It was deleted or moved there; its leads wait. A mailbox "
                        "connected anew is another one to the platform.")  # fmt: skip
        if seen and seen.address.strip().lower() != box.address:
            await _tell(fleet, box, f"renamed:{box.id}:{seen.address}", "mailbox_renamed", "urgent",
                        f"has become {seen.address} at the platform", "Nothing is changed; look there.")  # fmt: skip


async def check_dns(fleet: Fleet, levels: Sequence[Level]) -> list[str]:
    """Has the DNS looked at of domains that bounce much, once an hour; names of those looked at.

    A blocking answer holds the domain until a look finds it right again or a person lets go (D7).
    """
    bad = {each.scope_id for each in levels if each.scope == "domain" and each.band in _WATCHED}
    now = fleet.clock.now()
    looked: list[str] = []
    async with fleet.db.connection() as db:
        wanted = [each for each in await domain_rows.every(db, states=("verified", "verifying")) if str(each.id) in bad]
    for domain in wanted:
        async with fleet.db.transaction() as db:
            last = await watermarks.get(db, f"dns:{domain.id}")
            if last and timedelta() <= now - last < timedelta(hours=1):
                continue
            await watermarks.put(db, f"dns:{domain.id}", now)
        try:
            await domains.verify(fleet, domain.name)
        except MailfleetError:
            continue
        looked.append(domain.name)
    return looked


async def finish(fleet: Fleet) -> list[str]:
    """Connects mailboxes whose making stopped half-way and starts the warm-up of those that wait; what went wrong."""
    async with fleet.db.connection() as db:
        waiting = await rotation.unfinished(db, fleet.default_platform)
        known = {domain.name: domain for domain in await domain_rows.every(db)}
    problems: list[str] = []
    for address, there in waiting:
        try:
            if not there:
                await provisioning.connect(fleet, address, {})
            domain = known[address.partition("@")[2]]
            if domain.state == "verified":
                problems += await provisioning.warm_up_domain(fleet, domain)
        except MailfleetError as error:
            problems.append(f"{address}: {error.coded}")
    return list(dict.fromkeys(problems))


async def doing_nothing(fleet: Fleet) -> dict[str, list[str]]:
    """`{unused, idle, disconnected, missing}`."""
    since = fleet.clock.now() - timedelta(days=fleet.policy.upkeep.idle_days)
    async with fleet.db.connection() as db:
        return await rotation.doing_nothing(db, since)


async def _tell(
    fleet: Fleet, box: Mailbox, key: str, kind: str, severity: alerts.Severity, what: str, body: str
) -> None:
    await alerts.tell(fleet, fact_key=key, kind=kind, severity=severity, title=f"{box.address} {what}", body=body)
