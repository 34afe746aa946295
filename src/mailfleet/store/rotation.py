"""Which mailboxes a campaign lacks, who could stand in, and who does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, rows, tuples


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox that is to leave a campaign. `threads`: leads in the middle of a thread that it began."""

    campaign_id: UUID
    campaign: str
    client_id: UUID
    mailbox_id: UUID
    address: str
    cap: int
    threads: int
    replaced: bool


class Spare(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox in PRODUCTION that can send. `resting`: out of the reserve."""

    id: UUID
    address: str
    campaigns: int
    resting: bool


async def leaving(db: Connection, threshold: int) -> Sequence[Leaving]:
    """In campaigns that send or that the machine paused: below `threshold`, out of PRODUCTION, or gone."""
    return await rows(
        db,
        Leaving,
        """select c.id as campaign_id, c.name as campaign, c.client_id, m.id as mailbox_id, m.address,
                  cm.daily_cap as cap, cm.replaced_by is not null as replaced,
                  (select count(distinct o.lead_id) from mailfleet.lead_ownership o
                   join mailfleet.events e on e.lead_id = o.lead_id and e.kind = 'sent' and e.mailbox_id = m.id
                   where o.campaign_id = c.id and o.state in ('claimed', 'active', 'paused'))::int as threads
           from mailfleet.campaign_mailboxes cm
           join mailfleet.campaigns c on c.id = cm.campaign_id
           join mailfleet.mailboxes m on m.id = cm.mailbox_id
           where cm.removed_at is null
             and (c.state in ('ready', 'running') or (c.state = 'paused' and c.paused_by = 'machine'))
             and (m.state <> 'PRODUCTION' or m.missing_since is not null
                  or (m.heat_state = 'OK' and m.heat < %s))
           order by c.created_at, m.address""",
        [threshold],
    )


async def spares(db: Connection, campaign_id: UUID, *, low: float) -> Sequence[Spare]:
    """The client's mailboxes that could send for it: rested ones first, then those with the fewest campaigns."""
    return await rows(
        db,
        Spare,
        """select m.id, m.address, m.resting_since is not null as resting,
                  (select count(*) from mailfleet.campaign_mailboxes o
                   join mailfleet.campaigns oc on oc.id = o.campaign_id
                   where o.mailbox_id = m.id and o.removed_at is null and oc.state in ('ready', 'running'))::int
                      as campaigns
           from mailfleet.mailboxes m join mailfleet.campaigns c on c.id = %(campaign)s and c.client_id = m.client_id
           join mailfleet.platform_links k
                on k.platform = c.platform and k.kind = 'mailbox' and k.ours = m.id::text
           where m.state = 'PRODUCTION' and m.connected is not false and m.missing_since is null
             and m.disabled_since is null and (m.heat is null or m.heat >= %(low)s)
             and not exists (select 1 from mailfleet.campaign_mailboxes x
                             where x.campaign_id = c.id and x.mailbox_id = m.id and x.removed_at is null)
             and not exists (select 1 from mailfleet.holds h where h.released_at is null and h.kind = 'sending'
                             and not (h.actor_kind = 'machine' and h.reason like 'reserve: %%')
                             and ((h.scope = 'mailbox' and h.scope_id = m.id::text)
                                  or (h.scope = 'domain' and h.scope_id = m.domain_id::text)))
           order by resting desc, campaigns, m.address""",
        {"campaign": campaign_id, "low": low},
    )


async def stand_in(db: Connection, leaving: Leaving, spare: UUID, at: datetime) -> bool:
    """The spare takes the leaving one's part; False when another run has replaced it meanwhile."""
    changed = await execute(
        db,
        """update mailfleet.campaign_mailboxes set replaced_by = %s
           where campaign_id = %s and mailbox_id = %s and replaced_by is null""",
        [spare, leaving.campaign_id, leaving.mailbox_id],
    )
    if not changed:
        return False
    await execute(
        db,
        """insert into mailfleet.campaign_mailboxes (campaign_id, mailbox_id, daily_cap, added_at)
           values (%s, %s, %s, %s)
           on conflict (campaign_id, mailbox_id) do update
               set removed_at = null, replaced_by = null, daily_cap = excluded.daily_cap""",
        [leaving.campaign_id, spare, leaving.cap, at],
    )
    return True


async def taken_out(db: Connection, campaign_id: UUID, mailbox_id: UUID, at: datetime) -> None:
    await execute(
        db,
        "update mailfleet.campaign_mailboxes set removed_at = %s where campaign_id = %s and mailbox_id = %s",
        [at, campaign_id, mailbox_id],
    )


async def back_again(db: Connection) -> int:
    """Those that are in PRODUCTION again may be replaced again, should they fail once more."""
    return await execute(
        db,
        """update mailfleet.campaign_mailboxes cm set replaced_by = null
           from mailfleet.mailboxes m
           where m.id = cm.mailbox_id and m.state = 'PRODUCTION' and cm.replaced_by is not null
             and cm.removed_at is null and m.missing_since is null and (m.heat is null or m.heat >= 85)""",
    )


async def doing_nothing(db: Connection, idle_since: datetime) -> dict[str, list[str]]:
    """Addresses in PRODUCTION: `unused` are in no campaign that sends, `idle` are and sent nothing since then;
    `disconnected` and `missing` of every state."""
    found = await tuples(
        db,
        """with boxes as (
               select m.*, exists (select 1 from mailfleet.campaign_mailboxes cm
                                   join mailfleet.campaigns c on c.id = cm.campaign_id
                                   where cm.mailbox_id = m.id and cm.removed_at is null
                                     and c.state in ('ready', 'running')) as used
               from mailfleet.mailboxes m where m.state <> 'RETIRED')
           select 'unused', address from boxes where state = 'PRODUCTION' and not used and resting_since is null
           union all
           select 'idle', address from boxes b
           where state = 'PRODUCTION' and used and state_since < %(since)s
             and not exists (select 1 from mailfleet.events e where e.mailbox_id = b.id and e.kind = 'sent'
                             and e.id >= mailfleet.uuid_floor(%(since)s))
           union all select 'disconnected', address from boxes where connected is false
           union all select 'missing', address from boxes where missing_since is not null
           order by 1, 2""",
        {"since": idle_since},
    )
    told: dict[str, list[str]] = {"unused": [], "idle": [], "disconnected": [], "missing": []}
    for kind, address in found:
        told[kind].append(address)
    return told


async def unfinished(db: Connection, platform: str) -> Sequence[tuple[str, bool]]:
    """Mailboxes whose making stopped half-way: (address, whether the platform has it), on domains of ours."""
    found = await tuples(
        db,
        """select m.address, k.ref is not null
           from mailfleet.mailboxes m join mailfleet.domains d on d.id = m.domain_id
           left join mailfleet.platform_links k
                on k.platform = %s and k.kind = 'mailbox' and k.ours = m.id::text
           where m.state in ('NEW', 'ERROR') and (k.ref is null or d.state = 'verified') and d.zone_ref is not null
           order by 1""",
        [platform],
    )
    return [(address, there) for address, there in found]
