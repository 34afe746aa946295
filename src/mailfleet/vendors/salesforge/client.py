"""Salesforge: one key, two hosts, any number of workspaces."""

from __future__ import annotations

from collections.abc import Sequence

from mailfleet.vendors.salesforge import border
from mailfleet.vendors.salesforge.border import Area
from mailfleet.vendors.salesforge.mailboxes import Mailboxes, Threads, Webhooks
from mailfleet.vendors.salesforge.models import Key, Workspace
from mailfleet.vendors.salesforge.multichannel import Multichannel
from mailfleet.vendors.salesforge.people import People
from mailfleet.vendors.salesforge.sequences import Sequences
from mailfleet.vendors.transport.operation import Operation, Vendor
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

ME = Operation(  # salesforge:me
    name="check_key",
    method="GET",
    path="/me",
)
WORKSPACES = Operation(  # salesforge:workspaces/list
    name="list_workspaces",
    method="GET",
    path="/workspaces",
)


class SalesforgeClient(Area):
    """One account. Workspaces are named in every call: an account may have several."""

    def __init__(self, core: Vendor, multichannel: Vendor, means: Means) -> None:
        super().__init__(Transport(core, means))
        self._second = Transport(multichannel, means)
        self.people = People(self.transport)
        self.sequences = Sequences(self.transport)
        self.mailboxes = Mailboxes(self.transport)
        self.threads = Threads(self.transport)
        self.webhooks = Webhooks(self.transport)
        self.multichannel = Multichannel(self._second)

    def __repr__(self) -> str:
        return f"SalesforgeClient({self.transport.key_id})"

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.transport.key_id, self._second.key_id})

    async def close(self) -> None:
        await self.transport.close()
        await self._second.close()

    async def me(self) -> Key:
        return await self.transport.ask(ME, Key)

    async def workspaces(self) -> Sequence[Workspace]:
        return [row async for row in self._rows(WORKSPACES, Workspace, at={})]


def get_salesforge_client(
    api_key: str,
    means: Means,
    *,
    base_url: str = border.BASE_URL,
    multichannel_base_url: str = border.MULTICHANNEL_URL,
    rate: float = border.CALLS_PER_SECOND,
) -> SalesforgeClient:
    """A client for one key; each host has its own budget and its own circuit."""
    key = Secret(api_key)
    return SalesforgeClient(
        border.vendor(key, base_url=base_url, rate=rate),
        border.vendor(key, base_url=multichannel_base_url, rate=rate, name="salesforge_multichannel"),
        means,
    )
