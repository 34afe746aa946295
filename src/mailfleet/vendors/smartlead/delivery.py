"""SmartDelivery: placement tests and their reports, on a host of its own. A paid add-on: 402 when credits are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import PlacementTest
from mailfleet.vendors.transport.operation import Operation

Section = Literal[
    "sender-account-wise", "sender-accounts", "spam-filter-details", "dkim-details", "spf-details", "rdns-details",
    "domain-blacklist", "blacklist", "ip-analytics", "email-content", "schedule-history",
]  # fmt: skip
DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "spam_filters": ["spam_assassin"],
    "link_checker": False,
    "all_email_sent_without_time_gap": False,
    "min_time_btwn_emails": 10,
    "min_time_unit": "minutes",
    "is_warmup": False,
}
MANUAL = Operation(  # smartlead:delivery/manual
    name="start_placement_test",
    method="POST",
    path="/manual",
    reconcile="the list of tests, matched on test_name",
    timeout=40,
)
SCHEDULE = Operation(  # smartlead:delivery/schedule
    name="schedule_placement_test",
    method="POST",
    path="/schedule",
    reconcile="the list of tests, matched on test_name",
    timeout=40,
)
STOP = Operation(  # smartlead:delivery/stop
    name="stop_placement_test", method="PUT", path="/{id}/stop", reconcile="the test by id, matched on status"
)
LIST = Operation(name="list_placement_tests", method="POST", path="/report", reads=True)  # smartlead:delivery/list
GET = Operation(name="get_placement_test", method="GET", path="/{id}")  # smartlead:delivery/get
DELETE = Operation(  # smartlead:delivery/delete
    name="delete_placement_tests", method="POST", path="/delete", reconcile="the test by id, matched on its absence"
)
PROVIDERS = Operation(  # smartlead:delivery/providerwise
    name="get_placement_by_provider", method="POST", path="/report/{id}/providerwise", reads=True
)
GROUPS = Operation(  # smartlead:delivery/groupwise
    name="get_placement_by_group", method="POST", path="/report/{id}/groupwise", reads=True
)
SECTION = Operation(  # smartlead:delivery/section
    name="get_placement_section", method="GET", path="/report/{id}/{section}"
)
HEADERS = Operation(  # smartlead:delivery/email-headers
    name="get_placement_headers", method="GET", path="/report/{id}/sender-account-wise/{reply}/email-headers"
)
SEEDS = Operation(name="get_seed_providers", method="GET", path="/seed/providers")  # smartlead:delivery/seeds
MAILBOXES = Operation(  # smartlead:delivery/mailboxes-summary
    name="get_mailboxes_placement", method="GET", path="/report/mailboxes-summary"
)
COUNTS = Operation(  # smartlead:delivery/mailboxes-count
    name="get_mailboxes_count", method="GET", path="/report/mailboxes-count"
)


class Delivery(Area):
    """`smartdelivery.smartlead.ai`."""

    async def start(self, name: str, senders: Sequence[str], providers: Sequence[int], **fields: Any) -> PlacementTest:
        """A manual test; it takes about 70 minutes. Every sender has to be attached to the campaign."""
        return await self._start(MANUAL, name, senders, providers, fields)

    async def schedule(
        self, name: str, senders: Sequence[str], providers: Sequence[int], **fields: Any
    ) -> PlacementTest:
        return await self._start(SCHEDULE, name, senders, providers, fields)

    async def _start(
        self,
        operation: Operation,
        name: str,
        senders: Sequence[str],
        providers: Sequence[int],
        fields: Mapping[str, Any],
    ) -> PlacementTest:
        named = {"test_name": name, "sender_accounts": list(senders), "provider_ids": list(providers)}
        body = {**DEFAULTS, **named, **fields}
        return await self.transport.ask(operation, PlacementTest, body=body, match={"test_name": name})

    async def stop(self, test: int) -> None:
        await self.transport.call(STOP, at={"id": test}, match={"id": test, "status": "STOPPED"})

    async def list(self, limit: int = 100, offset: int = 0) -> Any:
        """The vendor reads with POST here; nothing is changed."""
        return (await self.transport.call(LIST, body={}, query={"limit": limit, "offset": offset})).data

    async def get(self, test: int) -> PlacementTest:
        return await self.transport.ask(GET, PlacementTest, at={"id": test})

    async def delete(self, tests: Sequence[int]) -> None:
        body = {"spamTestIds": list(tests)}
        await self.transport.call(DELETE, body=body, match=body)

    async def by_provider(self, test: int) -> Mapping[str, Any]:
        return (await self.transport.call(PROVIDERS, at={"id": test}, body={})).fields

    async def by_group(self, test: int) -> Mapping[str, Any]:
        return (await self.transport.call(GROUPS, at={"id": test}, body={})).fields

    async def section(self, test: int, section: Section) -> Any:
        """Seeds' verdicts and lists; `spf-details` and its like say what received mail was verified as."""
        return (await self.transport.call(SECTION, at={"id": test, "section": section})).data

    async def headers(self, test: int, reply: str) -> Any:
        return (await self.transport.call(HEADERS, at={"id": test, "reply": reply})).data

    async def seed_providers(self) -> Any:
        return (await self.transport.call(SEEDS)).data

    async def mailboxes(self) -> Any:
        """Placement score, inbox, tab and spam counts per mailbox."""
        return (await self.transport.call(MAILBOXES)).data

    async def mailbox_counts(self) -> Any:
        return (await self.transport.call(COUNTS)).data
