"""The safeguards' round, every 5 minutes; it runs the same with the orchestrator away (`shell.run_or_plain`).

A round looks at what is due by the policy: every 15 minutes, every 5 from band *elevated* up (S1).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mailfleet.flows.shell import run, specified
from mailfleet.services import campaign_rest, safeguards
from mailfleet.services.context import Fleet

INTERVAL = timedelta(minutes=5)
"""The shortest interval a policy may ask for (`policy.checks`)."""


@specified(
    name="mailfleet_monitor",
    description="Pause what has to be paused, confirm it at the platform, and send due notices",
    tags=["tier:realtime", "mailfleet"],
)
async def mailfleet_monitor_flow() -> dict[str, Any]:
    """`{checked, paused, throttled, complaints, vendors, confirmed, settled, delivered, rests}` (S1, S8, S12a, I5)."""
    return await run(
        "mailfleet_monitor",
        key="monitor",
        parameters={},
        work=_watch,
        skipped={
            "checked": 0,
            "paused": [],
            "throttled": [],
            "complaints": {},
            "vendors": {},
            "confirmed": 0,
            "settled": 0,
            "delivered": 0,
            "rests": {},
        },
        max_lag=INTERVAL,
    )


async def _watch(fleet: Fleet) -> dict[str, Any]:
    return {**await safeguards.watch(fleet), "rests": await campaign_rest.keep(fleet)}
