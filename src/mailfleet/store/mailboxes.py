"""Mailboxes, what was read about them each day, and what each may send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.rules.schedule import Window
from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples, value

State = Literal["NEW", "WARMING", "PRODUCTION", "DEGRADED", "RETIRED", "ERROR"]
HeatState = Literal["UNKNOWN", "THIN", "OK"]

_COLUMNS: LiteralString = """m.id, m.client_id, m.domain_id, m.persona_id, m.address, m.display_name, m.timezone,
    m.state, m.state_since, m.version, m.warming_since, m.warmup_days, m.warm_elsewhere, m.error_retries, m.host,
    m.secret_id, m.connected, m.disabled_since, m.heat::float8 as heat, m.heat_state,
    m.limit_factor::float8 as limit_factor, m.monitor_minutes, m.estimated_ready_date, m.created_at, m.warmup_owner,
    m.resting_since, m.working_since, m.missing_since"""


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """`version` guards every change of state; `warmup_days` are days with at least one warm-up mail (S6)."""

    id: UUID
    client_id: UUID
    domain_id: UUID | None
    persona_id: UUID | None
    address: str
    display_name: str
    timezone: str
    state: State
    state_since: datetime
    version: int
    warming_since: datetime | None
    warmup_days: int
    warm_elsewhere: bool
    error_retries: int
    host: str
    secret_id: UUID | None
    connected: bool | None
    disabled_since: datetime | None
    heat: float | None
    heat_state: HeatState
    limit_factor: float
    monitor_minutes: int
    estimated_ready_date: date | None
    created_at: datetime
    warmup_owner: str
    resting_since: datetime | None
    working_since: datetime | None
    missing_since: datetime | None
    """The platform does not list it any more."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one sending campaign wants of a mailbox a day."""

    campaign: str
    wanted: int
    factor: float
    platform: str
    window: Window | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One local day of a mailbox. Warm-up counts are over the vendor's trailing window, `warmup_sent_day` of the day
    alone; None is unknown, never zero."""

    mailbox_id: UUID
    day: date
    platform: str
    heat: float | None
    heat_state: HeatState
    vendor_reputation: float | None
    warmup_sent: int | None
    warmup_inbox: int | None
    warmup_spam: int | None
    warmup_sent_day: int | None
    campaign_sent: int
    bounces: int
    complaints: int
    opens: int
    replies: int
    taken_at: datetime


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailbox may send on its local day, in mails (S2)."""

    mailbox_id: UUID
    day: date
    hard_limit: int
    campaign_cap: int
    warmup_target: int
    applied: dict[str, Any]
    rule_version: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a span of time; `bounced` are those that count against a sender (hard, or final soft)."""

    sent: int = 0
    bounced: int = 0
    complained: int = 0
    opened: int = 0
    replied: int = 0


async def add(
    db: Connection,
    address: str,
    *,
    client_id: UUID,
    domain_id: UUID | None,
    persona_id: UUID | None,
    display_name: str,
    timezone: str,
    host: str,
    at: datetime,
) -> Mailbox:
    """The mailbox of this address, added in state NEW if it was not there."""
    await execute(
        db,
        """insert into mailfleet.mailboxes (client_id, domain_id, persona_id, address, display_name, timezone, host,
                                            state_since, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (address) do nothing""",
        [client_id, domain_id, persona_id, address, display_name, timezone, host, at, at],
    )
    found = await find(db, address)
    assert found is not None
    return found


async def find(db: Connection, address: str) -> Mailbox | None:
    return await row(db, Mailbox, "select " + _COLUMNS + " from mailfleet.mailboxes m where address = %s", [address])


async def get(db: Connection, id: UUID) -> Mailbox | None:
    return await row(db, Mailbox, "select " + _COLUMNS + " from mailfleet.mailboxes m where id = %s", [id])


async def every(
    db: Connection,
    *,
    states: Sequence[State] = (),
    client_id: UUID | None = None,
    domain_id: UUID | None = None,
) -> Sequence[Mailbox]:
    """By address; all states when none is named."""
    return await rows(
        db,
        Mailbox,
        "select "
        + _COLUMNS
        + """ from mailfleet.mailboxes m
           where (%(states)s::text[] = '{}' or state = any(%(states)s))
             and (%(client)s::uuid is null or client_id = %(client)s)
             and (%(domain)s::uuid is null or domain_id = %(domain)s)
           order by address""",
        {"states": list(states), "client": client_id, "domain": domain_id},
    )


async def move(db: Connection, mailbox: Mailbox, to: State, at: datetime) -> Mailbox | None:
    """Changes the state by compare-and-set on `version`; None when somebody else changed the mailbox meanwhile.

    Entering WARMING starts the count of warm-up days anew (S6); leaving ERROR keeps its retries.
    """
    changed = await execute(
        db,
        """update mailfleet.mailboxes
           set state = %(to)s, state_since = %(at)s, version = version + 1,
               warming_since = case when %(to)s = 'WARMING' then %(at)s else warming_since end,
               warmup_days = case when %(to)s = 'WARMING' then 0 else warmup_days end,
               error_retries = error_retries + case when %(to)s = 'ERROR' then 1 else 0 end
           where id = %(id)s and version = %(version)s""",
        {"to": to, "at": at, "id": mailbox.id, "version": mailbox.version},
    )
    return await get(db, mailbox.id) if changed else None


async def set_secret(db: Connection, id: UUID, secret_id: UUID) -> None:
    await execute(db, "update mailfleet.mailboxes set secret_id = %s where id = %s", [secret_id, id])


async def set_ready_date(db: Connection, id: UUID, ready: date | None) -> None:
    await execute(db, "update mailfleet.mailboxes set estimated_ready_date = %s where id = %s", [ready, id])


async def set_health(db: Connection, id: UUID, *, connected: bool, at: datetime) -> None:
    """Whether the platform can log in; the first reading that says no starts the clock of S12a."""
    await execute(
        db,
        """update mailfleet.mailboxes
           set connected = %(connected)s,
               disabled_since = case when %(connected)s then null else coalesce(disabled_since, %(at)s) end
           where id = %(id)s""",
        {"connected": connected, "at": at, "id": id},
    )


async def set_missing(db: Connection, id: UUID, since: datetime | None) -> None:
    """The platform does not list it (None: it does): it cannot send, and the clock of S12a runs."""
    await execute(
        db,
        """update mailfleet.mailboxes
           set missing_since = case when %(at)s::timestamptz is null then null else coalesce(missing_since, %(at)s) end,
               connected = case when %(at)s::timestamptz is null then connected else false end,
               disabled_since = case when %(at)s::timestamptz is null then disabled_since
                                     else coalesce(disabled_since, %(at)s) end
           where id = %(id)s and (missing_since is null) = (%(at)s::timestamptz is not null)""",
        {"at": since, "id": id},
    )


async def set_rest(db: Connection, id: UUID, *, resting: datetime | None, working: datetime | None) -> None:
    await execute(
        db,
        "update mailfleet.mailboxes set resting_since = %s, working_since = %s where id = %s",
        [resting, working, id],
    )


async def set_throttle(db: Connection, id: UUID, *, factor: float, monitor_minutes: int) -> None:
    await execute(
        db,
        "update mailfleet.mailboxes set limit_factor = %s, monitor_minutes = %s where id = %s",
        [factor, monitor_minutes, id],
    )


async def set_reading(db: Connection, id: UUID, *, heat: float | None, heat_state: HeatState, warmup_days: int) -> None:
    await execute(
        db,
        "update mailfleet.mailboxes set heat = %s, heat_state = %s, warmup_days = %s where id = %s",
        [heat, heat_state, warmup_days, id],
    )


async def put_reading(db: Connection, reading: Reading, raw: Mapping[str, object]) -> None:
    """One row a local day; a later reading of the same day replaces what it knows and keeps what it does not."""
    await execute(
        db,
        """insert into mailfleet.mailbox_readings as r
               (mailbox_id, day, platform, heat, heat_state, vendor_reputation, warmup_sent, warmup_inbox, warmup_spam,
                warmup_sent_day, campaign_sent, bounces, complaints, opens, replies, taken_at, raw)
           values (%(mailbox_id)s, %(day)s, %(platform)s, %(heat)s, %(heat_state)s, %(vendor_reputation)s,
                   %(warmup_sent)s, %(warmup_inbox)s, %(warmup_spam)s, %(warmup_sent_day)s, %(campaign_sent)s,
                   %(bounces)s, %(complaints)s, %(opens)s, %(replies)s, %(taken_at)s, %(raw)s)
           on conflict (mailbox_id, day, platform) do update set
               heat = coalesce(excluded.heat, r.heat),
               heat_state = case when excluded.heat_state = 'UNKNOWN' then r.heat_state else excluded.heat_state end,
               vendor_reputation = coalesce(excluded.vendor_reputation, r.vendor_reputation),
               warmup_sent = coalesce(excluded.warmup_sent, r.warmup_sent),
               warmup_inbox = coalesce(excluded.warmup_inbox, r.warmup_inbox),
               warmup_spam = coalesce(excluded.warmup_spam, r.warmup_spam),
               warmup_sent_day = coalesce(excluded.warmup_sent_day, r.warmup_sent_day),
               campaign_sent = excluded.campaign_sent, bounces = excluded.bounces, complaints = excluded.complaints,
               opens = excluded.opens, replies = excluded.replies, taken_at = excluded.taken_at, raw = excluded.raw""",
        {**msgspec.structs.asdict(reading), "raw": Json(dict(raw))},
    )


async def put_warmup_days(
    db: Connection, mailbox_id: UUID, platform: str, by_day: Mapping[date, int], at: datetime
) -> None:
    """The vendor's own count for days gone by: completes days that were read before they were over."""
    days = [{"day": day, "sent": sent} for day, sent in by_day.items()]
    await execute(
        db,
        """insert into mailfleet.mailbox_readings as r
               (mailbox_id, day, platform, heat_state, warmup_sent_day, taken_at)
           select %(mailbox)s, day, %(platform)s, 'UNKNOWN', sent, %(at)s
           from json_to_recordset(%(days)s::json) as d(day date, sent int)
           on conflict (mailbox_id, day, platform) do update
               set warmup_sent_day = greatest(excluded.warmup_sent_day, r.warmup_sent_day)""",
        {"mailbox": mailbox_id, "platform": platform, "at": at, "days": json_rows(days)},
    )


async def readings(db: Connection, mailbox_id: UUID, *, since: date, platform: str) -> Sequence[Reading]:
    """From `since` on, oldest first."""
    return await rows(
        db,
        Reading,
        """select mailbox_id, day, platform, heat::float8 as heat, heat_state,
                  vendor_reputation::float8 as vendor_reputation, warmup_sent, warmup_inbox, warmup_spam,
                  warmup_sent_day, campaign_sent, bounces, complaints, opens, replies, taken_at
           from mailfleet.mailbox_readings where mailbox_id = %s and day >= %s and platform = %s order by day""",
        [mailbox_id, since, platform],
    )


async def put_budget(db: Connection, budget: Budget, at: datetime) -> None:
    await execute(
        db,
        """insert into mailfleet.mailbox_budgets
               (mailbox_id, day, hard_limit, campaign_cap, warmup_target, applied, rule_version, computed_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (mailbox_id, day) do update set
               hard_limit = excluded.hard_limit, campaign_cap = excluded.campaign_cap,
               warmup_target = excluded.warmup_target, applied = excluded.applied,
               rule_version = excluded.rule_version, computed_at = excluded.computed_at""",
        [
            budget.mailbox_id,
            budget.day,
            budget.hard_limit,
            budget.campaign_cap,
            budget.warmup_target,
            Json(budget.applied),
            budget.rule_version,
            at,
        ],
    )


async def budget(db: Connection, mailbox_id: UUID, day: date) -> Budget | None:
    return await row(
        db,
        Budget,
        """select mailbox_id, day, hard_limit, campaign_cap, warmup_target, applied, rule_version
           from mailfleet.mailbox_budgets where mailbox_id = %s and day = %s""",
        [mailbox_id, day],
    )


async def counts(db: Connection, mailbox_id: UUID, *, since: datetime, until: datetime) -> Counts:
    """From the events themselves, so that a window need not be whole days.

    A bounce about us is not the address's fault and does not count; a soft one that was its lead's last has become
    hard by then (S9).
    """
    found = await row(
        db,
        Counts,
        """select count(*) filter (where kind = 'sent')::int as sent,
                  count(*) filter (where kind = 'bounced' and class in ('hard', 'complaint'))::int as bounced,
                  count(*) filter (where kind = 'complained')::int as complained,
                  count(distinct (e.lead_id, step)) filter (where kind = 'opened')::int as opened,
                  count(distinct e.lead_id) filter (where kind = 'replied')::int as replied
           from (select kind, lead_id, step, coalesce(detail->>'class', 'hard') as class
                 from mailfleet.events
                 where mailbox_id = %(id)s
                   and kind in ('sent', 'bounced', 'complained', 'opened', 'replied')
                   and id >= mailfleet.uuid_floor(%(since)s) and id < mailfleet.uuid_floor(%(until)s)) e""",
        {"id": mailbox_id, "since": since, "until": until},
    )
    return found or Counts()


async def entered(db: Connection, mailbox_id: UUID, state: State) -> Sequence[datetime]:
    """When it entered this state, oldest first."""
    found = await tuples(
        db,
        """select at from mailfleet.transitions
           where entity = 'mailbox' and entity_id = %s and to_state = %s order by id""",
        [str(mailbox_id), state],
    )
    return [at for (at,) in found]


async def asks(db: Connection, mailbox_id: UUID, also: UUID | None = None) -> Sequence[Ask]:
    """Of the campaigns that send, and of the one that is about to (`also`), by the time they were made."""
    found = await tuples(
        db,
        """select c.id::text, greatest(cm.daily_cap, coalesce((c.config->>'daily_per_mailbox')::int, 0)),
                  c.limit_factor::float8, c.platform, c.config->'schedule'
           from mailfleet.campaign_mailboxes cm join mailfleet.campaigns c on c.id = cm.campaign_id
           where cm.mailbox_id = %(id)s and cm.removed_at is null
             and (c.state in ('ready', 'running') or c.id = %(also)s)
           order by c.created_at, c.id""",
        {"id": mailbox_id, "also": also},
    )
    return [
        Ask(
            campaign=campaign, wanted=wanted, factor=factor, platform=platform,
            window=msgspec.convert(schedule, Window) if schedule else None,
        )
        for campaign, wanted, factor, platform, schedule in found
    ]  # fmt: skip


async def places(db: Connection, mailbox_id: UUID) -> Mapping[str, str]:
    """Platform → what it calls this mailbox."""
    found = await tuples(
        db,
        "select platform, ref from mailfleet.platform_links where kind = 'mailbox' and ours = %s order by 1",
        [str(mailbox_id)],
    )
    return dict(found)


async def last_budget(db: Connection, mailbox_id: UUID) -> Budget | None:
    """The newest there is."""
    return await row(
        db,
        Budget,
        """select mailbox_id, day, hard_limit, campaign_cap, warmup_target, applied, rule_version
           from mailfleet.mailbox_budgets where mailbox_id = %s order by day desc limit 1""",
        [mailbox_id],
    )


async def without_budget(db: Connection, at: datetime) -> Sequence[UUID]:
    """Mailboxes that warm or send and whose local day has no budget yet, or one by another factor or for other
    campaigns than stand now."""
    found = await tuples(
        db,
        """select m.id from mailfleet.mailboxes m
           left join mailfleet.mailbox_budgets b
                on b.mailbox_id = m.id and b.day = (%(at)s at time zone m.timezone)::date
           where m.state in ('WARMING', 'PRODUCTION', 'DEGRADED')
             and (b.mailbox_id is null or (b.applied->>'factor')::numeric is distinct from m.limit_factor
                  or b.applied->>'read_back' = 'false'
                  or (b.applied ? 'shares' and array(select jsonb_object_keys(b.applied->'shares') order by 1)
                      is distinct from array(
                          select c.id::text
                          from mailfleet.campaign_mailboxes cm join mailfleet.campaigns c on c.id = cm.campaign_id
                          where cm.mailbox_id = m.id and cm.removed_at is null and c.state in ('ready', 'running')
                          order by 1)))
           order by m.address""",
        {"at": at},
    )
    return [id for (id,) in found]


async def newest_secret(db: Connection, purpose: str) -> UUID | None:
    return await value(
        db,
        "select id from mailfleet.secrets where purpose = %s order by created_at desc, id limit 1",
        [purpose],
    )
