"""The specified duplicate checks, decided in one statement where the data is (spec 5, S10), for one or a million."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Literal, LiteralString
from uuid import UUID

import msgspec

from mailfleet.store.database import Connection, execute, rows

Rule = Literal[
    "suppressed", "status_blocklist", "at_vendor", "contacted_address", "contacted_domain", "contacted_company",
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
    """Why it is no new contact; `culprit` names the record that excludes it."""

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
    one_mailbox: bool = False


_CONTACT: LiteralString = """select i.n, {order}, {rule}, 'lead ' || k.lead_id
    from incoming i join mailfleet.contacts k on k.kind = {kind} and k.key = {key}
    where {when} and k.last_at >= %(since)s and k.lead_id is distinct from i.lead_id
      and (%(scope)s = 'global' or (%(scope)s = 'campaign' and k.campaign_id = %(campaign)s)
           or (%(scope)s = 'client' and exists (select 1 from mailfleet.campaigns c
                                                where c.id = k.campaign_id and c.client_id = i.client_id)))"""


def _contact(order: LiteralString, kind: LiteralString, key: LiteralString, when: LiteralString) -> LiteralString:
    given: tuple[tuple[LiteralString, LiteralString], ...] = (
        ("{order}", order), ("{rule}", "'contacted_" + kind + "'"), ("{kind}", "'" + kind + "'"), ("{key}", key),
        ("{when}", when),
    )  # fmt: skip
    sql = _CONTACT
    for mark, text in given:
        sql = sql.replace(mark, text)
    return sql


# Each check is a join of its own, so that Postgres chooses for each between an index and a hash by how many there are;
# of what a row meets, the first in order counts. Of rows that meet nothing, the first of an address, domain or company
# stays.
_VERDICTS: LiteralString = (
    """,
    hits (n, rank, rule, culprit) as (
        select i.n, 1, 'suppressed', s.reason || ' ' || s.id from incoming i join mailfleet.suppressions s
        on s.scope = 'address' and s.key = i.email_norm and (s.client_id is null or s.client_id = i.client_id)
        union all
        select i.n, 1, 'suppressed', s.reason || ' ' || s.id from incoming i join mailfleet.suppressions s
        on s.scope = 'domain' and s.key = i.domain and (s.client_id is null or s.client_id = i.client_id)
        union all
        select i.n, 1, 'suppressed', s.reason || ' ' || s.id from incoming i join mailfleet.suppressions s
        on s.scope = 'person' and s.key = i.person_key and (s.client_id is null or s.client_id = i.client_id)
        where i.person_key <> ''
        union all
        select h.n, 1, 'suppressed', s.reason || ' ' || s.id
        from (select i.n, i.client_id, mailfleet.suppression_hash(%(pepper)s, k.scope, k.value) as hash
              from incoming i, lateral (values ('address', i.email_norm), ('domain', i.domain),
                                               ('person', i.person_key)) as k (scope, value)
              where exists (select 1 from mailfleet.suppressions where key is null)) h
             join mailfleet.suppressions s on s.key is null and s.key_hash = h.hash
                                              and (s.client_id is null or s.client_id = h.client_id)
        union all
        select i.n, 1, 'suppressed', s.reason || ' ' || s.id from incoming i join mailfleet.suppressions s
        on s.scope = 'address' and (s.client_id is null or s.client_id = i.client_id)
           and s.key = mailfleet.mailbox_of(i.email_norm)
        where %(one_mailbox)s and i.free_mail
        union all
        select i.n, 1, 'suppressed', s.reason || ' ' || s.id from incoming i join mailfleet.suppressions s
        on s.scope = 'address' and (s.client_id is null or s.client_id = i.client_id)
           and mailfleet.mailbox_of(s.key) <> s.key
           and mailfleet.mailbox_of(s.key) collate "C" = mailfleet.mailbox_of(i.email_norm)
        where %(one_mailbox)s and i.free_mail
        union all
        select i.n, 3, 'at_vendor', o.platform || ', lead ' || x.id
        from incoming i join mailfleet.leads x
             on x.free_mail and mailfleet.mailbox_of(x.email_norm) collate "C" = mailfleet.mailbox_of(i.email_norm)
             join mailfleet.lead_ownership o on o.lead_id = x.id
        where %(one_mailbox)s and i.free_mail and x.id is distinct from i.lead_id and o.state <> 'released'
        union all
        select i.n, 2, 'status_blocklist', x.email_status || ', lead ' || x.id
        from incoming i join mailfleet.leads x on x.email_norm = i.email_norm
        where x.email_status = any(%(blocked)s)
        union all
        select i.n, 3, 'at_vendor', o.platform || ', lead ' || x.id
        from incoming i join mailfleet.leads x on x.email_norm = i.email_norm
             join mailfleet.lead_ownership o on o.lead_id = x.id
        where x.id is distinct from i.lead_id and o.state <> 'released'
        union all
        select i.n, 4, 'at_vendor', v.platform || ' campaign ' || v.campaign_ref
        from incoming i join mailfleet.vendor_leads v on v.email_norm = i.email_norm
        union all
        """
    + _contact("5", "address", "i.email_norm", "true")
    + " union all "
    + _contact("6", "domain", "i.domain", "%(by_domain)s and not i.free_mail")
    + " union all "
    + _contact("7", "company", "i.company_norm", "%(by_company)s and i.company_norm <> ''")
    + """),
    hit as materialized (select distinct on (n) n, rule, culprit from hits order by n, rank, culprit),
    free as materialized (
        select i.n, i.lead_id, i.domain, i.company_norm, i.free_mail,
               case when %(one_mailbox)s and i.free_mail then mailfleet.mailbox_of(i.email_norm)
                    else i.email_norm end as email_norm
        from incoming i where not exists (select 1 from hit where hit.n = i.n)),
    one_address as (select email_norm as key, min(n) as first from free group by 1 having count(*) > 1),
    of_address as materialized (
        select f.n, 'same_address' as rule, a.first as winner from free f join one_address a on a.key = f.email_norm
        where f.n > a.first),
    left_by_address as materialized (
        select * from free f where not exists (select 1 from of_address d where d.n = f.n)),
    one_domain as (
        select domain as key, min(n) as first from left_by_address where %(by_domain)s and not free_mail group by 1
        having count(*) > 1),
    of_domain as materialized (
        select f.n, 'same_domain' as rule, a.first as winner
        from left_by_address f join one_domain a on a.key = f.domain
        where f.n > a.first and not f.free_mail),
    left_by_domain as materialized (
        select * from left_by_address f where not exists (select 1 from of_domain d where d.n = f.n)),
    one_company as (
        select company_norm as key, min(n) as first from left_by_domain where %(by_company)s and company_norm <> ''
        group by 1 having count(*) > 1),
    of_company as (
        select f.n, 'same_company' as rule, a.first as winner
        from left_by_domain f join one_company a on a.key = f.company_norm where f.n > a.first),
    within as (select * from of_address union all select * from of_domain union all select * from of_company)
    select h.n, i.lead_id, h.rule, coalesce(h.culprit, '') as culprit from hit h join incoming i on i.n = h.n
    union all
    select w.n, i.lead_id, w.rule, coalesce('lead ' || x.lead_id, 'entry ' || w.winner)
    from within w join incoming i on i.n = w.n join incoming x on x.n = w.winner
    order by n"""
)


_BLOCK = 5000


def _line(each: Candidate) -> str:
    """For COPY: no key holds a tab or a line's end; a backslash alone means something else there."""
    lead, client = ("\\N" if value is None else str(value) for value in (each.lead_id, each.client_id))
    keys = f"{each.email_norm}\t{each.domain}\t{each.company_norm}\t{each.person_key}".replace("\\", "\\\\")
    return f"{each.n}\t{lead}\t{client}\t{keys}\t{each.free_mail}\n"


