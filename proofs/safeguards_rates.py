"""How soon, how often wrongly and how often not at all the safeguards stop a mailbox or a campaign, by its true rate.

python -m proofs.safeguards_rates [--runs N] [--seed N]

The rules are the product's own; the world is a binomial one: a mailbox of 10, 20 or 40 mails a day, a campaign
of 100 or 1,000, looked at four times a day for 28 days, every bounce known at once. Bounces of one list that share a
fate make both kinds of error more frequent (migration-control 2.1).
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

from mailfleet.policy.model import default_policy
from mailfleet.rules import autopause, bounce_bands, ladder
from mailfleet.rules.autopause import Health

POLICY = default_policy()
RATES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.20)
DAYS, LOOKS = 28, 4
START = datetime(2026, 3, 2, tzinfo=UTC)
Stops = Callable[[Sequence[tuple[int, int]]], bool]


@cache
def proven(sent: int, bounced: int) -> tuple[bool, float]:
    """(stops, factor) of the ladder's first look at these figures."""
    step = ladder.look(POLICY, None, ladder.Sample(sent=sent, bounced=bounced), ladder.Sample(), START)
    return step.stops, step.factor


@cache
def auto(sent: int, bounced: int) -> bool:
    return autopause.conditions(Health(sent_24h=sent, bounced_24h=bounced), POLICY.auto_pause)["should_pause"]


@cache
def breaks(sent: int, bounced: int) -> bool:
    return bounce_bands.breaker(POLICY, sent, bounced).open


def mailbox(parts: Sequence[tuple[int, int]]) -> bool:
    return auto(*total(parts[-LOOKS:])) or proven(*total(parts[-LOOKS * 7 :]))[0]


def campaign(parts: Sequence[tuple[int, int]]) -> bool:
    week = total(parts[-LOOKS * 7 :])
    return breaks(*week) or proven(*week)[0]


def total(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(sent for sent, _ in parts), sum(bounced for _, bounced in parts)


def run(rng: random.Random, daily: int, rate: float, stops: Stops) -> tuple[float | None, bool]:
    """(days until it was stopped, whether it was slowed before that)."""
    parts: list[tuple[int, int]] = []
    slowed = False
    for look in range(DAYS * LOOKS):
        sent = daily * (look + 1) // LOOKS - daily * look // LOOKS
        parts.append((sent, sum(rng.random() < rate for _ in range(sent))))
        if stops(parts):
            return (look + 1) / LOOKS, slowed
        slowed = slowed or proven(*total(parts[-LOOKS * 7 :]))[1] < 1
    return None, slowed


def table(runs: int, seed: int) -> list[str]:
    lines = [
        "| scope | true rate | stopped within 1 day | 7 days | 28 days | median delay | slowed at some time |",
        "|---|---|---|---|---|---|---|",
    ]
    subjects: list[tuple[str, int, Stops]] = [(f"mailbox, {n} a day", n, mailbox) for n in (10, 20, 40)]
    subjects += [(f"campaign, {n:,} a day", n, campaign) for n in (100, 1000)]
    for name, daily, stops in subjects:
        for rate in RATES:
            rng = random.Random(f"{seed}:{daily}:{rate}")  # noqa: S311
            seen = [run(rng, daily, rate, stops) for _ in range(runs)]
            lines.append(_row(name, daily, rate, seen))
    return lines


def _row(name: str, daily: int, rate: float, seen: Sequence[tuple[float | None, bool]]) -> str:
    times = [days for days, _ in seen if days is not None]
    within = [f"{sum(days <= most for days in times) / len(seen):.1%}" for most in (1, 7, DAYS)]
    median = statistics.median(times) if len(times) * 2 >= len(seen) else None
    delay = f"{median:.2g} d, {round(median * daily)} mails" if median is not None else "—"
    slowed = sum(slow for _, slow in seen) / len(seen)
    return f"| {name} | {rate:.0%} | {' | '.join(within)} | {delay} | {slowed:.0%} |"


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--runs", type=int, default=1000)
    given.add_argument("--seed", type=int, default=1)
    wanted = given.parse_args()
    sys.stdout.write("\n".join(table(wanted.runs, wanted.seed)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
