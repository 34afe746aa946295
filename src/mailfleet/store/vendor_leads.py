"""The mirror of a platform's own leads: whoever is there without our ledger's knowing, by address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, rows


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign there as it was read last: `leads` it had then, `ours` of the ledger in it now, `strangers` kept."""

    leads: int
    ours: int
    strangers: int


class Mirrored(msgspec.Struct, frozen=True, kw_only=True):
    platform: str
    account: str
    campaigns: int
    leads: int


async def counted(db: Connection, platform: str, account: str, ref: str) -> Counted | None:
    """None for a campaign that was never read and is not ours."""
    found = await rows(
        db,
        Counted,
        """select coalesce((select leads from mailfleet.vendor_campaigns
                            where platform = %(platform)s and account = %(account)s and ref = %(ref)s), -1) as leads,
                  (select count(*)::int from mailfleet.lead_ownership o join mailfleet.platform_links k
                       on k.kind = 'campaign' and k.platform = o.platform and k.ours = o.campaign_id::text
                   where k.platform = %(platform)s and k.ref = %(ref)s and o.ref is not null) as ours,
                  (select count(*)::int from mailfleet.vendor_leads
                   where platform = %(platform)s and account = %(account)s and campaign_ref = %(ref)s) as strangers""",
        {"platform": platform, "account": account, "ref": ref},
    )
    return None if not found or (found[0].leads < 0 and not found[0].ours) else found[0]


async def put(
    db: Connection, platform: str, account: str, campaign_ref: str, found: Sequence[tuple[str, str]], at: datetime
) -> None:
    """Keeps (address, its id there) of those that the ledger does not know at this platform."""
    await execute(
        db,
        """insert into mailfleet.vendor_leads (email_norm, platform, account, campaign_ref, ref, seen_at)
           select distinct on (r.email) r.email, %(platform)s, %(account)s, %(campaign)s, r.ref, %(at)s
           from json_to_recordset(%(rows)s::json) as r(email text, ref text)
           where not exists (select 1 from mailfleet.leads l join mailfleet.lead_ownership o on o.lead_id = l.id
                             where l.email_norm = r.email and o.platform = %(platform)s and o.state <> 'released')
           on conflict (email_norm, platform, account, campaign_ref)
               do update set ref = excluded.ref, seen_at = excluded.seen_at""",
        {
            "platform": platform, "account": account, "campaign": campaign_ref, "at": at,
            "rows": json_rows([{"email": email, "ref": ref} for email, ref in found]),
        },
    )  # fmt: skip


async def read(db: Connection, platform: str, account: str, ref: str, leads: int, at: datetime) -> None:
    """The campaign was read to its end: whoever was not seen is there no more."""
    await execute(
        db,
        """delete from mailfleet.vendor_leads
           where platform = %s and account = %s and campaign_ref = %s and seen_at < %s""",
        [platform, account, ref, at],
    )
    await execute(
        db,
        """insert into mailfleet.vendor_campaigns (platform, account, ref, leads, read_at)
           values (%s, %s, %s, %s, %s)
           on conflict (platform, account, ref) do update set leads = excluded.leads, read_at = excluded.read_at""",
        [platform, account, ref, leads, at],
    )


async def gone(db: Connection, platform: str, account: str, refs: Sequence[str]) -> None:
    """Only these campaigns are left there."""
    for sql in (
        "delete from mailfleet.vendor_leads where platform = %s and account = %s and campaign_ref <> all(%s)",
        "delete from mailfleet.vendor_campaigns where platform = %s and account = %s and ref <> all(%s)",
    ):
        await db.execute(sql, [platform, account, list(refs)])


async def every(db: Connection) -> Sequence[Mirrored]:
    return await rows(
        db,
        Mirrored,
        """select c.platform, c.account, count(*)::int as campaigns,
                  (select count(*)::int from mailfleet.vendor_leads v
                   where v.platform = c.platform and v.account = c.account) as leads
           from mailfleet.vendor_campaigns c group by 1, 2 order by 1, 2""",
    )
