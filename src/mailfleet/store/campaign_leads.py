"""A campaign's leads as numbers: what waits, what is under way, what the texts would find empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, row, tuples, value


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`unbegun`: at the platform, without a mail yet. `reached`: leads in the sequence by the step they got last."""

    waiting: int
    unbegun: int
    live: int
    reached: dict[str, int]


async def progress(db: Connection, campaign_id: UUID, client_id: UUID, *, shared: bool) -> Progress:
    """`shared`: the client's leads without a campaign wait for this one."""
    found = await row(
        db,
        Progress,
        """with live as (
               select l.step_reached from mailfleet.lead_ownership o join mailfleet.leads l on l.id = o.lead_id
               where o.campaign_id = %(id)s and o.state in ('claimed', 'ambiguous', 'active')
                 and l.status in ('ready_to_send', 'in_sequence', 'held', 'paused_ooo')),
           waiting as (
               select (select count(*) from mailfleet.leads where status = 'ready_to_send' and campaign_id = %(id)s)
                    + (select count(*) from mailfleet.leads where %(shared)s and status = 'ready_to_send'
                         and campaign_id is null and client_id = %(client)s) as n)
           select (select n from waiting)::int as waiting, count(*) filter (where step_reached = 0)::int as unbegun,
                  count(*)::int as live,
                  coalesce((select json_object_agg(step_reached, n)
                            from (select step_reached, count(*) as n from live group by 1) as by_step), '{}') as reached
           from live""",
        {"id": campaign_id, "client": client_id, "shared": shared},
    )
    assert found is not None
    return found


async def total(db: Connection, campaign_id: UUID) -> int:
    """Its leads, in whatever state."""
    return await value(db, "select count(*)::int from mailfleet.leads where campaign_id = %s", [campaign_id])


async def begun_since(db: Connection, campaign_id: UUID, since: datetime) -> int:
    """Leads whose first step was sent since then."""
    return await value(
        db,
        """select count(distinct lead_id)::int from mailfleet.events
           where campaign_id = %(id)s and kind = 'sent' and step = 1 and at >= %(since)s
             and id >= mailfleet.uuid_floor(%(since)s)""",
        {"id": campaign_id, "since": since},
    )


async def empty_fields(
    db: Connection, campaign_id: UUID, client_id: UUID, fields: Sequence[str], *, shared: bool, examples: int = 5
) -> tuple[Mapping[str, int], Sequence[str]]:
    """How many waiting leads leave each of these fields empty, and some of them as `address: field`."""
    if not fields:
        return {}, ()
    found = await tuples(
        db,
        """with waiting as (
               select * from mailfleet.leads where status = 'ready_to_send' and campaign_id = %(id)s
               union all
               select * from mailfleet.leads
               where %(shared)s and status = 'ready_to_send' and campaign_id is null and client_id = %(client)s),
           empty as (
               select f.name, l.email_norm, l.id from waiting l cross join unnest(%(fields)s::text[]) as f(name)
               where btrim(case f.name when 'first_name' then l.first_name when 'last_name' then l.last_name
                               when 'company' then l.company when 'company_name' then l.company
                               when 'email' then l.email when 'domain' then l.domain when 'country' then l.country
                               else coalesce(l.fields->>f.name, '') end, E' \\t\\r\\n') = '')
           select name, count(*)::int,
                  (array_agg(email_norm || ': ' || name order by id))[1:%(examples)s]
           from empty group by name order by name""",
        {"id": campaign_id, "client": client_id, "shared": shared, "fields": list(fields), "examples": examples},
    )
    return {name: n for name, n, _ in found}, [each for _, _, some in found for each in some][:examples]


async def replied(db: Connection, campaign_id: UUID) -> Mapping[str, int]:
    """Leads that replied, by the category of their last reply; each lead counts once."""
    found = await tuples(
        db,
        """select category, count(*)::int from (
               select distinct on (lead_id) lead_id, category from mailfleet.replies
               where campaign_id = %s and lead_id is not null and state <> 'undone' order by lead_id, at desc) as last
           group by category order by category""",
        [campaign_id],
    )
    return dict(found)
