"""A world of bounces, judged every hour: campaigns of unequal size and rate, late bounces, day shocks."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from itertools import accumulate
from typing import NamedTuple

from mailfleet.rules.migration import bounce
from mailfleet.rules.migration.evidence import Counts

SENDING = range(8, 18)
LIFE = 14
LATE, LATE_MEAN = 0.15, 12.0
BURN_IN = 7
RAMP = ((14, 0.10), (14, 0.25), (14, 0.75), (35, 1.0))
CONCURRENT = {10: 1, 100: 4, 1000: 20, 10_000: 60}


class World(NamedTuple):
    """`rate` until `onset`, `then` from there; `bad_list`: the largest campaign alone bounces at a quarter."""

    sends: tuple[float, ...]
    """Mails of each day on the new platform."""
    campaigns: tuple[int, ...]
    """Campaigns at once on each day."""
    rate: float
    icc: float
    then: float | None = None
    onset: int = 10**6
    bad_list: bool = False


class Seen(NamedTuple):
    """Hour of the first alarm of each kind; None: never."""

    hold: int | None
    rollback: int | None
    review: int | None
    pause: int | None


def ramp(volume: int, rate: float, icc: float) -> World:
    """Weeks 3 to 13 after a week at the first share."""
    shares = [RAMP[0][1]] * BURN_IN + [share for days, share in RAMP for _ in range(days)]
    at_once = CONCURRENT[volume]
    return World(
        tuple(volume * share for share in shares),
        tuple(max(1, round(at_once * share)) for share in shares),
        rate,
        icc,
    )


def steady(daily: int, then: float, icc: float, *, bad_list: bool = False) -> World:
    """2 % for four weeks, then `then` for three."""
    days = 49
    return World((float(daily),) * days, (CONCURRENT[daily],) * days, 0.02, icc, then, 28, bad_list)


class _Window(Counts):
    """The sums of a window at one hour; the campaigns are looked up only when a rule asks for them."""

    __slots__ = ("_made", "history", "hours", "now")

    def __init__(self, history: _History, hours: int) -> None:
        self.n = self.k = 0.0
        self.history, self.hours, self.now = history, hours, 0
        self._made: Counts | None = None

    def _built(self) -> Counts:
        if self._made is None:
            start = max(0, self.now - self.hours + 1)
            self._made = Counts.of(
                (str(c), sum(sent[start : self.now + 1]), sum(self.history.known[c][start : self.now + 1]))
                for c, sent in enumerate(self.history.sent)
            )
        return self._made

    @property
    def cells(self) -> dict[str, list[float]]:  # type: ignore[override]
        return self._built().cells

    @property
    def squares(self) -> float:  # type: ignore[override]
        """Asked for far more often than the campaigns themselves."""
        start, end = max(0, self.now - self.hours + 1), self.now + 1
        return float(sum([(before[end] - before[start]) ** 2 for before in self.history.before]))


class _History:
    """Mails and known bounces by campaign and hour of sending."""

    def __init__(self, campaigns: int, hours: int) -> None:
        self.sent = [[0] * hours for _ in range(campaigns)]
        self.known = [[0] * hours for _ in range(campaigns)]
        self.total_sent, self.total_known = [0] * hours, [0] * hours
        self.late: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.before: list[list[int]] = []
        """Mails of each campaign before each hour, once all are known."""


def run(world: World, seed: int, rule: bounce.Rule) -> Seen:
    """One world, looked at whenever something is new."""
    rng = random.Random(seed)  # noqa: S311 - a world has to repeat
    hours = 24 * len(world.sends)
    history = _History(max(world.campaigns), hours)
    _fill(world, history, rng)
    return _judged(history, hours, rule)


def _fill(world: World, history: _History, rng: random.Random) -> None:
    count = max(world.campaigns)
    weights = [math.exp(0.7 * rng.gauss(0, 1)) for _ in range(count)]
    largest = max(range(count), key=lambda c: weights[c])
    ends = [rng.randrange(LIFE) for _ in range(count)]
    rates = [_drawn(rng, world.rate, world.icc) for _ in range(count)]
    for day, sends in enumerate(world.sends):
        mean = world.then if world.then is not None and day >= world.onset and not world.bad_list else world.rate
        shock = math.exp(0.15 * rng.gauss(0, 1) - 0.5 * 0.15**2)
        active = range(world.campaigns[day])
        whole = sum(weights[c] for c in active)
        for c in range(count):
            if (day + ends[c]) % LIFE == 0 or day == world.onset:
                rates[c] = _drawn(rng, mean, world.icc)
        for c in active:
            rate = 0.25 if world.bad_list and day >= world.onset and c == largest else min(0.95, rates[c] * shock)
            _day(history, rng, c, 24 * day, _poisson(rng, sends * weights[c] / whole), rate)


def _day(history: _History, rng: random.Random, c: int, start: int, sent: int, rate: float) -> None:
    """Mails spread over the sending hours, bounces by the gaps between them."""
    each, more = divmod(sent, len(SENDING))
    first = rng.randrange(len(SENDING))
    edges: list[int] = []
    done = 0
    for i, hour in enumerate(SENDING):
        n = each + ((i - first) % len(SENDING) < more)
        history.sent[c][start + hour] = n
        history.total_sent[start + hour] += n
        done += n
        edges.append(done)
    if rate <= 0:
        return
    scale, at, i = math.log1p(-rate), -1, 0
    while True:
        at += 1 + int(math.log(1.0 - rng.random()) / scale)
        if at >= sent:
            return
        while edges[i] <= at:
            i += 1
        _bounced(history, rng, c, start + SENDING[i])


def _bounced(history: _History, rng: random.Random, c: int, hour: int) -> None:
    if rng.random() >= LATE:
        history.known[c][hour] += 1
        history.total_known[hour] += 1
    else:
        history.late[hour + 1 + int(rng.expovariate(1 / LATE_MEAN))].append((hour, c))


def _judged(history: _History, hours: int, rule: bounce.Rule) -> Seen:
    history.before = [list(accumulate(sent, initial=0)) for sent in history.sent]
    windows = {width: _Window(history, width) for width in bounce.WINDOWS}
    first: dict[str, int] = {}
    since: int | None = None
    for now in range(hours):
        late = history.late.get(now, ())
        _moved(windows, history, now, late)
        if now < 24 * BURN_IN or not (history.total_sent[now] or late or now % 24 == 7):
            continue
        stood, shown = bounce.held(windows, None if since is None else float(now - since), 1.0, rule)
        since = None if stood is None else (now if since is None else since)
        if shown is not None:
            first.setdefault("hold", now)
        if "review" not in first and bounce.review(windows, rule):
            first["review"] = now
        if "pause" not in first and bounce.pause(windows, rule):
            first["pause"] = now
        if since is not None and bounce.rollback(windows, float(now - since), rule):
            first["rollback"] = now
            break
    return Seen(first.get("hold"), first.get("rollback"), first.get("review"), first.get("pause"))


def _moved(windows: dict[int, _Window], history: _History, now: int, late: list[tuple[int, int]] | tuple[()]) -> None:
    sent, known = history.total_sent, history.total_known
    for width, window in windows.items():
        window.now = now
        window._made = None
        window.n += sent[now]
        window.k += known[now]
        if now >= width:
            window.n -= sent[now - width]
            window.k -= known[now - width]
    for hour, c in late:
        history.known[c][hour] += 1
        known[hour] += 1
        for width, window in windows.items():
            window.k += hour > now - width


def _drawn(rng: random.Random, mean: float, icc: float) -> float:
    if icc <= 0:
        return mean
    s = (1 - icc) / icc
    return rng.betavariate(mean * s, (1 - mean) * s)


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 60:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, k, p = math.exp(-mean), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k
