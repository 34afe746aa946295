"""The new platform's API: a breach opens on evidence, is dated back to its first failure, and fires when it is four
hours old and still failing (migration-control 2.5). Outages that are over do not fire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from mailfleet.rules import beta
from mailfleet.rules.migration.verdicts import Literally, State, Verdict, percent

Minute = tuple[int, int, int]
"""minute, calls, of these failed."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    limit: float = 0.01
    """Share of failures that is 99 % availability."""
    sure: float = 0.95
    prior: tuple[float, float] = (0.1, 9.9)
    open_minutes: tuple[int, int] = (30, 120)
    close_minutes: int = 60
    close_failures: int = 1
    recent_minutes: int = 15
    recent_failures: int = 2
    fire_minutes: int = 240
    target: float = 0.005
    burn: float = 14.4
    """Two-window alert of the SRE workbook: pages, does nothing."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    minutes: list[Minute] = []
    """Minutes with calls, oldest first, numbered from anywhere."""
    now: int = 0
    week: tuple[int, int] = (0, 0)
    """Calls and failures of seven days."""


class Breach(NamedTuple):
    """`since`: the open breach's first failure. `last`: the latest failure; `first`: of the failures that led to it."""

    since: int | None = None
    first: int = -1
    last: int = -1_000_000
    failures: int = 0
    calls: int = 0
    """Of these, since the breach began."""
    fired: bool = False


class Look(NamedTuple):
    """Failures and calls of the windows that end with this minute."""

    minute: int
    calls: int
    failures: int
    recent: int
    hour: int
    short: tuple[int, int]
    long: tuple[int, int]
    since: tuple[int, int]
    """Failures and calls since the open breach began."""


def advance(breach: Breach, look: Look, rule: Rule) -> Breach:
    """One minute further."""
    first, last = breach.first, breach.last
    if look.failures:
        first = look.minute if look.minute - last > rule.close_minutes else first
        last = look.minute
    if breach.since is None:
        opens = look.failures > 0 and look.short[0] >= 2 and (_bad(look.short, rule) or _bad(look.long, rule))
        return Breach(since=first if opens else None, first=first, last=last)
    if look.hour <= rule.close_failures:
        return Breach(first=first, last=last)
    failures, calls = look.since
    fires = (
        look.minute - breach.since >= rule.fire_minutes
        and look.recent >= rule.recent_failures
        and failures > rule.limit * calls
    )
    return Breach(breach.since, first, last, failures, calls, fires)


def _bad(window: tuple[int, int], rule: Rule) -> bool:
    failures, calls = window
    if failures <= rule.limit * calls:
        return False
    return beta.above(rule.limit, calls, failures, prior=rule.prior) >= rule.sure


def scan(minutes: Sequence[Minute], now: int, rule: Rule) -> Breach:
    """The breach as it stands at `now`, from the minutes alone: nothing has to be remembered between two looks."""
    sums = _Sums(minutes)
    breach = Breach()
    for minute in _interesting(minutes, now, rule):
        calls, failures = sums.at(minute)
        since = breach.since
        breach = advance(
            breach,
            Look(
                minute=minute,
                calls=calls,
                failures=failures,
                recent=sums.over(minute, rule.recent_minutes)[0],
                hour=sums.over(minute, rule.close_minutes)[0],
                short=sums.over(minute, rule.open_minutes[0]),
                long=sums.over(minute, rule.open_minutes[1]),
                since=sums.over(minute, minute - since + 1) if since is not None else (0, 0),
            ),
            rule,
        )
    return breach


def _interesting(minutes: Sequence[Minute], now: int, rule: Rule) -> Iterable[int]:
    """Minutes in which something can change: those within an hour after a failure, and now."""
    until = -1
    for minute, _, failed in minutes:
        if failed and minute <= now:
            yield from range(max(until + 1, minute), min(now, minute + rule.close_minutes + 1) + 1)
            until = max(until, min(now, minute + rule.close_minutes + 1))
    if until < now:
        yield now


class _Sums:
    """Failures and calls over any span of minutes."""

    def __init__(self, minutes: Sequence[Minute]) -> None:
        self.start = minutes[0][0] if minutes else 0
        length = (minutes[-1][0] - self.start + 1) if minutes else 0
        self.calls, self.failed = [0] * (length + 1), [0] * (length + 1)
        for minute, calls, failed in minutes:
            self.calls[minute - self.start + 1] += calls
            self.failed[minute - self.start + 1] += failed
        for i in range(length):
            self.calls[i + 1] += self.calls[i]
            self.failed[i + 1] += self.failed[i]

    def over(self, minute: int, width: int) -> tuple[int, int]:
        top, low = self._kept(minute + 1), self._kept(minute + 1 - width)
        return self.failed[top] - self.failed[low], self.calls[top] - self.calls[low]

    def at(self, minute: int) -> tuple[int, int]:
        failed, calls = self.over(minute, 1)
        return calls, failed

    def _kept(self, minute: int) -> int:
        return min(len(self.calls) - 1, max(0, minute - self.start))


def burning(hour: tuple[int, int], five: tuple[int, int], rule: Rule) -> bool:
    """Failures and calls of an hour and of five minutes: wakes a person early."""
    return all(calls > 0 and failed / calls > rule.burn * rule.target for failed, calls in (hour, five))


def judge(inputs: Inputs, rule: Rule) -> Verdict:
    breach = scan(inputs.minutes, inputs.now, rule)
    sums = _Sums(inputs.minutes)
    calls, failed = inputs.week
    observed = 1 - failed / calls if calls else None
    state: State = "ROLLBACK" if breach.fired else ("OK" if observed is not None else "THIN")
    if not breach.fired and breach.since is not None:
        state = "REVIEW"
    four = sums.over(inputs.now, rule.fire_minutes)
    pages = burning(sums.over(inputs.now, 60), sums.over(inputs.now, 5), rule)
    made = Verdict(
        trigger="api",
        state=state,
        observed=observed,
        n=calls,
        n_eff=calls,
        threshold=1 - rule.limit,
        posterior=beta.above(rule.limit, breach.calls, breach.failures, prior=rule.prior) if breach.calls else None,
        window="7 d",
        since=(inputs.now - breach.since) / 60 if breach.since is not None else None,
        asks=("page",) if pages else (),
        literal=_literal(four, rule),
    )
    return msgspec.structs.replace(made, sentence=_sentence(made, breach))


def _literal(four: tuple[int, int], rule: Rule) -> Literally:
    failed, calls = four
    if not calls:
        return Literally(fires=None, sentence="read literally: no call in four hours")
    return Literally(
        fires=failed > rule.limit * calls,
        sentence=f"read literally (availability over four hours below {percent(1 - rule.limit, 0)}): "
        f"{percent(1 - failed / calls, 2)}",
    )


def _sentence(verdict: Verdict, breach: Breach) -> str:
    if verdict.observed is None:
        return "No call to the new platform in seven days: its availability is not known."
    told = f"{percent(verdict.observed, 2)} of {verdict.n:.0f} calls of seven days answered"
    if breach.since is None:
        return f"{told}; no breach is open."
    told += f"; a breach has been open for {verdict.since or 0:.1f} h"
    if breach.calls:
        told += f", in it {breach.failures} of {breach.calls} calls failed"
    if verdict.state == "ROLLBACK":
        return f"{told}, older than four hours and still failing."
    return f"{told}; it is given four hours."
