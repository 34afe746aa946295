"""What happened, and what was received: list, show, apply, replay, report by hand."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from cyclopts import App

from mailfleet.cli.output import Json, Limit, show, show_one

app = App(name="event", help="Read what happened, and apply what was received.")


@app.command(name="list")
def list_(*, kind: str = "", received: str | None = None, limit: Limit = 50, json: Json = False) -> None:
    """Events, newest first; or what was received, by state.

    Parameters
    ----------
    kind
        sent, opened, clicked, replied, bounced, unsubscribed, complained, …
    received
        Show the inbox instead: new, applied, ignored, unknown or dead.
    """
    inbox_columns = ("id", "received_at", "state", "attempts", "error")
    columns = ("at", "kind", "lead_id", "step", "source", "id") if received is None else inbox_columns
    show(asyncio.run(_list(kind, received, limit)), as_json=json, columns=columns)


@app.command(name="show")
def show_(id: UUID, *, json: Json = False) -> None:
    """One received webhook, as it came.

    Parameters
    ----------
    id
        Its id in the inbox.
    """
    show_one(asyncio.run(_show(id)), as_json=json)


@app.command
def lag(*, json: Json = False) -> None:
    """When the second source last read each sending campaign, the one that waits longest first."""
    show(asyncio.run(_lags()), as_json=json, columns=("name", "read_at", "lag_seconds"))


@app.command
def apply(*, json: Json = False) -> None:
    """Applies everything that was received and not applied yet."""
    show_one(asyncio.run(_apply()), as_json=json)


@app.command
def replay(*ids: UUID, dead: bool = False, json: Json = False) -> None:
    """Puts received webhooks back to be applied; what was applied has no further effect.

    Parameters
    ----------
    ids
        Their ids in the inbox.
    dead
        All that could not be applied.
    """
    show_one(asyncio.run(_replay(list(ids), dead)), as_json=json)


@app.command
def complaint(email: str, *, at: datetime | None = None, json: Json = False) -> None:
    """Somebody complained by another way: suppressed for ever, stopped everywhere.

    Parameters
    ----------
    email
        Who.
    at
        When; now if not given.
    """
    show_one(asyncio.run(_complaint(email, at)), as_json=json)


@app.command
def unsettled(*, json: Json = False) -> None:
    """Writes at vendors whose outcome is not known; the monitor settles them by reading."""
    columns = ("intended_at", "vendor", "operation", "target", "state", "actor", "id")
    show(asyncio.run(_unsettled()), as_json=json, columns=columns)


@app.command
def abandon(id: UUID, *, reason: str, json: Json = False) -> None:
    """Says that such a write needs no reading any more: you looked it up, or it does not matter.

    Parameters
    ----------
    id
        Its id, from `mailfleet event unsettled`.
    reason
        What you found; it is kept with the entry.
    """
    show_one(asyncio.run(_abandon(id, reason)), as_json=json)


async def _unsettled() -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.store import journal

    async with opened() as fleet, fleet.db.connection() as db:
        return [msgspec.structs.asdict(each) for each in await journal.unsettled(db)]


async def _abandon(id: UUID, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import reconcile

    async with opened() as fleet:
        await reconcile.abandon(fleet, id, reason)
    return {"id": str(id), "state": "abandoned", "reason": reason}


async def _list(kind: str, received: str | None, limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import one_of, opened
    from mailfleet.store import events, inbox

    one_of(kind, get_args(events.Kind), "kind of event")
    one_of(received or "", get_args(inbox.State), "state of what was received")
    async with opened() as fleet, fleet.db.connection() as db:
        if received is not None:
            return [msgspec.structs.asdict(each) for each in await inbox.listed(db, state=received, limit=limit)]
        return [msgspec.structs.asdict(each) for each in await events.listed(db, kind=kind, limit=limit)]


async def _show(id: UUID) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.errors import Unknown
    from mailfleet.store import inbox

    async with opened() as fleet, fleet.db.connection() as db:
        if found := await inbox.get(db, id):
            return msgspec.structs.asdict(found)
    raise Unknown(f"Nothing was received as {id}.", hint="`mailfleet event list --received new` shows what was.")


async def _lags() -> list[dict[str, Any]]:
    from mailfleet.cli.session import opened
    from mailfleet.services import sync

    async with opened() as fleet:
        return [
            {"id": each.id, "name": each.name, "read_at": each.read_at, "lag_seconds": round(each.lag.total_seconds())}
            for each in await sync.lags(fleet)
        ]


async def _apply() -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import events

    async with opened() as fleet:
        return msgspec.to_builtins(await events.apply_all(fleet))


async def _replay(ids: list[UUID], dead: bool) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.store import inbox

    async with opened() as fleet, fleet.db.transaction() as db:
        wanted = [*ids, *([each.id for each in await inbox.listed(db, state="dead", limit=10_000)] if dead else [])]
        return {"replayed": await inbox.replay(db, wanted)}


async def _complaint(email: str, at: datetime | None) -> dict[str, Any]:
    from mailfleet.cli.session import address, opened
    from mailfleet.platforms.port import PlatformEvent
    from mailfleet.services import events

    who = address(email)
    async with opened() as fleet:
        when = at.astimezone() if at else fleet.clock.now()
        told = PlatformEvent(kind="complained", at=when, dedupe_key=f"complained:{who}", lead_email=who)
        id = await events.report(fleet, fleet.default_platform, told)
        done = await events.apply(fleet, [id])
    return {"email": who, "new": done.events == 1, "stopped": len(done.stopped)}
