"""Never again: a suppression wins over everything, and follows what is already under way to the platform (I3)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

import msgspec

from mailfleet.errors import BadFile
from mailfleet.rules.address import BadAddress, is_registrable, normalise, registrable
from mailfleet.services import alerts, commands, lead_rows, tables
from mailfleet.services.context import Fleet
from mailfleet.store import audit, leads, ownership, suppressions, watermarks
from mailfleet.store.database import Connection
from mailfleet.store.suppressions import Reason, Scope, Suppression

_SWEPT = "suppressions"
_LOOK_BACK = timedelta(hours=6)
"""How far back mails are looked for that left after their suppression: a webhook may be late."""


class Suppressed(msgspec.Struct, frozen=True, kw_only=True):
    """`new` is false when it was known; `stopped` are leads that were under way and are taken out at the platform."""

    key: str
    new: bool
    stopped: Sequence[int] = ()


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a suppression file brought."""

    rows: int
    new: int
    refused: Sequence[tuple[int, str]]
    stopped: int


def key_of(scope: Scope, text: str) -> str:
    """What is compared: a normalised address, a registrable domain, or `name|domain`. Raises BadFile."""
    try:
        if scope == "address":
            return normalise(text).norm
        if scope == "person":
            name, _, domain = text.partition("|")
            first, _, last = name.strip().partition(" ")
            if not is_registrable(domain.strip()):
                _bad(text, "`First Last|domain`")
            return lead_rows.person_key(first, last, registrable(domain.strip())) or _bad(text, "`First Last|domain`")
        domain = text.strip().removeprefix("@").lower()
        return registrable(domain) if is_registrable(domain) else _bad(text, "a domain that somebody registered")
    except BadAddress as error:
        raise BadFile(f"{text!r} cannot be suppressed: {error}", hint=f"Give a valid {scope}.") from error


def _bad(text: str, wanted: str) -> str:
    raise BadFile(f"{text!r} cannot be suppressed.", hint=f"It has to be {wanted}.")


async def suppress(
    fleet: Fleet,
    db: Connection,
    *,
    scope: Scope,
    key: str,
    reason: Reason,
    client_id: UUID | None = None,
    source: str = "",
    evidence: Mapping[str, object] | None = None,
) -> Suppressed:
    """In the caller's transaction: writes the entry, stops every lead it names and orders their removal.

    `key` is already normalised (`key_of`). Where the platform keeps a block list, it is told too.
    """
    now = fleet.clock.now()
    new = await suppressions.add(
        db, pepper=fleet.suppression_key, scope=scope, key=key, client_id=client_id, reason=reason, source=source,
        evidence=evidence or {}, by=fleet.actor, at=now,
    )  # fmt: skip
    of = "mailbox" if scope == "address" and fleet.policy.dedup.one_mailbox else scope
    named = await ownership.lock_named(db, scope=of, key=key, client_id=client_id)
    stopped = await stop_named(fleet, db, named, reason=f"suppressed: {reason}", culprit=f"{scope} {reason}")
    if new and scope != "person" and client_id is None:
        await commands.block(fleet, db, [key])
    return Suppressed(key=key, new=new is not None, stopped=stopped)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An address that shall be written to no more, with what says so."""

    key: str
    reason: Reason
    source: str
    evidence: Mapping[str, object]


async def suppress_addresses(fleet: Fleet, db: Connection, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[int]]:
    """`suppress` for many addresses, everywhere, in a few statements: the leads it stopped, by address."""
    if not wanted:
        return {}
    reasons = {each.key: each.reason for each in wanted}
    new = await suppressions.add_addresses(
        db, [msgspec.structs.asdict(each) for each in wanted], pepper=fleet.suppression_key, by=fleet.actor,
        at=fleet.clock.now(),
    )  # fmt: skip
    named = await ownership.lock_addresses(db, list(reasons))
    stopped: dict[str, list[int]] = {}
    for reason in dict.fromkeys(reasons.values()):
        ids = [id for id, key in named.items() if reasons[key] == reason]
        for id in await stop_named(fleet, db, ids, reason=f"suppressed: {reason}", culprit=f"address {reason}"):
            stopped.setdefault(named[id], []).append(id)
    await commands.block(fleet, db, sorted(new))
    return stopped


async def stop_named(fleet: Fleet, db: Connection, ids: Sequence[int], *, reason: str, culprit: str) -> Sequence[int]:
    """Ends whatever is under way for these leads, and takes those that wait out of what is ready."""
    if not ids:
        return ()
    stopped = await commands.stop(fleet, db, ids, reason=reason)
    await leads.set_status(db, stopped, "rejected", at=fleet.clock.now())
    waiting = [{"lead_id": id, "rule": "suppressed", "culprit": culprit} for id in ids if id not in set(stopped)]
    await leads.exclude(db, waiting, campaign_id=None, at=fleet.clock.now())
    return stopped


async def add(
    fleet: Fleet,
    text: str,
    *,
    scope: Scope = "address",
    client_id: UUID | None = None,
    reason: Reason = "manual",
    source: str = "",
) -> Suppressed:
    """A person's entry. Raises BadFile for a key that is none."""
    key = key_of(scope, text)
    async with fleet.db.transaction() as db:
        made = await suppress(
            fleet, db, scope=scope, key=key, reason=reason, client_id=client_id, source=source or fleet.actor
        )
        await audit.record(
            db, actor=fleet.actor, action="suppress", entity=scope, entity_id=key, reason=reason, at=fleet.clock.now()
        )
    return made


