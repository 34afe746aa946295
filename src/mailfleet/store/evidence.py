"""What the safeguards judge by: mails and their bounces per mailbox and campaign, in a fixed number of queries.

A bounce belongs to the mail that bounced, not to the hour it came back: a late one does not spoil a quiet day. One
about us (`block`, `account`) is not the address's fault and does not count; a soft one that was its lead's last has
become hard by then (S9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, json_rows, rows, tuples

Scope = Literal["mailbox", "domain", "campaign"]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One mailbox in one campaign. `campaign_id` None: mail of no campaign that we know."""

    mailbox_id: UUID
    campaign_id: UUID | None
    sent_day: int
    bounced_day: int
    sent_week: int
    bounced_week: int
    sent_spam: int
    complained_spam: int
    sent_told: int
    complained_told: int


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """How far back each looks: auto-pause's bounces, the bands, auto-pause's complaints, a scope's complaints."""

    day: timedelta
    week: timedelta
    spam: timedelta
    told: timedelta


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    sent: int = 0
    bounced: int = 0
    complained: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox's readings since it entered its state, as two lists of one length, and when it was DEGRADED before."""

    mailbox_id: UUID
    days: list[date]
    heats: list[float | None]
    warmup_sent: int
    warmup_days: int
    reputation: float | None
    read_at: datetime | None
    degraded_at: list[datetime]


