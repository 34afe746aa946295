"""Leads: into a campaign, through it, out of it; categories and the block list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import (
    AddedLeads,
    Blocked,
    CampaignLead,
    Category,
    KnownLead,
    Lead,
)
from mailfleet.vendors.transport.operation import Operation

MOST_AT_ONCE = 400
BATCH = 100
"""Older published limits are 350 and 100: a hundred satisfies all (smartlead:campaigns/leads/add)."""
PAGE = 100
BLOCK_PAGE = 1000
SETTINGS: Mapping[str, bool] = {
    "ignore_global_block_list": False,
    "ignore_unsubscribe_list": False,
    "ignore_community_bounce_list": False,
    "ignore_duplicate_leads_in_other_campaign": False,
    "return_lead_ids": True,
}
"""`ignore_…_list: false` = the list applies. `ignore_duplicate_…: true` would leave out who is in another campaign."""
ADD = Operation(  # smartlead:campaigns/leads/add
    name="add_leads_to_campaign",
    method="POST",
    path="/campaigns/{id}/leads",
    reconcile="the leads of the campaign, matched on address",
    timeout=60,
)
LIST = Operation(  # smartlead:campaigns/leads
    name="get_campaign_leads", method="GET", path="/campaigns/{id}/leads"
)
UPDATE = Operation(  # smartlead:campaigns/leads/update
    name="update_lead",
    method="POST",
    path="/campaigns/{id}/leads/{lead}",
    reconcile="the leads of the campaign, matched on id and the fields written",
)
PAUSE = Operation(  # smartlead:campaigns/leads/pause
    name="pause_lead",
    method="POST",
    path="/campaigns/{id}/leads/{lead}/pause",
    reconcile="the leads of the campaign, matched on id and status PAUSED",
)
RESUME = Operation(  # smartlead:campaigns/leads/resume
    name="resume_lead",
    method="POST",
    path="/campaigns/{id}/leads/{lead}/resume",
    reconcile="the leads of the campaign, matched on id and a status other than PAUSED",
)
DELETE = Operation(  # smartlead:campaigns/leads/delete
    name="delete_lead",
    method="DELETE",
    path="/campaigns/{id}/leads/{lead}",
    reconcile="the leads of the campaign, matched on the absence of the id",
)
UNSUBSCRIBE = Operation(  # smartlead:campaigns/leads/unsubscribe
    name="unsubscribe_lead_from_campaign",
    method="POST",
    path="/campaigns/{id}/leads/{lead}/unsubscribe",
    reconcile="the campaign's leads filtered by is_unsubscribed, matched on id",
)
UNSUBSCRIBE_ALL = Operation(  # smartlead:leads/unsubscribe
    name="unsubscribe_lead",
    method="POST",
    path="/leads/{lead}/unsubscribe",
    reconcile="the lead by id, matched on is_unsubscribed",
)
CATEGORY = Operation(  # smartlead:campaigns/leads/category
    name="set_lead_category",
    method="POST",
    path="/campaigns/{id}/leads/{lead}/category",
    reconcile="the leads of the campaign, matched on id and lead_category_id",
)
BY_EMAIL = Operation(name="get_lead_by_email", method="GET", path="/leads/")  # smartlead:leads/by-email
BY_ID = Operation(name="get_lead", method="GET", path="/leads/{lead}")  # smartlead:leads/get
GLOBAL = Operation(name="list_global_leads", method="GET", path="/leads/global-leads")  # smartlead:leads/global
CAMPAIGNS_OF = Operation(  # smartlead:leads/campaigns
    name="get_campaigns_of_lead", method="GET", path="/leads/{lead}/campaigns"
)
CATEGORIES = Operation(  # smartlead:leads/fetch-categories
    name="get_categories", method="GET", path="/leads/fetch-categories"
)
BLOCK = Operation(  # smartlead:block-list/add
    name="add_to_block_list",
    method="POST",
    path="/leads/add-domain-block-list",
    reconcile="the block list by filter_email_or_domain, matched on each entry",
)
BLOCK_LIST = Operation(  # smartlead:block-list/get
    name="get_block_list", method="GET", path="/leads/get-domain-block-list"
)
UNBLOCK = Operation(  # smartlead:block-list/delete
    name="delete_from_block_list",
    method="DELETE",
    path="/leads/delete-domain-block-list",
    reconcile="the block list, matched on the absence of the id",
)


class _One(msgspec.Struct, frozen=True):
    """`GET /leads/{id}` wraps its one lead in a list."""

    data: list[Lead]


class Leads(Area):
    """`/campaigns/{id}/leads` and `/leads`."""

    async def add(
        self, campaign: int | str, leads: Sequence[Mapping[str, Any]], settings: Mapping[str, bool] = SETTINGS
    ) -> AddedLeads:
        """One batch of at most 400. Known addresses are a success with counters, never a conflict."""
        if len(leads) > MOST_AT_ONCE:
            raise ValueError(f"{len(leads)} leads at once; Smartlead takes {MOST_AT_ONCE}.")
        match = {"id": campaign, "emails": [lead["email"] for lead in leads]}
        body = {"lead_list": list(leads), "settings": dict(settings)}
        return await self.transport.ask(
            ADD, AddedLeads, at={"id": campaign}, body=body, match=match, journaled={"leads": len(leads)}
        )

    def of(self, campaign: int | str, **filters: Any) -> AsyncIterator[CampaignLead]:
        """Every lead of the campaign; `status`, `emailStatus` (`is_spam`, …), `event_time_gt` narrow it."""
        return self._pages(LIST, CampaignLead, PAGE, rows="data", at={"id": campaign}, query=filters)

    async def update(self, campaign: int | str, lead: int | str, email: str, **fields: Any) -> None:
        """`email` is required by the vendor even when unchanged."""
        body = {"email": email, **fields}
        match = {"id": campaign, "lead": lead, **body}
        await self.transport.call(UPDATE, at={"id": campaign, "lead": lead}, body=body, match=match)

    async def pause(self, campaign: int | str, lead: int | str) -> None:
        at = {"id": campaign, "lead": lead}
        await self.transport.call(PAUSE, at=at, match={**at, "status": "PAUSED"}, urgent=True)

    async def resume(self, campaign: int | str, lead: int | str, delay_days: int = 0) -> None:
        """Raises `Conflict` after the last step."""
        at = {"id": campaign, "lead": lead}
        body = {"resume_lead_with_delay_days": delay_days} if delay_days else {}
        await self.transport.call(RESUME, at=at, body=body, match={**at, "status": "INPROGRESS"})

    async def delete(self, campaign: int | str, lead: int | str) -> None:
        """Out of this campaign; the lead itself goes too when it is in no other."""
        at = {"id": campaign, "lead": lead}
        await self.transport.call(DELETE, at=at, match=at, urgent=True)

    async def unsubscribe_from(self, campaign: int | str, lead: int | str) -> None:
        at = {"id": campaign, "lead": lead}
        await self.transport.call(UNSUBSCRIBE, at=at, match=at, urgent=True)

    async def unsubscribe(self, lead: int | str) -> None:
        """From every campaign."""
        await self.transport.call(UNSUBSCRIBE_ALL, at={"lead": lead}, match={"lead": lead}, urgent=True)

    async def set_category(
        self, campaign: int | str, lead: int | str, category: int | None, *, pause: bool = False
    ) -> None:
        at = {"id": campaign, "lead": lead}
        body = {"category_id": category, "pause_lead": pause}
        await self.transport.call(CATEGORY, at=at, body=body, match={**at, **body})

    async def by_email(self, email: str) -> KnownLead | None:
        """The vendor answers `{}`, not 404, when it does not know the address."""
        found = await self.transport.ask(BY_EMAIL, KnownLead, query={"email": email})
        return found if found.id else None

    async def get(self, lead: int | str) -> Lead | None:
        found = await self.transport.ask(BY_ID, _One, at={"lead": lead})
        return found.data[0] if found.data else None

    def everywhere(self) -> AsyncIterator[Lead]:
        """Every lead of the account, in `data` or its `leads`: the published forms differ (smartlead:leads/global)."""
        return self._pages(GLOBAL, Lead, PAGE, rows="data.leads")

    async def campaigns_of(self, lead: int | str) -> Sequence[Mapping[str, Any]]:
        return await self.transport.ask(CAMPAIGNS_OF, list[dict[str, Any]], at={"lead": lead})

    async def categories(self) -> Sequence[Category]:
        """Ids differ between accounts: look them up by name."""
        return await self.transport.ask(CATEGORIES, list[Category])

    async def block(self, entries: Sequence[str]) -> None:
        """Addresses and domains go onto one list."""
        body = {"domain_block_list": list(entries), "client_id": None}
        await self.transport.call(BLOCK, body=body, match={"entries": list(entries)}, urgent=True)

    def blocked(self, only: str | None = None) -> AsyncIterator[Blocked]:
        query = {"filter_email_or_domain": only}
        return self._pages(BLOCK_LIST, Blocked, BLOCK_PAGE, query=query)

    async def unblock(self, entry: int | str) -> None:
        await self.transport.call(UNBLOCK, query={"id": entry}, match={"entry": entry})
