"""What every sending platform does alike, and what it refuses when its capabilities say that it cannot.

A new adapter is added to `conftest.py`; nothing here changes.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from tests.conformance.conftest import Bench
from tests.vendors.wires import caught

from mailfleet.errors import Conflict, NotAllowed
from mailfleet.platforms.port import CampaignSettings, NewLead, Schedule, Step, WarmupSettings

pytestmark = pytest.mark.anyio
DAILY = Schedule(timezone="UTC", days=(1, 2, 3, 4, 5, 6, 7), start_hour=0, end_hour=24, max_new_leads_per_day=500)
STEPS = (
    Step(position=1, subject="Hi {{first_name}}", body="<p>one</p>", delay_days=0),
    Step(position=2, subject="Again", body="<p>two</p>", delay_days=2),
)
_number = count(1)


async def every(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def mailbox(bench: Bench) -> str:
    address = f"ada{next(_number)}.{bench.platform.name}@conform-mailfleet-demo.com"
    ref = await bench.platform.connect_mailbox(bench.spec(address))
    bench.advance(0.1)
    return ref


async def campaign(bench: Bench, *emails: str) -> str:
    platform = bench.platform
    ref = await platform.create_campaign(f"Pilot {next(_number)}", timezone="UTC")
    await platform.pause_campaign(ref) if not platform.capabilities.draft_campaigns else None
    await platform.set_campaign(ref, schedule=DAILY, settings=CampaignSettings())
    await platform.set_steps(ref, STEPS)
    await platform.set_campaign_mailboxes(ref, [await mailbox(bench)])
    if emails:
        answer = await platform.add_leads(ref, [NewLead(email=email, first_name="Bo") for email in emails])
        assert set(answer.added) == set(emails)
    return ref


def people(bench: Bench, *locals_: str) -> list[str]:
    """Addresses that no other test writes to."""
    return [f"{local}@{bench.platform.name}{next(_number)}.example" for local in locals_]


async def test_a_mailbox_is_connected_once_and_found_by_its_address(bench: Bench) -> None:
    ref = await mailbox(bench)
    seen = await bench.platform.mailbox(ref)
    assert seen.connected and seen.daily_cap == 30
    found = await bench.platform.find_mailbox(seen.address)
    assert found is not None and found.ref == ref
    assert ref in [box.ref for box in await every(bench.platform.mailboxes())]
    assert isinstance(await caught(bench.platform.connect_mailbox(bench.spec(seen.address))), Conflict)
    assert await bench.platform.find_mailbox("nobody@conform-mailfleet-demo.com") is None
    await bench.platform.set_mailbox_limits(ref, daily_cap=12, min_gap_minutes=10)
    assert (await bench.platform.mailbox(ref)).daily_cap == 12


async def test_warmup_stays_within_the_bounds_that_are_told(bench: Bench) -> None:
    ref, able = await mailbox(bench), bench.platform.capabilities
    asked = bench.platform.set_warmup(ref, WarmupSettings(enabled=True, per_day=100_000, rampup=5))
    if not able.warmup:
        assert isinstance(await caught(asked), NotAllowed)
        assert await bench.platform.warmup(ref) is None
        return
    applied = await asked
    assert applied.clamped["per_day"] == (100_000, able.warmup_per_day[1])
    assert (await bench.platform.mailbox(ref)).warmup_enabled is True


async def test_suspending_is_done_or_refused(bench: Bench) -> None:
    ref = await mailbox(bench)
    if bench.platform.capabilities.suspend_mailboxes:
        await bench.platform.suspend_mailbox(ref, True)
        assert (await bench.platform.mailbox(ref)).suspended
    else:
        assert isinstance(await caught(bench.platform.suspend_mailbox(ref, True)), NotAllowed)


async def test_steps_are_replaced_as_a_whole_and_read_back_in_order(bench: Bench) -> None:
    ref = await campaign(bench)
    assert [(step.position, step.subject, step.delay_days) for step in await bench.platform.steps(ref)] == [
        (1, "Hi {{first_name}}", 0), (2, "Again", 2),
    ]  # fmt: skip
    await bench.platform.set_steps(ref, STEPS[:1])
    assert [step.position for step in await bench.platform.steps(ref)] == [1]
    assert ref in [seen.ref for seen in await bench.platform.campaigns()]
    assert len(await bench.platform.campaign_mailboxes(ref)) == 1


async def test_every_address_given_is_in_one_bucket_and_nobody_twice(bench: Bench) -> None:
    one, two = people(bench, "silent.a", "silent.b")
    ref = await campaign(bench, one)
    answer = await bench.platform.add_leads(ref, [NewLead(email=one), NewLead(email=two)])
    assert (set(answer.already_there), set(answer.added)) == ({one}, {two})
    assert sorted(lead.email for lead in await every(bench.platform.leads(ref))) == sorted([one, two])
    found = await bench.platform.find_lead(two)
    assert found is not None and list(found[1]) == [ref]
    assert len(await every(bench.platform.leads(ref, state="started"))) == 2


async def test_each_step_leaves_once_and_the_second_source_tells_of_all_of_it(bench: Bench) -> None:
    quiet, answers = people(bench, "silent.q", "replies-positive.r")
    ref = await campaign(bench, quiet, answers)
    await bench.platform.start_campaign(ref)
    bench.advance(6)
    sent = await every(bench.platform.sent_messages(ref))
    assert sorted((one.email, one.step) for one in sent) == sorted([(quiet, 1), (quiet, 2), (answers, 1)])
    assert len({one.message_ref for one in sent}) == 3
    assert [one.email for one in sent if one.replied_at] == [answers]
    stats = await bench.platform.stats(ref)
    assert (stats.sent, stats.replied) == (3, 1)
    assert (await bench.platform.pulse(ref)).sent == 3
    places = {place.email: place for place in await every(bench.platform.positions(ref))}
    if bench.platform.capabilities.positions:
        assert {email: place.last_step for email, place in places.items()} == {quiet: 2, answers: 1}
    assert not any(place.pending for place in places.values())
    lead = await bench.platform.find_lead(answers)
    assert lead is not None
    assert [entry.kind for entry in await bench.platform.history(ref, lead[0])] == ["sent", "reply"]


async def test_a_paused_campaign_stands_still_and_says_so_where_it_can(bench: Bench) -> None:
    ref = await campaign(bench, *people(bench, "silent.x", "silent.y"))
    await bench.platform.start_campaign(ref)
    bench.advance(1)
    await bench.platform.pause_campaign(ref)
    before = await bench.platform.pulse(ref)
    bench.advance(4)
    after = await bench.platform.pulse(ref)
    assert before == after and before.sent > 0
    assert after.state == ("paused" if bench.platform.capabilities.pause_read_back else "unknown")
    assert (await bench.platform.campaign(ref)).state == after.state
    assert all(place.pending for place in await every(bench.platform.positions(ref)))


async def test_a_staged_campaign_sends_nothing_or_is_refused(bench: Bench) -> None:
    staging = bench.platform.stage(
        f"rb-{next(_number)}", remaining_steps=STEPS[1:], schedule=DAILY, settings=CampaignSettings(),
        mailbox_refs=[await mailbox(bench)],
    )  # fmt: skip
    if not bench.platform.capabilities.draft_campaigns:
        assert isinstance(await caught(staging), NotAllowed)
        return
    ref, (email,) = await staging, people(bench, "silent.s")
    await bench.platform.add_leads(ref, [NewLead(email=email)])
    bench.advance(3)
    assert (await bench.platform.pulse(ref)).sent == 0
    await bench.platform.start_campaign(ref)
    bench.advance(2)
    assert [one.email for one in await every(bench.platform.sent_messages(ref))] == [email]


async def test_a_burned_stage_is_gone(bench: Bench) -> None:
    if not bench.platform.capabilities.draft_campaigns:
        pytest.skip("it has no stage")
    ref = await bench.platform.stage(
        f"rb-{next(_number)}", remaining_steps=STEPS, schedule=DAILY, settings=CampaignSettings(), mailbox_refs=[]
    )
    await bench.platform.discard(ref)
    assert ref not in [seen.ref for seen in await bench.platform.campaigns() if seen.state != "archived"]


async def test_one_lead_is_ended_without_the_others_or_that_is_refused(bench: Bench) -> None:
    one, two = people(bench, "silent.end", "silent.go")
    ref = await campaign(bench, one, two)
    lead = next(lead for lead in await every(bench.platform.leads(ref)) if lead.email == one)
    if bench.platform.capabilities.stop_lead == "none":
        assert isinstance(await caught(bench.platform.stop_lead(ref, lead.ref)), NotAllowed)
        return
    await bench.platform.stop_lead(ref, lead.ref)
    await bench.platform.start_campaign(ref)
    bench.advance(4)
    assert {row.email for row in await every(bench.platform.sent_messages(ref))} == {two}


async def test_the_block_list_takes_and_gives_back_where_it_can(bench: Bench) -> None:
    one, two = people(bench, "silent.block", "silent.free")
    await bench.platform.block([one, two])
    assert {one, two} <= set(await every(bench.platform.blocked()))
    lifting = bench.platform.unblock([one, "never@was.example"])
    if not bench.platform.capabilities.unblock:
        assert isinstance(await caught(lifting), NotAllowed)
        return
    await lifting
    assert {one, two} & set(await every(bench.platform.blocked())) == {two}


async def test_hooks_are_registered_once_or_refused(bench: Bench) -> None:
    ref = await campaign(bench)
    url = f"http://127.0.0.1:9/hooks/t/{bench.platform.name}"
    if not bench.platform.capabilities.webhooks:
        assert isinstance(await caught(bench.platform.ensure_webhook(ref, url)), NotAllowed)
        return
    assert await bench.platform.ensure_webhook(ref, url) == await bench.platform.ensure_webhook(ref, url) != ""


async def test_a_body_nobody_knows_is_no_event(bench: Bench) -> None:
    for body in ({}, {"webhookInfo": None}, {"event_type": 7}, {"webhookInfo": {"type": "email_sent"}}):
        assert bench.platform.parse_event(body) is None
