"""What the areas of the client share: the transport, and reading a list page by page."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from mailfleet.errors import Drift
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.transport import Transport

T = TypeVar("T")


class Area:
    """One part of the interface on a transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def _pages(
        self, operation: Operation, kind: type[T], limit: int, *, rows: str = "", **call: Any
    ) -> AsyncIterator[T]:
        """Every row by offset and limit; a short page is the last (smartlead:pagination).

        Rows that do not fit our model do not keep back those that do: all of these are given first, then the first
        `Drift` is raised, so that nobody takes what is missing for what is not there.
        """
        offset, query = 0, call.pop("query", None) or {}
        strange: Drift | None = None
        while True:
            asked = {**query, "offset": offset, "limit": limit}
            page = await self.transport.rows(operation, kind, rows, query=asked, **call)
            strange = strange or page.drift
            for row in page.good:
                yield row
            offset += page.read
            if page.read < limit:
                break
        if strange:
            raise strange


async def fitting(rows: AsyncIterator[T]) -> list[T]:
    """The rows that fit, for those who conclude nothing from one that is missing; the `Drift` has been noted."""
    found: list[T] = []
    with contextlib.suppress(Drift):
        async for row in rows:
            found.append(row)
    return found
