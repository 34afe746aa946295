"""Every write to a vendor, recorded before it leaves (I5).

intended → done | refused | abandoned (it never left) | ambiguous; ambiguous → reconciled_done | reconciled_absent |
unreadable (there is nothing to read it from) | abandoned (a person's word). An entry that stays `intended` belongs to
a process that died: it counts as ambiguous once it is old enough, by the database's clock, that no attempt can still be
under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.clock import Clock
from mailfleet.errors import StoreError
from mailfleet.store.database import Connection, Database, execute, row, rows, tuples, value

State = Literal[
    "intended", "done", "refused", "ambiguous", "reconciled_done", "reconciled_absent", "unreadable", "abandoned"
]
Settled = Literal["done", "refused", "ambiguous", "abandoned"]
Reconciled = Literal["reconciled_done", "reconciled_absent", "unreadable", "abandoned"]

LONGEST_ATTEMPT = timedelta(minutes=15)
"""Real time after which nobody can still be waiting for an answer."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One write. `match` is what reconciliation reads and compares."""

    id: UUID
    vendor: str
    operation: str
    key_id: str
    target: str
    request: dict[str, Any]
    match: dict[str, Any]
    state: State
    outcome: dict[str, Any]
    error: str
    actor: str
    intended_at: datetime
    finished_at: datetime | None


