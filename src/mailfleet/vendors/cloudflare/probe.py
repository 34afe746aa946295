"""What is asked of Cloudflare to see whether it answers as written."""

from __future__ import annotations

from itertools import islice

from mailfleet.vendors.cloudflare.client import CloudflareClient, Zone
from mailfleet.vendors.probe import Probe


async def run(client: CloudflareClient, probe: Probe, *, write: bool) -> None:
    """With `write`: one text record of its own in the account's first active zone, made and deleted again."""
    await probe.look("tokens/verify", client.verify_token)
    zones = await probe.look("zones/list", client.zones) or []
    for zone in islice(zones, 1):
        await probe.look("zones/get", lambda id=zone.id: client.zone(id))
        await probe.look("dns_records/list", lambda id=zone.id: client.records(id))
    for zone in islice((each for each in zones if each.status == "active"), int(write)):
        await _write(client, probe, zone)


async def _write(client: CloudflareClient, probe: Probe, zone: Zone) -> None:
    record = {"type": "TXT", "name": f"_mailfleet-verify.{zone.name}", "content": '"mailfleet verify"'}
    made = await probe.look("dns_records/batch", lambda: client.batch(zone.id, posts=[record]))
    if left := [each.id for each in (made.posts or [])] if made else []:
        await probe.look("dns_records/batch", lambda: client.batch(zone.id, deletes=left))
