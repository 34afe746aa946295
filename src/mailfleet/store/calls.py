"""Every call to a vendor, counted by the minute: availability and latency over an hour, a day, a month."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog

from mailfleet.clock import Clock
from mailfleet.errors import StoreError
from mailfleet.store import vendor_notes
from mailfleet.store.database import Connection, Database, PsycopgError, execute, json_rows, rows
from mailfleet.store.vendor_notes import Note, What

FLUSH_EVERY = 5.0
"""Seconds of real time."""
SPANS = (1, 24, 720)
"""Hours."""

log = structlog.get_logger(__name__)


class Tally(msgspec.Struct):
    """A minute's calls of one operation with one outcome. `attempts` counts those that were repeats."""

    minute: datetime
    vendor: str
    operation: str
    status: str
    calls: int = 0
    attempts: int = 0
    ms_sum: int = 0
    ms_max: int = 0


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Of one vendor over the last `hours`. `share` is None without calls: no data is not zero (I10)."""

    vendor: str
    hours: int
    calls: int
    failed: int
    ms_mean: float | None
    ms_max: int | None

    @property
    def share(self) -> float | None:
        """0 to 1: the part of calls that the vendor answered at all and not with 5xx."""
        return 1 - self.failed / self.calls if self.calls else None


class PostgresCalls:
    """Collects in memory and writes now and then, in one statement. What a killed process had collected is lost."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._tallies: dict[tuple[datetime, str, str, str], Tally] = {}
        self._notes: dict[tuple[str, str, str], Note] = {}

    def noted(self, vendor: str, what: What, subject: str, detail: Mapping[str, Any]) -> None:
        """Something about the vendor worth remembering; the same fact again is one more time."""
        now, key = self._clock.now(), (vendor, what, subject)
        times = self._notes[key].times + 1 if key in self._notes else 1
        self._notes[key] = Note(
            vendor=vendor, what=what, subject=subject, first_at=now, last_at=now, times=times, detail=detail
        )

    def called(self, vendor: str, operation: str, status: str, *, ms: int, attempt: int) -> None:
        """`status` is the HTTP status, or the name of the failure; `attempt` counts from 1."""
        minute = self._clock.now().replace(second=0, microsecond=0)
        key = (minute, vendor, operation, status)
        tally = self._tallies.setdefault(key, Tally(*key))
        tally.calls += 1
        tally.attempts += attempt > 1
        tally.ms_sum += ms
        tally.ms_max = max(tally.ms_max, ms)

    async def flush(self) -> None:
        """Writes what has been collected; puts it back when the database does not take it."""
        tallies, notes = self._tallies, self._notes
        if not tallies and not notes:
            return
        self._tallies, self._notes = {}, {}
        try:
            async with self._database.transaction() as db:
                await add(db, list(tallies.values()))
                for note in notes.values():
                    await vendor_notes.put(db, note)
        except BaseException:
            for tally in tallies.values():
                self._put_back(tally)
            self._notes = {**notes, **self._notes}
            raise

    @contextlib.asynccontextmanager
    async def writing(self, every: float = FLUSH_EVERY) -> AsyncGenerator[PostgresCalls]:
        """Flushes every so often for as long as the block lasts, and at its end."""
        task = asyncio.create_task(self._flush_for_ever(every), name="flush vendor calls")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(PsycopgError, StoreError):  # figures only: never worth a failed shutdown
                await self.flush()

    async def _flush_for_ever(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await self.flush()
            except (PsycopgError, StoreError) as error:
                log.warning("vendor_calls_not_written", error=str(error))

    def _put_back(self, tally: Tally) -> None:
        key = (tally.minute, tally.vendor, tally.operation, tally.status)
        newer = self._tallies.setdefault(key, Tally(*key))
        newer.calls += tally.calls
        newer.attempts += tally.attempts
        newer.ms_sum += tally.ms_sum
        newer.ms_max = max(newer.ms_max, tally.ms_max)


async def add(db: Connection, tallies: list[Tally]) -> None:
    if not tallies:
        return
    await execute(
        db,
        """insert into mailfleet.vendor_calls as v (minute, vendor, operation, status, calls, attempts, ms_sum, ms_max)
           select minute, vendor, operation, status, calls, attempts, ms_sum, ms_max
           from json_to_recordset(%s::json) as t (minute timestamptz, vendor text, operation text, status text,
                                                  calls int, attempts int, ms_sum bigint, ms_max int)
           on conflict (minute, vendor, operation, status) do update
           set calls = v.calls + excluded.calls, attempts = v.attempts + excluded.attempts,
               ms_sum = v.ms_sum + excluded.ms_sum, ms_max = greatest(v.ms_max, excluded.ms_max)""",
        [json_rows(tallies)],
    )


async def availability(db: Connection, *, now: datetime) -> list[Availability]:
    """Per vendor and span (1 h, 24 h, 30 d), by the minutes that have begun. A failure is no answer, or 5xx."""
    return await rows(
        db,
        Availability,
        """select vendor, hours, coalesce(sum(calls), 0)::bigint as calls,
                  coalesce(sum(calls) filter (where status !~ '^[1-4][0-9][0-9]$'), 0)::bigint as failed,
                  (sum(ms_sum) / nullif(sum(calls), 0))::float8 as ms_mean, max(ms_max) as ms_max
           from mailfleet.vendor_calls, unnest(%(spans)s::int[]) as hours
           where minute > %(now)s::timestamptz - make_interval(hours => hours) and minute <= %(now)s
           group by vendor, hours order by vendor, hours""",
        {"spans": list(SPANS), "now": now},
    )


async def prune(db: Connection, *, before: datetime) -> int:
    return await execute(db, "delete from mailfleet.vendor_calls where minute < %s", [before])
