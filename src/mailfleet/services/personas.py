"""The people whose names a client's mailboxes carry. Nothing invents one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mailfleet.errors import BadFile
from mailfleet.services.context import Fleet
from mailfleet.store import clients
from mailfleet.store.clients import Client, NewPersona, Persona
from mailfleet.store.database import Connection

# A dot-atom of RFC 5321 4.1.2 in the characters that every mailbox host takes.
_LOCAL_PART = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    persona: list[NewPersona]


def read_file(path: Path) -> Sequence[NewPersona]:
    """`[[persona]]` tables with local_part, first_name, last_name and signature. Raises BadFile naming the key."""
    try:
        return _checked(msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).persona)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadFile(
            f"The persona list {path} cannot be used: {error}.",
            hint="It holds [[persona]] tables with local_part, first_name, last_name and, if wanted, signature.",
        ) from error


async def put_personas(fleet: Fleet, client: Client, people: Sequence[NewPersona]) -> int:
    """Adds those whose local part is new; returns how many."""
    async with fleet.db.transaction() as db:
        return await clients.put_personas(db, client.id, _checked(people))


async def first(db: Connection, client: Client, count: int) -> tuple[Sequence[Persona], str]:
    """The client's first `count` people, and when there are fewer, what to do about it."""
    people = await clients.personas(db, client.id)
    if len(people) >= count:
        return people[:count], ""
    return people, (
        f"{client.name} has {len(people)} of the {count} people that {count} mailboxes need, and nobody is invented. "
        f"Add them with `mailfleet mailbox personas FILE --client {client.slug}`."
    )


def _checked(people: Sequence[NewPersona]) -> Sequence[NewPersona]:
    bad = [person.local_part for person in people if not _LOCAL_PART.fullmatch(person.local_part.lower())]
    if bad:
        raise BadFile(
            f"Not usable before the @ of an address: {', '.join(map(repr, bad))}.",
            hint="Use letters, digits and single dots, dashes or underscores between them.",
        )
    return people
