"""A campaign's figures: what it did, and what it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from mailfleet.cli.campaign import REFUSED, flow
from mailfleet.cli.output import Json, emit, show, show_one

_TABLES = ("by_step", "by_variant", "by_mailbox")


def stats(campaign: str, *, json: Json = False) -> int:
    """Rates with their n in all, by step, variant and mailbox; the platform's totals, ours, and leads by status.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    result = asyncio.run(flow("stats", campaign))
    if json:
        emit(result)
    else:
        _print(result["stats"])
    return 0 if result["success"] else REFUSED


def capacity(campaign: str, *, json: Json = False) -> None:
    """What it can send a day under all limits, when it will be through, and what holds it back.

    Parameters
    ----------
    campaign
        Id, name, or CLIENT/NAME.
    """
    show_one(asyncio.run(_capacity(campaign)), as_json=json)


def _print(found: Mapping[str, Any]) -> None:
    rates = {name: _rate(rate) for name, rate in found["rates"].items() if rate}
    others = {name: value for name, value in found.items() if name not in (*_TABLES, "rates", *found["rates"])}
    show_one({**rates, **others})
    for name in _TABLES:
        rows = [
            {key: _rate(cell) if isinstance(cell, Mapping) else cell for key, cell in row.items()}
            for row in found[name]
        ]
        if rows:
            show(rows, columns=("of", "sent", "opened", "clicked", "replied", "bounced", "unsubscribed"), title=name)


def _rate(rate: Mapping[str, Any]) -> str:
    share = "" if rate["rate"] is None else f" ({rate['rate'] * 100:.1f} %)"
    return f"{rate['count']} of {rate['n']}{share}"


async def _capacity(campaign: str) -> dict[str, Any]:
    import msgspec

    from mailfleet.cli.session import opened
    from mailfleet.services import campaign_capacity, campaigns

    async with opened() as fleet:
        found = await campaigns.find(fleet, campaign)
        return {"campaign": found.name, **msgspec.structs.asdict(await campaign_capacity.of(fleet, found))}
