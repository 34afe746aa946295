"""Flow 3: campaigns and their sequences (spec 4, flow 3; V12, S2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, get_args
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE

from mailfleet.errors import BadFile, NotAllowed
from mailfleet.flows.shell import Result, current, run, specified, step
from mailfleet.migration import routing
from mailfleet.services import added, campaign_apply, campaign_batches, campaign_stats, campaigns
from mailfleet.services.context import Fleet

Action = Literal["create", "start", "pause", "stats", "add_leads"]
LEADS_A_TASK = 1000


@task(name="create_campaign_task", cache_policy=NO_CACHE)
async def create_campaign_task(name: str, settings: Mapping[str, Any]) -> str:
    """campaign_id, ours. `settings` is the rest of the configuration; a repeated call adopts what is there."""
    return str((await campaigns.draft(current(), {**settings, "name": name})).id)


@task(name="configure_sequence_task", cache_policy=NO_CACHE)
async def configure_sequence_task(campaign_id: str, steps: Sequence[Mapping[str, Any]]) -> str:
    """sequence_id, ours."""
    return await campaigns.configure_steps(current(), UUID(campaign_id), steps)


@task(name="assign_mailboxes_task", cache_policy=NO_CACHE)
async def assign_mailboxes_task(campaign_id: str, mailbox_ids: Sequence[str]) -> list[str]:
    """The addresses it sends from now; refused with every reason when one may not."""
    return list(await campaigns.assign_mailboxes(current(), UUID(campaign_id), [UUID(id) for id in mailbox_ids]))


@task(name="set_schedule_task", cache_policy=NO_CACHE)
async def set_schedule_task(campaign_id: str, schedule: Mapping[str, Any]) -> None:
    """Sets `schedule` and the campaign's settings at the platform, in the campaign's own time zone."""
    await campaigns.set_schedule(current(), UUID(campaign_id), schedule)


@task(name="add_leads_batch_task", cache_policy=NO_CACHE)
async def add_leads_batch_task(campaign_id: str, leads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`{added_count, refused_count, refused}`: each row passes the same gates as a row of a file, then is pushed if
    the campaign takes leads now, or waits until it does."""
    return await added.add(current(), UUID(campaign_id), leads)


@task(name="start_campaign_task", cache_policy=NO_CACHE)
async def start_campaign_task(campaign_id: str) -> dict[str, int]:
    """`{leads_added, leads_refused}` of the leads that go before the start, which is read back at the platform;
    refused with every reason when a condition is not met."""
    await routing.route_before_start(current(), UUID(campaign_id))
    first = await campaigns.start(current(), UUID(campaign_id))
    return {"leads_added": first.added, "leads_refused": first.refused}


@task(name="pause_campaign_task", cache_policy=NO_CACHE)
async def pause_campaign_task(campaign_id: str, reason: str) -> bool:
    """Whether the platform's own read shows that it stopped."""
    return (await campaigns.pause(current(), UUID(campaign_id), reason)).confirmed


@task(name="get_campaign_stats_task", cache_policy=NO_CACHE)
async def get_campaign_stats_task(campaign_id: str) -> dict[str, Any]:
    """stats: the platform's totals, rates with their n by step, variant and mailbox, ours, and leads by status."""
    return await campaign_stats.stats(current(), UUID(campaign_id))


