"""V1 sequences. Much that is written cannot be read back: `quirks.md` says what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from mailfleet.vendors.salesforge import models
from mailfleet.vendors.salesforge.border import Area
from mailfleet.vendors.salesforge.models import Analytics, Count, Metrics, Product, Step, Steps
from mailfleet.vendors.transport.operation import Operation

Status = Literal["active", "paused"]
ENROL = 1000
"""Ids sent in one call; no maximum is published."""
LIST = Operation(  # salesforge:sequences/list
    name="list_sequences",
    method="GET",
    path="/workspaces/{ws}/sequences",
)
GET = Operation(  # salesforge:sequences/get
    name="get_sequence",
    method="GET",
    path="/workspaces/{ws}/sequences/{id}",
)
CREATE = Operation(  # salesforge:sequences/create
    name="create_sequence",
    method="POST",
    path="/workspaces/{ws}/sequences",
    reconcile="list of sequences, matched on the name and linked to nothing of ours: names may repeat",
)
EDIT = Operation(  # salesforge:sequences/update
    name="edit_sequence",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}",
    reconcile="the sequence by id, matched on the fields that are read",
)
DELETE = Operation(  # salesforge:sequences/delete
    name="delete_sequence",
    method="DELETE",
    path="/workspaces/{ws}/sequences/{id}",
    reconcile="the sequence by id: not found",
)
STATUS = Operation(  # salesforge:sequences/status
    name="set_sequence_status",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/status",
    reconcile="the sequence by id, matched on status",
)
STEPS = Operation(  # salesforge:sequences/steps
    name="set_sequence_steps",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/steps",
    reconcile="the sequence by id, matched on order, delay and first subject of every step",
)
SCHEDULES = Operation(  # salesforge:sequences/schedules
    name="set_sequence_schedules",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/schedules",
    reconcile="none possible: the window cannot be read; it is a whole replacement and may be written again",
)
MAILBOXES = Operation(  # salesforge:sequences/mailboxes
    name="set_sequence_mailboxes",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/mailboxes",
    reconcile="the sequence by id, matched on the mailboxes",
)
ENROL_CONTACTS = Operation(  # salesforge:sequences/contacts
    name="enrol_contacts",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/contacts",
    reconcile="each contact by id, matched on its sequences: enrolling twice raises the count",
)
IMPORT = Operation(  # salesforge:sequences/import-lead
    name="import_lead",
    method="PUT",
    path="/workspaces/{ws}/sequences/{id}/import-lead",
    reconcile="the contact by address, matched on its sequences",
)
COUNT = Operation(  # salesforge:sequences/count
    name="count_contacts",
    method="GET",
    path="/workspaces/{ws}/sequences/{id}/contacts/count",
)
ANALYTICS = Operation(  # salesforge:sequences/analytics
    name="sequence_analytics",
    method="GET",
    path="/workspaces/{ws}/sequences/{id}/analytics",
    timeout=40,
)
METRICS = Operation(  # salesforge:sequence-metrics
    name="sequence_metrics",
    method="GET",
    path="/workspaces/{ws}/sequence-metrics",
)
PRODUCTS = Operation(  # salesforge:products/list
    name="list_products",
    method="GET",
    path="/workspaces/{ws}/products",
)


class Sequences(Area):
    """`/sequences`, `/sequence-metrics`, `/products`."""

    async def list(self, ws: str) -> AsyncIterator[models.Sequence]:
        """V1 only. Multichannel ones come first in the same list under a number, where `type` is ignored."""
        async for row in self._rows(LIST, models.Sequence, at={"ws": ws}, query={"type": "legacy"}):
            if not row.id.isdigit():
                yield row

    async def get(self, ws: str, id: str) -> models.Sequence:
        return await self.transport.ask(GET, models.Sequence, at={"ws": ws, "id": id})

    async def create(self, ws: str, name: str, *, product: str, language: str, timezone: str) -> models.Sequence:
        """A draft with one empty step. `en` is refused: languages are named as in `american_english`."""
        body = {"name": name, "productId": product, "language": language, "timezone": timezone}
        return await self.transport.ask(
            CREATE, models.Sequence, at={"ws": ws}, body=body, match={"ws": ws, "name": name}
        )

    async def edit(self, ws: str, id: str, **fields: Any) -> None:
        """Name and tracking stick; language and time zone were ignored, `productId` was an error."""
        await self.transport.call(EDIT, at={"ws": ws, "id": id}, body=fields, match={"ws": ws, "id": id, **fields})

    async def delete(self, ws: str, id: str) -> None:
        await self.transport.call(DELETE, at={"ws": ws, "id": id}, match={"ws": ws, "id": id})

    async def set_status(self, ws: str, id: str, status: Status, *, urgent: bool = False) -> None:
        match = {"ws": ws, "id": id, "status": status}
        await self.transport.call(STATUS, at={"ws": ws, "id": id}, body={"status": status}, match=match, urgent=urgent)

    async def set_steps(self, ws: str, id: str, steps: Sequence[Mapping[str, Any]]) -> Sequence[Step]:
        """Replaces them all; the answer shows what there is now."""
        shape = [[step["order"], step["waitDays"], step["variants"][0]["emailSubject"]] for step in steps]
        match = {"ws": ws, "id": id, "steps": shape}
        body = {"steps": list(steps)}
        found = await self.transport.ask(STEPS, Steps, at={"ws": ws, "id": id}, body=body, match=match, journaled=match)
        return found.steps

    async def set_schedules(self, ws: str, id: str, windows: Sequence[Mapping[str, int]]) -> None:
        """`weekday` 0 = Sunday, hours in the sequence's own zone."""
        body = {"schedules": list(windows)}
        await self.transport.call(SCHEDULES, at={"ws": ws, "id": id}, body=body, match={"ws": ws, "id": id, **body})

    async def set_mailboxes(self, ws: str, id: str, mailboxes: Sequence[str]) -> None:
        body = {"mailboxIds": list(mailboxes)}
        await self.transport.call(MAILBOXES, at={"ws": ws, "id": id}, body=body, match={"ws": ws, "id": id, **body})

    async def enrol(self, ws: str, id: str, contacts: Sequence[str]) -> None:
        """Additive. Ids nobody knows are taken without a word; who is there already is counted once more."""
        body = {"contactIds": list(contacts)}
        await self.transport.call(
            ENROL_CONTACTS, at={"ws": ws, "id": id}, body=body, match={"ws": ws, "id": id, **body}
        )

    async def import_lead(self, ws: str, id: str, contact: Mapping[str, Any]) -> None:
        match = {"ws": ws, "id": id, "email": contact.get("email")}
        await self.transport.call(IMPORT, at={"ws": ws, "id": id}, body=contact, match=match)

    async def count(self, ws: str, id: str, *statuses: str) -> int:
        """May miss leads that came by `import-lead`: compare with `lead_count`."""
        query = {"statuses[]": list(statuses)} if statuses else {}
        return (await self.transport.ask(COUNT, Count, at={"ws": ws, "id": id}, query=query)).count

    async def analytics(self, ws: str, id: str, first: date, last: date, timezone: str = "UTC") -> Analytics:
        query = {"from_date": first.isoformat(), "to_date": last.isoformat(), "timezone": timezone}
        return await self.transport.ask(ANALYTICS, Analytics, at={"ws": ws, "id": id}, query=query)

    async def metrics(self, ws: str, sequence: str | None = None) -> Metrics:
        query = {"sequence_ids[]": [sequence]} if sequence else {}
        return await self.transport.ask(METRICS, Metrics, at={"ws": ws}, query=query)

    def products(self, ws: str) -> AsyncIterator[Product]:
        return self._rows(PRODUCTS, Product, at={"ws": ws})
