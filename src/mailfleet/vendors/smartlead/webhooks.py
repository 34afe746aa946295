"""Webhooks of one campaign, and of the account."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import Webhook
from mailfleet.vendors.transport.operation import Operation

EVENTS = (
    "EMAIL_SENT",
    "EMAIL_OPEN",
    "EMAIL_LINK_CLICK",
    "EMAIL_REPLY",
    "EMAIL_BOUNCE",
    "LEAD_UNSUBSCRIBED",
    "LEAD_CATEGORY_UPDATED",
    "CAMPAIGN_STATUS_CHANGED",
)
LIST = Operation(  # smartlead:campaigns/webhooks
    name="list_webhooks", method="GET", path="/campaigns/{id}/webhooks"
)
SAVE = Operation(  # smartlead:campaigns/webhooks/save
    name="configure_webhook",
    method="POST",
    path="/campaigns/{id}/webhooks",
    reconcile="the webhooks of the campaign, matched on name",
)
DELETE = Operation(  # smartlead:campaigns/webhooks/delete
    name="delete_webhook",
    method="DELETE",
    path="/campaigns/{id}/webhooks",
    reconcile="the webhooks of the campaign, matched on the absence of the id",
)
SUMMARY = Operation(  # smartlead:campaigns/webhooks/summary
    name="get_webhook_summary", method="GET", path="/campaigns/{id}/webhooks/summary"
)
RETRIGGER = Operation(  # smartlead:campaigns/webhooks/retrigger
    name="retrigger_webhooks",
    method="POST",
    path="/campaigns/{id}/webhooks/retrigger-failed-events",
    reconcile="nothing to compare: a repeated delivery is recognised by its dedupe key",
)
CREATE = Operation(  # smartlead:webhook/create
    name="create_account_webhook",
    method="POST",
    path="/webhook/create",
    reconcile="none by reading (the account's hooks cannot be listed): a second hook repeats events, which are "
    "recognised by their dedupe key",
)
GET = Operation(name="get_account_webhook", method="GET", path="/webhook/{id}")  # smartlead:webhook/get
UPDATE = Operation(  # smartlead:webhook/update
    name="update_account_webhook",
    method="PUT",
    path="/webhook/update/{id}",
    reconcile="the webhook by id, matched on webhook_url",
)
REMOVE = Operation(  # smartlead:webhook/delete
    name="delete_account_webhook",
    method="DELETE",
    path="/webhook/delete/{id}",
    reconcile="the webhook by id, matched on its absence",
)


class _Saved(msgspec.Struct, frozen=True):
    id: int | None = None


def address_mark(url: str) -> str:
    """Stands for an address in the journal: the address itself holds the receiver's token."""
    return hashlib.blake2b(url.encode(), digest_size=8, person=b"mailfleet").hexdigest()


class Webhooks(Area):
    """`/campaigns/{id}/webhooks` and `/webhook`."""

    async def of(self, campaign: int | str) -> Sequence[Webhook]:
        return await self.transport.ask(LIST, list[Webhook], at={"id": campaign})

    async def save(
        self,
        campaign: int | str,
        url: str,
        *,
        name: str,
        events: Sequence[str] = EVENTS,
        categories: Sequence[str],
        id: int | None = None,
    ) -> int | None:
        """`categories` must not be empty: the vendor refuses that live."""
        body = {"id": id, "name": name, "webhook_url": url, "event_types": list(events)}
        body["categories"] = list(categories)
        match = {"id": campaign, "name": name, "address": address_mark(url)}
        saved = await self.transport.ask(SAVE, _Saved, at={"id": campaign}, body=body, match=match)
        return saved.id

    async def delete(self, campaign: int | str, webhook: int) -> None:
        match = {"id": campaign, "webhook": webhook}
        await self.transport.call(DELETE, at={"id": campaign}, body={"id": webhook}, match=match)

    async def summary(self, campaign: int | str, start: str, end: str) -> Mapping[str, Any]:
        """Deliveries and failures between two ISO times with milliseconds and `Z`."""
        return (
            await self.transport.call(SUMMARY, at={"id": campaign}, query={"fromTime": start, "toTime": end})
        ).fields

    async def retrigger(self, campaign: int | str, start: str, end: str) -> None:
        await self.transport.call(RETRIGGER, at={"id": campaign}, body={"fromTime": start, "toTime": end})

    async def create(
        self, url: str, *, name: str, scope: Literal["user", "client", "campaign"] = "user", **fields: Any
    ) -> int | None:
        """An account hook takes priority over narrower ones for the same event."""
        kinds = fields.pop("events", EVENTS)
        body = {"webhook_url": url, "association_type": scope, "name": name, **fields}
        body["event_type_map"] = dict.fromkeys(kinds, True)
        return (await self.transport.ask(CREATE, _Saved, body=body, match={"name": name})).id

    async def get(self, webhook: int) -> Mapping[str, Any]:
        return (await self.transport.call(GET, at={"id": webhook})).fields

    async def update(self, webhook: int, **fields: Any) -> None:
        match: dict[str, Any] = {"webhook": webhook}
        if "webhook_url" in fields:
            match["address"] = address_mark(str(fields["webhook_url"]))
        await self.transport.call(UPDATE, at={"id": webhook}, body=fields, match=match)

    async def remove(self, webhook: int) -> None:
        await self.transport.call(REMOVE, at={"id": webhook}, match={"webhook": webhook})
