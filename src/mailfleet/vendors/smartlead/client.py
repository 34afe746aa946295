"""Smartlead under the specification's method names; the areas beneath have everything else (spec 2, V1, V7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from mailfleet.errors import NotFound
from mailfleet.vendors.smartlead import border
from mailfleet.vendors.smartlead.campaigns import Campaigns
from mailfleet.vendors.smartlead.clients import Clients
from mailfleet.vendors.smartlead.delivery import Delivery
from mailfleet.vendors.smartlead.leads import BATCH, Leads
from mailfleet.vendors.smartlead.mailboxes import Mailboxes
from mailfleet.vendors.smartlead.models import (
    AddedLeads,
    Campaign,
    CampaignLead,
    EmailAccount,
    KnownLead,
    WarmupStats,
)
from mailfleet.vendors.smartlead.statistics import Statistics
from mailfleet.vendors.smartlead.webhooks import EVENTS, Webhooks
from mailfleet.vendors.transport.operation import Vendor
from mailfleet.vendors.transport.secret import Hidden, Secret
from mailfleet.vendors.transport.transport import Means, Transport

LeadStatus = Literal["paused", "active", "unsubscribed", "removed"]


class SmartleadClient:
    """One account of Smartlead: one key, one budget, two hosts."""

    def __init__(self, main: Vendor, delivery: Vendor, means: Means) -> None:
        self.transport = Transport(main, means)
        self._delivery_transport = Transport(delivery, means)
        self.mailboxes = Mailboxes(self.transport)
        self.campaigns = Campaigns(self.transport)
        self.leads = Leads(self.transport)
        self.statistics = Statistics(self.transport)
        self.webhooks = Webhooks(self.transport)
        self.clients = Clients(self.transport)
        self.delivery = Delivery(self._delivery_transport)

    def __repr__(self) -> str:
        return f"SmartleadClient({self.transport.key_id})"

    async def close(self) -> None:
        await self.transport.close()
        await self._delivery_transport.close()

    async def list_email_accounts(self) -> Sequence[EmailAccount]:
        return [account async for account in self.mailboxes.list()]

    async def create_email_account(self, fields: Mapping[str, Any] | Hidden) -> int:
        return await self.mailboxes.save(fields)

    async def configure_warmup(self, account: int | str, **fields: Any) -> None:
        await self.mailboxes.configure_warmup(account, **fields)

    async def get_warmup_status(self, account: int | str) -> WarmupStats | None:
        """None: warm-up was never set up."""
        try:
            return await self.mailboxes.warmup_stats(account)
        except NotFound:
            return None

    async def create_campaign(self, name: str, client_id: int | None = None) -> int:
        return await self.campaigns.create(name, client_id)

    async def get_campaign(self, campaign: int | str) -> Campaign:
        return await self.campaigns.get(campaign)

    async def list_campaigns(self) -> Sequence[Campaign]:
        return await self.campaigns.list()

    async def add_leads_to_campaign(
        self, campaign: int | str, leads: Sequence[Mapping[str, Any]], *, batch: int = BATCH
    ) -> Sequence[AddedLeads]:
        """In batches; one result for each. Stops at the first batch that fails: what came before is done."""
        starts = range(0, len(leads), batch)
        return [await self.leads.add(campaign, leads[start : start + batch]) for start in starts]

    def get_campaign_leads(self, campaign: int | str, **filters: Any) -> AsyncIterator[CampaignLead]:
        return self.leads.of(campaign, **filters)

    async def start_campaign(self, campaign: int | str) -> None:
        await self.campaigns.set_status(campaign, "START")

    async def pause_campaign(self, campaign: int | str, *, urgent: bool = True) -> None:
        await self.campaigns.set_status(campaign, "PAUSED", urgent=urgent)

    async def get_lead_by_email(self, email: str) -> KnownLead | None:
        return await self.leads.by_email(email)

    async def update_lead_status(self, campaign: int | str, email: str, status: LeadStatus | str) -> None:
        """A status is a call of its own, by the lead's id (V7); any other word is a category's name."""
        lead = await self.leads.by_email(email)
        if lead is None:
            raise NotFound(
                f"Smartlead does not know {email}.",
                vendor="smartlead",
                operation="update_lead_status",
                hint="It was never added, or was removed from its last campaign.",
            )
        calls = {
            "paused": self.leads.pause,
            "active": self.leads.resume,
            "unsubscribed": self.leads.unsubscribe_from,
            "removed": self.leads.delete,
        }
        if call := calls.get(status):
            await call(campaign, lead.id)
        else:
            await self.leads.set_category(campaign, lead.id, await self._category(status))

    async def _category(self, name: str) -> int:
        known = {category.name.casefold(): category.id for category in await self.leads.categories()}
        if (found := known.get(name.casefold())) is None:
            raise NotFound(
                f"Smartlead has no lead status or category {name!r}.",
                vendor="smartlead",
                operation="update_lead_status",
                hint=f"One of: paused, active, unsubscribed, removed, {', '.join(sorted(known))}.",
            )
        return found

    async def configure_webhook(
        self,
        campaign: int | str,
        url: str,
        *,
        name: str = "mailfleet",
        events: Sequence[str] = EVENTS,
        renew: bool = False,
    ) -> int | None:
        """One hook of this name and address a campaign, however often this is called. Saving switches it on again."""
        old, *extra = [hook for hook in await self.webhooks.of(campaign) if hook.name == name] or [None]
        for each in filter(None, extra):
            await self.webhooks.delete(campaign, each.id)
        if old and not renew and old.webhook_url == url and set(events) <= (old.names or set(events)):
            return old.id
        categories = [category.name for category in await self.leads.categories()]
        return await self.webhooks.save(
            campaign, url, name=name, events=events, categories=categories or ["Interested"], id=old and old.id
        )


def get_smartlead_client(
    api_key: str,
    means: Means,
    *,
    base_url: str = border.BASE_URL,
    delivery_base_url: str = border.DELIVERY_URL,
    plan: str = "standard",
) -> SmartleadClient:
    """A client for one key. Both hosts share the key's budget; each has its own circuit."""
    key = Secret(api_key)
    return SmartleadClient(
        border.vendor(key, base_url=base_url, plan=plan),
        border.vendor(key, base_url=delivery_base_url, plan=plan, circuit="smartdelivery"),
        means,
    )
