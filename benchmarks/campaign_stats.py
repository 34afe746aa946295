"""The figures of many campaigns by the daily flow, beside the least time that the vendor's rate limit leaves for them.

python benchmarks/campaign_stats.py [CAMPAIGNS [CALLS A MINUTE]]: 100 and 60 without more. Target: within 5 % of it, and
no call refused by the limit. The bound is a caller that never waits for anything but the vendor's windows.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
from psycopg.types.json import Json
from tests.campaigns.inside import IDENTITY, Ground, ground

from mailfleet.clock import SystemClock
from mailfleet.flows.campaign import smartlead_campaign_flow
from mailfleet.flows.shell import plain, using
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.sandbox.app import build
from mailfleet.store import links, migrate
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.circuits import PostgresCircuit
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.journal import PostgresJournal
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.transport import Means

CONFIG = {
    "name": "Bench",
    "identity": IDENTITY,
    "schedule": {"timezone": "UTC", "days": ["mon", "tue"], "start_hour": 0, "end_hour": 24},
    "sequence": [{"step": 1, "subject": "Hello", "body": "Hi {{first_name}}.", "delay_days": 0}],
}
SHORT = (1 / 6, 2.0)
"""The vendor's other window: its part of a minute's calls, and its seconds."""


async def prepare(on: Ground, campaigns: int) -> None:
    """Running campaigns that have sent, made at the world without its limit."""
    box = await on.mailbox("ann@mfdemo-out.com")
    first = await on.apply(CONFIG)
    async with on.fleet.db.connection() as db:
        ref = await links.need(db, platform="smartlead", kind="mailbox", ours=box.id)
    for n in range(campaigns):
        made = str((await on.vendor("POST", "/campaigns/create", {"name": f"b{n}"}))["id"])
        timing = {"timezone": "UTC", "days_of_the_week": list(range(7)), "start_hour": "00:00", "end_hour": "23:59"}
        steps = [
            {"seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hi", "email_body": "<p>Hi</p>"}
        ]
        for path, body in (
            ("schedule", {**timing, "min_time_btw_emails": 3, "max_new_leads_per_day": 100}),
            ("sequences", {"sequences": steps}),
            ("email-accounts", {"email_account_ids": [int(ref)]}),
            ("leads", {"lead_list": [{"email": f"p{n}x{k}@firm{n}-mfdemo.com"} for k in range(3)]}),
            ("status", {"status": "START"}),
        ):
            await on.vendor("POST", f"/campaigns/{made}/{path}", body)
        async with on.fleet.db.transaction() as db:
            id = uuid4()
            await db.execute(
                """insert into mailfleet.campaigns (id, client_id, name, state, state_since, config, config_hash,
                                                    created_at)
                   values (%s, %s, %s, 'running', %s, %s, 'x', %s)""",
                [id, first.client_id, f"b{n}", on.clock.now(), Json(first.config), on.clock.now()],
            )
            await links.put(db, platform="smartlead", kind="campaign", ours=id, ref=made, at=on.clock.now())
    await on.vendor("POST", f"/email-accounts/{ref}", {"max_email_per_day": 1000, "time_to_wait_in_mins": 3})
    await on.inside.advance(on.inside.now + timedelta(days=1))


def bound(calls: int, a_minute: int) -> float:
    """Seconds until the last of so many calls may leave, under both windows and nothing else."""
    windows = [((int(a_minute * SHORT[0]), SHORT[1]), deque[float]()), ((a_minute, 60.0), deque[float]())]
    at = 0.0
    for _ in range(calls):
        for (most, seconds), taken in windows:
            if len(taken) == most:
                at = max(at, taken[0] + seconds)
        for (most, _seconds), taken in windows:
            taken.append(at)
            if len(taken) > most:
                taken.popleft()
    return at


async def measure(dsn: str, campaigns: int, a_minute: int) -> str:
    async with Database(dsn) as database, ground(database) as on:
        await prepare(on, campaigns)
        clock, told = SystemClock(), on.inside.info["smartlead"]
        means = Means(
            journal=PostgresJournal(database, clock), budget=PostgresBudget(database),
            circuit=PostgresCircuit(database), calls=PostgresCalls(database, clock), patience=Patience(queue=3600),
            http=httpx2.ASGITransport(app=build(on.inside.world, per_minute=a_minute)),
        )  # fmt: skip
        limited = SmartleadPlatform(
            get_smartlead_client(
                told["api_key"], means, base_url=told["base_url"], delivery_base_url=told["delivery_base_url"]
            )
        )
        on.fleet.platforms["smartlead"] = limited  # type: ignore[index]
        before, began = len(on.inside.world.log.lists["http"]), time.perf_counter()
        with using(on.fleet):
            result = await plain(smartlead_campaign_flow, action="stats")
        took = time.perf_counter() - began
        await limited.close()
        seen = on.inside.world.log.lists["http"][before:]
    refused = sum(1 for each in seen if each["status"] == 429)
    least = bound(len(seen), a_minute)
    sent = sum(each["sent"] for each in result["stats"].values())
    verdict = "within 5 %" if took <= 1.05 * least and not refused else "OUTSIDE 5 %"
    return (
        f"stats of {len(result['stats'])} campaigns with {sent} mails: {len(seen)} calls at {a_minute} a minute in "
        f"{took:.1f} s, the bound is {least:.1f} s: {took / least:.3f} of it, {refused} refused; {verdict}"
    )


def main() -> int:
    campaigns, a_minute = (int(word) for word in [*sys.argv[1:], *("100", "60")[len(sys.argv) - 1 :]][:2])
    with tempfile.TemporaryDirectory() as folder, LocalPostgres(Path(folder) / "postgres").running() as server:
        dsn = server.ensure_database("bench")
        migrate.migrate(dsn)
        told = asyncio.run(measure(dsn, campaigns, a_minute))
    sys.stdout.write(told + "\n")
    return 1 if "OUTSIDE" in told else 0


if __name__ == "__main__":
    sys.exit(main())
