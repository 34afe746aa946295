"""Leads from a file: each row is taken or refused with its number and rule, in batches, resumable by the hash."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.services import lead_rows, refusals, tables
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.services.lead_batches import Batcher, Chunk
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.services.tables import Table
from mailfleet.store import audit, imports, leads
from mailfleet.store.database import Connection
from mailfleet.store.imports import Import, Refusal, RuleCount
from mailfleet.store.leads import NotTaken

BATCH = 50_000
AT_ONCE = 2
"""Chunks at the database at a time."""
Mapping_ = Literal["given", "saved", "guessed"]
Progress = Callable[[int, int], None]
"""Called with rows settled and rows in all."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `again`: this very file had been imported before, and nothing was done.

    `mapping` says where the columns' meaning comes from: `given`, `saved` for this header, or `guessed`.
    `unknown_country`: rows, taken or refused, that the strictest rule judged because no known country stands in them.
    `import_id` is None for a dry run, which stores nothing.
    """

    import_id: UUID | None
    file: str
    kind: str
    encoding: str
    delimiter: str
    columns: Mapping[str, str]
    mapping: Mapping_
    rows: int
    taken: int
    refused: int
    unknown_country: int
    by_rule: Sequence[RuleCount]
    examples: Sequence[Refusal]
    again: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read and what for. `columns` (our field → file column) is kept for the next file like it."""

    client: str | None = None
    campaign_id: UUID | None = None
    columns: Mapping[str, str] = {}
    encoding: str = ""
    sheet: str = ""
    options: Options = Options()


