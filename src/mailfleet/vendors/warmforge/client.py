"""Warmforge under account-wide keys: every path below a workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any, TypeVar

from mailfleet.errors import Conflict, Drift, Unauthorized
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import Rows, by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.secret import Hidden, Secret
from mailfleet.vendors.transport.transport import Means, Transport
from mailfleet.vendors.warmforge.models import (
    Latest,
    Mailbox,
    PlacementTest,
    Results,
    WarmupDay,
    WarmupStats,
    Workspace,
)

T = TypeVar("T")
BASE_URL = "https://api.warmforge.ai/public/v1"
CALLS_PER_SECOND = 2.0
PAGE, TESTS_PAGE, LATEST = 100, 50, 100
PER_DAY, RAMPUP, REPLIES = (1, 20), (0, 20), (0, 50)
"""Bounds of a mailbox's warm-up (warmforge:mailboxes/update)."""
WORKSPACES = Operation(  # warmforge:workspaces/list
    name="list_workspaces",
    method="GET",
    path="/workspaces",
)
LIST = Operation(  # warmforge:mailboxes/list
    name="list_mailboxes",
    method="GET",
    path="/workspaces/{ws}/mailboxes",
)
GET = Operation(  # warmforge:mailboxes/get
    name="get_mailbox",
    method="GET",
    path="/workspaces/{ws}/mailboxes/{address}",
)
UPDATE = Operation(  # warmforge:mailboxes/update
    name="update_mailbox",
    method="PATCH",
    path="/workspaces/{ws}/mailboxes/{address}",
    reconcile="the mailbox by address, matched on the fields written",
)
REMOVE = Operation(  # warmforge:mailboxes/delete
    name="remove_mailbox",
    method="DELETE",
    path="/workspaces/{ws}/mailboxes/{address}",
    reconcile="the mailbox by address: not found",
)
CONNECT = Operation(  # warmforge:mailboxes/connect-smtp
    name="connect_mailbox",
    method="POST",
    path="/workspaces/{ws}/mailboxes/connect-smtp",
    reconcile="the mailbox by address",
    timeout=60,
)
STATS = Operation(  # warmforge:mailboxes/warmup-stats
    name="warmup_stats",
    method="GET",
    path="/workspaces/{ws}/mailboxes/{address}/warmup/stats",
)
TESTS = Operation(  # warmforge:placement-tests/list
    name="list_placement_tests",
    method="GET",
    path="/workspaces/{ws}/placement-tests",
)
TEST = Operation(  # warmforge:placement-tests/get
    name="get_placement_test",
    method="GET",
    path="/workspaces/{ws}/placement-tests/{id}",
)
START = Operation(  # warmforge:placement-tests/create
    name="start_placement_test",
    method="POST",
    path="/workspaces/{ws}/placement-tests",
    reconcile="list of tests, matched on the name",
)
FORGET = Operation(  # warmforge:placement-tests/delete
    name="delete_placement_test",
    method="DELETE",
    path="/workspaces/{ws}/placement-tests/{id}",
    reconcile="the test by id: not found",
)
RESULTS = Operation(  # warmforge:mailboxes/placement-latest
    name="latest_placement_results",
    method="POST",
    path="/workspaces/{ws}/mailboxes/placement-results/latest",
    reads=True,
)


