"""A thin client of Cloudflare's API v4: what sending domains need, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from mailfleet.vendors.cloudflare import border
from mailfleet.vendors.transport.operation import Operation
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means, Transport

T = TypeVar("T")
ZONES_A_PAGE, RECORDS_A_PAGE = 50, 100
FIND = Operation(name="find_zones", method="GET", path="/zones")  # cloudflare:zones/list
CREATE = Operation(  # cloudflare:zones/create
    name="create_zone", method="POST", path="/zones", reconcile="the zones of the account, matched on name"
)
GET = Operation(name="get_zone", method="GET", path="/zones/{id}")  # cloudflare:zones/get
CHECK = Operation(  # cloudflare:zones/activation_check
    name="check_activation",
    method="PUT",
    path="/zones/{id}/activation_check",
    reconcile="nothing to compare: asking again only repeats the question; the zone's status tells",
    own_limit=True,
)
RECORDS = Operation(  # cloudflare:dns_records/list
    name="list_records", method="GET", path="/zones/{id}/dns_records"
)
BATCH = Operation(  # cloudflare:dns_records/batch
    name="batch_records",
    method="POST",
    path="/zones/{id}/dns_records/batch",
    reconcile="the records of the zone, matched on type, name and decoded content: all or nothing",
)
VERIFY = Operation(name="verify_token", method="GET", path="/user/tokens/verify")  # cloudflare:tokens/verify


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: str
    name_servers: list[str] | None = None
    original_name_servers: list[str] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`content` of a TXT is RFC 1035 text, quoted and split as the vendor likes."""

    id: str
    type: str
    name: str
    content: str = ""
    ttl: int = 1
    priority: int | None = None
    proxied: bool | None = None
    comment: str | None = None


class _PageInfo(msgspec.Struct, frozen=True):
    page: int = 1
    total_pages: int = 1


class _One(msgspec.Struct, frozen=True):
    result: Any


class _Zone(msgspec.Struct, frozen=True):
    result: Zone


class _Zones(msgspec.Struct, frozen=True):
    result: list[Zone]
    result_info: _PageInfo | None = None


class _Records(msgspec.Struct, frozen=True):
    result: list[Record]
    result_info: _PageInfo | None = None


class Batch(msgspec.Struct, frozen=True):
    """What a batch left behind, by how it came to be."""

    deletes: list[Record] | None = None
    patches: list[Record] | None = None
    puts: list[Record] | None = None
    posts: list[Record] | None = None


class _Batched(msgspec.Struct, frozen=True):
    result: Batch


class CloudflareClient:
    """One token, one account."""

    def __init__(self, token: Secret, means: Means, *, account_id: str, base_url: str = border.BASE_URL) -> None:
        self.account_id = account_id
        self.transport = Transport(border.vendor(token, base_url=base_url), means)

    def __repr__(self) -> str:
        return f"CloudflareClient({self.transport.key_id})"

    async def close(self) -> None:
        await self.transport.close()

    async def zones(self, name: str | None = None) -> Sequence[Zone]:
        """All zones of the account, or the one of exactly this name."""
        query = {"name": name, "account.id": self.account_id}
        return [zone async for page in self._pages(FIND, _Zones, ZONES_A_PAGE, query=query) for zone in page.result]

    async def zone(self, zone: str) -> Zone:
        return (await self.transport.ask(GET, _Zone, at={"id": zone})).result

    async def create_zone(self, name: str) -> Zone:
        """Starts `pending`. Raises `Conflict` (1061) when it exists, here or in another account."""
        body = {"name": name, "account": {"id": self.account_id}, "type": "full"}
        return (await self.transport.ask(CREATE, _Zone, body=body, match={"name": name})).result

    async def check_activation(self, zone: str) -> None:
        """Free zones: once an hour; more often raises `RateLimited`."""
        await self.transport.call(CHECK, at={"id": zone})

    async def records(self, zone: str, **filters: Any) -> Sequence[Record]:
        pages = self._pages(RECORDS, _Records, RECORDS_A_PAGE, at={"id": zone}, query=filters)
        return [record async for page in pages for record in page.result]

    async def batch(
        self,
        zone: str,
        *,
        posts: Sequence[Mapping[str, Any]] = (),
        patches: Sequence[Mapping[str, Any]] = (),
        puts: Sequence[Mapping[str, Any]] = (),
        deletes: Sequence[str] = (),
    ) -> Batch:
        """One transaction: all of it or nothing. Carried out as deletes, patches, puts, posts."""
        body: dict[str, Any] = {"posts": list(posts), "patches": list(patches), "puts": list(puts)}
        body["deletes"] = [{"id": record} for record in deletes]
        asked = {name: rows for name, rows in body.items() if rows}
        return (
            await self.transport.ask(BATCH, _Batched, at={"id": zone}, body=asked, match={"zone": zone, **asked})
        ).result

    async def verify_token(self) -> str:
        """`active` for a good token; raises `Unauthorized` or `Forbidden` else."""
        answer = await self.transport.ask(VERIFY, _One)
        return str(answer.result.get("status", "")) if isinstance(answer.result, dict) else ""

    async def _pages(
        self, operation: Operation, kind: type[T], size: int, *, query: Mapping[str, Any], **call: Any
    ) -> AsyncIterator[T]:
        """Until `total_pages`: the caps of a page differ between the documentation's versions."""
        number = 1
        while True:
            page = await self.transport.ask(operation, kind, query={**query, "page": number, "per_page": size}, **call)
            yield page
            info: _PageInfo | None = getattr(page, "result_info", None)
            if info is None or number >= info.total_pages:
                return
            number += 1
