"""Campaigns: state, schedule, settings, sequences, mailboxes. Names differ between writing and reading (quirks.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mailfleet.errors import VendorError
from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import Campaign, CreatedCampaign, Duplicated, EmailAccount
from mailfleet.vendors.smartlead.models import Sequence as Step
from mailfleet.vendors.transport.operation import Operation

Status = Literal["START", "PAUSED", "STOPPED"]
READ_AS: Mapping[str, str] = {"START": "ACTIVE", "PAUSED": "PAUSED", "STOPPED": "STOPPED"}
NO_OPENS, NO_CLICKS, NO_REPLIES = (
    "DONT_TRACK_EMAIL_OPEN",
    "DONT_TRACK_LINK_CLICK",
    "DONT_TRACK_REPLY_TO_AN_EMAIL",
)
"""Only the long form is safe to write; it is read back as `DONT_EMAIL_OPEN` … (smartlead:campaigns/settings)."""
LIST = Operation(name="list_campaigns", method="GET", path="/campaigns/")  # smartlead:campaigns/list
GET = Operation(name="get_campaign", method="GET", path="/campaigns/{id}")  # smartlead:campaigns/get
CREATE = Operation(  # smartlead:campaigns/create
    name="create_campaign",
    method="POST",
    path="/campaigns/create",
    reconcile="list of campaigns, matched on name, created after the intent and linked to nothing of ours",
)
STATUS = Operation(  # smartlead:campaigns/status
    name="set_campaign_status",
    method="POST",
    path="/campaigns/{id}/status",
    reconcile="the campaign by id, matched on status",
)
SCHEDULE = Operation(  # smartlead:campaigns/schedule
    name="set_campaign_schedule",
    method="POST",
    path="/campaigns/{id}/schedule",
    reconcile="the campaign by id, matched on scheduler_cron_value, min_time_btwn_emails, max_leads_per_day",
)
SETTINGS = Operation(  # smartlead:campaigns/settings
    name="set_campaign_settings",
    method="POST",
    path="/campaigns/{id}/settings",
    reconcile="the campaign by id, matched on the settings written, under their names when read",
)
SEQUENCES = Operation(  # smartlead:campaigns/sequences
    name="get_sequences", method="GET", path="/campaigns/{id}/sequences"
)
SET_SEQUENCES = Operation(  # smartlead:campaigns/sequences/save
    name="set_sequences",
    method="POST",
    path="/campaigns/{id}/sequences",
    reconcile="the sequences of the campaign, matched on seq_number and subject",
)
MAILBOXES = Operation(  # smartlead:campaigns/email-accounts
    name="get_campaign_mailboxes", method="GET", path="/campaigns/{id}/email-accounts"
)
ADD_MAILBOXES = Operation(  # smartlead:campaigns/email-accounts/add
    name="add_campaign_mailboxes",
    method="POST",
    path="/campaigns/{id}/email-accounts",
    reconcile="the mailboxes of the campaign, matched on id",
)
REMOVE_MAILBOXES = Operation(  # smartlead:campaigns/email-accounts/remove
    name="remove_campaign_mailboxes",
    method="DELETE",
    path="/campaigns/{id}/email-accounts",
    reconcile="the mailboxes of the campaign, matched on the absence of the ids",
)
DUPLICATE = Operation(  # smartlead:campaigns/duplicate
    name="duplicate_campaign",
    method="POST",
    path="/campaigns/{id}/duplicate",
    reconcile="list of campaigns, those created after the intent that bear the name of the copied one",
)
EXPORT = Operation(  # smartlead:campaigns/leads-export
    name="export_leads", method="GET", path="/campaigns/{id}/leads-export", timeout=60
)
DELETE = Operation(  # smartlead:campaigns/delete
    name="delete_campaign",
    method="DELETE",
    path="/campaigns/{id}",
    reconcile="list of campaigns, matched on the absence of the id",
)


class Campaigns(Area):
    """`/campaigns`."""

    async def list(self, *, whole: bool = True) -> Sequence[Campaign]:
        """All at once, newest first: the vendor does not page this list.

        `whole` raises `Drift` when one of them does not fit; else the others are given, for those who conclude nothing
        from a campaign that is missing.
        """
        found = await self.transport.rows(LIST, Campaign)
        if found.drift and whole:
            raise found.drift
        return found.good

    async def get(self, campaign: int | str) -> Campaign:
        return await self.transport.ask(GET, Campaign, at={"id": campaign})

    async def create(self, name: str, client_id: int | None = None) -> int:
        body = {"name": name, **({"client_id": client_id} if client_id is not None else {})}
        return (await self.transport.ask(CREATE, CreatedCampaign, body=body, match={"name": name})).id

    async def delete(self, campaign: int | str) -> None:
        await self.transport.call(DELETE, at={"id": campaign}, match={"id": campaign})

    async def set_status(self, campaign: int | str, status: Status, *, urgent: bool = False) -> None:
        """START, PAUSED or STOPPED: asymmetric, but these are the backend's words (smartlead:campaigns/status)."""
        match = {"id": campaign, "status": READ_AS[status]}
        await self.transport.call(STATUS, at={"id": campaign}, body={"status": status}, match=match, urgent=urgent)

    async def set_schedule(self, campaign: int | str, **fields: Any) -> None:
        """Flat: `timezone, days_of_the_week (0 = Sunday), start_hour, end_hour, min_time_btw_emails, …`."""
        await self.transport.call(SCHEDULE, at={"id": campaign}, body=fields, match={"id": campaign, **fields})

    async def set_settings(self, campaign: int | str, **fields: Any) -> None:
        """Partial bodies are accepted. `client_id: null` is not."""
        await self.transport.call(SETTINGS, at={"id": campaign}, body=fields, match={"id": campaign, **fields})

    async def sequences(self, campaign: int | str) -> Sequence[Step]:
        return await self.transport.ask(SEQUENCES, list[Step], at={"id": campaign})

    async def set_sequences(self, campaign: int | str, sequences: Sequence[Mapping[str, Any]]) -> None:
        """Replaces the whole set; refused while the campaign is active."""
        match = {"id": campaign, "steps": [[step["seq_number"], step.get("subject", "")] for step in sequences]}
        body = {"sequences": list(sequences)}
        await self.transport.call(SET_SEQUENCES, at={"id": campaign}, body=body, match=match, journaled=match)

    async def mailboxes(self, campaign: int | str) -> Sequence[EmailAccount]:
        return await self.transport.ask(MAILBOXES, list[EmailAccount], at={"id": campaign})

    async def add_mailboxes(self, campaign: int | str, accounts: Sequence[int]) -> None:
        await self._staff(ADD_MAILBOXES, campaign, accounts)

    async def remove_mailboxes(self, campaign: int | str, accounts: Sequence[int], *, urgent: bool = False) -> None:
        """Removing the last one of an active campaign is refused."""
        await self._staff(REMOVE_MAILBOXES, campaign, accounts, urgent=urgent)

    async def _staff(
        self, operation: Operation, campaign: int | str, accounts: Sequence[int], *, urgent: bool = False
    ) -> None:
        if accounts:
            body = {"email_account_ids": list(accounts)}
            match = {"id": campaign, **body}
            await self.transport.call(operation, at={"id": campaign}, body=body, match=match, urgent=urgent)

    async def duplicate(self, campaign: int | str) -> int:
        return (await self.transport.ask(DUPLICATE, Duplicated, at={"id": campaign}, match={"id": campaign})).new_id

    async def export_leads(self, campaign: int | str) -> str:
        """The vendor's CSV of the campaign's leads, as text."""
        answer = await self.transport.call(EXPORT, at={"id": campaign})
        if answer.kind not in ("csv", "text", "empty"):
            raise VendorError(
                f"smartlead export_leads answered {answer.kind}, not CSV.", vendor="smartlead", operation="export_leads"
            )
        return answer.text.removeprefix("\ufeff")
