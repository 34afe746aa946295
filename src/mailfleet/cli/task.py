"""Tasks: what people owe, each with its owner and its time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from cyclopts import App

from mailfleet.cli.output import Json, Limit, show, show_one

app = App(name="task", help="See what people owe, and say what is done.")


@app.command(name="list")
def list_(*, all: bool = False, limit: Limit = 100, json: Json = False) -> None:
    """Open tasks, the one that is due first on top.

    Parameters
    ----------
    all
        Those that are done as well.
    """
    columns = ("due_at", "kind", "owner", "lead_id", "note", "id")
    show(asyncio.run(_list(all, limit)), as_json=json, columns=columns)


@app.command
def done(id: UUID, *, json: Json = False) -> None:
    """Says that a task is done.

    Parameters
    ----------
    id
        Its id, from `mailfleet task list`.
    """
    show_one(asyncio.run(_done(id)), as_json=json)


@app.command
def give(id: UUID, owner: str, *, json: Json = False) -> None:
    """Gives an open task to somebody.

    Parameters
    ----------
    id
        Its id, from `mailfleet task list`.
    owner
        Who owes it from now on.
    """
    show_one(asyncio.run(_give(id, owner)), as_json=json)


async def _list(all: bool, limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import tasks

    async with opened() as fleet:
        found = await tasks.listed(fleet, open_only=not all, limit=limit)
    return [msgspec.structs.asdict(each) for each in found]


async def _done(id: UUID) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import tasks

    async with opened() as fleet:
        await tasks.done(fleet, id)
    return {"id": str(id), "done": True}


async def _give(id: UUID, owner: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import tasks

    async with opened() as fleet:
        await tasks.give(fleet, id, owner)
    return {"id": str(id), "owner": owner}
