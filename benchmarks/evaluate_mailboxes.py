"""Judging every mailbox with 90 days of history: what each next reading, band and trigger decides.

python benchmarks/evaluate_mailboxes.py [MAILBOXES] [MAILS A DAY EACH]

Beside it, in the same run, the bare read of the same rows. Targets at 10,000 mailboxes: under 5 s, under 300 MB, at
most 3 queries a thousand mailboxes.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
from benchmarks.parts import database, fleet_on

from mailfleet.clock import FixedClock
from mailfleet.services import explained
from mailfleet.services.context import Fleet

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAYS, PER_DOMAIN, PER_CAMPAIGN = 90, 5, 50


async def fill(fleet: Fleet, count: int, daily: int) -> None:
    """A tenth warms up; one in ten bounces at 4 %, so that its scopes stand off the normal band."""
    async with fleet.db.connection() as db:
        await db.execute("select mailfleet.events_keep(%s, 1, 6)", [NOW])
        for months in range(1, 5):
            await db.execute("select mailfleet.events_keep(%s::timestamptz - make_interval(months => %s), 1, 12)",
                             [NOW, months])  # fmt: skip
        for sql in (
            """insert into mailfleet.domains (client_id, name, state, state_since, created_at)
               select c.id, 'd' || n || '-bench.com', 'verified', %(now)s, %(now)s
               from mailfleet.clients c, generate_series(1, %(count)s / %(domain)s) n""",
            """insert into mailfleet.mailboxes (client_id, domain_id, address, state, state_since, created_at,
                   warming_since, warmup_days, heat, heat_state, connected, timezone)
               select d.client_id, d.id, 'p' || k || '@' || d.name,
                      case when k = 1 and right(d.name, 12) like '%%0-bench.com' then 'WARMING' else 'PRODUCTION' end,
                      %(now)s::timestamptz - interval '60 days', %(now)s::timestamptz - interval '90 days',
                      %(now)s::timestamptz - interval '90 days', 80, 92, 'OK', true, 'Australia/Sydney'
               from mailfleet.domains d, generate_series(1, %(domain)s) k""",
            """insert into mailfleet.campaigns (client_id, name, state, state_since, config, config_hash, created_at)
               select c.id, 'c' || n, 'running', %(now)s, '{}', 'x', %(now)s
               from mailfleet.clients c, generate_series(0, %(count)s / %(campaign)s - 1) n""",
            """insert into mailfleet.mailbox_readings (mailbox_id, day, platform, heat, heat_state, vendor_reputation,
                   warmup_sent, warmup_inbox, warmup_sent_day, campaign_sent, taken_at)
               select m.id, (%(now)s::timestamptz - make_interval(days => t))::date, 'smartlead', 92, 'OK', 95, 140,
                      130, 20, %(daily)s, %(now)s::timestamptz - make_interval(days => t, hours => 2)
               from mailfleet.mailboxes m, generate_series(0, %(days)s - 1) t""",
            """with m as (select id, client_id, row_number() over (order by address) as n from mailfleet.mailboxes),
                    c as (select array_agg(id order by name) as ids from mailfleet.campaigns)
               insert into mailfleet.events (id, at, received_at, platform, kind, client_id, campaign_id, mailbox_id,
                   lead_id, step)
               select overlay(mailfleet.uuid_floor(e.at)::text placing lpad(to_hex(m.n * 100000 + e.t), 12, '0')
                              from 25)::uuid, e.at, e.at, 'smartlead', 'sent', m.client_id,
                      c.ids[1 + (m.n / %(campaign)s) %% cardinality(c.ids)], m.id, m.n * 100000 + e.t, 1
               from m, c, (select t, %(now)s::timestamptz - interval '90 days' * t / (%(days)s * %(daily)s) as at
                           from generate_series(1, %(days)s * %(daily)s) t) e""",
            """insert into mailfleet.events (id, at, received_at, platform, kind, client_id, campaign_id, mailbox_id,
                   lead_id, step, detail)
               select overlay(id::text placing 'b' from 25)::uuid, at, at, platform, 'bounced', client_id, campaign_id,
                      mailbox_id, lead_id, step, '{"class": "hard"}'
               from mailfleet.events where kind = 'sent' and lead_id %% 100 < case
                   when (lead_id / 100000) %% 10 = 0 then 4 else 1 end""",
            "analyze mailfleet.events", "analyze mailfleet.mailbox_readings", "analyze mailfleet.mailboxes",
        ):  # fmt: skip
            args = {"now": NOW, "count": count, "domain": PER_DOMAIN, "campaign": PER_CAMPAIGN, "days": DAYS,
                    "daily": daily}  # fmt: skip
            begun = time.perf_counter()
            await db.execute(sql, args if "%" in sql else None)  # type: ignore[arg-type]
            sys.stderr.write(f"  filled in {time.perf_counter() - begun:.0f} s: {sql.split()[:3]}\n")


async def bare(fleet: Fleet) -> float:
    """The same rows read and thrown away: events of the week, readings of the days judged."""
    begun = time.perf_counter()
    async with fleet.db.connection() as db:
        for sql in (
            """select mailbox_id, kind, count(*) from mailfleet.events
               where id >= mailfleet.uuid_floor(%(now)s::timestamptz - interval '30 days') group by 1, 2""",
            "select mailbox_id, count(*), max(heat) from mailfleet.mailbox_readings group by 1",
        ):
            await (await db.execute(sql, {"now": NOW} if "%(" in sql else None)).fetchall()  # type: ignore[arg-type]
    return time.perf_counter() - begun


class Counted:
    """Statements of one connection pool."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, *_: Any) -> None:
        self.n += 1


async def measure(dsn: str, count: int, daily: int) -> bool:
    async with fleet_on(dsn) as fleet:
        fleet.clock = FixedClock(NOW)
        await fill(fleet, count, daily)
        raw = min([await bare(fleet) for _ in range(3)])
        queries = Counted()
        executed = psycopg.AsyncCursor.execute

        async def counted(self: Any, *given: Any, **named: Any) -> Any:
            queries()
            return await executed(self, *given, **named)

        psycopg.AsyncCursor.execute = counted  # type: ignore[method-assign]
        found: list[explained.Checked] = []
        times: list[float] = []
        cpus: list[float] = []
        for _ in range(3):
            queries.n = 0
            begun, cpu = time.perf_counter(), time.process_time()
            found = await explained.check(fleet)
            times.append(time.perf_counter() - begun)
            cpus.append(time.process_time() - cpu)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        bands = {band: sum(each.band == band for each in found) for band in ("normal", "elevated", "warning")}
        print(
            f"{count} mailboxes, {DAYS} days, {daily} mails a day each: {min(times):.2f} s "
            f"(worst {max(times):.2f}), of that {min(cpus):.2f} s CPU of ours, bare read {raw:.2f} s, "
            f"ratio {min(times) / raw:.1f}; {queries.n} queries "
            f"({queries.n / count * 1000:.1f} a thousand), peak {peak:.0f} MB; {len(found)} scopes, {bands}"
        )
        return min(times) < 5 * count / 10_000 and peak < 300 and queries.n / count * 1000 <= 3


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    daily = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    with database() as dsn:
        return 0 if asyncio.run(measure(dsn, count, daily)) else 1


if __name__ == "__main__":
    sys.exit(main())
