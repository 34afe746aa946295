"""What the safeguards decide, why, and what they found out about mail that fails."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from cyclopts import App

from mailfleet.cli.output import Json, emit, say, show, show_one
from mailfleet.cli.session import opened
from mailfleet.services import explained, investigations

app = App(name="safeguards", help="See what is stopped or slowed and why; investigate why mail fails.")
Scope = Literal["mailbox", "domain", "campaign", "client", "workspace"]
ATTENTION = 3


@app.command
def check(*, quiet: bool = False, json: Json = False) -> int:
    """Judges everything that sends now, by every rule, and changes nothing. Exit code 3: the next round does something.

    Parameters
    ----------
    quiet
        Only what is off the normal band, held, or about to be.
    """
    found = asyncio.run(_check())
    shown = [each for each in found if not quiet or each["band"] != "normal" or each["held"] or each["todo"]]
    columns = ("scope", "name", "band", "proven", "bounced", "sent", "factor", "minutes", "auto_pause", "held", "todo")
    show(shown, as_json=json, columns=columns)
    return ATTENTION if any(each["todo"] for each in found) else 0


@app.command
def explain(scope: explained.Scope, key: str, *, json: Json = False) -> None:
    """Which rule decided, with its inputs, and what would change if one of them were another.

    Every "if" is the rule itself, run again on the changed input.

    Parameters
    ----------
    scope
        mailbox, domain or campaign.
    key
        Its address, name or id.
    """
    found = asyncio.run(_explain(scope, key))
    if json:
        emit(found)
    else:
        tell(found)


def tell(found: dict[str, Any]) -> None:
    """An explanation for people: what decided, then each rule."""
    show_one({name: found[name] for name in ("scope", "name", "decided", "holds", "watching", "policy")})
    show(
        [{"rule": each["rule"], "says": each["says"], "acts": each["acts"], "inputs": each["inputs"]}
         for each in found["rulings"]],
        title="What each rule says",
    )  # fmt: skip
    show(
        [{"rule": each["rule"], **flip} for each in found["rulings"] for flip in each["what_if"]],
        columns=("rule", "input", "now", "instead", "then"),
        title="What would change if",
    )


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


async def _check() -> list[dict[str, Any]]:
    import msgspec

    async with opened() as fleet:
        return [msgspec.to_builtins(each) for each in await explained.check(fleet)]


async def _explain(scope: explained.Scope, key: str) -> dict[str, Any]:
    import msgspec

    async with opened() as fleet:
        return msgspec.to_builtins(await explained.explain(fleet, scope, key))


async def _reports(scope: str, scope_id: str) -> list[dict[str, Any]]:
    import msgspec

    async with opened() as fleet, fleet.db.connection() as db:
        return [msgspec.to_builtins(each) for each in await investigations.latest(db, scope=scope, scope_id=scope_id)]


async def _investigate(scope: str, scope_id: str) -> dict[str, Any]:
    import msgspec

    async with opened() as fleet:
        return msgspec.to_builtins(await investigations.investigate(fleet, scope, scope_id))
