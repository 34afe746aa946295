"""A person's rights and their data's end: access, erasure, retention (dns-mail L9, L11, L12). Each leaves its proof."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from mailfleet.errors import NotAllowed
from mailfleet.rules.address import normalise
from mailfleet.services import commands, suppression
from mailfleet.services.clients import views
from mailfleet.services.context import Fleet
from mailfleet.store import audit, ownership, privacy
from mailfleet.store.database import Connection

_PAGE = 5000


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """`leads` that are (or would be) erased, `platforms` that are told to forget them, `held` rows by their place."""

    leads: int
    platforms: tuple[str, ...]
    held: Mapping[str, int]
    erased: bool


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """`due` leads were past their client's days of retention, `purged` of them are gone; `by_client` says whose."""

    due: int
    purged: int
    by_client: Mapping[str, int]


async def access(fleet: Fleet, email_norm: str) -> Mapping[str, Any]:
    """Everything that is held of a person (L11); that it was asked for is recorded without the address."""
    async with fleet.db.transaction() as db:
        found = await privacy.held(db, email_norm)
        await _note(fleet, db, "access", {"rows": sum(map(len, found.values()))})
    return {"email": email_norm, "at": fleet.clock.now(), "held": found}


async def erase(fleet: Fleet, email_norm: str, *, reason: str, apply: bool) -> Erasure:
    """Erases a person here and at the platforms; a keyed hash stays, so that no list brings them back (L9).

    Raises NotAllowed while a batch with them is under way: its outcome is read by the address.
    """
    async with fleet.db.transaction() as db:
        held = {name: len(rows) for name, rows in (await privacy.held(db, email_norm)).items()}
        ids = await privacy.ids_of(db, email_norm)
        owned = [each for each in await ownership.get_many(db, ids) if each.ref]
        if apply and await privacy.under_way(db, ids):
            raise NotAllowed(
                "A batch with this person is under way at the platform.", hint="Try again when it is settled: a minute."
            )
        if apply:
            address = normalise(email_norm)
            await suppression.suppress(
                fleet, db, scope="address", key=address.norm, reason="erasure", source=fleet.actor
            )
            await commands.forget(fleet, db, owned)
            await privacy.forget(db, ids, email_norm, fleet.clock.now())
            await _note(fleet, db, "erase", {"leads": len(ids), "rows": held}, reason)
    return Erasure(leads=len(ids), platforms=tuple(sorted({each.platform for each in owned})), held=held, erased=apply)


async def purge(fleet: Fleet, *, apply: bool) -> Purge:
    """Leads never sent to or never answered, after each client's `legal.retention_days` (L12)."""
    async with fleet.db.connection() as db:
        theirs = await views(fleet, db)
    due: dict[str, int] = {}
    purged = 0
    for client_id, own in theirs.items():
        before = fleet.clock.now() - timedelta(days=own.policy.legal.retention_days)
        async with fleet.db.connection() as db:
            if n := await privacy.due(db, client_id, before):
                due[str(client_id)] = n
        while apply and str(client_id) in due:
            async with fleet.db.transaction() as db:
                gone = await privacy.purge(db, client_id, before, limit=_PAGE)
                await _note(fleet, db, "purge", {"client": str(client_id), "leads": gone}) if gone else None
            purged += gone
            if gone < _PAGE:
                break
    return Purge(due=sum(due.values()), purged=purged, by_client=due)


async def _note(fleet: Fleet, db: Connection, action: str, detail: Mapping[str, object], reason: str = "") -> None:
    await audit.record(
        db, actor=fleet.actor, action=f"{action}_person", entity="person", entity_id="", reason=reason,
        at=fleet.clock.now(), detail=detail,
    )  # fmt: skip
