"""What is asked of Smartlead to see whether it answers as written. Without `write` nothing is changed there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from mailfleet.vendors.probe import Probe
from mailfleet.vendors.smartlead.client import SmartleadClient
from mailfleet.vendors.smartlead.models import Lead

T = TypeVar("T")
MOST = 50
STEP = {"id": None, "seq_number": 1, "seq_delay_details": {"delay_in_days": 0}, "subject": "s", "email_body": "b"}
SCHEDULE = {
    "timezone": "UTC", "days_of_the_week": [1], "start_hour": "09:00", "end_hour": "10:00", "min_time_btw_emails": 10,
    "max_new_leads_per_day": 1,
}  # fmt: skip


async def run(client: SmartleadClient, probe: Probe, today: date, *, write: bool) -> None:
    accounts = await probe.look("email-accounts/list", lambda: some(client.mailboxes.list()))
    for account in islice(accounts or [], 1):
        await probe.look("email-accounts/get", lambda id=account.id: client.mailboxes.get(id, tags=True))
        await probe.look("email-accounts/warmup-stats", lambda id=account.id: client.get_warmup_status(id))
    campaigns = await probe.look("campaigns/list", client.campaigns.list)
    for campaign in islice(campaigns or [], 1):
        await _campaign(client, probe, campaign.id, today)
    await probe.look("leads/fetch-categories", client.leads.categories)
    await probe.look("leads/global", lambda: some(client.leads.everywhere()))
    await probe.look("block-list/get", lambda: some(client.leads.blocked()))
    await probe.look("client/list", client.clients.list)
    month = today - timedelta(days=29)
    await probe.look("analytics/domain-wise-health-metrics", lambda: client.statistics.domain_health(month, today))
    await probe.look("delivery/seeds", client.delivery.seed_providers)
    await probe.look("delivery/list", client.delivery.list)
    if write:
        await _write(client, probe, f"mailfleet verify {datetime.now(UTC):%Y-%m-%d %H:%M:%S}")


async def _campaign(client: SmartleadClient, probe: Probe, id: int, today: date) -> None:
    start, end = today - timedelta(days=29), today
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (start, end))
    await probe.look("campaigns/get", lambda: client.campaigns.get(id))
    await probe.look("campaigns/sequences", lambda: client.campaigns.sequences(id))
    await probe.look("campaigns/email-accounts", lambda: client.campaigns.mailboxes(id))
    await probe.look("campaigns/webhooks", lambda: client.webhooks.of(id))
    await probe.look("campaigns/statistics", lambda: some(client.statistics.messages(id)))
    await probe.look("campaigns/analytics", lambda: client.statistics.totals(id))
    await probe.look("campaigns/analytics-by-date", lambda: client.statistics.by_date(id, start, end))
    await probe.look("campaigns/mailbox-statistics", lambda: some(client.statistics.by_mailbox(id)))
    await probe.look("campaigns/sequence-analytics", lambda: client.statistics.by_sequence(id, first, last, "UTC"))
    leads = await probe.look("campaigns/leads", lambda: some(client.leads.of(id)))
    for row in islice(leads or [], 1):
        await _lead(client, probe, id, row.lead)


async def _lead(client: SmartleadClient, probe: Probe, campaign: int, lead: Lead) -> None:
    await probe.look("leads/by-email", lambda: client.leads.by_email(lead.email))
    await probe.look("leads/get", lambda: client.leads.get(lead.id))
    await probe.look("leads/campaigns", lambda: client.leads.campaigns_of(lead.id))
    await probe.look("campaigns/leads/message-history", lambda: client.statistics.history(campaign, lead.id))


async def _write(client: SmartleadClient, probe: Probe, name: str) -> None:
    """A draft campaign of its own, written, read back and deleted again."""
    made = await probe.look("campaigns/create", lambda: client.campaigns.create(name))
    if not made:
        return
    await probe.look("campaigns/schedule", lambda: client.campaigns.set_schedule(made, **SCHEDULE))
    settings: dict[str, Any] = {"track_settings": ["DONT_TRACK_EMAIL_OPEN"], "follow_up_percentage": 40}
    await probe.look("campaigns/settings", lambda: client.campaigns.set_settings(made, **settings))
    await probe.look("campaigns/sequences/save", lambda: client.campaigns.set_sequences(made, [STEP]))
    await probe.look("campaigns/sequences", lambda: client.campaigns.sequences(made))
    await probe.look("campaigns/get", lambda: client.campaigns.get(made))
    await probe.look("campaigns/delete", lambda: client.campaigns.delete(made))


async def some(rows: AsyncIterator[T]) -> list[T]:
    """The first rows: enough to see their shape, whatever the size of the account."""
    found: list[T] = []
    async for row in rows:
        found.append(row)
        if len(found) >= MOST:
            break
    return found
