"""One row a flow run, ours: what was asked and what came of it, readable when the orchestrator is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, execute, rows, value


class FlowResult(msgspec.Struct, frozen=True, kw_only=True):
    """`finished_at` None: still running, or killed."""

    id: UUID
    flow: str
    flow_run_id: str
    started_at: datetime
    finished_at: datetime | None
    parameters: dict[str, Any]
    result: dict[str, Any]
    error: str


async def start(db: Connection, flow: str, *, flow_run_id: str, parameters: Mapping[str, object], at: datetime) -> UUID:
    return await value(
        db,
        """insert into mailfleet.flow_results (flow, flow_run_id, parameters, started_at)
           values (%s, %s, %s, %s) returning id""",
        [flow, flow_run_id, Json(dict(parameters)), at],
    )


async def finish(db: Connection, id: UUID, *, result: Mapping[str, object], error: str, at: datetime) -> None:
    await execute(
        db,
        "update mailfleet.flow_results set result = %s, error = %s, finished_at = %s where id = %s",
        [Json(dict(result)), error, at, id],
    )


async def latest(db: Connection, flow: str, *, limit: int = 20) -> Sequence[FlowResult]:
    """Newest first."""
    return await rows(
        db,
        FlowResult,
        """select id, flow, flow_run_id, started_at, finished_at, parameters, result, error
           from mailfleet.flow_results where flow = %s order by started_at desc limit %s""",
        [flow, limit],
    )
