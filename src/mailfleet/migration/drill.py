"""The way back, practised: over sentinel campaigns, by the same code, timed from its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailfleet.errors import NotAllowed
from mailfleet.migration import saga
from mailfleet.services.context import Fleet
from mailfleet.store import migrations, sagas

Sleep = Callable[[float], Awaitable[None]]


async def drill(fleet: Fleet, campaigns: Sequence[UUID], *, live: bool, sleep: Sleep) -> dict[str, Any]:
    """A whole way back over sentinel campaigns, timed from its journal. A live vendor without sentinels is refused."""
    if live and not campaigns:
        raise NotAllowed(
            "A drill on a live vendor needs sentinel campaigns.",
            reasons=("without them it would move real leads",),
            hint="Name them with --sentinel; they hold addresses of your own.",
        )
    async with fleet.db.connection() as db:
        made = await migrations.need(db)
        sending = await sagas.pausable(db, made.to_platform)
    if not campaigns:
        campaigns = [each.id for each in sending[-1:]]
    if not campaigns:
        raise NotAllowed(f"{made.to_platform} has no campaign to drill with.", reasons=("nothing is sent there",))
    opened, _ = await saga.open_saga(
        fleet, migration_id=made.id, from_platform=made.to_platform, to_platform=made.from_platform, trigger="drill",
        reason="drill", automatic=False, only=campaigns, kind="drill",
    )  # fmt: skip
    async with fleet.db.transaction() as db:
        await sagas.decide(db, opened.id, "proceed", fleet.actor)
    pace = saga.Pace(still=timedelta(seconds=30), assess=timedelta(), watch=timedelta())
    ended = opened
    while ended.ended_at is None:
        await saga.Executor(fleet, opened.id, pace=pace).run()
        async with fleet.db.connection() as db:
            ended = await sagas.get(db, opened.id)
        if ended.ended_at is None:
            await sleep(10)
    async with fleet.db.connection() as db:
        lines = await sagas.journal(db, opened.id)
    return {"saga": str(opened.id), "outcome": ended.outcome, **timed(lines)}


def timed(lines: Sequence[sagas.Line]) -> dict[str, float | None]:
    """Seconds from the first command: until read back as paused, until the counters stood, until the end."""
    began = lines[0].at if lines else None

    def until(kind: str) -> float | None:
        ends = [line.finished_at for line in lines if line.kind == kind and line.outcome == "ok" and line.finished_at]
        return (ends[0] - began).total_seconds() if ends and began else None

    return {name: until(kind) for name, kind in (("paused", "readback"), ("still", "still"), ("complete", "warm"))}
