"""The receiver and its Postgres are killed at seeded random points under load: nothing acknowledged is lost (I4).

Senders repeat what got no 2xx, send duplicates of what did, and send in disorder. Every life of the receiver is a real
process that listens on a real socket and ends by SIGKILL; some kills take the whole database server. Afterwards the
inbox holds what was acknowledged, each once, and nothing that was never sent.

    python -m proofs.receiver_crash [--kills 460] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.context import ForkContext
from pathlib import Path

import msgspec
import psycopg
import uvicorn

from mailfleet.clock import SystemClock
from mailfleet.receiver.app import Receiver
from mailfleet.store.database import Database
from proofs import ground

TOKEN, SECRET, SENDERS = "t", "s", 24
EVERY_NTH_IS_POSTGRES = 3


class Figures(msgspec.Struct, kw_only=True):
    kills: int = 0
    postgres_kills: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    repeated: int = 0
    lost: int = 0
    twice: int = 0
    never_sent: int = 0
    unacknowledged_kept: int = 0
    seconds: float = 0.0


def receive(dsn: str, listening: socket.socket) -> None:
    """One life of the receiver."""
    ground.quiet()
    app = Receiver(Database(dsn), SystemClock(), token=TOKEN, secrets={"smartlead": SECRET})
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


def send(port: int, seed: int, stop: str, kept: str) -> None:
    """Sends until the file `stop` appears; writes what was sent and acknowledged, by number."""
    told = asyncio.run(_send(port, random.Random(seed), Path(stop)))  # noqa: S311
    Path(kept).write_bytes(msgspec.json.encode(told))


async def _send(port: int, rng: random.Random, stop: Path) -> dict[str, list[int]]:
    told: dict[str, list[int]] = {"sent": [], "acknowledged": [], "repeated": [], "refused": []}
    waiting: list[int] = []
    numbers = iter(range(10**9))

    async def one() -> None:
        while not _over(stop):
            n = waiting.pop(rng.randrange(len(waiting))) if waiting and rng.random() < 0.5 else next(numbers)
            if rng.random() < 0.1 and told["acknowledged"]:
                n = rng.choice(told["acknowledged"])
                told["repeated"].append(n)
            told["sent"].append(n)
            status = await _post(port, n)
            if status == 200:
                told["acknowledged"].append(n)
            else:
                told["refused"].append(status)
                waiting.append(n)
                await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(SENDERS)))
    return told


def _over(stop: Path) -> bool:
    return stop.exists()


async def _post(port: int, n: int) -> int:
    body = json.dumps({"event_type": "EMAIL_SENT", "secret_key": SECRET, "n": n,
                       "event_timestamp": f"2026-11-{1 + n % 28:02}T00:00:00+00:00"}).encode()  # fmt: skip
    head = (
        f"POST /hooks/{TOKEN}/smartlead HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    try:
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return 0
    try:
        writing.write(head.encode() + body)
        line = await asyncio.wait_for(reading.readline(), 60)
        return int(line.split()[1]) if line else 0
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0
    finally:
        writing.close()
        with contextlib.suppress(OSError):
            await writing.wait_closed()


def run(home: Path, *, kills: int, seed: int) -> Figures:
    rng, began, figures = random.Random(seed), time.monotonic(), Figures()  # noqa: S311
    fork = multiprocessing.get_context("fork")
    with (
        ground.server(home / "postgres") as (local, dsn),
        socket.create_server(("127.0.0.1", 0), backlog=512) as listening,
    ):
        stop, kept = home / "stop", home / "told"
        sender = fork.Process(target=send, args=(listening.getsockname()[1], seed, str(stop), str(kept)))
        sender.daemon = True
        sender.start()
        life = _live(fork, dsn, listening)
        for n in range(1, kills + 1):
            time.sleep(rng.uniform(0.05, 0.6))
            if n % EVERY_NTH_IS_POSTGRES == 0:
                ground.kill_server(home / "postgres")
                figures.postgres_kills += 1
                ground.until_up(local)
                continue
            assert life.pid
            os.kill(life.pid, signal.SIGKILL)
            life.join()
            figures.kills += 1
            life = _live(fork, dsn, listening)
        time.sleep(1.0)
        stop.touch()
        sender.join()
        life.terminate()
        life.join()
        _compare(dsn, msgspec.json.decode(kept.read_bytes()), figures)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def _live(fork: ForkContext, dsn: str, listening: socket.socket) -> multiprocessing.Process:
    life = fork.Process(target=receive, args=(dsn, listening), daemon=True)
    life.start()
    return life  # type: ignore[return-value]


def _compare(dsn: str, told: dict[str, list[int]], figures: Figures) -> None:
    with psycopg.connect(dsn) as db:
        rows = Counter(n for (n,) in db.execute("select (body->>'n')::int from mailfleet.webhook_inbox").fetchall())
    acknowledged, sent = set(told["acknowledged"]), set(told["sent"])
    figures.sent, figures.acknowledged = len(sent), len(acknowledged)
    figures.refused, figures.repeated = len(told["refused"]), len(told["repeated"])
    figures.lost = len(acknowledged - rows.keys())
    figures.twice = sum(count > 1 for count in rows.values())
    figures.never_sent = len(rows.keys() - sent)
    figures.unacknowledged_kept = len(rows.keys() - acknowledged)


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--kills", type=int, default=460)
    given.add_argument("--seed", type=int, default=1)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), kills=asked.kills, seed=asked.seed)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")
    return 1 if figures.lost or figures.twice or figures.never_sent or not figures.acknowledged else 0


if __name__ == "__main__":
    sys.exit(main())
