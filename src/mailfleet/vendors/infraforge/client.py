"""Infraforge: bare lists, credentials on request, DNS replaced as a whole. Nothing here can spend money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mailfleet.errors import Drift, Forbidden
from mailfleet.vendors.estate import Domain, Mailbox, Record, Workspace, asking
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.secret import Hidden, Secret
from mailfleet.vendors.transport.transport import Means, Transport

BASE_URL = "https://api.infraforge.ai/public"
CALLS_PER_SECOND = 2.0
WORKSPACES = Operation(  # infraforge:workspaces/list
    name="list_workspaces",
    method="GET",
    path="/workspaces",
)
DOMAINS = Operation(  # infraforge:domains/list
    name="list_domains",
    method="GET",
    path="/domains",
)
DNS = Operation(  # infraforge:dns/get
    name="get_dns",
    method="GET",
    path="/domains/{id}/dns",
)
SET_DNS = Operation(  # infraforge:dns/set
    name="set_dns",
    method="PUT",
    path="/domains/{id}/dns",
    reconcile="the records of the domain, matched on the whole set",
)
AUTORENEW = Operation(  # infraforge:domains/enable-autorenew
    name="enable_autorenew",
    method="PUT",
    path="/domains/{id}/enable-autorenew",
    reconcile="list of domains, matched on autoRenewStatus",
)
LAPSE = Operation(  # infraforge:domains/disable-autorenew
    name="disable_autorenew",
    method="PUT",
    path="/domains/{id}/disable-autorenew",
    reconcile="list of domains, matched on autoRenewStatus",
)
MAILBOXES = Operation(  # infraforge:mailboxes/list
    name="list_mailboxes",
    method="GET",
    path="/mailboxes",
    timeout=40,
)
MAILBOX = Operation(  # infraforge:mailboxes/get
    name="get_mailbox",
    method="GET",
    path="/mailboxes/{id}",
)
SET_PASSWORD = Operation(  # infraforge:mailboxes/update
    name="set_password",
    method="PATCH",
    path="/mailboxes/{id}",
    reconcile="none possible by reading alone: the login is tried with the new password",
)
EXPORT = Operation(  # infraforge:mailboxes/export
    name="export_mailboxes",
    method="POST",
    path="/workspaces/{ws}/mailboxes/export",
    reads=True,
    timeout=60,
)
HAND_OVER = Operation(  # infraforge:mailboxes/export-to-salesforge
    name="export_to_salesforge",
    method="POST",
    path="/mailboxes/export-to-salesforge",
    reconcile="mailboxes of the Salesforge workspace, matched on the addresses",
    timeout=60,
)


class InfraforgeClient:
    """One account. Calls that spend money (domains, mailboxes, credits) are not in it."""

    def __init__(self, vendor: Vendor, means: Means) -> None:
        self.transport = Transport(vendor, means)

    def __repr__(self) -> str:
        return f"InfraforgeClient({self.transport.key_id})"

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.transport.key_id})

    async def close(self) -> None:
        await self.transport.close()

    async def workspaces(self) -> Sequence[Workspace]:
        return await self._list(WORKSPACES, Workspace)

    async def domains(self) -> Sequence[Domain]:
        return await self._list(DOMAINS, Domain)

    async def dns(self, domain: str) -> Sequence[Record]:
        return await self._list(DNS, Record, at={"id": domain})

    async def add_record(self, domain: str, record: Record) -> None:
        """The whole set is written, in the order in which it was read, with this one behind it: a set of one record
        would take MX, SPF, DKIM and DMARC away (infraforge:dns/set)."""
        there = list(await self.dns(domain))
        if (record.name, record.type, record.value) in [(each.name, each.type, each.value) for each in there]:
            return
        await self.set_dns(domain, [*there, record])

    async def set_dns(self, domain: str, records: Sequence[Record]) -> None:
        """Replaces every record. `add_record` is what is meant nearly always."""
        rows = [msgspec.to_builtins(record) for record in records]
        match = {"id": domain, "records": [[row["name"], row["type"], row["value"]] for row in rows]}
        await self.transport.call(SET_DNS, at={"id": domain}, body={"records": rows}, match=match)

    async def autorenew(self, domain: str, on: bool) -> None:
        match = {"id": domain, "autoRenewStatus": "enabled" if on else "disabled"}
        await self.transport.call(AUTORENEW if on else LAPSE, at={"id": domain}, match=match)

    async def mailboxes(self, workspace: str | None = None, *, with_credentials: bool = False) -> Sequence[Mailbox]:
        """All at once: there are no pages."""
        query: Mapping[str, Any] = {"workspace_id": workspace, **asking(with_credentials)}
        return await self._list(MAILBOXES, Mailbox, query=query)

    async def mailbox(self, id: str, *, with_credentials: bool = False) -> Mailbox:
        return await self.transport.ask(MAILBOX, Mailbox, at={"id": id}, query=asking(with_credentials))

    async def set_password(self, id: str, password: Secret) -> None:
        """Breaks every sender that logs in with the old one."""
        body = Hidden({"password": password.reveal()})
        await self.transport.call(SET_PASSWORD, at={"id": id}, body=body, match={"id": id}, journaled={"id": id})

    async def export(self, workspace: str, kind: Literal["sl"] = "sl", ids: Sequence[str] = ()) -> str:
        """The mailboxes as CSV in another product's layout, with passwords: not to be written anywhere in clear."""
        body = {"exportType": kind, "includedIds": list(ids), "excludedIds": []}
        return (await self.transport.call(EXPORT, at={"ws": workspace}, body=body)).text

    async def hand_over(
        self, workspace: str, salesforge: str, warmforge: str, ids: Sequence[str], *, tag: str, warmup: bool
    ) -> None:
        """Connects mailboxes to Salesforge and Warmforge without their passwords passing through here."""
        body = {
            "fromWorkspaceId": workspace,
            "toWorkspaceId": salesforge,
            "toWarmforgeWorkspaceId": warmforge,
            "tagName": tag,
            "warmupActivated": warmup,
            "includedIds": list(ids),
        }
        await self.transport.call(HAND_OVER, body=body, match={"salesforge": salesforge, "ids": list(ids)})

    async def raw(self, operation: Operation, **call: Any) -> Sequence[dict[str, Any]]:
        """A list as it came, with the fields that nothing here reads."""
        return await self._list(operation, dict[str, Any], **call)

    async def _list(self, operation: Operation, kind: type[Any], **call: Any) -> Sequence[Any]:
        """A bare list. Where its description shows a single object, one object is a list of one."""
        answer = await self.transport.call(operation, **call)
        raw = answer.data if isinstance(answer.data, list) else [answer.data] if answer.data else []
        try:
            return msgspec.convert(raw, list[kind], strict=False)
        except msgspec.ValidationError as error:
            raise Drift(
                f"infraforge {operation.name} answered in a shape we do not know: {error}.",
                vendor="infraforge",
                operation=operation.name,
                status=answer.status,
                hint="The vendor changed its interface, or its base URL in the settings leads elsewhere.",
                field="$",
            ) from None


def judge(answer: Answer) -> Failure | None:
    """`{message, data}`: validation texts are in `data` (infraforge:errors)."""
    said, data = text_of(answer), answer.fields.get("data")
    if answer.status == 402:
        return Failure(kind=Forbidden, message=said, hint="There is no card or credit at Infraforge.")
    if answer.status == 400 and isinstance(data, list):
        said = f"{said}: {', '.join(map(str, data))}"
    return by_status(answer, said)


def get_infraforge_client(
    api_key: str, means: Means, *, base_url: str = BASE_URL, rate: float = CALLS_PER_SECOND
) -> InfraforgeClient:
    window = (max(1, round(rate)), max(1.0, 1 / rate))
    access = Access(headers={"authorization": Secret(api_key)})
    return InfraforgeClient(
        Vendor(name="infraforge", base_url=base_url, access=access, windows=(window,), judge=judge), means
    )
