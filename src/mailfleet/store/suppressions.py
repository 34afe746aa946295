"""Who may never be written to. Compared by keyed hash, so that an entry outlives the erasure of its address (L9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples, value

Scope = Literal["address", "domain", "person"]
Reason = Literal[
    "hard_bounce", "unsubscribe", "complaint", "negative_reply", "invalid", "manual", "import", "vendor", "erasure"
]

_COLUMNS: LiteralString = "id, scope, key, client_id, reason, source, evidence, created_at, created_by"

HITS: LiteralString = """s.key_hash in (mailfleet.suppression_hash(%(pepper)s, 'address', {0}.email_norm),
        mailfleet.suppression_hash(%(pepper)s, 'domain', {0}.domain),
        mailfleet.suppression_hash(%(pepper)s, 'person', {0}.person_key))
    and (s.client_id is null or s.client_id = {0}.client_id)"""
"""The condition under which suppression `s` covers a row with email_norm, domain, person_key and client_id."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """`key` None: erased, the hash alone is left. `client_id` None: everywhere."""

    id: UUID
    scope: Scope
    key: str | None
    client_id: UUID | None
    reason: Reason
    source: str
    evidence: dict[str, Any]
    created_at: datetime
    created_by: str


def hits(alias: LiteralString) -> LiteralString:
    return HITS.replace("{0}", alias)


async def add(
    db: Connection,
    *,
    pepper: bytes,
    scope: Scope,
    key: str,
    client_id: UUID | None,
    reason: Reason,
    source: str,
    evidence: Mapping[str, object],
    by: str,
    at: datetime,
) -> UUID | None:
    """The new entry's id, or None when it was there before."""
    return await value(
        db,
        """insert into mailfleet.suppressions
               (scope, key, key_hash, client_id, reason, source, evidence, created_at, created_by)
           values (%(scope)s, %(key)s, mailfleet.suppression_hash(%(pepper)s, %(scope)s, %(key)s), %(client)s,
                   %(reason)s, %(source)s, %(evidence)s, %(at)s, %(by)s)
           on conflict do nothing returning id""",
        {
            "scope": scope,
            "key": key,
            "pepper": pepper,
            "client": client_id,
            "reason": reason,
            "source": source,
            "evidence": Json(dict(evidence)),
            "at": at,
            "by": by,
        },
    )


async def add_many(
    db: Connection,
    entries: Sequence[Mapping[str, object]],
    *,
    pepper: bytes,
    client_id: UUID | None,
    source: str,
    by: str,
    at: datetime,
) -> int:
    """Adds {scope, key, reason} entries in one statement; how many were new."""
    found = await rows(
        db,
        _Id,
        """insert into mailfleet.suppressions (scope, key, key_hash, client_id, reason, source, created_at, created_by)
           select distinct on (scope, key) scope, key, mailfleet.suppression_hash(%(pepper)s, scope, key), %(client)s,
                  reason, %(source)s, %(at)s, %(by)s
           from json_to_recordset(%(entries)s::json) as e(scope text, key text, reason text)
           on conflict do nothing returning id""",
        {"pepper": pepper, "client": client_id, "source": source, "at": at, "by": by, "entries": json_rows(entries)},
    )
    return len(found)


async def add_addresses(
    db: Connection, entries: Sequence[Mapping[str, object]], *, pepper: bytes, by: str, at: datetime
) -> set[str]:
    """Adds {key, reason, source, evidence} entries that hold everywhere; the keys that were new."""
    found = await tuples(
        db,
        """insert into mailfleet.suppressions
               (scope, key, key_hash, reason, source, evidence, created_at, created_by)
           select distinct on (key) 'address', key, mailfleet.suppression_hash(%(pepper)s, 'address', key), reason,
                  source, evidence, %(at)s, %(by)s
           from json_to_recordset(%(entries)s::json) as e(key text, reason text, source text, evidence jsonb)
           order by key on conflict do nothing returning key""",
        {"pepper": pepper, "at": at, "by": by, "entries": json_rows(entries)},
    )
    return {key for (key,) in found}


async def lift(db: Connection, *, source: str) -> list[str]:
    """Takes back what one source made, when a person says that it was wrong; the keys."""
    found = await tuples(
        db, "delete from mailfleet.suppressions where source = %s returning coalesce(key, '')", [source]
    )
    return [key for (key,) in found]


async def everywhere(db: Connection, keys: Sequence[str], *, pepper: bytes) -> set[str]:
    """Those of these addresses and domains that an entry for every client names now, erased or not."""
    found = await tuples(
        db,
        """select k from unnest(%(keys)s::text[]) as given (k)
           where exists (select 1 from mailfleet.suppressions s
                         where s.client_id is null
                           and s.key_hash in (mailfleet.suppression_hash(%(pepper)s, 'address', k),
                                              mailfleet.suppression_hash(%(pepper)s, 'domain', k)))""",
        {"keys": list(keys), "pepper": pepper},
    )
    return {key for (key,) in found}


class _Id(msgspec.Struct, frozen=True):
    id: UUID


