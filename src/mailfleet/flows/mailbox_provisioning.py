"""Flow 2: the mailboxes' daily round: read, graduate, degrade, retire, top up (spec 4, flow 2; S3, S5–S7, V3, V4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE

from mailfleet.errors import BadFile, MailfleetError
from mailfleet.flows.shell import Result, current, run, specified, step
from mailfleet.platforms.port import MailboxSeen
from mailfleet.services import mailboxes, rounds, upkeep
from mailfleet.services.context import Fleet

Action = Literal["sync", "create", "graduate", "retire"]

# Above this many mailboxes a reading each is no task each: Prefect carries steps a person would name.
MOST_TASKS = 80
_AT_ONCE = 8
_LATEST = timedelta(hours=12)

# What the platform listed in this run; filled in place, since a task has a context of its own.
_seen: ContextVar[dict[UUID, MailboxSeen]] = ContextVar("mailfleet_mailboxes_seen")


@task(name="get_current_mailboxes_task", cache_policy=NO_CACHE)
async def get_current_mailboxes_task() -> list[dict[str, Any]]:
    """Our mailboxes that are not retired, each `{mailbox_id, address, state, connected, listed}`."""
    ours, shown = await rounds.survey(current())
    _seen.get({}).update(shown)
    return [
        {
            "mailbox_id": str(each.id),
            "address": each.address,
            "state": each.state,
            "connected": each.connected,
            "listed": each.id in shown,
        }
        for each in ours
    ]


@task(name="check_warmup_status_task", cache_policy=NO_CACHE)
async def check_warmup_status_task(mailbox_id: str) -> dict[str, Any]:
    """`{heat_score, status}` of a fresh reading; heat_score None where it is UNKNOWN or THIN, never a guess (V3)."""
    taken = await mailboxes.read(current(), UUID(mailbox_id), _seen.get({}).get(UUID(mailbox_id)))
    return {"heat_score": taken.heat.value, "status": taken.heat.state}


@task(name="graduate_warmed_mailboxes_task", cache_policy=NO_CACHE)
async def graduate_warmed_mailboxes_task(mailboxes: Sequence[Mapping[str, Any]]) -> int:
    """How many met every criterion and are in PRODUCTION now."""
    return (await rounds.graduate(current(), _ids(mailboxes))).graduated


@task(name="create_new_mailboxes_task", cache_policy=NO_CACHE)
async def create_new_mailboxes_task(domains: Sequence[str], count_per_domain: int) -> dict[str, Any]:
    """`{created, errors}`: mailboxes for the client's next people on each domain; verified domains begin to warm."""
    return await rounds.top_up(current(), domains, count_per_domain)


@task(name="rotate_degraded_mailboxes_task", cache_policy=NO_CACHE)
async def rotate_degraded_mailboxes_task(threshold: int = 60) -> dict[str, Any]:
    """`{retired, rotated, reserve}`: a spare or rested mailbox joins each campaign before one below `threshold` leaves
    it; retired are those without recovery on day 30, or disabled for over 24 h, not every one below (S5)."""
    return await rounds.rotate(current(), threshold)


