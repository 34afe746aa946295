"""E-mail accounts and their warm-up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import EmailAccount, Tag, WarmupStats
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.secret import Hidden

PAGE = 100
TAGGED_AT_ONCE = 25
LIST = Operation(name="list_email_accounts", method="GET", path="/email-accounts/")  # smartlead:email-accounts/list
GET = Operation(name="get_email_account", method="GET", path="/email-accounts/{id}/")  # smartlead:email-accounts/get
SAVE = Operation(  # smartlead:email-accounts/save
    name="create_email_account",
    method="POST",
    path="/email-accounts/save",
    reconcile="list of e-mail accounts by username, matched on from_email",
    timeout=60,
)
SAVE_OAUTH = Operation(  # smartlead:email-accounts/save-oauth
    name="create_oauth_account",
    method="POST",
    path="/email-accounts/save-oauth",
    reconcile="list of e-mail accounts by username, matched on from_email",
    timeout=60,
)
UPDATE = Operation(  # smartlead:email-accounts/update
    name="update_email_account",
    method="POST",
    path="/email-accounts/{id}",
    reconcile="the account by id, matched on the fields written, under their names when read",
)
WARMUP = Operation(  # smartlead:email-accounts/warmup
    name="configure_warmup",
    method="POST",
    path="/email-accounts/{id}/warmup",
    reconcile="the account by id, matched on warmup_details.status and max_email_per_day",
)
WARMUP_STATS = Operation(  # smartlead:email-accounts/warmup-stats
    name="get_warmup_status", method="GET", path="/email-accounts/{id}/warmup-stats"
)
SUSPEND = Operation(  # smartlead:email-accounts/suspend
    name="suspend_email_account",
    method="PUT",
    path="/email-accounts/suspend/{id}",
    reconcile="the account by id, matched on is_suspended",
)
UNSUSPEND = Operation(  # smartlead:email-accounts/unsuspend
    name="unsuspend_email_account",
    method="DELETE",
    path="/email-accounts/unsuspend/{id}",
    reconcile="the account by id, matched on is_suspended",
)
RECONNECT = Operation(  # smartlead:email-accounts/reconnect
    name="reconnect_failed_email_accounts",
    method="POST",
    path="/email-accounts/reconnect-failed-email-accounts",
    reconcile="nothing to compare: the next reading of the accounts shows who is connected",
    own_limit=True,
)
TAG_CREATE = Operation(  # smartlead:tags/create
    name="create_tag",
    method="POST",
    path="/tags",
    reconcile="not at all: a tag that no account has is in no list; a second one of the same name harms nobody",
)
TAG_MAP = Operation(  # smartlead:email-accounts/tag-mapping
    name="tag_email_accounts",
    method="POST",
    path="/email-accounts/tag-mapping",
    reconcile="each account by id with fetch_tags, matched on the tag ids",
)
TAG_UNMAP = Operation(  # smartlead:email-accounts/tag-mapping/delete
    name="untag_email_accounts",
    method="DELETE",
    path="/email-accounts/tag-mapping",
    reconcile="each account by id with fetch_tags, matched on the absence of the tag ids",
)


class _Created(msgspec.Struct, frozen=True):
    """Three published shapes of one answer: `emailAccountId`, `data.id`, `id` (smartlead:email-accounts/save)."""

    id: int | None = None
    account: int | None = msgspec.field(name="emailAccountId", default=None)
    data: dict[str, Any] | None = None


class Mailboxes(Area):
    """`/email-accounts`."""

    def list(self, **filters: Any) -> AsyncIterator[EmailAccount]:
        """Every account; `username`, `client_id`, `isSmtpSuccess`, … narrow it at the vendor."""
        return self._pages(LIST, EmailAccount, PAGE, query={"fetch_campaigns": True, **filters})

    async def get(self, account: int | str, *, tags: bool = False) -> EmailAccount:
        return await self.transport.ask(
            GET, EmailAccount, at={"id": account}, query={"fetch_campaigns": True, "fetch_tags": tags or None}
        )

    async def find(self, address: str) -> EmailAccount | None:
        """By address. The vendor's `username` filter may match loosely, so the address is compared here."""
        wanted = address.strip().lower()
        async for account in self.list(username=wanted):
            if account.from_email.strip().lower() == wanted:
                return account
        return None

    async def save(self, fields: Mapping[str, Any] | Hidden) -> int:
        """Creates (`id` null) an account: the vendor logs in to SMTP and IMAP meanwhile. The new account's id."""
        return await self._save(SAVE, fields)

    async def save_oauth(self, fields: Mapping[str, Any] | Hidden) -> int:
        return await self._save(SAVE_OAUTH, fields)

    async def _save(self, operation: Operation, fields: Mapping[str, Any] | Hidden) -> int:
        body = fields if isinstance(fields, Hidden) else Hidden(dict(fields))
        address = str(body.value["from_email"])
        match = {"from_email": address, "new": body.value.get("id") is None}
        made = await self.transport.ask(operation, _Created, body=body, match=match)
        found = made.account or (made.data or {}).get("id") or made.id
        if found is None:
            account = await self.find(address)
            found = account.id if account else 0
        return int(found)

    async def update(self, account: int | str, **fields: Any) -> None:
        """`max_email_per_day`, `from_name`, `custom_tracking_url`, `bcc`, `signature`, `client_id`, …"""
        await self.transport.call(UPDATE, at={"id": account}, body=fields, match={"id": account, **fields})

    async def configure_warmup(self, account: int | str, **fields: Any) -> None:
        """`warmup_enabled`, `total_warmup_per_day` 1–50, `daily_rampup` 5–20, `reply_rate_percentage` 20–100."""
        await self.transport.call(WARMUP, at={"id": account}, body=fields, match={"id": account, **fields})

    async def warmup_stats(self, account: int | str) -> WarmupStats:
        """Raises `NotFound` when warm-up was never set up."""
        return await self.transport.ask(WARMUP_STATS, WarmupStats, at={"id": account})

    async def suspend(self, account: int | str, *, urgent: bool = True) -> None:
        match = {"id": account, "is_suspended": True}
        await self.transport.call(SUSPEND, at={"id": account}, match=match, urgent=urgent)

    async def unsuspend(self, account: int | str) -> None:
        await self.transport.call(UNSUSPEND, at={"id": account}, match={"id": account, "is_suspended": False})

    async def reconnect_failed(self) -> None:
        """At most three times in 24 hours; then `RateLimited`."""
        await self.transport.call(RECONNECT, body={})

    async def create_tag(self, name: str, color: str) -> Tag:
        return await self.transport.ask(TAG_CREATE, Tag, body={"name": name, "color": color}, match={"name": name})

    async def tag(self, accounts: Sequence[int], tags: Sequence[int]) -> None:
        await self._tagging(TAG_MAP, accounts, tags)

    async def untag(self, accounts: Sequence[int], tags: Sequence[int]) -> None:
        await self._tagging(TAG_UNMAP, accounts, tags)

    async def _tagging(self, operation: Operation, accounts: Sequence[int], tags: Sequence[int]) -> None:
        for start in range(0, len(accounts), TAGGED_AT_ONCE):
            chunk = list(accounts[start : start + TAGGED_AT_ONCE])
            body = {"email_account_ids": chunk, "tag_ids": list(tags)}
            await self.transport.call(operation, body=body, match=body)
