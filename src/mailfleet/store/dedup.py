"""The specified duplicate checks, decided in one statement where the data is (spec 5, S10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

import msgspec

from mailfleet.store import suppressions
from mailfleet.store.database import Connection, json_rows, rows

Rule = Literal[
    "", "suppressed", "status_blocklist", "at_vendor", "contacted_address", "contacted_domain", "contacted_company",
    "same_address", "same_domain", "same_company",
]  # fmt: skip


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """`n` is the place in the caller's list: the first of several wins."""

    n: int
    lead_id: int | None
    client_id: UUID | None
    email_norm: str
    domain: str
    company_norm: str
    person_key: str
    free_mail: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` is empty for a unique lead; else `culprit` names the record that excludes it."""

    n: int
    lead_id: int | None
    rule: Rule
    culprit: str


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """How strict, from the policy's `dedup`. `since` is the beginning of the contact window."""

    scope: Literal["global", "client", "campaign"]
    since: datetime
    campaign_id: UUID | None
    blocked_statuses: Sequence[str]
    by_domain: bool
    by_company: bool


_CONTACT: LiteralString = """{0}.last_at >= %(since)s and {0}.lead_id is distinct from i.lead_id
    and (%(scope)s = 'global'
         or (%(scope)s = 'campaign' and {0}.campaign_id = %(campaign)s)
         or (%(scope)s = 'client' and exists (select 1 from mailfleet.campaigns c
                                              where c.id = {0}.campaign_id and c.client_id = i.client_id)))"""

_VERDICTS: LiteralString = (
    """,
    facts as (
        select i.*,
               (select s.reason || ' ' || s.id from mailfleet.suppressions s where """
    + suppressions.hits("i")
    + """ limit 1) as suppressed_by,
               (select x.email_status || ', lead ' || x.id from mailfleet.leads x
                where x.email_norm = i.email_norm and x.email_status = any(%(blocked)s) limit 1) as blocked_by,
               (select o.platform || ', lead ' || x.id
                from mailfleet.leads x join mailfleet.lead_ownership o on o.lead_id = x.id
                where x.email_norm = i.email_norm and x.id is distinct from i.lead_id and o.state <> 'released'
                limit 1) as owned_by,
               (select v.platform || ' campaign ' || v.campaign_ref from mailfleet.vendor_leads v
                where v.email_norm = i.email_norm limit 1) as seen_by,
               a.lead_id as address_lead, d.lead_id as domain_lead, k.lead_id as company_lead
        from incoming i
        left join mailfleet.contacts a on a.kind = 'address' and a.key = i.email_norm and """
    + _CONTACT.replace("{0}", "a")
    + """
        left join mailfleet.contacts d on %(by_domain)s and not i.free_mail and d.kind = 'domain'
             and d.key = i.domain and """
    + _CONTACT.replace("{0}", "d")
    + """
        left join mailfleet.contacts k on %(by_company)s and i.company_norm <> '' and k.kind = 'company'
             and k.key = i.company_norm and """
    + _CONTACT.replace("{0}", "k")
    + """),
    judged as (
        select n, lead_id, email_norm, domain, company_norm, free_mail,
               case when suppressed_by is not null then 'suppressed' when blocked_by is not null then 'status_blocklist'
                    when coalesce(owned_by, seen_by) is not null then 'at_vendor'
                    when address_lead is not null then 'contacted_address'
                    when domain_lead is not null then 'contacted_domain'
                    when company_lead is not null then 'contacted_company' else '' end as rule,
               coalesce(suppressed_by, blocked_by, owned_by, seen_by,
                        'lead ' || coalesce(address_lead, domain_lead, company_lead), '') as culprit
        from facts),
    by_address as (
        select *, first_value(n) over (partition by email_norm order by n) as first from judged where rule = ''),
    by_domain as (
        select *, first_value(n) over (partition by case when free_mail or not %(by_domain)s then 'n ' || n
                                                         else domain end order by n) as first_there
        from by_address where first = n),
    by_company as (
        select *, first_value(n) over (partition by case when company_norm = '' or not %(by_company)s then 'n ' || n
                                                         else company_norm end order by n) as first_at
        from by_domain where first_there = n),
    within as (
        select n, 'same_address' as rule, first as winner from by_address where first <> n
        union all select n, 'same_domain', first_there from by_domain where first_there <> n
        union all select n, 'same_company', first_at from by_company where first_at <> n)
    select j.n, j.lead_id, coalesce(w.rule, j.rule) as rule,
           coalesce('lead ' || x.lead_id, 'entry ' || w.winner, j.culprit) as culprit
    from judged j left join within w on w.n = j.n left join judged x on x.n = w.winner
    order by j.n"""
)


async def judge(db: Connection, candidates: Sequence[Candidate], checks: Checks, *, pepper: bytes) -> Sequence[Verdict]:
    """One verdict for each candidate, in their order."""
    return await rows(
        db,
        Verdict,
        """with incoming as (
               select * from json_to_recordset(%(batch)s::json)
                   as r(n int, lead_id bigint, client_id uuid, email_norm text, domain text, company_norm text,
                        person_key text, free_mail bool))"""
        + _VERDICTS,
        {"batch": json_rows(candidates), **_arguments(checks, pepper)},
    )


async def judge_leads(db: Connection, ids: Sequence[int], checks: Checks, *, pepper: bytes) -> Sequence[Verdict]:
    """The same for leads in the store; the smallest id wins."""
    return await rows(
        db,
        Verdict,
        """with incoming as (
               select (row_number() over (order by id))::int as n, id as lead_id, client_id, email_norm, domain,
                      company_norm, person_key, free_mail
               from mailfleet.leads where id = any(%(ids)s))"""
        + _VERDICTS,
        {"ids": list(ids), **_arguments(checks, pepper)},
    )


def _arguments(checks: Checks, pepper: bytes) -> dict[str, object]:
    return {
        "pepper": pepper,
        "since": checks.since,
        "scope": checks.scope,
        "campaign": checks.campaign_id,
        "blocked": list(checks.blocked_statuses),
        "by_domain": checks.by_domain,
        "by_company": checks.by_company,
    }
