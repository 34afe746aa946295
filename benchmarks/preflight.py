"""Everything that is looked at before a start, for a campaign with many leads waiting, beside one pass over their rows.

python benchmarks/preflight.py [LEADS]: 100,000 without more. Target: under 3 s.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.inside import IDENTITY, ground

from mailfleet.services import campaigns
from mailfleet.store import migrate
from mailfleet.store.database import Database, value
from mailfleet.store.embedded import LocalPostgres

TIMES = 5
CONFIG = {
    "name": "Bench",
    "identity": IDENTITY,
    "fields": ["role", "city"],
    "schedule": {"timezone": "Europe/Berlin", "days": ["mon", "tue"], "start_hour": 9, "end_hour": 17},
    "sequence": [
        {
            "step": 1,
            "subject": "{{company_name}}",
            "body": "Hi {{first_name}}, as {{role}} in {{city}}.",
            "delay_days": 0,
        },
        {"step": 2, "subject": "", "body": "Again, {{first_name}}.", "delay_days": 3},
    ],
}


async def measure(dsn: str, leads: int) -> str:
    async with Database(dsn) as database, ground(database) as on:
        await on.mailbox("ann@mfdemo-out.com")
        made = await on.apply(CONFIG)
        async with database.transaction() as db:
            await db.execute(
                """insert into mailfleet.leads (client_id, email, email_norm, domain, campaign_id, status, first_name,
                                                company, fields, created_at, updated_at)
                   select %(client)s, e, e, d, %(campaign)s, 'ready_to_send', 'Bo', 'Firm ' || i,
                          case when i %% 500 = 0 then '{"role": "CTO"}'
                               else '{"role": "CTO", "city": "Oslo"}' end::jsonb,
                          %(at)s, %(at)s
                   from generate_series(1, %(n)s) as g(i),
                        lateral (select 'd' || (i / 3) || '.example' as d) x,
                        lateral (select 'p' || i || '@' || d as e) y""",
                {"client": made.client_id, "campaign": made.id, "at": on.clock.now(), "n": leads},
            )
            await db.execute("analyze mailfleet.leads")
        took, bare, told = list[float](), list[float](), ""
        for _ in range(TIMES):
            began = time.perf_counter()
            told = next(c.reasons[0] for c in await campaigns.preflight(on.fleet, made.id) if c.name == "merge fields")
            took.append(time.perf_counter() - began)
            began = time.perf_counter()
            async with database.connection() as db:
                await value(db, "select count(fields->>'city') from mailfleet.leads where campaign_id = %s", [made.id])
            bare.append(time.perf_counter() - began)
        assert told == f"{leads // 500} leads leave {{{{city}}}} empty"
    middle, raw = sorted(took)[TIMES // 2], sorted(bare)[TIMES // 2]
    verdict = "within 3 s" if max(took) < 3 else "ABOVE 3 s"
    return (
        f"preflight of {leads} leads: {middle * 1000:.0f} ms, middle of {TIMES}, slowest {max(took) * 1000:.0f} ms; "
        f"one pass over their rows {raw * 1000:.0f} ms: {middle / raw:.1f} times; {verdict}"
    )


def main() -> int:
    leads = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder, LocalPostgres(Path(folder) / "postgres").running() as server:
        dsn = server.ensure_database("bench")
        migrate.migrate(dsn)
        told = asyncio.run(measure(dsn, leads))
    sys.stdout.write(told + "\n")
    return 1 if "ABOVE" in told else 0


if __name__ == "__main__":
    sys.exit(main())
