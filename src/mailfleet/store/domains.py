"""Domains, the keys their mailbox host issued, and their records: as wanted and as last seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, json_rows, row, rows, value

State = Literal["new", "zone_ready", "awaiting_key", "records_written", "verifying", "verified", "failed"]
Purpose = Literal["spf", "dkim", "dmarc", "mx", "tracking", "report", "foreign"]

_COLUMNS: LiteralString = """id, client_id, name, only_outreach, state, state_since, mailbox_host, dns_host, zone_ref,
    nameservers, mailboxes_wanted, verify_until, verified_at, last_good, errors, created_at"""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """`last_good` is the evidence of the last check that passed; a transient miss never overwrites it."""

    id: UUID
    client_id: UUID
    name: str
    only_outreach: bool
    state: State
    state_since: datetime
    mailbox_host: str
    dns_host: str
    zone_ref: str | None
    nameservers: list[str]
    mailboxes_wanted: int
    verify_until: datetime | None
    verified_at: datetime | None
    last_good: dict[str, Any]
    errors: list[str]
    created_at: datetime


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A DKIM key; `record` None: the host has not issued it yet."""

    selector: str
    record: str | None
    secret_id: UUID | None
    issued_by: str


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as we want it (`desired`) and as it was last seen by the outside."""

    id: UUID
    purpose: Purpose
    type: str
    name: str
    priority: int | None
    ttl: int
    desired: str | None
    previous: str | None
    provider_ref: str | None
    observed: list[str]
    outcome: Literal["unknown", "match", "mismatch", "missing", "error"]
    checked_at: datetime | None
    evidence: dict[str, Any]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A record to keep: what a plan decided. `previous` is the text that stood there before a merge."""

    purpose: Purpose
    type: str
    name: str
    desired: str
    priority: int | None = None
    ttl: int = 300
    previous: str | None = None
    provider_ref: str | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a check saw for one stored record."""

    id: UUID
    outcome: Literal["match", "mismatch", "missing", "error"]
    seen: list[str]
    evidence: dict[str, Any]


async def add(
    db: Connection,
    name: str,
    *,
    client_id: UUID,
    at: datetime,
    mailbox_host: str = "custom_smtp",
    dns_host: str = "cloudflare",
    only_outreach: bool = True,
) -> Domain:
    """The domain of this name, added if new; an existing one is returned as it is, whoever's it may be."""
    await execute(
        db,
        """insert into mailfleet.domains
               (client_id, name, mailbox_host, dns_host, only_outreach, state_since, created_at)
           values (%s, %s, %s, %s, %s, %s, %s) on conflict (name) do nothing""",
        [client_id, name, mailbox_host, dns_host, only_outreach, at, at],
    )
    found = await find(db, name)
    assert found is not None
    return found


async def find(db: Connection, name: str) -> Domain | None:
    return await row(db, Domain, "select " + _COLUMNS + " from mailfleet.domains where name = %s", [name])


async def by_zone(db: Connection, zone_ref: str) -> Domain | None:
    return await row(db, Domain, "select " + _COLUMNS + " from mailfleet.domains where zone_ref = %s", [zone_ref])


async def get(db: Connection, id: UUID) -> Domain | None:
    return await row(db, Domain, "select " + _COLUMNS + " from mailfleet.domains where id = %s", [id])


async def every(db: Connection, *, states: Sequence[State] = (), client_id: UUID | None = None) -> Sequence[Domain]:
    """By name; all states when none is named."""
    return await rows(
        db,
        Domain,
        "select "
        + _COLUMNS
        + """ from mailfleet.domains
           where (%(states)s::text[] = '{}' or state = any(%(states)s))
             and (%(client)s::uuid is null or client_id = %(client)s)
           order by name""",
        {"states": list(states), "client": client_id},
    )


async def move(db: Connection, domain: Domain, to: State, at: datetime) -> bool:
    """Changes the state if nobody else did since `domain` was read."""
    changed = await execute(
        db,
        """update mailfleet.domains set state = %s, state_since = %s,
               verified_at = case when %s = 'verified' then %s else verified_at end
           where id = %s and state = %s""",
        [to, at, to, at, domain.id, domain.state],
    )
    return changed == 1


async def set_zone(db: Connection, id: UUID, zone_ref: str, nameservers: Sequence[str]) -> None:
    await execute(
        db,
        "update mailfleet.domains set zone_ref = %s, nameservers = %s where id = %s",
        [zone_ref, list(nameservers), id],
    )


async def want(db: Connection, id: UUID, *, mailboxes: int) -> None:
    await execute(
        db,
        "update mailfleet.domains set mailboxes_wanted = greatest(mailboxes_wanted, %s) where id = %s",
        [mailboxes, id],
    )


async def set_only_outreach(db: Connection, id: UUID, only: bool) -> None:
    await execute(db, "update mailfleet.domains set only_outreach = %s where id = %s", [only, id])


async def set_deadline(db: Connection, id: UUID, until: datetime) -> None:
    """From the first writing of the records; later writings do not move it."""
    await execute(
        db, "update mailfleet.domains set verify_until = coalesce(verify_until, %s) where id = %s", [until, id]
    )


