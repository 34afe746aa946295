"""What waits for a person: give it, or take it back."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from cyclopts import Parameter

from mailfleet.cli.output import Json, show, show_one

ATTENTION = 3
As = Annotated[str, Parameter(name="--as", help="Who approves, where several people use one account.")]
Reason = Annotated[str, Parameter(name="--reason", help="Why; kept with it.")]


def approve(id: str = "", *, by: As = "", reason: Reason = "", json: Json = False) -> int:
    """Gives an approval; without an id, lists what waits.

    Parameters
    ----------
    id
        The approval's id.
    """
    if not id:
        waiting = asyncio.run(_waiting())
        show(waiting, as_json=json, columns=("id", "action", "reason", "needed", "approved_by", "expires_at"))
        return ATTENTION if waiting else 0
    show_one(asyncio.run(_approve(id, by, reason)), as_json=json)
    return 0


def withdraw(id: str, *, by: As = "", reason: Reason, json: Json = False) -> int:
    """Takes an approval back, as long as it has not taken effect.

    Parameters
    ----------
    id
        The approval's id.
    """
    show_one(asyncio.run(_withdraw(id, by, reason)), as_json=json)
    return 0


async def _waiting() -> list[dict[str, Any]]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import approvals

    async with opened() as fleet:
        return [msgspec.structs.asdict(each) for each in await approvals.waiting(fleet)]


async def _approve(id: str, by: str, reason: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import approvals

    async with opened() as fleet:
        who = f"person:{by}" if by else fleet.actor
        return msgspec.structs.asdict(await approvals.approve(fleet, id, by=who, reason=reason))


async def _withdraw(id: str, by: str, reason: str) -> dict[str, Any]:
    from mailfleet.cli.session import opened
    from mailfleet.services import approvals

    async with opened() as fleet:
        await approvals.withdraw(fleet, id, by=f"person:{by}" if by else fleet.actor, reason=reason)
    return {"id": id, "withdrawn": True}
