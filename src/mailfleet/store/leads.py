"""Leads: taken in by batches, found, and their state as the specification's columns show it (S12d)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store import suppressions
from mailfleet.store.database import Connection, execute, json_rows, row, rows, tuples

Status = Literal[
    "new", "ready_to_send", "invalid", "excluded", "in_sequence", "lead_hot", "rejected", "paused_ooo", "held",
    "needs_review", "completed",
]  # fmt: skip
EmailStatus = Literal["", "sent", "opened", "clicked", "replied", "bounced", "unsubscribed", "spam_complaint"]

_COLUMNS: LiteralString = """l.id, l.client_id, l.email, l.email_norm, l.domain, l.free_mail, l.role_address,
    l.person_key, l.first_name, l.last_name, l.company, l.company_norm, l.country, l.timezone, l.fields, l.source,
    l.campaign_id, l.status, l.email_status, l.smartlead_id, l.step_reached, l.resume_at, l.soft_bounces,
    l.invalid_reason"""


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    """A row that passed every check that needs no database."""

    row_no: int
    email: str
    email_norm: str
    domain: str
    free_mail: bool
    role_address: bool
    person_key: str
    first_name: str
    last_name: str
    company: str
    company_norm: str
    country: str
    timezone: str
    fields: dict[str, str]
    source: str
    source_at: datetime | None
    legal_basis: dict[str, str]


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is the lead's life, `email_status` what became of its mail (S12d)."""

    id: int
    client_id: UUID
    email: str
    email_norm: str
    domain: str
    free_mail: bool
    role_address: bool
    person_key: str
    first_name: str
    last_name: str
    company: str
    company_norm: str
    country: str
    timezone: str
    fields: dict[str, Any]
    source: str
    campaign_id: UUID | None
    status: Status
    email_status: EmailStatus
    smartlead_id: str | None
    step_reached: int
    resume_at: datetime | None
    soft_bounces: int
    invalid_reason: str

    def merge_values(self) -> dict[str, str]:
        """What the lead fills merge fields with."""
        own = {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company": self.company,
            "company_name": self.company,
            "email": self.email,
            "domain": self.domain,
            "country": self.country,
        }
        return {**{name: str(given) for name, given in self.fields.items()}, **own}


class NotTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A row that stays out: `why` is suppressed, known_lead or duplicate_in_file, `culprit` what it met."""

    row_no: int
    email: str
    why: str
    culprit: str


COPIED: LiteralString = """row_no, email, email_norm, domain, free_mail, role_address, person_key, first_name,
    last_name, company, company_norm, country, timezone, fields, source, legal_basis, source_at"""
"""The order of the cells of a line for `take`."""


async def take(db: Connection, taking: Taking, *, at: datetime) -> Sequence[NotTaken]:
    """Stores the leads that `copy_in` copied in this transaction and that are neither suppressed nor known; the others
    come back. Their addresses are distinct."""
    given = {"client": taking.client_id, "import": taking.import_id, "campaign": taking.campaign_id, "at": at}
    # In the order of the largest index, whose pages are then written once; ids were given in the order of the file.
    taken = await execute(
        db,
        """insert into mailfleet.leads
               (id, client_id, email, email_norm, domain, free_mail, role_address, person_key, first_name, last_name,
                company, company_norm, country, timezone, fields, source, source_at, legal_basis, import_id,
                import_row, campaign_id, created_at, updated_at)
           overriding system value
           select id, %(client)s, email, email_norm, domain, free_mail, role_address, person_key, first_name,
                  last_name, company, company_norm, country, timezone, fields, source, source_at, legal_basis,
                  %(import)s, row_no, %(campaign)s, %(at)s, %(at)s
           from incoming where suppressed_by is null order by email_norm
           on conflict (email_norm, client_id) do nothing""",
        dict[str, object](given),
    )
    left = taken + taking.suppressed < taking.count
    known = await _known(db, taking.client_id, taking.import_id) if left else []
    return [*known, *(await _suppressed(db) if taking.suppressed else [])]


async def would_take(db: Connection, lines: bytes, *, client_id: UUID, pepper: bytes) -> Sequence[NotTaken]:
    """What `take` would send back; nothing is stored."""
    await copy_in(db, lines, 0, client_id=client_id, pepper=pepper)
    return [*await _known(db, client_id, None), *await _suppressed(db)]


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the transaction's table `incoming`, and what they are taken for."""

    count: int
    suppressed: int
    client_id: UUID
    import_id: UUID | None
    campaign_id: UUID | None


