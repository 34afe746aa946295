"""What happened is applied exactly once, in any order and from either source, with everything that follows."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.leads.files import people, write

from mailfleet.platforms.port import CampaignStats, HistoryEntry, LeadSeen, PlatformEvent, SentMessage
from mailfleet.services import events, imports, push, review, suppression, sync, tasks, worker
from mailfleet.store import inbox, mailboxes
from mailfleet.store.events import event_id

pytestmark = pytest.mark.anyio
HARD = "550 5.1.1 <p@firm> user unknown"
SOFT = "452 4.2.2 The email account that you tried to reach is over quota"
BLOCK = "550 5.7.1 Message rejected: 192.0.2.10 is listed at Spamhaus"


class Story:
    """Webhooks of one lead after another, as the platform would send them."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def event(self, n: int, kind: str, minutes: float = 0, step: int = 1, **detail: Any) -> dict[str, Any]:
        at = self.world.clock.now() + timedelta(minutes=minutes)
        event = PlatformEvent(
            kind=kind,  # type: ignore[arg-type]
            at=at,
            dedupe_key=f"{kind}:{n}:{step}:{at.isoformat()}",
            campaign_ref=self.world.ref,
            lead_email=f"p{n}@firm{n}-mfdemo.com",
            mailbox_address="ann@mfdemo-out.com",
            step=step,
            message_ref=f"m{n}-{step}",
            detail=detail,
        )
        return msgspec.to_builtins(event)

    async def receive(self, *bodies: dict[str, Any]) -> None:
        now = self.world.clock.now()
        rows = [
            {
                "id": event_id("smartlead", msgspec.json.encode(body).decode(), datetime.fromisoformat(body["at"])),
                "platform": "smartlead", "received_at": now, "headers": {}, "body": body,
            }
            for body in bodies
            if "at" in body
        ]  # fmt: skip
        async with self.world.fleet.db.transaction() as db:
            await inbox.put(db, rows)

    async def status(self, n: int) -> tuple[str, str]:
        found = await self.world.ask(
            "select status, email_status from mailfleet.leads where email_norm = %s", f"p{n}@firm{n}-mfdemo.com"
        )
        return found[0]

    def at_platform(self, n: int) -> str:
        return self.world.desk.made[self.world.ref].leads[f"p{n}@firm{n}-mfdemo.com"].state


@pytest.fixture
async def story(running: Any, tmp_path: Path) -> Story:
    await imports.import_leads(running.fleet, write(tmp_path, people(12)))
    await push.push_ready(running.fleet, running.campaign)
    return Story(running)


async def test_duplicates_and_disorder_change_nothing(story: Story) -> None:
    rng = random.Random(4)
    bodies: list[dict[str, Any]] = []
    for n in range(12):
        bodies += [story.event(n, "sent"), story.event(n, "opened", 5), story.event(n, "clicked", 6)]
        bodies += [story.event(n, "opened", 9), story.event(n, "sent", 4000, step=2)]
    for copy in range(3):
        rng.shuffle(bodies)
        for start in range(0, len(bodies), 17):
            story.world.later(seconds=1)
            await story.receive(*bodies[start : start + 17])
            if copy != 1:
                await asyncio.gather(*(events.apply(story.world.fleet, limit=9) for _ in range(3)))
    await events.apply_all(story.world.fleet)
    assert await story.world.one("select count(*) from mailfleet.events") == len(bodies)
    sums = await story.world.ask(
        "select scope, sum(sent)::int, sum(opened)::int, sum(clicked)::int from mailfleet.rollups group by 1 order by 1"
    )
    assert {(scope, *counts) for scope, *counts in sums} == {
        (scope, 24, 24, 12) for scope in ("workspace", "client", "campaign", "mailbox", "provider")
    }
    assert await story.status(3) == ("in_sequence", "clicked")
    assert await story.world.one("select min(step_reached) from mailfleet.leads") == 2


async def test_appliers_at_once_keep_the_order_of_each_leads_events(story: Story) -> None:
    bodies = [story.event(n, "replied", 90, subject="Re: Hello", text="Please remove me.") for n in range(4)]
    bodies += [story.event(n, "bounced", 60, text=SOFT) for n in range(4)]
    bodies += [story.event(n, "opened", minute) for n in range(4) for minute in (9, 20, 40)]
    bodies += [story.event(n, "sent") for n in range(4)]
    random.Random(2).shuffle(bodies)
    await story.receive(*bodies)

    async def applier() -> int:
        rounds = [(await events.apply(story.world.fleet, limit=3)).events for _ in range(8)]
        return sum(rounds)

    assert sum(await asyncio.gather(*(applier() for _ in range(3)))) == len(bodies)
    turned = await story.world.ask(
        """select kind from (select kind, xmin::text::bigint as now, lag(xmin::text::bigint)
                                    over (partition by lead_id order by id) as before from mailfleet.events) e
           where now < before"""
    )
    assert not turned
    assert {await story.status(n) for n in range(4)} == {("rejected", "replied")}
    assert await story.world.one("select count(*) from mailfleet.suppressions") == 4


