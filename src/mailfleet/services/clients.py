"""Clients of the agency: one is found by slug or id, or is the only one."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from mailfleet.errors import BadFile, Unknown
from mailfleet.services.context import Fleet
from mailfleet.store import audit, clients
from mailfleet.store.clients import Client
from mailfleet.store.database import Connection


async def put_client(
    fleet: Fleet,
    slug: str,
    *,
    name: str,
    timezone: str = "UTC",
    country: str = "AU",
    identity: Mapping[str, object] | None = None,
    policy: Mapping[str, object] | None = None,
) -> Client:
    """Adds the client, or brings the one of this slug up to date. Raises BadFile for a time zone nobody knows."""
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise BadFile(
            f"There is no time zone {timezone!r}.", hint="Use a name such as Australia/Sydney or Europe/Berlin."
        ) from error
    async with fleet.db.transaction() as db:
        client = await clients.put(
            db, slug, name=name, timezone=timezone, country=country, identity=identity, policy=policy
        )
        await audit.record(
            db, actor=fleet.actor, action="put_client", entity="client", entity_id=client.id, at=fleet.clock.now()
        )
    return client


async def the_client(db: Connection, key: str | None) -> Client:
    """The client of this slug or id; without one, the only client there is. Raises Unknown."""
    if key:
        if found := await clients.find(db, key):
            return found
        raise Unknown(
            f"There is no client {key!r}.",
            hint=f"Make it: `mailfleet domain add DOMAIN --client {key} --new-client NAME`.",
        )
    every = await clients.every(db)
    if len(every) == 1:
        return every[0]
    known = ", ".join(each.slug for each in every) or "none yet"
    raise Unknown(f"Which client is meant? Known: {known}.", hint="Name one by its slug (client_id).")
