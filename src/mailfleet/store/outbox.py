"""Commands that follow from a committed decision: put in its transaction, carried out by a worker of its own.

A worker takes commands with `for update skip locked` and keeps the lock while it works, so a command is in one hand at
a time and returns to the queue when that hand dies. Handlers must bear a repeat: the work may be done and the commit
lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, Database, execute, json_rows, row, rows, tuples, value

MAX_ATTEMPTS = 12
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts the tries before this one."""

    id: int
    topic: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime


async def put(
    db: Connection,
    topic: str,
    payload: Mapping[str, object],
    *,
    now: datetime,
    dedupe_key: str | None = None,
    run_at: datetime | None = None,
) -> bool:
    """Queues a command in the caller's transaction. False: one with this `dedupe_key` was queued before."""
    new = await value(
        db,
        """insert into mailfleet.outbox (topic, dedupe_key, payload, run_at, created_at) values (%s, %s, %s, %s, %s)
           on conflict (dedupe_key) where dedupe_key is not null do nothing returning id""",
        [topic, dedupe_key, Json(dict(payload)), run_at or now, now],
    )
    return new is not None


async def put_many(
    db: Connection,
    topic: str,
    commands: Mapping[str, Mapping[str, object]],
    *,
    now: datetime,
    run_at: Mapping[str, datetime] | None = None,
) -> None:
    """Queues {dedupe_key: payload} in one statement, each for its time; what was queued before stays."""
    times = run_at or {}
    items = [{"dedupe_key": key, "payload": load, "run_at": times.get(key, now)} for key, load in commands.items()]
    await execute(
        db,
        """insert into mailfleet.outbox (topic, dedupe_key, payload, run_at, created_at)
           select %(topic)s, dedupe_key, payload, run_at, %(now)s
           from json_to_recordset(%(items)s::json) as r(dedupe_key text, payload jsonb, run_at timestamptz)
           on conflict (dedupe_key) where dedupe_key is not null do nothing""",
        {"topic": topic, "now": now, "items": json_rows(items)},
    )


async def join(
    db: Connection, topic: str, payload: Mapping[str, object], *, now: datetime, dedupe_key: str, run_at: datetime
) -> None:
    """Queues a command, or joins the one that waits under this key. Nobody takes either before the caller's commit, so
    that whoever carries it out sees what the caller did. Keys in one transaction have to come in order.
    """
    await execute(
        db,
        """insert into mailfleet.outbox (topic, dedupe_key, payload, run_at, created_at) values (%s, %s, %s, %s, %s)
           on conflict (dedupe_key) where dedupe_key is not null do update set run_at = mailfleet.outbox.run_at""",
        [topic, dedupe_key, Json(dict(payload)), run_at, now],
    )


async def part(db: Connection, topic: str, *, now: datetime) -> int:
    """Due commands of this topic can be joined no more: once this is committed, the next `join` queues a new one."""
    return await execute(
        db,
        """update mailfleet.outbox set dedupe_key = null where id in (
               select id from mailfleet.outbox
               where state = 'pending' and run_at <= %s and topic = %s and dedupe_key is not null
               for update skip locked)""",
        [now, topic],
    )


async def take_parted(db: Connection, topic: str, *, now: datetime) -> list[Command]:
    """The next due command that can be joined no more, with every other such one of the same payload."""
    return await rows(
        db,
        Command,
        """with next as (
               select payload from mailfleet.outbox
               where state = 'pending' and run_at <= %(now)s and topic = %(topic)s and dedupe_key is null
               order by run_at, id limit 1 for update skip locked)
           select id, topic, payload, attempts, created_at from mailfleet.outbox
           where state = 'pending' and topic = %(topic)s and dedupe_key is null
             and payload = (select payload from next)
           order by id for update skip locked""",
        {"now": now, "topic": topic},
    )


async def postpone(db: Connection, id: int, *, at: datetime) -> None:
    """Later, without counting as a failure."""
    await execute(db, "update mailfleet.outbox set run_at = %s where id = %s and state = 'pending'", [at, id])


async def settle(db: Connection, dedupe_key: str, *, now: datetime) -> None:
    """The command under this key needs nobody any more: what it asked for has been done."""
    await execute(
        db,
        "update mailfleet.outbox set state = 'done', done_at = %s where dedupe_key = %s and state = 'pending'",
        [now, dedupe_key],
    )


async def pending(db: Connection, topic: str, payload: Mapping[str, object]) -> bool:
    """Does a command of this topic wait whose payload holds all of this?"""
    return bool(
        await value(
            db,
            """select exists (select from mailfleet.outbox
                              where state = 'pending' and topic = %s and payload @> %s::jsonb)""",
            [topic, Json(dict(payload))],
        )
    )