async def test_a_second_applier_does_nothing_or_waits(story: Story) -> None:
    await story.receive(story.event(0, "sent"))
    async with story.world.fleet.db.transaction() as db:
        assert await inbox.applier(db, wait=False)
        assert (await events.apply_all(story.world.fleet, wait=False)).rows == 0
        waiting = asyncio.create_task(events.apply_all(story.world.fleet))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting).events == 1


async def test_a_reply_before_its_send_still_ends_the_sequence(story: Story) -> None:
    await story.receive(
        story.event(0, "replied", 60, subject="Re: Hello", text="Yes, I am interested. Call me on Monday.")
    )
    await events.apply_all(story.world.fleet)
    await story.receive(story.event(0, "sent"))
    await events.apply_all(story.world.fleet)
    assert await story.status(0) == ("lead_hot", "replied")


async def test_a_hot_reply_stops_the_lead_makes_a_task_and_tells_sales_once(story: Story) -> None:
    reply = story.event(1, "replied", 60, subject="Re: Hello", text="Sounds great, let's schedule a call this week!")
    await story.receive(story.event(1, "sent"), reply)
    await worker.run_once(story.world.fleet)
    await story.receive(reply)
    await worker.run_once(story.world.fleet)
    assert story.at_platform(1) == "stopped"
    assert [target for target, _ in story.world.slack.sent] == ["#sales-hot-leads"]
    assert await story.world.ask("select kind from mailfleet.tasks") == [("follow_up_call",)]
    exits = await story.world.one("select sum(n)::int from mailfleet.sync_tallies where kind = 'sequence_exits'")
    assert exits == 1


@pytest.mark.parametrize("text", ["Please remove me from your list.", "Unsubscribe", "Stop emailing me"])
async def test_an_opt_out_in_words_suppresses_for_ever(story: Story, text: str) -> None:
    await story.receive(story.event(2, "replied", 60, subject="Re: Hello", text=text))
    await worker.run_once(story.world.fleet)
    assert (await story.status(2))[0] == "rejected"
    assert story.at_platform(2) == "stopped"
    assert await story.world.ask("select reason, scope, client_id from mailfleet.suppressions") == [
        ("unsubscribe", "address", None)
    ]
    assert story.world.desk.blocked == ["p2@firm2-mfdemo.com"]


async def test_an_absence_pauses_and_the_sequence_goes_on_after_it(story: Story) -> None:
    await story.receive(
        story.event(
            3, "replied", 60, subject="Automatic reply: Hello", headers={"Auto-Submitted": "auto-replied"},
            text="I am out of the office on annual leave and will answer when I am back.",
        )
    )  # fmt: skip
    story.world.later(hours=2)
    await worker.run_once(story.world.fleet)
    assert await story.status(3) == ("paused_ooo", "") and story.at_platform(3) == "paused"
    story.world.later(days=6)
    await worker.run_once(story.world.fleet)
    assert story.at_platform(3) == "paused"
    story.world.later(days=2)
    await worker.run_once(story.world.fleet)
    assert story.at_platform(3) == "in_progress" and (await story.status(3))[0] == "in_sequence"


async def test_a_person_who_answers_while_absent_is_not_resumed(story: Story) -> None:
    await story.receive(
        story.event(
            3, "replied", 60, subject="Automatic reply", headers={"Auto-Submitted": "auto-replied"},
            text="I am out of the office.",
        )
    )  # fmt: skip
    await worker.run_once(story.world.fleet)
    await story.receive(story.event(3, "replied", 600, subject="Re: Hello", text="No thanks, not interested."))
    await worker.run_once(story.world.fleet)
    story.world.later(days=20)
    await worker.run_once(story.world.fleet)
    assert story.at_platform(3) == "stopped" and (await story.status(3))[0] == "rejected"


async def test_a_dead_address_is_suppressed_and_a_refusal_about_us_is_not_the_leads_fault(story: Story) -> None:
    await story.receive(
        story.event(4, "sent"), story.event(4, "bounced", 1, text=HARD),
        story.event(5, "sent"), story.event(5, "bounced", 1, text=BLOCK),
    )  # fmt: skip
    await worker.run_once(story.world.fleet)
    assert await story.status(4) == ("invalid", "bounced") and story.at_platform(4) == "stopped"
    assert await story.status(5) == ("in_sequence", "sent") and story.at_platform(5) == "started"
    assert await story.world.ask("select reason from mailfleet.suppressions") == [("hard_bounce",)]
    counted = await story.world.ask("select bounced_hard, blocked from mailfleet.rollups where scope = 'campaign'")
    assert counted == [(1, 1)]


