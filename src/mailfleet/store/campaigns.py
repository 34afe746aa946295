"""Campaigns, their steps and the mailboxes they send from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.errors import Unknown
from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples, value

State = Literal["draft", "ready", "running", "paused", "completed", "archived"]

_COLUMNS: LiteralString = """id, client_id, name, state, state_since, version, platform, config, config_hash,
    sequence_id, paused_by, pause_reason, started_at, created_at"""


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is the checked configuration as data; `version` guards every change of state."""

    id: UUID
    client_id: UUID
    name: str
    state: State
    state_since: datetime
    version: int
    platform: str
    config: dict[str, Any]
    config_hash: str
    sequence_id: UUID
    paused_by: Literal["machine", "person", "vendor"] | None
    pause_reason: str
    started_at: datetime | None
    created_at: datetime


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    variant: str
    subject: str
    body: str
    delay_days: int


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox of a campaign, and what the platform calls it."""

    id: UUID
    address: str
    client_id: UUID
    timezone: str
    state: str
    connected: bool | None
    domain_id: UUID | None
    domain: str | None
    domain_state: str | None
    display_name: str
    limit_factor: float
    daily_cap: int
    ref: str | None


async def add(
    db: Connection,
    *,
    client_id: UUID,
    name: str,
    platform: str,
    config: Mapping[str, object],
    config_hash: str,
    at: datetime,
) -> Campaign:
    """The client's campaign of this name, added as a draft if it was not there; a draft takes the new configuration."""
    await execute(
        db,
        """insert into mailfleet.campaigns as c
               (client_id, name, state_since, platform, config, config_hash, created_at)
           values (%(client)s, %(name)s, %(at)s, %(platform)s, %(config)s, %(hash)s, %(at)s)
           on conflict (client_id, name) do update set config = excluded.config, config_hash = excluded.config_hash
               where c.state = 'draft'""",
        {
            "client": client_id,
            "name": name,
            "at": at,
            "platform": platform,
            "config": Json(dict(config)),
            "hash": config_hash,
        },
    )
    found = await named(db, client_id, name)
    assert found is not None
    return found


async def get(db: Connection, id: UUID) -> Campaign | None:
    return await row(db, Campaign, "select " + _COLUMNS + " from mailfleet.campaigns where id = %s", [id])


async def need(db: Connection, id: UUID) -> Campaign:
    """Raises Unknown."""
    if found := await get(db, id):
        return found
    raise Unknown(f"There is no campaign {id}.", hint="`mailfleet campaign list` shows them.")


async def find(db: Connection, key: str) -> Sequence[Campaign]:
    """By id as text, or by name in any client."""
    return await rows(
        db,
        Campaign,
        "select "
        + _COLUMNS
        + " from mailfleet.campaigns where id::text = %(key)s or name = %(key)s order by created_at",
        {"key": key},
    )


async def named(db: Connection, client_id: UUID, name: str) -> Campaign | None:
    return await row(
        db,
        Campaign,
        "select " + _COLUMNS + " from mailfleet.campaigns where client_id = %s and name = %s",
        [client_id, name],
    )


async def put_config(db: Connection, id: UUID, config: Mapping[str, object], config_hash: str) -> None:
    """Of a campaign that was started: the plan decided that it may."""
    await execute(
        db,
        "update mailfleet.campaigns set config = %s, config_hash = %s, version = version + 1 where id = %s",
        [Json(dict(config)), config_hash, id],
    )


async def pause_for(db: Connection, id: UUID, *, by: Literal["machine", "person"], reason: str, at: datetime) -> bool:
    """Marks a running campaign as paused without a hold: what asked for it lets it run again by itself."""
    changed = await execute(
        db,
        """update mailfleet.campaigns
           set state = 'paused', state_since = %s, version = version + 1, paused_by = %s, pause_reason = %s
           where id = %s and state = 'running'""",
        [at, by, reason, id],
    )
    return changed == 1


async def every(db: Connection, *, states: Sequence[State] = (), client_id: UUID | None = None) -> Sequence[Campaign]:
    return await rows(
        db,
        Campaign,
        "select "
        + _COLUMNS
        + """ from mailfleet.campaigns
           where (%(states)s::text[] = '{}' or state = any(%(states)s))
             and (%(client)s::uuid is null or client_id = %(client)s)
           order by created_at, id""",
        {"states": list(states), "client": client_id},
    )


async def only_running(db: Connection, id: UUID) -> bool:
    """Whether it is the client's only campaign that sends or is about to: then leads without a campaign are its."""
    return await value(
        db,
        """select not exists (
               select 1 from mailfleet.campaigns c join mailfleet.campaigns o on o.client_id = c.client_id
               where c.id = %s and o.id <> c.id and o.state in ('ready', 'running', 'paused'))""",
        [id],
    )


async def move(db: Connection, campaign: Campaign, to: State, at: datetime) -> Campaign | None:
    """Compare-and-set on `version`; None when somebody else changed the campaign meanwhile."""
    return await row(
        db,
        Campaign,
        """update mailfleet.campaigns
           set state = %(to)s, state_since = %(at)s, version = version + 1,
               paused_by = case when %(to)s = 'paused' then paused_by end,
               pause_reason = case when %(to)s = 'paused' then pause_reason else '' end,
               started_at = case when %(to)s = 'running' then coalesce(started_at, %(at)s) else started_at end
           where id = %(id)s and version = %(version)s returning """
        + _COLUMNS,
        {"to": to, "at": at, "id": campaign.id, "version": campaign.version},
    )