@specified(
    name="smartlead_campaign",
    description="Create and manage email campaigns",
    tags=["tier:realtime", "smartlead"],
)
async def smartlead_campaign_flow(
    action: str = "create",
    campaign_id: str | None = None,
    campaign_config: dict[str, Any] | None = None,
    leads: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    Actions:
    - create: Create the campaign with its sequence, mailboxes and schedule; a repeated call adopts it
    - start: Start it when every condition is met
    - pause: Pause it for a reason (`campaign_config={"reason": …}`), read back at the platform
    - stats: Totals and states; without a campaign, of every campaign that sends
    - add_leads: Take leads through the gates of an import, and push them; without a campaign, the scheduled batches:
      every running campaign gets the leads it can begin on its next sending day, and no more

    Campaign Configuration Schema:
    {
        "name": "Q1 Outreach - Trades",
        "client_id": "uuid",
        "from_mailboxes": ["outreach1@domain.com", "outreach2@domain.com"],
        "sequence": [
            {"step": 1, "subject": "...", "body": "...", "delay_days": 0},
            {"step": 2, "subject": "Re: ...", "body": "...", "delay_days": 3},
            {"step": 3, "subject": "Re: ...", "body": "...", "delay_days": 5}
        ],
        "schedule": {
            "timezone": "Australia/Sydney",
            "days": ["mon", "tue", "wed", "thu", "fri"],
            "start_hour": 9,
            "end_hour": 17
        },
        "limits": {
            "daily_per_mailbox": 40,
            "warmup_reserve": 20
        }
    }

    Returns:
        {
            "success": True,
            "action": "create",
            "campaign_id": "uuid",
            "status": "draft",
            "sequence_id": "uuid",
            "leads_added": 0,
            "leads_refused": 0,
            "stats": {},
            "reason": ""
        }
    """
    if action not in get_args(Action):
        raise BadFile(f"There is no action {action!r}.", hint=f"It is one of {', '.join(get_args(Action))}.")
    asked = _Asked(action, campaign_id, campaign_config or {}, leads or [])

    async def work(fleet: Fleet) -> Result:
        try:
            done = await _ACTIONS[action](fleet, asked)
        except NotAllowed as error:
            return {**_empty(asked), **await _where(fleet, asked), "reason": campaigns.reasons_of(error)}
        return {**_empty(asked), "success": True, **done}

    return await run(
        "smartlead_campaign",
        key=f"campaign-flow:{campaign_id or asked.config.get('name', 'all')}",
        parameters={"action": action, "campaign_id": campaign_id, "leads": len(asked.leads)},
        work=work,
        skipped=_empty(asked),
    )


class _Asked:
    def __init__(
        self, action: str, campaign_id: str | None, config: Mapping[str, Any], leads: Sequence[Mapping[str, Any]]
    ) -> None:
        self.action, self.config, self.leads = action, config, leads
        self.campaign_id = campaign_id

    def need(self) -> str:
        if self.campaign_id is None:
            raise BadFile(f"{self.action} needs a campaign_id.", hint="`mailfleet campaign list` shows them.")
        return self.campaign_id


def _empty(asked: _Asked) -> Result:
    return {
        "success": False,
        "action": asked.action,
        "campaign_id": asked.campaign_id,
        "status": "",
        "sequence_id": None,
        "leads_added": 0,
        "leads_refused": 0,
        "stats": {},
        "reason": "",
    }


async def _where(fleet: Fleet, asked: _Asked) -> Result:
    """What is known of the campaign when something was refused."""
    if asked.campaign_id is None:
        return {}
    found = await campaigns.find(fleet, asked.campaign_id)
    return {"status": found.state, "sequence_id": str(found.sequence_id)}


async def _create(fleet: Fleet, asked: _Asked) -> Result:
    theirs, ground, shown = await campaign_apply.prepare(fleet, asked.config)
    settings = {key: value for key, value in asked.config.items() if key != "name"}
    asked.campaign_id = await step(create_campaign_task, str(asked.config.get("name", "")), settings)
    id = asked.need()
    begun = await campaign_apply.begin(theirs, ground, shown, UUID(id))
    sequence_id = await step(configure_sequence_task, id, list(asked.config.get("sequence", [])))
    boxes = [str(each) for each in await campaigns.mailboxes_for(fleet, UUID(id))]
    await step(assign_mailboxes_task, id, boxes)
    await step(set_schedule_task, id, dict(asked.config.get("schedule", {})))
    if begun:
        await campaign_apply.finish(theirs, ground, UUID(id), begun)
    taken = await _leads(id, asked.leads)
    return {"campaign_id": id, **await _state(fleet, id), "sequence_id": sequence_id, **taken}


async def _start(fleet: Fleet, asked: _Asked) -> Result:
    first = await step(start_campaign_task, asked.need())
    return {**first, **await _state(fleet, asked.need())}


async def _pause(fleet: Fleet, asked: _Asked) -> Result:
    why = str(asked.config.get("reason") or "").strip()
    if not why:
        raise BadFile("pause needs a reason.", hint='Give it as campaign_config={"reason": "…"}.')
    confirmed = await step(pause_campaign_task, asked.need(), why)
    reason = "" if confirmed else "the platform does not confirm it yet"
    return {"success": confirmed, "reason": reason, **await _state(fleet, asked.need())}


async def _stats(fleet: Fleet, asked: _Asked) -> Result:
    if asked.campaign_id:
        return {"stats": await step(get_campaign_stats_task, asked.campaign_id), **await _state(fleet, asked.need())}
    sending = await campaigns.sending(fleet)
    return {"stats": {each.name: await step(get_campaign_stats_task, str(each.id)) for each in sending}}


async def _add_leads(fleet: Fleet, asked: _Asked) -> Result:
    if asked.campaign_id is None and not asked.leads:
        return _batches(await campaign_batches.top_up(fleet))
    return {**await _state(fleet, asked.need()), **await _leads(asked.need(), asked.leads)}


def _batches(topped: Sequence[campaign_batches.Topped]) -> Result:
    return {
        "leads_added": sum(each.added for each in topped),
        "leads_refused": sum(each.refused for each in topped),
        "stats": {each.campaign: {"added": each.added, "reason": each.reason} for each in topped},
        "reason": "; ".join(f"{each.campaign}: {each.reason}" for each in topped if each.reason),
    }


async def _leads(campaign_id: str, leads: Sequence[Mapping[str, Any]]) -> Result:
    count, refused = 0, 0
    for begin in range(0, len(leads), LEADS_A_TASK):
        done = await step(add_leads_batch_task, campaign_id, list(leads[begin : begin + LEADS_A_TASK]))
        count, refused = count + done["added_count"], refused + done["refused_count"]
    return {"leads_added": count, "leads_refused": refused}


async def _state(fleet: Fleet, campaign_id: str) -> Result:
    found = await campaigns.find(fleet, campaign_id)
    return {"status": found.state, "sequence_id": str(found.sequence_id)}


_ACTIONS: dict[str, Callable[[Fleet, _Asked], Awaitable[Result]]] = {
    "create": _create,
    "start": _start,
    "pause": _pause,
    "stats": _stats,
    "add_leads": _add_leads,
}
