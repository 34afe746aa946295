"""Leads from an agency's own table: taken when they are ready to send, judged like a file's, written back (S12d)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mailfleet.errors import ConfigError
from mailfleet.services import imports, lead_rows
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.services.lead_batches import Batcher
from mailfleet.services.lead_rows import Columns, Options
from mailfleet.store import imports as records
from mailfleet.store import lead_source, leads
from mailfleet.store.clients import Client
from mailfleet.store.database import Connection
from mailfleet.store.imports import Refusal
from mailfleet.store.lead_source import Source

_PAGE = 2000


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sources: tuple[Source, ...]


def load(path: Path | None) -> tuple[Source, ...]:
    """The sources of a TOML file. Raises ConfigError naming what is wrong in it."""
    if path is None:
        return ()
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).sources
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"The lead source {path} cannot be used: {error}.", hint="docs/leads.md shows one in full."
        ) from error


async def take(fleet: Fleet) -> int:
    """Everything that is ready there becomes ours, or is refused with its reason; how many were taken.

    A row is recorded in the transaction that stores its lead, so that it is taken once however often this is killed.
    """
    total = 0
    for source in fleet.lead_sources:
        async with fleet.db.connection() as db:
            client = await the_client(db, source.client or None)
            fields = await _fields(db, source)
        own = fleet.of(client)
        while True:
            read, count = await _page(own, client, source, fields)
            total += count
            if read < _PAGE:
                break
    return total


async def _fields(db: Connection, source: Source) -> Mapping[str, str]:
    """Their column → the name our mapping knows it by. Raises ConfigError for a table or column that is not there."""
    there = await lead_source.columns(db, source)
    if not there:
        raise ConfigError(f"There is no table {source.name}.", hint="Or this role may not read it.")
    own = {source.columns.get(name, name): name for name in lead_rows.NAMES}
    wanted = {column: name for column, name in own.items() if column in there}
    written = [source.key, source.status, source.deleted, source.smartlead_id, source.email_status]
    asked = [*source.columns.values(), *source.fields, *filter(None, [*written, source.client_column])]
    if missing := sorted(set(asked) - there.keys()):
        raise ConfigError(f"{source.name} has no column {', '.join(missing)}.", hint=f"It has {', '.join(there)}.")
    if "email" not in wanted.values():
        raise ConfigError(f"{source.name} has no column for the address.", hint="Name it: columns = { email = … }.")
    return {**wanted, **{name: name for name in source.fields}}


async def _page(fleet: Fleet, client: Client, source: Source, fields: Mapping[str, str]) -> tuple[int, int]:
    """(rows read, leads taken) of one transaction."""
    now = fleet.clock.now()
    async with fleet.db.transaction() as db:
        begun = await records.begin(
            db, client_id=client.id, file_name=source.name, sha256=f"source:{source.name}", columns=fields, at=now
        )
        found = await lead_source.waiting(db, source, list(fields), _PAGE)
        if not found:
            return 0, 0
        columns = _columns(fields, source)
        options = Options(country=source.country, source=source.lead_source)
        rows = [
            (begun.rows_read + n, [each[column] or "" for column in fields]) for n, each in enumerate(found, start=1)
        ]
        chunk = Batcher(columns, options, fleet.policy.legal).chunk(rows)
        assert chunk is not None
        refused = await imports.store_in(fleet, db, begun, chunk, None)
        keys = {number: str(each["key"]) for (number, _), each in zip(rows, found, strict=True)}
        why = {each.row_no: each for each in refused}
        ids = await leads.copied_ids(db, client.id)
        entries = [_entry(keys[number], ids.get(number), why.get(number)) for number in keys]
        await lead_source.taken(db, source, entries, now)
    return len(found), len(found) - len(refused)


def _columns(fields: Mapping[str, str], source: Source) -> Columns:
    names = list(fields.values())
    ours = {name: place for place, name in enumerate(names) if name in lead_rows.NAMES}
    further = {name: place for place, name in enumerate(names) if name in source.fields}
    return Columns(ours=ours, further=further, header=tuple(fields))


def _entry(key: str, lead_id: int | None, refused: Refusal | None) -> dict[str, Any]:
    """A row whose person is our lead already stands for that lead."""
    return {"key": key, "lead_id": lead_id, "reason": refused.rule if refused and lead_id is None else ""}


async def write_back(fleet: Fleet) -> int:
    """Brings `smartlead_id`, `email_status` and `status` there up to date; how many rows."""
    total = 0
    for source in fleet.lead_sources:
        async with fleet.db.connection() as db:
            types = await lead_source.columns(db, source)
        while True:
            async with fleet.db.transaction() as db:
                found = await lead_source.changed(db, source, _PAGE)
                await lead_source.write(db, source, types[source.key], found, fleet.clock.now())
            total += len(found)
            if len(found) < _PAGE:
                break
    return total


async def withdrawn(fleet: Fleet, db: Connection, ids: Sequence[int]) -> Mapping[int, str]:
    """In the claim's transaction: leads that their own schema no longer wants written to."""
    found: dict[int, str] = {}
    for source in (fleet.workspace or fleet).lead_sources:
        if ids:
            found |= await lead_source.withdrawn(db, source, ids)
    return found
