"""What is done with an archive afterwards: checked, read back into a database, removed when its time is over.

Reading needs a shelf and a key file and nothing else: the database that wrote the archive may be gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import ExportError, ShelfError, Tampered, Unknown
from mailfleet.platforms.archive import Shelf
from mailfleet.rules import table_files
from mailfleet.services.context import Fleet
from mailfleet.services.sealing import Opener
from mailfleet.store import audit, exports
from mailfleet.store.database import Connection
from mailfleet.store.exports import Export, File

MANIFEST = "manifest.json.age"
_FORMATS = (1,)


class PartSaid(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    rows: int
    digest: str
    files: dict[str, File]


class DatasetSaid(msgspec.Struct, frozen=True, kw_only=True):
    requirement: str
    columns: list[str]
    secret: list[str]
    key: list[str]
    rows: int
    digest: str
    complete: bool
    vendor_said: dict[str, int | None]
    parts: list[PartSaid]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says it holds."""

    format: int
    archive: UUID
    source: str
    prefix: str
    started_at: datetime
    datasets: dict[str, DatasetSaid]
    not_given: dict[str, str]
    remarks: dict[str, str] = {}


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was read back at one place. `opened`: also decrypted and counted, not only compared with the index."""

    place: str
    files: int
    bytes: int
    rows: int
    opened: bool
    faults: list[str]


async def manifest(shelf: Shelf, prefix: str, opener: Opener) -> Manifest:
    """Raises Unknown for no finished archive of that name, LostKey, Tampered, and ExportError for a newer format."""
    key = f"{prefix}/{MANIFEST}"
    clear = opener.decrypt(key, await shelf.read(key))
    try:
        found = msgspec.json.decode(clear, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Tampered(f"{key} is no manifest: {error}.", hint="Take the copy of another place.") from None
    if found.format not in _FORMATS:
        raise ExportError(f"{key} has format {found.format}.", hint="Update mailfleet.")
    return found


async def at(shelf: Shelf, prefix: str = "") -> list[str]:
    """The finished archives on a shelf, by the name that `restore` takes."""
    return [key.removesuffix(f"/{MANIFEST}") for key in await shelf.keys(prefix) if key.endswith(f"/{MANIFEST}")]


async def verify_stored(fleet: Fleet, export: Export, shelf: Shelf) -> Checked:
    """Reads every file back and compares it with what the index says was stored; no key is needed."""
    async with fleet.db.connection() as db:
        parts = await exports.parts(db, export.id)
    faults, size, count = list[str](), 0, 0
    expected = [(file.key, file.sha256) for part in parts for file in part.files.values()]
    if digest := export.manifest_sha256.get(shelf.name):
        expected.append((f"{export.prefix}/{MANIFEST}", digest))
    for key, sha256 in expected:
        data, fault = await _stored(shelf, key, sha256)
        size, count = size + len(data), count + 1
        faults += [fault] if fault else []
    return Checked(
        place=shelf.address, files=count, bytes=size, rows=sum(part.rows for part in parts), opened=False, faults=faults
    )


async def verify_opened(shelf: Shelf, prefix: str, opener: Opener) -> Checked:
    """Decrypts everything and compares it with the manifest: names, sizes, digests, counts of rows."""
    found = await manifest(shelf, prefix, opener)
    faults, size, count, rows = list[str](), 0, 1, 0
    for name, dataset in found.datasets.items():
        total = ""
        for part in dataset.parts:
            for kind, file in part.files.items():
                data, fault = await _stored(shelf, file.key, file.sha256)
                size, count = size + len(data), count + 1
                if fault:
                    faults.append(fault)
                elif kind == "jsonl":
                    clear = opener.decrypt(file.key, data)
                    number, digest = clear.count(b"\n"), table_files.digest(clear)
                    rows, total = rows + number, table_files.combined(total, digest)
                    if (number, digest) != (part.rows, part.digest):
                        faults.append(f"{file.key} holds other rows than the manifest says")
                else:
                    opener.decrypt(file.key, data)
        if not faults and (total or table_files.digest(b"")) != dataset.digest:
            faults.append(f"{name}: a part is missing or was put in")
    return Checked(place=shelf.address, files=count, bytes=size, rows=rows, opened=True, faults=faults)


async def restore(fleet: Fleet, shelf: Shelf, prefix: str, opener: Opener) -> Manifest:
    """Reads an archive into this database, secrets encrypted anew; what an interrupted call has read already stays.

    Raises Tampered before anything of a damaged part is taken.
    """
    found = await manifest(shelf, prefix, opener)
    for name, dataset in found.datasets.items():
        start = 1
        for part in dataset.parts:
            await _restore_part(fleet, shelf, opener, found.archive, name, dataset, part, start)
            start += part.rows
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        await exports.put_restoration(
            db, found.archive, source=found.source, manifest=msgspec.to_builtins(found), at=now
        )
        await audit.record(
            db, actor=fleet.actor, action="restore", entity="export", entity_id=found.archive, at=now,
            detail={"from": shelf.address, "prefix": prefix},
        )  # fmt: skip
    return found


async def _restore_part(
    fleet: Fleet, shelf: Shelf, opener: Opener, archive: UUID, name: str, dataset: DatasetSaid, part: PartSaid,
    start: int,
) -> None:  # fmt: skip
    async with fleet.db.connection() as db:
        if part.rows and await exports.restored_between(db, archive, name, start, start + part.rows) == part.rows:
            return
    file = part.files["jsonl"]
    data, fault = await _stored(shelf, file.key, file.sha256)
    clear = opener.decrypt(file.key, data) if not fault else b""
    if fault or table_files.digest(clear) != part.digest:
        raise Tampered(
            fault or f"{file.key} holds other rows than the manifest says.",
            hint="Nothing of it was taken. Take the copy of another place.",
        )
    async with fleet.db.transaction() as db:
        lines, secrets = await _without_secrets(fleet, db, archive, clear, dataset.secret)
        await exports.put_restored(db, archive, name, start, lines, secrets)


async def _without_secrets(
    fleet: Fleet, db: Connection, archive: UUID, clear: bytes, names: Sequence[str]
) -> tuple[list[str], list[UUID | None]]:
    """The lines as they may stand in a table, and where each one's secrets are now."""
    if not names:
        lines = clear.decode().split("\n")[:-1]
        return lines, [None] * len(lines)
    rows: list[dict[str, Any]] = [msgspec.json.decode(line) for line in clear.splitlines()]
    secrets = [await _hidden(fleet, db, archive, row, names) for row in rows]
    shown = [{key: value for key, value in row.items() if key not in names} for row in rows]
    return [line.decode() for line in table_files.json_lines(shown).splitlines()], secrets


