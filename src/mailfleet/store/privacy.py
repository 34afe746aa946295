"""What is held of one person, and its end. These look through everything: seldom needed, and never in a hurry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString

from mailfleet.store.database import Connection, dicts, execute, tuples

_MOST = 10_000
_HELD: Mapping[str, LiteralString] = {
    "leads": "select * from mailfleet.leads where id = any(%(ids)s) order by id",
    "ownership": "select * from mailfleet.lead_ownership where lead_id = any(%(ids)s) order by lead_id",
    "exclusions": "select * from mailfleet.lead_exclusions where lead_id = any(%(ids)s) order by at",
    "contacts": "select * from mailfleet.contacts where kind = 'address' and key = %(email)s",
    "suppressions": "select * from mailfleet.suppressions where scope = 'address' and key = %(email)s",
    "events": "select * from mailfleet.events where lead_id = any(%(ids)s) order by id limit %(most)s",
    "replies": "select * from mailfleet.replies where lead_id = any(%(ids)s) order by at",
    "tasks": "select * from mailfleet.tasks where lead_id = any(%(ids)s) order by created_at",
    "refused_rows": """select * from mailfleet.import_refusals where lower(value) = %(email)s
        order by import_id, row_no limit %(most)s""",
    "received": """select id, platform, received_at, body, state from mailfleet.webhook_inbox
        where strpos(lower(body::text), %(email)s) > 0 order by id limit %(most)s""",
    "imports": """select distinct i.id, i.file_name, i.started_at from mailfleet.imports i
        join mailfleet.leads l on l.import_id = i.id where l.id = any(%(ids)s)""",
}
"""Where something of a person may stand → how it is found."""


async def held(db: Connection, email_norm: str) -> Mapping[str, Sequence[dict[str, Any]]]:
    """Every row about this address, by what it is. Places that hold nothing are left out."""
    given: dict[str, object] = {"ids": await ids_of(db, email_norm), "email": email_norm, "most": _MOST}
    found = {name: await dicts(db, sql, given) for name, sql in _HELD.items()}
    return {name: rows for name, rows in found.items() if rows}


async def ids_of(db: Connection, email_norm: str) -> list[int]:
    """The leads of this address, locked."""
    found = await tuples(
        db, "select id from mailfleet.leads where email_norm = %s order by id for update", [email_norm]
    )
    return [id for (id,) in found]


async def under_way(db: Connection, ids: Sequence[int]) -> bool:
    """Whether a batch with one of these leads is between us and a platform."""
    found = await tuples(
        db,
        "select 1 from mailfleet.lead_ownership where lead_id = any(%s) and state in ('claimed', 'ambiguous') limit 1",
        [list(ids)],
    )
    return bool(found)


_FORGET: tuple[LiteralString, ...] = (
    """update mailfleet.leads
       set email = '', email_norm = 'erased:' || id, person_key = '', first_name = '', last_name = '', company = '',
           company_norm = '', timezone = '', fields = '{}', source = '', legal_basis = '{}', invalid_reason = '',
           status = case when status in ('in_sequence', 'lead_hot', 'paused_ooo') then 'rejected'
                         when status = 'completed' then status else 'excluded' end, updated_at = %(at)s
       where id = any(%(ids)s)""",
    "delete from mailfleet.contacts where kind = 'address' and key = %(email)s",
    "update mailfleet.suppressions set key = null, evidence = '{}' where scope = 'address' and key = %(email)s",
    "update mailfleet.events set detail = '{}' where lead_id = any(%(ids)s)",
    "update mailfleet.replies set subject = '', text = '', stripped = '' where lead_id = any(%(ids)s)",
    "update mailfleet.tasks set note = '' where lead_id = any(%(ids)s)",
    "update mailfleet.import_refusals set value = '', detail = '' where lower(value) = %(email)s",
    """update mailfleet.webhook_inbox set body = '{"erased": true}'
       where state <> 'new' and strpos(lower(body::text), %(email)s) > 0""",
    """update mailfleet.journal
       set request = replace(lower(request::text), %(email)s, 'erased')::jsonb,
           match = replace(lower(match::text), %(email)s, 'erased')::jsonb
       where state not in ('intended', 'ambiguous')
         and strpos(lower(request::text) || lower(match::text), %(email)s) > 0""",
    """update mailfleet.outbox set payload = '{"erased": true}', dedupe_key = null
       where state = 'done' and strpos(lower(payload::text), %(email)s) > 0""",
    """update mailfleet.audit set entity_id = 'erased', detail = '{}'
       where lower(entity_id) = %(email)s or strpos(lower(detail::text), %(email)s) > 0""",
    """update mailfleet.alerts
       set title = replace(title, %(email)s, 'erased'), body = replace(body, %(email)s, 'erased')
       where strpos(title || body, %(email)s) > 0""",
)


async def forget(db: Connection, ids: Sequence[int], email_norm: str, at: datetime) -> None:
    """Takes the person out of every row; that there was a lead, and what became of it, stays without a name."""
    for sql in _FORGET:
        await execute(db, sql, {"ids": list(ids), "email": email_norm, "at": at})


_DUE: LiteralString = """select l.id from mailfleet.leads l left join mailfleet.lead_ownership o on o.lead_id = l.id
    where l.client_id = %(client)s and coalesce(l.last_event_at, l.updated_at) < %(before)s
      and l.email_status in ('', 'sent', 'opened', 'clicked') and l.email_norm not like 'erased:%%'
      and (o.lead_id is null or o.state in ('released', 'completed', 'stopped'))"""


async def due(db: Connection, client_id: object, before: datetime) -> int:
    """How many leads nobody answered, and nobody will any more, that were last touched before then (L12)."""
    found = await tuples(
        db, "with due as (" + _DUE + ") select count(*)::int from due", {"client": client_id, "before": before}
    )
    return found[0][0]


async def purge(db: Connection, client_id: object, before: datetime, *, limit: int) -> int:
    """Deletes up to so many of them, in the caller's transaction. What happened stays, without who it was."""
    given: dict[str, object] = {"client": client_id, "before": before, "limit": limit}
    found = await tuples(db, _DUE + " order by l.id limit %(limit)s for update of l skip locked", given)
    ids: dict[str, object] = {"ids": [id for (id,) in found]}
    for sql in _PURGE:
        await execute(db, sql, ids)
    return len(found)


_PURGE: tuple[LiteralString, ...] = (
    "update mailfleet.replies set lead_id = null, subject = '', text = '', stripped = '' where lead_id = any(%(ids)s)",
    "delete from mailfleet.lead_exclusions where lead_id = any(%(ids)s)",
    "delete from mailfleet.lead_ownership where lead_id = any(%(ids)s)",
    "update mailfleet.contacts set lead_id = null where lead_id = any(%(ids)s) and kind <> 'address'",
    "delete from mailfleet.contacts where lead_id = any(%(ids)s)",
    "delete from mailfleet.leads where id = any(%(ids)s)",
)
