"""Which flow runs when, registered with Prefect: served on this machine, or in a work pool for workers anywhere.

Deployment limits are not used (their slots outlive a killed runner): a flow that must not run twice holds our lock.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from prefect import aserve
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.states import Crashed
from prefect.types.entrypoint import EntrypointType

from mailfleet.flows.shell import SpecifiedFlow

QUARTER = timedelta(minutes=15)
FIVE = timedelta(minutes=5)
LONGEST_RUN = timedelta(hours=1)
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Planned:
    """One deployment: a flow by the place it is defined in, its name, and when it runs by itself."""

    module: str
    flow: str
    name: str
    schedule: Schedule | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def found(self) -> SpecifiedFlow[..., Any]:
        return getattr(importlib.import_module(self.module), self.flow)

    @property
    def full_name(self) -> str:
        return f"{self.found().name}/{self.name}"

    async def deployment(self) -> RunnerDeployment:
        flow = self.found()
        return await flow.ato_deployment(
            self.name,
            schedule=self.schedule,
            parameters=self.parameters,
            tags=list(flow.tags),
            description=flow.description,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )


# Spec 4: flow 1 on demand; flow 2 daily or on demand; flow 3 on demand or by schedule; flow 4 every 15 minutes and when
# webhooks came (`on_webhooks`).
PLAN: tuple[Planned, ...] = (
    Planned("mailfleet.flows.domain_setup", "smartlead_domain_setup_flow", "on-demand"),
    Planned(
        "mailfleet.flows.mailbox_provisioning",
        "smartlead_mailbox_provisioning_flow",
        "daily",
        Cron("10 0 * * *", timezone="UTC"),
        {"action": "sync"},
    ),
    Planned("mailfleet.flows.mailbox_provisioning", "smartlead_mailbox_provisioning_flow", "on-demand"),
    Planned("mailfleet.flows.campaign", "smartlead_campaign_flow", "on-demand"),
    Planned(
        "mailfleet.flows.campaign",
        "smartlead_campaign_flow",
        "daily",
        Cron("30 0 * * *", timezone="UTC"),
        {"action": "stats"},
    ),
    Planned(
        "mailfleet.flows.campaign",
        "smartlead_campaign_flow",
        "daily-batches",
        Cron("40 0 * * *", timezone="UTC"),
        {"action": "add_leads"},
    ),
    Planned("mailfleet.flows.lead_sync", "smartlead_lead_sync_flow", "quarter-hourly", Interval(QUARTER)),
    Planned("mailfleet.flows.lead_sync", "smartlead_lead_sync_flow", "on-demand"),
    Planned("mailfleet.flows.monitor", "mailfleet_monitor_flow", "five-minutely", Interval(FIVE)),
    Planned("mailfleet.flows.investigation", "mailfleet_investigation_flow", "on-demand"),
    Planned("mailfleet.flows.export", "mailfleet_export_flow", "weekly", Cron("40 2 * * 0", timezone="UTC")),
    Planned("mailfleet.flows.export", "mailfleet_export_flow", "on-demand"),
    Planned("mailfleet.flows.export", "mailfleet_sample_flow", "daily", Cron("20 1 * * *", timezone="UTC")),
    Planned("mailfleet.flows.export", "mailfleet_baseline_flow", "weekly", Cron("30 4 * * 6", timezone="UTC")),
    Planned("mailfleet.flows.retention", "mailfleet_retention_flow", "daily", Cron("50 3 * * *", timezone="UTC")),
    Planned("mailfleet.flows.domain_setup", "mailfleet_dns_check_flow", "quarter-hourly", Interval(QUARTER)),
    Planned("mailfleet.flows.migration", "mailfleet_migration_flow", "five-minutely", Interval(FIVE)),
)


async def register(pool: str, plan: Sequence[Planned] = PLAN) -> list[str]:
    """Registers the deployments in a work pool; their full names. Any number of workers of that pool run them.

    The workers need mailfleet installed and its settings in their environment.
    """
    for each in plan:
        await (await each.deployment()).aapply(work_pool_name=pool)
    return [each.full_name for each in plan]


async def serve(plan: Sequence[Planned] = PLAN, *, limit: int = 4) -> None:
    """Registers and runs them here until cancelled, at most `limit` at once. Call `drain` before stopping."""
    deployments = [await each.deployment() for each in plan]
    # A clean stop must not leave the schedules paused for the next start.
    await aserve(*deployments, pause_on_shutdown=False, print_starting_message=False, limit=limit)


async def drain(plan: Sequence[Planned] = PLAN, *, within: float = 60.0) -> bool:
    """Starts nothing new and waits for what runs; True when nothing runs any more. `resume` undoes it.

    A runner that is stopped with runs active leaves them `Running` for ever.
    """
    async with get_client() as client:
        ids = await _ids(client, plan)
        for each in ids:
            await client.pause_deployment(each)
        end = time.monotonic() + within
        while time.monotonic() < end:
            if not await _active(client, ids, ("RUNNING", "PENDING", "CANCELLING")):
                return True
            await asyncio.sleep(0.3)
    return False


async def resume(plan: Sequence[Planned] = PLAN) -> None:
    async with get_client() as client:
        for each in await _ids(client, plan):
            await client.resume_deployment(each)


async def reconcile(plan: Sequence[Planned] = PLAN, *, older_than: timedelta = LONGEST_RUN) -> list[str]:
    """Closes runs that no process is executing any more; their names. For the start, when no other runner serves."""
    cut = datetime.now(UTC) - older_than  # Prefect's own times, on the machine's clock
    closed: list[str] = []
    async with get_client() as client:
        for run in await _active(client, await _ids(client, plan), ("RUNNING", "PENDING")):
            if run.state and run.state.timestamp < cut:
                await client.set_flow_run_state(
                    run.id, Crashed(message="reconciled: no process was executing it"), force=True
                )
                closed.append(run.name)
    if closed:
        log.warning("runs left over were closed", runs=closed)
    return closed


async def _ids(client: PrefectClient, plan: Sequence[Planned]) -> list[Any]:
    found: list[Any] = []
    for each in plan:
        try:
            found.append((await client.read_deployment_by_name(each.full_name)).id)
        except ObjectNotFound:
            continue
    return found


async def _active(client: PrefectClient, ids: Sequence[Any], states: Sequence[str]) -> list[Any]:
    if not ids:
        return []
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": list(states)}}}),
        deployment_filter=DeploymentFilter.model_validate({"id": {"any_": list(ids)}}),
        limit=200,
    )
