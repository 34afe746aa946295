"""What was judged, with its inputs, and the readings that the judging needs: by send cohort, never by arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.errors import Unknown
from mailfleet.rules.migration.readiness import OldMailbox
from mailfleet.rules.migration.verdicts import Trigger, Verdict
from mailfleet.store.database import Connection, execute, row, rows, tuples

_COLUMNS: LiteralString = "id, at, trigger, verdict, inputs, parameters"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: datetime
    trigger: Trigger
    verdict: dict[str, Any]
    inputs: dict[str, Any]
    parameters: int

    def made(self) -> Verdict:
        return msgspec.convert(self.verdict, Verdict)


async def add(
    db: Connection, migration_id: UUID, verdict: Verdict, inputs: object, *, parameters: int, at: datetime
) -> None:
    await execute(
        db,
        """insert into mailfleet.migration_verdicts (migration_id, at, trigger, state, verdict, inputs, parameters)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [
            migration_id,
            at,
            verdict.trigger,
            verdict.state,
            Json(msgspec.to_builtins(verdict)),
            Json(msgspec.to_builtins(inputs)),
            parameters,
        ],
    )


async def latest(db: Connection, migration_id: UUID) -> Mapping[Trigger, Stored]:
    """The last one of each trigger."""
    found = await rows(
        db,
        Stored,
        """select t.* from unnest(array['bounce', 'placement', 'reply', 'api', 'bug', 'warmup', 'cost']) as k(name)
           cross join lateral (
               select id, at, trigger, verdict, inputs, parameters from mailfleet.migration_verdicts
               where migration_id = %s and trigger = k.name order by id desc limit 1) t""",
        [migration_id],
    )
    return {each.trigger: each for each in found}


async def get(db: Connection, migration_id: UUID, id: int | None, trigger: str) -> Stored:
    """By number, or the last of a trigger. Raises Unknown."""
    found = await row(
        db,
        Stored,
        "select "
        + _COLUMNS
        + """ from mailfleet.migration_verdicts
              where migration_id = %(migration)s and (%(id)s::bigint is null or id = %(id)s)
                and (%(trigger)s = '' or trigger = %(trigger)s)
              order by id desc limit 1""",
        {"migration": migration_id, "id": id, "trigger": trigger},
    )
    if found:
        return found
    raise Unknown("There is no such verdict.", hint="`mailfleet migration status` lists the verdicts.")


async def changes(db: Connection, migration_id: UUID) -> list[tuple[int, datetime, str, str]]:
    """number, when, trigger, state; oldest first."""
    found = await tuples(
        db,
        "select id, at, trigger, state from mailfleet.migration_verdicts where migration_id = %s order by id",
        [migration_id],
    )
    return [(id, at, trigger, state) for id, at, trigger, state in found]


async def bounces(
    db: Connection, platform: str, now: datetime, hours: Sequence[int]
) -> Mapping[int, list[tuple[str, float, float]]]:
    """window → (campaign, mails sent in it, of these bounced by now)."""
    found = await tuples(
        db,
        """with sent as (
               select e.campaign_id, e.lead_id, e.step, max(e.at) as at
               from mailfleet.events e
               where e.platform = %(platform)s and e.kind = 'sent' and e.campaign_id is not null
                 and e.id >= mailfleet.uuid_floor(%(now)s::timestamptz - %(longest)s::interval) and e.at <= %(now)s
               group by 1, 2, 3),
           bounced as (
               select distinct e.campaign_id, e.lead_id, e.step
               from mailfleet.events e
               where e.platform = %(platform)s and e.kind = 'bounced'
                 and e.id >= mailfleet.uuid_floor(%(now)s::timestamptz - %(longest)s::interval) and e.at <= %(now)s
                 and coalesce(e.detail ->> 'class', 'hard') not in ('auto_reply', 'complaint')),
           judged as (
               select s.campaign_id, s.at, exists (
                   select 1 from bounced b where b.lead_id = s.lead_id and b.campaign_id = s.campaign_id
                     and (b.step is null or b.step = s.step)) as hit
               from sent s)
           select w.hours, j.campaign_id::text, count(*)::float8, count(*) filter (where j.hit)::float8
           from unnest(%(hours)s::int[]) as w(hours)
           join judged j on j.at > %(now)s::timestamptz - make_interval(hours => w.hours)
           group by 1, 2 order by 1, 2""",
        {"platform": platform, "now": now, "longest": timedelta(hours=max(hours)), "hours": list(hours)},
    )
    made: dict[int, list[tuple[str, float, float]]] = {window: [] for window in hours}
    for window, campaign, n, k in found:
        made[window].append((campaign, n, k))
    return made


