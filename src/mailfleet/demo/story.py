"""mailfleet's own story of the days, read from its tables; the judge holds it against the sandbox's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mailfleet.demo.evidence import AlertClaim, Claims, EventClaim, LeadClaim
from mailfleet.store.database import Connection, dicts, rows, tuples

_LEADS = """
select l.import_row as "row", l.email_norm as email, l.status, l.email_status,
       o.pushed_at is not null as pushed,
       (select x.rule from mailfleet.lead_exclusions x where x.lead_id = l.id order by x.at desc limit 1)
           as excluded_by,
       coalesce(o.state in ('stopped', 'completed'), false) as stopped
from mailfleet.leads l left join mailfleet.lead_ownership o on o.lead_id = l.id
order by l.import_row
"""
_EVENTS = """
select e.kind, l.email_norm as email, e.step, e.at
from mailfleet.events e join mailfleet.leads l on l.id = e.lead_id
order by e.id
"""
_ALERTS = """
select a.fact_key, a.kind, a.severity, a.title, a.context ->> 'email' as email,
       count(d.*) filter (where d.channel = 'slack' and d.state = 'sent') as slack,
       count(d.*) filter (where d.channel = 'sms' and d.state = 'sent') as sms
from mailfleet.alerts a left join mailfleet.deliveries d on d.alert_id = a.id
group by a.id order by a.created_at, a.fact_key
"""
_PRODUCTION = """
select m.address, min(t.at) from mailfleet.mailboxes m
join mailfleet.transitions t on t.entity = 'mailbox' and t.entity_id = m.id::text and t.to_state = 'PRODUCTION'
group by m.address
"""


async def tell(db: Connection) -> Claims:
    """Everything that is claimed, as plain data."""
    return Claims(
        refused=dict(await tuples(db, "select row_no, rule from mailfleet.import_refusals")),
        leads=await rows(db, LeadClaim, _LEADS),
        suppressed=await _suppressed(db),
        mailboxes=dict(await tuples(db, "select address, state from mailfleet.mailboxes order by address")),
        production_since=dict(await tuples(db, _PRODUCTION)),
        domains=dict(await tuples(db, "select name, state from mailfleet.domains order by name")),
        events=await rows(db, EventClaim, _EVENTS),
        replies=[
            (email, category)
            for email, category in await tuples(
                db,
                """select l.email_norm, r.category from mailfleet.replies r
                   join mailfleet.leads l on l.id = r.lead_id order by r.id""",
            )
        ],
        alerts=await rows(db, AlertClaim, _ALERTS),
        runs=[
            (flow, run)
            for flow, run in await tuples(
                db, "select flow, flow_run_id from mailfleet.flow_results where flow_run_id <> '' order by started_at"
            )
        ],
    )


async def flow_results(db: Connection) -> list[dict[str, Any]]:
    """Every run's returned keys and values, oldest first."""
    return await dicts(
        db, "select flow, parameters, result, error from mailfleet.flow_results order by started_at, finished_at"
    )


async def selectors(db: Connection) -> dict[str, list[str]]:
    """The DKIM selectors of each domain."""
    found = await tuples(
        db,
        """select d.name, array_agg(k.selector order by k.selector) from mailfleet.domains d
           join mailfleet.dkim_keys k on k.domain_id = d.id group by d.name order by d.name""",
    )
    return {name: list(keys) for name, keys in found}


async def unsettled(db: Connection, now: datetime) -> int:
    """How many webhooks are not applied, commands due and not done, notices not sent or failed."""
    counted = await tuples(
        db,
        """select (select count(*) from mailfleet.webhook_inbox where state = 'new')
                + (select count(*) from mailfleet.outbox where state = 'pending' and run_at <= %(now)s)
                + (select count(*) from mailfleet.deliveries
                   where state = 'pending' or (state = 'failed' and next_at <= %(now)s))""",
        {"now": now},
    )
    return int(counted[0][0])


async def _suppressed(db: Connection) -> dict[str, tuple[str, datetime]]:
    found = await tuples(
        db,
        """select key, reason, created_at from mailfleet.suppressions
           where scope = 'address' and key is not null order by created_at desc""",
    )
    return {key: (reason, since) for key, reason, since in found}
