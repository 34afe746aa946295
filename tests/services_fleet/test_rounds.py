"""Flow 2: a day's round over the mailboxes, and what each reading decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mailfleet.errors import BadFile, NotAllowed
from mailfleet.flows import shell
from mailfleet.flows.domain_setup import smartlead_domain_setup_flow
from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
from mailfleet.services import holds, mailboxes

pytestmark = pytest.mark.anyio
DOMAIN = "brightwater-mailfleet-demo.com"
ANN, BO = f"ann.lee@{DOMAIN}", f"bo.ek@{DOMAIN}"


async def sync(world: Any, **given: Any) -> dict[str, Any]:
    with shell.using(world.fleet):
        return await shell.plain(smartlead_mailbox_provisioning_flow, **given)


async def warming(world: Any) -> None:
    world.everyone_sees()
    with shell.using(world.fleet):
        assert (await shell.plain(smartlead_domain_setup_flow, domain=DOMAIN))["warmup_enabled"]
    world.days_pass(0.8)


async def days(world: Any, count: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for _ in range(count):
        world.warm()
        result = await sync(world)
        world.days_pass(1)
    return result


def box(world: Any, address: str) -> Any:
    return next(each for each in world.platform.boxes.values() if each.address == address)


async def states(world: Any) -> dict[str, str]:
    return dict(await world.ask("select address, state from mailfleet.mailboxes"))


async def test_the_ramp_is_applied_day_by_day_and_its_clamps_are_recorded(world: Any) -> None:
    await warming(world)
    seen = []
    for _ in range(9):
        await days(world, 1)
        seen.append(box(world, ANN).per_day)
    assert seen == [5, 8, 11, 14, 17, 20, 20, 20, 25]
    clamped = await world.ask("select applied->'clamped' from mailfleet.mailbox_budgets order by day desc limit 1")
    assert clamped == [({},)]
    early = await world.ask("select applied->'clamped' from mailfleet.mailbox_budgets order by day limit 1")
    assert early == [({"rampup": [3, 5]},)]


async def test_fourteen_warm_days_graduate_and_set_production_limits(world: Any) -> None:
    await warming(world)
    result = await days(world, 13)
    assert result["graduated_this_run"] == 0
    assert result["held_back"] == {ANN: ["warmup_days"], BO: ["warmup_days"]}
    result = await days(world, 1)
    assert {k: result[k] for k in ("action", "mailboxes_total", "warming", "production", "retired")} == {
        "action": "sync", "mailboxes_total": 2, "warming": 0, "production": 2, "retired": 0,
    }  # fmt: skip
    assert result["graduated_this_run"] == 2
    assert (box(world, ANN).cap, box(world, ANN).per_day) == (20, 20), "40 warm-up mails of today count too"
    await days(world, 1)
    assert (box(world, ANN).cap, box(world, ANN).per_day) == (40, 20)
    evidence = await world.ask(
        "select evidence->'checklist'->0->>'name' from mailfleet.transitions where event = 'criteria_met'"
    )
    assert evidence == [("warmup_days",), ("warmup_days",)]
    assert await told_of_drift(world) == [], "nobody but us changed anything there"


async def test_a_thin_mailbox_has_no_heat_and_is_not_guessed(world: Any) -> None:
    await warming(world)
    await days(world, 1)
    assert await world.ask("select distinct heat, heat_state from mailfleet.mailboxes") == [(None, "THIN")]


async def test_one_that_fails_a_criterion_is_held_back_with_its_reason(world: Any) -> None:
    await warming(world)
    box(world, BO).inbox = 0.7
    result = await days(world, 14)
    assert (await states(world)) == {ANN: "PRODUCTION", BO: "WARMING"}
    assert result["held_back"] == {BO: ["heat_score"]}


async def test_a_missing_reading_changes_nothing(world: Any) -> None:
    await warming(world)
    await days(world, 14)
    before = await world.ask("select heat, heat_state, state from mailfleet.mailboxes order by address")
    for each in world.platform.boxes.values():
        each.inbox = None
    await days(world, 1)
    assert await world.ask("select heat, heat_state, state from mailfleet.mailboxes order by address") == before


async def test_an_old_reading_graduates_nobody(world: Any) -> None:
    await warming(world)
    await days(world, 13)
    for each in world.platform.boxes.values():
        each.inbox = None
    result = await days(world, 3)
    assert result["production"] == 0
    assert "heat_score" in result["held_back"][ANN]


async def test_lost_reputation_stops_campaign_mail_and_goes_on_warming(world: Any) -> None:
    await warming(world)
    await days(world, 14)
    box(world, BO).inbox = 0.3
    await days(world, 1)
    assert (await states(world))[BO] == "WARMING"
    assert (box(world, BO).suspended, box(world, BO).warm, box(world, ANN).suspended) == (True, True, False)
    await days(world, 1)
    assert (await states(world))[BO] == "WARMING", "one reading since it entered WARMING is not two"
    await days(world, 1)
    assert (await states(world))[BO] == "DEGRADED"
    box(world, BO).inbox = 0.99
    await days(world, 7 + 7)
    assert (await states(world))[BO] == "WARMING"


async def test_graduating_again_lets_go_of_the_machines_own_hold_only(world: Any) -> None:
    await warming(world)
    (bo,) = await world.ask("select id::text from mailfleet.mailboxes where address = %s", BO)
    await holds.pause(world.fleet, "mailbox", bo[0], "heat")
    await days(world, 14)
    assert not box(world, BO).suspended
    (ann,) = await world.ask("select id::text from mailfleet.mailboxes where address = %s", ANN)
    await holds.pause(world.fleet, "mailbox", ann[0], "on leave", "person:dave", "person")
    assert not await holds.release_own(world.fleet, "mailbox", ann[0], "better")
    assert box(world, ANN).suspended


async def test_disabled_is_told_once_and_retired_after_a_day(world: Any) -> None:
    await warming(world)
    await days(world, 14)
    box(world, ANN).connected = False
    await days(world, 1)
    assert (await states(world))[ANN] == "PRODUCTION"
    await days(world, 1)
    result = await days(world, 1)
    assert (await states(world))[ANN] == "RETIRED"
    assert (result["retired"], box(world, ANN).warm, box(world, ANN).suspended) == (1, False, True)
    assert len(world.platform.boxes) == 2, "nothing deletes a mailbox at a vendor (V14)"
    assert await world.ask("select count(*) from mailfleet.alerts where kind = 'mailbox_disabled'") == [(1,)]


async def test_retire_leaves_alone_who_is_only_below_the_threshold(world: Any) -> None:
    await warming(world)
    box(world, BO).inbox = 0.4
    await days(world, 10)
    assert (await states(world))[BO] == "DEGRADED"
    assert (await sync(world, action="retire"))["retired_this_run"] == 0
    await days(world, 31)
    assert (await states(world))[BO] == "RETIRED"


async def told_of_drift(world: Any) -> list[str]:
    return [title for (title,) in await world.ask("select title from mailfleet.alerts where kind = 'mailbox_drift'")]


async def test_drift_at_the_platform_is_mended_and_told(world: Any) -> None:
    await warming(world)
    await days(world, 14)
    box(world, ANN).cap, box(world, ANN).per_day = 500, 1
    await sync(world)
    assert (box(world, ANN).cap, box(world, ANN).per_day) == (40, 20)
    assert await told_of_drift(world) == [f"{ANN} was changed at the platform"]


async def test_create_tops_up_over_the_domains_and_says_what_is_missing(world: Any) -> None:
    await warming(world)
    result = await sync(world, action="create", target_mailbox_count=3)
    assert (result["created"], result["shortfall"], result["warming"]) == ([f"cy.day@{DOMAIN}"], 0, 3)
    result = await sync(world, action="create", target_mailbox_count=5)
    assert (result["created"], result["shortfall"]) == ([], 2)
    assert "nobody is invented" in result["errors"][0]


async def test_graduate_alone_reads_nothing_new(world: Any) -> None:
    await warming(world)
    await days(world, 5)
    box(world, ANN).inbox = 0.1
    result = await sync(world, action="graduate")
    assert (result["graduated_this_run"], sorted(result["held_back"])) == (0, [ANN, BO])
    assert (await world.ask("select heat from mailfleet.mailboxes where address = %s", ANN))[0][0] > 90


async def test_an_unknown_action_is_refused(world: Any) -> None:
    with pytest.raises(BadFile, match="sync, create, graduate, retire"):
        await sync(world, action="delete")


async def test_a_person_retires_and_reinstates_with_a_reason(world: Any) -> None:
    await warming(world)
    (ann,) = await world.ask("select id from mailfleet.mailboxes where address = %s", ANN)
    with pytest.raises(NotAllowed):
        await mailboxes.operate(world.fleet, ann[0], "operator_retired", " ")
    assert (await mailboxes.operate(world.fleet, ann[0], "operator_retired", "left the firm")).state == "RETIRED"
    assert (await mailboxes.operate(world.fleet, ann[0], "operator_reinstated", "came back")).state == "NEW"
    with pytest.raises(NotAllowed):
        await mailboxes.operate(world.fleet, ann[0], "operator_reinstated", "again")


async def test_two_that_decide_at_once_make_one_transition(world: Any) -> None:
    await warming(world)
    await days(world, 13)
    world.warm()
    (ann,) = await world.ask("select id from mailfleet.mailboxes where address = %s", ANN)
    taken = await mailboxes.read(world.fleet, ann[0])
    decision = await mailboxes.decide(world.fleet, taken, graduate=True)
    assert decision is not None
    assert await mailboxes.carry_out(world.fleet, taken.mailbox, decision) is not None
    assert await mailboxes.carry_out(world.fleet, taken.mailbox, decision) is None
    count = await world.ask("select count(*) from mailfleet.transitions where event = 'criteria_met'")
    assert count == [(1,)]


async def test_a_slow_warm_up_is_noticed_once_then_reviewed(world: Any) -> None:
    await warming(world)
    for each in world.platform.boxes.values():
        each.inbox = 0.7
    await days(world, 23)
    kinds = await world.ask(
        "select kind, count(*) from mailfleet.alerts where kind like '%%warmup%%' group by 1 order by 1"
    )
    assert kinds == [("slow_warmup", 2)]
    await days(world, 8)
    kinds = await world.ask(
        "select kind, count(*) from mailfleet.alerts where kind like '%%warmup%%' group by 1 order by 1"
    )
    assert kinds == [("slow_warmup", 2), ("warmup_review", 2)]


async def test_what_was_sent_beyond_the_budget_is_told(world: Any) -> None:
    await warming(world)
    await days(world, 14)
    (ann,) = await world.ask("select id, timezone from mailfleet.mailboxes where address = %s", ANN)
    yesterday = world.clock.now() - timedelta(days=1)
    await world.do("select mailfleet.events_keep(%s, 2, 18)", world.clock.now())
    await world.do(
        """insert into mailfleet.events (id, at, received_at, platform, kind, mailbox_id)
           select (left(mailfleet.uuid_floor(%s::timestamptz)::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, %s, %s,
                  'smartlead', 'sent', %s from generate_series(1, 90) n""",
        yesterday, yesterday, yesterday, ann[0],
    )  # fmt: skip
    await sync(world)
    assert await world.ask("select severity from mailfleet.alerts where kind = 'over_limit'") == [("critical",)]