async def tallies(db: Connection, mailbox_ids: Sequence[UUID], *, now: datetime, spans: Spans) -> Sequence[Tally]:
    """Of these mailboxes, up to now; those without mail have no row."""
    return await rows(
        db,
        Tally,
        """with sent as (
               select mailbox_id, campaign_id,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(week)s)))::int as week,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(day)s)))::int as day,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(spam)s)))::int as spam,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(told)s)))::int as told
               from mailfleet.events
               where mailbox_id = any(%(ids)s) and kind = 'sent'
                 and id >= mailfleet.uuid_floor(%(first)s) and id < mailfleet.uuid_floor(%(now)s)
               group by 1, 2),
           back as (
               select e.mailbox_id, e.campaign_id, coalesce(s.id, e.id) as cohort,
                      coalesce(e.detail->>'class', 'hard') as class
               from mailfleet.events e
               left join lateral (
                   select max(s.id::text)::uuid as id from mailfleet.events s
                   where s.lead_id = e.lead_id and s.kind = 'sent'
                     and s.campaign_id is not distinct from e.campaign_id
                     and (e.step is null or s.step is null or s.step = e.step)) s on true
               where e.mailbox_id = any(%(ids)s) and e.kind = 'bounced'
                 and e.id >= mailfleet.uuid_floor(%(week)s) and e.id < mailfleet.uuid_floor(%(now)s)),
           bad as (
               select mailbox_id, campaign_id, cohort from back where class in ('hard', 'complaint')),
           bounced as (
               select mailbox_id, campaign_id,
                      (count(*) filter (where cohort >= mailfleet.uuid_floor(%(week)s)))::int as week,
                      (count(*) filter (where cohort >= mailfleet.uuid_floor(%(day)s)))::int as day
               from bad group by 1, 2),
           complained as (
               select mailbox_id, campaign_id,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(spam)s)))::int as spam,
                      (count(*) filter (where id >= mailfleet.uuid_floor(%(told)s)))::int as told
               from mailfleet.events
               where mailbox_id = any(%(ids)s) and kind = 'complained'
                 and id >= mailfleet.uuid_floor(%(first)s) and id < mailfleet.uuid_floor(%(now)s)
               group by 1, 2),
           of_all as (
               select mailbox_id, campaign_id, day as sd, week as sw, spam as ss, told as st,
                      0 as bd, 0 as bw, 0 as cs, 0 as ct from sent
               union all select mailbox_id, campaign_id, 0, 0, 0, 0, day, week, 0, 0 from bounced
               union all select mailbox_id, campaign_id, 0, 0, 0, 0, 0, 0, spam, told from complained)
           select mailbox_id, campaign_id, sum(sd)::int as sent_day, sum(bd)::int as bounced_day,
                  sum(sw)::int as sent_week, sum(bw)::int as bounced_week, sum(ss)::int as sent_spam,
                  sum(cs)::int as complained_spam, sum(st)::int as sent_told, sum(ct)::int as complained_told
           from of_all group by 1, 2""",
        {
            "ids": list(mailbox_ids),
            "now": now,
            "day": now - spans.day,
            "week": now - spans.week,
            "spam": now - spans.spam,
            "told": now - spans.told,
            "first": now - max(spans.week, spans.spam, spans.told, spans.day),
        },
    )


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The mails of a scope from an instant on."""

    scope: Scope
    scope_id: str
    since: datetime


async def later(db: Connection, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[Wanted, Sums]:
    """The mails of each, with the bounces of those mails; a scope without mail has no entry."""
    found = await tuples(
        db,
        """with wanted as (
               select n, scope, scope_id::uuid as id, mailfleet.uuid_floor(since) as first
               from json_to_recordset(%(wanted)s::json) as w(n int, scope text, scope_id text, since timestamptz)),
           boxes as (
               select w.n, w.first, w.id from wanted w where w.scope = 'mailbox'
               union all
               select w.n, w.first, m.id from wanted w join mailfleet.mailboxes m on m.domain_id = w.id
               where w.scope = 'domain'),
           mine as (
               select b.n, b.first, e.* from boxes b cross join lateral (
                   select e.id, e.kind, e.lead_id, e.campaign_id, e.step, e.detail->>'class' as class
                   from mailfleet.events e
                   where e.mailbox_id = b.id and e.kind in ('sent', 'bounced', 'complained')
                     and e.id >= b.first and e.id < mailfleet.uuid_floor(%(now)s)) e
               union all
               select w.n, w.first, e.* from wanted w cross join lateral (
                   select e.id, e.kind, e.lead_id, e.campaign_id, e.step, e.detail->>'class' as class
                   from mailfleet.events e
                   where e.campaign_id = w.id and e.kind in ('sent', 'bounced', 'complained')
                     and e.id >= w.first and e.id < mailfleet.uuid_floor(%(now)s)) e
               where w.scope = 'campaign'),
           back as (
               select m.n, coalesce(m.class, 'hard') as class
               from mine m left join lateral (
                   select max(s.id::text)::uuid as id from mailfleet.events s
                   where s.lead_id = m.lead_id and s.kind = 'sent'
                     and s.campaign_id is not distinct from m.campaign_id
                     and (m.step is null or s.step is null or s.step = m.step)) s on true
               where m.kind = 'bounced' and coalesce(s.id, m.id) >= m.first),
           bad as (
               select n, count(*)::int as bounced from back where class in ('hard', 'complaint') group by n)
           select m.n, (count(*) filter (where m.kind = 'sent'))::int, coalesce(max(bad.bounced), 0),
                  (count(*) filter (where m.kind = 'complained'))::int
           from mine m left join bad on bad.n = m.n group by m.n""",
        {"wanted": json_rows([{"n": n, **msgspec.structs.asdict(each)} for n, each in enumerate(wanted)]), "now": now},
    )
    return {wanted[n]: Sums(sent=sent, bounced=bad, complained=told) for n, sent, bad, told in found}


async def histories(db: Connection, mailbox_ids: Sequence[UUID], *, platform: str, days: int) -> Sequence[History]:
    """Readings of these mailboxes since each entered its state, `days` back at most; every mailbox has a row."""
    return await rows(
        db,
        History,
        """select m.id as mailbox_id, coalesce(r.days, '{}') as days, coalesce(r.heats, '{}') as heats,
                  coalesce(r.warmup_sent, 0) as warmup_sent, coalesce(r.warmup_days, 0) as warmup_days,
                  n.reputation, n.read_at, coalesce(t.at, '{}') as degraded_at
           from mailfleet.mailboxes m
           left join lateral (
               select array_agg(r.day order by r.day) filter (where r.taken_at > m.state_since) as days,
                      array_agg(r.heat::float8 order by r.day) filter (where r.taken_at > m.state_since) as heats,
                      (sum(r.warmup_sent_day) filter (where r.day >= w.began))::int as warmup_sent,
                      (count(*) filter (where r.warmup_sent_day > 0 and r.day >= w.began))::int as warmup_days
               from mailfleet.mailbox_readings r,
                    (select (coalesce(m.warming_since, m.created_at) at time zone m.timezone)::date as began) w
               where r.mailbox_id = m.id and r.platform = %(platform)s
                 and r.day >= least(w.began, (m.state_since at time zone m.timezone)::date) - %(days)s::int) r on true
           left join lateral (
               select vendor_reputation::float8 as reputation, taken_at as read_at
               from mailfleet.mailbox_readings
               where mailbox_id = m.id and platform = %(platform)s and heat_state <> 'UNKNOWN'
               order by day desc limit 1) n on true
           left join lateral (
               select array_agg(at order by id) as at from mailfleet.transitions
               where entity = 'mailbox' and entity_id = m.id::text and to_state = 'DEGRADED') t on true
           where m.id = any(%(ids)s)""",
        {"ids": list(mailbox_ids), "platform": platform, "days": days},
    )


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Mails of one campaign, mailbox, step and kind of receiver, and what became of them."""

    campaign: str
    campaign_name: str
    mailbox: str
    domain: str
    provider: str
    step: int
    sent: int
    hard: int
    refused: int
    soft: int
    rules: dict[str, int]


