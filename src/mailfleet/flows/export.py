"""The export, the daily samples and the baseline as flows: the first and the last weekly, the samples every day."""

from __future__ import annotations

from typing import Any

from mailfleet.flows.shell import current, run, specified
from mailfleet.services import baseline, export, samples


@specified(
    name="mailfleet_export",
    description="Export a platform, encrypted, to every place that is set",
    tags=["tier:bulk", "mailfleet"],
)
async def mailfleet_export_flow(source: str = "forge") -> dict[str, Any]:
    """`{exported, rows, places, reason}`; without recipients or places nothing is done, and `reason` says so (M8)."""

    async def work(_: Any) -> dict[str, Any]:
        return await export.scheduled(current(), source)

    return await run(
        "mailfleet_export", key=f"export-flow:{source}", parameters={"source": source}, work=work,
        skipped={"exported": "", "rows": 0, "places": [], "reason": "another run exports"},
    )  # fmt: skip


@specified(
    name="mailfleet_sample",
    description="Sample what platforms keep no history of",
    tags=["tier:bulk", "mailfleet"],
)
async def mailfleet_sample_flow() -> dict[str, Any]:
    """`{sampled, errors}`."""
    return await run(
        "mailfleet_sample", key="sample", parameters={}, work=samples.sample, skipped={"sampled": 0, "errors": []}
    )


@specified(
    name="mailfleet_baseline",
    description="Read the history of the platforms that are left",
    tags=["tier:bulk", "mailfleet"],
)
async def mailfleet_baseline_flow() -> dict[str, Any]:
    """`{taken, errors}`."""
    return await run(
        "mailfleet_baseline", key="baseline", parameters={}, work=baseline.scheduled,
        skipped={"taken": 0, "errors": []},
    )  # fmt: skip