async def hourly(db: Connection, platform: str, since: datetime, now: datetime) -> list[tuple[datetime, int, int]]:
    """hour, mails sent in it, bounces that arrived in it: the literal reading's figures."""
    found = await tuples(
        db,
        """select date_trunc('hour', at), count(*) filter (where kind = 'sent')::int,
                  count(*) filter (where kind = 'bounced')::int
           from mailfleet.events
           where platform = %s and kind in ('sent', 'bounced') and id >= mailfleet.uuid_floor(%s) and at <= %s
           group by 1 order by 1""",
        [platform, since, now],
    )
    return [(hour, sent, bounced) for hour, sent, bounced in found]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Mails of a campaign of one age, and the replies to them."""

    campaign: str
    client: str
    age_hours: float
    sent: int
    replied: int


async def answers(db: Connection, platform: str, now: datetime, days: int) -> list[Answers]:
    """By campaign and twelfth of a day of sending; a reply belongs to the last mail before it."""
    return await rows(
        db,
        Answers,
        """with sent as (
               select e.campaign_id, e.client_id, e.lead_id, e.at,
                      lead(e.at) over (partition by e.campaign_id, e.lead_id order by e.at) as next_at
               from mailfleet.events e
               where e.platform = %(platform)s and e.kind = 'sent' and e.campaign_id is not null
                 and e.id >= mailfleet.uuid_floor(%(now)s::timestamptz - make_interval(days => %(days)s))
                 and e.at <= %(now)s),
           replied as (
               select e.campaign_id, e.lead_id, min(e.at) as at from mailfleet.events e
               where e.platform = %(platform)s and e.kind = 'replied'
                 and e.id >= mailfleet.uuid_floor(%(now)s::timestamptz - make_interval(days => %(days)s))
                 and e.at <= %(now)s
               group by 1, 2)
           select s.campaign_id::text as campaign, coalesce(s.client_id::text, '') as client,
                  (floor(extract(epoch from %(now)s::timestamptz - s.at) / 7200) * 2 + 1)::float8 as age_hours,
                  count(*)::int as sent,
                  count(r.at) filter (where r.at >= s.at and (s.next_at is null or r.at < s.next_at))::int as replied
           from sent s left join replied r on r.campaign_id = s.campaign_id and r.lead_id = s.lead_id
           group by 1, 2, 3""",
        {"platform": platform, "now": now, "days": days},
    )


async def placement(
    db: Connection, platform: str, now: datetime, days: int
) -> tuple[list[tuple[int, str, str, str, float, float]], bool]:
    """Seed tests as the rules read them, and whether today's burst is in."""
    found = await tuples(
        db,
        """select floor(extract(epoch from %(now)s::timestamptz - at) / 86400)::int,
                  domain_age || '/' || provider || '/' || coalesce(client_id::text, ''), domain, provider,
                  sum(seeds)::float8, sum(inbox)::float8,
                  bool_or(burst and at > %(now)s::timestamptz - interval '20 hours')
           from mailfleet.placement_tests
           where platform = %(platform)s and at <= %(now)s
             and at > %(now)s::timestamptz - make_interval(days => %(days)s)
           group by 1, 2, 3, 4 order by 1, 2, 3, 4""",
        {"platform": platform, "now": now, "days": days},
    )
    return [(ago, stratum, domain, provider, n, k) for ago, stratum, domain, provider, n, k, _ in found], any(
        burst for *_, burst in found
    )


