"""When an address or an organisation was last written to, counted from the claim (S10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from mailfleet.store.database import Connection, execute, json_rows


async def touch(db: Connection, lead_ids: Sequence[int], *, campaign_id: UUID, at: datetime) -> None:
    """Marks the leads' addresses, domains and companies as contacted; shared mail domains are nobody's organisation."""
    await execute(
        db,
        """with mine as (
               select id, email_norm, domain, company_norm, free_mail from mailfleet.leads where id = any(%(ids)s)),
           keys as (
               select 'address' as kind, email_norm as key, id from mine
               union all select 'domain', domain, id from mine where not free_mail
               union all select 'company', company_norm, id from mine where company_norm <> '')
           insert into mailfleet.contacts (kind, key, last_at, lead_id, campaign_id)
           select distinct on (kind, key) kind, key, %(at)s, id, %(campaign)s::uuid from keys order by kind, key, id
           on conflict (kind, key) do update
               set last_at = greatest(contacts.last_at, excluded.last_at), lead_id = excluded.lead_id,
                   campaign_id = excluded.campaign_id""",
        {"ids": list(lead_ids), "at": at, "campaign": campaign_id},
    )


async def untouch(db: Connection, lead_ids: Sequence[int]) -> None:
    """Takes back the touch of a claim that led to no mail."""
    await execute(db, "delete from mailfleet.contacts where lead_id = any(%s)", [list(lead_ids)])


async def met(db: Connection, people: Sequence[Mapping[str, object]]) -> None:
    """Marks `{email, domain, at}` as written to then, wherever that was; an empty domain is nobody's organisation."""
    await execute(
        db,
        """with r as (
               select * from json_to_recordset(%(rows)s::json) as r(email text, domain text, at timestamptz)),
           keys as (
               select 'address' as kind, email as key, at from r
               union all select 'domain', domain, at from r where domain <> '')
           insert into mailfleet.contacts (kind, key, last_at)
           select kind, key, max(at) from keys group by 1, 2 order by 1, 2
           on conflict (kind, key) do update set last_at = greatest(contacts.last_at, excluded.last_at)""",
        {"rows": json_rows(people)},
    )
