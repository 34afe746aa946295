"""Who steps in for a failing mailbox, who rests, who is gone, and how often a reconnect is asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.services_fleet.test_safeguards import happened, monitor, sending

from mailfleet.policy.model import Reserve
from mailfleet.services import rotation, rounds, staffing
from mailfleet.store import links

__all__ = ["sending"]
pytestmark = pytest.mark.anyio
SPARE = "bo.ek@brightwater-mailfleet-demo.com"


@pytest.fixture
async def staffed(sending: Any) -> Any:
    """The one mailbox sends for campaign c1; a second one of the client is in PRODUCTION and in no campaign."""
    await sending.do(
        """insert into mailfleet.campaign_mailboxes (campaign_id, mailbox_id, daily_cap, added_at)
           values (%s, %s, 40, %s)""",
        sending.campaign, sending.mailbox, sending.clock.now(),
    )  # fmt: skip
    await sending.do(
        """insert into mailfleet.mailboxes (client_id, address, state, state_since, created_at, warming_since, heat,
               heat_state, timezone) values (%s, %s, 'PRODUCTION', %s, %s, %s, 95, 'OK', 'Australia/Sydney')""",
        sending.client, SPARE, sending.clock.now(), sending.clock.now(), sending.clock.now(),
    )  # fmt: skip
    sending.spare = (await sending.ask("select id from mailfleet.mailboxes where address = %s", SPARE))[0][0]
    spec = type("Spec", (), {"address": SPARE, "daily_cap": 40})()
    async with sending.fleet.db.transaction() as db:
        ref = await sending.platform.connect_mailbox(spec)
        await links.put(db, platform="smartlead", kind="mailbox", ours=sending.spare, ref=ref, at=sending.clock.now())
    return sending


async def test_a_spare_joins_before_the_failing_one_leaves(staffed: Any) -> None:
    await staffed.do("update mailfleet.mailboxes set state = 'WARMING', heat = 40 where id = %s", staffed.mailbox)
    (done,) = await rotation.replace(staffed.fleet, 60)
    assert (done["in"], done["follow_ups"]) == (SPARE, "none")
    assert staffed.platform.staff["c1"] == ["101"], "at the platform"
    assert await rotation.replace(staffed.fleet, 60) == []


async def test_follow_ups_of_an_open_thread_wait_for_their_sender(staffed: Any) -> None:
    await happened(staffed, "sent", 1)
    await staffed.do(
        """insert into mailfleet.leads (id, client_id, email, email_norm, domain, created_at, updated_at)
           overriding system value values (1, %s, 'a@b.de', 'a@b.de', 'b.de', now(), now())""",
        staffed.client,
    )
    await staffed.do(
        """insert into mailfleet.lead_ownership (lead_id, platform, campaign_id, state, claimed_at, updated_at)
           values (1, 'smartlead', %s, 'active', now(), now())""",
        staffed.campaign,
    )
    await staffed.do("update mailfleet.mailboxes set heat = 40 where id = %s", staffed.mailbox)
    (done,) = await rotation.replace(staffed.fleet, 60)
    assert (done["in"], done["threads"], done["follow_ups"]) == (SPARE, 1, "wait for their sender")
    assert staffed.platform.staff["c1"] == ["100", "101"]


async def test_a_campaign_without_mailboxes_is_held_until_one_can_send_again(staffed: Any) -> None:
    await staffed.do(
        "update mailfleet.mailboxes set disabled_since = %s, connected = false where id = %s",
        staffed.clock.now(), staffed.mailbox,
    )  # fmt: skip
    staffed.platform.boxes["100"].connected = False
    assert (await monitor(staffed))["campaigns"]["understaffed"] == ["one"]
    assert staffed.platform.campaigns_["c1"] == "paused"
    assert await staffed.ask("select severity from mailfleet.alerts where kind = 'staffing'") == [("urgent",)]
    staffed.platform.boxes["100"].connected = True
    await monitor(staffed)
    await monitor(staffed)
    assert staffed.platform.campaigns_["c1"] == "running"


async def test_a_reconnect_is_asked_for_three_times_a_day_at_most(staffed: Any) -> None:
    staffed.platform.boxes["100"].connected = False
    await staffed.do("update mailfleet.mailboxes set disabled_since = %s where id = %s", staffed.clock.now(),
                     staffed.mailbox)  # fmt: skip
    for _ in range(90):
        await monitor(staffed)
    assert staffed.platform.reconnects == 3


async def test_one_that_is_gone_or_renamed_at_the_platform_is_told(staffed: Any) -> None:
    staffed.platform.boxes["101"].address = "new.name@elsewhere.example"
    del staffed.platform.boxes["100"]
    await rounds.survey(staffed.fleet)
    told = await staffed.ask("select kind from mailfleet.alerts where kind like 'mailbox\\_%%' order by 1")
    assert told == [("mailbox_missing",), ("mailbox_renamed",)]
    assert await staffed.ask("select address from mailfleet.mailboxes where missing_since is not null") == [
        ("ann.lee@brightwater-mailfleet-demo.com",)
    ]


async def test_nobody_is_gone_when_the_platform_does_not_answer(staffed: Any) -> None:
    staffed.platform.away = True
    with pytest.raises(Exception, match="down"):
        await rounds.survey(staffed.fleet)
    assert await staffed.ask("select count(*) from mailfleet.mailboxes where missing_since is not null") == [(0,)]


async def test_mailboxes_of_the_reserve_rest_in_turn(staffed: Any) -> None:
    staffed.fleet.policy = msgspec.structs.replace(staffed.fleet.policy, reserve=Reserve(share=0.5))
    assert (await rotation.rest(staffed.fleet))["resting"] == [], "none has worked two weeks"
    staffed.days_pass(15)
    await staffed.do("delete from mailfleet.campaign_mailboxes")
    first = (await rotation.rest(staffed.fleet))["resting"]
    assert len(first) == 1
    assert [box.suspended for box in staffed.platform.boxes.values()].count(True) == 1
    staffed.days_pass(14.1)
    turn = await rotation.rest(staffed.fleet)
    assert turn["back"] == first
    assert turn["resting"] != first


@pytest.mark.parametrize(("given", "floor"), [(1, 1), (2, 1), (3, 2), (10, 4)])
async def test_the_floor_is_a_third_and_at_least_one(given: int, floor: int, world: Any) -> None:
    assert staffing.floor(world.fleet.policy.staffing, given) == floor
