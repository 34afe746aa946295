"""Every Yes row over HTTP: our clients against the sandbox vendors, each operation at least once and understood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.reconcile.vendors import CONTACT
from tests.sandbox_fixture import Sandbox
from tests.vendors.test_index import NAMES, index, operations
from tests.vendors.wires import caught

from mailfleet.errors import NotFound, RateLimited
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.smartlead.client import SmartleadClient, get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.secret import Hidden, Secret
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.twilio.client import TwilioClient

pytestmark = pytest.mark.anyio
T1, T2 = "2026-03-01T00:00:00.000Z", "2026-03-09T00:00:00.000Z"
PASSWORD = "pw-123 x"
PEOPLE = ("replies-positive", "opens", "silent", "clicks")
SCHEDULE = {
    "timezone": "UTC", "days_of_the_week": [0, 1, 2, 3, 4, 5, 6], "start_hour": "00:01", "end_hour": "23:59",
    "min_time_btw_emails": 3, "max_new_leads_per_day": 50, "schedule_start_time": None,
}  # fmt: skip
STEP = {
    "id": None, "seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hello",
    "email_body": "<div>x</div>", "variant_distribution_type": "MANUAL_EQUAL",
    "seq_variants": [
        {"id": None, "subject": "Hello A", "email_body": "<div>a</div>", "variant_label": "A"},
        {"id": None, "subject": "Hello B", "email_body": "<div>b</div>", "variant_label": "B"},
    ],
}  # fmt: skip


@dataclass
class Bench:
    sandbox: Sandbox
    means: Means
    calls: MemoryCalls

    def done(self, vendor: str) -> set[str]:
        return {call.operation for call in self.calls.made if call.vendor == vendor and call.status[0] == "2"}


@pytest.fixture
async def bench(sandbox: Sandbox) -> AsyncIterator[Bench]:
    calls = MemoryCalls()
    means = Means(
        journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=calls,
        patience=Patience(first_wait=0.01),
    )  # fmt: skip
    yield Bench(sandbox, means, calls)


async def every(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


def wanted(vendor: str) -> set[str]:
    """Names of the operations behind the Yes rows."""
    names = {row: name for row, name, _, _ in operations(vendor)}
    return {names[row["row"]] for row in index(vendor) if row["support"] == "Yes" and row["method"] != "-"}


async def test_smartlead(bench: Bench) -> None:
    told = bench.sandbox.info["smartlead"]
    client = get_smartlead_client(
        told["api_key"], bench.means, base_url=told["base_url"], delivery_base_url=told["delivery_base_url"]
    )
    account = await mailboxes(client, bench.sandbox)
    campaign, ids = await a_campaign(client, account)
    await hooks(client, campaign)
    await client.start_campaign(campaign)
    bench.sandbox.advance(days=3)
    await numbers(client, campaign, ids, account)
    await leads(client, campaign, ids)
    await placement(client, campaign, bench.sandbox)
    await leave(client, campaign, account)
    await client.close()
    assert wanted("smartlead") - bench.done("smartlead") == set()
    assert len(wanted("smartlead")) == 77


async def mailboxes(client: SmartleadClient, sandbox: Sandbox) -> int:
    """Connected, read, changed, warmed, tagged, suspended and back; the address of the account used later is ada@."""
    host, domain = sandbox.info["mailhost"], "brightwater-mailfleet-demo.com"
    made: list[int] = []
    for name in ("ada", "bo"):
        address = f"{name}@{domain}"
        sandbox.control("POST", "/mailhost/accounts", {"address": address, "password": PASSWORD})
        fields = {
            "id": None, "from_name": name, "from_email": address, "user_name": address, "password": PASSWORD,
            **{each: host[each] for each in ("smtp_host", "smtp_port", "imap_host", "imap_port")},
            "smtp_port_type": "TLS", "warmup_enabled": False, "max_email_per_day": 40,
        }  # fmt: skip
        made.append(await client.create_email_account(fields))
    account = made[0]
    token = {"scope": "mail", "expiry_date": 1, "access_token": "a", "refresh_token": "r"}
    oauth = {"from_email": f"cy@{domain}", "from_name": "Cy", "type": "GMAIL", "token": token}
    by_token = await client.mailboxes.save_oauth(Hidden(oauth))
    assert (await client.mailboxes.get(by_token)).from_email == f"cy@{domain}"
    await client.mailboxes.update(account, max_email_per_day=37, time_to_wait_in_mins=7)
    await client.configure_warmup(
        account, warmup_enabled=True, total_warmup_per_day=20, daily_rampup=5, reply_rate_percentage=30
    )
    assert await client.get_warmup_status(made[1]) is None
    stats = await client.get_warmup_status(account)
    assert stats is not None and stats.sent_count >= 0
    await client.mailboxes.suspend(made[1])
    assert (await client.mailboxes.get(made[1])).is_suspended
    await client.mailboxes.unsuspend(made[1])
    tag = await client.mailboxes.create_tag("hot", "#ff0000")
    assert tag.id is not None
    await client.mailboxes.tag([account], [tag.id])
    assert [each.id for each in (await client.mailboxes.get(account, tags=True)).tags or []] == [tag.id]
    await client.mailboxes.untag([account], [tag.id])
    for _ in range(3):
        await client.mailboxes.reconnect_failed()
    assert isinstance(await caught(client.mailboxes.reconnect_failed()), RateLimited)
    found = await client.mailboxes.get(account)
    assert (found.message_per_day, found.warmup_details and found.warmup_details.reputation) == (37, 100)
    listed = {each.from_email: each for each in await client.list_email_accounts()}
    assert listed[f"ada@{domain}"].min_wait == 7
    return account


async def a_campaign(client: SmartleadClient, account: int) -> tuple[int, dict[str, int]]:
    campaign = await client.create_campaign("Pilot A")
    await client.campaigns.set_schedule(campaign, **SCHEDULE)
    await client.campaigns.set_settings(
        campaign, track_settings=["DONT_TRACK_EMAIL_OPEN"], bounce_autopause_threshold="8"
    )
    await client.campaigns.set_sequences(campaign, [STEP])
    (step,) = await client.campaigns.sequences(campaign)
    assert [each.variant_label for each in step.sequence_variants or []] == ["A", "B"]
    await client.campaigns.add_mailboxes(campaign, [account])
    assert [each.id for each in await client.campaigns.mailboxes(campaign)] == [account]
    people = [{"email": f"{name}@target-mfdemo.com", "first_name": name} for name in PEOPLE]
    (added,) = await client.add_leads_to_campaign(campaign, [*people, {"email": "broken@@x"}])
    assert (added.total_leads, added.invalid_emails) == (4, ["broken@@x"])
    (again,) = await client.add_leads_to_campaign(campaign, people)
    assert again.total_leads == 0
    read = await client.get_campaign(campaign)
    assert (read.status, read.track_settings, read.min_time_btwn_emails) == ("DRAFTED", ["DONT_EMAIL_OPEN"], 3)
    assert added.ids is not None
    return campaign, {email.partition("@")[0]: id for email, id in added.ids.added.items()}


async def hooks(client: SmartleadClient, campaign: int) -> None:
    made = await client.configure_webhook(campaign, "http://127.0.0.1:9/sl")
    assert await client.configure_webhook(campaign, "http://127.0.0.1:9/sl") == made
    assert [each.id for each in await client.webhooks.of(campaign)] == [made]
    assert "total_calls" in await client.webhooks.summary(campaign, T1, T2)
    await client.webhooks.retrigger(campaign, T1, T2)
    assert made is not None
    await client.webhooks.delete(campaign, made)
    account_hook = await client.webhooks.create("http://127.0.0.1:9/all", name="account")
    assert account_hook is not None
    await client.webhooks.update(account_hook, webhook_url="http://127.0.0.1:9/new")
    assert "http://127.0.0.1:9/new" in str(await client.webhooks.get(account_hook))
    await client.webhooks.remove(account_hook)
    assert isinstance(await caught(client.webhooks.get(account_hook)), NotFound)


async def numbers(client: SmartleadClient, campaign: int, ids: dict[str, int], account: int) -> None:
    """Three days on: all were written to once, one of them answered; each way of counting says so."""
    rows = await every(client.statistics.messages(campaign))
    assert len(rows) == 4 and sum(row.reply_time is not None for row in rows) == 1
    assert (await client.statistics.totals(campaign)).sent_count == 4
    start, end = date(2026, 3, 1), date(2026, 3, 9)
    assert (await client.statistics.by_date(campaign, start, end)).sent_count == 4
    assert [row.sent_count for row in await every(client.statistics.by_mailbox(campaign))] == [4]
    at = datetime(2026, 3, 1, tzinfo=UTC)
    (step,) = await client.statistics.by_sequence(campaign, at, at + timedelta(days=8), "UTC")
    assert step.sent_count == 4
    assert await client.statistics.domain_health(start, end)
    assert campaign in [each.id for each in await client.statistics.by_campaign(start, end)]
    history = await client.statistics.history(campaign, ids["replies-positive"])
    assert [each.type for each in history] == ["SENT", "REPLY"]
    last = history[-1]
    assert last.stats_id is not None
    assert "queue" in await client.statistics.reply(campaign, ids["replies-positive"], last.stats_id, "thanks")
    assert "replies-positive@" in await client.campaigns.export_leads(campaign)


async def leads(client: SmartleadClient, campaign: int, ids: dict[str, int]) -> None:
    listed = {row.lead.email.partition("@")[0]: row for row in await every(client.get_campaign_leads(campaign))}
    assert set(listed) == set(PEOPLE)
    who = "silent@target-mfdemo.com"
    await client.leads.update(campaign, ids["silent"], who, first_name="Changed")
    found = await client.leads.get(ids["silent"])
    assert found is not None and found.first_name == "Changed"
    known = await client.get_lead_by_email(who)
    assert known is not None and [each.campaign_id for each in known.lead_campaign_data] == [campaign]
    assert await client.get_lead_by_email("nobody@target-mfdemo.com") is None
    assert [each["id"] for each in await client.leads.campaigns_of(ids["silent"])] == [campaign]
    assert len(await every(client.leads.everywhere())) == 4
    await client.leads.set_category(campaign, ids["opens"], (await client.leads.categories())[0].id)
    await client.update_lead_status(campaign, "clicks@target-mfdemo.com", "paused")
    assert await caught(client.leads.resume(campaign, ids["replies-positive"])) is not None
    await client.leads.unsubscribe_from(campaign, ids["opens"])
    await client.leads.unsubscribe(ids["clicks"])
    await client.leads.delete(campaign, ids["silent"])
    await client.leads.block(["gone.example", "p@y.example"])
    blocked = await every(client.leads.blocked())
    await client.leads.unblock(next(each.id for each in blocked if each.email_or_domain == "gone.example"))
    assert "gone.example" not in [each.email_or_domain for each in await every(client.leads.blocked())]
    await client.leads.add(campaign, [{"email": "later@target-mfdemo.com"}])
    later = await client.get_lead_by_email("later@target-mfdemo.com")
    assert later is not None
    await client.leads.pause(campaign, later.id)
    await client.leads.resume(campaign, later.id)


async def placement(client: SmartleadClient, campaign: int, sandbox: Sandbox) -> None:
    senders = ["ada@brightwater-mailfleet-demo.com"]
    assert await client.delivery.seed_providers()
    (step,) = await client.campaigns.sequences(campaign)
    of = {"campaign_id": campaign, "sequence_mapping_id": step.id}
    test = await client.delivery.start("first", senders, [20], **of)
    planned = await client.delivery.schedule("second", senders, [20], **of)
    await client.delivery.stop(planned.id)
    sandbox.advance(seconds=3 * 3600)
    assert (await client.delivery.get(test.id)).test_type == "manual"
    assert "first" in str(await client.delivery.list())
    for section in ("dkim-details", "spf-details", "rdns-details", "sender-account-wise", "blacklist"):
        await client.delivery.section(test.id, section)
    await client.delivery.by_provider(test.id)
    await client.delivery.by_group(test.id)
    rows = await client.delivery.section(test.id, "sender-account-wise")
    await client.delivery.headers(test.id, reply_of(rows))
    await client.delivery.mailboxes()
    await client.delivery.mailbox_counts()
    await client.delivery.delete([planned.id])


def reply_of(rows: Any) -> str:
    """The first id in a section's rows: what the headers of one received mail are asked by."""
    if isinstance(rows, dict):
        for name, value in rows.items():
            if name in ("reply_id", "replyId", "id") and isinstance(value, int | str):
                return str(value)
        rows = list(rows.values())
    for each in rows if isinstance(rows, list) else []:
        if isinstance(each, dict | list) and (found := reply_of(each)):
            return found
    return ""


