"""Everything that happened to the mails: one row a fact, with sums kept beside it so that nobody has to scan it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, rows, tuples

Source = Literal["webhook", "poll", "operator", "report"]
Kind = Literal[
    "sent", "opened", "clicked", "replied", "bounced", "unsubscribed", "complained",
    "category_changed", "campaign_status", "mailbox_disconnected", "bounce_breach",
]  # fmt: skip

Scope = Literal["workspace", "client", "campaign", "mailbox", "domain", "provider"]

RANKS = ("", "sent", "opened", "clicked", "replied", "bounced", "unsubscribed", "spam_complaint")
"""Delivery states of a lead in the order in which one overrules the other."""


def event_id(platform: str, key: str, at: datetime) -> UUID:
    """The same event always has the same id, and ids sort by the event's own time (a UUIDv7 in form)."""
    name = int.from_bytes(hashlib.blake2b(f"{platform}\0{key}".encode(), digest_size=10).digest(), "big")
    ms = int(at.timestamp() * 1000) & (1 << 48) - 1
    return uuid.UUID(int=ms << 80 | 7 << 76 | (name >> 62 & 0xFFF) << 64 | 2 << 62 | name & (1 << 62) - 1)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What an event names of the platform's objects."""

    n: int
    campaign_ref: str | None
    lead_ref: str | None
    email: str | None
    mailbox_ref: str | None
    mailbox_address: str | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """Our objects for them; None: not ours, or not named. `timezone` is the mailbox's."""

    n: int
    campaign_id: UUID | None = None
    client_id: UUID | None = None
    mailbox_id: UUID | None = None
    domain_id: UUID | None = None
    timezone: str | None = None
    lead_id: int | None = None
    lead_domain: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    at: datetime
    received_at: datetime
    source: Source
    platform: str
    kind: Kind
    client_id: UUID | None
    campaign_id: UUID | None
    mailbox_id: UUID | None
    lead_id: int | None
    step: int | None
    message_ref: str | None
    detail: dict[str, Any]


class Rollup(msgspec.Struct, kw_only=True):
    """What is added to the sums of one scope's day."""

    scope: Scope
    scope_id: str
    day: date
    sent: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    bounced_hard: int = 0
    bounced_soft: int = 0
    blocked: int = 0
    complained: int = 0
    unsubscribed: int = 0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The furthest that a lead's mail came in a batch of events."""

    lead_id: int
    email_status: str
    step: int
    at: datetime


async def resolve(db: Connection, platform: str, named: Sequence[Named]) -> Sequence[Resolved]:
    """A lead is found by its address within the campaign's client, else by the platform's id of it."""
    return await rows(
        db,
        Resolved,
        """select r.n, c.id as campaign_id, coalesce(c.client_id, m.client_id, l.client_id) as client_id,
                  m.id as mailbox_id, m.domain_id, m.timezone, l.id as lead_id, l.domain as lead_domain
           from json_to_recordset(%(named)s::json)
                as r(n int, campaign_ref text, lead_ref text, email text, mailbox_ref text, mailbox_address text)
           left join mailfleet.platform_links kc
                on kc.platform = %(platform)s and kc.kind = 'campaign' and kc.ref = r.campaign_ref
           left join mailfleet.campaigns c on c.id = kc.ours::uuid
           left join mailfleet.platform_links km
                on km.platform = %(platform)s and km.kind = 'mailbox' and km.ref = r.mailbox_ref
           left join mailfleet.mailboxes m
                on m.id = coalesce(km.ours::uuid,
                                   (select x.id from mailfleet.mailboxes x where x.address = lower(r.mailbox_address)))
           left join mailfleet.leads l on l.id = coalesce(
                (select x.id from mailfleet.leads x where x.client_id = c.client_id and x.email_norm = r.email),
                (select o.lead_id from mailfleet.lead_ownership o
                 where o.platform = %(platform)s and o.ref = r.lead_ref limit 1),
                (select x.id from mailfleet.leads x join mailfleet.lead_ownership o on o.lead_id = x.id
                 where c.id is null and x.email_norm = r.email and o.platform = %(platform)s
                 order by o.updated_at desc limit 1))
           order by r.n""",
        {"named": json_rows(named), "platform": platform},
    )