async def test_soft_bounces_hold_for_a_day_and_the_third_stops_without_a_suppression(story: Story) -> None:
    for attempt in range(3):
        await story.receive(story.event(6, "bounced", 1, step=attempt + 1, text=SOFT))
        await worker.run_once(story.world.fleet)
        assert (await story.status(6))[0] == "held"
        if attempt < 2:
            assert story.at_platform(6) == "paused"
            story.world.later(hours=25)
            await worker.run_once(story.world.fleet)
            assert story.at_platform(6) == "in_progress" and (await story.status(6))[0] == "in_sequence"
    assert story.at_platform(6) == "stopped" and (await story.status(6))[1] == "bounced"
    assert await story.world.one("select count(*) from mailfleet.suppressions") == 0
    classes = await story.world.ask("select detail->>'class' from mailfleet.events where kind = 'bounced' order by id")
    assert [kind for (kind,) in classes] == ["soft", "soft", "hard"]
    sums = await story.world.ask("select scope, sum(bounced_soft)::int, sum(bounced_hard)::int from mailfleet.rollups"
                                 " group by 1 order by 1")  # fmt: skip
    assert {tuple(counts) for _, *counts in sums} == {(2, 1)}
    box, now = await story.world.one("select id from mailfleet.mailboxes"), story.world.clock.now()
    async with story.world.fleet.db.connection() as db:
        assert (
            await mailboxes.counts(db, box, since=now - timedelta(days=9), until=now + timedelta(days=9))
        ).bounced == 1


async def test_an_unsubscribe_and_a_complaint_end_everything(story: Story) -> None:
    await story.receive(story.event(7, "unsubscribed", 5), story.event(8, "complained", 5))
    await worker.run_once(story.world.fleet)
    assert await story.status(7) == ("rejected", "unsubscribed")
    assert await story.status(8) == ("rejected", "spam_complaint")
    assert len(story.world.desk.unsubscribed) == 2
    assert await story.world.ask("select severity from mailfleet.alerts where kind = 'complaint'") == [("urgent",)]


async def test_our_own_order_coming_back_is_no_second_opt_out(story: Story) -> None:
    await story.receive(story.event(1, "complained", 5))
    await worker.run_once(story.world.fleet)
    for days in (0, 3):
        story.world.later(days=days)
        await story.receive(story.event(1, "unsubscribed", 6 + days))
        await worker.run_once(story.world.fleet)
    assert await story.status(1) == ("rejected", "spam_complaint")
    assert await story.world.ask("select kind from mailfleet.events") == [("complained",)]
    states = await story.world.ask("select state from mailfleet.webhook_inbox order by received_at, id")
    assert sorted(states) == [("applied",), ("ignored",), ("ignored",)]


async def test_a_hot_lead_who_opts_out_later_is_suppressed(story: Story) -> None:
    await story.receive(story.event(1, "replied", 1, subject="Re", text="Great, let's talk. Call me."))
    await worker.run_once(story.world.fleet)
    await story.receive(story.event(1, "unsubscribed", 2))
    await worker.run_once(story.world.fleet)
    assert await story.status(1) == ("rejected", "unsubscribed")
    assert await story.world.one("select count(*) from mailfleet.suppressions") == 1


async def test_a_pause_by_the_platform_is_its_own_and_stands(story: Story) -> None:
    story.world.later(minutes=5)
    await story.receive(story.event(0, "campaign_status", state="paused"))
    await worker.run_once(story.world.fleet)
    assert await story.world.ask("select state, paused_by from mailfleet.campaigns") == [("paused", "vendor")]
    assert await story.world.ask("select actor_kind from mailfleet.holds") == [("vendor",)]


async def test_unknown_kinds_are_kept_and_a_poison_row_dies_alone(story: Story) -> None:
    mystery = {"kind": "mystery", "at": story.world.clock.now().isoformat()}
    poison = {"kind": "sent", "at": story.world.clock.now().isoformat(), "step": {"no": "number"}}
    await story.receive(mystery, poison, story.event(0, "sent"))
    for _ in range(6):
        await events.apply(story.world.fleet)
    counted = dict(await story.world.ask("select state, count(*)::int from mailfleet.webhook_inbox group by 1"))
    assert counted == {"unknown": 1, "dead": 1, "applied": 1}
    assert "ValidationError" in await story.world.one("select error from mailfleet.webhook_inbox where state = 'dead'")


