"""What stops sending or new leads, who stopped it, and whether the platform's own read showed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows, tuples

Scope = Literal["workspace", "client", "domain", "mailbox", "campaign", "platform"]
Kind = Literal["sending", "new_leads"]
ActorKind = Literal["machine", "person", "vendor"]

_COLUMNS: LiteralString = """id, scope, scope_id, kind, reason, actor, actor_kind, evidence, since, confirmed_at,
    released_at, released_by"""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    scope: Scope
    scope_id: str
    kind: Kind
    reason: str
    actor: str
    actor_kind: ActorKind
    evidence: dict[str, Any]
    since: datetime
    confirmed_at: datetime | None
    released_at: datetime | None
    released_by: str | None


class CampaignAt(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that sends, and what its platform calls it; `ref` None: it is not there yet."""

    id: UUID
    client_id: UUID
    platform: str
    ref: str | None


class MailboxAt(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    client_id: UUID
    address: str
    ref: str | None


async def add(
    db: Connection,
    *,
    scope: Scope,
    scope_id: str,
    kind: Kind,
    reason: str,
    actor: str,
    actor_kind: ActorKind,
    evidence: Mapping[str, object],
    at: datetime,
) -> tuple[Hold, bool]:
    """The hold that stands, and whether it is new: one per scope, kind and kind of actor; the first reason is kept."""
    new = await row(
        db,
        Hold,
        """insert into mailfleet.holds (scope, scope_id, kind, reason, actor, actor_kind, evidence, since)
           values (%s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (scope, scope_id, kind, actor_kind) where released_at is null do nothing
           returning """
        + _COLUMNS,
        [scope, scope_id, kind, reason, actor, actor_kind, Json(dict(evidence)), at],
    )
    if new:
        return new, True
    standing = await row(
        db,
        Hold,
        "select "
        + _COLUMNS
        + """ from mailfleet.holds
           where scope = %s and scope_id = %s and kind = %s and actor_kind = %s and released_at is null""",
        [scope, scope_id, kind, actor_kind],
    )
    assert standing is not None
    return standing, False


async def standing(
    db: Connection, *, scope: Scope | None = None, scope_id: str | None = None, kind: Kind | None = None
) -> Sequence[Hold]:
    """Not released, oldest first."""
    return await rows(
        db,
        Hold,
        "select "
        + _COLUMNS
        + """ from mailfleet.holds
           where released_at is null and (%(scope)s::text is null or scope = %(scope)s)
             and (%(id)s::text is null or scope_id = %(id)s) and (%(kind)s::text is null or kind = %(kind)s)
           order by since, id""",
        {"scope": scope, "id": scope_id, "kind": kind},
    )


async def over_mailbox(db: Connection, mailbox_id: UUID, kind: Kind) -> Sequence[Hold]:
    """Every hold that reaches this mailbox: its own, its domain's, its client's, the workspace's."""
    return await rows(
        db,
        Hold,
        """select h.id, h.scope, h.scope_id, h.kind, h.reason, h.actor, h.actor_kind, h.evidence, h.since,
                  h.confirmed_at, h.released_at, h.released_by
           from mailfleet.holds h join mailfleet.mailboxes m on m.id = %(id)s
           where h.released_at is null and h.kind = %(kind)s
             and (h.scope = 'workspace'
                  or (h.scope = 'mailbox' and h.scope_id = m.id::text)
                  or (h.scope = 'domain' and h.scope_id = m.domain_id::text)
                  or (h.scope = 'client' and h.scope_id = m.client_id::text))
           order by h.since, h.id""",
        {"id": mailbox_id, "kind": kind},
    )


async def held_mailboxes(db: Connection) -> Mapping[UUID, str]:
    """Mailboxes whose sending is held, by themselves or with their domain or client, and the first reason."""
    found = await tuples(
        db,
        """select distinct on (m.id) m.id, h.reason
           from mailfleet.holds h join mailfleet.mailboxes m
                on h.scope = 'workspace' or (h.scope = 'mailbox' and h.scope_id = m.id::text)
                   or (h.scope = 'domain' and h.scope_id = m.domain_id::text)
                   or (h.scope = 'client' and h.scope_id = m.client_id::text)
           where h.released_at is null and h.kind = 'sending' order by m.id, h.since""",
    )
    return dict(found)


async def over_campaign(db: Connection, campaign_id: UUID, kind: Kind, *, least: float = 0) -> Sequence[Hold]:
    """Every hold that reaches this campaign: its own, its client's, its platform's, the workspace's.

    Of `new_leads`, also those on its mailboxes and their domains, where less than `least` of its mailboxes would take
    new leads: the platform decides which mailbox writes to a lead, so the few free ones cannot be chosen. (Sending of a
    mailbox or a domain is stopped at the mailboxes themselves.)
    """
    return await rows(
        db,
        Hold,
        """with boxes as (
               select m.id, m.domain_id, exists (
                          select 1 from mailfleet.holds h where h.released_at is null and h.kind = 'new_leads'
                             and ((h.scope = 'mailbox' and h.scope_id = m.id::text)
                                  or (h.scope = 'domain' and h.scope_id = m.domain_id::text))) as held
               from mailfleet.campaign_mailboxes cm join mailfleet.mailboxes m on m.id = cm.mailbox_id
               where cm.campaign_id = %(id)s and cm.removed_at is null),
           few as (
               select coalesce((count(*) filter (where not held))::float8 < %(least)s * count(*), false) as so
               from boxes)
           select h.id, h.scope, h.scope_id, h.kind, h.reason, h.actor, h.actor_kind, h.evidence, h.since,
                  h.confirmed_at, h.released_at, h.released_by
           from mailfleet.holds h join mailfleet.campaigns c on c.id = %(id)s cross join few
           where h.released_at is null and h.kind = %(kind)s
             and (h.scope = 'workspace'
                  or (h.scope = 'campaign' and h.scope_id = c.id::text)
                  or (h.scope = 'platform' and h.scope_id = c.platform)
                  or (h.scope = 'client' and h.scope_id = c.client_id::text)
                  or (h.kind = 'new_leads' and few.so and h.scope in ('mailbox', 'domain')
                      and h.scope_id in (select id::text from boxes union select domain_id::text from boxes)))
           order by h.since, h.id""",
        {"id": campaign_id, "kind": kind, "least": least},
    )


async def lock_campaign(db: Connection, campaign_id: UUID) -> None:
    """Until the transaction ends."""
    await execute(db, "select from mailfleet.campaigns where id = %s for update", [campaign_id])


async def campaign_at(db: Connection, campaign_id: UUID) -> CampaignAt | None:
    """A campaign that is meant to be sending; None when it is in any other state."""
    return await row(
        db,
        CampaignAt,
        """select c.id, c.client_id, c.platform, l.ref
           from mailfleet.campaigns c
           left join mailfleet.platform_links l
                on l.platform = c.platform and l.kind = 'campaign' and l.ours = c.id::text
           where c.id = %s and c.state = 'running'""",
        [campaign_id],
    )


async def confirm(db: Connection, id: UUID, at: datetime) -> None:
    await execute(db, "update mailfleet.holds set confirmed_at = coalesce(confirmed_at, %s) where id = %s", [at, id])


async def release(db: Connection, id: UUID, *, by: str, at: datetime) -> bool:
    changed = await execute(
        db,
        "update mailfleet.holds set released_at = %s, released_by = %s where id = %s and released_at is null",
        [at, by, id],
    )
    return changed == 1


async def campaigns_under(db: Connection, scope: Scope, scope_id: str) -> Sequence[CampaignAt]:
    """Campaigns that may be sending under this scope, archived and finished ones aside; a mailbox or a domain has none
    of its own and is stopped by its mailboxes."""
    return await rows(
        db,
        CampaignAt,
        """select distinct c.id, c.client_id, c.platform, l.ref
           from mailfleet.campaigns c
           left join mailfleet.platform_links l
                on l.platform = c.platform and l.kind = 'campaign' and l.ours = c.id::text
           where c.state in ('ready', 'running', 'paused')
             and (%(scope)s = 'workspace'
                  or (%(scope)s = 'client' and c.client_id::text = %(id)s)
                  or (%(scope)s = 'platform' and c.platform = %(id)s)
                  or (%(scope)s = 'campaign' and c.id::text = %(id)s))
           order by c.id""",
        {"scope": scope, "id": scope_id},
    )


async def mailboxes_under(db: Connection, scope: Scope, scope_id: str, platform: str) -> Sequence[MailboxAt]:
    """Mailboxes of a domain, or the one named."""
    return await rows(
        db,
        MailboxAt,
        """select m.id, m.client_id, m.address, l.ref from mailfleet.mailboxes m
           left join mailfleet.platform_links l
                on l.platform = %(platform)s and l.kind = 'mailbox' and l.ours = m.id::text
           where (%(scope)s = 'domain' and m.domain_id::text = %(id)s)
              or (%(scope)s = 'mailbox' and m.id::text = %(id)s)
           order by m.address""",
        {"scope": scope, "id": scope_id, "platform": platform},
    )


async def campaign_paused(db: Connection, campaign_id: UUID, *, by: ActorKind, reason: str, at: datetime) -> str | None:
    """Marks a sending campaign as paused; the state it had, or None when it was not sending."""
    found = await (
        await db.execute(
            """with was as (select id, state from mailfleet.campaigns where id = %(id)s for update)
               update mailfleet.campaigns c
               set state = 'paused', state_since = %(at)s, version = version + 1, paused_by = %(by)s,
                   pause_reason = %(reason)s
               from was where c.id = was.id and was.state in ('ready', 'running')
               returning was.state""",
            {"id": campaign_id, "by": by, "reason": reason, "at": at},
        )
    ).fetchone()
    return found[0] if found else None


async def campaign_resumed(db: Connection, campaign_id: UUID, *, paused_by: Sequence[ActorKind], at: datetime) -> bool:
    """Marks it as running again if it was paused by one of these."""
    changed = await execute(
        db,
        """update mailfleet.campaigns
           set state = 'running', state_since = %s, version = version + 1, paused_by = null, pause_reason = ''
           where id = %s and state = 'paused' and paused_by = any(%s)""",
        [at, campaign_id, list(paused_by)],
    )
    return changed == 1


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A running campaign, and which part of its mailboxes may take new leads."""

    id: UUID
    client_id: UUID
    name: str
    limit_factor: float
    free: float


async def free_shares(db: Connection) -> Sequence[Share]:
    """Campaigns whose limit differs, or may have to differ, from the whole."""
    return await rows(
        db,
        Share,
        """select c.id, c.client_id, c.name, c.limit_factor::float8 as limit_factor,
                  coalesce(1 - (count(*) filter (where exists (
                      select 1 from mailfleet.holds h where h.released_at is null and h.kind = 'new_leads'
                         and ((h.scope = 'mailbox' and h.scope_id = m.id::text)
                              or (h.scope = 'domain' and h.scope_id = m.domain_id::text)))))::float8
                      / nullif(count(m.id), 0), 1)::float8 as free
           from mailfleet.campaigns c
           left join mailfleet.campaign_mailboxes cm on cm.campaign_id = c.id and cm.removed_at is null
           left join mailfleet.mailboxes m on m.id = cm.mailbox_id
           where c.state = 'running' group by c.id order by c.id""",
    )


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that is meant to send, how many mailboxes it was given and how many of them can send."""

    id: UUID
    client_id: UUID
    name: str
    given: int
    able: int
    lacking: list[str]


async def staffs(db: Connection) -> Sequence[Staff]:
    """Of campaigns that run or that the machine paused; `lacking` are the addresses that cannot send."""
    return await rows(
        db,
        Staff,
        """with boxes as (
               select cm.campaign_id, m.address,
                      m.state = 'PRODUCTION' and m.connected is not false and m.missing_since is null
                      and m.resting_since is null and not exists (
                          select 1 from mailfleet.holds h where h.released_at is null and h.kind = 'sending'
                             and ((h.scope = 'mailbox' and h.scope_id = m.id::text)
                                  or (h.scope = 'domain' and h.scope_id = m.domain_id::text))) as able
               from mailfleet.campaign_mailboxes cm join mailfleet.mailboxes m on m.id = cm.mailbox_id
               where cm.removed_at is null)
           select c.id, c.client_id, c.name, count(b.address)::int as given,
                  (count(*) filter (where b.able))::int as able,
                  coalesce(array_agg(b.address order by b.address) filter (where not b.able), '{}') as lacking
           from mailfleet.campaigns c left join boxes b on b.campaign_id = c.id
           where c.state = 'running' or (c.state = 'paused' and c.paused_by = 'machine')
           group by c.id order by c.id""",
    )
