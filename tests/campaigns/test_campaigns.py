"""A campaign is made once, starts only when everything is in place, and stops when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.leads.conftest import CONFIG, START
from tests.leads.files import people, row, write
from tests.leads.test_events import Story

from mailfleet.errors import Ambiguous, BadFile, NotAllowed
from mailfleet.flows.campaign import smartlead_campaign_flow
from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
from mailfleet.flows.shell import plain, using
from mailfleet.services import campaigns, holds, imports, sync, worker
from mailfleet.store import mailboxes as boxes

pytestmark = pytest.mark.anyio


async def flow(world: Any, **asked: Any) -> dict[str, Any]:
    with using(world.fleet):
        return await plain(smartlead_campaign_flow, **asked)


async def test_the_same_configuration_again_is_the_same_campaign(running: Any) -> None:
    async with running.fleet.db.connection() as db:
        await db.execute("update mailfleet.campaigns set state = 'draft'")
    again = await flow(running, action="create", campaign_config=dict(CONFIG))
    assert again["success"] and again["campaign_id"] == str(running.campaign.id)
    assert len(running.desk.made) == 1 and again["status"] == "draft"
    assert again["sequence_id"] == str(running.campaign.sequence_id)


async def test_a_create_whose_answer_was_lost_is_found_by_its_name(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make = world.desk.create_campaign

    async def lost(name: str, *, timezone: str) -> str:
        await make(name, timezone=timezone)
        raise Ambiguous("no answer", vendor="smartlead", operation="create")

    monkeypatch.setattr(world.desk, "create_campaign", lost)
    made = await campaigns.draft(world.fleet, CONFIG)
    assert len(world.desk.made) == 1
    assert await world.one("select ref from mailfleet.platform_links where ours = %s", str(made.id)) == "7000"


async def test_the_platform_gets_steps_schedule_and_mailboxes_in_its_own_words(running: Any) -> None:
    there = running.desk.made[running.ref]
    assert [step.position for step in there.steps] == [1, 2]
    assert "{{first_name}}" in there.steps[0].body and "{{unsubscribe}}" not in there.steps[0].body
    assert there.given["schedule"].timezone == "Australia/Sydney" and there.given["schedule"].days == (1, 2, 3, 4, 5)
    assert there.given["settings"].bounce_autopause_percent == 8 and there.given["settings"].track_opens is False
    assert there.boxes == ["500"]
    assert await running.ask("select daily_cap from mailfleet.campaign_mailboxes") == [(40,)]


async def test_a_start_lists_every_reason_it_is_refused_for(running: Any) -> None:
    async with running.fleet.db.connection() as db:
        await db.execute("update mailfleet.campaigns set state = 'draft'")
        await db.execute("update mailfleet.mailboxes set state = 'WARMING'")
    refused = await flow(running, action="start", campaign_id=str(running.campaign.id))
    assert refused["success"] is False and refused["status"] == "draft"
    assert "PRODUCTION" in refused["reason"] and "0 leads are ready" in refused["reason"]
    assert running.desk.made[running.ref].hook is None


async def test_it_starts_with_its_webhook_and_stops_read_back(running: Any, tmp_path: Path) -> None:
    async with running.fleet.db.connection() as db:
        await db.execute("update mailfleet.campaigns set state = 'draft'")
    running.desk.made[running.ref].state = "draft"
    await imports.import_leads(running.fleet, write(tmp_path, people(1)))
    started = await flow(running, action="start", campaign_id=str(running.campaign.id))
    assert (started["success"], started["status"], started["leads_added"]) == (True, "running", 1)
    assert running.desk.made[running.ref].hook == "http://127.0.0.1/hooks/t/smartlead"
    paused = await flow(
        running, action="pause", campaign_id=str(running.campaign.id), campaign_config={"reason": "too many bounces"}
    )
    assert (paused["success"], paused["status"]) == (True, "paused")
    assert running.desk.made[running.ref].state == "paused"


async def test_what_a_person_paused_the_machine_does_not_start(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(1)))
    await campaigns.pause(running.fleet, running.campaign.id, "holiday", by_person=True)
    with pytest.raises(NotAllowed, match="cannot start"):
        await campaigns.start(running.fleet, running.campaign.id)
    assert await holds.release(running.fleet, "campaign", str(running.campaign.id), actor_kind="person") == 1
    assert running.desk.made[running.ref].state == "running"


async def test_mailboxes_that_may_not_send_are_named_with_their_reasons(running: Any) -> None:
    async with running.fleet.db.transaction() as db:
        other = await boxes.add(
            db, "cold@mfdemo-out.com", client_id=running.campaign.client_id, domain_id=None, persona_id=None,
            display_name="", timezone="UTC", host="custom_smtp", at=START,
        )  # fmt: skip
    with pytest.raises(NotAllowed) as refused:
        await campaigns.assign_mailboxes(running.fleet, running.campaign.id, [other.id])
    assert refused.value.reasons == ("cold@mfdemo-out.com is NEW, not PRODUCTION",)


async def test_a_started_campaign_keeps_its_configuration(running: Any) -> None:
    with pytest.raises(NotAllowed, match="another configuration"):
        await campaigns.draft(running.fleet, {**CONFIG, "unsubscribe_text": "Say stop."})


async def test_a_bad_configuration_names_every_problem_and_makes_nothing(world: Any) -> None:
    bad = {**CONFIG, "colour": "red", "schedule": {**CONFIG["schedule"], "timezone": "Mars/Base"}}
    with pytest.raises(BadFile, match=r"colour.*Mars/Base"):
        await flow(world, action="create", campaign_config=bad)
    assert not world.desk.made and await world.one("select count(*) from mailfleet.campaigns") == 0


async def test_leads_given_to_the_flow_pass_the_same_gates_and_are_taken_once(running: Any) -> None:
    leads = [
        {"email": "a@one-mfdemo.com", "first_name": "Bo", "country": "DE"},
        {"email": "A@one-mfdemo.com", "first_name": "Bo", "country": "DE"},
        {"email": "b@two-mfdemo.com.au", "first_name": "Bo", "country": "AU"},
        {"email": "nobody", "first_name": "Bo", "country": "DE"},
    ]
    added = await flow(running, action="add_leads", campaign_id=str(running.campaign.id), leads=leads)
    assert (added["leads_added"], added["leads_refused"]) == (1, 3)
    await flow(running, action="add_leads", campaign_id=str(running.campaign.id), leads=leads)
    assert running.desk.calls == ["a@one-mfdemo.com"]


async def test_the_sync_pushes_pulls_and_counts_what_happened_once(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, [*people(6), row("z@firm0-mfdemo.com")]))
    story = Story(running)
    with using(running.fleet):
        first = await plain(smartlead_lead_sync_flow)
        assert (first["pushed"], first["refused"]) == (6, 1)
        await story.receive(
            *(story.event(n, "sent") for n in range(6)),
            story.event(0, "replied", 5, subject="Re", text="Interested, call me please."),
            story.event(1, "bounced", 5, text="550 5.1.1 user unknown"),
            story.event(2, "unsubscribed", 5),
        )
        second = await plain(smartlead_lead_sync_flow)
        await worker.run_once(running.fleet)
        third = await plain(smartlead_lead_sync_flow, direction="pull")
    assert (second["pulled_events"], second["replies_processed"], second["bounces_processed"]) == (9, 1, 1)
    assert second["unsubscribes_processed"] == 1 and second["sequence_exits"] == 0
    assert (third["pulled_events"], third["sequence_exits"], third["pushed"]) == (0, 3, 0)


async def test_a_push_that_is_held_says_why_and_keeps_the_leads(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(3)))
    await holds.hold_new_leads(running.fleet, "campaign", str(running.campaign.id), "bounce rate 9 %")
    with using(running.fleet):
        done = await plain(smartlead_lead_sync_flow, direction="push")
    assert (done["pushed"], done["waiting"], done["reasons"]) == (0, 3, ["bounce rate 9 %"])
    assert await running.one("select count(*) from mailfleet.leads where status = 'ready_to_send'") == 3


@pytest.mark.parametrize(("name", "value"), [("action", "explode"), ("direction", "sideways")])
async def test_unknown_words_are_refused(running: Any, name: str, value: str) -> None:
    called = smartlead_campaign_flow if name == "action" else smartlead_lead_sync_flow
    with using(running.fleet), pytest.raises(BadFile, match=value):
        await plain(called, **{name: value})


async def test_a_crash_between_release_and_start_loses_no_start(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    id = str(running.campaign.id)
    await holds.pause(running.fleet, "campaign", id, "bounces")
    with monkeypatch.context() as killed:
        killed.setattr(running.desk, "start_campaign", _dies)
        with pytest.raises(KeyboardInterrupt):
            await holds.release(running.fleet, "campaign", id)
    assert running.desk.made[running.ref].state == "paused"
    assert (await sync.poll(running.fleet)).found == ()  # its pause there is not the platform's own
    await worker.run_once(running.fleet)
    assert running.desk.made[running.ref].state == "running"


async def test_a_release_that_was_carried_out_leaves_no_order(running: Any) -> None:
    id = str(running.campaign.id)
    await holds.pause(running.fleet, "campaign", id, "bounces")
    await holds.release(running.fleet, "campaign", id)
    assert running.desk.made[running.ref].state == "running"
    running.desk.made[running.ref].state = "paused"  # by the platform itself
    await worker.run_once(running.fleet)
    assert running.desk.made[running.ref].state == "paused"


@pytest.mark.parametrize(("since", "alerts"), [("held", 0), ("old", 1)])
async def test_an_order_to_start_is_void_once_something_else_stopped_it(
    running: Any, monkeypatch: pytest.MonkeyPatch, since: str, alerts: int
) -> None:
    id = str(running.campaign.id)
    await holds.pause(running.fleet, "campaign", id, "bounces")
    with monkeypatch.context() as killed:
        killed.setattr(running.desk, "start_campaign", _dies)
        with pytest.raises(KeyboardInterrupt):
            await holds.release(running.fleet, "campaign", id)
    if since == "held":
        await holds.pause(running.fleet, "campaign", id, "by hand", "person:ann", "person")
    else:
        running.later(hours=3)
    await worker.run_once(running.fleet)
    assert running.desk.made[running.ref].state == "paused"
    told = await running.one("select count(*) from mailfleet.alerts where kind = 'start_stale'")
    assert told == alerts


async def _dies(ref: str) -> None:
    raise KeyboardInterrupt
