"""Why a scope bounces, on demand; the worker runs the same when the ladder orders it (`trigger_investigation_flow`)."""

from __future__ import annotations

from typing import Any

from mailfleet.flows.shell import Result, run, specified
from mailfleet.services import investigations
from mailfleet.services.context import Fleet


@specified(
    name="mailfleet_investigation",
    description="Find out whether the message, the mailbox or the list makes a scope bounce",
    tags=["tier:realtime", "mailfleet"],
)
async def mailfleet_investigation_flow(scope: str, scope_id: str, reason: str = "asked for") -> dict[str, Any]:
    """`{cause, certainty, unit, reason, report}` of a mailbox, domain, campaign or client (S1)."""

    async def work(fleet: Fleet) -> Result:
        made = await investigations.investigate(fleet, scope, scope_id, reason)
        found = made.finding
        return {
            "cause": found.cause,
            "certainty": found.certainty,
            "unit": found.unit,
            "reason": found.reason,
            "report": made.text,
        }

    return await run(
        "mailfleet_investigation",
        key=f"investigation:{scope}:{scope_id}",
        parameters={"scope": scope, "scope_id": scope_id, "reason": reason},
        work=work,
        skipped={
            "cause": "unclear",
            "certainty": "unclear",
            "unit": "",
            "reason": "another run is at it",
            "report": "",
        },
    )
