"""What our transport costs beside the bare HTTP call it makes: CPU of this process, in turns against the same server.

Budget, circuit and journal are the real ones, on Postgres. Target: a call adds under 1.5 ms.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import msgspec

from mailfleet.clock import SystemClock
from mailfleet.store import migrate
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.circuits import PostgresCircuit
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.journal import PostgresJournal
from mailfleet.vendors.transport.failures import by_status
from mailfleet.vendors.transport.operation import Access, Operation, Vendor
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

TARGET_MS = 1.5
CALLS, TURNS = 200, 9
BODY = json.dumps({"id": 771200, "status": "PAUSED", "name": "Pilot A", "rows": [{"n": n} for n in range(20)]}).encode()
READ = Operation(name="read", method="GET", path="/things/{id}")
WRITE = Operation(name="write", method="POST", path="/things", reconcile="the things, matched on name")
SERVER = """
import asyncio, sys
body = sys.argv[1].encode()
answer = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = [line for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            if length:
                await reader.readexactly(int(length[0].split(b":")[1]))
            writer.write(answer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Thing(msgspec.Struct, frozen=True):
    id: int
    status: str


async def cost(call: Callable[[], Awaitable[object]]) -> float:
    """CPU milliseconds of one call."""
    before = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - before) / CALLS * 1000


async def measure(dsn: str, url: str) -> bool:
    clock = SystemClock()
    async with Database(dsn) as database:
        means = Means(
            journal=PostgresJournal(database, clock), budget=PostgresBudget(database),
            circuit=PostgresCircuit(database), calls=PostgresCalls(database, clock),
        )  # fmt: skip
        vendor = Vendor(
            name="acme", base_url=url, access=Access(query={"api_key": Secret("bench-key-1")}),
            windows=((1_000_000, 60.0),), judge=by_status,
        )  # fmt: skip
        ours, bare = Transport(vendor, means), httpx2.AsyncClient(trust_env=False)
        body = {"name": "a", "rows": [{"email": f"p{n}@target.example"} for n in range(100)]}
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "bare read": lambda: bare_read(bare, url),
            "our read": lambda: ours.ask(READ, Thing, at={"id": 771200}, query={"a": 1}),
            "bare write": lambda: bare_write(bare, url, body),
            "our write": lambda: ours.call(WRITE, body=body, match={"name": "a"}, journaled={"rows": 100}),
        }
        for call in calls.values():
            await cost(call)
        turns = [{name: await cost(call) for name, call in calls.items()} for _ in range(TURNS)]
        await ours.close()
        await bare.aclose()
    return told(turns)


async def bare_read(http: httpx2.AsyncClient, url: str) -> Thing:
    answer = await http.get(f"{url}/things/771200", params={"a": 1, "api_key": "bench-key-1"})
    return msgspec.json.decode(answer.content, type=Thing)


async def bare_write(http: httpx2.AsyncClient, url: str, body: object) -> object:
    answer = await http.post(f"{url}/things", params={"api_key": "bench-key-1"}, content=msgspec.json.encode(body))
    return msgspec.json.decode(answer.content)


def told(turns: list[dict[str, float]]) -> bool:
    held = True
    for kind in ("read", "write"):
        bare = statistics.median(turn[f"bare {kind}"] for turn in turns)
        added = statistics.median(turn[f"our {kind}"] - turn[f"bare {kind}"] for turn in turns)
        held &= added < TARGET_MS
        print(f"{kind:<6} bare {bare:5.2f} ms of CPU, ours adds {added:5.2f} ms ({(bare + added) / bare:.1f} × bare)")
    print(f"target: under {TARGET_MS} ms added: {'held' if held else 'MISSED'}")
    return held


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "pg", throwaway=True).running() as server,
        subprocess.Popen([sys.executable, "-c", SERVER, BODY.decode()], stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdout is not None
        dsn = server.ensure_database("bench")
        migrate.migrate(dsn)
        held = asyncio.run(measure(dsn, f"http://127.0.0.1:{int(child.stdout.readline())}"))
        child.terminate()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
