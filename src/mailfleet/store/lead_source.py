"""A table of leads that is not ours: read, written back in three columns, and nothing else of its schema touched.

Its names come from the operator's file, so statements are composed of quoted identifiers here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import sql

from mailfleet.store.database import Connection, dicts, execute, json_rows, rows


class Suppressed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table whose rows are never written to. `client_column`: rows of other clients do not count."""

    table: str
    schema: str = "public"
    column: str = "email"
    scope: Literal["address", "domain"] = "address"
    client_column: str = ""
    deleted: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of leads, and whose they are. Columns named "" are not there and not written."""

    table: str = "leads"
    schema: str = "public"
    key: str = "id"
    client: str = ""
    """Slug of our client; not needed when there is one."""
    client_column: str = ""
    client_value: str = ""
    """Only rows with this value in `client_column` are taken: their id of the client."""
    columns: Mapping[str, str] = {}
    """Our field → their column; those of the same name need no entry."""
    fields: Sequence[str] = ()
    """Further columns that become merge fields."""
    lead_source: str = ""
    """Where the leads come from, for rows that do not say it (L4)."""
    country: str = ""
    status: str = "status"
    ready: str = "ready_to_send"
    deleted: str = ""
    smartlead_id: str = "smartlead_id"
    email_status: str = "email_status"
    statuses: Mapping[str, str] = {}
    """Our status → theirs. Those without an entry are not written."""
    email_statuses: Mapping[str, str] | None = None
    """The same of the delivery's status; None: as ours are."""
    suppressions: Sequence[Suppressed] = ()

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A lead whose row there says something else than ours now does."""

    key: str
    status: str
    email_status: str
    smartlead_id: str
    last_status: str


async def columns(db: Connection, source: Source) -> Mapping[str, str]:
    """The table's columns and their types; empty when it is not there or not ours to read."""
    found = await dicts(
        db,
        """select a.attname as name, format_type(a.atttypid, null) as type
           from pg_attribute a where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped""",
        [sql.Identifier(source.schema, source.table).as_string(db)],
    )
    return {each["name"]: each["type"] for each in found}


