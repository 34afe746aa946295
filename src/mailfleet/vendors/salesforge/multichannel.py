"""Multichannel sequences, as far as leaving needs them: steps, windows, senders, pause and resume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Literal, TypeVar

from mailfleet.vendors.salesforge.border import PAGE, Area
from mailfleet.vendors.salesforge.models import Graph, Profile, Window
from mailfleet.vendors.transport.operation import Operation

T = TypeVar("T")
LIST = Operation(  # salesforge:multichannel/sequences/list
    name="list_graphs",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences",
)
GET = Operation(  # salesforge:multichannel/sequences/get
    name="get_graph",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences/{id}",
)
SCHEDULE = Operation(  # salesforge:multichannel/schedule
    name="get_graph_schedule",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences/{id}/schedule",
)
SETTINGS = Operation(  # salesforge:multichannel/settings
    name="get_graph_settings",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences/{id}/settings",
)
ANALYTICS = Operation(  # salesforge:multichannel/analytics
    name="get_graph_analytics",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences/{id}/analytics",
)
SENDERS = Operation(  # salesforge:multichannel/sequence-senders
    name="list_graph_senders",
    method="GET",
    path="/multichannel/workspaces/{ws}/sequences/{id}/sender-profiles",
)
PROFILES = Operation(  # salesforge:multichannel/sender-profiles
    name="list_sender_profiles",
    method="GET",
    path="/multichannel/workspaces/{ws}/sender-profiles",
)
STATUS = Operation(  # salesforge:multichannel/status
    name="set_graph_status",
    method="PATCH",
    path="/multichannel/workspaces/{ws}/sequences/{id}/status",
    reconcile="the sequence by id, matched on status",
)


class Multichannel(Area):
    """`/multichannel/workspaces/{ws}`, on a host of its own."""

    def list(self, ws: str) -> AsyncIterator[Graph]:
        return self._paged(LIST, Graph, "sequences", {"ws": ws})

    async def get(self, ws: str, id: int) -> dict[str, Any]:
        """`{sequence, nodes, branches, …}` as it comes: an export keeps all of it."""
        return await self.transport.ask(GET, dict[str, Any], at={"ws": ws, "id": id})

    async def schedule(self, ws: str, id: int) -> Window:
        """Here, unlike in V1, it can be read."""
        return await self.transport.ask(SCHEDULE, Window, at={"ws": ws, "id": id})

    async def settings(self, ws: str, id: int) -> dict[str, Any]:
        return await self.transport.ask(SETTINGS, dict[str, Any], at={"ws": ws, "id": id})

    async def analytics(self, ws: str, id: int, first: date, last: date) -> dict[str, Any]:
        query = {"from_date": first.isoformat(), "to_date": last.isoformat(), "timezone": "UTC"}
        return await self.transport.ask(ANALYTICS, dict[str, Any], at={"ws": ws, "id": id}, query=query)

    def senders(self, ws: str, id: int) -> AsyncIterator[Profile]:
        return self._paged(SENDERS, Profile, "profiles", {"ws": ws, "id": id})

    def profiles(self, ws: str) -> AsyncIterator[Profile]:
        return self._paged(PROFILES, Profile, "profiles", {"ws": ws})

    async def set_status(self, ws: str, id: int, status: Literal["active", "paused"], *, urgent: bool = False) -> None:
        match = {"ws": ws, "id": id, "status": status}
        await self.transport.call(STATUS, at={"ws": ws, "id": id}, body={"status": status}, match=match, urgent=urgent)

    async def _paged(self, operation: Operation, kind: type[T], name: str, at: dict[str, object]) -> AsyncIterator[T]:
        """Every row by `page` and `limit`; `pagination.hasNext` says whether there is more."""
        page, strange = 1, None
        while True:
            found = await self.transport.rows(operation, kind, name, at=at, query={"page": page, "limit": PAGE})
            strange = strange or found.drift
            for row in found.good:
                yield row
            around = found.around.get("pagination")
            if not isinstance(around, dict) or not around.get("hasNext"):
                break
            page += 1
        if strange:
            raise strange
