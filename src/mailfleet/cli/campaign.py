"""Campaigns: see, start, pause, explain. What is done with their files stands in `campaign_files`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, emit, show, show_one

app = App(name="campaign", help="Plan, create, start, change, pause and read campaigns.")
_FILES, _STATS = "mailfleet.cli.campaign_files", "mailfleet.cli.campaign_figures"
_LAZY = (
    (_FILES, "create", "Creates a campaign from a TOML or JSON file; without --yes the file is only checked."),
    (_FILES, "plan", "What would change at the platform, with the checksum that `apply` takes."),
    (_FILES, "apply", "Does what the plan shows; a running campaign is paused, changed and runs again."),
    (_FILES, "preview", "Each mail as these leads would get it."),
    (_FILES, "template", "Honest texts to begin with."),
    (_STATS, "stats", "Rates with their n in all, by step, variant and mailbox."),
    (_STATS, "capacity", "What it can send a day, when it will be through, and what holds it back."),
)
for _module, _name, _told in _LAZY:
    app.command(f"{_module}:{_name}", name=_name, help=_told)
webhook = app.command(App(name="webhook", help="Check and repair the webhook that brings its events."))

Reason = Annotated[str, Parameter(name="--reason", help="Why; kept with what is done.")]
ATTENTION, REFUSED = 3, 5


@app.command(name="list")
def list_(*, all: bool = False, json: Json = False) -> None:
    """Every campaign with its state.

    Parameters
    ----------
    all
        Those put away too.
    """
    show(
        asyncio.run(_list(all)),
        as_json=json,
        columns=("name", "client", "state", "state_since", "paused_by", "pause_reason", "id"),
    )


@app.command(name="show")
def show_(campaign: str, *, json: Json = False) -> None:
    """One campaign: its configuration, mailboxes, leads and last change.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    show_one(asyncio.run(_show(campaign)), as_json=json)


@app.command
def check(campaign: str, *, json: Json = False) -> int:
    """Everything that has to be true before it starts.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    found = asyncio.run(_check(campaign))
    show(found, as_json=json, columns=("name", "ok", "detail"))
    return 0 if all(each["ok"] for each in found) else ATTENTION


@app.command
def start(campaign: str, *, yes: Yes = False, json: Json = False) -> int:
    """Starts it when every condition is met; without --yes the conditions are shown.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    if not yes:
        return check(campaign, json=json)
    return told(asyncio.run(flow("start", campaign)), json)


@app.command
def pause(campaign: str, *, reason: Reason, json: Json = False) -> int:
    """Stops it and reads back that it stopped.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    held = asyncio.run(_pause(campaign, reason))
    show_one(held, as_json=json)
    return 0 if held["confirmed"] else ATTENTION


@app.command
def resume(campaign: str, *, reason: Reason, json: Json = False) -> int:
    """Lets go of every hold on it that a person may release; what the platform had paused is started again.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    done = asyncio.run(_resume(campaign, reason))
    show_one(done, as_json=json)
    return 0 if done["state"] == "running" else ATTENTION


@app.command
def explain(campaign: str, *, json: Json = False) -> int:
    """Why it is not sending now, and what to do; exit code 0 when nothing stops it.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    found = asyncio.run(_explain(campaign))
    if json or found:
        show(found, as_json=json, columns=("stops", "what", "next"))
    else:
        show_one({"campaign": campaign, "sending": True})
    return ATTENTION if any(each["stops"] for each in found) else 0


@app.command
def duplicate(campaign: str, name: str, *, json: Json = False) -> None:
    """A draft with the same configuration under another name, without leads.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    name
        The new one's.
    """
    show_one(asyncio.run(_duplicate(campaign, name)), as_json=json)


@app.command
def archive(campaign: str, *, reason: Reason, json: Json = False) -> None:
    """Puts a campaign away for good. Nothing is deleted, here or at the platform.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    show_one(asyncio.run(_archive(campaign, reason)), as_json=json)