async def _hidden(
    fleet: Fleet, db: Connection, archive: UUID, row: dict[str, Any], names: Sequence[str]
) -> UUID | None:
    kept = {name: row[name] for name in names if name in row}
    return await fleet.vault.put(db, f"archive:{archive}", msgspec.json.encode(kept)) if kept else None


async def restored_rows(
    fleet: Fleet, archive: UUID, dataset: str, *, after: int = 0, limit: int = 1_000
) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """The rows of a restored dataset in order, with their secrets, each with its number."""
    while True:
        async with fleet.db.connection() as db:
            found = await exports.restored(db, archive, dataset, after, limit=limit)
            for each in found:
                row: dict[str, Any] = msgspec.json.decode(each.line)
                if each.secret_id:
                    row |= msgspec.json.decode(await fleet.vault.get(db, each.secret_id))
                yield each.n, row
        if len(found) < limit:
            return
        after = found[-1].n


async def prune(fleet: Fleet, shelves: Sequence[Shelf], *, moves_end: datetime | None, moving: bool) -> list[Export]:
    """Removes archives whose time is over: `retention_days` after they were made, but not before that many days after
    the last migration ended, and none while one runs (M8). Those whose places are not all at hand stay."""
    if moving:
        return []
    now, keep = fleet.clock.now(), timedelta(days=fleet.policy.export.retention_days)
    by_name = {shelf.name: shelf for shelf in shelves}
    async with fleet.db.connection() as db:
        known = await exports.known(db, limit=10_000)
    gone: list[Export] = []
    for each in known:
        since = max(each.finished_at or each.started_at, moves_end or each.started_at)
        here = all(name in by_name and by_name[name].address == place for name, place in each.places.items())
        if each.state == "pruned" or now < since + keep or not here:
            continue
        for name in each.places:
            for key in await by_name[name].keys(each.prefix):
                await by_name[name].delete(key)
        async with fleet.db.transaction() as db:
            await exports.pruned(db, each.id, now)
            await audit.record(
                db, actor=fleet.actor, action="prune", entity="export", entity_id=each.id, at=now,
                reason="retention is over",
            )  # fmt: skip
        gone.append(each)
    return gone


async def note_verified(fleet: Fleet, export: Export) -> None:
    async with fleet.db.connection() as db:
        await exports.verified(db, export.id, fleet.clock.now())


async def _stored(shelf: Shelf, key: str, sha256: str) -> tuple[bytes, str]:
    """The file, and what is wrong with it."""
    try:
        data = await shelf.read(key)
    except (ShelfError, Unknown) as error:
        return b"", f"{key}: {error.what}"
    fault = "" if hashlib.sha256(data).hexdigest() == sha256 else f"{key} was changed since it was stored"
    return data, fault
