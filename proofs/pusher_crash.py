"""The pusher and Postgres killed with SIGKILL at seeded random points, under load, against the sandbox.

python -m proofs.pusher_crash [KILLS [SEED]]: 300 of each without more. Afterwards the campaign at the sandbox and our
ledger hold the same addresses, as multisets: nobody twice, nobody vanished, nothing left open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from tests.leads.conftest import CONFIG
from tests.reconcile.vendors import START, opened
from tests.sandbox_fixture import Sandbox

from mailfleet.services import campaigns, clients, imports, push
from mailfleet.store import leads, migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

PER_KILL = 40
"""Leads of a call, and how many there are for each kill: there is always something to push."""
HEADER = "email,first_name,last_name,company,country,source\n"


async def prepare(dsn: str, info: dict[str, Any], file: Path) -> tuple[Any, str]:
    async with Database(dsn) as database, opened(database, info) as fleet:
        await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
        campaign = await campaigns.draft(fleet, CONFIG)
        await campaigns.configure_steps(fleet, campaign.id, CONFIG["sequence"])
        async with fleet.db.transaction() as db:
            await db.execute("update mailfleet.campaigns set state = 'running', started_at = %s", [START])
            ref = await push.links.need(db, platform="smartlead", kind="campaign", ours=campaign.id)
        await imports.import_leads(fleet, file)
    return campaign.id, ref


async def pushing(dsn: str, info: dict[str, Any], campaign_id: Any) -> None:
    """Everything there is to push, whatever the campaign's mailboxes could send in a day."""
    async with Database(dsn) as database, opened(database, info) as fleet:
        platform = fleet.platforms["smartlead"]
        platform.capabilities = type(platform.capabilities)(max_leads_per_call=PER_KILL, warmup=False)
        async with fleet.db.connection() as db:
            campaign = await campaigns.campaigns.need(db, campaign_id)
            ids = await leads.ready(
                db, campaign_id=campaign.id, client_id=campaign.client_id, shared=True, limit=100_000
            )
        await push.push(fleet, campaign.id, ids)


def start(dsn: str, info: dict[str, Any], campaign_id: Any) -> int:
    """A process of its own, by fork: a new interpreter each time would take longer than what it is killed in."""
    if pid := os.fork():
        return pid
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        try:
            asyncio.run(pushing(dsn, info, campaign_id))
        except BaseException:  # what the kill of its database makes of it is the next one's to mend
            os._exit(1)
    os._exit(0)


def kill(pid: int) -> bool:
    """Whether it was still alive."""
    done, _ = os.waitpid(pid, os.WNOHANG)
    if done:
        return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def prove(kills: int, seed: int, folder: Path, stack: contextlib.ExitStack) -> int:
    rng, home = random.Random(seed), folder / "postgres"  # noqa: S311 - when to kill
    server = stack.enter_context(LocalPostgres(home, throwaway=False).running())
    dsn = server.ensure_database("crash")
    migrate.migrate(dsn)
    sandbox = Sandbox("--seed", str(seed), "--rate-limit", "1000000", "--profile", "calm")
    stack.callback(sandbox.close)
    file, count = folder / "leads.csv", 2 * kills * PER_KILL
    rows = (f"p{n}@firm{n}-mfdemo.com,Bo,Ek{n},Firm {n} works,DE,fair\n" for n in range(count))
    file.write_text(HEADER + "".join(rows))
    campaign_id, ref = asyncio.run(prepare(dsn, sandbox.info, file))
    killed = {"pusher": 0, "postgres": 0}
    while min(killed.values()) < kills and left(dsn):
        pid = start(dsn, sandbox.info, campaign_id)
        time.sleep(rng.uniform(0.05, 0.6))
        if killed["postgres"] < killed["pusher"]:
            os.kill(postmaster(dsn), signal.SIGKILL)
            killed["postgres"] += 1
            time.sleep(rng.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            stack.enter_context(LocalPostgres(home, throwaway=False).running())
        else:
            killed["pusher"] += kill(pid)
    while left(dsn):
        os.waitpid(start(dsn, sandbox.info, campaign_id), 0)
    return verdict(dsn, sandbox, ref, count, killed)


def postmaster(dsn: str) -> int:
    with psycopg.connect(dsn) as db:
        told = Path(f"/proc/{db.info.backend_pid}/stat").read_text("utf-8")
    return int(told.rpartition(")")[2].split()[1])  # proc(5): the parent stands after the state


def left(dsn: str) -> int:
    """Leads that wait or whose outcome is not written."""
    with psycopg.connect(dsn) as db:
        found = db.execute(
            """select (select count(*) from mailfleet.leads where status = 'ready_to_send')
                    + (select count(*) from mailfleet.lead_ownership where state in ('claimed', 'ambiguous'))"""
        ).fetchone()
    return found[0] if found else 0


def verdict(dsn: str, sandbox: Sandbox, ref: str, count: int, killed: dict[str, int]) -> int:
    there: Counter[str] = Counter()
    offset = 0
    while page := sandbox.smartlead("GET", f"/campaigns/{ref}/leads", offset=offset, limit=100).json()["data"]:
        there.update(row["lead"]["email"] for row in page)
        offset += len(page)
    with psycopg.connect(dsn) as db:
        ours = Counter(
            email
            for (email,) in db.execute(
                """select l.email_norm from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
                   where o.state = 'active' and o.ref is not null"""
            )
        )
    same = there == ours and max(there.values()) == 1 and len(there) == count
    told = f"{killed['pusher']} kills of the pusher, {killed['postgres']} of Postgres, {count} leads"
    both = f"{sum(there.values())} there, {sum(ours.values())} in the ledger"
    apart = f"{len(there - ours)} + {len(ours - there)} differ"
    sys.stdout.write(f"{told}: {both}, {apart}: {'holds' if same else 'BROKEN'}\n")
    return 0 if same else 1


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        return prove(kills, seed, Path(folder), stack)


if __name__ == "__main__":
    sys.exit(main())
