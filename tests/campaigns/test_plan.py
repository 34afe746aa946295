"""A plan shows what an apply does; an apply that dies anywhere is finished by repeating it; drift is nobody's loss."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.leads.conftest import CONFIG
from tests.leads.files import people, write

from mailfleet.errors import NotAllowed, StalePlan
from mailfleet.services import (
    campaign_apply,
    campaign_batches,
    campaign_explain,
    campaign_hooks,
    campaign_plan,
    campaigns,
    imports,
    push,
)
from mailfleet.store import campaigns as rows

pytestmark = pytest.mark.anyio
LATER = {**CONFIG, "schedule": {**CONFIG["schedule"], "end_hour": 16}}
LONGER = {
    **LATER,
    "sequence": [*CONFIG["sequence"], {"step": 3, "subject": "", "body": "Last one. {{unsubscribe}}", "delay_days": 5}],
}


async def state(world: Any) -> str:
    async with world.fleet.db.connection() as db:
        return (await rows.need(db, world.campaign.id)).state


async def test_nothing_to_do_is_an_empty_plan(running: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    assert (await campaign_plan.plan(running.fleet, CONFIG)).empty
    assert await state(running) == "running"


async def test_a_running_campaign_is_paused_changed_and_runs_again(running: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    shown = await campaign_plan.plan(running.fleet, LATER)
    assert [(c.kind, c.field, c.to) for c in shown.changes] == [("change", "schedule.hours", "09:00-16:00")]
    seen: list[str] = []
    write_it = running.desk.set_campaign

    async def noted(ref: str, **given: Any) -> None:
        seen.append(running.desk.made[ref].state)
        await write_it(ref, **given)

    running.desk.set_campaign = noted
    done = await campaign_apply.apply(running.fleet, LATER, checksum=shown.checksum)
    assert (seen, done.resumed, await state(running)) == (["paused"], True, "running")
    assert running.desk.made[running.ref].state == "running"


async def test_a_plan_that_is_another_by_now_is_refused(running: Any) -> None:
    shown = await campaign_plan.plan(running.fleet, LATER)
    with pytest.raises(StalePlan):
        await campaign_apply.apply(running.fleet, LONGER, checksum=shown.checksum)


async def test_a_change_at_the_platforms_screen_is_told_and_kept(running: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    there = running.desk.made[running.ref]
    there.steps = [*there.steps[:1], msgspec.structs.replace(there.steps[1], body="<p>Mine</p>")]
    (change,) = (await campaign_plan.plan(running.fleet, CONFIG)).changes
    assert (change.kind, change.there) == ("drift", "<p>Mine</p>")
    with pytest.raises(NotAllowed, match="was changed at the platform"):
        await campaign_apply.apply(running.fleet, LATER)
    assert there.steps[1].body == "<p>Mine</p>"
    assert any(
        "was changed" in each.what for each in await campaign_explain.explain(running.fleet, running.campaign.id)
    )
    await campaign_apply.apply(running.fleet, LATER, overwrite=True)
    assert "Still there?" in there.steps[1].body


async def test_a_mailbox_taken_out_there_is_drift(running: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    running.desk.made[running.ref].boxes = []
    (change,) = (await campaign_plan.plan(running.fleet, CONFIG)).changes
    assert (change.field, change.kind) == ("mailboxes", "drift")


CALLS = ("set_campaign", "set_steps", "set_campaign_mailboxes", "pause_campaign", "start_campaign", "campaign_setup")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", CALLS)
async def test_an_apply_that_dies_anywhere_is_finished_by_repeating_it(
    running: Any, monkeypatch: pytest.MonkeyPatch, call: str, after: bool
) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    shown = await campaign_plan.plan(running.fleet, LONGER)
    real = getattr(running.desk, call)

    async def dies(*args: Any, **given: Any) -> Any:
        if after:
            await real(*args, **given)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(running.desk, call, dies)
        with pytest.raises(KeyboardInterrupt):
            await campaign_apply.apply(running.fleet, LONGER, checksum=shown.checksum)
    await campaign_apply.apply(running.fleet, LONGER, checksum=shown.checksum)
    there = running.desk.made[running.ref]
    assert (await campaign_plan.plan(running.fleet, LONGER)).empty and len(running.desk.made) == 1
    assert [step.position for step in there.steps] == [1, 2, 3] and there.boxes == ["500"]
    assert await state(running) == "running"


async def test_a_pause_meanwhile_outlives_the_change(running: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    write_it = running.desk.set_campaign

    async def and_somebody_pauses(ref: str, **given: Any) -> None:
        await write_it(ref, **given)
        await campaigns.pause(running.fleet, running.campaign.id, "wait", by_person=True)

    running.desk.set_campaign = and_somebody_pauses
    done = await campaign_apply.apply(running.fleet, LATER)
    assert (done.resumed, await state(running), running.desk.made[running.ref].state) == (False, "paused", "paused")


async def test_leads_past_a_step_never_see_it_again(running: Any, tmp_path: Any) -> None:
    await campaign_apply.apply(running.fleet, CONFIG)
    first, second = CONFIG["sequence"]
    moved = [first, {"step": 2, "subject": "", "body": "New", "delay_days": 1}, {**second, "step": 3}]
    between = {**CONFIG, "sequence": moved}
    assert not (await campaign_plan.plan(running.fleet, between)).refused
    await imports.import_leads(running.fleet, write(tmp_path, people(1)))
    await push.push_ready(running.fleet, running.campaign)
    (reason,) = (await campaign_plan.plan(running.fleet, between)).refused
    assert "step 3 has the text of step 2" in reason
    assert not (await campaign_plan.plan(running.fleet, LONGER)).refused


async def test_the_batches_fill_a_campaign_to_its_capacity_and_no_further(running: Any, tmp_path: Any) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(60)))
    (first,) = await campaign_batches.top_up(running.fleet)
    (again,) = await campaign_batches.top_up(running.fleet)
    assert (first.added, again.added) == (40, 0)


async def test_a_campaign_that_the_platform_completed_goes_on_with_new_leads(running: Any, tmp_path: Any) -> None:
    async with running.fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'completed'")
    running.desk.made[running.ref].state = "completed"
    assert await campaign_batches.top_up(running.fleet) == []
    await imports.import_leads(running.fleet, write(tmp_path, people(2)))
    async with running.fleet.db.transaction() as db:
        await db.execute("update mailfleet.leads set campaign_id = %s", [running.campaign.id])
    (topped,) = await campaign_batches.top_up(running.fleet)
    assert (topped.added, running.desk.made[running.ref].state, await state(running)) == (2, "running", "running")


async def test_two_campaigns_share_a_mailbox_and_never_more_than_it_has(running: Any) -> None:
    await campaign_apply.apply(running.fleet, {**CONFIG, "name": "Other"})
    async with running.fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'running'")
    await campaign_apply.apply(running.fleet, {**LATER, "name": "Other"})
    assert await running.ask("select daily_cap from mailfleet.campaign_mailboxes") == [(20,), (20,)]


async def test_a_hook_is_judged_by_what_the_platform_shows(running: Any) -> None:
    id = running.campaign.id
    assert (await campaign_hooks.check(running.fleet, id)).problems == ("the campaign has no webhook of ours",)
    running.desk.made[running.ref].hook = "http://elsewhere/"
    assert (await campaign_hooks.check(running.fleet, id)).problems == ("it leads to another address",)
    assert (await campaign_hooks.repair(running.fleet, id)).problems == ()


async def test_no_start_without_an_address_for_webhooks(running: Any, tmp_path: Any) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(1)))
    async with running.fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'draft'")
    running.fleet.webhook_base = ""
    with pytest.raises(NotAllowed) as refused:
        await campaigns.start(running.fleet, running.campaign.id)
    assert any("no public address" in reason for reason in refused.value.reasons)


async def test_put_away_only_what_sends_nothing(running: Any, tmp_path: Any) -> None:
    with pytest.raises(NotAllowed, match="it runs"):
        await campaigns.archive(running.fleet, running.campaign.id, "done")
    await campaigns.pause(running.fleet, running.campaign.id, "done", by_person=True)
    assert (await campaigns.archive(running.fleet, running.campaign.id, "done")).state == "archived"
    copy = await campaigns.duplicate(running.fleet, running.campaign.id, "Again")
    assert (copy.state, copy.name) == ("draft", "Again")
    with pytest.raises(NotAllowed):
        await campaigns.duplicate(running.fleet, running.campaign.id, "Again")