class WarmforgeClient:
    """One account. The key goes raw; refused so, it is sent once more as `Bearer`, and stays what was taken.

    The vendor's description says raw, its own tools say `Bearer` (warmforge:auth).
    """

    def __init__(self, raw: Vendor, bearer: Vendor, means: Means) -> None:
        self._forms = [Transport(raw, means), Transport(bearer, means)]
        self.transport = self._forms[0]

    def __repr__(self) -> str:
        return f"WarmforgeClient({self.transport.key_id})"

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(form.key_id for form in self._forms)

    async def close(self) -> None:
        for form in self._forms:
            await form.close()

    async def workspaces(self) -> Sequence[Workspace]:
        return [row async for row in self._paged(WORKSPACES, Workspace, "workspaces", {})]

    def mailboxes(self, ws: str) -> AsyncIterator[Mailbox]:
        return self._paged(LIST, Mailbox, "mailboxes", {"ws": ws})

    async def mailbox(self, ws: str, address: str) -> Mailbox:
        return await self._ask(GET, Mailbox, at={"ws": ws, "address": address})

    async def update(self, ws: str, address: str, **fields: Any) -> Mailbox:
        at = {"ws": ws, "address": address}
        return await self._ask(UPDATE, Mailbox, at=at, body=fields, match={**at, **fields})

    async def remove(self, ws: str, address: str) -> None:
        at = {"ws": ws, "address": address}
        await self._call(REMOVE, at=at, match=at)

    async def connect(self, ws: str, address: str, fields: Hidden) -> Mailbox:
        """Raises `Conflict` when another workspace holds the address."""
        match = {"ws": ws, "address": address}
        return await self._ask(CONNECT, Mailbox, at={"ws": ws}, body=fields, match=match, journaled=match)

    async def stats(self, ws: str, address: str, first: date, last: date) -> Sequence[WarmupDay]:
        at = {"ws": ws, "address": address}
        query = {"from": first.isoformat(), "to": last.isoformat()}
        return (await self._ask(STATS, WarmupStats, at=at, query=query)).stats

    def placement_tests(self, ws: str) -> AsyncIterator[PlacementTest]:
        return self._paged(TESTS, PlacementTest, "placementTests", {"ws": ws}, size=TESTS_PAGE, size_name="size")

    async def placement_test(self, ws: str, id: str) -> PlacementTest:
        return await self._ask(TEST, PlacementTest, at={"ws": ws, "id": id})

    async def start_placement_test(
        self, ws: str, name: str, subject: str, body: str, mailboxes: Sequence[str]
    ) -> PlacementTest:
        """Asynchronous. No mailbox named would mean all of them: that is never asked."""
        if not mailboxes:
            raise ValueError("A placement test names its mailboxes.")
        given = {"name": name, "subject": subject, "body": body, "mailboxes": list(mailboxes)}
        return await self._ask(START, PlacementTest, at={"ws": ws}, body=given, match={"ws": ws, "name": name})

    async def forget_placement_test(self, ws: str, id: str) -> None:
        await self._call(FORGET, at={"ws": ws, "id": id}, match={"ws": ws, "id": id})

    async def latest_results(self, ws: str, mailboxes: Sequence[str]) -> Sequence[Latest]:
        """The newest test of each; at most `LATEST` mailbox ids."""
        found = await self._ask(RESULTS, Results, at={"ws": ws}, body={"mailboxIds": list(mailboxes)})
        return found.results

    def raw(self, operation: Operation, name: str, ws: str) -> AsyncIterator[dict[str, Any]]:
        """Every row of a list as it came, with the fields that nothing here reads."""
        tests = operation is TESTS
        size, size_name = (TESTS_PAGE, "size") if tests else (PAGE, "page_size")
        return self._paged(operation, dict[str, Any], name, {"ws": ws}, size=size, size_name=size_name)

    async def _paged(
        self,
        operation: Operation,
        kind: type[T],
        name: str,
        at: dict[str, object],
        *,
        size: int = PAGE,
        size_name: str = "page_size",
    ) -> AsyncIterator[T]:
        """Every row by page; there is no total of mailboxes, only the number of pages (warmforge:pagination)."""
        page = 1
        strange: Drift | None = None
        while True:
            found = await self._rows(operation, kind, name, at=at, query={"page": page, size_name: size})
            strange = strange or found.drift
            for row in found.good:
                yield row
            pages = found.around.get("totalPages")
            if not found.read or not isinstance(pages, int) or page >= pages:
                break
            page += 1
        if strange:
            raise strange

    async def _ask(self, operation: Operation, kind: type[T], **call: Any) -> T:
        try:
            return await self.transport.ask(operation, kind, **call)
        except Unauthorized:
            self._other_form()
            return await self.transport.ask(operation, kind, **call)

    async def _call(self, operation: Operation, **call: Any) -> Answer:
        try:
            return await self.transport.call(operation, **call)
        except Unauthorized:
            self._other_form()
            return await self.transport.call(operation, **call)

    async def _rows(self, operation: Operation, kind: type[T], name: str, **call: Any) -> Rows[T]:
        try:
            return await self.transport.rows(operation, kind, name, **call)
        except Unauthorized:
            self._other_form()
            return await self.transport.rows(operation, kind, name, **call)

    def _other_form(self) -> None:
        """Once in the life of the client; refused in both forms, the error is the caller's."""
        if self.transport is self._forms[-1]:
            raise
        self.transport = self._forms[-1]


def judge(answer: Answer) -> Failure | None:
    """`{message, data?}`, told apart by status; 409 says that another workspace has the address."""
    if answer.status == 409:
        return Failure(kind=Conflict, message=text_of(answer), hint="The address is warmed in another workspace.")
    return by_status(answer)


def get_warmforge_client(
    api_key: str, means: Means, *, base_url: str = BASE_URL, rate: float = CALLS_PER_SECOND
) -> WarmforgeClient:
    window = (max(1, round(rate)), max(1.0, 1 / rate))

    def vendor(form: str) -> Vendor:
        access = Access(headers={"authorization": Secret(form)})
        return Vendor(name="warmforge", base_url=base_url, access=access, windows=(window,), judge=judge)

    return WarmforgeClient(vendor(api_key), vendor(f"Bearer {api_key}"), means)