async def lift(fleet: Fleet, db: Connection, *, source: str) -> list[str]:
    """Takes back what one source made, here and on the block list of every platform that lets an entry go; the keys."""
    keys = await suppressions.lift(db, source=source)
    await commands.unblock(fleet, db, [key for key in keys if key])
    return keys


async def find(fleet: Fleet, email: str, *, client_id: UUID | None = None) -> Suppression | None:
    """The oldest entry by address, domain or, where a lead tells who it is, person. Raises BadFile for no address."""
    try:
        address = normalise(email)
    except BadAddress as error:
        raise BadFile(f"{email!r} is no address: {error}", hint="Give it as name@example.com.") from error
    async with fleet.db.connection() as db:
        known = await leads.by_email(db, address.norm)
        persons = {lead.person_key for lead in known if client_id in (None, lead.client_id)}
        found = [
            await suppressions.covering(
                db, pepper=fleet.suppression_key, email_norm=address.norm, domain=address.registrable,
                person_key=person, client_id=client_id,
            )
            for person in sorted(persons) or [""]
        ]  # fmt: skip
    return min((each for each in found if each), key=lambda each: each.created_at, default=None)


async def sweep(fleet: Fleet, *, everything: bool = False) -> int:
    """Stops what is under way although it is suppressed; returns how many leads. Ends when nothing is left.

    The claim's own check makes this rare: it catches a lead that was stored while its suppression was being written.
    """
    async with fleet.db.connection() as db:
        since = None if everything else await watermarks.get(db, _SWEPT)
    started, total = fleet.clock.now(), 0
    while True:
        async with fleet.db.transaction() as db:
            ids = await ownership.suppressed_live(db, since=since)
            stopped = await commands.stop(fleet, db, ids, reason="suppressed")
        total += len(stopped)
        if not stopped:
            break
    async with fleet.db.connection() as db:
        await watermarks.put(db, _SWEPT, started)
    await _tell_late(fleet)
    return total


async def _tell_late(fleet: Fleet) -> None:
    """A mail that left between the entry and its removal at the platform is told to a person, each once."""
    async with fleet.db.connection() as db:
        late = await suppressions.sent_after(db, since=fleet.clock.now() - _LOOK_BACK)
    for each in late:
        await alerts.tell(
            fleet,
            fact_key=f"late-mail:{each.lead_id}:{each.entry}",
            kind="late_mail",
            severity="urgent",
            title=f"A mail left for {each.email} although it is suppressed",
            body=f"Suppressed {each.suppressed_at:%Y-%m-%d %H:%M:%S}, sent {each.sent_at:%Y-%m-%d %H:%M:%S} UTC.",
        )