@webhook.command(name="check")
def webhook_check(campaign: str | None = None, *, json: Json = False) -> int:
    """What the platform shows of its hook.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME; without one, every campaign that runs or is paused.
    """
    return _hooks(asyncio.run(_webhooks(campaign, repair=False)), json)


@webhook.command(name="repair")
def webhook_repair(campaign: str | None = None, *, json: Json = False) -> int:
    """Registers it again for every event and reads it back.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME; without one, every campaign that runs or is paused.
    """
    return _hooks(asyncio.run(_webhooks(campaign, repair=True)), json)


def _hooks(found: list[dict[str, Any]], as_json: bool) -> int:
    show(found, as_json=as_json, columns=("campaign", "ref", "problems"))
    return ATTENTION if any(each["problems"] for each in found) else 0


def told(result: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        emit(result)
    else:
        show_one(result)
    return 0 if result["success"] else REFUSED


async def flow(action: str, campaign: str | None, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The specified flow, through the orchestrator where there is one."""
    from mailfleet.cli.session import opened
    from mailfleet.flows.campaign import smartlead_campaign_flow
    from mailfleet.flows.shell import run_or_plain, using
    from mailfleet.services import campaigns

    async with opened() as fleet:
        target = str((await campaigns.find(fleet, campaign)).id) if campaign else None
        with using(fleet):
            return await run_or_plain(
                smartlead_campaign_flow, action=action, campaign_id=target, campaign_config=config
            )


async def _list(every: bool) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.store import campaigns, clients

    async with opened() as fleet, fleet.db.connection() as db:
        slugs = {client.id: client.slug for client in await clients.every(db)}
        found = await campaigns.every(db)
    kept = [each for each in found if every or each.state != "archived"]
    return [{**msgspec.structs.asdict(each), "client": slugs.get(each.client_id, "")} for each in kept]


async def _show(campaign: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.rules import campaign_file
    from mailfleet.services import campaigns
    from mailfleet.services.campaign_parts import config_of
    from mailfleet.store import campaign_applies
    from mailfleet.store import campaigns as store

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        async with fleet.db.connection() as db:
            senders = await store.senders(db, found.id)
            states = await store.lead_states(db, found.id)
            put = await campaign_applies.since_applied(db, found.id)
    known = msgspec.structs.asdict(found)
    last = put[-1] if put else None
    return {
        **{name: known[name] for name in ("id", "name", "state", "state_since", "paused_by", "pause_reason")},
        "mailboxes": [f"{each.address} ({each.daily_cap} a day)" for each in senders],
        "leads": dict(states),
        "last_change": {"checksum": last.checksum, "by": last.actor, "at": last.begun_at, "is": last.state}
        if last
        else None,
        "config": campaign_file.dump(config_of(found)),
    }


async def _check(campaign: str) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        return [msgspec.structs.asdict(each) for each in await campaigns.preflight(fleet, found.id)]


async def _explain(campaign: str) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_explain, campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        return [msgspec.structs.asdict(each) for each in await campaign_explain.explain(fleet, found.id)]


async def _pause(campaign: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        held = await campaigns.pause(fleet, found.id, reason, by_person=True)
    return {"campaign": found.name, "new": held.new, "confirmed": held.confirmed, "problems": list(held.problems)}


async def _resume(campaign: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        return await campaigns.resume(fleet, found.id, reason)


async def _duplicate(campaign: str, name: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        made = await campaigns.duplicate(fleet, found.id, name)
    return {"campaign": made.name, "state": made.state, "id": made.id, "of": found.name}


async def _archive(campaign: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        done = await campaigns.archive(fleet, found.id, reason)
    return {"campaign": done.name, "state": done.state}


async def _webhooks(campaign: str | None, *, repair: bool) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_hooks, campaigns

    does = campaign_hooks.repair if repair else campaign_hooks.check
    async with opened() as fleet:
        found = [await campaigns.find(fleet, campaign)] if campaign else await campaigns.sending(fleet)
        return [msgspec.structs.asdict(await does(fleet, each.id)) for each in found]
