"""How receivers regard a mailbox and its domain, and where mail lands because of it.

Each mailbox and each domain has a standing from 0 to 1. Once a day it moves towards a target: down by 35 % of the
distance, up by 6 %, so that it recovers far slower than it falls. The target starts at 1 and loses for bounces above
3 %, complaints above 0.1 %, and a day's volume above what the age of the mailbox makes usual. Placement is a straight
line of the standing, times what missing authentication costs. All figures are assumptions; docs/sandbox.md says how
to fit them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol, cast

from mailfleet.sandbox.dns.auth import DomainAuth, domain_auth
from mailfleet.sandbox.providers import FILTERS, WITHOUT, judged
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.state import Mailbox
from mailfleet.sandbox.world import World

BEGIN = 0.80
FALL = 0.35
RISE = 0.06
BOUNCES_BORNE = 0.03
BOUNCE_WEIGHT = 6.0
COMPLAINTS_BORNE = 0.001
COMPLAINT_WEIGHT = 120.0
VOLUME_FIRST = 45
VOLUME_PER_DAY = 2.0
VOLUME_MOST = 90
POOR_CEILING = 0.45
POOR_SHARE = 0.10
MEMORY_DAYS = 3
VOLUME_WEIGHT = 0.6
# Receivers forget a complaint later than a bounce.
COMPLAINT_DAYS = 7
LEAST_MAILS = 20
_AUTH_KEPT = timedelta(minutes=10)


class Box(Protocol):
    """A mailbox at whichever vendor: receivers know no more of it."""

    @property
    def vendor(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def domain(self) -> str: ...


@dataclass
class Day:
    """One day's counts."""

    day: date
    sent: int = 0
    bounced: int = 0
    complained: int = 0


@dataclass
class Standing:
    """The standing of one mailbox or one domain."""

    since: date
    score: float = BEGIN
    ceiling: float = 1.0
    scale: int = 1
    settled: date | None = None
    days: deque[Day] = field(default_factory=deque[Day])


@dataclass
class Reputations:
    """All standings, and the authentication looked up lately."""

    mailboxes: dict[str, Standing] = field(default_factory=dict[str, Standing])
    domains: dict[str, Standing] = field(default_factory=dict[str, Standing])
    auth: dict[str, tuple[object, DomainAuth]] = field(default_factory=dict[str, tuple[object, DomainAuth]])


def reputations(world: World) -> Reputations:
    """The standings of this world."""
    kept = world.state.get("reputation")
    if kept is None:
        kept = world.state["reputation"] = Reputations()
    return cast(Reputations, kept)


def standing(world: World, box: Box) -> Standing:
    """A mailbox's standing, settled up to today."""
    held, today = reputations(world).mailboxes, world.now.date()
    found = held.get(box.address)
    if found is None:
        found = held[box.address] = Standing(today, settled=today)
        if fraction(world, "neighbourhood", box.address) < POOR_SHARE and _may_be_poor(held):
            found.ceiling, found.score = POOR_CEILING, min(BEGIN, POOR_CEILING + 0.1)
    return _settle(found, today)


def _may_be_poor(held: dict[str, Standing]) -> bool:
    """At most every fourth mailbox begins among bad neighbours, so that no world is hopeless."""
    poor = sum(found.ceiling == POOR_CEILING for found in held.values())
    return 4 * (poor + 1) <= max(4, len(held))


def domain_standing(world: World, domain: str) -> Standing:
    """A domain's standing, settled up to today; it bears three mailboxes' worth of mail."""
    held, today = reputations(world).domains, world.now.date()
    if domain not in held:
        held[domain] = Standing(today, scale=3, settled=today)
    return _settle(held[domain], today)


def note(world: World, box: Box, *, sent: int = 0, bounced: int = 0, complained: int = 0) -> None:
    """Counts what happened today for the mailbox and its domain."""
    for found in (standing(world, box), domain_standing(world, box.domain)):
        today = world.now.date()
        if not found.days or found.days[-1].day != today:
            found.days.append(Day(today))
        day = found.days[-1]
        day.sent += sent
        day.bounced += bounced
        day.complained += complained


def placement(world: World, box: Box, provider: str | None = None) -> float:
    """The share of this mailbox's mail that lands in inboxes now, at one provider or over the usual mix of them."""
    score = 0.65 * standing(world, box).score + 0.35 * domain_standing(world, box.domain).score
    share, missing = 0.30 + 0.70 * score, 1.0
    passed = authentication(world, box.domain)
    for mechanism, kept in WITHOUT.items():
        if not getattr(passed, mechanism):
            missing *= kept
    if provider is not None:
        return judged(world, provider, share, missing, box.vendor)
    return sum(own.part * judged(world, name, share, missing, box.vendor) for name, own in FILTERS.items())


def authentication(world: World, domain: str) -> DomainAuth:
    """What receivers can verify, looked up again every ten minutes."""
    held = reputations(world).auth
    stamp = int(world.now.timestamp() // _AUTH_KEPT.total_seconds())
    kept = held.get(domain)
    if kept is None or kept[0] != stamp:
        kept = held[domain] = (stamp, domain_auth(world, domain))
    return kept[1]


def warmup_reputation(world: World, box: Mailbox) -> int:
    """The vendor's figure in percent: 100 until there is evidence."""
    if box.warmup is None or box.warmup.sent < 10:
        return 100
    passed = authentication(world, box.domain)
    lost = sum(8 for mechanism in WITHOUT if not getattr(passed, mechanism))
    return max(0, min(100, round(100 * (0.35 + 0.65 * standing(world, box).score)) - lost))


def _settle(found: Standing, today: date) -> Standing:
    while found.settled is not None and found.settled < today:
        found.settled += timedelta(days=1)
        goal = _target(found)
        found.score += (FALL if goal < found.score else RISE) * (goal - found.score)
        while found.days and found.days[0].day <= found.settled - timedelta(days=COMPLAINT_DAYS):
            found.days.popleft()
    return found


def _target(found: Standing) -> float:
    since = (found.settled or found.since) - timedelta(days=MEMORY_DAYS)
    lately = [day for day in found.days if day.day > since]
    sent = sum(day.sent for day in lately)
    lost = _volume_loss(found, lately) + _complaint_loss(found)
    if sent >= LEAST_MAILS:
        lost += BOUNCE_WEIGHT * max(0.0, sum(day.bounced for day in lately) / sent - BOUNCES_BORNE)
    return max(0.05, min(found.ceiling, 1.0 - lost))


def _complaint_loss(found: Standing) -> float:
    sent, complained = sum(day.sent for day in found.days), sum(day.complained for day in found.days)
    # One complaint among few mails is no rate yet.
    rate = max(0.0, complained - 0.5) / max(sent, 200)
    return COMPLAINT_WEIGHT * max(0.0, rate - COMPLAINTS_BORNE)


def _volume_loss(found: Standing, lately: Sequence[Day]) -> float:
    busiest = max((day.sent for day in lately), default=0)
    age = (found.settled - found.since).days if found.settled else 0
    usual = found.scale * min(VOLUME_MOST, VOLUME_FIRST + VOLUME_PER_DAY * age)
    return min(0.5, VOLUME_WEIGHT * max(0.0, busiest / usual - 1.0))
