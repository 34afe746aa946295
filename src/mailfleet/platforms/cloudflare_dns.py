"""Cloudflare as the host of our zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from mailfleet.errors import Conflict, RateLimited
from mailfleet.log import redact
from mailfleet.platforms.ports import Zone, ZoneRecord
from mailfleet.platforms.settling import Finding, OpenWrite, found, unclear, unreadable
from mailfleet.vendors.cloudflare import client, txt
from mailfleet.vendors.cloudflare.client import CloudflareClient

Status = Literal["initializing", "pending", "active", "moved", "unknown"]
MOST_IN_ONE = 200
"""Changes in one transaction on a free zone (cloudflare:dns_records/batch)."""
_STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}


class CloudflareDns:
    """`DnsHost` on one Cloudflare account."""

    name = "cloudflare"

    def __init__(self, client: CloudflareClient) -> None:
        self.client = client

    async def close(self) -> None:
        await self.client.close()

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.client.transport.key_id})

    async def settle(self, write: OpenWrite) -> Finding:
        match write.operation:
            case "create_zone":
                zone = await self.find_zone(str(write.match["name"]))
                return found(zone is not None, ref=zone and zone.ref)
            case "batch_records":
                return _batch(write.match, await self.client.records(str(write.match["zone"])))
            case "check_activation":
                return unreadable("it only asks Cloudflare to look; the zone's status tells")
            case _:
                return unreadable(f"nobody knows how to read {write.operation}")

    async def find_zone(self, name: str) -> Zone | None:
        named = [zone for zone in await self.client.zones(name) if zone.name.lower() == name.lower()]
        return _zone(named[0]) if named else None

    async def zone(self, ref: str) -> Zone:
        return _zone(await self.client.zone(ref))

    async def create_zone(self, name: str) -> Zone:
        """A new zone, or the one of this name already in the account (1061); another account's raises `Conflict`."""
        try:
            return _zone(await self.client.create_zone(name))
        except Conflict as error:
            conflict = error
        if there := await self.find_zone(name):
            return there
        raise Conflict(
            f"The zone {name} exists in another Cloudflare account.",
            vendor="cloudflare",
            operation="create_zone",
            status=conflict.status,
            hint="Have it removed there, or set the token and account that hold it.",
        )

    async def check_activation(self, ref: str) -> None:
        """Asks Cloudflare to look at the delegation now. Asked too often is no failure: it looks by itself."""
        try:
            await self.client.check_activation(ref)
        except RateLimited:
            return

    async def records(self, zone_ref: str) -> Sequence[ZoneRecord]:
        return [_record(each) for each in await self.client.records(zone_ref)]

    async def apply(
        self, zone_ref: str, *, create: Sequence[ZoneRecord] = (), change: Sequence[ZoneRecord] = ()
    ) -> Sequence[ZoneRecord]:
        """All or nothing. A record that is there already, equal when decoded, counts as written (81057, 81058)."""
        standing = await self.records(zone_ref)
        new = [record for record in create if not any(same(record, other) for other in standing)]
        altered = [record for record in change if not any(same(record, other) for other in standing)]
        if new or altered:
            await self._write(zone_ref, new, altered)
            standing = await self.records(zone_ref)
        return standing

    async def _write(self, zone_ref: str, create: Sequence[ZoneRecord], change: Sequence[ZoneRecord]) -> None:
        if len(create) + len(change) > MOST_IN_ONE:
            raise ValueError(f"{len(create) + len(change)} changes; one transaction takes {MOST_IN_ONE}.")
        await self.client.batch(
            zone_ref,
            posts=[_fields(record) for record in create],
            patches=[{"id": record.ref, **_fields(record)} for record in change],
        )


def same(one: ZoneRecord, other: ZoneRecord) -> bool:
    """The same record, whatever way its text was split, its case and its final dots."""
    if (one.type.upper(), _host(one.name)) != (other.type.upper(), _host(other.name)):
        return False
    if one.type.upper() == "TXT":
        return one.content == other.content
    return _host(one.content) == _host(other.content) and (one.priority or 0) == (other.priority or 0)


def _batch(asked: Mapping[str, Any], standing: Sequence[client.Record]) -> Finding:
    """All or nothing (cloudflare:dns_records/batch). A record counts as read when type, name and content agree."""
    have = [(each.id, _redacted(_record(each))) for each in standing]
    right = total = 0
    for row in (*asked.get("posts", ()), *asked.get("patches", ()), *asked.get("puts", ())):
        wanted, total = _redacted(_asked(row)), total + 1
        right += any(same(wanted, record) and row.get("id") in (None, id) for id, record in have)
    for row in asked.get("deletes", ()):
        total += 1
        right += all(row["id"] != id for id, _ in have)
    if 0 < right < total:
        return unclear(f"{right} of {total} changes are seen", zone=asked["zone"])
    return found(right == total, changes=total)


def _asked(row: Mapping[str, Any]) -> ZoneRecord:
    content = str(row["content"])
    return ZoneRecord(
        type=str(row["type"]),
        name=str(row["name"]),
        content=txt.decode(content) if row["type"] == "TXT" else content,
        priority=row.get("priority"),
    )


def _redacted(record: ZoneRecord) -> ZoneRecord:
    """As the journal keeps it, so that the two can be compared."""
    return msgspec.structs.replace(record, content=redact(record.content))


def _host(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _zone(found: client.Zone) -> Zone:
    return Zone(
        ref=found.id,
        name=found.name,
        status=_STATUSES.get(found.status, "unknown"),
        nameservers=tuple(found.name_servers or ()),
    )


def _record(found: client.Record) -> ZoneRecord:
    return ZoneRecord(
        type=found.type,
        name=found.name,
        content=txt.decode(found.content) if found.type == "TXT" else found.content,
        ttl=found.ttl,
        priority=found.priority,
        ref=found.id,
        comment=found.comment or "",
    )


def _fields(record: ZoneRecord) -> dict[str, Any]:
    """Never proxied: a proxied name answers as the proxy's address (cloudflare:dns_records)."""
    fields: dict[str, Any] = {
        "type": record.type,
        "name": record.name,
        "content": txt.encode(record.content) if record.type == "TXT" else record.content,
        "ttl": record.ttl,
    }
    if record.type in ("A", "AAAA", "CNAME"):
        fields["proxied"] = False
    if record.priority is not None:
        fields["priority"] = record.priority
    return fields | ({"comment": record.comment} if record.comment else {})
