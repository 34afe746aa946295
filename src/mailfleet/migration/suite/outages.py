"""A world of probes, two a minute, with incidents; only the minutes around failures are looked at."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from mailfleet.rules.migration import availability

PROBES, BACKGROUND = 2, 0.001
MEDIAN, SIGMA = 25.0, 1.2


class World(NamedTuple):
    """`a_month`: incidents of the published kind. `steady`: instead, this share of errors from `begin` on."""

    a_month: float = 0.0
    steady: float = 0.0
    days: int = 77
    begin: int = 0


class Seen(NamedTuple):
    fired: int | None
    long_incident: bool
    """Did an incident really last four hours?"""


def run(world: World, seed: int, rule: availability.Rule) -> Seen:
    rng = random.Random(seed)  # noqa: S311 - a world has to repeat
    minutes = world.days * 1440
    spans, long_incident = _spans(world, rng, minutes)
    failures = _failures(rng, spans, minutes)
    return Seen(_scanned(failures, minutes, rule), long_incident)


def _spans(world: World, rng: random.Random, minutes: int) -> tuple[list[tuple[int, int, float]], bool]:
    if world.steady:
        return [(world.begin, minutes, world.steady)], True
    spans: list[tuple[int, int, float]] = []
    at = rng.expovariate(world.a_month / (30 * 1440))
    while at < minutes:
        length = int(math.exp(math.log(MEDIAN) + SIGMA * rng.gauss(0, 1))) + 1
        error = 1.0 if rng.random() < 0.6 else 0.1 + 0.4 * rng.random()
        spans.append((int(at), min(minutes, int(at) + length), error))
        at += rng.expovariate(world.a_month / (30 * 1440))
    return spans, any(end - start > 240 for start, end, _ in spans)


def _failures(rng: random.Random, spans: list[tuple[int, int, float]], minutes: int) -> dict[int, int]:
    """minute → failed probes: the background by its gaps, incidents minute by minute."""
    found: dict[int, int] = {}
    probe = 0
    while True:
        probe += 1 + int(math.log(1.0 - rng.random()) / math.log1p(-BACKGROUND))
        if probe >= PROBES * minutes:
            break
        found[probe // PROBES] = min(PROBES, found.get(probe // PROBES, 0) + 1)
    for start, end, error in spans:
        for minute in range(start, end):
            if k := sum(rng.random() < error for _ in range(PROBES)):
                found[minute] = k
    return found


def _scanned(failures: dict[int, int], minutes: int, rule: availability.Rule) -> int | None:
    breach = availability.Breach()
    at = sorted(failures)
    place = 0
    while place < len(at):
        minute = at[place]
        until = minute
        while place < len(at) and at[place] <= until + rule.close_minutes:
            until = at[place]
            place += 1
        window: list[tuple[int, int]] = []
        since_failures = 0
        for now in range(minute, min(minutes, until + rule.close_minutes + 2)):
            k = failures.get(now, 0)
            window.append((now, k))
            opened = breach.since
            since_failures = since_failures + k if opened is not None else 0
            breach = availability.advance(breach, _look(window, now, k, opened, since_failures, rule), rule)
            if opened is None and breach.since is not None:
                since_failures = sum(failed for when, failed in window if when >= breach.since)
            if breach.fired:
                return now
    return None


def _look(
    window: list[tuple[int, int]], now: int, k: int, since: int | None, since_failures: int, rule: availability.Rule
) -> availability.Look:
    short, long = rule.open_minutes
    recent = hour = half = 0
    total = 0
    for when, failed in reversed(window):
        age = now - when
        if age >= long:
            break
        if failed:
            total += failed
            recent += failed * (age < rule.recent_minutes)
            hour += failed * (age < rule.close_minutes)
            half += failed * (age < short)
    return availability.Look(
        minute=now,
        calls=PROBES,
        failures=k,
        recent=recent,
        hour=hour,
        short=(half, PROBES * short),
        long=(total, PROBES * long),
        since=(since_failures, PROBES * (now - since + 1)) if since is not None else (0, 0),
    )
