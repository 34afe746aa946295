"""The Forge stack as a source of an export: everything EXPORT_REQUIREMENTS asks for that the vendor's interfaces give.

Rows are kept as they came, with every field, known or not; `workspaceId` is added. Which leads are in which sequence is
in the list of contacts since 2026-09; before, it is found the cheaper of two ways (salesforge:contacts/list).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec

from mailfleet.errors import NotFound
from mailfleet.platforms.archive import Dataset, Page, Record
from mailfleet.platforms.forge_datasets import IGNORED, INFRAFORGE, NOT_GIVEN, SALESFORGE, WARMFORGE
from mailfleet.vendors.infraforge import client as infraforge
from mailfleet.vendors.infraforge.client import InfraforgeClient
from mailfleet.vendors.salesforge import mailboxes, people, sequences
from mailfleet.vendors.salesforge.client import SalesforgeClient
from mailfleet.vendors.salesforge.models import Workspace
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.warmforge import client as warmforge
from mailfleet.vendors.warmforge.client import WarmforgeClient

Raw = dict[str, Any]
T = TypeVar("T")
Fetch = Callable[[T, int], Awaitable[tuple[Sequence[Record], int, bool]]]
"""(stop, offset) → rows, how many the vendor gave, whether there are more at this stop."""
Samples = Callable[[str, str | None], AsyncIterator[Page]]
"""(kind, start) → what was sampled daily since the day of connection."""
_EARLIEST = date(2020, 1, 1)
_PAGE, _LONG = 100, 1000


class ForgeExport:
    """One account of each product that a key was given for; every workspace of it."""

    name = "forge"

    def __init__(
        self,
        core: SalesforgeClient,
        warm: WarmforgeClient | None,
        infra: InfraforgeClient | None,
        samples: Samples,
        *,
        today: Callable[[], date],
    ) -> None:
        self._core, self._warm, self._infra, self._samples, self._today = core, warm, infra, samples, today
        self._membership = ""
        self._read: dict[tuple[str, str], Raw] = {}
        self._known: list[tuple[str, str]] | None = None
        self._spaces: Sequence[Workspace] | None = None

    async def close(self) -> None:
        for client in (self._core, self._warm, self._infra):
            if client is not None:
                await client.close()

    def datasets(self) -> Sequence[Dataset]:
        return [*SALESFORGE, *(WARMFORGE if self._warm else ()), *(INFRAFORGE if self._infra else ())]

    def not_given(self) -> Mapping[str, str]:
        absent = {
            f"{product}": f"no {product.upper()}_API_KEY is set: nothing of it is in this archive"
            for product, client in (("warmforge", self._warm), ("infraforge", self._infra))
            if client is None
        }
        return {**NOT_GIVEN, **absent}

    def remarks(self) -> Mapping[str, str]:
        """How what has no list of its own was found."""
        return {"salesforge/memberships": self._membership} if self._membership else {}

    async def count(self, dataset: str) -> int | None:
        listed = {
            "salesforge/leads": (people.LIST, {}),
            "salesforge/engagement": (people.SENDING, {}),
        }.get(dataset)
        if listed is None:
            return None
        totals = [(await self._listed(listed[0], space.id, 0, 1))[2] for space in await self._workspaces()]
        return None if None in totals else sum(total or 0 for total in totals)

    def pages(self, dataset: str, start: str | None) -> AsyncIterator[Page]:
        return {
            "salesforge/campaigns": self._campaigns,
            "salesforge/sequences": self._steps,
            "salesforge/multichannel": self._graphs,
            "salesforge/analytics": self._analytics,
            "salesforge/totals": self._totals,
            "salesforge/leads": self._leads,
            "salesforge/memberships": self._memberships,
            "salesforge/engagement": self._engagement,
            "salesforge/replies": self._replies,
            "salesforge/suppressions": self._suppressions,
            "salesforge/mailboxes": self._mailboxes,
            "warmforge/mailboxes": self._warm_mailboxes,
            "warmforge/warmup": self._warmup,
            "warmforge/placements": self._placements,
            "warmforge/history": self._history,
            "infraforge/domains": self._domains,
            "infraforge/mailboxes": self._credentials,
        }[dataset](start)

    # Salesforge

    async def _workspaces(self) -> Sequence[Workspace]:
        if self._spaces is None:
            self._spaces = sorted(await self._core.workspaces(), key=lambda space: space.id)
        return self._spaces

    async def _listed(
        self, operation: Operation, ws: str, offset: int, limit: int, **query: Any
    ) -> tuple[list[Raw], int, int | None]:
        """Rows of one page, how many the vendor gave, and its total."""
        asked = {**query, "limit": limit, "offset": offset}
        found = await self._core.people.transport.rows(operation, Raw, "data", at={"ws": ws}, query=asked)
        total = found.around.get("total")
        rows = [{**row, "workspaceId": row.get("workspaceId") or ws} for row in found.good]
        return rows, found.read, total if isinstance(total, int) else None

    async def _by_offset(
        self, operation: Operation, start: str | None, limit: int, **query: Any
    ) -> AsyncIterator[Page]:
        async def fetch(space: Workspace, offset: int) -> tuple[Sequence[Record], int, bool]:
            rows, read, total = await self._listed(operation, space.id, offset, limit, **query)
            return rows, read, bool(read) and (total is None or offset + read < total)

        async for page in _over(await self._workspaces(), fetch, start):
            yield page

    async def _sequences(self) -> list[tuple[str, str]]:
        """(workspace, id) of the sequences of mails; those of many channels have ids of digits alone."""
        if self._known is not None:
            return self._known
        found: list[tuple[str, str]] = []
        async for page in self._by_offset(sequences.LIST, None, _PAGE, type="legacy"):
            found += [(row["workspaceId"], str(row["id"])) for row in page.rows if not str(row["id"]).isdecimal()]
        self._known = sorted(set(found))
        return self._known

    async def _sequence(self, at: tuple[str, str]) -> Raw:
        """Read once: it answers for the campaign as well as for its steps."""
        if at not in self._read:
            raw = await self._core.people.transport.ask(sequences.GET, Raw, at={"ws": at[0], "id": at[1]})
            self._read[at] = {"workspaceId": at[0], **raw}
        return self._read[at]

    async def _campaigns(self, start: str | None) -> AsyncIterator[Page]:
        async def fetch(at: tuple[str, str], _: int) -> tuple[Sequence[Record], int, bool]:
            return [{key: value for key, value in (await self._sequence(at)).items() if key != "steps"}], 1, False

        async for page in _over(await self._sequences(), fetch, start):
            yield page

    async def _steps(self, start: str | None) -> AsyncIterator[Page]:
        async def fetch(at: tuple[str, str], _: int) -> tuple[Sequence[Record], int, bool]:
            return _variants(at, await self._sequence(at)), 1, False

        async for page in _over(await self._sequences(), fetch, start):
            yield page

    async def _graphs(self, start: str | None) -> AsyncIterator[Page]:
        found: list[tuple[str, int]] = []
        for space in await self._workspaces():
            found += [(space.id, graph.id) async for graph in self._core.multichannel.list(space.id)]

        async def fetch(at: tuple[str, int], _: int) -> tuple[Sequence[Record], int, bool]:
            ws, id = at
            graph = await self._core.multichannel.get(ws, id)
            window = msgspec.to_builtins(await self._core.multichannel.schedule(ws, id))
            settings = await self._core.multichannel.settings(ws, id)
            return [{"workspaceId": ws, **graph, "schedule": window, "settings": settings}], 1, False

        async for page in _over(sorted(found), fetch, start):
            yield page

    async def _analytics(self, start: str | None) -> AsyncIterator[Page]:
        async def fetch(at: tuple[str, str], _: int) -> tuple[Sequence[Record], int, bool]:
            days = (await self._core.sequences.analytics(*at, _EARLIEST, self._today())).days
            rows = [
                {"workspaceId": at[0], "sequenceId": at[1], "day": day, **msgspec.to_builtins(counted)}
                for day, counted in sorted(days.items())
            ]
            return rows, 1, False

        async for page in _over(await self._sequences(), fetch, start):
            yield page

    async def _totals(self, start: str | None) -> AsyncIterator[Page]:
        async def fetch(at: tuple[str, str], _: int) -> tuple[Sequence[Record], int, bool]:
            told = msgspec.to_builtins(await self._core.sequences.metrics(*at))
            return [{"workspaceId": at[0], "sequenceId": at[1], **told}], 1, False

        async for page in _over(await self._sequences(), fetch, start):
            yield page

    def _leads(self, start: str | None) -> AsyncIterator[Page]:
        return self._by_offset(people.LIST, start, _PAGE)

    def _engagement(self, start: str | None) -> AsyncIterator[Page]:
        return self._by_offset(people.SENDING, start, _LONG)

    def _replies(self, start: str | None) -> AsyncIterator[Page]:
        return self._by_offset(mailboxes.THREADS, start, _PAGE)

    def _mailboxes(self, start: str | None) -> AsyncIterator[Page]:
        return self._by_offset(mailboxes.LIST, start, _PAGE)

    async def _suppressions(self, start: str | None) -> AsyncIterator[Page]:
        try:
            async for page in self._by_offset(people.DNC, start, _LONG):
                yield page
        except NotFound:  # the interface before 2026-09: the list can only be written
            yield Page(rows=(), next=None)

    async def _memberships(self, start: str | None) -> AsyncIterator[Page]:
        sizes, listed = 0, True
        for space in await self._workspaces():
            rows, read, total = await self._listed(people.LIST, space.id, 0, 1)
            sizes += total or read
            listed &= not rows or "sequences" in rows[0]
        every = await self._sequences()
        if listed:
            self._membership = "in the list of leads itself"
            yield Page(rows=(), next=None)
            return
        difference = len(every) * -(-sizes // _PAGE)
        if difference <= sizes:
            self._membership = f"all leads less those outside each sequence: about {difference} calls, not {sizes}"
            pages = self._by_difference(every, start)
        else:
            self._membership = f"each lead by itself: about {sizes} calls, not {difference}"
            pages = self._one_by_one(start)
        async for page in pages:
            yield page

    async def _by_difference(self, every: Sequence[tuple[str, str]], start: str | None) -> AsyncIterator[Page]:
        places: dict[str, dict[str, int]] = {}

        async def everybody(ws: str) -> dict[str, int]:
            if ws not in places:
                places.clear()  # one workspace's leads are held at a time
                ids = [str(row["id"]) async for row in self._rows(people.LIST, ws)]
                places[ws] = {id: place for place, id in enumerate(ids)}
            return places[ws]

        async def fetch(at: tuple[str, str], offset: int) -> tuple[Sequence[Record], int, bool]:
            known = await everybody(at[0])
            inside = bytearray(b"\1") * len(known)
            async for row in self._rows(people.LIST, at[0], not_in_sequence_id=at[1]):
                if (place := known.get(str(row["id"]))) is not None:
                    inside[place] = 0
            members = [id for id, place in known.items() if inside[place]]
            if not members and (await self._sequence(at)).get("leadCount"):
                # Filters were accepted and ignored in early 2026: everybody is then outside every sequence.
                self._membership = IGNORED
            rows = [{"workspaceId": at[0], "sequenceId": at[1], "contactId": id, "status": None} for id in members]
            return rows, len(rows), False

        async for page in _over(every, fetch, start):
            yield page

    async def _one_by_one(self, start: str | None) -> AsyncIterator[Page]:
        async for page in self._by_offset(people.LIST, start, _PAGE):
            rows: list[Record] = []
            for lead in page.rows:
                ws, id = lead["workspaceId"], str(lead["id"])
                told = await self._core.people.contact(ws, id)
                rows += [
                    {"workspaceId": ws, "sequenceId": each.id, "contactId": id, "status": each.status}
                    for each in told.sequences or ()
                ]
            yield Page(rows=rows, next=page.next)

    async def _rows(self, operation: Operation, ws: str, **query: Any) -> AsyncIterator[Raw]:
        offset = 0
        while True:
            rows, read, total = await self._listed(operation, ws, offset, _PAGE, **query)
            for row in rows:
                yield row
            offset += read
            if not read or (total is not None and offset >= total):
                return

    # Warmforge

    async def _boxes(self) -> AsyncIterator[Raw]:
        assert self._warm is not None
        for space in sorted(await self._warm.workspaces(), key=lambda each: each.id):
            async for row in self._warm.raw(warmforge.LIST, "mailboxes", space.id):
                yield {"workspaceID": space.id, **row}

    async def _warm_mailboxes(self, _: str | None) -> AsyncIterator[Page]:
        yield Page(rows=[row async for row in self._boxes()], next=None)

    async def _warmup(self, start: str | None) -> AsyncIterator[Page]:
        warm = self._warm
        assert warm is not None
        found = sorted([(row["workspaceID"], row["address"]) async for row in self._boxes()])

        async def fetch(at: tuple[str, str], _: int) -> tuple[Sequence[Record], int, bool]:
            days = await warm.stats(*at, _EARLIEST, self._today())
            return [{"address": at[1], **msgspec.to_builtins(day)} for day in days], 1, False

        async for page in _over(found, fetch, start):
            yield page

    async def _placements(self, _: str | None) -> AsyncIterator[Page]:
        assert self._warm is not None
        rows: list[Raw] = []
        for space in await self._warm.workspaces():
            rows += [row async for row in self._warm.raw(warmforge.TESTS, "placementTests", space.id)]
        yield Page(rows=rows, next=None)

    def _history(self, start: str | None) -> AsyncIterator[Page]:
        return self._samples("forge", start)

    # Infraforge

    async def _domains(self, start: str | None) -> AsyncIterator[Page]:
        infra = self._infra
        assert infra is not None

        async def fetch(domain: Raw, _: int) -> tuple[Sequence[Record], int, bool]:
            records = await infra.raw(infraforge.DNS, at={"id": domain["id"]})
            return [{**domain, "records": records}], 1, False

        domains = sorted(await infra.raw(infraforge.DOMAINS), key=lambda domain: str(domain["id"]))
        async for page in _over(domains, fetch, start):
            yield page

    async def _credentials(self, _: str | None) -> AsyncIterator[Page]:
        assert self._infra is not None
        yield Page(rows=await self._infra.raw(infraforge.MAILBOXES, query={"with_credentials": "true"}), next=None)


async def _over(stops: Sequence[T], fetch: Fetch[T], start: str | None) -> AsyncIterator[Page]:
    """Stop by stop, page by page; a page's `next` is (number of the stop, offset there)."""
    at, offset = json.loads(start) if start else (0, 0)
    if at >= len(stops):
        yield Page(rows=(), next=None)
    while at < len(stops):
        rows, read, more = await fetch(stops[at], offset)
        at, offset = (at, offset + read) if more else (at + 1, 0)
        yield Page(rows=rows, next=json.dumps([at, offset]) if at < len(stops) else None)


def _variants(at: tuple[str, str], sequence: Raw) -> list[Raw]:
    """A row for each form of each step, in the vendor's words."""
    return [
        {
            "workspaceId": at[0], "sequenceId": at[1], "stepId": step.get("id"), "stepOrder": step.get("order"),
            "stepName": step.get("name"), "waitDays": step.get("waitDays"),
            "distributionStrategy": step.get("distributionStrategy"), **variant, "variantId": variant.get("id"),
            "variantOrder": variant.get("order"),
        }
        for step in sequence.get("steps") or ()
        for variant in step.get("variants") or ()
    ]  # fmt: skip