class Open(Entry, frozen=True, kw_only=True):
    """One whose outcome is unknown. `wall_at` and `age` are by the database's clock."""

    wall_at: datetime
    age: timedelta


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How many outcomes are unknown, and how long the oldest has been."""

    entries: int
    oldest: timedelta | None


class PostgresJournal:
    """What the transport writes to. Each record is committed, and durable, before the call returns."""

    def __init__(self, database: Database, clock: Clock, *, actor: str = "machine") -> None:
        self._database, self._clock, self._actor = database, clock, actor

    async def intend(
        self,
        *,
        vendor: str,
        operation: str,
        key_id: str,
        target: str,
        request: Mapping[str, Any],
        match: Mapping[str, Any],
    ) -> str:
        """The id of a committed entry in state `intended`. `request` and `match` arrive redacted."""
        async with self._database.connection() as db:
            new = await value(
                db,
                """insert into mailfleet.journal (vendor, operation, key_id, target, request, match, actor, intended_at)
                   values (%s, %s, %s, %s, %s, %s, %s, %s) returning id""",
                [
                    vendor,
                    operation,
                    key_id,
                    target,
                    Json(dict(request)),
                    Json(dict(match)),
                    self._actor,
                    self._clock.now(),
                ],
            )
        return str(new)

    async def finish(self, entry: str, state: Settled, *, outcome: Mapping[str, Any], error: str = "") -> None:
        """Raises StoreError for an entry that is not open: an outcome is never overwritten."""
        async with self._database.connection() as db:
            changed = await execute(
                db,
                """update mailfleet.journal set state = %s, outcome = %s, error = %s, finished_at = %s
                   where id = %s and state = 'intended'""",
                [state, Json(dict(outcome)), error[:2000], self._clock.now(), entry],
            )
        if changed != 1:
            raise StoreError(f"Journal entry {entry} is not open any more.", hint="It has been reconciled meanwhile.")


async def unsettled(
    db: Connection,
    *,
    vendor: str | None = None,
    operations: Sequence[str] = (),
    older_than: timedelta = LONGEST_ATTEMPT,
) -> list[Entry]:
    """Whose outcome is unknown, oldest first: the ambiguous, and the intended ones that are older than that."""
    return await rows(
        db,
        Entry,
        """select id, vendor, operation, key_id, target, request, match, state, outcome, error, actor,
                  intended_at, finished_at
           from mailfleet.journal
           where state in ('intended', 'ambiguous')
             and (state = 'ambiguous' or wall_at < clock_timestamp() - %(age)s::interval)
             and (%(vendor)s::text is null or vendor = %(vendor)s)
             and (cardinality(%(operations)s::text[]) = 0 or operation = any(%(operations)s::text[]))
           order by wall_at, id""",
        {"age": older_than, "vendor": vendor, "operations": list(operations)},
    )


async def take(
    db: Connection, *, after: Open | None, ambiguous_for: timedelta, intended_for: timedelta = LONGEST_ATTEMPT
) -> Open | None:
    """The next one whose outcome is unknown, locked until the transaction ends; nobody else gets it meanwhile."""
    return await row(
        db,
        Open,
        """select id, vendor, operation, key_id, target, request, match, state, outcome, error, actor,
                  intended_at, finished_at, wall_at, clock_timestamp() - wall_at as age
           from mailfleet.journal
           where state in ('intended', 'ambiguous')
             and wall_at <= clock_timestamp()
                 - case state when 'intended' then %(intended_for)s::interval else %(ambiguous_for)s::interval end
             and (%(at)s::timestamptz is null or (wall_at, id) > (%(at)s, %(id)s::uuid))
           order by wall_at, id limit 1 for update skip locked""",
        {
            "ambiguous_for": ambiguous_for,
            "intended_for": intended_for,
            "at": after and after.wall_at,
            "id": after and after.id,
        },
    )


async def waiting(db: Connection) -> Waiting:
    """Those that `take` would give, sooner or later."""
    found = await row(
        db,
        Waiting,
        """select count(*)::int as entries, max(clock_timestamp() - wall_at) as oldest from mailfleet.journal
           where state = 'ambiguous' or (state = 'intended' and wall_at < clock_timestamp() - %s::interval)""",
        [LONGEST_ATTEMPT],
    )
    return found or Waiting(entries=0, oldest=None)


async def of_notice(db: Connection, notice: UUID) -> Entry | None:
    """The latest sending of this delivery that left, or may have left."""
    return await row(
        db,
        Entry,
        """select id, vendor, operation, key_id, target, request, match, state, outcome, error, actor,
                  intended_at, finished_at
           from mailfleet.journal
           where match ->> 'notice' = %s and match ? 'notice' and state not in ('refused', 'abandoned')
           order by wall_at desc, id limit 1""",
        [str(notice)],
    )


async def settle(
    db: Connection, id: UUID, state: Reconciled, *, outcome: Mapping[str, object], at: datetime, error: str = ""
) -> bool:
    """What reading the vendor showed. False: it was settled before."""
    return (
        await execute(
            db,
            """update mailfleet.journal
               set state = %s, outcome = outcome || %s::jsonb, error = %s, reconciled_at = %s
               where id = %s and state in ('intended', 'ambiguous')""",
            [state, Json(dict(outcome)), error[:2000], at, id],
        )
        == 1
    )


async def entries(db: Connection, *, vendor: str, operation: str, target: str = "", limit: int = 100) -> list[Entry]:
    """Newest first; an empty `target` stands for any."""
    return await rows(
        db,
        Entry,
        """select id, vendor, operation, key_id, target, request, match, state, outcome, error, actor,
                  intended_at, finished_at
           from mailfleet.journal
           where vendor = %(vendor)s and operation = %(operation)s and (%(target)s = '' or target = %(target)s)
           order by wall_at desc, id limit %(limit)s""",
        {"vendor": vendor, "operation": operation, "target": target, "limit": limit},
    )


async def counts(db: Connection) -> dict[str, int]:
    """How many entries are in each state."""
    return dict(await tuples(db, "select state, count(*) from mailfleet.journal group by state"))


async def blocked_by_us(db: Connection, values: Sequence[str]) -> set[str]:
    """Of these entries of a platform's block list, those that a write of ours put there."""
    found = await tuples(
        db,
        """select distinct lower(each.text)
           from mailfleet.journal j, jsonb_each(j.match) as field,
                jsonb_array_elements_text(
                    case when jsonb_typeof(field.value) = 'array' then field.value else '[]' end) as each(text)
           where j.operation in ('add_dnc', 'add_to_block_list') and lower(each.text) = any(%s)""",
        [list(values)],
    )
    return {text for (text,) in found}
