"""Leads go out, each exactly once, whatever fails on the way; a suppression before a claim always wins."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.leads.files import people, row, write

from mailfleet.errors import NotAllowed, Unavailable
from mailfleet.services import clients, dedup, holds, imports, mirror, push, suppression, worker
from mailfleet.services.campaign_parts import config_of
from mailfleet.store import ownership, suppressions

pytestmark = pytest.mark.anyio


async def fill(world: Any, folder: Path, rows: list[str], name: str = "leads.csv") -> None:
    await imports.import_leads(world.fleet, write(folder, rows, name))


async def go(world: Any) -> push.Pushed:
    return await push.push_ready(world.fleet, world.campaign)


async def accounted(world: Any) -> None:
    """Every lead is ready, owned or excluded with a reason: none vanishes (I2)."""
    lost = await world.ask(
        """select l.id, l.status from mailfleet.leads l left join mailfleet.lead_ownership o on o.lead_id = l.id
           where not (l.status in ('ready_to_send', 'held', 'invalid')
                      or o.state in ('claimed', 'ambiguous', 'active', 'paused', 'stopped', 'completed')
                      or exists (select 1 from mailfleet.lead_exclusions x where x.lead_id = l.id))"""
    )
    assert not lost


async def test_every_ready_lead_is_pushed_once_and_keeps_the_platforms_id(running: Any, tmp_path: Path) -> None:
    await running.roomy()
    await fill(running, tmp_path, people(120))
    done = await go(running)
    assert (done.added, done.refused) == (120, 0)
    assert max(Counter(running.desk.calls).values()) == 1 and len(running.desk.calls) == 120
    assert await running.one("select count(*) from mailfleet.leads where smartlead_id is not null") == 120
    assert (await go(running)).added == 0 and len(running.desk.calls) == 120


async def test_one_person_of_an_organisation_at_a_time_but_free_mail_is_nobodys(running: Any, tmp_path: Path) -> None:
    rows = [
        row("a@firm-mfdemo.com", company="Alpha Pty Ltd"),
        row("b@firm-mfdemo.com", company="Other"),
        row("c@elsewhere-mfdemo.com", company="ALPHA"),
        row("invented.d@gmail.com"),
        row("invented.e@gmail.com"),
    ]
    await fill(running, tmp_path, rows)
    assert (await go(running)).added == 3
    excluded = await running.ask(
        """select l.email_norm, x.rule from mailfleet.lead_exclusions x join mailfleet.leads l on l.id = x.lead_id
           order by 1"""
    )
    assert excluded == [("b@firm-mfdemo.com", "same_domain"), ("c@elsewhere-mfdemo.com", "same_company")]
    await accounted(running)


async def test_an_organisation_written_to_within_90_days_waits(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, [row("a@firm-mfdemo.com")])
    await go(running)
    running.later(days=89)
    unique, duplicates = await dedup.deduplicate_leads(running.fleet, [{"email": "Z@firm-mfdemo.com"}])
    assert not unique and duplicates[0]["rule"] == "contacted_domain"
    assert duplicates[0]["culprit"].startswith("lead ")
    running.later(days=2)
    unique, _ = await dedup.deduplicate_leads(running.fleet, [{"email": "Z@firm-mfdemo.com"}])
    assert unique == [{"email": "Z@firm-mfdemo.com"}]


async def test_the_four_specified_checks_name_rule_and_culprit(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, [row("a@one-mfdemo.com"), row("b@two-mfdemo.com")])
    await go(running)
    running.later(days=100)
    async with running.fleet.db.connection() as db:
        await db.execute("update mailfleet.leads set email_status = 'bounced' where email_norm = 'b@two-mfdemo.com'")
    await suppression.add(running.fleet, "three-mfdemo.com", scope="domain")
    given = ["a@one-mfdemo.com", "b@two-mfdemo.com", "c@three-mfdemo.com", "not an address", "d@four-mfdemo.com",
             "D@four-mfdemo.com"]  # fmt: skip
    unique, duplicates = await dedup.deduplicate_leads(running.fleet, [{"email": email} for email in given])
    assert [each["email"] for each in unique] == ["d@four-mfdemo.com"]
    assert [each["rule"] for each in duplicates] == [
        "at_vendor", "status_blocklist", "suppressed", "invalid_email", "same_address"
    ]  # fmt: skip
    assert all(each["culprit"] for each in duplicates)


async def test_what_the_platform_says_of_each_lead_is_kept(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(6))
    running.desk.refuses = {
        "p0@firm0-mfdemo.com": "blocked", "p1@firm1-mfdemo.com": "invalid", "p2@firm2-mfdemo.com": "not_taken",
        "p3@firm3-mfdemo.com": "unexplained",
    }  # fmt: skip
    done = await go(running)
    assert (done.added, done.refused, done.later) == (2, 2, 2)
    status = dict(await running.ask("select email_norm, status from mailfleet.leads"))
    assert status["p0@firm0-mfdemo.com"] == "excluded" and status["p1@firm1-mfdemo.com"] == "invalid"
    assert status["p2@firm2-mfdemo.com"] == status["p3@firm3-mfdemo.com"] == "held"
    assert await running.one("select count(*) from mailfleet.suppressions") == 2
    running.desk.refuses = {}
    running.later(days=1, minutes=1)
    await worker.run_once(running.fleet)
    assert (await go(running)).added == 2
    await accounted(running)


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_an_unknown_outcome_is_read_and_never_blindly_repeated(running: Any, tmp_path: Path, lost: str) -> None:
    await fill(running, tmp_path, people(10))
    running.desk.lose = lost
    assert (await go(running)).unsettled == 10
    assert await running.one("select count(*) from mailfleet.lead_ownership where state = 'ambiguous'") == 10
    running.desk.lose = None
    before = len(running.desk.calls)
    done = await go(running)
    assert len(running.desk.made[running.ref].leads) == 10
    assert len(running.desk.calls) - before == (0 if lost == "after" else 10)
    assert (done.added, done.later) == (10, 0)
    await accounted(running)


@pytest.mark.parametrize("reached", [True, False])
async def test_a_crash_between_claim_and_push_is_picked_up(running: Any, tmp_path: Path, reached: bool) -> None:
    await fill(running, tmp_path, people(4))
    ids = await push.ready(running.fleet, running.campaign)
    async with running.fleet.db.transaction() as db:
        _, claimed, _ = await push._claim(running.fleet, db, running.campaign, ids)
    config = config_of(running.campaign)
    if reached:
        await running.desk.add_leads(running.ref, [push.new_lead(lead, config) for lead in claimed])
    done = await push.push(running.fleet, running.campaign.id, ids) + await go(running)
    assert (done.added, done.later) == (4, 0)  # given back and pushed in one run: told once
    assert len(running.desk.made[running.ref].leads) == 4
    assert await running.one("select count(*) from mailfleet.lead_ownership where state = 'active'") == 4
    if reached:
        assert len(running.desk.calls) == 4


async def test_a_suppressed_address_is_never_pushed(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, [*people(3), row("x@blocked-mfdemo.com"), row("y@firm9-mfdemo.com", "Ann", "Lee")])
    await suppression.add(running.fleet, "P1@firm1-mfdemo.com")
    await suppression.add(running.fleet, "blocked-mfdemo.com", scope="domain")
    await suppression.add(running.fleet, "ann lee|firm9-mfdemo.com", scope="person")
    await go(running)
    assert sorted(running.desk.calls) == ["p0@firm0-mfdemo.com", "p2@firm2-mfdemo.com"]


async def test_a_suppression_during_the_call_takes_the_lead_out_again(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(2))

    async def now() -> None:
        running.desk.during = None
        await suppression.add(running.fleet, "p0@firm0-mfdemo.com")

    running.desk.during = now
    await go(running)
    await worker.run_once(running.fleet)
    states = {email: lead.state for email, lead in running.desk.made[running.ref].leads.items()}
    assert states == {"p0@firm0-mfdemo.com": "stopped", "p1@firm1-mfdemo.com": "started"}
    assert await running.one("select count(*) from mailfleet.lead_ownership where stopped_at is not null") == 1
    assert running.desk.blocked == ["p0@firm0-mfdemo.com"]


async def test_a_suppression_outlives_the_erasure_of_its_address(running: Any, tmp_path: Path) -> None:
    await suppression.add(running.fleet, "p0@firm0-mfdemo.com")
    async with running.fleet.db.connection() as db:
        await db.execute("update mailfleet.suppressions set key = null")
    await imports.import_leads(running.fleet, write(tmp_path, people(2)))
    await go(running)
    assert running.desk.calls == ["p1@firm1-mfdemo.com"]


@pytest.mark.parametrize("seed", range(3))
async def test_pushes_and_suppressions_race_and_the_suppression_wins(running: Any, tmp_path: Path, seed: int) -> None:
    """No address goes to the platform once its suppression is committed before the claim; later ones are stopped."""
    rng = random.Random(seed)
    await fill(running, tmp_path, people(150))
    running.desk.capabilities = type(running.desk.capabilities)(max_leads_per_call=7)
    committed: dict[str, int] = {}

    async def suppress(n: int) -> None:
        for _ in range(rng.randrange(12)):
            await asyncio.sleep(0)
        await suppression.add(running.fleet, f"p{n}@firm{n}-mfdemo.com")
        committed[f"p{n}@firm{n}-mfdemo.com"] = len(running.desk.calls)

    targets = rng.sample(range(150), 40)
    await asyncio.gather(go(running), *(suppress(n) for n in targets))
    await go(running)
    await worker.run_once(running.fleet)
    batch = running.desk.capabilities.max_leads_per_call
    there = running.desk.made[running.ref].leads
    for email, calls_then in committed.items():
        if email in there:
            assert there[email].state == "stopped", email
            # It was claimed before: at most the batch that was under way, and the one being claimed.
            assert running.desk.calls.index(email) < calls_then + 2 * batch
    assert max(Counter(running.desk.calls).values()) == 1
    await accounted(running)


async def test_two_pushers_at_once_never_push_a_lead_twice(running: Any, tmp_path: Path) -> None:
    await running.roomy()
    await fill(running, tmp_path, people(200))
    ids = await push.ready(running.fleet, running.campaign)
    running.desk.capabilities = type(running.desk.capabilities)(max_leads_per_call=10)
    batches = [ids[n : n + 10] for n in range(0, 200, 10)]
    both = [batches, list(reversed(batches))]

    async def pusher(order: list[list[int]]) -> None:
        for some in order:
            await push._push_batch(running.fleet, running.campaign, running.ref, some)

    await asyncio.gather(*(pusher(order) for order in both))
    assert Counter(running.desk.calls) == Counter(f"p{n}@firm{n}-mfdemo.com" for n in range(200))


async def test_a_released_lead_gets_a_new_epoch_and_an_owned_one_keeps_its_owner(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(1))
    await go(running)
    async with running.fleet.db.transaction() as db:
        owned = (await ownership.get_many(db, [await running.one("select id from mailfleet.leads")]))[0]
        taken = await ownership.claim(
            db, [owned.lead_id], platform="forge", campaign_id=running.campaign.id, batch_id=running.campaign.id,
            at=running.clock.now(),
        )  # fmt: skip
    assert taken == [] and owned.platform == "smartlead" and owned.epoch == 1


async def test_a_lead_without_the_fields_the_text_needs_is_set_aside(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, [row("a@one-mfdemo.com", first="", last="")])
    done = await go(running)
    assert done.by_rule == {"invalid": 1} and not running.desk.calls
    found = await running.ask("select status, invalid_reason from mailfleet.leads")
    assert found == [("invalid", "empty merge fields: first_name")]


async def test_held_campaigns_take_no_leads(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(1))
    await holds.hold_new_leads(running.fleet, "workspace", "", "bounces")
    with pytest.raises(NotAllowed) as refused:
        await go(running)
    assert refused.value.reasons == ("bounces",) and not running.desk.calls


async def test_a_campaign_whose_mailboxes_take_none_adds_no_lead(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(1))
    box = (await running.ask("select id from mailfleet.mailboxes"))[0][0]
    await holds.hold_new_leads(running.fleet, "mailbox", str(box), "bounces: 9 of 100")
    with pytest.raises(NotAllowed) as refused:
        await go(running)
    assert refused.value.reasons == ("bounces: 9 of 100",) and not running.desk.calls
    await holds.release(running.fleet, "mailbox", str(box), "new_leads")
    await go(running)
    assert len(running.desk.made[running.ref].leads) == 1


async def test_who_is_at_the_platform_already_is_not_pushed_whoever_put_them_there(
    running: Any, tmp_path: Path
) -> None:
    other = await running.desk.create_campaign("somebody else's")
    running.desk.made[other].leads["P1@Firm1-mfdemo.com"] = SimpleNamespace(ref="77", state="started")
    await fill(running, tmp_path, people(3))
    done = await go(running)
    assert (done.added, done.by_rule) == (2, {"duplicate": 1})
    assert await running.ask("select rule, culprit from mailfleet.lead_exclusions") == [
        ("at_vendor", f"smartlead campaign {other}")
    ]
    assert [each.strangers for each in await mirror.state(running.fleet)] == [1]
    running.desk.made[other].leads.clear()
    running.later(hours=7)
    unique, _ = await dedup.deduplicate_leads(running.fleet, [{"email": "p1@firm1-mfdemo.com"}])
    assert not unique  # still the old knowledge
    await go(running)
    unique, _ = await dedup.deduplicate_leads(running.fleet, [{"email": "p1@firm1-mfdemo.com"}])
    assert unique


async def test_nothing_is_pushed_on_knowledge_too_old(running: Any, tmp_path: Path) -> None:
    await fill(running, tmp_path, people(1))
    await go(running)

    async def away() -> None:
        raise Unavailable("away", vendor="smartlead", operation="campaigns")

    running.desk.campaigns = away
    await fill(running, tmp_path, people(2, start=10), "b.csv")
    running.later(hours=23)
    assert (await go(running)).added == 2
    await fill(running, tmp_path, people(2, start=20), "c.csv")
    running.later(hours=2)
    with pytest.raises(NotAllowed) as refused:
        await go(running)
    assert "was not read since" in refused.value.reasons[0]
    assert [each.age_minutes for each in await mirror.state(running.fleet)] == [25 * 60]


@pytest.mark.parametrize("one", [True, False])
async def test_dots_and_tags_make_no_other_person_where_the_policy_says_so(
    running: Any, tmp_path: Path, one: bool
) -> None:
    await clients.put_client(running.fleet, "agency-os", name="Agency OS", policy={"dedup": {"one_mailbox": one}})
    rows = [row(f"{name}@gmail.com") for name in ("in.vented.a", "inventeda+x", "inventedb", "invented.c+y")]
    await fill(running, tmp_path, [*rows, row("a.b@firm-mfdemo.com"), row("ab@other-mfdemo.com", company="Other")])
    await suppression.add(running.fleet, "inventedb+old@gmail.com")
    await suppression.add(running.fleet, "inventedc@gmail.com")
    await go(running)
    both = ["a.b@firm-mfdemo.com", "ab@other-mfdemo.com", "in.vented.a@gmail.com"]
    others = ["inventeda+x@gmail.com", "inventedb@gmail.com", "invented.c+y@gmail.com"]
    assert sorted(running.desk.calls) == sorted([*both, *([] if one else others)])


@pytest.mark.parametrize("scope", ["address", "person"])
async def test_a_mail_that_left_after_its_suppression_is_told_once(
    running: Any, tmp_path: Path, scope: suppressions.Scope
) -> None:
    await fill(running, tmp_path, [row("p0@firm0-mfdemo.com", first="Bo", last="Ek"), *people(1, start=1)])
    await go(running)
    await suppression.add(
        running.fleet, "p0@firm0-mfdemo.com" if scope == "address" else "Bo Ek|firm0-mfdemo.com", scope=scope
    )
    covering = await suppression.find(running.fleet, "p0@firm0-mfdemo.com")
    assert covering and covering.scope == scope
    running.later(minutes=1)
    async with running.fleet.db.connection() as db:
        await db.execute(
            """insert into mailfleet.events (id, at, received_at, platform, kind, lead_id)
               select mailfleet.uuid_floor(%(at)s), %(at)s, %(at)s, 'smartlead', 'sent', id from mailfleet.leads
               where email_norm = 'p0@firm0-mfdemo.com'""",
            {"at": running.clock.now()},
        )
    for _ in range(2):
        await suppression.sweep(running.fleet)
    found = await running.ask("select kind, title from mailfleet.alerts where kind = 'late_mail'")
    assert found == [("late_mail", "A mail left for p0@firm0-mfdemo.com although it is suppressed")]
