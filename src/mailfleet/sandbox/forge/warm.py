"""Warmforge's mailboxes: the warm-up mail they send, and how warm they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, cast

from mailfleet.sandbox.forge.state import ident, new_id
from mailfleet.sandbox.reputation import authentication, note, placement, standing
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.world import World

WARM_DAYS = 21
_POOL = ("heat-pool-one.com", "heat-pool-two.com")
PROVIDERS = ("gmail", "outlook")
_DAY = timedelta(days=1)


@dataclass
class WarmBox:
    """A mailbox in warm-up."""

    id: str
    address: str
    workspace_id: str
    first_name: str
    last_name: str
    created_at: datetime
    status: str = "active"
    enabled: bool = True
    started: date | None = None
    ended: date | None = None
    code: str = ""
    least: int = 5
    most: int = 20
    ramp: int = 2
    reply_rate: int = 30
    signature: str = ""
    reference: str = ""
    provider: str = "smtp"
    running: bool = False
    last_on: date | None = None
    # Day to [sent, replied, spam] and, by provider, [inbox, replied, spam].
    days: dict[date, list[int]] = field(default_factory=dict[date, list[int]])
    providers: dict[date, dict[str, list[int]]] = field(default_factory=dict[date, dict[str, list[int]]])

    @property
    def vendor(self) -> str:
        return "forge"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


@dataclass
class Warm:
    """The account."""

    account_id: str
    workspaces: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    boxes: dict[str, WarmBox] = field(default_factory=dict[str, WarmBox])
    tests: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def warm(world: World) -> Warm:
    """The account of this world."""
    kept = world.state.get("forge_warm")
    if kept is None:
        kept = world.state["forge_warm"] = Warm(ident(world, "acc_", "warm"))
        make_workspace(world, kept, "Agency")
    return cast(Warm, kept)


def make_workspace(world: World, account: Warm, name: str) -> dict[str, Any]:
    """One more workspace."""
    identity = ident(world, "wsp_", name, len(account.workspaces))
    row = {"id": identity, "name": name, "slug": name.lower().replace(" ", "-"), "accountID": account.account_id}
    account.workspaces[identity] = row
    return row


def add(world: World, address: str, first: str, last: str, *, workspace_id: str = "", enabled: bool = True) -> WarmBox:
    """A mailbox in warm-up."""
    account = warm(world)
    home = workspace_id or next(iter(account.workspaces))
    box = WarmBox(new_id(world, "mbx_"), address.lower(), home, first, last, world.now, enabled=False)
    box.code = f"{hexes(world, 3, 'code', address)}-{hexes(world, 3, 'code two', address)}"
    account.boxes[box.address] = box
    if enabled:
        switch(world, box, on=True)
    return box


def switch(world: World, box: WarmBox, *, on: bool) -> None:
    """Warm-up on or off; its days go on counting where they stopped."""
    box.enabled = on
    if not on:
        box.ended = world.now.date()
        return
    box.started, box.ended = box.started or world.now.date(), None
    if not box.running:
        box.running = True
        _plan(world, box)


def todays(box: WarmBox, today: date) -> int:
    """How many mails today: from the least, so many more each day, up to the most."""
    if not box.enabled or box.status != "active":
        return 0
    return min(box.most, box.least + box.ramp * len([day for day in box.days if day < today]))


def _plan(world: World, box: WarmBox) -> None:
    account = warm(world)
    if not box.enabled or account.boxes.get(box.address) is not box:
        box.running = False
        return
    start = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    number = max(1, todays(box, world.now.date()))
    for place in range(number):
        moment = start + _DAY * ((place + fraction(world, "heat", box.address)) / number)
        if moment >= world.now:
            world.at(moment, partial(_send, world, box, place))
    world.at(start + _DAY, partial(_plan, world, box))


def _send(world: World, box: WarmBox, place: int) -> None:
    today = world.now.date()
    if place >= todays(box, today) or warm(world).boxes.get(box.address) is not box:
        return
    stem = f"{box.address}:{today}:{place}"
    spam = count(world, box, today, stem, placement(world, box))
    note(world, box, sent=1)
    identity = hexes(world, 16, "heat id", stem)
    world.log.add(
        "sends",
        {
            "platform": "forge",
            "campaign_id": None,
            "lead_id": None,
            "lead_email": f"{identity[:8]}@{_POOL[int(identity[8:10], 16) % len(_POOL)]}",
            "mailbox": box.address,
            "step": None,
            "variant": None,
            "message_id": f"{identity}@{box.domain}",
            "kind": "warmup",
            "placed": "spam" if spam else "inbox",
        },
    )


def count(world: World, box: WarmBox, day: date, stem: str, share: float) -> bool:
    """Counts one warm-up mail of a day; True when it landed in spam."""
    spam = fraction(world, "heat place", stem) >= share
    answered = not spam and fraction(world, "heat reply", stem) * 100 < box.reply_rate
    counts = box.days.setdefault(day, [0, 0, 0])
    provider = PROVIDERS[int(2 * fraction(world, "heat provider", stem))]
    by = box.providers.setdefault(day, {}).setdefault(provider, [0, 0, 0])
    for place, happened in enumerate((True, answered, spam)):
        counts[place] += happened
    for place, happened in enumerate((not spam, answered, spam)):
        by[place] += happened
    box.last_on = day
    return spam


def heat(world: World, box: WarmBox) -> int:
    """The score from 0 to 100: 47 after six days and 90 after three weeks (seen), less for a poor standing, for DNS
    that does not verify, and for days without warm-up. How the product computes it is not published."""
    days = len(box.days)
    score = 30 + 60 * min(days, WARM_DAYS) / WARM_DAYS + min(10.0, max(0, days - WARM_DAYS) / 9)
    score *= min(1.0, 0.4 + 0.6 * standing(world, box).score / 0.8)
    passed = authentication(world, box.domain)
    score -= 8 * sum(not good for good in (passed.spf, passed.dkim, passed.dmarc))
    idle = (world.now.date() - box.last_on).days if box.last_on and not box.enabled else 0
    return max(0, min(100, round(score - min(30.0, 0.5 * max(0, idle - 6)))))
