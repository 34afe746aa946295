"""The border: both hosts of Salesforge, what their answers mean, and how their lists are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from mailfleet.errors import Conflict, Drift, Forbidden
from mailfleet.vendors.transport.answer import Answer
from mailfleet.vendors.transport.failures import by_status, text_of
from mailfleet.vendors.transport.operation import Access, Failure, Operation, Vendor
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Transport

BASE_URL = "https://api.salesforge.ai/public/v2"
MULTICHANNEL_URL = "https://multichannel-api.salesforge.ai/public"
PAGE, LONG_PAGE = 100, 1000
"""Rows asked for: others page with 100, no maximum is published; 1000 is that of `dnc` and `sending-data`."""
CALLS_PER_SECOND = 2.0
"""No limit is published (salesforge:rate-limits): what a cautious client begins with."""
T = TypeVar("T")


def vendor(
    key: Secret, *, base_url: str = BASE_URL, rate: float = CALLS_PER_SECOND, name: str = "salesforge"
) -> Vendor:
    """A host as the transport sees it. The key goes raw: `Bearer` is refused (salesforge:auth)."""
    window = (max(1, round(rate)), max(1.0, 1 / rate))
    access = Access(headers={"authorization": key})
    return Vendor(name=name, base_url=base_url, access=access, windows=(window,), judge=judge)


def judge(answer: Answer) -> Failure | None:
    """`{message, data?}`; validation texts stand in `data.validations`, whose form is not known (salesforge:errors)."""
    said, data = text_of(answer), answer.fields.get("data")
    if answer.status == 402:
        missing = data.get("leadCreditsNeeded") if isinstance(data, dict) else None
        more = f" ({missing} are missing)" if missing else ""
        return Failure(kind=Forbidden, message=said + more, hint="The plan lacks the API, or lead credits are used up.")
    if answer.status == 422:
        return Failure(kind=Forbidden, message=said, hint="The account's limit of active contacts is reached.")
    if answer.status in (409, 423):
        return Failure(kind=Conflict, message=said)
    if answer.status == 400 and data:
        said = f"{said} ({data})"
    return by_status(answer, said)


class Area:
    """One part of the interface."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def _rows(
        self,
        operation: Operation,
        kind: type[T],
        *,
        page: int = PAGE,
        at: Mapping[str, object],
        query: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[T]:
        """Every row by limit and offset, however many a page really holds (salesforge:pagination).

        Rows that fit are all given first, then the first `Drift` of one that does not is raised.
        """
        offset = 0
        strange: Drift | None = None
        while True:
            asked = {**(query or {}), "limit": page, "offset": offset}
            found = await self.transport.rows(operation, kind, "data", at=at, query=asked)
            strange = strange or found.drift
            for row in found.good:
                yield row
            offset += found.read
            total = found.around.get("total")
            if not found.read or (isinstance(total, int) and offset >= total):
                break
        if strange:
            raise strange
