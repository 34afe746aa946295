"""What the worker starts because webhooks came: one lead sync of a campaign, through Prefect or, without it, here."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.exceptions import ObjectNotFound

from mailfleet.flows.deployments import LONGEST_RUN
from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
from mailfleet.flows.shell import orchestrator_up, plain, using
from mailfleet.services.context import Fleet

DEPLOYMENT = "smartlead_lead_sync/on-demand"
_UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")


async def lead_sync(fleet: Fleet, campaign_id: UUID, key: str) -> bool:
    """Starts a run of the deployment or, when Prefect or the deployment is not there, does the flow's work plainly.

    `key` makes a repeated start the same run. False: the campaign's last run is not finished, try later.
    """
    parameters = {"direction": "pull", "campaign_id": str(campaign_id)}
    if await orchestrator_up() and (asked := await _ask(parameters, key)) is not None:
        return asked
    with using(fleet):
        return not (await plain(smartlead_lead_sync_flow, **parameters)).get("skipped")


async def _ask(parameters: dict[str, str], key: str) -> bool | None:
    """None: there is no such deployment."""
    tag = f"campaign:{parameters['campaign_id']}"
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return None
        if await _unfinished(client, deployment.id, tag):
            return False
        await client.create_flow_run_from_deployment(
            deployment.id, parameters=parameters, tags=[tag, "webhooks"], idempotency_key=key
        )
    return True


async def _unfinished(client: PrefectClient, deployment_id: UUID, tag: str) -> bool:
    """A run that waits counts however old it is; one that nobody executes any more does not."""
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(
            {"state": {"type": {"any_": list(_UNFINISHED)}}, "tags": {"all_": [tag]}}
        ),
        deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [deployment_id]}}),
        limit=20,
    )
    # Prefect's own times, on the machine's clock.
    cut = datetime.now(UTC) - LONGEST_RUN
    return any(run.state and (run.state.is_scheduled() or run.state.timestamp > cut) for run in runs)
