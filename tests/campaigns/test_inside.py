"""Against the sandbox: what is applied is what is there, and what is there is what is sent."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.campaigns.inside import IDENTITY, Ground, ground
from tests.leads.files import people

from mailfleet.cli import campaign_templates
from mailfleet.services import campaign_apply, campaign_plan, campaigns, reconcile, worker

pytestmark = pytest.mark.anyio
EXAMPLES = files("mailfleet") / "_examples"
NAMES = ("campaign.toml", "campaigns/night-watch.json", "campaigns/variants.toml")


def read(name: str) -> dict[str, Any]:
    text = (EXAMPLES / name).read_text("utf-8")
    return msgspec.json.decode(text) if name.endswith(".json") else tomllib.loads(text)


def filled(name: str) -> dict[str, Any]:
    """A template whose gaps are filled."""
    text = campaign_templates.made(name, called=f"From {name}", timezone="Europe/Berlin")
    for gap in campaign_templates.gaps(text):
        text = text.replace(gap, "words of our own")
    return {**tomllib.loads(text), "identity": IDENTITY}


@pytest.fixture
async def on(database: Any) -> AsyncIterator[Ground]:
    async with ground(database) as made:
        await made.mailbox("ann@mfdemo-out.com")
        await made.mailbox("eve@mfdemo-out.com")
        yield made


def test_every_example_is_in_the_round_trip() -> None:
    found = {each.name for each in EXAMPLES.iterdir() if each.name.endswith(".toml")} - {"personas.toml"}
    found |= {f"campaigns/{each.name}" for each in (EXAMPLES / "campaigns").iterdir()}
    assert found == set(NAMES)


async def test_every_example_comes_back_as_it_was_written(on: Ground) -> None:
    for config in [*map(read, NAMES), *map(filled, campaign_templates.names())]:
        made = await on.apply(config)
        writes = len(on.wire.writes)
        again = await campaign_plan.plan(on.fleet, config)
        assert not again.changes and not again.refused
        done = await campaign_apply.apply(on.fleet, config)
        assert (done.campaign_id, done.new) == (made.id, False) and not done.done
        assert len(on.wire.writes) == writes
    assert len(await on.vendor("GET", "/campaigns/")) == len(NAMES) + len(campaign_templates.names())


async def killed(on: Ground, config: dict[str, Any], after: int, *, lost: bool) -> bool:
    """Applies it, killed at the write that follows so many, then again; False when it had no such write."""
    on.wire.writes_left, on.wire.answer_lost = after, lost
    try:
        await on.apply(config)
    except KeyboardInterrupt:
        on.wire.writes_left = None
        await on.apply(config)
        await worker.run_once(on.fleet)  # a start that was ordered and not carried out
        return True
    on.wire.writes_left = None
    return False


async def shown(on: Ground, ref: str) -> dict[str, Any]:
    """All that the vendor has of a campaign."""
    whole = await on.vendor("GET", f"/campaigns/{ref}")
    steps = await on.vendor("GET", f"/campaigns/{ref}/sequences")
    boxes = await on.vendor("GET", f"/campaigns/{ref}/email-accounts")
    kept = {key: value for key, value in whole.items() if key not in ("id", "name", "created_at", "updated_at")}
    texts = [
        (each["seq_number"], each["subject"], each["email_body"], each["seq_delay_details"],
         [(form["variant_label"], form["subject"], form["email_body"]) for form in each["sequence_variants"] or []])
        for each in steps
    ]  # fmt: skip
    return {**kept, "steps": texts, "boxes": sorted(each["from_email"] for each in boxes)}


@pytest.mark.parametrize("lost", [False, True])
async def test_an_apply_killed_at_any_write_and_repeated_ends_as_one_that_was_not(on: Ground, lost: bool) -> None:
    config = read("campaigns/variants.toml")
    whole = await shown(on, await on.ref(await on.apply({**config, "name": "In one go"})))
    kills = 0
    while await killed(on, given := {**config, "name": f"Killed at {kills}"}, kills, lost=lost):
        kills += 1
        made = await campaigns.find(on.fleet, given["name"])
        assert await shown(on, await on.ref(made)) == whole
        assert await still(on, given)
    assert kills == 5  # made, steps, schedule, settings, mailboxes
    names = Counter(each["name"] for each in await on.vendor("GET", "/campaigns/"))
    assert len(names) == kills + 2 and set(names.values()) == {1}


@pytest.mark.parametrize("lost", [False, True])
async def test_a_change_killed_at_any_write_and_repeated_runs_as_planned(
    on: Ground, tmp_path: Path, lost: bool
) -> None:
    config: dict[str, Any] = {**read("campaign.toml"), "from_mailboxes": ["ann@mfdemo-out.com"]}
    made = await on.apply(config)
    await on.leads(tmp_path, people(5), campaign=str(made.id))
    ref = await on.starts(made)
    changed: dict[str, Any] = {**config, "from_mailboxes": ["eve@mfdemo-out.com"], "plain_text": True}
    changed["schedule"] = {**config["schedule"], "start_hour": 10}
    changed["sequence"] = [config["sequence"][0], {**config["sequence"][1], "body": "Another. {{unsubscribe}}"}]
    kills = 0
    while await killed(on, changed, kills, lost=lost):
        kills += 1
        there = await shown(on, ref)
        assert there["status"] == "ACTIVE" and there["boxes"] == ["eve@mfdemo-out.com"] and there["send_as_plain_text"]
        assert len(there["steps"]) == 2 and "Another." in there["steps"][1][2]
        assert await still(on, changed)
        await on.apply(config)
    assert kills >= 6  # paused, steps, schedule, settings, mailboxes in and out, started
    assert (await on.vendor("GET", f"/campaigns/{ref}/leads"))["total_leads"] == "5"


async def still(on: Ground, config: dict[str, Any]) -> bool:
    """Nothing to change, and no write whose outcome nobody knows once they were read."""
    again = await campaign_plan.plan(on.fleet, config)
    none = timedelta(0)
    settled = await reconcile.settle_open(on.fleet, reconcile.Grace(ambiguous=none, intended=none, absent=none))
    return not again.changes and not settled.left and not settled.unreadable
