"""The controller's tick, every five minutes; it runs the same with the orchestrator away (`shell.run_or_plain`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from mailfleet.flows.shell import run, specified
from mailfleet.migration import controller
from mailfleet.services.context import Fleet

INTERVAL = timedelta(minutes=5)


@specified(
    name="mailfleet_migration",
    description="Judge the new platform, and do the one step of the migration that is due",
    tags=["tier:realtime", "mailfleet"],
)
async def mailfleet_migration_flow() -> dict[str, Any]:
    """`{did, reason, state, phase, verdicts}`; `did` is `nothing` when no step is due."""

    async def work(fleet: Fleet) -> dict[str, Any]:
        return msgspec.to_builtins(await controller.tick(fleet))

    return await run(
        "mailfleet_migration",
        key="migration",
        parameters={},
        work=work,
        skipped={"did": "nothing", "reason": "another run is under way", "state": "", "phase": "", "verdicts": {}},
        max_lag=INTERVAL,
    )
