"""Warm-up mail: each mailbox writes to the vendor's own pool, evenly over the day."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from mailfleet.sandbox.reputation import note, placement
from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.smartlead.state import STATS_DAYS, Mailbox, Warmup
from mailfleet.sandbox.world import World

# The pool's hosts and where they have their mail.
_POOL = (("warm-pool-one.com", "google"), ("warm-pool-two.com", "microsoft"), ("warm-pool-three.com", "postfix"))
_DAY = timedelta(days=1)


def start_warmup(world: World, box: Mailbox) -> None:
    """Makes sure that each of the mailbox's coming days is planned."""
    warmup = box.warmup
    if warmup is None or warmup.running or not warmup.enabled:
        return
    warmup.running = True
    _plan(world, box)


def todays_count(world: World, box: Mailbox) -> int:
    """How many warm-up mails the settings ask for today: with a ramp-up, that many more each day."""
    warmup = box.warmup
    if warmup is None or not warmup.enabled:
        return 0
    if not warmup.ramping:
        return warmup.total_per_day
    day = (world.now.date() - warmup.created_at.date()).days
    return min(warmup.total_per_day, warmup.rampup * (day + 1))


def _plan(world: World, box: Mailbox) -> None:
    """Plans one UTC day's mails, those whose moment is still to come, and the next day's planning."""
    warmup = box.warmup
    start = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    if warmup is None or not warmup.enabled or box.id not in world.state["mailboxes"]:
        if warmup:
            warmup.running = False
        return
    # The most the day may need: settings may still rise before the moment comes.
    count = max(1, todays_count(world, box))
    gap = _DAY / count
    offset = fraction(world, "warm-up", box.address) * gap
    for number in range(count):
        moment = start + offset + number * gap
        if moment >= world.now:
            world.at(moment, partial(_send, world, box, number))
    world.at(start + _DAY, partial(_plan, world, box))


def _send(world: World, box: Mailbox, number: int) -> None:
    warmup = box.warmup
    if warmup is None or not warmup.enabled or not box.smtp_ok or number >= todays_count(world, box):
        return
    day = world.now.date().isoformat()
    counts = warmup.days.get(day) or _new_day(world, warmup, day)
    stem = f"{box.address}:{day}:{number}"
    identity = hexes(world, 16, "warm-up id", stem)
    host, provider = _POOL[int(identity[8:10], 16) % len(_POOL)]
    spam = fraction(world, "warm-up place", stem) >= placement(world, box, provider)
    answered = not spam and fraction(world, "warm-up reply", stem) * 100 < warmup.reply_rate
    warmup.sent += 1
    warmup.spam += spam
    for at, happened in enumerate((True, spam, fraction(world, "warm-up in", stem) < 0.9, answered, spam)):
        counts[at] += happened
    note(world, box, sent=1)
    to = f"{identity[:8]}@{host}"
    world.log.add(
        "sends",
        {
            "platform": "smartlead",
            "campaign_id": None,
            "lead_id": None,
            "lead_email": to,
            "mailbox": box.address,
            "step": None,
            "variant": None,
            "message_id": f"<{identity}@{box.domain}>",
            "kind": "warmup",
            "placed": "spam" if spam else "inbox",
        },
    )


def _new_day(world: World, warmup: Warmup, day: str) -> list[int]:
    """A day's counts, at nothing; days that no answer shows any more are forgotten."""
    first = (world.now - timedelta(days=STATS_DAYS + 1)).date().isoformat()
    for old in [key for key in warmup.days if key < first]:
        del warmup.days[old]
    warmup.days[day] = [0, 0, 0, 0, 0]
    return warmup.days[day]
