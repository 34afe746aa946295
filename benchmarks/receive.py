"""Receiving webhooks, durable before 2xx, beside the raw limits of the same machine in the same run.

Beside it: the same server that stores nothing, pgbench with 64 clients that insert one row each, and the same server
that inserts row by row from a pool of 32 connections; then all with 20 ms added to every insert, the pool with 64.

    python benchmarks/receive.py [seconds]
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg
import uvicorn
from psycopg_pool import AsyncConnectionPool

from mailfleet.clock import SystemClock
from mailfleet.receiver.app import Receiver
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from proofs import ground

CONNECTIONS, TOKEN, SECRET = 64, "t", "s"
INSERT = """insert into mailfleet.webhook_inbox (id, platform, received_at, body)
    values (gen_random_uuid(), 'smartlead', now(), %s)"""
SLOW = """create function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(0.02); return null; end $$;
    create trigger slow after insert on mailfleet.webhook_inbox for each statement execute function slow()"""


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, ground.server(Path(folder) / "postgres") as (local, dsn):
        empty, _ = served(None, seconds)
        ours, late = served(dsn, seconds)
        clients = pgbench(local, seconds)
        pool, _ = served(dsn, seconds, pool=32)
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute(SLOW)  # type: ignore[arg-type]
        slow, slow_late = served(dsn, seconds)
        slow_pool, _ = served(dsn, seconds, pool=64)
    tell(
        f"nothing stored           {empty:>8,.0f} a second",
        f"receiver                 {ours:>8,.0f} a second, p99 {late:.1f} ms, {ours / empty:.2f} of the empty server",
        f"pgbench, 64 single rows  {clients:>8,.0f} a second, the receiver is {ours / clients:.1f} times that",
        f"pool of 32, single rows  {pool:>8,.0f} a second, the receiver is {ours / pool:.1f} times that",
        f"receiver, 20 ms database {slow:>8,.0f} a second, p99 {slow_late:.1f} ms",
        f"pool of 64, 20 ms        {slow_pool:>8,.0f} a second, the receiver is {slow / slow_pool:.1f} times that",
    )


def tell(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


class Pool:
    """The plain way: each webhook is an insert of its own, from a pool."""

    def __init__(self, dsn: str, size: int) -> None:
        self._pool = AsyncConnectionPool(dsn, min_size=size, max_size=size, open=False, kwargs={"autocommit": True})

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            await self._pool.open(wait=True)
            await nothing(scope, receive, send)
            return
        message = await receive()  # type: ignore[operator]
        async with self._pool.connection() as db:
            await db.execute(INSERT, [message["body"].decode()])
        await answer(send)


async def nothing(scope: dict[str, object], receive: object, send: object) -> None:
    """The empty server: reads the body and answers."""
    if scope["type"] == "lifespan":
        await receive()  # type: ignore[operator]
        await send({"type": "lifespan.startup.complete"})  # type: ignore[operator]
        await receive()  # type: ignore[operator]
        await send({"type": "lifespan.shutdown.complete"})  # type: ignore[operator]
        return
    await receive()  # type: ignore[operator]
    await answer(send)


async def answer(send: object) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b'{"ok":true}'})  # type: ignore[operator]


def serve(dsn: str | None, pool: int, listening: socket.socket) -> None:
    ground.quiet()
    app: object = nothing
    if dsn:
        receiver = Receiver(Database(dsn), SystemClock(), token=TOKEN, secrets={"smartlead": SECRET})
        app = Pool(dsn, pool) if pool else receiver
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")  # type: ignore[arg-type]
    uvicorn.Server(config).run(sockets=[listening])


def served(dsn: str | None, seconds: float, *, pool: int = 0) -> tuple[float, float]:
    """Answers a second and the 99th percentile in milliseconds, over 64 kept connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(dsn, pool, listening), daemon=True)
        process.start()
        try:
            factory = uvicorn.Config(nothing).get_loop_factory()  # type: ignore[arg-type]
            with asyncio.Runner(loop_factory=factory) as runner:
                return runner.run(load(listening.getsockname()[1], seconds))
        finally:
            process.terminate()
            process.join()


class Client(asyncio.Protocol):
    """One connection: the next request as soon as the answer is there."""

    def __init__(self, number: int, until: float, latencies: list[float], done: asyncio.Future[None]) -> None:
        self.number, self.until, self.latencies, self.done, self.n = number, until, latencies, done, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        self.n, self.began = self.n + 1, time.perf_counter()
        self.transport.write(request(self.number, self.n))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not data.endswith(b'{"ok":true}'):  # the head alone, or a refusal
            assert data.startswith(b"HTTP/1.1 200"), data
            return
        now = time.perf_counter()
        self.latencies.append(now - self.began)
        if now < self.until:
            self.next()
        else:
            self.transport.close()
            self.done.set_result(None)


async def load(port: int, seconds: float) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    await _answering(port)
    latencies: list[float] = []
    began = time.perf_counter()
    finished = [loop.create_future() for _ in range(CONNECTIONS)]
    for number, done in enumerate(finished):
        client = Client(number, began + seconds, latencies, done)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*finished)
    return len(latencies) / (time.perf_counter() - began), statistics.quantiles(latencies, n=100)[98] * 1000


async def _answering(port: int) -> None:
    """The first answer of a new process: its imports, its pool."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    await loop.create_connection(lambda: Client(999, 0.0, [], done), "127.0.0.1", port)
    await done


def request(number: int, n: int) -> bytes:
    body = json.dumps({**ground.webhook(number * 1_000_000 + n), "secret_key": SECRET}).encode()
    head = f"POST /hooks/{TOKEN}/smartlead HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def pgbench(local: LocalPostgres, seconds: float) -> float:
    """Transactions a second of 64 clients that insert one row each."""
    folder, _ = local._binaries()
    script = local.home / "insert.sql"
    script.write_text(INSERT.replace("%s", "'" + json.dumps(ground.webhook(1)) + "'") + ";")
    told = subprocess.run(
        [folder / "pgbench", "-n", "-c", "64", "-j", "2", "-T", str(round(seconds)), "-f", script, local.dsn()],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return float(re.findall(r"tps = ([\d.]+)", told)[-1])


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
