"""What an operator looks at first, in a few statements that do not grow with the leads or the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from mailfleet.store.database import Connection, rows, tuples

_RECENT = 12


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    scope: str
    scope_id: str
    kind: str
    reason: str
    actor: str
    since: datetime
    confirmed_at: datetime | None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    severity: str
    title: str
    created_at: datetime


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a flow. `finished_at` None: it runs, or was killed."""

    flow: str
    started_at: datetime
    finished_at: datetime | None
    error: str


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    vendor: str
    state: str
    opened_at: datetime | None
    last_error: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are by state; `queues` counts what waits to be dealt with and what was given up."""

    mailboxes: Mapping[str, int]
    domains: Mapping[str, int]
    campaigns: Mapping[str, int]
    queues: Mapping[str, int]
    holds: Sequence[Hold]
    alerts: Sequence[Alert]
    circuits: Sequence[Circuit]
    runs: Sequence[Run]


async def read(db: Connection) -> Overview:
    return Overview(
        mailboxes=dict(await tuples(db, "select state, count(*) from mailfleet.mailboxes group by 1 order by 1")),
        domains=dict(await tuples(db, "select state, count(*) from mailfleet.domains group by 1 order by 1")),
        campaigns=dict(await tuples(db, "select state, count(*) from mailfleet.campaigns group by 1 order by 1")),
        queues=await _queues(db),
        holds=await rows(
            db,
            Hold,
            """select scope, scope_id, kind, reason, actor, since, confirmed_at from mailfleet.holds
               where released_at is null order by since desc limit %s""",
            [_RECENT],
        ),
        alerts=await rows(
            db,
            Alert,
            """select severity, title, created_at from mailfleet.alerts where resolved_at is null
               order by created_at desc limit %s""",
            [_RECENT],
        ),
        circuits=await rows(
            db, Circuit, "select vendor, state, opened_at, last_error from mailfleet.circuits order by vendor"
        ),
        runs=await rows(
            db,
            Run,
            """select distinct on (flow) flow, started_at, finished_at, error from mailfleet.flow_results
               order by flow, started_at desc""",
        ),
    )


async def _queues(db: Connection) -> dict[str, int]:
    found = await tuples(
        db,
        """select 'webhooks to apply', count(*) from mailfleet.webhook_inbox where state = 'new'
           union all select 'commands to carry out', count(*) from mailfleet.outbox where state = 'pending'
           union all select 'commands given up', count(*) from mailfleet.outbox where state = 'dead'
           union all select 'notices to send', count(*) from mailfleet.deliveries where state in ('pending', 'failed')
           union all select 'writes of unknown outcome', count(*) from mailfleet.journal
                     where state in ('intended', 'ambiguous')""",
    )
    return dict(found)
