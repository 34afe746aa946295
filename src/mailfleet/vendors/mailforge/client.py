"""Mailforge: what is read of it. Its errors carry their status as `code`, and nothing here can spend money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mailfleet.errors import Forbidden
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

BASE_URL = "https://api.mailforge.ai/public"
CALLS_PER_SECOND = 2.0
WORKSPACES = Operation(  # mailforge:workspaces/list
    name="list_workspaces",
    method="GET",
    path="/workspaces",
)
DOMAINS = Operation(  # mailforge:domains/list
    name="list_domains",
    method="GET",
    path="/domains",
)
DNS = Operation(  # mailforge:dns/get
    name="get_dns",
    method="GET",
    path="/domains/{id}/dns",
)
MAILBOXES = Operation(  # mailforge:mailboxes/list
    name="list_mailboxes",
    method="GET",
    path="/mailboxes",
    timeout=40,
)
MAILBOX = Operation(  # mailforge:mailboxes/get
    name="get_mailbox",
    method="GET",
    path="/mailboxes/{id}",
)


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Unknown fields are ignored; a missing or unfit one we rely on is `Drift`."""


class Workspace(Model, frozen=True, kw_only=True):
    id: str
    name: str = ""


class Domain(Model, frozen=True, kw_only=True):
    id: str
    sld: str
    tld: str
    status: str = ""
    workspace_id: str = ""
    auto_renew_status: str = ""
    expires_at: str | None = None
    nameservers: list[str] | None = None

    @property
    def name(self) -> str:
        return f"{self.sld}.{self.tld}".lower()


class Record(Model, frozen=True, kw_only=True):
    name: str
    type: str
    value: str
    editable: bool = True


class Credentials(Model, frozen=True, kw_only=True):
    """Both logins of a mailbox. Shown to nobody."""

    smtp_host: str
    smtp_port: int
    smtp_username: str
    smtp_password: str
    imap_host: str
    imap_port: int
    imap_username: str
    imap_password: str

    def __repr__(self) -> str:
        return "Credentials()"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Mailbox(Model, frozen=True, kw_only=True):
    id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    domain: str = ""
    status: str = ""
    workspace_id: str = ""
    credentials: Credentials | None = None


class MailforgeClient:
    """One account."""

    def __init__(self, vendor: Vendor, means: Means) -> None:
        self.transport = Transport(vendor, means)

    def __repr__(self) -> str:
        return f"MailforgeClient({self.transport.key_id})"

    async def close(self) -> None:
        await self.transport.close()

    async def workspaces(self) -> Sequence[Workspace]:
        return await self.transport.ask(WORKSPACES, list[Workspace])

    async def domains(self) -> Sequence[Domain]:
        return await self.transport.ask(DOMAINS, list[Domain])

    async def dns(self, domain: str) -> Sequence[Record]:
        return await self.transport.ask(DNS, list[Record], at={"id": domain})

    async def mailboxes(self, *, with_credentials: bool = False) -> Sequence[Mailbox]:
        return await self.transport.ask(MAILBOXES, list[Mailbox], query=_asking(with_credentials))

    async def mailbox(self, id: str, *, with_credentials: bool = False) -> Mailbox:
        return await self.transport.ask(MAILBOX, Mailbox, at={"id": id}, query=_asking(with_credentials))


def _asking(with_credentials: bool) -> dict[str, str]:
    return {"with_credentials": "true"} if with_credentials else {}


def judge(answer: Answer) -> Failure | None:
    """`{code, message}` (mailforge:errors)."""
    if answer.status == 402:
        return Failure(kind=Forbidden, message=text_of(answer), hint="There is no card or credit at Mailforge.")
    return by_status(answer)


def get_mailforge_client(
    api_key: str, means: Means, *, base_url: str = BASE_URL, rate: float = CALLS_PER_SECOND
) -> MailforgeClient:
    window = (max(1, round(rate)), max(1.0, 1 / rate))
    access = Access(headers={"authorization": Secret(api_key)})
    return MailforgeClient(
        Vendor(name="mailforge", base_url=base_url, access=access, windows=(window,), judge=judge), means
    )