async def waiting(db: Connection, source: Source, wanted: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Rows ready to send that were not taken yet, or were set back to ready by a person after we refused them."""
    table = sql.Identifier(source.schema, source.table)
    query = sql.SQL(
        """select t.{key}::text as "key", {columns} from {table} t
           where t.{status}::text = %(ready)s and {alive} and {client}
             and not exists (select 1 from mailfleet.source_leads s
                             where s.source = %(source)s and s.key = t.{key}::text
                               and not (s.lead_id is null and s.status <> ''))
           order by t.{key} limit %(limit)s"""
    ).format(
        key=sql.Identifier(source.key),
        columns=sql.SQL(", ").join(sql.SQL("t.{0}::text as {0}").format(sql.Identifier(name)) for name in wanted),
        table=table, status=sql.Identifier(source.status), alive=_alive(source.deleted, "t"),
        client=_of_client(source.client_column, "t"),
    )  # fmt: skip
    given = {"ready": source.ready, "source": source.name, "limit": limit, "client": source.client_value}
    async with db.cursor() as cursor:
        await cursor.execute(query, given)
        names = [each.name for each in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


def _alive(deleted: str, alias: str) -> sql.Composable:
    if not deleted:
        return sql.SQL("true")
    return sql.SQL("{}.{} is null").format(sql.Identifier(alias), sql.Identifier(deleted))


def _of_client(column: str, alias: str) -> sql.Composable:
    if not column:
        return sql.SQL("true")
    return sql.SQL("{}.{}::text = %(client)s").format(sql.Identifier(alias), sql.Identifier(column))


async def taken(db: Connection, source: Source, entries: Sequence[Mapping[str, object]], at: datetime) -> None:
    """Records {key, lead_id, reason} of rows that were judged."""
    await execute(
        db,
        """insert into mailfleet.source_leads (source, key, lead_id, reason, taken_at)
           select %(source)s, key, lead_id, reason, %(at)s
           from json_to_recordset(%(rows)s::json) as r(key text, lead_id bigint, reason text)
           on conflict (source, key) do update
               set lead_id = excluded.lead_id, reason = excluded.reason, status = '', taken_at = excluded.taken_at""",
        {"source": source.name, "rows": json_rows(entries), "at": at},
    )


async def changed(db: Connection, source: Source, limit: int) -> Sequence[Written]:
    """Leads of this source whose row there is behind, locked against another writer."""
    return await rows(
        db,
        Written,
        """select s.key, coalesce(l.status, 'invalid') as status, coalesce(l.email_status, '') as email_status,
                  coalesce(l.smartlead_id, '') as smartlead_id, s.status as last_status
           from mailfleet.source_leads s left join mailfleet.leads l on l.id = s.lead_id
           where s.source = %(source)s
             and (coalesce(l.status, 'invalid'), coalesce(l.email_status, ''), coalesce(l.smartlead_id, ''))
                 is distinct from (s.status, s.email_status, s.smartlead_id)
             and not (s.status = '' and coalesce(l.status, '') in ('ready_to_send', 'new'))
             and (l.id is not null or s.reason <> '')
           order by s.key limit %(limit)s for update of s""",
        {"source": source.name, "limit": limit},
    )


async def write(db: Connection, source: Source, type_: str, found: Sequence[Written], at: datetime) -> None:
    """Writes their three columns. A status that a person changed there meanwhile is left as it is."""
    table, status = sql.Identifier(source.schema, source.table), sql.Identifier(source.status)
    names = source.email_statuses
    for each in found:
        sets: list[sql.Composable] = []
        given: dict[str, object] = {"key": each.key, "id": each.smartlead_id or None}
        if source.smartlead_id:
            sets.append(sql.SQL("{} = %(id)s").format(sql.Identifier(source.smartlead_id)))
        mail = each.email_status if names is None else names.get(each.email_status, "")
        if source.email_status and mail:
            sets.append(sql.SQL("{} = %(mail)s").format(sql.Identifier(source.email_status)))
            given["mail"] = mail
        if theirs := source.statuses.get(each.status):
            known = {source.ready, source.statuses.get(each.last_status, source.ready)}
            given |= {"status": theirs, "known": sorted(known)}
            sets.append(
                sql.SQL("{0} = case when {0}::text = any(%(known)s) then %(status)s else {0} end").format(status)
            )
        if sets:
            query = sql.SQL("update {} set {} where {} = %(key)s::text::{}").format(
                table, sql.SQL(", ").join(sets), sql.Identifier(source.key), _type(type_)
            )
            await db.execute(query, given)
    await execute(
        db,
        """update mailfleet.source_leads s
           set status = r.status, email_status = r.email_status, smartlead_id = r.smartlead_id, written_at = %(at)s
           from json_to_recordset(%(rows)s::json) as r(key text, status text, email_status text, smartlead_id text)
           where s.source = %(source)s and s.key = r.key""",
        {"source": source.name, "rows": json_rows(found), "at": at},
    )


def _type(name: str) -> sql.Composable:
    """A type's name as the catalogue tells it: quoted there where it has to be."""
    return sql.SQL(name)  # type: ignore[arg-type]


async def withdrawn(db: Connection, source: Source, ids: Sequence[int]) -> Mapping[int, str]:
    """Those of these leads whose row there is no longer ready, or deleted, or on a list → what excludes them."""
    found: dict[int, str] = {}
    query = sql.SQL(
        """select s.lead_id from mailfleet.source_leads s left join {table} t on t.{key}::text = s.key
           where s.source = %(source)s and s.lead_id = any(%(ids)s)
             and (t.{key} is null or t.{status}::text <> %(ready)s or not ({alive}))"""
    ).format(
        table=sql.Identifier(source.schema, source.table), key=sql.Identifier(source.key),
        status=sql.Identifier(source.status), alive=_alive(source.deleted, "t"),
    )  # fmt: skip
    given = {"source": source.name, "ids": list(ids), "ready": source.ready, "client": source.client_value}
    for (lead_id,) in await (await db.execute(query, given)).fetchall():
        found[lead_id] = f"{source.name} row withdrawn"
    for each in source.suppressions:
        lead = sql.SQL("l.email_norm" if each.scope == "address" else "l.domain")
        query = sql.SQL(
            """select l.id from mailfleet.leads l where l.id = any(%(ids)s) and exists (
                   select 1 from {table} x
                   where ltrim(lower(x.{column}::text), '@') = {lead} and {alive} and {client})"""
        ).format(
            table=sql.Identifier(each.schema, each.table), column=sql.Identifier(each.column), lead=lead,
            alive=_alive(each.deleted, "x"),
            client=sql.SQL("(x.{0} is null or x.{0}::text = %(client)s)").format(sql.Identifier(each.client_column))
            if each.client_column
            else sql.SQL("true"),
        )  # fmt: skip
        for (lead_id,) in await (await db.execute(query, given)).fetchall():
            found[lead_id] = f"{each.schema}.{each.table}"
    return found
