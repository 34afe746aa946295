"""Applying events beside `insert … select` of the same rows into the same server: `python benchmarks/apply.py [leads]`.

The mix is the design's: of 100 events 70 sent, 20 opened, 5 clicked, 3 replies, 2 bounces. One process, durable server.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg

from mailfleet.services import events
from mailfleet.store.events import event_id
from proofs import ground

EVENTS = 30_000
DEFAULT_LEADS = 300_000


def main(leads: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ground.server(Path(folder) / "postgres") as (_, dsn):
        ground.populate(dsn, leads)
        facts = fill(dsn, leads)
        ours, cpu = asyncio.run(applied(dsn))
        raw = inserted(dsn)
        tell(leads=leads, events=facts, seconds=ours, cpu=cpu, insert_seconds=raw)


def fill(dsn: str, leads: int) -> int:
    """The inbox, with the events of leads spread over the whole table."""
    rng = random.Random(1)
    wanted = EVENTS * 70 // 100
    step = max(1, leads // wanted)
    bodies: list[dict[str, object]] = []
    for _, body in ground.webhooks(rng, min(leads, wanted), every=step):
        bodies.append(body)
    with psycopg.connect(dsn) as db:
        for start in range(0, len(bodies), 5000):
            rows = [_row(body) for body in bodies[start : start + 5000]]
            db.execute(
                """insert into mailfleet.webhook_inbox (id, platform, received_at, headers, body)
                   select id, platform, received_at, headers, body from json_to_recordset(%s::json)
                        as r(id uuid, platform text, received_at timestamptz, headers jsonb, body jsonb)""",
                [json.dumps(rows)],
            )
    return len(bodies)


def _row(body: dict[str, object]) -> dict[str, object]:
    id = event_id("smartlead", json.dumps(body), datetime.fromisoformat(str(body["event_timestamp"])))
    return {
        "id": str(id),
        "platform": "smartlead",
        "received_at": ground.BEGAN.isoformat(),
        "headers": {},
        "body": body,
    }


def inserted(dsn: str) -> float:
    """The raw limit: the same rows, from the events into a table like it, with the same indexes."""
    with psycopg.connect(dsn) as db:
        db.execute("create table raw_events (like mailfleet.events including defaults including indexes)")
        db.commit()
        began = time.perf_counter()
        db.execute("insert into raw_events select * from mailfleet.events")
        db.commit()
        return time.perf_counter() - began


async def applied(dsn: str) -> tuple[float, float]:
    fleet = ground.fleet(dsn)
    async with fleet.db:
        began, cpu = time.perf_counter(), time.process_time()
        await events.apply_all(fleet)
        return time.perf_counter() - began, time.process_time() - cpu


def tell(*, leads: int, events: int, seconds: float, cpu: float, insert_seconds: float) -> None:
    sys.stdout.write(
        f"{leads:>10,} leads: {events:,} events applied in {seconds:.2f} s, {events / seconds:,.0f} a second"
        f" ({events / cpu:,.0f} a second of Python's CPU); insert … select of the rows {insert_seconds:.2f} s"
        f" ({events / insert_seconds:,.0f} a second), ratio {seconds / insert_seconds:.1f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    for size in [int(each) for each in sys.argv[1:]] or [DEFAULT_LEADS]:
        main(size)
