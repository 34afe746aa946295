"""Replies: the queue of those a person has to read, decisions and their undoing."""

from __future__ import annotations

import asyncio
from typing import Any, get_args
from uuid import UUID

from cyclopts import App

from mailfleet.cli.output import Json, Limit, show, show_one

app = App(name="reply", help="Read replies, and say what those mean that no rule understood.")


@app.command(name="list")
def list_(*, state: str = "review", category: str = "", limit: Limit = 50, json: Json = False) -> None:
    """Replies, newest first; by default those that wait for a person.

    Parameters
    ----------
    state
        review, decided or undone; empty for all.
    category
        positive, negative, out_of_office or unknown.
    """
    columns = ("at", "category", "subcategory", "confidence", "stripped", "id")
    show(asyncio.run(_list(state, category, limit)), as_json=json, columns=columns)


@app.command(name="show")
def show_(id: UUID, *, json: Json = False) -> None:
    """One reply, whole.

    Parameters
    ----------
    id
        Its id, from `mailfleet reply list`.
    """
    show_one(asyncio.run(_show(id)), as_json=json)


@app.command
def decide(id: UUID, meaning: str, *, json: Json = False) -> None:
    """Says what a reply means; everything follows as if a rule had said so. `undo` takes it back.

    Parameters
    ----------
    id
        Its id, from `mailfleet reply list`.
    meaning
        positive, negative, unsubscribe, wrong_person, info_request, out_of_office or unknown.
    """
    show_one(asyncio.run(_decide(id, meaning)), as_json=json)


@app.command
def undo(id: UUID, *, json: Json = False) -> None:
    """Takes the last decision about a reply back, and lifts what it suppressed.

    Parameters
    ----------
    id
        Its id.
    """
    show_one(asyncio.run(_undo(id)), as_json=json)


async def _list(state: str, category: str, limit: int) -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import one_of, opened
    from mailfleet.rules.replies import Category
    from mailfleet.services import review

    one_of(state, ("review", "decided", "undone"), "state of a reply")
    one_of(category, get_args(Category), "category")
    async with opened() as fleet:
        found = await review.queue(fleet, state=state, category=category, limit=limit)
    return [msgspec.structs.asdict(each) for each in found]


async def _show(id: UUID) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import review

    async with opened() as fleet:
        return msgspec.structs.asdict(await review.one(fleet, id))


async def _decide(id: UUID, meaning: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import one_of, opened
    from mailfleet.services import review

    one_of(meaning, get_args(review.Meaning), "meaning of a reply")
    async with opened() as fleet:
        return msgspec.structs.asdict(await review.decide(fleet, id, msgspec.convert(meaning, review.Meaning)))


async def _undo(id: UUID) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import review

    async with opened() as fleet:
        return msgspec.structs.asdict(await review.undo(fleet, id))
