"""Mailforge: what is read of it. Its errors carry their status as `code`, and nothing here can spend money."""

from __future__ import annotations

from collections.abc import Sequence

from mailfleet.errors import Forbidden
from mailfleet.vendors.estate import Domain, Mailbox, Record, Workspace, asking
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
        return await self.transport.ask(MAILBOXES, list[Mailbox], query=asking(with_credentials))

    async def mailbox(self, id: str, *, with_credentials: bool = False) -> Mailbox:
        return await self.transport.ask(MAILBOX, Mailbox, at={"id": id}, query=asking(with_credentials))


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
