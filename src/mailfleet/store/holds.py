"""What stops sending or new leads, who stopped it, and whether the platform's own read showed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, row, rows

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


async def over_campaign(db: Connection, campaign_id: UUID, kind: Kind) -> Sequence[Hold]:
    """Every hold that reaches this campaign: its own, its client's, its platform's, the workspace's."""
    return await rows(
        db,
        Hold,
        """select h.id, h.scope, h.scope_id, h.kind, h.reason, h.actor, h.actor_kind, h.evidence, h.since,
                  h.confirmed_at, h.released_at, h.released_by
           from mailfleet.holds h join mailfleet.campaigns c on c.id = %(id)s
           where h.released_at is null and h.kind = %(kind)s
             and (h.scope = 'workspace'
                  or (h.scope = 'campaign' and h.scope_id = c.id::text)
                  or (h.scope = 'platform' and h.scope_id = c.platform)
                  or (h.scope = 'client' and h.scope_id = c.client_id::text))
           order by h.since, h.id""",
        {"id": campaign_id, "kind": kind},
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
