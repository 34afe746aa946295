"""The safeguards' round, every 15 minutes; it runs the same with the orchestrator away (`shell.run_or_plain`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mailfleet.flows.shell import run, specified
from mailfleet.services import safeguards

INTERVAL = timedelta(minutes=15)


@specified(
    name="mailfleet_monitor",
    description="Pause what has to be paused, confirm it at the platform, and send due notices",
    tags=["tier:realtime", "mailfleet"],
)
async def mailfleet_monitor_flow() -> dict[str, Any]:
    """`{checked, paused, throttled, complaints, vendors, confirmed, settled, delivered}` (S1, S8, S12b, I5)."""
    return await run(
        "mailfleet_monitor",
        key="monitor",
        parameters={},
        work=safeguards.watch,
        skipped={
            "checked": 0,
            "paused": [],
            "throttled": [],
            "complaints": {},
            "vendors": {},
            "confirmed": 0,
            "settled": 0,
            "delivered": 0,
        },
        max_lag=INTERVAL,
    )