@task(name="sync_status_to_supabase_task", cache_policy=NO_CACHE)
async def sync_status_to_supabase_task(mailboxes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """`{transitions, errors}`: each mailbox's transition, notices, today's limits at the platform, drift mended."""
    states = {UUID(each["mailbox_id"]): str(each["state"]) for each in mailboxes}
    return await rounds.settle(current(), states, _seen.get({}))


@specified(
    name="smartlead_mailbox_provisioning",
    description="Manage mailbox lifecycle: create, warmup, graduate, retire",
    tags=["tier:realtime", "smartlead"],
)
async def smartlead_mailbox_provisioning_flow(
    action: str = "sync",
    target_mailbox_count: int = 20,
    domains: list[str] | None = None,
) -> dict[str, Any]:
    """
    Actions:
    - sync: Check all mailboxes, update Supabase status
    - create: Create new mailboxes on specified domains
    - graduate: Move warmed mailboxes (heat>=85) to production
    - retire: Disable mailboxes with poor reputation (<60)

    Returns:
        {
            "action": "sync",
            "mailboxes_total": 20,
            "warming": 5,
            "production": 12,
            "retired": 3,
            "graduated_this_run": 2
        }
    """
    if action not in get_args(Action):
        raise BadFile(f"There is no action {action!r}.", hint=f"It is one of {', '.join(get_args(Action))}.")

    async def work(fleet: Fleet) -> Result:
        token = _seen.set({})
        try:
            done = await _ACTIONS[action](fleet, target_mailbox_count, domains or [])
        finally:
            _seen.reset(token)
        return {"action": action, **await rounds.tally(fleet), "graduated_this_run": 0, **done}

    return await run(
        "smartlead_mailbox_provisioning",
        key="mailboxes",
        parameters={"action": action, "target_mailbox_count": target_mailbox_count, "domains": domains},
        work=work,
        skipped={
            "action": action,
            "mailboxes_total": 0,
            "warming": 0,
            "production": 0,
            "retired": 0,
            "graduated_this_run": 0,
        },
        max_lag=_LATEST,
    )


async def _sync(fleet: Fleet, target: int, domains: Sequence[str]) -> Result:
    """A full round: readings, then graduation, then every other transition and today's limits."""
    ours = await step(get_current_mailboxes_task)
    errors = await _readings(fleet, ours)
    graduated = await step(graduate_warmed_mailboxes_task, ours)
    rotated = await step(rotate_degraded_mailboxes_task, int(fleet.policy.lifecycle.low_heat))
    settled = await step(sync_status_to_supabase_task, ours)
    held = await rounds.held_back(fleet, _ids(ours))
    return {
        "graduated_this_run": graduated,
        "transitions": graduated + settled["transitions"],
        "held_back": held,
        "errors": errors,
        "rotated": rotated["rotated"],
        "reserve": rotated["reserve"],
        **await upkeep.doing_nothing(fleet),
        "shortfall": await rounds.shortfall(fleet, target),
    }


async def _graduate(fleet: Fleet, target: int, domains: Sequence[str]) -> Result:
    ours = await rounds.warming(fleet)
    graduated = await step(graduate_warmed_mailboxes_task, ours)
    return {"graduated_this_run": graduated, "held_back": await rounds.held_back(fleet, _ids(ours)), "errors": []}


async def _retire(fleet: Fleet, target: int, domains: Sequence[str]) -> Result:
    low = int(fleet.policy.lifecycle.low_heat)
    done = await step(rotate_degraded_mailboxes_task, low)
    return {"retired_this_run": done["retired"], "rotated": done["rotated"], "errors": []}


async def _create(fleet: Fleet, target: int, domains: Sequence[str]) -> Result:
    """Tops up to the target over the domains named, or over all verified ones."""
    over = list(domains) or await rounds.verified_domains(fleet)
    missing = await rounds.shortfall(fleet, target)
    made: Result = {"created": [], "errors": []}
    for name, count in (await rounds.per_domain(fleet, over, missing)).items() if over else ():
        done = await step(create_new_mailboxes_task, [name], count)
        made = {"created": [*made["created"], *done["created"]], "errors": [*made["errors"], *done["errors"]]}
    return {**made, "shortfall": await rounds.shortfall(fleet, target)}


_ACTIONS: Mapping[str, Callable[[Fleet, int, Sequence[str]], Awaitable[Result]]] = {
    "sync": _sync,
    "create": _create,
    "graduate": _graduate,
    "retire": _retire,
}


async def _readings(fleet: Fleet, ours: Sequence[Mapping[str, Any]]) -> list[str]:
    """A reading of each that the platform lists, several at once; what could not be read changes nothing (I10)."""
    gate = asyncio.Semaphore(_AT_ONCE)
    listed = [each for each in ours if each["listed"] and each["state"] in ("WARMING", "PRODUCTION", "DEGRADED")]
    as_tasks = len(listed) <= MOST_TASKS

    async def one(each: Mapping[str, Any]) -> str:
        async with gate:
            try:
                call = check_warmup_status_task if as_tasks else None
                await (step(call, each["mailbox_id"]) if call else check_warmup_status_task.fn(each["mailbox_id"]))
            except MailfleetError as error:
                return f"{each['address']}: {error.coded}"
        return ""

    return [told for told in await asyncio.gather(*map(one, listed)) if told]


def _ids(listed: Sequence[Mapping[str, Any]]) -> list[UUID]:
    return [UUID(each["mailbox_id"]) for each in listed]