async def mark(db: Connection, *, client_id: UUID | None, pepper: bytes) -> int:
    """Writes into the transaction's table `incoming` what suppresses each row; how many are.

    By the keys themselves, an index a scope; by keyed hash only where an entry outlived an erasure (L9).
    """
    found = 0
    marks = (*_MARKS, _MARK_ERASED) if await value(db, _ANY_ERASED) else _MARKS
    for sql in marks:
        found += await execute(db, sql, {"client": client_id, "pepper": pepper})
    return found


_BY: LiteralString = """ set suppressed_by = s.scope || ':' || s.reason || ' ' || s.id
    from mailfleet.suppressions s
    where i.suppressed_by is null and (s.client_id is null or s.client_id = %(client)s::uuid) and """
_MARKS: tuple[LiteralString, ...] = (
    "update incoming i" + _BY + "s.scope = 'address' and s.key = i.email_norm",
    "update incoming i" + _BY + "s.scope = 'domain' and s.key = i.domain",
    "update incoming i" + _BY + "s.scope = 'person' and s.key = i.person_key and i.person_key <> ''",
)
_MARK_ERASED: LiteralString = (
    "update incoming i"
    + _BY
    + """s.key is null and s.key_hash in (
    mailfleet.suppression_hash(%(pepper)s, 'address', i.email_norm),
    mailfleet.suppression_hash(%(pepper)s, 'domain', i.domain),
    mailfleet.suppression_hash(%(pepper)s, 'person', i.person_key))"""
)
_ANY_ERASED: LiteralString = "select 1 from mailfleet.suppressions where key is null limit 1"


async def covering(
    db: Connection, *, pepper: bytes, email_norm: str, domain: str, person_key: str, client_id: UUID | None
) -> Suppression | None:
    """The oldest entry that covers this address; without a client only those that hold everywhere count."""
    found = await rows(
        db,
        Suppression,
        "select "
        + _COLUMNS
        + """ from mailfleet.suppressions s
           where s.key_hash in (mailfleet.suppression_hash(%(pepper)s, 'address', %(email)s),
                                mailfleet.suppression_hash(%(pepper)s, 'domain', %(domain)s),
                                mailfleet.suppression_hash(%(pepper)s, 'person', %(person)s))
             and (s.client_id is null or s.client_id = %(client)s)
           order by created_at, id limit 1""",
        {"pepper": pepper, "email": email_norm, "domain": domain, "person": person_key, "client": client_id},
    )
    return found[0] if found else None


async def every(
    db: Connection, *, client_id: UUID | None = None, after: UUID | None = None, limit: int = 1000
) -> Sequence[Suppression]:
    """By id, for listing and export; entries that hold everywhere are always among them."""
    return await rows(
        db,
        Suppression,
        "select "
        + _COLUMNS
        + """ from mailfleet.suppressions
           where (%(client)s::uuid is null or client_id is null or client_id = %(client)s)
             and (%(after)s::uuid is null or id > %(after)s)
           order by id limit %(limit)s""",
        {"client": client_id, "after": after, "limit": limit},
    )


async def counts(db: Connection) -> dict[str, int]:
    found = await rows(
        db, _Count, "select reason as name, count(*)::int as n from mailfleet.suppressions group by 1 order by 1"
    )
    return {each.name: each.n for each in found}


class _Count(msgspec.Struct, frozen=True):
    name: str
    n: int


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that left although an entry for its lead stood before it."""

    lead_id: int
    client_id: UUID
    email: str
    campaign_id: UUID | None
    sent_at: datetime
    suppressed_at: datetime
    entry: UUID


async def sent_after(db: Connection, *, since: datetime, limit: int = 100) -> Sequence[Late]:
    """Mails that left since then to addresses, domains or persons suppressed before."""
    return await rows(
        db,
        Late,
        """with sent as (
               select e.lead_id, e.campaign_id, e.at, l.client_id, l.email_norm, l.domain, l.person_key
               from mailfleet.events e join mailfleet.leads l on l.id = e.lead_id
               where e.kind = 'sent' and e.id >= mailfleet.uuid_floor(%(since)s)),
           hit as (
               select x.*, s.created_at, s.id from sent x join mailfleet.suppressions s
                    on s.scope = 'address' and s.key = x.email_norm and s.created_at < x.at
                       and (s.client_id is null or s.client_id = x.client_id)
               union all
               select x.*, s.created_at, s.id from sent x join mailfleet.suppressions s
                    on s.scope = 'domain' and s.key = x.domain and s.created_at < x.at
                       and (s.client_id is null or s.client_id = x.client_id)
               union all
               select x.*, s.created_at, s.id from sent x join mailfleet.suppressions s
                    on s.scope = 'person' and s.key = x.person_key and s.created_at < x.at
                       and (s.client_id is null or s.client_id = x.client_id)
               where x.person_key <> '')
           select lead_id, client_id, email_norm as email, campaign_id, at as sent_at, created_at as suppressed_at,
                  id as entry
           from hit order by at limit %(limit)s""",
        {"since": since, "limit": limit},
    )