async def cells(db: Connection, client_id: UUID, *, since: datetime, now: datetime) -> Sequence[Cell]:
    """Of one client's campaigns; a bounce belongs to the campaign, mailbox and step of its mail."""
    return await rows(
        db,
        Cell,
        """with seen as (
               select e.kind, e.campaign_id, e.mailbox_id, coalesce(e.step, 0) as step, e.lead_id,
                      case when e.kind = 'bounced' then coalesce(e.detail->>'class', 'hard') end as class,
                      e.detail->>'rule' as rule
               from mailfleet.events e
               where e.client_id = %(client)s and e.kind in ('sent', 'bounced') and e.mailbox_id is not null
                 and e.campaign_id is not null
                 and e.id >= mailfleet.uuid_floor(%(since)s) and e.id < mailfleet.uuid_floor(%(now)s)),
           told as (
               select s.*, case when l.free_mail then l.domain else 'companies' end as provider
               from seen s left join mailfleet.leads l on l.id = s.lead_id),
           said as (
               select campaign_id, mailbox_id, step, coalesce(provider, 'companies') as provider, rule,
                      count(*)::int as n
               from told where class in ('block', 'account') and rule is not null group by 1, 2, 3, 4, 5)
           select t.campaign_id::text as campaign, c.name as campaign_name, m.address as mailbox,
                  split_part(m.address, '@', 2) as domain, coalesce(t.provider, 'companies') as provider, t.step,
                  (count(*) filter (where t.kind = 'sent'))::int as sent,
                  (count(*) filter (where t.class in ('hard', 'complaint')))::int as hard,
                  (count(*) filter (where t.class in ('block', 'account')))::int as refused,
                  (count(*) filter (where t.class in ('soft', 'other')))::int as soft,
                  coalesce((select jsonb_object_agg(rule, n) from said x
                            where x.campaign_id = t.campaign_id and x.mailbox_id = t.mailbox_id and x.step = t.step
                              and x.provider = coalesce(t.provider, 'companies')), '{}') as rules
           from told t join mailfleet.mailboxes m on m.id = t.mailbox_id
           join mailfleet.campaigns c on c.id = t.campaign_id
           group by t.campaign_id, t.mailbox_id, c.name, m.address, t.step, t.provider
           order by 1, 3, t.step""",
        {"client": client_id, "since": since, "now": now},
    )
