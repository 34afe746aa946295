"""Campaigns: create from a file, check, start, pause, see."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Yes, say, show, show_one

app = App(name="campaign", help="Create, start and pause campaigns.")

Reason = Annotated[str, Parameter(name="--reason", help="Why; kept with what is done.")]
ATTENTION, REFUSED = 3, 5


@app.command
def create(file: Path, *, yes: Yes = False, json: Json = False) -> int:
    """Creates a campaign from a TOML or JSON file; without --yes the file is only checked.

    Parameters
    ----------
    file
        The configuration; examples/campaign.toml shows every key.
    """
    config = _config(file)
    if not yes:
        show_one(_checked(config), as_json=json)
        say("Nothing was created. Add --yes to create it as a draft.")
        return ATTENTION
    return _told(asyncio.run(_flow("create", None, config)), json)


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """Every campaign with its state."""
    show(
        asyncio.run(_list()), as_json=json, columns=("name", "state", "state_since", "paused_by", "pause_reason", "id")
    )


@app.command
def check(campaign: str, *, json: Json = False) -> int:
    """Everything that has to be true before it starts.

    Parameters
    ----------
    campaign
        Id or name.
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
        Id or name.
    """
    if not yes:
        return check(campaign, json=json)
    return _told(asyncio.run(_flow("start", campaign)), json)


@app.command
def pause(campaign: str, *, reason: Reason, json: Json = False) -> int:
    """Stops it and reads back that it stopped.

    Parameters
    ----------
    campaign
        Id or name.
    """
    held = asyncio.run(_pause(campaign, reason))
    show_one(held, as_json=json)
    return 0 if held["confirmed"] else ATTENTION


@app.command
def resume(campaign: str, *, reason: Reason, json: Json = False) -> None:
    """Lets go of every hold on it that a person may release.

    Parameters
    ----------
    campaign
        Id or name.
    """
    show_one(asyncio.run(_resume(campaign, reason)), as_json=json)


@app.command
def stats(campaign: str, *, json: Json = False) -> int:
    """The platform's totals, ours beside them, and its leads by status.

    Parameters
    ----------
    campaign
        Id or name.
    """
    return _told(asyncio.run(_flow("stats", campaign)), json)


def _told(result: dict[str, Any], as_json: bool) -> int:
    show_one(result, as_json=as_json)
    return 0 if result["success"] else REFUSED


def _config(file: Path) -> dict[str, Any]:
    import msgspec

    from mailfleet.errors import BadFile

    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        read: Any = msgspec.json.decode(raw) if raw.lstrip()[:1] == b"{" else tomllib.loads(raw.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise BadFile(
            f"{file} cannot be read: {error}.", hint="It is TOML or JSON; see examples/campaign.toml."
        ) from error
    if not isinstance(read, dict):
        raise BadFile(f"{file} is no table of keys.", hint="See examples/campaign.toml.")
    return read


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    from mailfleet.rules.campaigns import parse

    made = parse(config)
    return {"name": made.name, "steps": len(made.sequence), "hash": made.hash, "timezone": made.schedule.timezone}


async def _list() -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.store import campaigns

    async with opened() as fleet, fleet.db.connection() as db:
        return [msgspec.structs.asdict(each) for each in await campaigns.every(db)]


async def _check(campaign: str) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        return [msgspec.structs.asdict(each) for each in await campaigns.preflight(fleet, found.id)]


async def _flow(action: str, campaign: str | None, config: dict[str, Any] | None = None) -> dict[str, Any]:
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


async def _pause(campaign: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        held = await campaigns.pause(fleet, found.id, reason, by_person=True)
    return {"campaign": found.name, "new": held.new, "confirmed": held.confirmed, "problems": list(held.problems)}


async def _resume(campaign: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import campaigns, holds

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        count = await holds.release(fleet, "campaign", str(found.id), actor_kind="person", reason=reason)
    return {"campaign": found.name, "released": count}
