"""Flow 4: leads out, events in (spec 4, flow 4; V10, S10, S11). A task is a chunk of ids, never a single lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE

from mailfleet.errors import BadFile
from mailfleet.flows.shell import Result, current, run, specified, step
from mailfleet.services import lead_source, pulls, pushes
from mailfleet.services.context import Fleet

Direction = Literal["push", "pull", "bidirectional"]
INTERVAL = timedelta(minutes=15)
MOST_ROUNDS = 60
"""Chunks of events a run takes; what is left is the next run's, so that a run stays within its number of tasks."""


@task(name="fetch_new_leads_from_supabase_task", cache_policy=NO_CACHE)
async def fetch_new_leads_from_supabase_task(since: str | None) -> dict[str, list[int]]:
    """campaign_id → ids of its leads that are ready to send. All that wait are fetched, whenever they came."""
    return await pushes.waiting(current())


@task(name="deduplicate_leads_task", cache_policy=NO_CACHE)
async def deduplicate_leads_task(leads: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """unique_leads: campaign_id → ids that may be new contacts; the others are excluded with rule and culprit."""
    return await pushes.unique(current(), leads)


@task(name="push_leads_to_smartlead_task", cache_policy=NO_CACHE)
async def push_leads_to_smartlead_task(campaign_id: str, leads: Sequence[int]) -> dict[str, Any]:
    """`{added, refused, later, unsettled, by_rule, reason}` for one campaign's chunk, each lead claimed first."""
    return await pushes.send(current(), UUID(campaign_id), leads)


@task(name="fetch_lead_updates_from_smartlead_task", cache_policy=NO_CACHE)
async def fetch_lead_updates_from_smartlead_task(since: str | None) -> dict[str, list[str]]:
    """updates: ids of what was received and not applied, as `{statuses, replies, bounces, unsubscribes}`; when nothing
    waits, the platform is read for what the webhooks did not tell. `since` can only widen that."""
    return await pulls.updates(current(), since)


@task(name="update_lead_status_in_supabase_task", cache_policy=NO_CACHE)
async def update_lead_status_in_supabase_task(updates: Sequence[str]) -> int:
    """How many new events were applied to leads, sums and campaigns."""
    return (await pulls.apply(current(), updates)).events


@task(name="handle_replies_task", cache_policy=NO_CACHE)
async def handle_replies_task(replies: Sequence[str]) -> list[int]:
    """leads_to_exit: leads whose sequence these replies ended; the worker stops them at the platform."""
    return list((await pulls.apply(current(), replies)).stopped)


@task(name="handle_bounces_task", cache_policy=NO_CACHE)
async def handle_bounces_task(bounces: Sequence[str]) -> list[int]:
    """leads_to_suppress: leads whose address is dead and suppressed now."""
    return list((await pulls.apply(current(), bounces)).suppressed)


@task(name="sync_unsubscribes_task", cache_policy=NO_CACHE)
async def sync_unsubscribes_task(unsubscribes: Sequence[str]) -> int:
    """How many opted out or complained: never written to again, anywhere."""
    return (await pulls.apply(current(), unsubscribes)).events


@specified(
    name="smartlead_lead_sync",
    description="Sync leads and events between Supabase and Smartlead",
    tags=["tier:realtime", "smartlead"],
)
async def smartlead_lead_sync_flow(
    direction: str = "bidirectional",
    campaign_id: str | None = None,
    since_minutes: int = 15,
) -> dict[str, Any]:
    """
    Sync Logic:

    PUSH (Supabase → Smartlead):
    1. Get leads with status='ready_to_send' from leads table
    2. Deduplicate against existing Smartlead leads
    3. Push to appropriate campaign
    4. Update leads.smartlead_id in Supabase

    PULL (Smartlead → Supabase):
    1. Fetch events from Smartlead (opens, clicks, replies, bounces)
    2. Update leads.email_status in Supabase
    3. Handle special cases:
       - Reply: Mark as 'replied', exit sequence
       - Bounce: Mark as 'bounced', add to suppression list
       - Unsubscribe: Mark as 'unsubscribed', never email again

    Returns:
        {
            "pushed": 45,
            "pulled_events": 123,
            "replies_processed": 3,
            "bounces_processed": 2,
            "sequence_exits": 3
        }
    """
    if direction not in get_args(Direction):
        raise BadFile(f"There is no direction {direction!r}.", hint=f"It is one of {', '.join(get_args(Direction))}.")

    async def work(fleet: Fleet) -> Result:
        since = (fleet.clock.now() - timedelta(minutes=since_minutes)).isoformat()
        only = UUID(campaign_id) if campaign_id else None
        pulls.scope(only)
        if direction != "push":
            await _pull(since)
        sent = await _push(since, campaign_id) if direction != "pull" else {}
        await lead_source.write_back(fleet)
        return {**_empty(), **await pulls.counted(fleet, only), **sent, "lag_seconds": await pulls.lag(fleet, only)}

    return await run(
        "smartlead_lead_sync",
        key=f"lead-sync:{campaign_id or 'all'}",
        parameters={"direction": direction, "campaign_id": campaign_id, "since_minutes": since_minutes},
        work=work,
        skipped=_empty(),
        max_lag=INTERVAL,
    )


def _empty() -> Result:
    return {
        "pushed": 0,
        "pulled_events": 0,
        "replies_processed": 0,
        "bounces_processed": 0,
        "sequence_exits": 0,
        "unsubscribes_processed": 0,
        "complaints_processed": 0,
        "refused": 0,
        "refused_by_rule": {},
        "waiting": 0,
        "lag_seconds": 0,
        "reasons": [],
    }


async def _pull(since: str) -> None:
    for _ in range(MOST_ROUNDS):
        updates: dict[str, list[str]] = await step(fetch_lead_updates_from_smartlead_task, since)
        if not any(updates.values()):
            return
        for name, what in _BY_KIND:
            if updates[name]:
                await step(what, updates[name])


async def _push(since: str, campaign_id: str | None) -> Result:
    found: dict[str, list[int]] = await step(fetch_new_leads_from_supabase_task, since)
    wanted = {id: leads for id, leads in found.items() if campaign_id in (None, id)}
    unique: dict[str, list[int]] = await step(deduplicate_leads_task, wanted) if any(wanted.values()) else {}
    done = pushes.Tally()
    done.excluded(sum(map(len, wanted.values())) - sum(map(len, unique.values())))
    for id in wanted:
        for chunk in pushes.chunks(unique.get(id, [])):
            done.sent(await step(push_leads_to_smartlead_task, id, chunk))
    return done.result()


_BY_KIND = (
    ("statuses", update_lead_status_in_supabase_task),
    ("replies", handle_replies_task),
    ("bounces", handle_bounces_task),
    ("unsubscribes", sync_unsubscribes_task),
)