async def copy_in(
    db: Connection,
    lines: bytes,
    count: int,
    *,
    client_id: UUID,
    pepper: bytes,
    import_id: UUID | None = None,
    campaign_id: UUID | None = None,
) -> Taking:
    """Copies the `count` lines into `incoming`, a table that ends with the transaction, and marks the suppressed."""
    await execute(
        db,
        """create temp table incoming (
               id bigint default nextval('mailfleet.leads_id_seq'), row_no bigint, email text,
               email_norm text collate "C", domain text collate "C", free_mail bool, role_address bool,
               person_key text collate "C", first_name text, last_name text, company text, company_norm text,
               country text, timezone text, fields jsonb, source text, legal_basis jsonb, source_at timestamptz,
               suppressed_by text) on commit drop""",
    )
    async with db.cursor() as cursor, cursor.copy("copy incoming (" + COPIED + ") from stdin") as copy:
        await copy.write(lines)
    suppressed = await suppressions.mark(db, client_id=client_id, pepper=pepper)
    return Taking(count=count, suppressed=suppressed, client_id=client_id, import_id=import_id, campaign_id=campaign_id)


async def _known(db: Connection, client_id: UUID, import_id: UUID | None) -> Sequence[NotTaken]:
    return await rows(
        db,
        NotTaken,
        """select i.row_no, i.email,
                  case when l.import_id = %(import)s then 'duplicate_in_file' else 'known_lead' end as why,
                  case when l.import_id = %(import)s then 'row ' || l.import_row else 'lead ' || l.id end as culprit
           from incoming i join mailfleet.leads l on l.email_norm = i.email_norm and l.client_id = %(client)s
           where i.suppressed_by is null
             and (l.import_id, l.import_row) is distinct from (%(import)s::uuid, i.row_no) order by i.row_no""",
        {"client": client_id, "import": import_id},
    )


async def _suppressed(db: Connection) -> Sequence[NotTaken]:
    return await rows(
        db,
        NotTaken,
        """select row_no, email, 'suppressed' as why, suppressed_by as culprit
           from incoming where suppressed_by is not null""",
    )


async def copied_ids(db: Connection, client_id: UUID) -> Mapping[int, int]:
    """Row → the client's lead of its address, of the lines that `take` copied in this transaction."""
    found = await tuples(
        db,
        """select i.row_no, l.id from incoming i join mailfleet.leads l
           on l.email_norm = i.email_norm and l.client_id = %s""",
        [client_id],
    )
    return dict(found)


async def get(db: Connection, id: int) -> Lead | None:
    return await row(db, Lead, "select " + _COLUMNS + " from mailfleet.leads l where l.id = %s", [id])


async def by_ids(db: Connection, ids: Sequence[int]) -> Sequence[Lead]:
    return await rows(
        db, Lead, "select " + _COLUMNS + " from mailfleet.leads l where l.id = any(%s) order by l.id", [list(ids)]
    )


async def by_email(db: Connection, email_norm: str) -> Sequence[Lead]:
    """One a client at most."""
    return await rows(
        db, Lead, "select " + _COLUMNS + " from mailfleet.leads l where l.email_norm = %s order by l.id", [email_norm]
    )


async def listed(
    db: Connection,
    *,
    client_id: UUID | None = None,
    campaign_id: UUID | None = None,
    status: str = "",
    after: int = 0,
    limit: int = 100,
) -> Sequence[Lead]:
    return await rows(
        db,
        Lead,
        "select "
        + _COLUMNS
        + """ from mailfleet.leads l
           where l.id > %(after)s and (%(client)s::uuid is null or l.client_id = %(client)s)
             and (%(campaign)s::uuid is null or l.campaign_id = %(campaign)s)
             and (%(status)s = '' or l.status = %(status)s)
           order by l.id limit %(limit)s""",
        {"after": after, "client": client_id, "campaign": campaign_id, "status": status, "limit": limit},
    )


async def ready(db: Connection, *, campaign_id: UUID, client_id: UUID, shared: bool, limit: int) -> list[int]:
    """Leads that may be pushed to a campaign: its own, and with `shared` those of the client without a campaign."""
    found = await tuples(
        db,
        """select id from (
               (select id from mailfleet.leads where status = 'ready_to_send' and campaign_id = %(campaign)s
                order by id limit %(limit)s)
               union all
               (select id from mailfleet.leads
                where %(shared)s and status = 'ready_to_send' and campaign_id is null and client_id = %(client)s
                order by id limit %(limit)s)) as r
           order by id limit %(limit)s""",
        {"campaign": campaign_id, "client": client_id, "shared": shared, "limit": limit},
    )
    return [id for (id,) in found]


async def set_status(
    db: Connection, ids: Sequence[int], status: Status, *, at: datetime, resume_at: datetime | None = None
) -> None:
    await execute(
        db,
        "update mailfleet.leads set status = %s, resume_at = %s, updated_at = %s where id = any(%s)",
        [status, resume_at, at, list(ids)],
    )


async def invalidate(db: Connection, reasons: Mapping[int, str], at: datetime) -> None:
    """Leads that cannot be sent as they are, each with its reason."""
    await execute(
        db,
        """update mailfleet.leads l set status = 'invalid', invalid_reason = r.reason, updated_at = %s
           from json_to_recordset(%s::json) as r(id bigint, reason text) where l.id = r.id""",
        [at, json_rows([{"id": id, "reason": reason} for id, reason in reasons.items()])],
    )


