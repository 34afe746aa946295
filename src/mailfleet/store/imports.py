"""Imports of lead files: how far each came, and every row that was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, row, rows, value

_COLUMNS: LiteralString = """id, client_id, file_name, sha256, columns, state, rows_read, taken, refused,
    unknown_country, started_at, finished_at"""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """`rows_read` rows are settled for good: an interrupted import goes on after them."""

    id: UUID
    client_id: UUID
    file_name: str
    sha256: str
    columns: dict[str, Any]
    state: str
    rows_read: int
    taken: int
    refused: int
    unknown_country: int
    started_at: datetime
    finished_at: datetime | None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One row that was not taken. `row_no` counts as a spreadsheet does: the header is row 1."""

    row_no: int
    rule: str
    field: str = ""
    value: str = ""
    detail: str = ""
    culprit: str = ""


class RuleCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows one rule refused, and the first of them."""

    rule: str
    n: int
    rows: list[int]


async def begin(
    db: Connection, *, client_id: UUID, file_name: str, sha256: str, columns: Mapping[str, str], at: datetime
) -> Import:
    """The import of this very file for this client: the one under way or done, or a new one."""
    found = await row(
        db,
        Import,
        "select "
        + _COLUMNS
        + """ from mailfleet.imports where client_id = %s and sha256 = %s and state <> 'failed'
           order by started_at limit 1""",
        [client_id, sha256],
    )
    if found:
        return found
    made = await row(
        db,
        Import,
        """insert into mailfleet.imports (client_id, file_name, sha256, columns, started_at)
           values (%s, %s, %s, %s, %s) returning """
        + _COLUMNS,
        [client_id, file_name, sha256, Json(dict(columns)), at],
    )
    assert made is not None
    return made


async def saved_columns(db: Connection, client_id: UUID, header_hash: str) -> Mapping[str, str]:
    """The mapping (our field → file column) that a person gave for this header; empty without one."""
    return (
        await value(
            db,
            "select columns from mailfleet.column_maps where client_id = %s and header_hash = %s",
            [client_id, header_hash],
        )
        or {}
    )


async def save_columns(
    db: Connection, client_id: UUID, header_hash: str, columns: Mapping[str, str], at: datetime
) -> None:
    await execute(
        db,
        """insert into mailfleet.column_maps (client_id, header_hash, columns, updated_at) values (%s, %s, %s, %s)
           on conflict (client_id, header_hash)
               do update set columns = excluded.columns, updated_at = excluded.updated_at""",
        [client_id, header_hash, Json(dict(columns)), at],
    )


async def advance(
    db: Connection, id: UUID, *, rows_read: int, taken: int, refused: Sequence[Refusal], unknown_country: int = 0
) -> None:
    """One batch further, in the transaction that stored the batch."""
    await execute(
        db,
        """insert into mailfleet.import_refusals (import_id, row_no, field, value, rule, detail, culprit)
           select %s, row_no, field, value, rule, detail, culprit
           from json_to_recordset(%s::json)
                as r(row_no bigint, field text, value text, rule text, detail text, culprit text)
           on conflict do nothing""",
        [id, json_rows(refused)],
    )
    await execute(
        db,
        """update mailfleet.imports
           set rows_read = %s, taken = taken + %s, refused = refused + %s, unknown_country = unknown_country + %s
           where id = %s""",
        [rows_read, taken, len(refused), unknown_country, id],
    )


async def finish(db: Connection, id: UUID, at: datetime) -> Import:
    await execute(
        db,
        "update mailfleet.imports set state = 'done', finished_at = coalesce(finished_at, %s) where id = %s",
        [at, id],
    )
    found = await row(db, Import, "select " + _COLUMNS + " from mailfleet.imports where id = %s", [id])
    assert found is not None
    return found


async def refused_by_rule(db: Connection, id: UUID) -> Sequence[RuleCount]:
    """Most frequent first, with the first five rows of each."""
    return await rows(
        db,
        RuleCount,
        """select rule, count(*)::int as n, (array_agg(row_no order by row_no))[1:5] as rows
           from mailfleet.import_refusals where import_id = %s group by rule order by 2 desc, 1""",
        [id],
    )


async def refusals(db: Connection, id: UUID, *, after: int = 0, limit: int = 1000) -> Sequence[Refusal]:
    return await rows(
        db,
        Refusal,
        """select row_no, rule, field, value, detail, culprit from mailfleet.import_refusals
           where import_id = %s and row_no > %s order by row_no limit %s""",
        [id, after, limit],
    )