async def known(db: Connection, dedupe_keys: Sequence[str]) -> list[str]:
    """Those of these keys under which a command was ever queued."""
    found = await tuples(db, "select dedupe_key from mailfleet.outbox where dedupe_key = any(%s)", [list(dedupe_keys)])
    return [key for (key,) in found]


async def take(db: Connection, *, now: datetime, topics: Sequence[str] = ()) -> Command | None:
    """The next due command, locked until the caller's transaction ends. None: nothing is due, or others have it."""
    return await row(
        db,
        Command,
        """select id, topic, payload, attempts, created_at from mailfleet.outbox
           where state = 'pending' and run_at <= %(now)s
             and (cardinality(%(topics)s::text[]) = 0 or topic = any(%(topics)s::text[]))
           order by run_at, id limit 1 for update skip locked""",
        {"now": now, "topics": list(topics)},
    )


@contextlib.asynccontextmanager
async def taken(database: Database, *, now: datetime, topics: Sequence[str] = ()) -> AsyncGenerator[Command | None]:
    """The next due command in a transaction of its own: done when the block ends well, tried again later when not.

    The error passes on to the caller after the failure has been noted.
    """
    command: Command | None = None
    try:
        async with database.transaction() as db:
            command = await take(db, now=now, topics=topics)
            yield command
            if command:
                await done(db, command.id, now=now)
    except Exception as error:
        if command:
            async with database.connection() as db:
                await retry(db, command, error=f"{type(error).__name__}: {error}", now=now)
        raise


async def done(db: Connection, id: int, *, now: datetime) -> None:
    await execute(
        db,
        "update mailfleet.outbox set state = 'done', done_at = %s, attempts = attempts + 1, error = '' where id = %s",
        [now, id],
    )


async def retry(
    db: Connection, command: Command, *, error: str, now: datetime, at: datetime | None = None, patient: bool = False
) -> bool:
    """Again at `at`, by default after 5 s, 10 s, 20 s … up to an hour. False: it failed too often and is dead, which
    a `patient` one never is."""
    dead = not patient and command.attempts + 1 >= MAX_ATTEMPTS
    await execute(
        db,
        """update mailfleet.outbox set attempts = attempts + 1, error = %s, run_at = %s, state = %s
           where id = %s and state = 'pending'""",
        [error[:2000], at or now + wait(command.attempts), "dead" if dead else "pending", command.id],
    )
    return not dead


async def bury(db: Connection, id: int, *, error: str) -> None:
    """Gives a command up: trying again cannot help."""
    await execute(
        db,
        "update mailfleet.outbox set state = 'dead', attempts = attempts + 1, error = %s where id = %s",
        [error[:2000], id],
    )


async def revive(db: Connection, id: int, *, now: datetime) -> bool:
    """A person lets a dead command be tried again."""
    return (
        await execute(
            db,
            "update mailfleet.outbox set state = 'pending', attempts = 0, run_at = %s where id = %s and state = 'dead'",
            [now, id],
        )
        == 1
    )


async def counts(db: Connection) -> dict[str, int]:
    """How many commands are in each state."""
    return dict(await tuples(db, "select state, count(*) from mailfleet.outbox group by state"))


async def next_due(db: Connection) -> datetime | None:
    """When the earliest pending command may run; it may be in the past."""
    return await value(db, "select min(run_at) from mailfleet.outbox where state = 'pending'")


async def prune(db: Connection, *, before: datetime) -> int:
    """Removes commands done before then. Dead ones stay until a person has looked."""
    return await execute(db, "delete from mailfleet.outbox where state = 'done' and done_at < %s", [before])


def wait(attempts: int) -> timedelta:
    """How long until the next try after `attempts` earlier ones failed."""
    return min(_FIRST_WAIT * 2 ** min(attempts, 20), _LONGEST_WAIT)


async def take_group(db: Connection, topic: str, *, now: datetime, limit: int) -> list[Command]:
    """Due commands of one topic, locked until the caller's transaction ends; for work that is cheaper together."""
    return await rows(
        db,
        Command,
        """select id, topic, payload, attempts, created_at from mailfleet.outbox
           where state = 'pending' and run_at <= %s and topic = %s
           order by run_at, id limit %s for update skip locked""",
        [now, topic, limit],
    )


async def due_topics(db: Connection, *, now: datetime) -> list[str]:
    """Topics with something due, the one that waits longest first."""
    found = await tuples(
        db,
        """select topic from mailfleet.outbox where state = 'pending' and run_at <= %s
           group by topic order by min(run_at), topic""",
        [now],
    )
    return [topic for (topic,) in found]
