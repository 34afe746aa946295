"""Gives a failing vendor a rest, agreed over all processes: opens after repeated failures, then lets one call probe.

In real time, by the database's clock. A closed circuit is believed for a second before it is read again, so that a
healthy vendor costs no round trip a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from mailfleet.store.database import Connection, Database, execute, row, rows

Admission = Literal["closed", "probe", "open"]
BELIEVED = 1.0
"""Seconds."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the row said."""

    admission: Admission
    failures: int


class CircuitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's circuit, for people."""

    vendor: str
    state: Literal["closed", "open", "half_open"]
    failures: int
    opened_at: datetime | None
    probe_at: datetime | None
    last_error: str


class PostgresCircuit:
    """Opens after `failures` (at least two) in a row, of all processes; after `rest` seconds one caller probes."""

    def __init__(
        self,
        database: Database,
        *,
        failures: int = 5,
        rest: float = 30,
        believed: float = BELIEVED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._failures, self._rest = database, failures, rest
        self._believed, self._clock = believed, clock
        self._seen: dict[str, tuple[float, Seen]] = {}

    async def admit(self, vendor: str) -> Admission:
        """`open`: do not call. `probe`: the caller alone may try; its result decides."""
        known = self._seen.get(vendor)
        if known and known[1].admission == "closed" and self._clock() - known[0] < self._believed:
            return "closed"
        async with self._database.connection() as db:
            seen = await _admit(db, vendor, self._rest)
        self._seen[vendor] = (self._clock(), seen)
        return seen.admission

    async def succeeded(self, vendor: str) -> None:
        known = self._seen.get(vendor)
        if known and known[1] == HEALTHY:
            return
        async with self._database.connection() as db:
            await execute(
                db,
                """update mailfleet.circuits
                   set state = 'closed', failures = 0, opened_at = null, probe_at = null, last_error = ''
                   where vendor = %s and (state <> 'closed' or failures > 0)""",
                [vendor],
            )
        self._seen[vendor] = (self._clock(), HEALTHY)

    async def failed(self, vendor: str, error: str) -> None:
        self._seen.pop(vendor, None)
        async with self._database.connection() as db:
            await execute(
                db,
                """insert into mailfleet.circuits as c (vendor, failures, last_error) values (%(vendor)s, 1, %(error)s)
                   on conflict (vendor) do update
                   set failures = c.failures + 1, last_error = excluded.last_error,
                       state = case when c.failures + 1 >= %(most)s then 'open' else c.state end,
                       opened_at = case when c.failures + 1 >= %(most)s
                                        then coalesce(c.opened_at, clock_timestamp()) end,
                       probe_at = case when c.failures + 1 >= %(most)s
                                       then clock_timestamp() + make_interval(secs => %(rest)s) end""",
                {"vendor": vendor, "most": self._failures, "rest": self._rest, "error": error[:500]},
            )


HEALTHY = Seen(admission="closed", failures=0)


async def _admit(db: Connection, vendor: str, rest: float) -> Seen:
    """A probe that never comes back (its process died) is followed by another after `rest`."""
    found = await row(
        db,
        Seen,
        """with probing as (
               update mailfleet.circuits
               set state = 'half_open', probe_at = clock_timestamp() + make_interval(secs => %(rest)s)
               where vendor = %(vendor)s and state <> 'closed' and probe_at <= clock_timestamp()
               returning failures
           )
           select 'probe' as admission, failures from probing
           union all
           select case state when 'closed' then 'closed' else 'open' end, failures from mailfleet.circuits
           where vendor = %(vendor)s and not exists (select 1 from probing)""",
        {"vendor": vendor, "rest": rest},
    )
    return found or HEALTHY


async def listed(db: Connection) -> list[CircuitRow]:
    """Every vendor that has ever failed."""
    return await rows(
        db,
        CircuitRow,
        "select vendor, state, failures, opened_at, probe_at, last_error from mailfleet.circuits order by vendor",
    )
