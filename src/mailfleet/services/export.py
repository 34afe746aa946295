"""An export: every dataset of a source, page by page, packed, encrypted and put on every shelf, then a manifest.

Nothing touches a disk in clear. Parts are recorded only when every shelf has them, so that an export that stopped goes
on with the next part; a file that was put but not recorded is never named by a manifest and goes when the export is
pruned. The manifest is written last: an archive with one is complete.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

import mailfleet
from mailfleet.errors import Busy, ExportError, MailfleetError
from mailfleet.log import redact
from mailfleet.platforms.archive import Dataset, ExportSource, Record, Shelf
from mailfleet.rules import table_files
from mailfleet.services.context import Fleet
from mailfleet.services.sealing import Seal
from mailfleet.store import audit, exports
from mailfleet.store.exports import Export, File, Part

FORMAT = 1
_UNIT = "\x1f"
_PART_BYTES = 4 << 20
"""Of JSON lines in clear, after which a part is closed: what is held in memory is a few times this."""
README = """This is an export made by mailfleet. Every file but this one is encrypted with age (https://age-encryption.org).

    age --decrypt --identity KEYFILE manifest.json.age

shows what there is: each dataset as JSON lines and as CSV (UTF-8, header in the first line of each file).
`mailfleet export verify` checks an archive, `mailfleet export restore` reads it into a database.
"""


async def run(
    fleet: Fleet, source: ExportSource, shelves: Sequence[Shelf], seal: Seal, *, anew: bool = False
) -> Export:
    """Begins an export, or goes on with the one that stopped (unless `anew`); the finished export.

    Raises Busy when another run exports this source, ExportError and VendorError where it stopped: call it again.
    """
    if not shelves:
        raise ExportError("There is no place to export to.", hint="Set EXPORT_FOLDER, EXPORT_BUCKET or both.")
    async with fleet.db.single_flight(f"export:{source.name}") as mine:
        if not mine:
            raise Busy(f"Another run exports {source.name}.", hint="Wait for it to end.")
        found = await _open(fleet, source, shelves, seal, anew=anew)
        try:
            for dataset in source.datasets():
                await _dataset(fleet, found, source, dataset, shelves, seal)
            await _manifest(fleet, found, source, shelves, seal)
        except MailfleetError as error:
            async with fleet.db.connection() as db:
                await exports.failed(db, found.id, redact(error.coded))
            raise
    return await need(fleet, found.id)


async def scheduled(fleet: Fleet, source: str) -> dict[str, Any]:
    """What the schedule does: an export where one is set up. `{exported, rows, places, reason}`."""
    nothing: dict[str, Any] = {"exported": "", "rows": 0, "places": [], "reason": ""}
    if not fleet.export_recipients or not fleet.shelves:
        return {**nothing, "reason": "EXPORT_RECIPIENTS and a place are not set"}
    made = await run(fleet, fleet.sources[source], fleet.shelves, Seal(fleet.export_recipients))
    async with fleet.db.connection() as db:
        rows = sum(part.rows for part in await exports.parts(db, made.id))
    return {**nothing, "exported": made.prefix, "rows": rows, "places": sorted(made.places.values())}


async def need(fleet: Fleet, id: uuid.UUID) -> Export:
    """Raises ExportError when the index does not know it."""
    async with fleet.db.connection() as db:
        found = await exports.find(db, id)
    if found is None:
        raise ExportError(f"There is no export {id}.", hint="`mailfleet export list` shows those there are.")
    return found


async def _open(fleet: Fleet, source: ExportSource, shelves: Sequence[Shelf], seal: Seal, *, anew: bool) -> Export:
    places = {shelf.name: shelf.address for shelf in shelves}
    async with fleet.db.connection() as db:
        found = await exports.unfinished(db, source.name)
    # Parts are encrypted already: other recipients or places make another archive.
    if found and not anew and found.places == places and found.recipients == list(seal.recipients):
        return found
    now = fleet.clock.now()
    id = uuid.UUID(int=fleet.rng.getrandbits(128), version=4)
    prefix = f"{source.name}/{now:%Y%m%dT%H%M%SZ}-{id.hex[:8]}"
    for shelf in shelves:
        await shelf.create(f"{prefix}/README.txt", README.encode())
    async with fleet.db.transaction() as db:
        await exports.begin(
            db, id=id, source=source.name, prefix=prefix, places=places, recipients=seal.recipients, at=now
        )
        await audit.record(
            db, actor=fleet.actor, action="export", entity="export", entity_id=id, at=now, detail={"places": places}
        )
    return await need(fleet, id)


async def _dataset(
    fleet: Fleet, export: Export, source: ExportSource, dataset: Dataset, shelves: Sequence[Shelf], seal: Seal
) -> None:
    async with fleet.db.connection() as db:
        last = await exports.last_part(db, export.id, dataset.name)
    if last and last.next_start is None:
        return
    if last is None:
        await _count(fleet, export, source, dataset, "before")
    seen = _Seen(dataset.key, last.tail if last else ())
    held = _Held(last.n + 1 if last else 1)
    async for page in source.pages(dataset.name, last.next_start if last else None):
        held.add(seen.fresh(page.rows))
        if held.size >= _PART_BYTES or page.next is None:
            await _part(fleet, export, dataset, held, seen.tail(), page.next, shelves, seal)
            held = _Held(held.n + 1)
    await _count(fleet, export, source, dataset, "after")


class _Held:
    """Rows of the part that is being filled, encoded once: `size` is that of their JSON lines."""

    def __init__(self, n: int) -> None:
        self.n, self.rows, self.size = n, list[Record](), 0
        self._lines: list[bytes] = []

    def add(self, rows: Sequence[Record]) -> None:
        if rows:
            self.rows += rows
            self._lines.append(table_files.json_lines(rows))
            self.size += len(self._lines[-1])

    @property
    def lines(self) -> bytes:
        return b"".join(self._lines)


class _Seen:
    """Keys of the page before: what is added at the vendor while it is read shifts every page by so many rows."""

    def __init__(self, key: Sequence[str], tail: Sequence[str]) -> None:
        self._key, self._tail, self._last = key, frozenset(tail), dict[str, None]()

    def fresh(self, rows: Sequence[Record]) -> list[Record]:
        """Those that the page before did not have."""
        known, found, fresh = self._last, dict[str, None](), list[Record]()
        for row in rows:
            key = _UNIT.join(map(str, map(row.get, self._key)))
            if not (key in found or key in known or (self._tail and _short(key) in self._tail)):
                fresh.append(row)
            found[key] = None
        self._last, self._tail = found, frozenset()
        return fresh

    def tail(self) -> list[str]:
        """The keys as the index keeps them: addresses do not stand there in clear."""
        return [_short(key) for key in self._last]


def _short(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


async def _count(fleet: Fleet, export: Export, source: ExportSource, dataset: Dataset, which: str) -> None:
    said = await source.count(dataset.name)
    async with fleet.db.connection() as db:
        await exports.note_count(db, export.id, dataset.name, which, said)


async def _part(
    fleet: Fleet, export: Export, dataset: Dataset, held: _Held, tail: Sequence[str], next_start: str | None,
    shelves: Sequence[Shelf], seal: Seal,
) -> None:  # fmt: skip
    clear = {
        "jsonl": held.lines,
        "csv": table_files.header(dataset.columns) + table_files.csv_lines(held.rows, dataset.columns),
    }
    files: dict[str, File] = {}
    for kind, content in clear.items():
        sealed = seal.encrypt(content)
        # A stop between putting and recording leaves a file of that number behind: another name, not another content.
        token = f"{fleet.rng.getrandbits(32):08x}"
        key = f"{export.prefix}/{dataset.name}/{held.n:06d}-{token}.{kind}.age"
        for shelf in shelves:
            await shelf.create(key, sealed)
        files[kind] = File(key=key, bytes=len(sealed), sha256=hashlib.sha256(sealed).hexdigest())
    part = Part(
        dataset=dataset.name, n=held.n, rows=len(held.rows), digest=table_files.digest(clear["jsonl"]),
        tail=list(tail), next_start=next_start, files=files,
    )  # fmt: skip
    async with fleet.db.connection() as db:
        await exports.add_part(db, export.id, part)


async def _manifest(fleet: Fleet, export: Export, source: ExportSource, shelves: Sequence[Shelf], seal: Seal) -> None:
    export = await need(fleet, export.id)
    async with fleet.db.connection() as db:
        parts = await exports.parts(db, export.id)
    now = fleet.clock.now()
    told = manifest(export, source, parts, fleet.policy.export.requirements())
    told["finished_at"] = now.isoformat()
    sealed = seal.encrypt(msgspec.json.format(msgspec.json.encode(told), indent=1))
    digests = {shelf.name: hashlib.sha256(sealed).hexdigest() for shelf in shelves}
    for shelf in shelves:
        await _replace_own(shelf, f"{export.prefix}/manifest.json.age", sealed)
    async with fleet.db.connection() as db:
        await exports.finish(db, export.id, digests, now)


async def _replace_own(shelf: Shelf, key: str, data: bytes) -> None:
    """A manifest that was put while the index did not learn of it belongs to this very export."""
    if key in await shelf.keys(key.rpartition("/")[0]):
        await shelf.delete(key)
    await shelf.create(key, data)


def manifest(
    export: Export, source: ExportSource, parts: Sequence[Part], requirements: Mapping[str, str]
) -> dict[str, Any]:
    """What the archive holds, what the vendor said it had, and what it does not give and why."""
    datasets = {each.name: _told(each, export, [part for part in parts if part.dataset == each.name])
                for each in source.datasets()}  # fmt: skip
    answered = {each.requirement for each in source.datasets()}
    return {
        "format": FORMAT,
        "made_by": f"mailfleet {mailfleet.__version__}",
        "archive": str(export.id),
        "source": export.source,
        "prefix": export.prefix,
        "recipients": export.recipients,
        "started_at": export.started_at.isoformat(),
        "datasets": datasets,
        "requirements": {
            name: {"asks": asks, "answered_by": sorted(d.name for d in source.datasets() if d.requirement == name)}
            for name, asks in requirements.items()
        },
        "not_answered": sorted(set(requirements) - answered),
        "not_given": dict(source.not_given()),
        "remarks": dict(source.remarks()),
    }


def _told(dataset: Dataset, export: Export, parts: Sequence[Part]) -> dict[str, Any]:
    total = ""
    for part in parts:
        total = table_files.combined(total, part.digest)
    rows, said = sum(part.rows for part in parts), export.counts.get(dataset.name, {})
    return {
        "requirement": dataset.requirement,
        "columns": list(dataset.columns),
        "secret": list(dataset.secret),
        "key": list(dataset.key),
        "rows": rows,
        "vendor_said": said,
        "complete": all(count in (None, rows) for count in said.values()),
        "digest": total or table_files.digest(b""),
        "parts": [
            {"n": part.n, "rows": part.rows, "digest": part.digest, "files": msgspec.to_builtins(part.files)}
            for part in parts
        ],
    }
