"""Every Yes row of the index: our client makes the documented call and understands the documented answer."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.vendors.wires import Bench, ok, script, text

import mailfleet
from mailfleet.vendors.smartlead.client import SmartleadClient, get_smartlead_client
from mailfleet.vendors.transport.secret import Hidden

pytestmark = pytest.mark.anyio
HERE = Path(mailfleet.__file__).parent / "vendors" / "smartlead"
EXCHANGES: dict[str, dict[str, Any]] = tomllib.loads((HERE / "exchanges.toml").read_text())
C, L, M = 771200, 4155000001, 310044
T1, T2 = "2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z"
AT = datetime(2026, 3, 1, tzinfo=UTC)
ADA = {"from_email": "ada@outreach-one.example"}
SENDERS = ["ada@outreach-one.example"]


async def every(rows: Any) -> list[Any]:
    return [row async for row in rows]


STEP = {"id": None, "seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "Hello", "email_body": "b"}
SCHEDULE = json.loads(EXCHANGES["campaigns/schedule"]["sends"])
CALLS: dict[str, Callable[[SmartleadClient], Awaitable[Any]]] = {
    "email-accounts/list": lambda c: c.list_email_accounts(),
    "email-accounts/get": lambda c: c.mailboxes.get(M),
    "email-accounts/save": lambda c: c.create_email_account(
        {**ADA, "id": None, "user_name": "ada", "password": "p", "warmup_enabled": False}
    ),
    "email-accounts/save-oauth": lambda c: c.mailboxes.save_oauth({**ADA, "type": "GMAIL"}),
    "email-accounts/update": lambda c: c.mailboxes.update(M, max_email_per_day=30, time_to_wait_in_mins=5),
    "email-accounts/warmup": lambda c: c.configure_warmup(
        M, warmup_enabled=True, total_warmup_per_day=20, daily_rampup=5, reply_rate_percentage=30
    ),
    "email-accounts/warmup-stats": lambda c: c.get_warmup_status(M),
    "email-accounts/suspend": lambda c: c.mailboxes.suspend(M),
    "email-accounts/unsuspend": lambda c: c.mailboxes.unsuspend(M),
    "email-accounts/reconnect": lambda c: c.mailboxes.reconnect_failed(),
    "email-accounts/tag-mapping": lambda c: c.mailboxes.tag([M], [7]),
    "email-accounts/tag-mapping/delete": lambda c: c.mailboxes.untag([M], [7]),
    "tags/create": lambda c: c.mailboxes.create_tag("hot", "#ff0000"),
    "campaigns/list": lambda c: c.list_campaigns(),
    "campaigns/get": lambda c: c.get_campaign(C),
    "campaigns/create": lambda c: c.create_campaign("Pilot A"),
    "campaigns/delete": lambda c: c.campaigns.delete(C),
    "campaigns/status": lambda c: c.start_campaign(C),
    "campaigns/schedule": lambda c: c.campaigns.set_schedule(C, **SCHEDULE),
    "campaigns/settings": lambda c: c.campaigns.set_settings(
        C, track_settings=["DONT_TRACK_EMAIL_OPEN"], bounce_autopause_threshold="8"
    ),
    "campaigns/sequences": lambda c: c.campaigns.sequences(C),
    "campaigns/sequences/save": lambda c: c.campaigns.set_sequences(C, [STEP]),
    "campaigns/email-accounts": lambda c: c.campaigns.mailboxes(C),
    "campaigns/email-accounts/add": lambda c: c.campaigns.add_mailboxes(C, [M]),
    "campaigns/email-accounts/remove": lambda c: c.campaigns.remove_mailboxes(C, [M]),
    "campaigns/duplicate": lambda c: c.campaigns.duplicate(C),
    "campaigns/leads-export": lambda c: c.campaigns.export_leads(C),
    "campaigns/leads/add": lambda c: c.add_leads_to_campaign(C, [{"email": "bo@target.example"}]),
    "campaigns/leads": lambda c: every(c.get_campaign_leads(C)),
    "campaigns/leads/update": lambda c: c.leads.update(C, L, "bo@target.example", first_name="Bo"),
    "campaigns/leads/pause": lambda c: c.leads.pause(C, L),
    "campaigns/leads/resume": lambda c: c.leads.resume(C, L, 7),
    "campaigns/leads/delete": lambda c: c.leads.delete(C, L),
    "campaigns/leads/unsubscribe": lambda c: c.leads.unsubscribe_from(C, L),
    "campaigns/leads/category": lambda c: c.leads.set_category(C, L, 1),
    "campaigns/leads/message-history": lambda c: c.statistics.history(C, L),
    "leads/unsubscribe": lambda c: c.leads.unsubscribe(L),
    "leads/by-email": lambda c: c.get_lead_by_email("bo@target.example"),
    "leads/get": lambda c: c.leads.get(L),
    "leads/global": lambda c: every(c.leads.everywhere()),
    "leads/campaigns": lambda c: c.leads.campaigns_of(L),
    "leads/fetch-categories": lambda c: c.leads.categories(),
    "block-list/add": lambda c: c.leads.block(["x.example", "p@y.example"]),
    "block-list/get": lambda c: every(c.leads.blocked()),
    "block-list/delete": lambda c: c.leads.unblock(5),
    "campaigns/statistics": lambda c: every(c.statistics.messages(C)),
    "campaigns/analytics": lambda c: c.statistics.totals(C),
    "campaigns/analytics-by-date": lambda c: c.statistics.by_date(C, date(2026, 3, 1), date(2026, 3, 30)),
    "campaigns/mailbox-statistics": lambda c: every(c.statistics.by_mailbox(C)),
    "campaigns/sequence-analytics": lambda c: c.statistics.by_sequence(C, AT, AT, "UTC"),
    "analytics/campaign-overall-stats": lambda c: c.statistics.by_campaign(date(2026, 3, 1), date(2026, 3, 2)),
    "analytics/domain-wise-health-metrics": lambda c: c.statistics.domain_health(date(2026, 3, 1), date(2026, 3, 2)),
    "campaigns/reply-email-thread": lambda c: c.statistics.reply(
        C, L, "5b0d7f1e-2c6b-4d1a-9c1f-0c6f2c0a9e11", "thanks"
    ),
    "campaigns/webhooks": lambda c: c.webhooks.of(C),
    "campaigns/webhooks/save": lambda c: c.webhooks.save(
        C, "https://hooks.example/sl", name="ours", events=["EMAIL_SENT"], categories=["Interested"]
    ),
    "campaigns/webhooks/delete": lambda c: c.webhooks.delete(C, 100),
    "campaigns/webhooks/summary": lambda c: c.webhooks.summary(C, T1, T2),
    "campaigns/webhooks/retrigger": lambda c: c.webhooks.retrigger(C, T1, T2),
    "webhook/create": lambda c: c.webhooks.create("https://hooks.example/sl", name="ours"),
    "webhook/get": lambda c: c.webhooks.get(101),
    "webhook/update": lambda c: c.webhooks.update(101, webhook_url="https://hooks.example/new"),
    "webhook/delete": lambda c: c.webhooks.remove(101),
    "client/list": lambda c: c.clients.list(),
    "client/save": lambda c: c.clients.create("C", "c@c.example", Hidden("p")),
    "delivery/manual": lambda c: c.delivery.start("t", SENDERS, [20], campaign_id=C),
    "delivery/schedule": lambda c: c.delivery.schedule("t", SENDERS, [20]),
    "delivery/stop": lambda c: c.delivery.stop(9001),
    "delivery/list": lambda c: c.delivery.list(),
    "delivery/get": lambda c: c.delivery.get(9001),
    "delivery/delete": lambda c: c.delivery.delete([9001]),
    "delivery/providerwise": lambda c: c.delivery.by_provider(9001),
    "delivery/groupwise": lambda c: c.delivery.by_group(9001),
    "delivery/section": lambda c: c.delivery.section(9001, "dkim-details"),
    "delivery/email-headers": lambda c: c.delivery.headers(9001, "77"),
    "delivery/seeds": lambda c: c.delivery.seed_providers(),
    "delivery/mailboxes-summary": lambda c: c.delivery.mailboxes(),
    "delivery/mailboxes-count": lambda c: c.delivery.mailbox_counts(),
}


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    return whole == part


@pytest.mark.parametrize("row", sorted(CALLS))
async def test_the_documented_exchange_is_made_and_understood(row: str) -> None:
    exchange = EXCHANGES[row]
    reply = text(exchange["text"]) if "text" in exchange else ok(json.loads(exchange["answer"]))
    bench = Bench(script(reply))
    base, delivery = "https://server.example/api/v1", "https://delivery.example/api/v1/spam-test"
    client = get_smartlead_client("k", bench.means, base_url=base, delivery_base_url=delivery)
    await CALLS[row](client)
    request = bench.sent[0]
    prefix = delivery if row.startswith("delivery/") else base
    assert f"{request.method} {str(request.url).partition('?')[0]}" == exchange["call"].replace(" ", f" {prefix}", 1)
    assert request.url.params["api_key"] == "k"
    if "sends" in exchange:
        assert contains(json.loads(request.content), json.loads(exchange["sends"]))
    writes = request.method != "GET" and row not in ("delivery/list", "delivery/providerwise", "delivery/groupwise")
    assert bench.states() == (["done"] if writes else [])
