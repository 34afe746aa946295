"""What platforms were like: readings of their history, counts and what was fitted to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, json_rows, row, rows


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    platform: str
    account: str
    taken_at: datetime
    first_day: date | None
    last_day: date | None
    campaigns: int
    sent: int
    reply_rho: float | None
    bounce_rho: float | None
    fitted: dict[str, Any]
    reply_curve: dict[str, Any]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    campaign_ref: str
    campaign_name: str
    sender_domain: str
    provider: str
    week: date
    sent: int
    people: int
    opened: int
    clicked: int
    replied: int
    bounced: int


async def put(db: Connection, baseline: Baseline, counts: Sequence[Mapping[str, object]]) -> None:
    head = msgspec.to_builtins(baseline)
    await execute(
        db,
        """insert into mailfleet.baselines
               (id, platform, account, taken_at, first_day, last_day, campaigns, sent, reply_rho, bounce_rho, fitted,
                reply_curve)
           select r.* from json_to_record(%(row)s::json) as
               r(id uuid, platform text, account text, taken_at timestamptz, first_day date, last_day date,
                 campaigns int, sent bigint, reply_rho float8, bounce_rho float8, fitted jsonb, reply_curve jsonb)""",
        {"row": msgspec.json.encode(head).decode()},
    )
    await execute(
        db,
        """insert into mailfleet.baseline_counts
               (baseline_id, campaign_ref, campaign_name, sender_domain, provider, week, sent, people, opened, clicked,
                replied, bounced)
           select %(id)s, r.* from json_to_recordset(%(rows)s::json) as
               r(campaign_ref text, campaign_name text, sender_domain text, provider text, week date, sent int,
                 people int, opened int, clicked int, replied int, bounced int)""",
        {"id": baseline.id, "rows": json_rows(counts)},
    )


async def newest(db: Connection, platform: str, account: str = "") -> Baseline | None:
    return await row(
        db,
        Baseline,
        """select id, platform, account, taken_at, first_day, last_day, campaigns, sent, reply_rho, bounce_rho, fitted,
                  reply_curve
           from mailfleet.baselines where platform = %s and account = %s order by taken_at desc limit 1""",
        [platform, account],
    )


async def counts(db: Connection, id: UUID) -> Sequence[Counted]:
    return await rows(
        db,
        Counted,
        """select campaign_ref, campaign_name, sender_domain, provider, week, sent, people, opened, clicked, replied,
                  bounced
           from mailfleet.baseline_counts where baseline_id = %s
           order by campaign_ref, week, sender_domain, provider""",
        [id],
    )