async def lock_leads(db: Connection, ids: Sequence[int]) -> None:
    """Until the transaction ends: two sources that tell of the same fact come one after the other."""
    await db.execute("select 1 from mailfleet.leads where id = any(%s) order by id for no key update", [list(ids)])


async def add(db: Connection, events: Sequence[Event]) -> set[UUID]:
    """Inserts what is new; returns those. A fact that the other source told before is not new (V10)."""
    found = await tuples(
        db,
        """with r as (
               select * from json_to_recordset(%s::json)
                   as t(id uuid, at timestamptz, received_at timestamptz, source text, platform text, kind text,
                        client_id uuid, campaign_id uuid, mailbox_id uuid, lead_id bigint, step int, message_ref text,
                        detail jsonb)),
           fresh as (
               select r.* from r where not exists (
                   select 1 from mailfleet.events e
                   where e.lead_id = r.lead_id and e.kind = r.kind and e.source <> r.source
                     and e.id >= mailfleet.uuid_floor(r.at - interval '2 days')
                     and e.id < mailfleet.uuid_floor(r.at + interval '2 days')
                     and case r.kind
                         when 'sent' then e.message_ref = r.message_ref
                         when 'bounced' then e.message_ref = r.message_ref
                         when 'opened' then e.message_ref = r.message_ref
                              and (r.source = 'poll' or abs(extract(epoch from e.at - r.at)) < 5)
                         when 'clicked' then e.message_ref = r.message_ref
                              and (r.source = 'poll' or abs(extract(epoch from e.at - r.at)) < 5)
                         when 'replied' then e.detail->>'message_id' = r.detail->>'message_id'
                              or abs(extract(epoch from e.at - r.at)) < 120
                         else e.campaign_id is not distinct from r.campaign_id end))
           insert into mailfleet.events
               (id, at, received_at, source, platform, kind, client_id, campaign_id, mailbox_id, lead_id, step,
                message_ref, detail)
           select id, at, received_at, source, platform, kind, client_id, campaign_id, mailbox_id, lead_id, step,
                  message_ref, detail
           from fresh order by id on conflict do nothing returning id""",
        [json_rows(events)],
    )
    return {id for (id,) in found}


_ADD_ROLLUPS = """insert into mailfleet.rollups as t
        (scope, scope_id, day, sent, opened, clicked, replied, bounced_hard, bounced_soft, blocked, complained,
         unsubscribed)
    select scope, scope_id, day, sent, opened, clicked, replied, bounced_hard, bounced_soft, blocked, complained,
           unsubscribed
    from json_to_recordset(%s::json)
         as r(scope text, scope_id text, day date, sent int, opened int, clicked int, replied int, bounced_hard int,
              bounced_soft int, blocked int, complained int, unsubscribed int)
    order by scope, scope_id, day
    on conflict (scope, scope_id, day) do update set
        sent = t.sent + excluded.sent, opened = t.opened + excluded.opened, clicked = t.clicked + excluded.clicked,
        replied = t.replied + excluded.replied, bounced_hard = t.bounced_hard + excluded.bounced_hard,
        bounced_soft = t.bounced_soft + excluded.bounced_soft, blocked = t.blocked + excluded.blocked,
        complained = t.complained + excluded.complained, unsubscribed = t.unsubscribed + excluded.unsubscribed"""


async def add_rollups(db: Connection, added: Sequence[Rollup]) -> None:
    """Adds to the sums, one row of a scope and day; in one order, so that two never wait for each other crosswise."""
    if added:
        await execute(db, _ADD_ROLLUPS, [json_rows(added)])


async def harden(db: Connection, ids: Sequence[UUID]) -> None:
    """Soft bounces that were the last of their leads count as hard for every rate (S9)."""
    await execute(
        db,
        """update mailfleet.events set detail = detail || '{"class": "hard", "was": "soft"}'
           where id = any(%s) and detail->>'class' in ('soft', 'other')""",
        [list(ids)],
    )


