"""Appliers and their Postgres are killed at seeded random points under load: every event is applied exactly once (I4).

Two appliers work at the same time on an inbox that is filled with webhooks of thousands of leads, in disorder (a reply
before its send) and with duplicates in other bytes. Each life is a real process that ends by SIGKILL. Afterwards
events, sums, replies, tasks, suppressions and the state of every lead are compared with those of a second database, to
which the same webhooks were applied without any kill.

    python -m proofs.applier_crash [--kills 460] [--leads 6000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg

from mailfleet.errors import MailfleetError
from mailfleet.services import events
from mailfleet.store.database import PsycopgError
from mailfleet.store.events import event_id
from proofs import ground

EVERY_NTH_IS_POSTGRES, APPLIERS, CHUNK = 3, 2, 120
COMPARED: dict[str, LiteralString] = {
    "events": "select id, kind, lead_id, step, message_ref, detail::text from mailfleet.events",
    "sums": "select scope, day, sent, opened, clicked, replied, bounced_hard, bounced_soft, blocked, unsubscribed"
    " from mailfleet.rollups where scope in ('workspace', 'provider')",
    "leads": "select email_norm, status, email_status, step_reached, soft_bounces from mailfleet.leads",
    "replies": "select id, category, subcategory, state from mailfleet.replies",
    "tasks": "select kind, reply_id from mailfleet.tasks",
    "suppressions": "select scope, key, reason from mailfleet.suppressions",
    "commands": "select topic, payload::text from mailfleet.outbox where topic like 'lead.%'",
    "owned": "select l.email_norm, o.state from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id",
}


class Figures(msgspec.Struct, kw_only=True):
    kills: int = 0
    postgres_kills: int = 0
    received: int = 0
    facts: int = 0
    applied: int = 0
    left_over: int = 0
    differences: dict[str, int] = {}
    seconds: float = 0.0


def apply(dsn: str) -> None:
    """One life of an applier: until it is killed."""
    ground.quiet()
    asyncio.run(_apply(dsn))


async def _apply(dsn: str) -> None:
    fleet = ground.fleet(dsn, connections=2)
    async with fleet.db:
        while True:
            try:
                done = await events.apply(fleet, limit=400)
            except (PsycopgError, MailfleetError, OSError):
                done = events.Applied()
            if not done.rows:
                await asyncio.sleep(0.02)


def fill(dsn: str, rows: Sequence[dict[str, Any]], seconds: float) -> None:
    """Puts the rows in, spread over the time of the campaign, again whenever the server was away."""
    for start in range(0, len(rows), CHUNK):
        while not _put(dsn, rows[start : start + CHUNK]):
            time.sleep(0.1)
        time.sleep(seconds * CHUNK / len(rows))


def _put(dsn: str, rows: Sequence[dict[str, Any]]) -> bool:
    try:
        with psycopg.connect(dsn) as db:
            db.execute(
                """insert into mailfleet.webhook_inbox (id, platform, received_at, headers, body)
                   select id, platform, received_at, headers, body from json_to_recordset(%s::json)
                        as r(id uuid, platform text, received_at timestamptz, headers jsonb, body jsonb)
                   on conflict do nothing""",
                [json.dumps(rows)],
            )
    except psycopg.Error:
        return False
    return True


def received(rng: random.Random, leads: int) -> tuple[list[dict[str, Any]], int]:
    """Inbox rows in disorder, a fifth of them twice: the same event in other bytes. And how many facts they tell."""
    bodies = [body for _, body in ground.webhooks(rng, leads)]
    doubled = bodies + [{**body, "delivery": 2} for body in rng.sample(bodies, len(bodies) // 5)]
    # Disorder within some thousands of rows, not over the whole: a webhook comes late, not a month late.
    order = sorted(range(len(doubled)), key=lambda n: n % len(bodies) + rng.randrange(3000))
    return [_row(doubled[n]) for n in order], len(bodies)


def _row(body: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromisoformat(body["event_timestamp"])
    return {"id": str(event_id("smartlead", json.dumps(body), at)), "platform": "smartlead",
            "received_at": ground.BEGAN.isoformat(), "headers": {}, "body": body}  # fmt: skip


def run(home: Path, *, kills: int, leads: int, seed: int) -> Figures:
    rng, began, figures = random.Random(seed), time.monotonic(), Figures()  # noqa: S311
    rows, figures.facts = received(rng, leads)
    figures.received = len(rows)
    fork = multiprocessing.get_context("fork")
    with ground.server(home / "postgres") as (local, dsn):
        quiet = local.ensure_database("undisturbed")
        ground.migrate.migrate(quiet)
        for each in (dsn, quiet):
            ground.populate(each, leads)
        filler = fork.Process(target=fill, args=(dsn, rows, kills * 0.6), daemon=True)
        filler.start()
        lives = [_live(fork, dsn) for _ in range(APPLIERS)]
        for n in range(1, kills + 1):
            time.sleep(rng.uniform(0.02, 0.5))
            if n % EVERY_NTH_IS_POSTGRES == 0:
                ground.kill_server(home / "postgres")
                figures.postgres_kills += 1
                ground.until_up(local)
                continue
            which = rng.randrange(APPLIERS)
            os.kill(lives[which].pid or 0, signal.SIGKILL)
            lives[which].join()
            figures.kills += 1
            lives[which] = _live(fork, dsn)
        filler.join()
        for life in lives:
            life.kill()
            life.join()
        _put_all(quiet, rows)
        for each in (dsn, quiet):
            asyncio.run(_rest(each))
        _compare(dsn, quiet, figures)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def _live(fork: ForkContext, dsn: str) -> multiprocessing.Process:
    life = fork.Process(target=apply, args=(dsn,), daemon=True)
    life.start()
    return life  # type: ignore[return-value]


def _put_all(dsn: str, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 2000):
        assert _put(dsn, rows[start : start + 2000])


async def _rest(dsn: str) -> None:
    fleet = ground.fleet(dsn)
    async with fleet.db:
        await events.apply_all(fleet)


def _compare(dsn: str, quiet: str, figures: Figures) -> None:
    with psycopg.connect(dsn) as ours, psycopg.connect(quiet) as theirs:
        for name, sql in COMPARED.items():
            left, right = (sorted(map(repr, db.execute(sql).fetchall())) for db in (ours, theirs))
            figures.differences[name] = len(set(left) ^ set(right)) + abs(len(left) - len(right))
        counted = ours.execute("select count(*) from mailfleet.events").fetchone()
        waiting = ours.execute("select count(*) from mailfleet.webhook_inbox where state <> 'applied'").fetchone()
    assert counted and waiting
    figures.applied, figures.left_over = counted[0], waiting[0]


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--kills", type=int, default=460)
    given.add_argument("--leads", type=int, default=6000)
    given.add_argument("--seed", type=int, default=1)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), kills=asked.kills, leads=asked.leads, seed=asked.seed)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")
    return 1 if any(figures.differences.values()) or figures.left_over or figures.applied != figures.facts else 0


if __name__ == "__main__":
    sys.exit(main())