async def leave(client: SmartleadClient, campaign: int, account: int) -> None:
    await client.pause_campaign(campaign)
    assert (await client.get_campaign(campaign)).status == "PAUSED"
    await client.campaigns.remove_mailboxes(campaign, [account])
    copy = await client.campaigns.duplicate(campaign)
    assert copy in [each.id for each in await client.list_campaigns()]
    await client.campaigns.delete(copy)
    client_id = await client.clients.create("Client C", "c@c.example", Hidden("p4ssword"))
    assert client_id in [each.id for each in await client.clients.list()]


async def test_the_other_vendors(bench: Bench) -> None:
    info, domain = bench.sandbox.info, "outreach-seven-mailfleet-demo.com"
    cloud, name, posts, sms = (info[vendor] for vendor in ("cloudflare", "namecheap", "slack", "twilio"))
    registrar = NamecheapClient(
        bench.means, api_user=name["api_user"], key=Secret(name["api_key"]), username=name["username"],
        client_ip=name["client_ip"], base_url=name["base_url"],
    )  # fmt: skip
    assert (await registrar.check(domain)).available
    assert (await registrar.register(domain, CONTACT)).order_id
    assert await registrar.owned(domain)
    zones = CloudflareClient(
        Secret(cloud["api_token"]), bench.means, account_id=cloud["account_id"], base_url=cloud["base_url"]
    )
    assert await zones.verify_token() == "active"
    bench.sandbox.advance(days=1)
    zone = await zones.create_zone(domain)
    assert zone.status == "pending" and zone.name_servers
    await registrar.set_nameservers(domain, zone.name_servers)
    assert set(await registrar.nameservers(domain)) == {each.lower() for each in zone.name_servers}
    await zones.check_activation(zone.id)
    bench.sandbox.advance(days=2)
    assert (await zones.zone(zone.id)).status == "active"
    assert [each.id for each in await zones.zones(domain)] == [zone.id]
    mx = {"type": "MX", "name": domain, "content": "mx.host.example", "priority": 10}
    await zones.batch(zone.id, posts=[mx])
    assert [each.type for each in await zones.records(zone.id)] == ["MX"]
    both = [
        SlackClient(bench.means, token=Secret(posts["bot_token"]), base_url=posts["base_url"]),
        SlackClient(bench.means, webhook=Secret(posts["webhook_url"])),
    ]
    for slack in both:
        await slack.post("#alerts", "Pilot A is paused")
    assert isinstance(await caught(both[0].post("no-such-channel", "x")), NotFound)
    texts = TwilioClient(
        bench.means, account_sid=sms["account_sid"], token=Secret(sms["auth_token"]), sender=sms["from_number"],
        base_url=sms["base_url"],
    )  # fmt: skip
    assert (await texts.send("+61400000000", "Pilot A is paused")).sid
    for each in (registrar, zones, *both, texts):
        await each.close()
    for vendor in set(NAMES) & {"cloudflare", "namecheap", "slack", "twilio"}:
        assert wanted(vendor) - bench.done(vendor) == set()
