"""Deduplicating many leads at once; verdict at most 1.3 times the bare joins, the whole path at most 1.3 times COPY and
insert of the same rows, Python under 150 MB.

`python benchmarks/dedup.py [LEADS ...]`: 10,000 without more. Each is judged against ten times as many suppressed
addresses and three times as many organisations written to; a twentieth meets each, a twentieth repeats an address and a
twentieth an organisation of the list. Beside it, in the same run: the same joins as bare SQL over the same staged rows,
which name nobody and find no repetition; and COPY of the same rows with an insert of them into a table of their keys.
"""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST, MOST_MB = 1.3, 150
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def fill(dsn: str, count: int) -> None:
    """Suppressions and contacts, really loaded: durable, with every index."""
    import psycopg

    with psycopg.connect(dsn) as db:
        db.execute(
            """insert into mailfleet.suppressions (scope, key, key_hash, reason, created_at, created_by)
               select 'address', k, mailfleet.suppression_hash('pepper', 'address', k), 'import', %s, 'bench'
               from generate_series(1, %s) n, lateral (select 's' || n || '@gone' || n / 3 || '-mfdemo.com' as k) x""",
            [NOW, 10 * count],
        )
        db.execute(
            """insert into mailfleet.contacts (kind, key, last_at, lead_id)
               select 'domain', 'met' || n || '-mfdemo.com', %s, n from generate_series(1, %s) n""",
            [NOW, 3 * count],
        )
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("vacuum analyze mailfleet.suppressions, mailfleet.contacts")


def people(count: int) -> Iterator[dict[str, str]]:
    rng = random.Random(count)
    for n in range(count):
        match n % 20:
            case 0:
                k = rng.randrange(1, 10 * count)
                email = f"s{k}@gone{k // 3}-mfdemo.com"
            case 1:
                email = f"p{n}@met{rng.randrange(1, 3 * count)}-mfdemo.com"
            case 2:
                email = f"p{n - 10}@firm{n - 10}-mfdemo.com" if n > 20 else f"p{n}@firm{n}-mfdemo.com"
            case 3:
                email = f"q{n}@firm{n - 10}-mfdemo.com" if n > 20 else f"q{n}@firm{n}-mfdemo.com"
            case _:
                email = f"p{n}@firm{n}-mfdemo.com"
        yield {"email": email, "first_name": "Bo", "last_name": f"Ek{n}", "company": f"Firm {n} works"}


async def judging(dsn: str, count: int) -> None:
    """In a process of its own: seconds of the whole path and of the verdict, memory, how many met something."""
    from mailfleet.services.dedup import candidate, checks
    from mailfleet.store import dedup
    from proofs import ground

    fleet = ground.fleet(dsn)
    async with fleet.db, fleet.db.transaction() as db:
        begun = time.perf_counter()
        await dedup.stage(db, (candidate(n, each) for n, each in enumerate(people(count))))
        staged = time.perf_counter()
        found = await dedup.judge_staged(db, checks(fleet), pepper=fleet.suppression_key)
        ended = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{ended - begun} {ended - staged} {memory} {len(found)}")


BARE = """select count(*) from candidates i
    left join mailfleet.suppressions a on a.scope = 'address' and a.key = i.email_norm
    left join mailfleet.suppressions d on d.scope = 'domain' and d.key = i.domain
    left join mailfleet.suppressions p on p.scope = 'person' and p.key = i.person_key
    left join mailfleet.leads x on x.email_norm = i.email_norm
    left join mailfleet.lead_ownership o on o.lead_id = x.id
    left join mailfleet.vendor_leads v on v.email_norm = i.email_norm
    left join mailfleet.contacts ka on ka.kind = 'address' and ka.key = i.email_norm
    left join mailfleet.contacts kd on kd.kind = 'domain' and kd.key = i.domain
    left join mailfleet.contacts kc on kc.kind = 'company' and kc.key = i.company_norm
    where a.id is not null or d.id is not null or p.id is not null or x.id is not null or o.lead_id is not null
       or v.ref is not null or ka.key is not null or kd.key is not null or kc.key is not null"""


async def bare(dsn: str, count: int) -> tuple[float, float]:
    """Seconds of the joins over the staged rows, and of COPY and insert of the same rows."""
    from mailfleet.services.dedup import candidate
    from mailfleet.store import dedup
    from proofs import ground

    fleet = ground.fleet(dsn)
    rows = [candidate(n, each) for n, each in enumerate(people(count))]
    async with fleet.db, fleet.db.transaction() as db:
        begun = time.perf_counter()
        await dedup.stage(db, rows)
        await db.execute("create table kept (like candidates, primary key (n))")
        await db.execute("create index on kept (email_norm)")
        await db.execute("insert into kept select * from candidates")
        stored = time.perf_counter() - begun
        begun = time.perf_counter()
        await db.execute(BARE)
        joined = time.perf_counter() - begun
        await db.execute("drop table kept")
    return joined, stored


def measure(count: int) -> bool:
    from benchmarks.parts import database

    with database() as dsn:
        fill(dsn, count)
        command = [sys.executable, "-m", "benchmarks.dedup", "--one", dsn, str(count)]
        told = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, text=True).stdout
        whole, verdict, memory, found = map(float, told.split())
        joined, stored = asyncio.run(bare(dsn, count))
    held = verdict <= MOST * joined and whole <= MOST * stored and memory < MOST_MB
    print(
        f"{count:>9,} leads against {10 * count:,} + {3 * count:,}: whole path {whole:6.2f} s, {count / whole:,.0f}/s, "
        f"{whole / stored:.2f} × COPY + insert; verdict {verdict:6.2f} s, {verdict / joined:.2f} × the bare joins; "
        f"{memory:.0f} MB, {found:,.0f} met something: {'held' if held else 'MISSED'}",
        flush=True,
    )
    return held


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        asyncio.run(judging(sys.argv[2], int(sys.argv[3])))
        return 0
    held = [measure(count) for count in map(int, sys.argv[1:] or ["10000"])]
    print(f"targets: {MOST} and {MOST} times, under {MOST_MB} MB")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
