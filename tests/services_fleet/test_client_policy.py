"""A client's overrides decide about its own mailboxes and leads, and about nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services_fleet.conftest import MemoryPlatform

from mailfleet.errors import PolicyError
from mailfleet.flows import shell
from mailfleet.flows.domain_setup import smartlead_domain_setup_flow
from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
from mailfleet.services import clients, commands, mailboxes, personas, safeguards, suppression
from mailfleet.store.clients import NewPersona

pytestmark = pytest.mark.anyio
OURS, THEIRS = "brightwater-mailfleet-demo.com", "other-mailfleet-demo.com"


@pytest.fixture
async def two(world: Any) -> Any:
    """A second client with people of its own."""
    world.other = await clients.put_client(world.fleet, "acme-two", name="Acme", timezone="Australia/Sydney")
    people = [NewPersona(local_part="di.fox", first_name="Di", last_name="Fox")]
    await personas.put_personas(world.fleet, world.other, people)
    return world


async def set_up(world: Any, domain: str, client: str, count: int = 1) -> dict[str, Any]:
    world.everyone_sees()
    with shell.using(world.fleet):
        return await shell.plain(smartlead_domain_setup_flow, domain, count, client_id=client)


async def sync(world: Any) -> dict[str, Any]:
    with shell.using(world.fleet):
        return await shell.plain(smartlead_mailbox_provisioning_flow)


async def box(world: Any, address: str) -> Any:
    async with world.fleet.db.connection() as db:
        return await mailboxes.find(db, address)


async def test_overrides_are_checked_before_they_are_stored(two: Any) -> None:
    with pytest.raises(PolicyError, match="hard_limit"):
        await clients.set_policy(two.fleet, two.other, {"send_limits": {"production": {"hard_limit": 10}}})
    with pytest.raises(PolicyError, match="is not a key"):
        await clients.put_client(two.fleet, "third", name="Third", policy={"graduation": {"minimum_heat": 1}})
    assert await two.ask("select slug, policy from mailfleet.clients order by slug") == [
        ("acme-two", {}), ("agency-os", {}),
    ]  # fmt: skip


async def test_each_clients_ramp_is_its_own(two: Any) -> None:
    slow = {"send_limits": {"warmup": {"day_1_7": {"min": 7}}}}
    await clients.set_policy(two.fleet, two.other, slow)
    assert (await set_up(two, OURS, "agency-os"))["success"]
    assert (await set_up(two, THEIRS, "acme-two"))["success"]
    await sync(two)
    budgets = dict(
        await two.ask(
            """select m.address, b.warmup_target from mailfleet.mailbox_budgets b
               join mailfleet.mailboxes m on m.id = b.mailbox_id"""
        )
    )
    assert budgets == {f"ann.lee@{OURS}": 5, f"di.fox@{THEIRS}": 7}
    versions = await two.ask("select count(distinct rule_version) from mailfleet.mailbox_budgets")
    assert versions == [(2,)]


async def test_a_stricter_heat_keeps_back_one_client_alone(two: Any) -> None:
    await clients.set_policy(two.fleet, two.other, {"graduation": {"minimum_heat_score": 99}})
    await set_up(two, OURS, "agency-os")
    await set_up(two, THEIRS, "acme-two")
    for _ in range(16):
        two.warm()
        two.days_pass(1)
        result = await sync(two)
    states = dict(await two.ask("select address, state from mailfleet.mailboxes"))
    assert states == {f"ann.lee@{OURS}": "PRODUCTION", f"di.fox@{THEIRS}": "WARMING"}
    assert result["held_back"] == {f"di.fox@{THEIRS}": ["heat_score"]}


async def test_the_safeguards_threshold_is_the_clients(two: Any) -> None:
    await set_up(two, OURS, "agency-os")
    await set_up(two, THEIRS, "acme-two")
    await two.do("update mailfleet.mailboxes set state = 'PRODUCTION', heat = 70, heat_state = 'OK'")
    await two.do(
        """insert into mailfleet.mailbox_readings (mailbox_id, day, platform, heat, heat_state, taken_at)
           select id, %s, 'smartlead', 70, 'OK', %s from mailfleet.mailboxes
           on conflict do nothing""",
        two.clock.now().date(), two.clock.now(),
    )  # fmt: skip
    await clients.set_policy(two.fleet, two.other, {"auto_pause": {"heat_score": 75}})
    mine = await safeguards.check_auto_pause_conditions(two.fleet, f"ann.lee@{OURS}")
    theirs = await safeguards.check_auto_pause_conditions(two.fleet, f"di.fox@{THEIRS}")
    assert (mine["should_pause"], theirs["should_pause"]) == (False, True)


async def test_overrides_that_no_longer_fit_are_left_out_and_told(two: Any) -> None:
    await two.do("""update mailfleet.clients set policy = '{"graduation": {"gone": 1}}' where slug = 'acme-two'""")
    async with two.fleet.db.connection() as db:
        client = await clients.the_client(db, "acme-two")
    assert two.fleet.of(client).policy is two.fleet.policy
    assert (await safeguards.watch(two.fleet))["checked"] == 0
    assert await two.ask("select kind, severity from mailfleet.alerts") == [("client_policy", "critical")]


async def test_a_client_with_a_key_of_its_own_uses_its_own_account(two: Any) -> None:
    own = MemoryPlatform()
    own.first = 900
    two.fleet.client_platforms = {"acme_two": {"smartlead": own}}
    await set_up(two, OURS, "agency-os")
    await set_up(two, THEIRS, "acme-two")
    assert [each.address for each in two.platform.boxes.values()] == [f"ann.lee@{OURS}"]
    assert [each.address for each in own.boxes.values()] == [f"di.fox@{THEIRS}"]
    assert all(each.warm for each in (*two.platform.boxes.values(), *own.boxes.values()))
    result = await sync(two)
    assert (result["warming"], result["errors"]) == (2, [])
    assert (await box(two, f"di.fox@{THEIRS}")).connected


async def test_an_account_that_does_not_answer_hides_its_own_mailboxes_alone(two: Any) -> None:
    own = MemoryPlatform()
    own.first = 900
    two.fleet.client_platforms = {"acme_two": {"smartlead": own}}
    await set_up(two, OURS, "agency-os")
    await set_up(two, THEIRS, "acme-two")
    own.away = True
    listed = {each.address: each.id in shown for ours, shown, _ in [await mailboxes.survey(two.fleet)] for each in ours}
    assert listed == {f"ann.lee@{OURS}": True, f"di.fox@{THEIRS}": False}


async def test_a_suppression_reaches_the_block_list_of_every_account(two: Any) -> None:
    own = MemoryPlatform()
    two.fleet.client_platforms = {"acme_two": {"smartlead": own}}
    await suppression.add(two.fleet.of(two.other), "a@b.com")
    queued = await two.ask("select payload from mailfleet.outbox where topic = 'lead.block' order by id")
    await commands.do_blocks(two.fleet, [payload for (payload,) in queued])
    assert (two.platform.blocked, own.blocked) == (["a@b.com"], ["a@b.com"])
