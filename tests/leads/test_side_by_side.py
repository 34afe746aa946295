"""One command, one row or one run that goes wrong harms no other, and two at once do not undo each other."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.leads.files import people, write
from tests.leads.test_events import Story

from mailfleet.errors import Busy, CircuitOpen, TimedOut
from mailfleet.platforms.port import CampaignStats, HistoryEntry, PlatformEvent, SentMessage
from mailfleet.services import alerts, events, holds, imports, mirror, push, pushes, suppression, sync, worker
from mailfleet.store import outbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def story(running: Any, tmp_path: Path) -> Story:
    await imports.import_leads(running.fleet, write(tmp_path, people(12)))
    await push.push_ready(running.fleet, running.campaign)
    return Story(running)


async def test_a_batch_under_way_is_not_given_back_by_another_run(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(3)))
    ids = await push.ready(running.fleet, running.campaign)

    async def another() -> None:
        running.desk.during = None
        found = await pushes.waiting(running.fleet)
        assert not found[str(running.campaign.id)]
        with pytest.raises(Busy):
            await push.push(running.fleet, running.campaign.id, ids)
        assert (await pushes.send(running.fleet, running.campaign.id, ids))["later"] == 3

    running.desk.during = another
    assert (await push.push(running.fleet, running.campaign.id, ids)).added == 3
    assert len(running.desk.calls) == 3
    states = await running.ask("select state, epoch from mailfleet.lead_ownership")
    assert states == [("active", 1)] * 3


async def test_a_hold_stops_a_push_that_is_under_way(running: Any, tmp_path: Path) -> None:
    await running.roomy()
    await imports.import_leads(running.fleet, write(tmp_path, people(120)))

    async def held() -> None:
        await holds.hold_new_leads(running.fleet, "campaign", str(running.campaign.id), "wait", "ann", "person")

    running.desk.during = held
    done = await push.push_ready(running.fleet, running.campaign)
    assert (done.added, done.later) == (50, 70)
    assert len(running.desk.calls) == 50


async def test_leads_that_were_taken_are_not_given_back_when_the_reading_after_it_fails(
    running: Any, tmp_path: Path
) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(4)))
    desk = running.desk
    plain = desk.leads
    await mirror.refresh_all(running.fleet)

    async def away(campaign_ref: str) -> Any:
        raise TimedOut("no answer", vendor="smartlead", operation="leads")
        yield

    desk.refuses["p0@firm0-mfdemo.com"] = "unexplained"
    desk.leads = away
    assert (await push.push_ready(running.fleet, running.campaign)).unsettled == 4
    await suppression.add(running.fleet, "p1@firm1-mfdemo.com")
    desk.leads = plain
    desk.refuses.clear()
    await push.push_ready(running.fleet, running.campaign)
    await worker.run_once(running.fleet)
    assert desk.made[running.ref].leads["p1@firm1-mfdemo.com"].state == "stopped"
    states = await running.ask("select state, count(*)::int from mailfleet.lead_ownership group by 1 order by 1")
    assert states == [("active", 3), ("stopped", 1)]


async def test_an_address_that_is_none_does_not_hold_up_the_events_after_it(story: Story) -> None:
    body = story.event(0, "unsubscribed")
    await story.receive({**body, "lead_email": "not an address", "dedupe_key": "x"}, story.event(1, "sent"))
    for _ in range(6):
        await events.apply_all(story.world.fleet)
    counted = dict(await story.world.ask("select state, count(*)::int from mailfleet.webhook_inbox group by 1"))
    assert counted == {"dead": 1, "applied": 1}


async def test_the_same_fact_from_both_sources_in_one_batch_is_one_event(story: Story) -> None:
    now = story.world.clock.now()
    told = PlatformEvent(
        kind="sent", at=now, dedupe_key="sent:m1-1", campaign_ref=story.world.ref, lead_email="p1@firm1-mfdemo.com",
        step=1, message_ref="m1-1",
    )  # fmt: skip
    await story.receive(story.event(1, "sent"))
    await events.enqueue(story.world.fleet, "smartlead", [told], source="poll")
    await events.apply_all(story.world.fleet)
    assert await story.world.ask("select source from mailfleet.events") == [("webhook",)]
    assert await story.world.one("select sent from mailfleet.rollups where scope = 'workspace'") == 1


async def test_one_stop_that_cannot_be_done_loses_no_other(story: Story) -> None:
    fleet = story.world.fleet
    async with fleet.db.transaction() as db:
        await db.execute(
            """insert into mailfleet.campaigns (id, client_id, name, state_since, config, config_hash, created_at)
               select 'aaaaaaaa-0000-4000-8000-000000000000', client_id, 'Other', now(), '{}', '', now()
               from mailfleet.campaigns"""
        )
        await db.execute(
            """insert into mailfleet.platform_links (kind, platform, ours, ref, created_at)
               values ('campaign', 'smartlead', 'aaaaaaaa-0000-4000-8000-000000000000', 'gone', now())"""
        )
        await db.execute(
            """update mailfleet.lead_ownership set campaign_id = 'aaaaaaaa-0000-4000-8000-000000000000'
               where lead_id = (select id from mailfleet.leads where email_norm = 'p1@firm1-mfdemo.com')"""
        )
    for n in (1, 2):
        await suppression.add(fleet, f"p{n}@firm{n}-mfdemo.com")
    await worker.run_once(fleet)
    assert story.at_platform(2) == "stopped"
    stops = "select state, count(*)::int from mailfleet.outbox where topic = 'lead.stop' group by 1 order by 1"
    assert await story.world.ask(stops) == [("done", 1), ("pending", 1)]


async def test_a_command_that_meets_the_unexpected_is_put_off_and_holds_up_nothing(story: Story) -> None:
    fleet, key = story.world.fleet, "p3@firm3-mfdemo.com"
    async with fleet.db.transaction() as db:
        await outbox.put(
            db, "lead.block", {"platform": "nobody", "account": "", "key": key}, now=story.world.clock.now()
        )
    await suppression.add(fleet, key)
    done = await worker.run_once(fleet)
    assert done.failed == 1
    assert story.at_platform(3) == "stopped"
    assert await story.world.ask("select attempts from mailfleet.outbox where payload->>'platform' = 'nobody'") == [
        (1,)
    ]


async def test_a_stop_that_the_platform_does_not_show_is_tried_again(story: Story) -> None:
    desk, fleet = story.world.desk, story.world.fleet
    plain = desk.stop_lead

    async def deaf(campaign_ref: str, lead_ref: str) -> None:
        return None

    desk.stop_lead = deaf
    await suppression.add(fleet, "p4@firm4-mfdemo.com")
    await worker.run_once(fleet)
    assert story.at_platform(4) == "started"
    desk.stop_lead = plain
    story.world.later(hours=1)
    await worker.run_once(fleet)
    assert story.at_platform(4) == "stopped"


async def test_a_command_outlives_a_vendor_that_is_away_for_days(story: Story) -> None:
    desk, fleet = story.world.desk, story.world.fleet
    plain = desk.stop_lead

    async def away(campaign_ref: str, lead_ref: str) -> None:
        raise CircuitOpen("it rests", vendor="smartlead", operation="stop")

    desk.stop_lead = away
    await suppression.add(fleet, "p5@firm5-mfdemo.com")
    for _ in range(outbox.MAX_ATTEMPTS + 3):
        await worker.run_once(fleet)
        story.world.later(hours=2)
    desk.stop_lead = plain
    await worker.run_once(fleet)
    assert story.at_platform(5) == "stopped"


async def test_a_second_reply_that_no_webhook_told_is_found(story: Story) -> None:
    desk, now = story.world.desk, story.world.clock.now()
    away = story.event(1, "replied", 30, subject="Automatic reply", text="I am out of office.", message_id="<r1>")
    await story.receive(story.event(1, "sent"), away)
    await worker.run_once(story.world.fleet)
    assert (await story.status(1))[0] == "paused_ooo"
    desk.messages = [
        SentMessage(
            message_ref="m1-1", email="p1@firm1-mfdemo.com", step=1, sent_at=now, replied_at=now + timedelta(hours=5)
        )
    ]
    desk.histories[desk.made[story.world.ref].leads["p1@firm1-mfdemo.com"].ref] = [
        HistoryEntry(kind="reply", at=now + timedelta(minutes=30), message_id="<r1>", body="I am out of office."),
        HistoryEntry(kind="reply", at=now + timedelta(hours=5), message_id="<r2>", body="Please stop, not interested."),
    ]
    desk.totals = CampaignStats(sent=1, replied=2)
    story.world.later(hours=6)
    await sync.poll(story.world.fleet)
    await worker.run_once(story.world.fleet)
    assert (await story.status(1))[0] == "rejected"
    assert await story.world.one("select count(*) from mailfleet.events where kind = 'replied'") == 2


async def test_a_notice_that_meets_the_unexpected_holds_up_no_other(story: Story) -> None:
    slack, fleet = story.world.slack, story.world.fleet
    plain = slack.send

    async def picky(target: str, *, title: str, **rest: Any) -> str:
        if title == "bad":
            raise RuntimeError("something nobody thought of")
        return await plain(target, title=title, **rest)

    slack.send = picky
    for title in ("bad", "good"):
        await alerts.tell(fleet, fact_key=title, kind="x", severity="info", title=title, body="")
    assert await alerts.deliver_due(fleet) == 1
    assert [title for _, title in slack.sent] == ["good"]


class Slow:
    """A channel that takes nothing until it is let."""

    def __init__(self) -> None:
        self.name = "slack"
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def close(self) -> None: ...

    async def send(self, target: str, **said: Any) -> str:
        self.asked.set()
        await self.let.wait()
        return "told"


async def test_a_slow_channel_keeps_no_stop_waiting(story: Story) -> None:
    fleet, slow, stop, stopped = story.world.fleet, Slow(), asyncio.Event(), asyncio.Event()
    desk = story.world.desk
    plain = desk.stop_lead

    async def seen(campaign_ref: str, ref: str) -> None:
        await plain(campaign_ref, ref)
        stopped.set()

    desk.stop_lead = seen
    fleet.channels = {"slack": slow}
    fleet.slack_channels = {"": "#ops"}
    assert await alerts.tell(fleet, fact_key="f", kind="hot_reply", severity="info", title="t", body="b")
    work = asyncio.create_task(worker.run_forever(fleet, stop, pause=0.01))
    await slow.asked.wait()
    await suppression.add(fleet, "p1@firm1-mfdemo.com")
    await stopped.wait()
    assert story.at_platform(1) == "stopped"
    assert await story.world.ask("select state from mailfleet.deliveries") == [("pending",)]
    stop.set()
    slow.let.set()
    await work
    assert await story.world.ask("select state from mailfleet.deliveries") == [("sent",)]
