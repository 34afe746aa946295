"""What the safeguards found out: investigations of a mailbox, domain or campaign, asked for or ordered by a band."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from cyclopts import App

from mailfleet.cli.output import Json, emit, say, show
from mailfleet.cli.session import opened
from mailfleet.services import investigations

app = App(name="safeguards", help="Investigate why mail fails, and read what was found.")
Scope = Literal["mailbox", "domain", "campaign", "client", "workspace"]


@app.command
def report(scope: Scope, scope_id: str, *, json: Json = False) -> None:
    """The investigations of a scope, newest first, as they were written for people.

    Parameters
    ----------
    scope
        What was looked into.
    scope_id
        Its id, as the alert names it.
    """
    found = asyncio.run(_reports(scope, scope_id))
    if json:
        emit(found)
    elif not found:
        say("Nothing was investigated there. `mailfleet safeguards investigate` does it now.")
    for each in found if not json else ():
        show([{"opened": each["opened_at"], "what": each["summary"]}])


@app.command
def investigate(scope: Scope, scope_id: str, *, json: Json = False) -> None:
    """Look into a scope now: bounces by class and provider, DNS, blocklists, what differs from the good ones.

    Parameters
    ----------
    scope
        What to look into.
    scope_id
        Its id.
    """
    told = asyncio.run(_investigate(scope, scope_id))
    if json:
        emit(told)
    else:
        say(str(told["text"]))


async def _reports(scope: str, scope_id: str) -> list[dict[str, Any]]:
    import msgspec

    async with opened() as fleet, fleet.db.connection() as db:
        return [msgspec.to_builtins(each) for each in await investigations.latest(db, scope=scope, scope_id=scope_id)]


async def _investigate(scope: str, scope_id: str) -> dict[str, Any]:
    import msgspec

    async with opened() as fleet:
        return msgspec.to_builtins(await investigations.investigate(fleet, scope, scope_id))
