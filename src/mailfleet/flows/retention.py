"""Retention as a flow, daily: leads that nobody answered go after their client's days (L12)."""

from __future__ import annotations

from typing import Any

import msgspec

from mailfleet.flows.shell import run, specified
from mailfleet.services import privacy
from mailfleet.services.context import Fleet


@specified(
    name="mailfleet_retention",
    description="Remove leads whose retention is over",
    tags=["tier:bulk", "mailfleet"],
)
async def mailfleet_retention_flow() -> dict[str, Any]:
    """`{due, purged, by_client}`."""
    nothing = {"due": 0, "purged": 0, "by_client": {}}
    return await run("mailfleet_retention", key="retention", parameters={}, work=_work, skipped=nothing)


async def _work(fleet: Fleet) -> dict[str, Any]:
    return msgspec.to_builtins(await privacy.purge(fleet, apply=True))
