"""An import and its Postgres killed with SIGKILL at seeded random points, started again until it is done.

python -m proofs.import_crash [KILLS [SEED]]: 100 of each without more. Afterwards leads and refusals, row by row, are
those of the same file imported undisturbed: nothing twice, nothing lost, the same row of an address won.
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
from pathlib import Path

import psycopg
from benchmarks.import_leads import write

from mailfleet.services import clients, imports
from mailfleet.store import migrate
from mailfleet.store.embedded import LocalPostgres
from proofs import ground

BATCH = 40
"""Rows of a chunk: small, so that a kill falls between any two steps of it."""
SLOW = 300
"""Rows for each kill: the import is not over before its killers are."""


async def importing(dsn: str, file: Path) -> None:
    fleet = ground.fleet(dsn)
    async with fleet.db:
        await clients.put_client(fleet, "c", name="C")
        await imports.import_leads(fleet, file)


def start(dsn: str, file: Path) -> int:
    """A process of its own, by fork: a new interpreter each time would take longer than what it is killed in."""
    if pid := os.fork():
        return pid
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        ground.quiet()
        imports.BATCH = BATCH
        try:
            asyncio.run(importing(dsn, file))
        except BaseException:  # what the kill of its database makes of it is the next one's to mend
            os._exit(1)
    os._exit(0)


def outcome(dsn: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], object]:
    """Leads by their row, refusals by theirs, and what the import says of itself."""
    with psycopg.connect(dsn) as db:
        leads = db.execute(
            "select import_row, email_norm, first_name, company from mailfleet.leads order by 1"
        ).fetchall()
        refused = db.execute("select row_no, rule, field, value from mailfleet.import_refusals order by 1").fetchall()
        told = db.execute("select state, rows_read, taken, refused, unknown_country from mailfleet.imports").fetchall()
    return leads, refused, told


def done(dsn: str) -> bool:
    with psycopg.connect(dsn) as db:
        return db.execute("select 1 from mailfleet.imports where state = 'done'").fetchone() is not None


def prove(kills: int, seed: int, folder: Path, stack: contextlib.ExitStack) -> int:
    rng, home, file = random.Random(seed), folder / "postgres", folder / "leads.csv"  # noqa: S311 - when to kill
    server = stack.enter_context(LocalPostgres(home, throwaway=False).running())
    dsn, calm = server.ensure_database("crash"), server.ensure_database("calm")
    migrate.migrate(dsn)
    migrate.migrate(calm)
    count = 2 * kills * SLOW
    write(file, count)
    killed = {"import": 0, "postgres": 0}
    while min(killed.values()) < kills and not done(dsn):
        pid = start(dsn, file)
        time.sleep(rng.uniform(0.05, 0.5))
        if killed["postgres"] < killed["import"]:
            ground.kill_server(home)
            killed["postgres"] += 1
            time.sleep(rng.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            ground.until_up(LocalPostgres(home, throwaway=False))
        else:
            ended, _ = os.waitpid(pid, os.WNOHANG)
            os.kill(pid, signal.SIGKILL) if not ended else None
            os.waitpid(pid, 0) if not ended else None
            killed["import"] += not ended
    while not done(dsn):
        os.waitpid(start(dsn, file), 0)
    os.waitpid(start(calm, file), 0)
    same = outcome(dsn) == outcome(calm)
    told = f"{killed['import']} kills of the import, {killed['postgres']} of Postgres, {count} rows"
    leads, refused, _ = outcome(dsn)
    sys.stdout.write(f"{told}: {len(leads)} leads, {len(refused)} refusals, {'as undisturbed' if same else 'BROKEN'}\n")
    return 0 if same else 1


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        return prove(kills, seed, Path(folder), stack)


if __name__ == "__main__":
    sys.exit(main())
