"""The list of those never written to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from mailfleet.cli.output import Json, Limit, say, show, show_one

app = App(name="suppression", help="The list of those never written to: add, load, save, show.")

Client = Annotated[str | None, Parameter(name="--client", help="Slug: for this client alone; everywhere without it.")]
Scope = Literal["address", "domain", "person"]


@app.command
def add(
    value: str, *, scope: Scope = "address", client: Client = None, reason: str = "manual", json: Json = False
) -> None:
    """Never write there again; what is under way is stopped.

    Parameters
    ----------
    value
        An address, a domain, or `First Last|domain`.
    scope
        What it is.
    reason
        manual, unsubscribe, complaint, hard_bounce, negative_reply, invalid, vendor or erasure.
    """
    show_one(asyncio.run(_add(value, scope, client, reason)), as_json=json)


@app.command
def load(file: Path, *, client: Client = None, json: Json = False) -> int:
    """Takes in a list with a column email, domain or value, and type and reason where it has them.

    Exit code 3 when a row was refused.

    Parameters
    ----------
    file
        CSV, TSV, JSON lines or a workbook.
    """
    taken = asyncio.run(_load(file, client))
    if json:
        show_one(taken, as_json=True)
    else:
        say(f"{taken['new']} new of {taken['rows']} rows, {taken['stopped']} leads stopped that were under way")
        show([{"row": row, "why": why} for row, why in taken["refused"]], columns=("row", "why"), title="Refused")
    return 3 if taken["refused"] else 0


@app.command
def save(file: Path, *, client: Client = None, json: Json = False) -> None:
    """Writes the list to a file: what is suppressed, why and since when; no names and no fields.

    Parameters
    ----------
    file
        Where to write it, as CSV.
    """
    show_one(asyncio.run(_save(file, client)), as_json=json)


@app.command(name="list")
def list_(*, client: Client = None, limit: Limit = 50, json: Json = False) -> None:
    """Entries, with where each came from. Erased ones show no value: only a keyed hash is left of them."""
    columns = ("scope", "key", "client_id", "reason", "source", "created_at", "created_by")
    show(asyncio.run(_list(client, limit)), as_json=json, columns=columns)


@app.command
def count(*, json: Json = False) -> None:
    """How many entries there are, by reason."""
    show_one(asyncio.run(_count()), as_json=json)


@app.command
def check(value: str, *, client: Client = None, json: Json = False) -> int:
    """Whether an address is suppressed, and by which entry. Exit code 3 when it is.

    Parameters
    ----------
    value
        An address.
    """
    found = asyncio.run(_check(value, client))
    show_one(found, as_json=json)
    return 3 if found["suppressed"] else 0


async def _add(value: str, scope: Scope, client: str | None, reason: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.errors import BadFile
    from mailfleet.services import suppression
    from mailfleet.services.clients import only
    from mailfleet.store.suppressions import Reason

    try:
        why = msgspec.convert(reason, Reason)
    except msgspec.ValidationError as error:
        raise BadFile(f"There is no reason {reason!r}.", hint=str(error)) from error
    async with opened() as fleet:
        made = await suppression.add(fleet, value, scope=scope, client_id=await only(fleet, client), reason=why)
    return {"key": made.key, "new": made.new, "stopped": len(made.stopped)}


async def _load(file: Path, client: str | None) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import suppression
    from mailfleet.services.clients import only

    async with opened() as fleet:
        return msgspec.to_builtins(await suppression.import_file(fleet, file, client_id=await only(fleet, client)))


async def _save(file: Path, client: str | None) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import suppression
    from mailfleet.services.clients import only

    async with opened() as fleet:
        return {"saved": await suppression.export_file(fleet, file, client_id=await only(fleet, client))}


async def _list(client: str | None, limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services.clients import only
    from mailfleet.store import suppressions

    async with opened() as fleet:
        owner = await only(fleet, client)
        async with fleet.db.connection() as db:
            found = await suppressions.every(db, client_id=owner, limit=limit)
    return [msgspec.structs.asdict(each) for each in found]


async def _count() -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.store import suppressions

    async with opened() as fleet, fleet.db.connection() as db:
        return dict(await suppressions.counts(db))


async def _check(value: str, client: str | None) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import suppression
    from mailfleet.services.clients import only

    async with opened() as fleet:
        found = await suppression.find(fleet, value, client_id=await only(fleet, client))
    return {"suppressed": found is not None, **(msgspec.structs.asdict(found) if found else {})}
