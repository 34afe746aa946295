"""Holds, alerts, auto-pause, bands, complaints and purchases: written first, done second, read back third."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from mailfleet.errors import BadFile, NeedsApproval, NotAllowed, Unknown
from mailfleet.flows import shell
from mailfleet.flows.monitor import mailfleet_monitor_flow
from mailfleet.services import alerts, credentials, holds, mailboxes, purchases, safeguards
from mailfleet.store import events, links
from mailfleet.store import holds as hold_rows

pytestmark = pytest.mark.anyio
ADDRESS = "ann.lee@brightwater-mailfleet-demo.com"
CONFIG = """{"name": "one", "sequence": [], "daily_per_mailbox": 40, "warmup_reserve": 20, "schedule":
    {"timezone": "Australia/Sydney", "days": [1, 2, 3, 4, 5, 6, 7], "start_hour": 0, "end_hour": 24}}"""


@pytest.fixture
async def sending(world: Any) -> Any:
    """One mailbox in PRODUCTION, connected as 100, and one running campaign known to the platform as c1."""
    client = (await world.ask("select id from mailfleet.clients"))[0][0]
    await world.do("select mailfleet.events_keep(%s, 2, 18)", world.clock.now())
    await world.do(
        """insert into mailfleet.mailboxes (client_id, address, state, state_since, created_at, warming_since, heat,
               heat_state, timezone) values (%s, %s, 'PRODUCTION', %s, %s, %s, 95, 'OK', 'Australia/Sydney')""",
        client, ADDRESS, world.clock.now(), world.clock.now(), world.clock.now(),
    )  # fmt: skip
    await world.do(
        """insert into mailfleet.campaigns (client_id, name, state, state_since, config, config_hash, created_at)
           values (%s, 'one', 'running', %s, %s::jsonb, '', %s)""",
        client, world.clock.now(), CONFIG, world.clock.now(),
    )  # fmt: skip
    world.client, world.campaign = client, (await world.ask("select id from mailfleet.campaigns"))[0][0]
    world.mailbox = (await world.ask("select id from mailfleet.mailboxes"))[0][0]
    spec = type("Spec", (), {"address": ADDRESS, "daily_cap": 40})()
    async with world.fleet.db.transaction() as db:
        for kind, ours, ref in (
            ("mailbox", world.mailbox, await world.platform.connect_mailbox(spec)),
            ("campaign", world.campaign, "c1"),
        ):
            await links.put(db, platform="smartlead", kind=kind, ours=ours, ref=ref, at=world.clock.now())
    world.platform.campaigns_["c1"] = "running"
    return world


async def happened(
    world: Any, kind: str, count: int, *, hours_ago: float = 1, campaign: bool = False, **detail: Any
) -> None:
    at: datetime = world.clock.now() - timedelta(hours=hours_ago)
    told, of = "{" + ",".join(f'"{k}":"{v}"' for k, v in detail.items()) + "}", world.campaign if campaign else None
    for _ in range(count):
        id = UUID(f"{int(at.timestamp() * 1000):012x}" + uuid4().hex[12:])
        await world.do(
            """insert into mailfleet.events
                   (id, at, received_at, platform, kind, mailbox_id, campaign_id, lead_id, step, detail)
               values (%s, %s, %s, 'smartlead', %s, %s, %s, 1, 1, %s::jsonb)""",
            id, at, at, kind, world.mailbox, of, told,
        )  # fmt: skip


async def the_mailbox(world: Any) -> Any:
    async with world.fleet.db.connection() as db:
        return await mailboxes.find(db, world.mailbox)


async def monitor(world: Any) -> dict[str, Any]:
    """A round, a quarter of an hour after the last."""
    world.days_pass(15 / (24 * 60))
    with shell.using(world.fleet):
        return await shell.plain(mailfleet_monitor_flow)


# holds


async def test_a_pause_is_written_done_and_read_back(sending: Any) -> None:
    held = await holds.pause(sending.fleet, "client", str(sending.client), "law", "person:dave", "person")
    assert (held.confirmed, sending.platform.campaigns_["c1"]) == (True, "paused")
    assert await sending.ask("select state, paused_by, pause_reason from mailfleet.campaigns") == [
        ("paused", "person", "law")
    ]
    assert await sending.ask("select confirmed_at is not null from mailfleet.holds") == [(True,)]


async def test_a_pause_the_platform_does_not_show_stays_unconfirmed_and_is_tried_again(sending: Any) -> None:
    sending.platform.deaf = True
    held = await holds.pause(sending.fleet, "campaign", str(sending.campaign), "bounces")
    assert (held.confirmed, len(held.problems)) == (False, 1)
    assert await sending.ask("select kind, severity from mailfleet.alerts") == [("hold_unconfirmed", "critical")]
    sending.platform.deaf = False
    assert (await monitor(sending))["confirmed"] == 1
    assert sending.platform.campaigns_["c1"] == "paused"


async def test_pausing_twice_keeps_the_first_reason(sending: Any) -> None:
    first = await holds.pause(sending.fleet, "mailbox", str(sending.mailbox), "one")
    second = await holds.pause(sending.fleet, "mailbox", str(sending.mailbox), "two")
    assert (first.new, second.new, second.hold.reason) == (True, False, "one")


@pytest.mark.parametrize("kind", ["person", "vendor"])
async def test_the_machine_never_releases_what_is_not_its_own(sending: Any, kind: Any) -> None:
    await holds.pause(sending.fleet, "campaign", str(sending.campaign), "why", "someone", kind)
    with pytest.raises(NotAllowed):
        await holds.release(sending.fleet, "campaign", str(sending.campaign))
    await holds.pause(sending.fleet, "campaign", str(sending.campaign), "mine")
    assert await holds.release(sending.fleet, "campaign", str(sending.campaign)) == 1
    assert sending.platform.campaigns_["c1"] == "paused", "the other hold still covers it"
    assert await sending.ask("select state from mailfleet.campaigns") == [("paused",)]


async def test_the_last_release_resumes_what_the_machine_paused(sending: Any) -> None:
    await holds.pause(sending.fleet, "campaign", str(sending.campaign), "a")
    await holds.pause(sending.fleet, "workspace", "*", "b")
    await holds.release(sending.fleet, "workspace", "*")
    assert sending.platform.campaigns_["c1"] == "paused"
    await holds.release(sending.fleet, "campaign", str(sending.campaign))
    assert sending.platform.campaigns_["c1"] == "running"
    assert await sending.ask("select state, paused_by from mailfleet.campaigns") == [("running", None)]


async def test_no_new_leads_is_ours_alone_and_stops_no_campaign(sending: Any) -> None:
    held = await holds.hold_new_leads(sending.fleet, "campaign", str(sending.campaign), "bounces")
    assert (held.confirmed, sending.platform.campaigns_["c1"]) == (True, "running")


# alerts


async def test_a_fact_is_told_once(world: Any) -> None:
    told = [
        await alerts.tell(world.fleet, fact_key="f", kind="k", severity="warning", title="t", body="b")
        for _ in range(3)
    ]
    assert told == [True, False, False]
    assert await alerts.deliver_due(world.fleet) == 1
    assert await alerts.deliver_due(world.fleet) == 0
    assert world.slack.sent == [("#mailfleet-alerts", "t")]
    assert world.sms.sent == []


async def test_an_emergency_goes_by_sms_too(world: Any) -> None:
    await alerts.tell(world.fleet, fact_key="f", kind="k", severity="emergency", title="t", body="b")
    assert await alerts.deliver_due(world.fleet) == 2
    assert world.sms.sent == [("+61400000000", "t")]


async def test_a_named_channel_wins_and_may_be_mapped(world: Any) -> None:
    world.fleet.slack_channels = {"#sales-hot-leads": "C042", "default": "#ops"}
    async with world.fleet.db.transaction() as db:
        await alerts.raise_alert(
            world.fleet, db, fact_key="hot", kind="hot_lead", severity="info", title="t", body="b",
            channel="#sales-hot-leads",
        )  # fmt: skip
    await alerts.deliver_due(world.fleet)
    assert world.slack.sent == [("C042", "t")]


async def test_a_failed_delivery_is_tried_later_and_given_up_in_the_end(world: Any) -> None:
    world.slack.down = True
    await alerts.tell(world.fleet, fact_key="f", kind="k", severity="info", title="t", body="b")
    assert await alerts.deliver_due(world.fleet) == 0
    assert await alerts.deliver_due(world.fleet) == 0, "not before its time"
    for _ in range(8):
        world.days_pass(1)
        await alerts.deliver_due(world.fleet)
    assert await world.ask("select state, attempts from mailfleet.deliveries") == [("dead", 8)]


async def test_an_alert_rolled_back_with_its_decision_is_never_sent(world: Any) -> None:
    with pytest.raises(RuntimeError):
        async with world.fleet.db.transaction() as db:
            await alerts.raise_alert(world.fleet, db, fact_key="f", kind="k", severity="info", title="t", body="b")
            raise RuntimeError
    assert await alerts.deliver_due(world.fleet) == 0


# auto-pause, bands, complaints


async def test_quiet_mailboxes_are_left_alone(sending: Any) -> None:
    await happened(sending, "sent", 30)
    await happened(sending, "bounced", 2)
    verdict = await safeguards.check_auto_pause_conditions(sending.fleet, sending.mailbox)
    assert (verdict["should_pause"], verdict["reasons"], verdict["recommended_action"]) == (False, [], "none")


async def test_bounces_over_eight_percent_pause_the_mailbox_once(sending: Any) -> None:
    await happened(sending, "sent", 30)
    await happened(sending, "bounced", 6, **{"class": "hard"})
    first = await monitor(sending)
    await monitor(sending)
    assert first["paused"] == [ADDRESS]
    assert sending.platform.boxes["100"].suspended
    assert await sending.ask("select count(*) from mailfleet.alerts where kind = 'auto_pause'") == [(1,)]


async def test_a_mailbox_that_is_connected_again_sends_again(sending: Any) -> None:
    await sending.do("update mailfleet.mailboxes set disabled_since = %s", sending.clock.now())
    assert (await monitor(sending))["paused"] == [ADDRESS]
    await sending.do("update mailfleet.mailboxes set disabled_since = null")
    assert (await monitor(sending))["paused"] == []
    assert not sending.platform.boxes["100"].suspended


async def test_bounces_about_us_are_not_the_mailboxes(sending: Any) -> None:
    await happened(sending, "sent", 30)
    await happened(sending, "bounced", 8, **{"class": "block"})
    assert not (await safeguards.check_auto_pause_conditions(sending.fleet, ADDRESS))["should_pause"]


async def test_a_soft_bounce_counts_only_once_its_lead_is_given_up(sending: Any) -> None:
    await happened(sending, "sent", 20)
    await happened(sending, "bounced", 3, **{"class": "soft"})
    async with sending.fleet.db.connection() as db:
        assert (await safeguards.health(sending.fleet, db, await the_mailbox(sending))).bounced_24h == 0
        [(last,)] = await sending.ask("select max(id::text)::uuid from mailfleet.events where kind = 'bounced'")
        await events.harden(db, [last])
        assert (await safeguards.health(sending.fleet, db, await the_mailbox(sending))).bounced_24h == 1


async def test_a_small_sample_pauses_nothing(sending: Any) -> None:
    await happened(sending, "sent", 5)
    await happened(sending, "bounced", 3)
    assert not (await safeguards.check_auto_pause_conditions(sending.fleet, ADDRESS))["should_pause"]


async def test_old_bounces_are_outside_the_window(sending: Any) -> None:
    await happened(sending, "sent", 30, hours_ago=30)
    await happened(sending, "bounced", 10, hours_ago=30)
    assert not (await safeguards.check_auto_pause_conditions(sending.fleet, ADDRESS))["should_pause"]


async def test_a_heat_too_old_to_trust_pauses_nothing(sending: Any) -> None:
    await sending.do("update mailfleet.mailboxes set heat = 10")
    assert not (await safeguards.check_auto_pause_conditions(sending.fleet, ADDRESS))["should_pause"]


async def test_an_emergency_band_holds_and_sends_an_sms(sending: Any) -> None:
    await happened(sending, "sent", 60, hours_ago=30)
    await happened(sending, "bounced", 20, hours_ago=30)
    await monitor(sending)
    assert await sending.ask("select limit_factor::float8 from mailfleet.mailboxes") == [(0.0,)]
    assert [target for target, _ in sending.sms.sent] == ["+61400000000"]
    assert sending.platform.boxes["100"].suspended


async def test_a_band_lowers_the_limit_and_better_days_raise_it_again(sending: Any) -> None:
    await happened(sending, "sent", 400, hours_ago=30)
    await happened(sending, "bounced", 28, hours_ago=30)
    await monitor(sending)
    factor = "select limit_factor::float8, monitor_minutes from mailfleet.mailboxes"
    assert await sending.ask(factor) == [(0.75, 5)]
    assert sending.platform.boxes["100"].cap == 30, "set at the platform"
    await monitor(sending)
    assert sending.platform.boxes["100"].cap == 30, "a second reading takes nothing more"
    sending.days_pass(8)
    await monitor(sending)
    assert await sending.ask(factor) == [(0.75, 5)], "silence is no good news"
    for _ in range(2):
        await happened(sending, "sent", 60)
        await monitor(sending)
        sending.days_pass(1.1)
    assert await sending.ask(factor) == [(1.0, 15)]
    assert sending.platform.boxes["100"].cap == 40


async def test_one_complaint_is_looked_at_and_many_pause_the_clients_campaigns(sending: Any) -> None:
    await happened(sending, "sent", 50)
    await happened(sending, "complained", 1)
    assert (await monitor(sending))["complaints"] == {f"client {sending.client}": "urgent_alert"}
    assert sending.platform.campaigns_["c1"] == "running"
    await happened(sending, "sent", 1000, hours_ago=50)
    await happened(sending, "complained", 2, hours_ago=50)
    assert (await monitor(sending))["complaints"] == {f"client {sending.client}": "pause_all_campaigns"}
    assert sending.platform.campaigns_["c1"] == "paused"


async def test_a_breaker_pauses_its_campaign_at_the_platform_and_no_other(sending: Any) -> None:
    await happened(sending, "sent", 200, campaign=True)
    await happened(sending, "bounced", 17, campaign=True)
    told = await monitor(sending)
    assert (told["campaigns"]["broken"], sending.platform.campaigns_["c1"]) == (["one"], "paused")
    async with sending.fleet.db.connection() as db:
        held = await hold_rows.standing(db, scope="campaign", kind="sending")
    assert [(hold.actor_kind, hold.confirmed_at is not None) for hold in held] == [("machine", True)]
    assert held[0].reason.startswith("breaker: 17 of 200")
    await monitor(sending)
    assert await sending.ask("select count(*) from mailfleet.holds where scope = 'campaign' and kind = 'sending'") == [
        (1,)
    ]


async def test_complaints_of_one_campaign_pause_it_at_the_platform(sending: Any) -> None:
    await happened(sending, "sent", 1000, hours_ago=50, campaign=True)
    await happened(sending, "complained", 2, hours_ago=50, campaign=True)
    told = (await monitor(sending))["complaints"]
    assert told[f"campaign {sending.campaign}"] == "pause_all_campaigns"
    assert sending.platform.campaigns_["c1"] == "paused"


# vendors


async def calls(world: Any, status: str, count: int) -> None:
    await world.do(
        """insert into mailfleet.vendor_calls (minute, vendor, operation, status, calls)
           values ('2026-11-24 02:10Z', 'smartlead', 'read', %s, %s)""",
        status, count,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "count", "severity"),
    [("503", 5, None), ("503", 6, "warning"), ("TimedOut", 6, "warning"), ("429", 6, "warning"), ("401", 1, "critical"),
     ("404", 99, None)],
)  # fmt: skip
async def test_vendor_trouble_is_told_once_an_hour(world: Any, status: str, count: int, severity: str | None) -> None:
    await calls(world, "200", 100)
    await calls(world, status, count)
    await monitor(world)
    await monitor(world)
    told = await world.ask("select severity from mailfleet.alerts where kind = 'vendor_health'")
    assert told == ([(severity,)] if severity else [])


async def test_webhooks_that_stop_coming_are_told_once_until_they_come_again(sending: Any) -> None:
    sending.fleet.webhook_base = "http://127.0.0.1/hooks/t"
    await happened(sending, "sent", 1, hours_ago=0.5)
    assert (await monitor(sending))["vendors"] == {}
    sending.days_pass(1 / 24)
    assert "smartlead webhooks" in (await monitor(sending))["vendors"]
    await monitor(sending)
    silent = "select severity, resolved_at is not null from mailfleet.alerts where kind = 'webhooks_silent'"
    assert await sending.ask(silent) == [("critical", False)]
    await sending.do(
        """insert into mailfleet.webhook_inbox (id, platform, received_at, body)
           values (gen_random_uuid(), 'smartlead', %s, '{}')""",
        sending.clock.now(),
    )
    assert (await monitor(sending))["vendors"] == {}
    assert await sending.ask(silent) == [("critical", True)]


async def test_no_webhook_is_missed_where_nothing_was_sent(sending: Any) -> None:
    sending.fleet.webhook_base = "http://127.0.0.1/hooks/t"
    sending.days_pass(1)
    assert (await monitor(sending))["vendors"] == {}


# credentials and purchases


async def test_credentials_are_stored_encrypted_and_the_newest_counts(world: Any) -> None:
    await credentials.put(world.fleet, " Ann.Lee@example.com ", "first-secret")
    await credentials.put(world.fleet, "ann.lee@example.com", "second-secret", username="ann")
    found = await credentials.lookup(world.fleet.db, world.fleet.vault, "ann.lee@example.com")
    assert found is not None
    assert (found.username, found.password) == ("ann", "second-secret")
    assert "second-secret" not in repr(found)
    clear = await world.ask(
        "select count(*) from mailfleet.secrets where encode(ciphertext, 'escape') like '%%-secret%%'"
    )
    assert clear == [(0,)]
    with pytest.raises(BadFile):
        await credentials.put(world.fleet, "ann.lee@example.com", "")


async def test_a_domain_is_bought_once_per_approval_and_never_over_the_ceiling(world: Any) -> None:
    name, fleet = "new-mailfleet-demo.com", world.fleet
    with pytest.raises(NeedsApproval):
        await purchases.buy(fleet, name)
    with pytest.raises(NotAllowed, match="over the ceiling"):
        await purchases.request(fleet, name, ceiling_cents=500)
    asked = await purchases.request(fleet, name, ceiling_cents=1200)
    with pytest.raises(NeedsApproval):
        await purchases.buy(fleet, name)
    await purchases.approve(fleet, str(asked.id), by="person:dave")
    world.registrar.price = 1300
    with pytest.raises(NotAllowed, match="over the ceiling"):
        await purchases.buy(fleet, name)
    world.registrar.price = 1100
    assert await purchases.buy(fleet, name) == "order-1"
    with pytest.raises(NeedsApproval):
        await purchases.buy(fleet, name)
    assert world.registrar.bought == [name]
    assert await world.ask("select reason from mailfleet.audit where action = 'buy_domain'") == [("intended",)]


async def test_an_expired_approval_buys_nothing(world: Any) -> None:
    asked = await purchases.request(world.fleet, "new-mailfleet-demo.com", ceiling_cents=1200)
    world.days_pass(8)
    with pytest.raises(NotAllowed):
        await purchases.approve(world.fleet, str(asked.id), by="person:dave")
    with pytest.raises(Unknown):
        await purchases.approve(world.fleet, "nonsense", by="person:dave")


async def test_a_watched_scope_is_looked_at_every_five_minutes_and_a_quiet_one_every_fifteen(sending: Any) -> None:
    async def rounds() -> list[int]:
        checked = []
        for _ in range(4):
            with shell.using(sending.fleet):
                checked.append((await shell.plain(mailfleet_monitor_flow))["checked"])
            sending.days_pass(5 / (24 * 60))
        return checked

    assert await rounds() == [2, 0, 0, 2]  # the mailbox and the campaign
    await happened(sending, "sent", 100)
    await happened(sending, "bounced", 3)
    sending.days_pass(1 / 96)
    assert await rounds() == [2, 1, 1, 2]
    assert await sending.ask("select band, monitor_minutes from mailfleet.bounce_levels where scope = 'mailbox'") == [
        ("elevated", 5)
    ]
