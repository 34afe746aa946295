"""How much of a vendor's rate limit pushing leads uses, without ever exceeding it, by the vendor's own log.

Two windows of a minute, with one process and with four sharing the key, batches of the largest safe size. Meanwhile two
pauses leave: one while the budget is used up, one in the middle of a burst. Targets: at least 95 %, no 429, no window
over the limit, each pause at the vendor within a second.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from mailfleet.clock import SystemClock
from mailfleet.store import migrate
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.circuits import PostgresCircuit
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.journal import PostgresJournal
from mailfleet.vendors.smartlead.client import SmartleadClient, get_smartlead_client
from mailfleet.vendors.smartlead.leads import BATCH
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.transport import Means

WINDOW, WINDOWS = 60.0, 2
LIMIT = 600
PAUSES = (30.0, 62.0)


def client(info: dict[str, Any], database: Database) -> SmartleadClient:
    clock = SystemClock()
    means = Means(
        journal=PostgresJournal(database, clock), budget=PostgresBudget(database), circuit=PostgresCircuit(database),
        calls=PostgresCalls(database, clock), patience=Patience(queue=10 * WINDOW),
    )  # fmt: skip
    told = info["smartlead"]
    return get_smartlead_client(
        told["api_key"], means, base_url=told["base_url"], delivery_base_url=told["delivery_base_url"]
    )


async def push(dsn: str, info: dict[str, Any], campaign: int, who: str, until: float) -> None:
    """Batch after batch of people nobody has pushed before, for as long as it is given."""
    async with Database(dsn) as database:
        made = client(info, database)
        number = 0
        while time.time() < until:
            leads = [{"email": f"p{number}-{row}@firm{who}{row % 7}-mfdemo.com"} for row in range(BATCH)]
            number += 1
            await made.leads.add(campaign, leads)
        await made.close()


async def pauses(dsn: str, info: dict[str, Any], campaign: int, begun: float) -> list[float]:
    """When each pause was asked for."""
    asked: list[float] = []
    async with Database(dsn) as database:
        made = client(info, database)
        for after in PAUSES:
            await asyncio.sleep(max(0.0, begun + after - time.time()))
            asked.append(time.time())
            await made.pause_campaign(campaign)
        await made.close()
    return asked


def seen(info: dict[str, Any]) -> list[tuple[float, str, int]]:
    """(wall time, path, status) of every call, from the vendor's side."""
    found: list[tuple[float, str, int]] = []
    after = 0
    while True:
        page = httpx2.get(f"{info['control']['base_url']}/log/http", params={"after": after}, timeout=60).json()
        found += [
            (datetime.fromisoformat(each["wall"]).timestamp(), each["path"], each["status"]) for each in page["entries"]
        ]
        if not page["entries"] or page["next"] >= page["total"]:
            return found
        after = page["next"]


def fullest(times: Sequence[float], seconds: float) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def measure(dsn: str, processes: int, limit: int) -> bool:
    command = [
        sys.executable,
        "-m",
        "mailfleet.sandbox",
        "--port",
        "0",
        "--rate-limit",
        str(limit),
        "--profile",
        "calm",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        info = json.loads(sandbox.stdout.readline())
        try:
            return asyncio.run(run(dsn, info, processes, limit))
        finally:
            sandbox.terminate()


async def run(dsn: str, info: dict[str, Any], processes: int, limit: int) -> bool:
    async with Database(dsn) as database:
        made = client(info, database)
        campaign, other = await made.create_campaign("bench"), await made.create_campaign("paused")
        await made.close()
    before = len(seen(info))
    begun = time.time()
    until = begun + WINDOW * WINDOWS + 5
    given = [json.dumps(info), str(campaign), str(until)]
    children = [
        await asyncio.create_subprocess_exec(sys.executable, __file__, "push", dsn, *given, f"w{n}-")
        for n in range(processes)
    ]
    asked = await pauses(dsn, info, other, begun)
    codes = [await child.wait() for child in children]
    return told(seen(info)[before:], asked, processes, limit, codes)


def told(calls: list[tuple[float, str, int]], asked: list[float], processes: int, limit: int, codes: list[int]) -> bool:
    times = sorted(at for at, _, _ in calls)
    leads = [at for at, path, _ in calls if path.endswith("/leads")]
    start = min(leads)
    used = sum(start <= at < start + WINDOW * WINDOWS for at in leads) / (limit * WINDOWS)
    refused = sum(status == 429 for _, _, status in calls)
    arrived = [at for at, path, _ in calls if path.endswith("/status")]
    late = max(there - said for said, there in zip(asked, arrived, strict=True))
    most = fullest(times, WINDOW)
    print(
        f"{processes} processes: {used:6.1%} of {limit}/min used by pushing, {refused} × 429, "
        f"at most {most} in any minute, pauses at the vendor after {late:.2f} s"
    )
    return used >= 0.95 and not refused and most <= limit and late < 1 and not any(codes)


def main() -> int:
    if sys.argv[1:2] == ["push"]:
        _, _, dsn, info, campaign, until, who = sys.argv
        asyncio.run(push(dsn, json.loads(info), int(campaign), who, float(until)))
        return 0
    held = True
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "pg", throwaway=True).running() as server,
    ):
        for limit, processes in ((LIMIT, 1), (LIMIT, 4), (60, 4)):
            dsn = server.ensure_database(f"bench_{limit}_{processes}")
            migrate.migrate(dsn)
            held &= measure(dsn, processes, limit)
    print(f"targets (95 %, no 429, never over, 1 s): {'held' if held else 'MISSED'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
