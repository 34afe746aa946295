"""What the areas of the client share: the transport, and reading a list page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.transport import Transport

T = TypeVar("T")
P = TypeVar("P")


class Area:
    """One part of the interface on a transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def _pages(
        self, operation: Operation, kind: type[P], rows: Callable[[P], Sequence[T]], limit: int, **call: Any
    ) -> AsyncIterator[T]:
        """Every row by offset and limit; a short page is the last (smartlead:pagination)."""
        offset, query = 0, call.pop("query", None) or {}
        while True:
            page = await self.transport.ask(operation, kind, query={**query, "offset": offset, "limit": limit}, **call)
            found = rows(page)
            for row in found:
                yield row
            if len(found) < limit:
                return
            offset += len(found)


def itself(page: list[T]) -> list[T]:
    return page