async def validate(db: Connection, ids: Sequence[int], at: datetime) -> None:
    """These can be sent after all."""
    await execute(
        db,
        """update mailfleet.leads set status = 'ready_to_send', invalid_reason = '', updated_at = %s
           where id = any(%s) and status = 'invalid'""",
        [at, list(ids)],
    )


async def rewrite(db: Connection, changed: Sequence[Lead], at: datetime) -> None:
    """What a person corrected: names, company, country, time zone, further fields, and the keys made of them."""
    for lead in changed:
        await execute(
            db,
            """update mailfleet.leads
               set first_name = %s, last_name = %s, company = %s, company_norm = %s, person_key = %s, country = %s,
                   timezone = %s, fields = %s, updated_at = %s
               where id = %s""",
            [
                lead.first_name, lead.last_name, lead.company, lead.company_norm, lead.person_key, lead.country,
                lead.timezone, Json(lead.fields), at, lead.id,
            ],
        )  # fmt: skip


async def due_again(db: Connection, at: datetime) -> int:
    """Held leads without an owner whose day has come are ready to send again (a vendor's lead credit was used up)."""
    return await execute(
        db,
        """update mailfleet.leads l set status = 'ready_to_send', resume_at = null, updated_at = %(at)s
           where l.resume_at <= %(at)s and l.status = 'held'
             and not exists (select 1 from mailfleet.lead_ownership o
                             where o.lead_id = l.id and o.state <> 'released')""",
        {"at": at},
    )


async def assign(db: Connection, ids: Sequence[int], campaign_id: UUID, at: datetime) -> int:
    """Gives leads without a campaign to this one."""
    return await execute(
        db,
        """update mailfleet.leads set campaign_id = %s, updated_at = %s
           where id = any(%s) and campaign_id is null""",
        [campaign_id, at, list(ids)],
    )


async def exclude(
    db: Connection, excluded: Sequence[Mapping[str, object]], *, campaign_id: UUID | None, at: datetime
) -> None:
    """Records {lead_id, rule, culprit} and takes the leads out of what is ready."""
    await execute(
        db,
        """with why as (
               select lead_id, rule, culprit from json_to_recordset(%(rows)s::json)
                   as e(lead_id bigint, rule text, culprit text)),
           noted as (
               insert into mailfleet.lead_exclusions (lead_id, campaign_id, rule, culprit, at)
               select lead_id, %(campaign)s, rule, culprit, %(at)s from why)
           update mailfleet.leads l set status = 'excluded', updated_at = %(at)s
           from why where l.id = why.lead_id and l.status = 'ready_to_send'""",
        {"rows": json_rows(excluded), "campaign": campaign_id, "at": at},
    )


async def status_counts(db: Connection, *, client_id: UUID | None = None) -> Mapping[str, int]:
    found = await tuples(
        db,
        """select status, count(*)::int from mailfleet.leads
           where %(client)s::uuid is null or client_id = %(client)s group by 1 order by 1""",
        {"client": client_id},
    )
    return dict(found)


async def exclusion_counts(db: Connection) -> Mapping[str, int]:
    found = await tuples(db, "select rule, count(*)::int from mailfleet.lead_exclusions group by 1 order by 2 desc, 1")
    return dict(found)


async def exclude_suppressed(db: Connection, *, pepper: bytes, at: datetime) -> int:
    """Takes waiting leads that a suppression covers out of what is ready, each with its record."""
    return await execute(
        db,
        """with hit as (
               select l.id, (select s.scope || ' ' || s.reason || ' ' || s.id from mailfleet.suppressions s where """
        + suppressions.hits("l")
        + """ limit 1) as culprit
               from mailfleet.leads l where l.status = 'ready_to_send'),
           noted as (
               insert into mailfleet.lead_exclusions (lead_id, rule, culprit, at)
               select id, 'suppressed', culprit, %(at)s from hit where culprit is not null)
           update mailfleet.leads l set status = 'excluded', updated_at = %(at)s
           from hit where l.id = hit.id and hit.culprit is not null""",
        {"pepper": pepper, "at": at},
    )


async def soft_bounced(db: Connection, ids: Sequence[int], at: datetime) -> Mapping[int, int]:
    """One more for each; how many each has now."""
    found = await tuples(
        db,
        """update mailfleet.leads set soft_bounces = soft_bounces + 1, updated_at = %s
           where id = any(%s) returning id, soft_bounces""",
        [at, list(ids)],
    )
    return dict(found)


async def wait_until(db: Connection, until: Mapping[int, datetime], status: Status, *, at: datetime) -> None:
    """These leads wait, each until its own time."""
    await execute(
        db,
        """update mailfleet.leads l set status = %s, resume_at = r.until, updated_at = %s
           from json_to_recordset(%s::json) as r(id bigint, until timestamptz) where l.id = r.id""",
        [status, at, json_rows([{"id": id, "until": time} for id, time in until.items()])],
    )