async def import_leads(
    fleet: Fleet,
    path: Path | str,
    request: Request | None = None,
    *,
    refusals_to: Path | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> Report:
    """Imports a CSV, TSV, JSON lines or workbook file, packed by gzip or not, or standard input for `-`.

    The first of several rows with one address wins. A chunk and its refusals commit together, so that an interrupted
    import goes on where it stopped and a repeated one does nothing. A dry run judges every row and stores none; it does
    not see two rows of one address that lie far apart. Raises BadFile before anything is stored.
    """
    request = request or Request()
    lead_rows.checked(request.options)
    if refusals_to:
        with refusals.writing(refusals_to, "a"):
            pass  # a place that cannot be written is told before a lead is taken
    with (
        _on_disk(path) as (file, name),
        tables.opened(file, name=name, encoding=request.encoding, sheet=request.sheet) as table,
    ):
        return await _read(fleet, table, request, refusals_to, progress, dry_run)


async def _read(
    fleet: Fleet, table: Table, request: Request, refusals_to: Path | None, progress: Progress | None, dry_run: bool
) -> Report:
    async with fleet.db.transaction() as db:
        owner = await the_client(db, request.client)
        fleet = fleet.of(owner)
        mapped, source = await _mapped(fleet, db, owner.id, table, request.columns, keep=not dry_run)
    batcher = Batcher(mapped, request.options, fleet.policy.legal)
    if dry_run:
        return await _try(fleet, table, batcher, owner.id, (mapped.named(), source), refusals_to, progress)
    async with fleet.db.transaction() as db:
        begun = await imports.begin(
            db, client_id=owner.id, file_name=table.name, sha256=table.sha256, columns=mapped.named(),
            at=fleet.clock.now(),
        )  # fmt: skip
    again = begun.state == "done"
    if not again:
        await _settle(fleet, begun, table, batcher, request.campaign_id, progress)
    report = await _report(fleet, begun, table, source, again)
    if refusals_to:
        await refusals.write_refusals(fleet, begun.id, refusals_to)
    return report


async def _mapped(
    fleet: Fleet, db: Connection, client_id: UUID, table: Table, given: Mapping[str, str], *, keep: bool
) -> tuple[Columns, Mapping_]:
    """By the mapping given, else by the one kept for this header, else by the columns' names."""
    header = hashlib.sha256("\x1f".join(map(lead_rows.fold, table.columns)).encode()).hexdigest()
    known = given or await imports.saved_columns(db, client_id, header)
    mapped = lead_rows.map_columns(table.columns, known)
    if given and keep:
        await imports.save_columns(db, client_id, header, given, fleet.clock.now())
    return mapped, "given" if given else "saved" if known else "guessed"


async def _settle(
    fleet: Fleet,
    begun: Import,
    table: Table,
    batcher: Batcher,
    campaign_id: UUID | None,
    progress: Progress | None,
) -> None:
    """While one chunk is judged in a thread, the one before it is copied and the one before that is stored."""
    rows, settled = tables.read(table, after=begun.rows_read), 0

    def judged() -> Chunk | None:
        return batcher.chunk(islice(rows, BATCH))

    coming = asyncio.create_task(asyncio.to_thread(judged))
    under_way = deque([asyncio.create_task(_nothing())])
    try:
        while under_way:
            if chunk := await coming:
                coming = asyncio.create_task(asyncio.to_thread(judged))
                under_way.append(asyncio.create_task(_stored(fleet, begun, chunk, campaign_id, under_way[-1])))
            if not chunk or len(under_way) > AT_ONCE:
                settled += await under_way.popleft()
                if progress and settled:
                    progress(settled, table.rows)
    finally:
        # The thread reads the file that is closed after this, and what is at the database ends on its own.
        await asyncio.gather(coming, *under_way, return_exceptions=True)
    async with fleet.db.transaction() as db:
        await imports.finish(db, begun.id, fleet.clock.now())
        await audit.record(
            db, actor=fleet.actor, action="import_leads", entity="import", entity_id=begun.id, at=fleet.clock.now(),
            detail={"file": table.name, "sha256": table.sha256, "rows": table.rows},
        )  # fmt: skip


async def _nothing() -> int:
    """What the first chunk waits for."""
    return 0


async def _stored(
    fleet: Fleet, begun: Import, chunk: Chunk, campaign_id: UUID | None, before: asyncio.Task[int]
) -> int:
    """How many rows. Copied beside the chunk before it, stored after it: of two rows with one address the first wins,
    and all up to `rows_read` are settled."""
    async with fleet.db.transaction() as db:
        taking = await _copied(fleet, db, begun, chunk, campaign_id)
        await before
        await _take(fleet, db, begun, chunk, taking)
    return chunk.rows


async def store(fleet: Fleet, begun: Import, chunk: Chunk, campaign_id: UUID | None) -> None:
    """One chunk and its refusals, in one transaction."""
    async with fleet.db.transaction() as db:
        await store_in(fleet, db, begun, chunk, campaign_id)


async def store_in(
    fleet: Fleet, db: Connection, begun: Import, chunk: Chunk, campaign_id: UUID | None
) -> Sequence[Refusal]:
    """The same in the caller's transaction; every row that was refused."""
    return await _take(fleet, db, begun, chunk, await _copied(fleet, db, begun, chunk, campaign_id))


async def _copied(fleet: Fleet, db: Connection, begun: Import, chunk: Chunk, campaign_id: UUID | None) -> leads.Taking:
    return await leads.copy_in(
        db, chunk.lines, chunk.taken, pepper=fleet.suppression_key, client_id=begun.client_id, import_id=begun.id,
        campaign_id=campaign_id,
    )  # fmt: skip


async def _take(fleet: Fleet, db: Connection, begun: Import, chunk: Chunk, taking: leads.Taking) -> Sequence[Refusal]:
    out = await leads.take(db, taking, at=fleet.clock.now())
    refused = [*chunk.refused, *map(_not_taken, out)]
    await imports.advance(
        db, begun.id, rows_read=chunk.last, taken=chunk.taken - len(out), refused=refused,
        unknown_country=chunk.unknown_country,
    )  # fmt: skip
    return refused


def _not_taken(each: NotTaken) -> Refusal:
    return Refusal(row_no=each.row_no, rule=each.why, field="email", value=each.email, culprit=each.culprit)


async def _try(
    fleet: Fleet,
    table: Table,
    batcher: Batcher,
    client_id: UUID,
    mapping: tuple[Mapping[str, str], Mapping_],
    refusals_to: Path | None,
    progress: Progress | None,
) -> Report:
    """Every row judged as the import would, and nothing stored."""
    by_rule: dict[str, RuleCount] = {}
    examples: list[Refusal] = []
    unknown = settled = 0
    with refusals.writing(refusals_to or Path(os.devnull)) as file:
        refusals.begin(file)
        rows = tables.read(table)
        while chunk := await asyncio.to_thread(lambda: batcher.chunk(islice(rows, BATCH))):
            async with fleet.db.transaction() as db:
                out = await leads.would_take(db, chunk.lines, client_id=client_id, pepper=fleet.suppression_key)
            refused = sorted([*chunk.refused, *map(_not_taken, out)], key=lambda each: each.row_no)
            refusals.put(file, refused)
            for each in refused:
                known = by_rule.get(each.rule) or RuleCount(rule=each.rule, n=0, rows=[])
                by_rule[each.rule] = RuleCount(
                    rule=each.rule, n=known.n + 1, rows=[*known.rows, each.row_no] if known.n < 5 else known.rows
                )
            examples += refused[: 10 - len(examples)]
            unknown, settled = unknown + chunk.unknown_country, settled + chunk.rows
            if progress:
                progress(settled, table.rows)
    refused_in_all = sum(each.n for each in by_rule.values())
    return Report(
        import_id=None,
        file=table.name,
        kind=table.kind,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=mapping[0],
        mapping=mapping[1],
        rows=table.rows,
        taken=table.rows - refused_in_all,
        refused=refused_in_all,
        unknown_country=unknown,
        by_rule=sorted(by_rule.values(), key=lambda each: (-each.n, each.rule)),
        examples=examples,
    )


async def _report(fleet: Fleet, begun: Import, table: Table, mapping: Mapping_, again: bool) -> Report:
    async with fleet.db.transaction() as db:
        done = await imports.finish(db, begun.id, fleet.clock.now())
        by_rule = await imports.refused_by_rule(db, begun.id)
        examples = await imports.refusals(db, begun.id, limit=10)
    return Report(
        import_id=begun.id,
        file=table.name,
        kind=table.kind,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=done.columns,
        mapping=mapping,
        rows=table.rows,
        taken=done.taken,
        refused=done.refused,
        unknown_country=done.unknown_country,
        by_rule=by_rule,
        examples=examples,
        again=again,
    )


@contextmanager
def _on_disk(path: Path | str) -> Generator[tuple[Path, str]]:
    """Standard input is kept in a file first: it is read more than once."""
    if str(path) != "-":
        yield Path(path), Path(path).name
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "stdin.csv")
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy, "standard input"
