"""The controller's ticks on a real database: judged in every state, one step at a time, each with its reason."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.conformance.tiny import TinyPlatform
from tests.migration.desks import Pair, config, pair

from mailfleet.errors import NeedsApproval, NotAllowed
from mailfleet.migration import controller, drill, evidence, routing, saga, seeds, verbs, view
from mailfleet.rules.migration import routing as routes
from mailfleet.services import approvals, campaigns
from mailfleet.store import migrations, sagas
from mailfleet.store.events import event_id

pytestmark = pytest.mark.anyio


async def planned(world: Pair, **more: Any) -> dict[str, Any]:
    given = {"name": "acme", "start_on": date(2026, 3, 2), "timezone": "Australia/Sydney", "volume": 1000, "seed": 7}
    return await verbs.plan(world.fleet, **{**given, **more})


async def started(world: Pair, *, phase: str = "setup") -> Any:
    made = await planned(world)
    await approvals.approve(world.fleet, made["approval"], by="person:ann")
    migration = await verbs.start(world.fleet)
    if phase != "setup":
        await world.do("update mailfleet.migrations set phase = %s", phase)
        async with world.fleet.db.connection() as db:
            await migrations.enter(db, migration.id, phase, checklist=[], by="test", at=world.clock.now())  # type: ignore[arg-type]
    await reconciled(world)
    return migration


async def reconciled(world: Pair) -> None:
    await world.do(
        """insert into mailfleet.watermarks (source, at) values ('ledger:smartlead', %s)
           on conflict (source) do update set at = excluded.at""",
        world.clock.now(),
    )


async def told(world: Pair, campaign: UUID, *, sent: int, bounced: int, hours: float = 2) -> None:
    """Events of a campaign on the new platform, some hours ago."""
    at = world.clock.now() - timedelta(hours=hours)
    first = (await world.ask("select count(*)::int from mailfleet.events"))[0][0] * 1000
    rows = [(n, "sent") for n in range(sent)] + [(n, "bounced") for n in range(bounced)]
    async with world.fleet.db.transaction() as db:
        for n, kind in rows:
            lead = first + n
            when = at + timedelta(seconds=n + (0 if kind == "sent" else 300))
            await db.execute(
                """insert into mailfleet.events (id, at, received_at, platform, kind, campaign_id, lead_id, step)
                   values (%s, %s, %s, 'smartlead', %s, %s, %s, 1)""",
                [event_id("smartlead", f"{kind}{campaign}{lead}", when), when, when, kind, campaign, lead],
            )


async def until(world: Pair, state: str) -> controller.Step:
    for _ in range(12):
        step = await controller.tick(world.fleet)
        if step.state == state:
            return step
    raise AssertionError(step)


async def many(world: Pair, count: int) -> list[UUID]:
    """Campaigns on the new platform that hold no lead."""
    made = []
    for n in range(count):
        (found,) = await world.ask(
            """insert into mailfleet.campaigns (client_id, name, state, state_since, platform, config, config_hash,
                   started_at, created_at)
               select id, %s, 'running', %s, 'smartlead', '{"sequence": [1]}', 'x', %s, %s from mailfleet.clients
               returning id""",
            f"many {n}", world.clock.now(), world.clock.now(), world.clock.now(),
        )  # fmt: skip
        made.append(found[0])
    return made


async def test_a_plan_says_beforehand_what_it_costs_and_what_it_can_see(database: Any) -> None:
    world = await pair(database)
    made = await planned(world, volume=100, campaigns=4)
    assert [step["phase"] for step in made["phases"]][:3] == ["setup", "pilot", "ramp_10"]
    assert not made["detectable"][0]["gate_passes"] and made["cost"]["saving_year_cents"] == 43_320
    assert made["pause"]["campaigns_within_5_minutes"] == 120
    with pytest.raises(NeedsApproval):
        await verbs.start(world.fleet)


async def test_a_platform_without_a_way_back_is_refused_before_anything_is_planned_and_before_it_starts(
    database: Any,
) -> None:
    world = await pair(database)
    world.fleet.platforms = {**world.fleet.platforms, "tiny": TinyPlatform()}
    for pair_of in ({"to_platform": "tiny"}, {"from_platform": "tiny"}):
        with pytest.raises(NotAllowed) as told:
            await planned(world, **pair_of)
        for reason in ("nothing can be prepared", "cannot be read", "cannot be stopped"):
            assert any(reason in each for each in told.value.reasons)
    made = await planned(world)
    await approvals.approve(world.fleet, made["approval"], by="person:ann")
    world.fleet.platforms = {**world.fleet.platforms, "smartlead": TinyPlatform()}
    with pytest.raises(NotAllowed, match="cannot be done"):
        await verbs.start(world.fleet)


async def test_an_approval_is_used_once_and_can_be_withdrawn_before(database: Any) -> None:
    world = await pair(database)
    made = await planned(world)
    await approvals.approve(world.fleet, made["approval"], by="person:ann")
    await approvals.withdraw(world.fleet, made["approval"], by="person:ann", reason="not yet")
    with pytest.raises(NeedsApproval):
        await verbs.start(world.fleet)
    again = await planned(world)
    await approvals.approve(world.fleet, again["approval"], by="person:ann")
    await verbs.start(world.fleet)
    with pytest.raises(NotAllowed):
        await approvals.withdraw(world.fleet, again["approval"], by="person:ann", reason="too late")
    audited = await world.ask("select action from mailfleet.audit where entity = 'approval' order by id")
    assert audited == [("approve",), ("withdraw",), ("approve",)]


async def test_a_bad_platform_is_held_in_whatever_phase_and_the_clock_stops(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    for campaign in await many(world, 8):
        await told(world, campaign, sent=60, bounced=6)
    step = await controller.tick(world.fleet)
    assert step.did in ("hold", "breaker") and step.verdicts["bounce"] == "HOLD"
    await until(world, "held")
    async with world.fleet.db.connection() as db:
        migration = await migrations.need(db)
    assert migration.clock_held_since == world.clock.now()
    parameters = await _parameters(world, migration)
    assert routing.weight_of(migration, parameters) == 0
    told_again = await verbs.explain(world.fleet, trigger="bounce")
    assert told_again["same"] and "P(rate > 5 %)" in told_again["sentence"]


async def _parameters(world: Pair, migration: Any) -> Any:
    async with world.fleet.db.connection() as db:
        return await migrations.parameters(db, migration.id, migration.parameters)


async def test_a_hold_ends_on_fresh_good_mail_and_not_on_silence(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    await verbs.configure(world.fleet, {"record_only": ["reply"]}, "nobody replies in this test")
    ids = await many(world, 8)
    for campaign in ids:
        await told(world, campaign, sent=60, bounced=7)
    await until(world, "held")
    world.later(hours=40)
    assert (await controller.tick(world.fleet)).state == "held"
    for campaign in ids:
        await told(world, campaign, sent=120, bounced=1, hours=1)
    world.later(hours=30)
    for _ in range(4):
        step = await controller.tick(world.fleet)
    assert step.state == "running"
    async with world.fleet.db.connection() as db:
        entered = await migrations.entered(db, (await migrations.need(db)).id)
    assert entered[-1].held > timedelta(hours=60)


async def test_a_bad_list_is_paused_alone(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    ids = await many(world, 9)
    for campaign in ids[1:]:
        await told(world, campaign, sent=50, bounced=1)
    await told(world, ids[0], sent=60, bounced=15)
    steps = [await controller.tick(world.fleet) for _ in range(4)]
    assert [step.did for step in steps].count("breaker") == 1
    assert steps[-1].state == "running"
    held = await world.ask("select scope, scope_id from mailfleet.holds where released_at is null")
    assert held == [("campaign", str(ids[0]))]


async def test_a_collapse_pauses_within_a_tick_and_goes_back_only_while_the_verdict_stands(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="full")
    for campaign in [each.id for each in world.campaigns] + await many(world, 6):
        await told(world, campaign, sent=60, bounced=15)
    steps = [await controller.tick(world.fleet) for _ in range(12)]
    assert "pause" in [step.did for step in steps]
    for _ in range(4):
        world.later(minutes=2)
        last = await controller.tick(world.fleet)
    assert last.state == "assessing"
    assert all(each.state == "paused" for each in world.new.made.values())
    world.later(minutes=20)
    assert "a person decides" in (await controller.tick(world.fleet)).reason
    await verbs.resume(world.fleet, "the lists were the reason")
    last = await controller.tick(world.fleet)
    assert last.state == "held" and all(each.state == "running" for each in world.new.made.values())
    assert [s.outcome for s in await _sagas(world)] == ["stopped"]


async def _sagas(world: Pair) -> Any:
    async with world.fleet.db.connection() as db:
        return await sagas.of_migration(db, (await migrations.need(db)).id)


async def test_a_person_rolls_back_and_a_new_try_waits_for_the_post_mortem(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    world.new.send(most=2)
    await verbs.rollback(world.fleet, "support is silent")
    for _ in range(80):
        world.later(minutes=30)
        if (await controller.tick(world.fleet)).state == "rolled_back":
            break
    assert {platform for _, platform, _ in await world.owners()} == {"forge"}
    with pytest.raises(NotAllowed, match="cannot begin"):
        await verbs.retry(world.fleet, start_on=date(2026, 4, 6))
    assert await verbs.sign(world.fleet, "", "Root cause: support.")
    world.later(days=6)
    with pytest.raises(NotAllowed):
        await verbs.retry(world.fleet, start_on=date(2026, 4, 6))
    world.later(days=2)
    assert (await verbs.retry(world.fleet, start_on=date(2026, 4, 6)))["name"] == "acme-try2"
    made = await campaigns.draft(world.fleet, config("After"))
    assert made.platform == "forge"


async def test_campaigns_are_routed_before_they_start_and_the_ledger_replays(database: Any) -> None:
    world = await pair(database)
    migration = await started(world, phase="ramp_75")
    made = [await campaigns.draft(world.fleet, config(f"New {n}")) for n in range(6)]
    assert {each.platform for each in made} == {"forge"}
    for each in made[:3]:
        await routing.route_before_start(world.fleet, each.id)
    steps = [await controller.tick(world.fleet) for _ in range(12)]
    async with world.fleet.db.connection() as db:
        ledger = [each.decision() for each in await migrations.routes(db, migration.id)]
    assert len(ledger) == 6 and routes.replayed(ledger, 7, str(migration.id)) == []
    placed = dict(await world.ask("select id, platform from mailfleet.campaigns where name like 'New%%'"))
    assert all((placed[UUID(each.campaign)] == "smartlead") == each.to_new for each in ledger)
    assert steps[-1].did == "nothing"


async def test_each_gate_is_printed_and_the_approval_of_seventy_five_needs_two(database: Any) -> None:
    world = await pair(database)
    migration = await started(world, phase="ramp_25")
    seen = await view.status(world.fleet)
    assert {check["name"] for check in seen["gate"] if not check["ok"]} >= {"bounces", "placement", "drill", "approval"}
    async with world.fleet.db.transaction() as db:
        step = await controller._asked(world.fleet, db, migration, await _parameters(world, migration), "ramp_75")
    assert "2 needed" in step.reason
    (waiting,) = await approvals.waiting(world.fleet)
    assert not (await approvals.approve(world.fleet, str(waiting.id), by="person:ann")).approved_at
    assert (await approvals.approve(world.fleet, str(waiting.id), by="person:bob")).approved_at
    with pytest.raises(NotAllowed):
        await approvals.approve(world.fleet, str(waiting.id), by="machine")


async def test_dates_and_gates_lead_from_phase_to_phase(database: Any) -> None:
    world = await pair(database)
    await started(world)
    assert (await controller.tick(world.fleet)).did == "read"  # the old mailboxes, once a day
    assert "date" in (await controller.tick(world.fleet)).reason
    world.later(days=14)
    await reconciled(world)
    assert (await controller.tick(world.fleet)).did == "read"
    asked = await controller.tick(world.fleet)
    assert asked.did == "ask"
    (waiting,) = await approvals.waiting(world.fleet)
    await approvals.approve(world.fleet, str(waiting.id), by="person:ann")
    step = await controller.tick(world.fleet)
    assert (step.did, step.phase) == ("promote", "pilot")
    assert "pilot sent" in (await controller.tick(world.fleet)).reason


async def test_the_line_is_stopped_and_safety_goes_on(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    await verbs.stop_the_line(world.fleet, "holidays")
    assert (await controller.tick(world.fleet)).did == "read"
    assert "stopped the line" in (await controller.tick(world.fleet)).reason
    for campaign in await many(world, 8):
        await told(world, campaign, sent=60, bounced=6)
    await until(world, "held")


async def test_what_has_no_metric_is_declared_and_blocks_until_closed(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    note = await verbs.declare(world.fleet, "support", "no answer for 30 h")
    gate = {check["name"]: check for check in (await view.status(world.fleet))["gate"]}
    assert gate["no open review or hold"]["detail"] == "support"
    assert await verbs.close(world.fleet, note, "they answered")
    gate = {check["name"]: check for check in (await view.status(world.fleet))["gate"]}
    assert gate["no open review or hold"]["ok"]


async def test_figures_changed_while_it_runs_get_a_version(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    await controller.tick(world.fleet)
    assert await verbs.configure(world.fleet, {"bounce": {"rho": 0.03}}, "fitted") == 2
    await controller.tick(world.fleet)
    assert (await verbs.explain(world.fleet, trigger="bounce"))["parameters"] == 2
    first = (await world.ask("select min(id) from mailfleet.migration_verdicts where trigger = 'bounce'"))[0][0]
    old = await verbs.explain(world.fleet, id=first)
    assert old["parameters"] == 1 and old["same"]
    with pytest.raises(NotAllowed):
        await verbs.configure(world.fleet, {"bounce": {"rhoo": 1}}, "typo")


async def test_a_drill_is_timed_from_its_journal_and_refuses_a_live_vendor_without_sentinels(database: Any) -> None:
    world = await pair(database)
    await started(world)

    async def sleep(seconds: float) -> None:
        world.later(seconds=seconds)

    with pytest.raises(NotAllowed):
        await drill.drill(world.fleet, [], live=True, sleep=sleep)
    seen = await drill.drill(world.fleet, [world.campaigns[0].id], live=True, sleep=sleep)
    assert seen["outcome"] == "done" and seen["paused"] is not None and seen["complete"] >= seen["still"] >= 30
    assert (await view.status(world.fleet))["saga"]["last_drill"]


async def test_seed_tests_come_in_once_and_are_judged_by_stratum(database: Any) -> None:
    world = await pair(database)
    await started(world, phase="ramp_25")
    lines = b"\n".join(
        b'{"at": "2026-03-02T00:%02d:00Z", "platform": "%s", "domain": "d%d.com", "domain_age": "old", '
        b'"provider": "gmail", "seeds": 10, "inbox": %d}' % (n, platform, n, inbox)
        for platform, inbox in ((b"smartlead", 9), (b"forge", 9))
        for n in range(12)
    )
    assert await seeds.record(world.fleet, lines, burst=False) == 24
    assert await seeds.record(world.fleet, lines, burst=False) == 0
    async with world.fleet.db.connection() as db:
        migration = await migrations.need(db)
        judged = await evidence.judge(world.fleet, db, migration, await _parameters(world, migration))
    assert judged["placement"].verdict.state == "OK" and judged["placement"].verdict.control.covered == 1


async def test_a_hundred_campaigns_are_paused_with_one_call_each_and_one_reading(database: Any) -> None:
    world = await pair(database, leads=(1,))
    for n in range(99):
        await world.do(
            """with c as (insert into mailfleet.campaigns (client_id, name, state, state_since, platform, config,
                   config_hash, created_at)
               select id, %s, 'running', now(), 'smartlead', '{"sequence": [1]}', 'x', now()
               from mailfleet.clients returning id)
               insert into mailfleet.platform_links (kind, platform, ours, ref, created_at)
               select 'campaign', 'smartlead', id::text, %s, now() from c""",
            f"bulk {n}", f"bulk-{n}",
        )  # fmt: skip
        world.new.made[f"bulk-{n}"] = type(next(iter(world.new.made.values())))(
            name=f"bulk {n}", state="running", leads=[], boxes=[], steps=[], sent=0
        )
    opened, _ = await saga.open_saga(
        world.fleet, migration_id=None, from_platform="smartlead", to_platform="forge", trigger="operator", reason="x",
        automatic=False,
    )  # fmt: skip
    world.new.calls.clear()
    await saga.Executor(world.fleet, opened.id).run()
    assert world.new.calls.count("pause") == 100
    (paused,) = await world.ask(
        """select count(*)::int from mailfleet.saga_journal where saga_id = %s and kind = 'readback'
           and outcome = 'ok'""",
        opened.id,
    )
    assert paused == (1,) and all(each.state == "paused" for each in world.new.made.values())