async def restart_deadline(db: Connection, id: UUID, until: datetime) -> None:
    await execute(db, "update mailfleet.domains set verify_until = %s where id = %s", [until, id])


async def untouched_since_verified(db: Connection, id: UUID) -> bool:
    """Was it verified, and is none of its records newer than that? What differs then, somebody else changed."""
    return bool(
        await value(
            db,
            """select d.verified_at is not null
                      and not exists (select from mailfleet.dns_records r
                                      where r.domain_id = d.id and r.desired is not null
                                        and r.purpose in ('spf', 'dkim', 'dmarc', 'mx')
                                        and r.written_at > d.verified_at)
               from mailfleet.domains d where d.id = %s""",
            [id],
        )
    )


async def unseen_since(db: Connection, at: datetime) -> Sequence[Domain]:
    """Verified domains whose records were last looked at before `at`, by name."""
    return await rows(
        db,
        Domain,
        "select "
        + _COLUMNS
        + """ from mailfleet.domains d
           where state = 'verified'
             and coalesce((select max(checked_at) from mailfleet.dns_records r where r.domain_id = d.id),
                          verified_at, created_at) <= %s
           order by name""",
        [at],
    )


async def set_errors(db: Connection, id: UUID, errors: Sequence[str]) -> None:
    await execute(db, "update mailfleet.domains set errors = %s where id = %s", [Json(list(errors)), id])


async def set_last_good(db: Connection, id: UUID, evidence: Mapping[str, object]) -> None:
    await execute(db, "update mailfleet.domains set last_good = %s where id = %s", [Json(dict(evidence)), id])


async def keys(db: Connection, domain_id: UUID) -> Sequence[StoredKey]:
    return await rows(
        db,
        StoredKey,
        """select selector, record, secret_id, issued_by from mailfleet.dkim_keys
           where domain_id = %s order by issued_at nulls last, selector""",
        [domain_id],
    )


async def put_key(
    db: Connection,
    domain_id: UUID,
    *,
    selector: str,
    record: str | None,
    secret_id: UUID | None,
    issued_by: str,
    at: datetime,
) -> None:
    """Keeps the key; one that is already issued is never replaced under its selector (rotation takes a new one)."""
    await execute(
        db,
        """insert into mailfleet.dkim_keys (domain_id, selector, record, secret_id, issued_by, issued_at)
           values (%(domain)s, %(selector)s, %(record)s, %(secret)s, %(by)s,
                   case when %(record)s::text is null then null else %(at)s::timestamptz end)
           on conflict (domain_id, selector) do update
               set record = excluded.record, secret_id = excluded.secret_id, issued_at = excluded.issued_at
               where mailfleet.dkim_keys.record is null""",
        {"domain": domain_id, "selector": selector, "record": record, "secret": secret_id, "by": issued_by, "at": at},
    )


async def records(db: Connection, domain_id: UUID) -> Sequence[StoredRecord]:
    """Those we want, in a stable order."""
    return await rows(
        db,
        StoredRecord,
        """select id, purpose, type, name, priority, ttl, desired, previous, provider_ref, observed, outcome,
                  checked_at, evidence
           from mailfleet.dns_records where domain_id = %s and desired is not null order by purpose, name, priority""",
        [domain_id],
    )


async def put_records(db: Connection, domain_id: UUID, wanted: Sequence[Wanted], at: datetime) -> None:
    """Keeps what is wanted. A changed text makes the outcome unknown; the first `previous` kept is the way back."""
    await execute(
        db,
        """insert into mailfleet.dns_records
               (domain_id, purpose, type, name, priority, ttl, desired, previous, provider_ref, written_at)
           select %(domain)s, purpose, type, name, priority, ttl, desired, previous, provider_ref, %(at)s
           from json_to_recordset(%(wanted)s::json) as w(purpose text, type text, name text, priority int, ttl int,
                                                         desired text, previous text, provider_ref text)
           on conflict (domain_id, purpose, type, name, coalesce(priority, -1)) where desired is not null
           do update set
               ttl = excluded.ttl, provider_ref = coalesce(excluded.provider_ref, dns_records.provider_ref),
               previous = coalesce(dns_records.previous, excluded.previous),
               outcome = case when dns_records.desired = excluded.desired then dns_records.outcome else 'unknown' end,
               written_at = case when dns_records.desired = excluded.desired then dns_records.written_at
                                 else excluded.written_at end,
               desired = excluded.desired""",
        {"domain": domain_id, "at": at, "wanted": json_rows(wanted)},
    )


async def put_observed(db: Connection, seen: Sequence[Observed], at: datetime) -> None:
    """Stores a check. A server's silence (`error`) is evidence but overwrites neither outcome nor values."""
    await execute(
        db,
        """update mailfleet.dns_records r
           set evidence = o.evidence, checked_at = %(at)s,
               observed = case when o.outcome = 'error' then r.observed else o.seen end,
               outcome = case when o.outcome = 'error' and r.outcome <> 'unknown' then r.outcome else o.outcome end
           from json_to_recordset(%(seen)s::json) as o(id uuid, outcome text, seen jsonb, evidence jsonb)
           where r.id = o.id""",
        {"at": at, "seen": json_rows(seen)},
    )