async def import_file(fleet: Fleet, path: Path, *, client_id: UUID | None = None, reason: Reason = "import") -> Taken:
    """A file with a column `email`, `domain` or `value`: what is valid is added, what is under way is stopped."""
    with tables.opened(path) as table:
        return await _import_table(fleet, table, client_id, reason)


async def _import_table(fleet: Fleet, table: tables.Table, client_id: UUID | None, reason: Reason) -> Taken:
    folded = [lead_rows.fold(name) for name in table.columns]
    place = next((folded.index(name) for name in ("email", "address", "value", "domain") if name in folded), None)
    if place is None:
        raise BadFile(
            f"No column of {table.name} holds addresses or domains: {', '.join(table.columns)}.",
            hint="Name one `email`, `domain` or `value`.",
        )
    entries, refused = _entries(table, place, reason)
    async with fleet.db.transaction() as db:
        new = await suppressions.add_many(
            db, entries, pepper=fleet.suppression_key, client_id=client_id, source=table.name, by=fleet.actor,
            at=fleet.clock.now(),
        )  # fmt: skip
        await audit.record(
            db, actor=fleet.actor, action="import_suppressions", entity="file", entity_id=table.sha256,
            at=fleet.clock.now(), detail={"rows": table.rows, "new": new},
        )  # fmt: skip
    await _exclude_waiting(fleet)
    return Taken(rows=table.rows, new=new, refused=refused, stopped=await sweep(fleet, everything=True))


async def _exclude_waiting(fleet: Fleet) -> None:
    async with fleet.db.transaction() as db:
        await leads.exclude_suppressed(db, pepper=fleet.suppression_key, at=fleet.clock.now())


def _entries(table: tables.Table, place: int, reason: Reason) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    """Each row's own `type` and `reason` are used where the file has such columns and knows the word."""
    folded = [lead_rows.fold(name) for name in table.columns]
    kind_at, why_at = (folded.index(name) if name in folded else None for name in ("type", "reason"))
    entries: list[dict[str, object]] = []
    refused: list[tuple[int, str]] = []
    for number, cells in tables.read(table):
        text = _at(cells, place)
        kind, why = _at(cells, kind_at).lower(), _at(cells, why_at).lower()
        guess = "address" if "@" in text.removeprefix("@") else "domain"
        scope = kind if kind in get_args(Scope) else guess
        try:
            key = key_of(msgspec.convert(scope, Scope), text)
            entries.append({"scope": scope, "key": key, "reason": why if why in get_args(Reason) else reason})
        except BadFile as error:
            refused.append((number, error.what))
    return entries, refused


def _at(cells: Sequence[str], place: int | None) -> str:
    return cells[place].strip() if place is not None and place < len(cells) else ""


async def export_file(fleet: Fleet, to: Path, *, client_id: UUID | None = None) -> int:
    """The list itself: scope, key, reason and date. It carries neither names nor fields: no lead list (L20)."""
    written, after = 0, None
    try:
        with to.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(("scope", "value", "reason", "created_at"))
            while batch := await _page(fleet, client_id, after):
                out.writerows((each.scope, each.key or "", each.reason, each.created_at.isoformat()) for each in batch)
                written, after = written + len(batch), batch[-1].id
    except OSError as error:
        raise BadFile(f"{to} cannot be written: {error.strerror or error}.", hint="Choose another place.") from error
    return written


async def _page(fleet: Fleet, client_id: UUID | None, after: UUID | None) -> Sequence[Suppression]:
    async with fleet.db.connection() as db:
        return await suppressions.every(db, client_id=client_id, after=after)
