"""Clients of an agency's account: an attribute of campaigns, mailboxes and block-list rows; null = the owner."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import Client
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.secret import Hidden

LIST = Operation(name="list_clients", method="GET", path="/client/")  # smartlead:client/list
SAVE = Operation(  # smartlead:client/save
    name="create_client", method="POST", path="/client/save", reconcile="the list of clients, matched on email"
)


class _Saved(msgspec.Struct, frozen=True):
    client: int = msgspec.field(name="clientId")


class Clients(Area):
    """`/client`."""

    async def list(self) -> Sequence[Client]:
        return await self.transport.ask(LIST, list[Client])

    async def create(self, name: str, email: str, password: Hidden, permission: str = "reply_master_inbox") -> int:
        body = Hidden({"name": name, "email": email, "password": password.value, "permission": [permission]})
        saved = await self.transport.ask(SAVE, _Saved, body=body, match={"email": email, "name": name})
        return saved.client
