"""Leads from a file: each row is taken or refused with its number and rule, in batches, resumable by the hash."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO
from uuid import UUID

import msgspec

from mailfleet.errors import BadFile
from mailfleet.services import lead_rows, tables
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.services.tables import Table
from mailfleet.store import audit, imports, leads
from mailfleet.store.imports import Import, Refusal, RuleCount
from mailfleet.store.leads import NewLead

BATCH = 2000
Progress = Callable[[int, int], None]
"""Called with rows settled and rows in all."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `again`: this very file had been imported before, and nothing was done.

    `unknown_country`: rows, taken or refused, that the strictest rule judged because no known country stands in them.
    """

    import_id: UUID
    file: str
    encoding: str
    delimiter: str
    columns: Mapping[str, str]
    rows: int
    taken: int
    refused: int
    unknown_country: int
    by_rule: Sequence[RuleCount]
    examples: Sequence[Refusal]
    again: bool = False


async def import_leads(
    fleet: Fleet,
    path: Path | str,
    *,
    client: str | None = None,
    campaign_id: UUID | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str = "",
    options: Options | None = None,
    refusals_to: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Imports a CSV or TSV file, or standard input for `-`.

    The first of several rows with one address wins. A batch and its refusals commit together, so that an interrupted
    import goes on where it stopped and a repeated one does nothing. Raises BadFile before anything is stored.
    """
    choice = lead_rows.checked(options or Options())
    if refusals_to:
        with _writing(refusals_to, "a"):
            pass  # a place that cannot be written is told before a lead is taken
    with _on_disk(path) as (file, name):
        table = tables.look(file, name=name, encoding=encoding)
        mapped = lead_rows.map_columns(table.columns, columns)
        async with fleet.db.transaction() as db:
            owner = await the_client(db, client)
            fleet = fleet.of(owner)
            begun = await imports.begin(
                db,
                client_id=owner.id,
                file_name=name,
                sha256=table.sha256,
                columns=mapped.named(),
                at=fleet.clock.now(),
            )
        again = begun.state == "done"
        if not again:
            await _settle(fleet, begun, table, mapped, choice, campaign_id, progress)
        report = await _report(fleet, begun, table, again)
    if refusals_to:
        await write_refusals(fleet, report.import_id, refusals_to)
    return report


async def preview(
    path: Path | str, *, columns: Mapping[str, str] | None = None, encoding: str = ""
) -> tuple[Table, Columns]:
    """What the file is and how its columns would be read; nothing is stored."""
    with _on_disk(path) as (file, name):
        table = tables.look(file, name=name, encoding=encoding)
        return table, lead_rows.map_columns(table.columns, columns)


async def write_refusals(fleet: Fleet, import_id: UUID, to: Path) -> int:
    """Every refused row as CSV; a cell that a spreadsheet would run is quoted with an apostrophe."""
    written, after = 0, 0
    with _writing(to) as file:
        out = csv.writer(file)
        out.writerow(("row", "rule", "field", "value", "detail", "culprit"))
        while batch := await _refusals(fleet, import_id, after):
            out.writerows([_harmless(cell) for cell in _cells(each)] for each in batch)
            written, after = written + len(batch), batch[-1].row_no
    return written


@contextmanager
def _writing(to: Path, mode: str = "w") -> Generator[IO[str]]:
    try:
        with to.open(mode, encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise BadFile(f"{to} cannot be written: {error.strerror or error}.", hint="Choose another place.") from error


async def _refusals(fleet: Fleet, import_id: UUID, after: int) -> Sequence[Refusal]:
    async with fleet.db.connection() as db:
        return await imports.refusals(db, import_id, after=after)


def _cells(each: Refusal) -> tuple[object, ...]:
    return (each.row_no, each.rule, each.field, each.value, each.detail, each.culprit)


def _harmless(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text[:1] else text


async def _settle(
    fleet: Fleet,
    begun: Import,
    table: Table,
    columns: Columns,
    options: Options,
    campaign_id: UUID | None,
    progress: Progress | None,
) -> None:
    rows = tables.read(table, after=begun.rows_read)
    settled = 0
    while batch := list(islice(rows, BATCH)):
        await store(fleet, begun, batch, columns, options, campaign_id)
        settled += len(batch)
        if progress:
            progress(settled, table.rows)
    async with fleet.db.transaction() as db:
        await imports.finish(db, begun.id, fleet.clock.now())
        await audit.record(
            db, actor=fleet.actor, action="import_leads", entity="import", entity_id=begun.id, at=fleet.clock.now(),
            detail={"file": table.name, "sha256": table.sha256, "rows": table.rows},
        )  # fmt: skip


async def store(
    fleet: Fleet,
    begun: Import,
    batch: Sequence[tuple[int, list[str]]],
    columns: Columns,
    options: Options,
    campaign_id: UUID | None,
) -> None:
    good, refused = _judged(batch, columns, options, fleet)
    unknown = sum(lead_rows.country_unknown(each) for each in (*good, *refused))
    async with fleet.db.transaction() as db:
        outcomes = await leads.take(
            db, good, pepper=fleet.suppression_key, client_id=begun.client_id, import_id=begun.id,
            campaign_id=campaign_id, at=fleet.clock.now(),
        )  # fmt: skip
        by_row = {lead.row_no: lead for lead in good}
        refused += [
            Refusal(
                row_no=each.row_no, rule=each.why, field="email", value=by_row[each.row_no].email, culprit=each.culprit
            )
            for each in outcomes
            if each.why
        ]
        taken = sum(1 for each in outcomes if not each.why)
        await imports.advance(
            db, begun.id, rows_read=batch[-1][0], taken=taken, refused=refused, unknown_country=unknown
        )


def _judged(
    batch: Sequence[tuple[int, list[str]]], columns: Columns, options: Options, fleet: Fleet
) -> tuple[list[NewLead], list[Refusal]]:
    first: dict[str, NewLead] = {}
    refused: list[Refusal] = []
    for number, cells in batch:
        found = lead_rows.judge(number, cells, columns, options, fleet.policy.legal)
        if isinstance(found, Refusal):
            refused.append(found)
        elif earlier := first.get(found.email_norm):
            refused.append(
                Refusal(row_no=number, rule="duplicate_in_file", field="email", value=found.email,
                        culprit=f"row {earlier.row_no}")
            )  # fmt: skip
        else:
            first[found.email_norm] = found
    return list(first.values()), refused


async def _report(fleet: Fleet, begun: Import, table: Table, again: bool) -> Report:
    async with fleet.db.transaction() as db:
        done = await imports.finish(db, begun.id, fleet.clock.now())
        by_rule = await imports.refused_by_rule(db, begun.id)
        examples = await imports.refusals(db, begun.id, limit=10)
    return Report(
        import_id=begun.id,
        file=table.name,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=done.columns,
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


def batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Slices of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