async def test_the_second_source_finds_what_no_webhook_told_and_nothing_twice(story: Story) -> None:
    now = story.world.clock.now()
    desk = story.world.desk
    await story.receive(story.event(0, "sent"), story.event(0, "opened", 5))
    await events.apply_all(story.world.fleet)
    desk.messages = [
        SentMessage(
            message_ref=f"m{n}-1", email=f"p{n}@firm{n}-mfdemo.com", step=1, sent_at=now.replace(microsecond=0),
            opened_at=now + timedelta(minutes=5) if n == 0 else None,
            replied_at=now + timedelta(minutes=30) if n == 1 else None,
        )
        for n in range(3)
    ]  # fmt: skip
    ref = desk.made[story.world.ref].leads["p1@firm1-mfdemo.com"].ref
    desk.histories[ref] = [
        HistoryEntry(kind="sent", at=now, body="Hi Bo, a plan."),
        HistoryEntry(kind="reply", at=now + timedelta(minutes=30), message_id="<r1>", body="Yes please, call me."),
    ]
    desk.totals = CampaignStats(sent=3, opened=1, replied=1)
    desk.told = [LeadSeen(ref="x", map_ref="x", email="p2@firm2-mfdemo.com", state="started")]
    story.world.later(hours=2)
    found = await sync.poll(story.world.fleet)
    assert len(found.found) == 4
    await worker.run_once(story.world.fleet)
    kinds = dict(await story.world.ask("select kind, count(*)::int from mailfleet.events group by 1"))
    assert kinds == {"sent": 3, "opened": 1, "replied": 1, "complained": 1}
    assert await story.status(1) == ("lead_hot", "replied")
    assert await story.world.one("select count(*) from mailfleet.alerts where kind = 'missed_events'") == 1
    story.world.later(hours=1)
    assert not (await sync.poll(story.world.fleet)).found
    late = story.event(1, "sent", -180)
    await story.receive(late)
    await worker.run_once(story.world.fleet)
    assert await story.world.one("select count(*) from mailfleet.events where kind = 'sent'") == 3


async def test_a_person_decides_about_a_reply_and_takes_it_back(story: Story) -> None:
    fleet = story.world.fleet
    await story.receive(story.event(8, "replied", 60, subject="Re: Hello", text="Hmm, who knows. Bananas."))
    await worker.run_once(fleet)
    [waiting] = await review.queue(fleet, state="review", category="", limit=9)
    assert await story.status(8) == ("needs_review", "replied")
    done = await review.decide(fleet, waiting.id, "unsubscribe")
    assert (done.category, done.subcategory, done.suppressed) == ("negative", "unsubscribe", True)
    assert (await story.status(8))[0] == "rejected"
    assert not await tasks.listed(fleet)
    await worker.run_once(fleet)
    assert story.world.desk.blocked == ["p8@firm8-mfdemo.com"]
    undone = await review.undo(fleet, waiting.id)
    assert (undone.category, list(undone.lifted)) == (waiting.category, ["p8@firm8-mfdemo.com"])
    assert await story.status(8) == ("needs_review", "replied")
    assert await story.world.one("select count(*) from mailfleet.suppressions") == 0
    await worker.run_once(fleet)
    assert story.world.desk.blocked == []
    story.world.later(minutes=1)
    await suppression.add(fleet, "p8@firm8-mfdemo.com")  # a second order, not the first one known already
    await worker.run_once(fleet)
    assert story.world.desk.blocked == ["p8@firm8-mfdemo.com"]
    await review.decide(fleet, waiting.id, "positive")
    [call] = await tasks.listed(fleet)
    assert (call.kind, (await story.status(8))[0]) == ("follow_up_call", "lead_hot")
    await tasks.give(fleet, call.id, "dave")
    await tasks.done(fleet, call.id)
    assert not await tasks.listed(fleet)
    [all_done] = [each for each in await tasks.listed(fleet, open_only=False) if each.kind == "follow_up_call"]
    assert all_done.owner == "dave"


async def test_a_referral_is_captured(story: Story) -> None:
    text = "I am not the right person. Please contact Jane Doe, jane@firm9-mfdemo.com"
    await story.receive(story.event(9, "replied", 60, subject="Re: Hello", text=text))
    await worker.run_once(story.world.fleet)
    [owed] = await tasks.listed(story.world.fleet)
    assert "Jane Doe <jane@firm9-mfdemo.com>" in owed.note


async def test_a_hook_that_may_have_been_switched_off_is_written_again_while_webhooks_are_silent(story: Story) -> None:
    world, now = story.world, story.world.clock.now()
    await story.receive(story.event(0, "sent"))
    await events.apply_all(world.fleet)
    world.desk.messages = [
        SentMessage(message_ref="m1-1", email="p1@firm1-mfdemo.com", step=1, sent_at=now + timedelta(minutes=30))
    ]
    world.desk.totals = CampaignStats(sent=2)
    world.later(hours=2)
    await sync.poll(world.fleet)
    await events.apply_all(world.fleet)
    assert not world.desk.renewed
    for _ in range(3):
        world.later(minutes=20)
        await sync.poll(world.fleet)
    assert world.desk.renewed == [world.ref]
