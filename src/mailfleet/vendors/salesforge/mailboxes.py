"""Mailboxes, threads, labels and webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mailfleet.errors import NotFound
from mailfleet.vendors.salesforge.border import Area
from mailfleet.vendors.salesforge.models import Hook, Label, Mailbox, Thread, ThreadRow
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.secret import Hidden

LIST = Operation(  # salesforge:mailboxes/list
    name="list_mailboxes",
    method="GET",
    path="/workspaces/{ws}/mailboxes",
)
GET = Operation(  # salesforge:mailboxes/get
    name="get_mailbox",
    method="GET",
    path="/workspaces/{ws}/mailboxes/{id}",
)
CONNECT = Operation(  # salesforge:mailboxes/connect
    name="connect_mailbox",
    method="POST",
    path="/workspaces/{ws}/mailboxes",
    reconcile="list of mailboxes, matched on the address",
    timeout=60,
)
UPDATE = Operation(  # salesforge:mailboxes/update
    name="update_mailbox",
    method="PATCH",
    path="/workspaces/{ws}/mailboxes/{id}",
    reconcile="the mailbox by id, matched on the fields written",
)
DISCONNECT = Operation(  # salesforge:mailboxes/delete
    name="disconnect_mailbox",
    method="DELETE",
    path="/workspaces/{ws}/mailboxes/{id}",
    reconcile="the mailbox by id: not found",
)
THREADS = Operation(  # salesforge:threads/list
    name="list_threads",
    method="GET",
    path="/workspaces/{ws}/threads",
)
THREAD = Operation(  # salesforge:threads/get
    name="get_thread",
    method="GET",
    path="/workspaces/{ws}/threads/{id}",
)
OLD_THREAD = Operation(  # salesforge:threads/get-old
    name="get_mailbox_thread",
    method="GET",
    path="/workspaces/{ws}/mailboxes/{mailbox}/threads/{id}",
)
LABEL_THREAD = Operation(  # salesforge:threads/label
    name="label_thread",
    method="PUT",
    path="/workspaces/{ws}/threads/{id}/label",
    reconcile="list of threads, matched on label",
)
REPLY = Operation(  # salesforge:emails/reply
    name="reply_to_email",
    method="POST",
    path="/workspaces/{ws}/mailboxes/{mailbox}/emails/{email}/reply",
    reconcile="the thread, matched on an outgoing mail with this text after the intent",
)
LABELS = Operation(  # salesforge:labels/list
    name="list_labels",
    method="GET",
    path="/workspaces/{ws}/primebox-labels",
)
HOOKS = Operation(  # salesforge:webhooks/list
    name="list_webhooks",
    method="GET",
    path="/workspaces/{ws}/integrations/webhooks",
)
HOOK = Operation(  # salesforge:webhooks/get
    name="get_webhook",
    method="GET",
    path="/workspaces/{ws}/integrations/webhooks/{id}",
)
ADD_HOOK = Operation(  # salesforge:webhooks/create
    name="create_webhook",
    method="POST",
    path="/workspaces/{ws}/integrations/webhooks",
    reconcile="list of webhooks, matched on name and type; its secret is lost, so it is made anew",
)
REMOVE_HOOK = Operation(  # salesforge:webhooks/delete
    name="delete_webhook",
    method="DELETE",
    path="/workspaces/{ws}/integrations/webhooks/{id}",
    reconcile="the webhook by id: not found",
)


class Mailboxes(Area):
    """`/mailboxes`."""

    def list(self, ws: str) -> AsyncIterator[Mailbox]:
        return self._rows(LIST, Mailbox, at={"ws": ws})

    async def find(self, ws: str, address: str) -> Mailbox | None:
        """The mailbox with exactly this address: filters were ignored once, so each row is looked at."""
        async for found in self._rows(LIST, Mailbox, at={"ws": ws}, query={"search": address}):
            if found.address.lower() == address.lower():
                return found
        return None

    async def get(self, ws: str, id: str) -> Mailbox:
        return await self.transport.ask(GET, Mailbox, at={"ws": ws, "id": id})

    async def connect(self, ws: str, address: str, fields: Hidden) -> Mailbox:
        """Logs in first; `pending` until it is `active` or `access_lost`."""
        match = {"ws": ws, "address": address}
        return await self.transport.ask(CONNECT, Mailbox, at={"ws": ws}, body=fields, match=match, journaled=match)

    async def update(self, ws: str, id: str, **fields: Any) -> None:
        await self.transport.call(UPDATE, at={"ws": ws, "id": id}, body=fields, match={"ws": ws, "id": id, **fields})

    async def disconnect(self, ws: str, id: str) -> None:
        await self.transport.call(DISCONNECT, at={"ws": ws, "id": id}, match={"ws": ws, "id": id})


class Threads(Area):
    """`/threads`, labels: the only place that tells of answers and bounces one by one."""

    async def list(self, ws: str, sequence: str | None = None) -> AsyncIterator[ThreadRow]:
        """Those with the newest mail first. Rows do not name their sequence."""
        query = {"sequence_ids[]": [sequence]} if sequence else {}
        async for row in self._rows(THREADS, ThreadRow, at={"ws": ws}, query=query):
            yield row

    async def get(self, ws: str, thread: str, mailbox: str = "") -> Thread:
        """By its older address, below the mailbox, where the newer is not there yet."""
        try:
            return await self.transport.ask(THREAD, Thread, at={"ws": ws, "id": thread})
        except NotFound:
            if not mailbox:
                raise
            return await self.transport.ask(OLD_THREAD, Thread, at={"ws": ws, "id": thread, "mailbox": mailbox})

    async def label(self, ws: str, thread: str, label: str) -> None:
        match = {"ws": ws, "id": thread, "labelId": label}
        await self.transport.call(LABEL_THREAD, at={"ws": ws, "id": thread}, body={"labelId": label}, match=match)

    async def reply(self, ws: str, mailbox: str, email: str, content: str) -> None:
        """Queued there; no signature is added. `email` is the id of a mail in the thread."""
        at = {"ws": ws, "mailbox": mailbox, "email": email}
        body = {"content": content, "includeHistory": True}
        await self.transport.call(REPLY, at=at, body=body, match={**at, "content": content})

    def labels(self, ws: str) -> AsyncIterator[Label]:
        return self._rows(LABELS, Label, at={"ws": ws})


class Webhooks(Area):
    """`/integrations/webhooks`: one type each, one attempt each."""

    def list(self, ws: str) -> AsyncIterator[Hook]:
        return self._rows(HOOKS, Hook, at={"ws": ws})

    async def get(self, ws: str, id: str) -> Hook:
        return await self.transport.ask(HOOK, Hook, at={"ws": ws, "id": id})

    async def create(self, ws: str, name: str, type: str, url: str, sequences: Sequence[str] = ()) -> Hook:
        """Its secret is shown here once, and never again."""
        body: Mapping[str, Any] = {"name": name, "type": type, "url": url, "sequenceIds": list(sequences)}
        match = {"ws": ws, "name": name, "type": type}
        return await self.transport.ask(ADD_HOOK, Hook, at={"ws": ws}, body=body, match=match, journaled=match)

    async def delete(self, ws: str, id: str) -> None:
        await self.transport.call(REMOVE_HOOK, at={"ws": ws, "id": id}, match={"ws": ws, "id": id})
