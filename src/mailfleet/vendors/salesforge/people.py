"""Contacts, tags, variables, the do-not-contact list, and what was sent to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mailfleet.errors import NotFound
from mailfleet.vendors.salesforge.border import LONG_PAGE, Area
from mailfleet.vendors.salesforge.models import Contact, Contacts, Created, Dnc, Named, Sending
from mailfleet.vendors.transport.operation import Operation

BULK = 100
"""Most contacts in one call, all or nothing (salesforge:contacts/bulk)."""
LIST = Operation(  # salesforge:contacts/list
    name="list_contacts",
    method="GET",
    path="/workspaces/{ws}/contacts",
)
GET = Operation(  # salesforge:contacts/get
    name="get_contact",
    method="GET",
    path="/workspaces/{ws}/contacts/{id}",
)
CREATE = Operation(  # salesforge:contacts/create
    name="create_contact",
    method="POST",
    path="/workspaces/{ws}/contacts",
    reconcile="none needed: an address is written over itself",
)
BULK_CREATE = Operation(  # salesforge:contacts/bulk
    name="create_contacts",
    method="POST",
    path="/workspaces/{ws}/contacts/bulk",
    reconcile="none needed: an address is written over itself",
)
DELETE = Operation(  # salesforge:contacts/delete
    name="delete_contact",
    method="DELETE",
    path="/workspaces/{ws}/contacts/{id}",
    reconcile="the contact by id: not found",
)
BULK_DELETE = Operation(  # salesforge:contacts/bulk-delete
    name="delete_contacts",
    method="POST",
    path="/workspaces/{ws}/contacts/bulk-delete",
    reconcile="the contacts by id: not found",
)
TAGS = Operation(  # salesforge:tags/list
    name="list_tags",
    method="GET",
    path="/workspaces/{ws}/tags",
)
VARIABLES = Operation(  # salesforge:custom-vars/list
    name="list_custom_vars",
    method="GET",
    path="/workspaces/{ws}/custom-vars",
)
DNC = Operation(  # salesforge:dnc/list
    name="list_dnc",
    method="GET",
    path="/workspaces/{ws}/dnc",
)
DNC_ADD = Operation(  # salesforge:dnc/bulk
    name="add_dnc",
    method="POST",
    path="/workspaces/{ws}/dnc/bulk",
    reconcile="the do-not-contact list, matched on the values",
)
DNC_REMOVE = Operation(  # salesforge:dnc/remove
    name="remove_dnc",
    method="POST",
    path="/workspaces/{ws}/dnc/bulk/remove",
    reconcile="the do-not-contact list, matched on the absence of the values",
)
SENDING = Operation(  # salesforge:sending-data
    name="sending_data",
    method="GET",
    path="/workspaces/{ws}/sending-data",
    timeout=40,
)


class People(Area):
    """`/contacts`, `/tags`, `/custom-vars`, `/dnc`, `/sending-data`."""

    def contacts(self, ws: str, **filters: Any) -> AsyncIterator[Contact]:
        return self._rows(LIST, Contact, at={"ws": ws}, query=filters)

    def outside(self, ws: str, sequence: str) -> AsyncIterator[Contact]:
        """Contacts that are not in the sequence: the nearest thing to a list of its members."""
        return self._rows(LIST, Contact, at={"ws": ws}, query={"not_in_sequence_id": sequence})

    async def total(self, ws: str, **filters: Any) -> int | None:
        """How many contacts there are, for the price of one call."""
        query = {**filters, "limit": 1, "offset": 0}
        found = await self.transport.rows(LIST, Contact, "data", at={"ws": ws}, query=query)
        total = found.around.get("total")
        return total if isinstance(total, int) else None

    async def contact(self, ws: str, id: str) -> Contact:
        return await self.transport.ask(GET, Contact, at={"ws": ws, "id": id})

    async def create(self, ws: str, contact: Mapping[str, Any]) -> Contact:
        match = {"ws": ws, "email": contact.get("email")}
        return await self.transport.ask(CREATE, Contact, at={"ws": ws}, body=contact, match=match)

    async def create_many(self, ws: str, contacts: Sequence[Mapping[str, Any]]) -> Sequence[Contact]:
        """At most `BULK`, each with a tag; all or nothing."""
        match = {"ws": ws, "emails": [contact.get("email") for contact in contacts]}
        body = {"contacts": list(contacts)}
        return (await self.transport.ask(BULK_CREATE, Contacts, at={"ws": ws}, body=body, match=match)).contacts

    async def delete(self, ws: str, id: str) -> None:
        await self.transport.call(DELETE, at={"ws": ws, "id": id}, match={"ws": ws, "id": id})

    async def delete_many(self, ws: str, ids: Sequence[str]) -> None:
        """At most 1000; ids nobody knows are ignored."""
        body = {"contactIds": list(ids)}
        await self.transport.call(BULK_DELETE, at={"ws": ws}, body=body, match={"ws": ws, **body})

    def tags(self, ws: str) -> AsyncIterator[Named]:
        return self._rows(TAGS, Named, at={"ws": ws})

    def variables(self, ws: str) -> AsyncIterator[Named]:
        return self._rows(VARIABLES, Named, at={"ws": ws})

    async def dnc_readable(self, ws: str) -> bool:
        """False in the interface of early 2026, where the list can only be written; filters are ignored there too."""
        try:
            await self.transport.rows(DNC, Dnc, "data", at={"ws": ws}, query={"limit": 1, "offset": 0})
        except NotFound:
            return False
        return True

    def dnc(self, ws: str) -> AsyncIterator[Dnc]:
        return self._rows(DNC, Dnc, page=LONG_PAGE, at={"ws": ws})

    async def add_dnc(self, ws: str, values: Sequence[str]) -> int:
        """At most 1000 texts (objects are refused); how many were new."""
        body = {"dncs": list(values)}
        return (await self.transport.ask(DNC_ADD, Created, at={"ws": ws}, body=body, match={"ws": ws, **body})).created

    async def remove_dnc(self, ws: str, values: Sequence[str]) -> None:
        body = {"dncs": list(values)}
        await self.transport.call(DNC_REMOVE, at={"ws": ws}, body=body, match={"ws": ws, **body})

    async def sending(self, ws: str, sequence: str | None = None) -> AsyncIterator[Sending]:
        """Filtered here too: older interfaces take the filter and ignore it."""
        query = {"sequence_ids[]": [sequence]} if sequence else {}
        async for row in self._rows(SENDING, Sending, page=LONG_PAGE, at={"ws": ws}, query=query):
            if sequence in (None, row.sequence_id):
                yield row
