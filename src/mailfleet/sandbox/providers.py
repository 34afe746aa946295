"""The receiving side: each provider's own filter, and what a provider does differently for some days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from mailfleet.sandbox.world import World

# What a receiver takes off for each thing it cannot verify; `asks` says how much a provider minds.
WITHOUT = {"dkim": 0.60, "spf": 0.70, "dmarc": 0.90}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """How a provider judges: its part of business mail, how hard it takes a low standing, how much it minds missing
    authentication, and the share of mail without any that it refuses outright (Gmail's, Yahoo's and Microsoft's rules
    for senders)."""

    part: float
    strict: float
    asks: float
    refuses: float


FILTERS: Mapping[str, Filter] = {
    "google": Filter(part=0.40, strict=1.00, asks=1.10, refuses=0.5),
    "microsoft": Filter(part=0.38, strict=1.12, asks=1.00, refuses=0.3),
    "yahoo": Filter(part=0.03, strict=1.05, asks=1.10, refuses=0.5),
    "apple": Filter(part=0.02, strict=0.95, asks=0.90, refuses=0.0),
    "postfix": Filter(part=0.17, strict=0.80, asks=0.60, refuses=0.0),
}


@dataclass(frozen=True)
class Spell:
    """Some days on which a provider behaves otherwise; no provider = every one."""

    provider: str | None
    # Placement is multiplied by it; 0 refuses everything for now, as a provider does that is down.
    factor: float
    # Only mail that comes by this vendor; None = all mail.
    vendor: str | None = None


@dataclass(frozen=True)
class BadList:
    """People first written to meanwhile whose address contains `contains`: so many are dead, so many complain."""

    contains: str
    bounces: float
    complaints: float


@dataclass(frozen=True)
class Refusal:
    """Receivers think ill of a vendor: so many of the mails that come by it are refused, whoever sends them."""

    vendor: str
    share: float


@dataclass
class Receivers:
    """What is going on at the receiving side now."""

    spells: list[Spell] = field(default_factory=list[Spell])
    bad_lists: list[BadList] = field(default_factory=list[BadList])
    refusals: list[Refusal] = field(default_factory=list[Refusal])


def receivers(world: World) -> Receivers:
    """The receiving side of this world."""
    kept = world.state.get("receivers")
    if kept is None:
        kept = world.state["receivers"] = Receivers()
    return cast(Receivers, kept)


def temper(world: World, provider: str, vendor: str) -> float:
    """What the spells of now leave of a provider's placement of mail that comes by a vendor."""
    factor = 1.0
    for spell in receivers(world).spells:
        if spell.provider in (None, provider) and spell.vendor in (None, vendor):
            factor *= spell.factor
    return factor


def refused(world: World, vendor: str) -> float:
    """The share of a vendor's mail that is refused now for coming by it."""
    return max((each.share for each in receivers(world).refusals if each.vendor == vendor), default=0.0)


def judged(world: World, provider: str, share: float, missing: float, vendor: str) -> float:
    """The share that reaches inboxes at a provider, from what standing earns and what missing authentication leaves."""
    own = FILTERS.get(provider, FILTERS["postfix"])
    return min(0.99, share**own.strict * missing**own.asks * temper(world, provider, vendor))