async def advance_leads(db: Connection, furthest: Sequence[Delivery], at: datetime) -> None:
    """Delivery status moves forward only, whatever order events come in."""
    if not furthest:
        return
    await execute(
        db,
        """update mailfleet.leads l
           set email_status = case when array_position(%(ranks)s::text[], r.email_status)
                                        > array_position(%(ranks)s::text[], l.email_status)
                                   then r.email_status else l.email_status end,
               step_reached = greatest(l.step_reached, r.step),
               last_event_at = greatest(l.last_event_at, r.at), updated_at = %(now)s
           from json_to_recordset(%(furthest)s::json)
                as r(lead_id bigint, email_status text, step int, at timestamptz)
           where l.id = r.lead_id""",
        {"ranks": list(RANKS), "now": at, "furthest": json_rows(furthest)},
    )


async def missing(db: Connection, platform: str, campaign_id: UUID, facts: Sequence[Mapping[str, object]]) -> list[int]:
    """Of {n, kind, message_ref, email, at} facts of one campaign: those that no event tells yet, by `n`."""
    found = await tuples(
        db,
        """select r.n from json_to_recordset(%(facts)s::json)
                as r(n int, kind text, message_ref text, email text, at timestamptz)
           join mailfleet.campaigns c on c.id = %(campaign)s
           join mailfleet.leads l on l.client_id = c.client_id and l.email_norm = r.email
           where not exists (
               select 1 from mailfleet.events e
               where e.lead_id = l.id and e.kind = r.kind
                 and case when r.kind in ('unsubscribed', 'complained') then true
                          -- somebody may answer twice: an absence first, and then in person
                          when r.kind = 'replied' then e.at >= r.at - interval '10 minutes'
                          else e.message_ref = r.message_ref end
                 and e.platform = %(platform)s)
           order by r.n""",
        {"facts": json_rows(facts), "campaign": campaign_id, "platform": platform},
    )
    return [n for (n,) in found]


async def kind_counts(db: Connection, *, campaign_id: UUID | None = None) -> Mapping[str, int]:
    found = await tuples(
        db,
        """select kind, count(*)::int from mailfleet.events
           where %(campaign)s::uuid is null or campaign_id = %(campaign)s group by 1 order by 1""",
        {"campaign": campaign_id},
    )
    return dict(found)


async def campaign_sums(db: Connection, campaign_id: UUID) -> Mapping[str, int]:
    """The campaign's sums over all days, by rollup column."""
    found = await tuples(
        db,
        """select v.name, coalesce(sum(v.n), 0)::int from mailfleet.rollups r,
                  lateral (values ('sent', r.sent), ('opened', r.opened), ('clicked', r.clicked),
                           ('replied', r.replied), ('bounced', r.bounced_hard + r.bounced_soft + r.blocked),
                           ('complained', r.complained), ('unsubscribed', r.unsubscribed)) as v(name, n)
           where r.scope = 'campaign' and r.scope_id = %s group by 1""",
        [str(campaign_id)],
    )
    return dict(found)


async def of_lead(db: Connection, lead_id: int) -> Sequence[Event]:
    """In order of time."""
    return await rows(
        db,
        Event,
        """select id, at, received_at, source, platform, kind, client_id, campaign_id, mailbox_id, lead_id, step,
                  message_ref, detail from mailfleet.events where lead_id = %s order by id""",
        [lead_id],
    )


async def listed(db: Connection, *, kind: str = "", limit: int = 50) -> Sequence[Event]:
    """Newest first."""
    return await rows(
        db,
        Event,
        """select id, at, received_at, source, platform, kind, client_id, campaign_id, mailbox_id, lead_id, step,
                  message_ref, detail
           from mailfleet.events where (%(kind)s = '' or kind = %(kind)s) order by id desc limit %(limit)s""",
        {"kind": kind, "limit": limit},
    )
