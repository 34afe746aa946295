"""One look of the controller at 2,000 campaigns and a year of mails, beside the bare read of the same week's events.

python benchmarks/migration_tick.py [CAMPAIGNS] [MAILS A DAY]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.migration.desks import pair

from mailfleet.migration import controller, verbs
from mailfleet.services import approvals
from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TICKS = 5


async def measure(dsn: str, campaigns: int, daily: int) -> str:
    async with Database(dsn) as database:
        world = await pair(database, leads=(1,))
        world.later(days=380)
        now = world.clock.now()
        await world.do("select mailfleet.events_keep(%s, 2, 30)", now)
        await world.do(
            """insert into mailfleet.campaigns (client_id, name, state, state_since, platform, config, config_hash,
                   started_at, created_at)
               select c.id, 'c' || n, 'running', %(now)s, case when n %% 2 = 0 then 'smartlead' else 'forge' end,
                      '{"sequence": [1]}', 'x', %(now)s, %(now)s
               from mailfleet.clients c, generate_series(1, %(campaigns)s) n""".replace("%(now)s", "now()").replace(
                "%(campaigns)s", str(campaigns)
            )  # type: ignore[arg-type]
        )
        for kind, share in (("sent", 1.0), ("bounced", 0.02), ("replied", 0.04)):
            await world.do(
                f"""with c as (select array_agg(id order by id) as ids, array_agg(platform order by id) as names
                              from mailfleet.campaigns where name like 'c%%')
                    insert into mailfleet.events (id, at, received_at, platform, kind, campaign_id, lead_id, step)
                    select overlay(mailfleet.uuid_floor(t.at)::text placing substr(md5(t.n || '{kind}'), 1, 12)
                                   from 25)::uuid, t.at, t.at, c.names[1 + t.n %% {campaigns}], '{kind}',
                           c.ids[1 + t.n %% {campaigns}], t.n, 1
                    from c, (select n, %s::timestamptz - interval '365 days' * n / {365 * daily} as at
                             from generate_series(1, {365 * daily}) n) t
                    where t.n %% 1000 < {int(1000 * share)}""",  # type: ignore[arg-type]
                now,
            )
        await world.do("analyze mailfleet.events")
        made = await verbs.plan(
            world.fleet, name="bench", start_on=(now - timedelta(days=40)).date(), timezone="UTC", volume=daily, seed=1
        )
        await approvals.approve(world.fleet, made["approval"], by="person:ann")
        await verbs.start(world.fleet)
        ticks: list[float] = []
        for _ in range(TICKS):
            began = time.perf_counter()
            await controller.tick(world.fleet)
            ticks.append(time.perf_counter() - began)
        began = time.perf_counter()
        rows: list[Any] = await world.ask(
            """select campaign_id, kind, count(*) from mailfleet.events
               where id >= mailfleet.uuid_floor(%s) group by 1, 2""",
            now - timedelta(days=30),
        )
        bare = time.perf_counter() - began
        best = sorted(ticks)[TICKS // 2]
        return (
            f"{campaigns} campaigns, {daily} mails a day for a year: a tick takes {best * 1000:.0f} ms, middle of "
            f"{TICKS}, reading the month's sums alone ({len(rows)} rows) {bare * 1000:.0f} ms: {best / bare:.1f} times"
        )


def main() -> int:
    campaigns, daily = (int(word) for word in [*sys.argv[1:], *("2000", "1000")[len(sys.argv) - 1 :]][:2])
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "postgres", FAST, throwaway=True).running() as server,
    ):
        dsn = server.ensure_database("ticks")
        migrate.migrate(dsn)
        sys.stdout.write(asyncio.run(measure(dsn, campaigns, daily)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
