"""Credentials of mailboxes that an operator holds: given once, stored encrypted, read only where they are used (I8)."""

from __future__ import annotations

from uuid import UUID

import msgspec

from mailfleet.errors import BadFile
from mailfleet.services.context import Fleet
from mailfleet.store import audit, mailboxes
from mailfleet.store.database import Database
from mailfleet.store.secrets import Vault


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A login. The password appears in no repr."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


async def put(fleet: Fleet, address: str, password: str, *, username: str = "") -> UUID:
    """Stores the login of a mailbox at its host, in place of an older one; the mailbox need not be known yet."""
    given = address.strip().lower()
    if "@" not in given or not password:
        raise BadFile(
            "An address and its password are needed.", hint="The password is read from standard input, one line."
        )
    login = msgspec.json.encode(Credentials(username=username or given, password=password))
    async with fleet.db.transaction() as db:
        secret = await fleet.vault.put(db, purpose(given), login)
        if mailbox := await mailboxes.find(db, given):
            await mailboxes.set_secret(db, mailbox.id, secret)
        await audit.record(
            db, actor=fleet.actor, action="put_credentials", entity="mailbox", entity_id=given, at=fleet.clock.now()
        )
    return secret


async def lookup(database: Database, vault: Vault, address: str) -> Credentials | None:
    """The newest login given for this address."""
    async with database.connection() as db:
        secret = await mailboxes.newest_secret(db, purpose(address.strip().lower()))
        if secret is None:
            return None
        return msgspec.json.decode(await vault.get(db, secret), type=Credentials)


def purpose(address: str) -> str:
    return f"mailbox:{address}"