async def add_test(
    db: Connection,
    *,
    at: datetime,
    platform: str,
    domain: str,
    domain_age: str,
    provider: str,
    seeds: int,
    inbox: int,
    burst: bool,
    source: str,
    client_id: UUID | None = None,
) -> bool:
    """False: this test was told before."""
    return (
        await execute(
            db,
            """insert into mailfleet.placement_tests
                   (at, platform, client_id, domain, domain_age, provider, seeds, inbox, burst, source)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
            [at, platform, client_id, domain, domain_age, provider, seeds, inbox, burst, source],
        )
        == 1
    )


async def calls(db: Connection, vendors: Sequence[str], since: datetime, now: datetime) -> list[tuple[int, int, int]]:
    """minute (of the epoch), calls, of these without an answer or 5xx."""
    found = await tuples(
        db,
        """select (extract(epoch from minute) / 60)::bigint, sum(calls)::int,
                  coalesce(sum(calls) filter (where status !~ '^[1-4][0-9][0-9]$'), 0)::int
           from mailfleet.vendor_calls where vendor = any(%s) and minute > %s and minute <= %s
           group by 1 order by 1""",
        [list(vendors), since, now],
    )
    return [(minute, n, failed) for minute, n, failed in found]


async def wrong_sends(db: Connection, platform: str, now: datetime, *, attempts: int, minutes: int) -> list[Any]:
    """campaign, attempts, of these wrong: the same step twice, or from a mailbox not its own."""
    found = await tuples(
        db,
        """with recent as (
               select e.id, e.campaign_id, e.lead_id, e.step, e.mailbox_id, e.at,
                      row_number() over (order by e.id desc) as place
               from mailfleet.events e
               where e.platform = %(platform)s and e.kind = 'sent' and e.campaign_id is not null and e.at <= %(now)s
                 and e.id >= mailfleet.uuid_floor(%(now)s::timestamptz - interval '1 day')
               order by e.id desc limit 5000)
           select r.campaign_id::text, count(*)::float8, count(*) filter (where
               exists (select 1 from mailfleet.events o where o.lead_id = r.lead_id and o.campaign_id = r.campaign_id
                         and o.kind = 'sent' and o.step = r.step and o.id < r.id)
               or (r.mailbox_id is not null and not exists (
                       select 1 from mailfleet.campaign_mailboxes cm
                       where cm.campaign_id = r.campaign_id and cm.mailbox_id = r.mailbox_id)))::float8
           from recent r
           where r.place <= %(attempts)s or r.at > %(now)s::timestamptz - make_interval(mins => %(minutes)s)
           group by 1 order by 1""",
        {"platform": platform, "now": now, "attempts": attempts, "minutes": minutes},
    )
    return [(campaign, n, k) for campaign, n, k in found]


async def sent_by_platform(db: Connection, since: datetime, now: datetime) -> Mapping[str, int]:
    found = await tuples(
        db,
        """select platform, count(*)::int from mailfleet.events
           where kind = 'sent' and id >= mailfleet.uuid_floor(%s) and at > %s and at <= %s group by 1""",
        [since, since, now],
    )
    return dict(found)


async def owned(db: Connection) -> Mapping[str, int]:
    """Leads that a platform may still send to, by platform."""
    found = await tuples(
        db,
        """select platform, count(*)::int from mailfleet.lead_ownership
           where state in ('claimed', 'ambiguous', 'active', 'paused') group by 1""",
    )
    return dict(found)


async def vendor_paused(db: Connection, platform: str) -> list[str]:
    found = await tuples(
        db,
        """select id::text from mailfleet.campaigns
           where platform = %s and state = 'paused' and paused_by = 'vendor' order by id""",
        [platform],
    )
    return [id for (id,) in found]


async def warmups(db: Connection, platform: str, now: datetime) -> tuple[list[float], list[float]]:
    """Days to PRODUCTION of those that got there, and days so far of those under way, on this platform."""
    found = await tuples(
        db,
        """select m.state, extract(epoch from coalesce(case when m.state = 'PRODUCTION' then m.state_since end, %s)
                                              - m.warming_since) / 86400
           from mailfleet.mailboxes m
           join mailfleet.platform_links k on k.platform = %s and k.kind = 'mailbox' and k.ours = m.id::text
           where m.warming_since is not null and m.state in ('WARMING', 'PRODUCTION') and not m.warm_elsewhere""",
        [now, platform],
    )
    return (
        [float(days) for state, days in found if state == "PRODUCTION"],
        [float(days) for state, days in found if state == "WARMING"],
    )


async def old_mailboxes(db: Connection, platform: str, cap: int) -> list[OldMailbox]:
    """Mailboxes that the old platform knows, with its own last reading of each."""
    return await rows(
        db,
        OldMailbox,
        """select m.address, coalesce(m.connected, true) as connected, r.heat::float8 as heat,
                  coalesce(r.warmup_sent_day, r.warmup_sent / 7, 0)::int as warmup_per_day, %(cap)s::int as cap
           from mailfleet.mailboxes m
           join mailfleet.platform_links k on k.platform = %(platform)s and k.kind = 'mailbox' and k.ours = m.id::text
           left join lateral (
               select heat, warmup_sent_day, warmup_sent from mailfleet.mailbox_readings r
               where r.mailbox_id = m.id and r.platform = %(platform)s order by day desc limit 1) r on true
           where m.state <> 'RETIRED' order by m.address""",
        {"platform": platform, "cap": cap},
    )


async def linked(db: Connection, platform: str) -> Mapping[str, UUID]:
    """The platform's reference of a mailbox → ours."""
    found = await tuples(
        db,
        "select ref, ours::uuid from mailfleet.platform_links where platform = %s and kind = 'mailbox'",
        [platform],
    )
    return dict(found)


async def flows_green(db: Connection, since: datetime) -> list[str]:
    """Flows that have run through since, without an error."""
    found = await tuples(
        db,
        """select distinct flow from mailfleet.flow_results
           where started_at >= %s and finished_at is not null and error = ''""",
        [since],
    )
    return [flow for (flow,) in found]


async def heard(db: Connection, platform: str, since: datetime, now: datetime) -> tuple[int, int]:
    """Events that a webhook brought, and all that we know of: the difference came by reading alone."""
    found = await tuples(
        db,
        """select count(*) filter (where source = 'webhook')::int, count(*)::int from mailfleet.events
           where platform = %s and kind in ('sent', 'replied', 'bounced') and id >= mailfleet.uuid_floor(%s)
             and at <= %s""",
        [platform, since, now],
    )
    return found[0]


async def contacted(db: Connection, platform: str, since: datetime, now: datetime) -> tuple[int, int]:
    """Leads that got a first mail from this platform since, and of these that bounced."""
    found = await tuples(
        db,
        """select count(distinct e.lead_id)::int,
                  count(distinct e.lead_id) filter (where exists (
                      select 1 from mailfleet.events b where b.lead_id = e.lead_id and b.kind = 'bounced'
                        and b.campaign_id = e.campaign_id))::int
           from mailfleet.events e
           where e.platform = %s and e.kind = 'sent' and e.id >= mailfleet.uuid_floor(%s) and e.at <= %s""",
        [platform, since, now],
    )
    return found[0]


async def known_there(db: Connection, platform: str, campaign_id: UUID) -> tuple[set[str], set[str]]:
    """Addresses of a campaign that the ledger says were handed to this platform, and those that have to be there."""
    found = await tuples(
        db,
        """select l.email_norm, o.state in ('active', 'paused') and o.pushed_at is not null
           from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
           where o.platform = %s and o.campaign_id = %s""",
        [platform, campaign_id],
    )
    return {email for email, _ in found}, {email for email, live in found if live}


async def reconciled_at(db: Connection, platform: str) -> datetime | None:
    """When the ledger was last compared with this platform's own list."""
    found = await tuples(db, "select max(at) from mailfleet.watermarks where source like %s", [f"ledger:{platform}%"])
    return found[0][0]
