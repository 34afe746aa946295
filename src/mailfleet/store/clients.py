"""Clients of the agency and the people whose names their mailboxes carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from mailfleet.store.database import Connection, json_rows, row, rows


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """`policy` holds the client's overrides; `identity` what the law wants shown (legal name, postal address, …)."""

    id: UUID
    slug: str
    name: str
    timezone: str
    country: str
    identity: dict[str, Any]
    policy: dict[str, Any]


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    client_id: UUID
    position: int
    local_part: str
    first_name: str
    last_name: str
    signature: str

    @property
    def display_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class NewPersona(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person a client names; the local part is taken as given, lower case."""

    local_part: str
    first_name: str
    last_name: str
    signature: str = ""


async def put(
    db: Connection,
    slug: str,
    *,
    name: str,
    timezone: str = "UTC",
    country: str = "AU",
    identity: Mapping[str, object] | None = None,
    policy: Mapping[str, object] | None = None,
) -> Client:
    """Adds the client, or brings the one of this slug up to date; identity and policy not given are kept."""
    found = await row(
        db,
        Client,
        """insert into mailfleet.clients (slug, name, timezone, country, identity, policy)
           values (%(slug)s, %(name)s, %(timezone)s, %(country)s,
                   coalesce(%(identity)s::jsonb, '{}'), coalesce(%(policy)s::jsonb, '{}'))
           on conflict (slug) do update set name = excluded.name, timezone = excluded.timezone,
               country = excluded.country,
               identity = coalesce(%(identity)s::jsonb, clients.identity),
               policy = coalesce(%(policy)s::jsonb, clients.policy)
           returning id, slug, name, timezone, country, identity, policy""",
        {
            "slug": slug,
            "name": name,
            "timezone": timezone,
            "country": country,
            "identity": None if identity is None else Json(dict(identity)),
            "policy": None if policy is None else Json(dict(policy)),
        },
    )
    assert found is not None
    return found


async def set_policy(db: Connection, id: UUID, policy: Mapping[str, object]) -> Client:
    """Replaces the overrides, as they are given."""
    found = await row(
        db,
        Client,
        """update mailfleet.clients set policy = %s where id = %s
           returning id, slug, name, timezone, country, identity, policy""",
        [Json(dict(policy)), id],
    )
    assert found is not None
    return found


async def find(db: Connection, key: str) -> Client | None:
    """By slug, or by id as text."""
    return await row(
        db,
        Client,
        """select id, slug, name, timezone, country, identity, policy from mailfleet.clients
           where slug = %(key)s or id::text = %(key)s""",
        {"key": key},
    )


async def every(db: Connection) -> Sequence[Client]:
    return await rows(
        db,
        Client,
        "select id, slug, name, timezone, country, identity, policy from mailfleet.clients order by slug",
    )


async def put_personas(db: Connection, client_id: UUID, people: Sequence[NewPersona]) -> int:
    """Adds those whose local part is new, after those already there; returns how many were added."""
    wanted = [{"n": n, **msgspec.to_builtins(person)} for n, person in enumerate(people, 1)]
    added = await rows(
        db,
        Persona,
        """insert into mailfleet.personas (client_id, position, local_part, first_name, last_name, signature)
           select %(client)s, p.n + coalesce((select max(position) from mailfleet.personas
                                              where client_id = %(client)s), 0),
                  lower(p.local_part), p.first_name, p.last_name, p.signature
           from json_to_recordset(%(people)s::json)
                as p(n int, local_part text, first_name text, last_name text, signature text)
           on conflict (client_id, local_part) do nothing
           returning id, client_id, position, local_part, first_name, last_name, signature""",
        {"client": client_id, "people": json_rows(wanted)},
    )
    return len(added)


async def personas(db: Connection, client_id: UUID) -> Sequence[Persona]:
    """In the order in which mailboxes are made for them."""
    return await rows(
        db,
        Persona,
        """select id, client_id, position, local_part, first_name, last_name, signature
           from mailfleet.personas where client_id = %s order by position""",
        [client_id],
    )
