"""Clients of the agency: one is found by slug or id, or is the only one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from mailfleet.errors import BadFile, PolicyError, Unknown
from mailfleet.policy.load import Loaded, for_client
from mailfleet.policy.model import Policy
from mailfleet.rules import country as countries
from mailfleet.services import alerts
from mailfleet.services.context import Fleet
from mailfleet.store import audit, clients
from mailfleet.store.clients import Client
from mailfleet.store.database import Connection

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


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
    """Adds the client, or brings the one of this slug up to date.

    Raises BadFile for a slug, a time zone or a country that is none, PolicyError for overrides that make no policy.
    """
    if not _SLUG.fullmatch(slug):
        raise BadFile(f"{slug!r} is no slug.", hint="It is a short name of a-z, 0-9 and hyphens, such as agency-os.")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise BadFile(
            f"There is no time zone {timezone!r}.", hint="Use a name such as Australia/Sydney or Europe/Berlin."
        ) from error
    checked_policy(fleet, slug, policy or {})
    alpha = countries.code(country)
    if not alpha:
        raise BadFile(f"There is no country {country!r}.", hint="Give its two letters, such as AU, or its name.")
    async with fleet.db.transaction() as db:
        client = await clients.put(
            db, slug, name=name, timezone=timezone, country=alpha, identity=identity, policy=policy
        )
        await audit.record(
            db, actor=fleet.actor, action="put_client", entity="client", entity_id=client.id, at=fleet.clock.now()
        )
    return client


def checked_policy(fleet: Fleet, slug: str, overrides: Mapping[str, Any]) -> Policy:
    """What the policy is with these overrides. Raises PolicyError naming key, value and source."""
    ours = (fleet.workspace or fleet).policy
    return for_client(Loaded(policy=ours, sources={}), slug, overrides)


async def set_policy(fleet: Fleet, client: Client, overrides: Mapping[str, Any]) -> Client:
    """Replaces the client's overrides; an empty table leaves the workspace's policy. Raises PolicyError."""
    checked_policy(fleet, client.slug, overrides)
    async with fleet.db.transaction() as db:
        changed = await clients.set_policy(db, client.id, overrides)
        await audit.record(
            db, actor=fleet.actor, action="set_policy", entity="client", entity_id=client.id, at=fleet.clock.now(),
            detail={"was": client.policy, "now": dict(overrides)},
        )  # fmt: skip
    return changed


async def check_policies(fleet: Fleet) -> list[str]:
    """Clients whose overrides no longer fit the workspace's policy, by slug; each is told once a day."""
    async with fleet.db.connection() as db:
        every = await clients.every(db)
    broken: list[str] = []
    for client in every:
        try:
            fleet.policy_of(client)
        except PolicyError as error:
            broken.append(client.slug)
            await alerts.tell(
                fleet,
                fact_key=f"client-policy:{client.id}:{fleet.clock.now():%Y-%m-%d}",
                kind="client_policy",
                severity="critical",
                title=f"The policy of {client.name} is not valid and is left out",
                body=f"{error} Until it is corrected, the workspace's policy holds for this client.",
            )
    return broken


async def fleet_of(fleet: Fleet, client_id: UUID | None, db: Connection | None = None) -> Fleet:
    """The parts as this client has them (`Fleet.of`), as stored now; without a client, those given.

    `db` is the caller's connection where it has one.
    """
    if client_id is None or fleet.client_id == client_id:
        return fleet
    if db is None:
        async with fleet.db.connection() as own:
            found = await clients.find(own, str(client_id))
    else:
        found = await clients.find(db, str(client_id))
    return fleet.of(found) if found else fleet


async def views(fleet: Fleet, db: Connection) -> Mapping[UUID, Fleet]:
    """Every client's parts, for what is done for many at once."""
    return {client.id: fleet.of(client) for client in await clients.every(db)}


async def only(fleet: Fleet, key: str | None) -> UUID | None:
    """The id of the client of this slug; None without one: everywhere. Raises Unknown."""
    if not key:
        return None
    async with fleet.db.connection() as db:
        return (await the_client(db, key)).id


async def the_client(db: Connection, key: str | None) -> Client:
    """The client of this slug or id; without one, the only client there is. Raises Unknown."""
    if key:
        if found := await clients.find(db, key):
            return found
        raise Unknown(f"There is no client {key!r}.", hint=f"Make it: `mailfleet client add {key} --name NAME`.")
    every = await clients.every(db)
    if len(every) == 1:
        return every[0]
    if not every:
        raise Unknown("There is no client yet.", hint="Make one: `mailfleet client add SLUG --name NAME`.")
    known = ", ".join(each.slug for each in every)
    raise Unknown(f"Which client is meant? Known: {known}.", hint="Name one by its slug, with --client (client_id).")