async def judge(db: Connection, candidates: Iterable[Candidate], checks: Checks, *, pepper: bytes) -> Sequence[Verdict]:
    """A verdict for each of the candidates that is no new contact, in their order; about the others nothing.

    Needs a transaction: the candidates are copied into a table that ends with it.
    """
    await stage(db, candidates)
    return await judge_staged(db, checks, pepper=pepper)


async def stage(db: Connection, candidates: Iterable[Candidate]) -> None:
    """Copies them into the transaction's table `candidates`."""
    await execute(
        db,
        """create temp table candidates (
               n int, lead_id bigint, client_id uuid, email_norm text collate "C", domain text collate "C",
               company_norm text collate "C", person_key text collate "C", free_mail bool) on commit drop""",
    )
    rest = iter(candidates)
    async with db.cursor() as cursor, cursor.copy("copy candidates from stdin") as copy:
        while block := "".join(map(_line, islice(rest, _BLOCK))):
            await copy.write(block)
    await execute(db, "analyze candidates")


async def judge_staged(db: Connection, checks: Checks, *, pepper: bytes) -> Sequence[Verdict]:
    return await rows(
        db,
        Verdict,
        "with incoming as not materialized (select * from candidates)" + _VERDICTS,
        _arguments(checks, pepper),
    )


async def judge_leads(db: Connection, ids: Sequence[int], checks: Checks, *, pepper: bytes) -> Sequence[Verdict]:
    """The same for leads in the store; the smallest id wins."""
    return await rows(
        db,
        Verdict,
        """with incoming as materialized (
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
        "one_mailbox": checks.one_mailbox,
    }