async def put_steps(db: Connection, campaign_id: UUID, steps: Sequence[StepRow]) -> None:
    """Replaces the sequence."""
    await execute(
        db,
        """with given as (
               select * from json_to_recordset(%(steps)s::json)
                   as s(position int, variant text, subject text, body text, delay_days int)),
           gone as (
               delete from mailfleet.steps s where campaign_id = %(campaign)s
                  and not exists (select 1 from given g where g.position = s.position and g.variant = s.variant))
           insert into mailfleet.steps (campaign_id, position, variant, subject, body, delay_days)
           select %(campaign)s, position, variant, subject, body, delay_days from given
           on conflict (campaign_id, position, variant) do update
               set subject = excluded.subject, body = excluded.body, delay_days = excluded.delay_days""",
        {"steps": json_rows(steps), "campaign": campaign_id},
    )


async def steps(db: Connection, campaign_id: UUID) -> Sequence[StepRow]:
    return await rows(
        db,
        StepRow,
        """select position, variant, subject, body, delay_days from mailfleet.steps
           where campaign_id = %s order by position, variant""",
        [campaign_id],
    )


async def put_mailboxes(db: Connection, campaign_id: UUID, caps: Mapping[UUID, int], at: datetime) -> None:
    """The mailboxes it sends from, each with its share a day; those not named are taken out."""
    items = [{"mailbox_id": id, "daily_cap": cap} for id, cap in caps.items()]
    await execute(
        db,
        """with given as (
               select mailbox_id, daily_cap
               from json_to_recordset(%(caps)s::json) as g(mailbox_id uuid, daily_cap int)),
           gone as (
               update mailfleet.campaign_mailboxes cm set removed_at = %(at)s
               where campaign_id = %(campaign)s and removed_at is null
                 and mailbox_id not in (select mailbox_id from given))
           insert into mailfleet.campaign_mailboxes (campaign_id, mailbox_id, daily_cap, added_at)
           select %(campaign)s, mailbox_id, daily_cap, %(at)s from given
           on conflict (campaign_id, mailbox_id) do update set daily_cap = excluded.daily_cap, removed_at = null""",
        {"caps": json_rows(items), "campaign": campaign_id, "at": at},
    )


async def senders(db: Connection, campaign_id: UUID) -> Sequence[Sender]:
    return await rows(
        db,
        Sender,
        """select m.id, m.address, m.client_id, m.timezone, m.state, m.connected, m.domain_id, d.name as domain,
                  d.state as domain_state, m.display_name, m.limit_factor::float8 as limit_factor, cm.daily_cap, k.ref
           from mailfleet.campaign_mailboxes cm
           join mailfleet.campaigns c on c.id = cm.campaign_id
           join mailfleet.mailboxes m on m.id = cm.mailbox_id
           left join mailfleet.domains d on d.id = m.domain_id
           left join mailfleet.platform_links k
                on k.platform = c.platform and k.kind = 'mailbox' and k.ours = m.id::text
           where cm.campaign_id = %s and cm.removed_at is null order by m.address""",
        [campaign_id],
    )


async def wanted_elsewhere(
    db: Connection, mailbox_ids: Sequence[UUID], campaign_id: UUID
) -> Mapping[UUID, Mapping[str, int]]:
    """What other sending campaigns ask of these mailboxes a day by their configuration, by campaign."""
    found = await tuples(
        db,
        """select cm.mailbox_id, cm.campaign_id::text, coalesce((c.config->>'daily_per_mailbox')::int, 0)
           from mailfleet.campaign_mailboxes cm join mailfleet.campaigns c on c.id = cm.campaign_id
           where cm.mailbox_id = any(%s) and cm.campaign_id <> %s and cm.removed_at is null
             and c.state in ('ready', 'running', 'paused')""",
        [list(mailbox_ids), campaign_id],
    )
    wanted: dict[UUID, dict[str, int]] = {id: {} for id in mailbox_ids}
    for mailbox, campaign, n in found:
        wanted[mailbox][campaign] = n
    return wanted


async def put_shares(db: Connection, mailbox_id: UUID, shares: Mapping[str, int]) -> None:
    """Each campaign's part of what this mailbox sends a day."""
    items = [{"campaign_id": id, "daily_cap": n} for id, n in shares.items()]
    await execute(
        db,
        """update mailfleet.campaign_mailboxes cm set daily_cap = g.daily_cap
           from json_to_recordset(%s::json) as g(campaign_id uuid, daily_cap int)
           where cm.campaign_id = g.campaign_id and cm.mailbox_id = %s and cm.removed_at is null""",
        [json_rows(items), mailbox_id],
    )


async def set_factor(db: Connection, id: UUID, factor: float) -> None:
    """The part of its new leads a day that it may take (S1)."""
    await execute(db, "update mailfleet.campaigns set limit_factor = %s where id = %s", [factor, id])


async def factor(db: Connection, id: UUID) -> float:
    return await value(db, "select limit_factor::float8 from mailfleet.campaigns where id = %s", [id])


async def lead_states(db: Connection, campaign_id: UUID) -> Mapping[str, int]:
    found = await tuples(
        db,
        "select status, count(*)::int from mailfleet.leads where campaign_id = %s group by 1 order by 1",
        [campaign_id],
    )
    return dict(found)
