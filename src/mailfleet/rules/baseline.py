"""What a platform was like: rates with their counts, how alike the mails of a cluster are, how late answers come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

HOURS = (1, 2, 4, 8, 12, 24, 48, 72, 120, 168, 240, 336)
"""Where the curve of answers is read."""
SETTLED = timedelta(days=14)
"""A mail younger than this may still be answered: it says nothing about how late answers come."""
SAMPLE = 200_000
_PROVIDERS: Mapping[str, str] = {
    "gmail.com": "google", "googlemail.com": "google", "outlook.com": "microsoft", "hotmail.com": "microsoft",
    "live.com": "microsoft", "msn.com": "microsoft", "yahoo.com": "yahoo", "ymail.com": "yahoo", "aol.com": "yahoo",
    "icloud.com": "apple", "me.com": "apple",
}  # fmt: skip


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail that left, with what became of it. `domain` is the sender's; empty: the platform does not tell."""

    campaign: str
    domain: str
    recipient: str
    at: datetime
    opened: bool = False
    clicked: bool = False
    replied_at: datetime | None = None
    bounced: bool = False
    first: bool = True
    """The first mail to this person in the campaign: rates by person count only these."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Where a count belongs. `week` is its Monday."""

    campaign: str
    domain: str
    provider: str
    week: date


class Tally(msgspec.Struct, kw_only=True):
    """Counts of one cell; every rate is printed with them."""

    sent: int = 0
    people: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    bounced: int = 0


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Share of all answers that have come after so many hours, from `answers` of mails old enough to be judged."""

    answers: int
    shares: Mapping[int, float]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """`rho` is None where there is too little to tell; `clusters` and `mails` say how much there was."""

    rho: float | None
    clusters: int
    mails: int


def provider(address: str) -> str:
    """Who takes the mail, as far as its domain tells: a company's own domain does not."""
    return _PROVIDERS.get(address.rpartition("@")[2].lower(), "own domain")


def monday(at: datetime) -> date:
    day = at.date()
    return day - timedelta(days=day.weekday())


class Baseline:
    """Takes mails one by one; memory grows with cells and answers, not with mails."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.cells: dict[Cell, Tally] = {}
        self._delays: list[float] = []

    def add(self, mail: Mail) -> None:
        cell = Cell(campaign=mail.campaign, domain=mail.domain, provider=provider(mail.recipient), week=monday(mail.at))
        tally = self.cells.setdefault(cell, Tally())
        tally.sent += 1
        tally.people += mail.first
        tally.opened += mail.opened
        tally.clicked += mail.clicked
        tally.replied += mail.replied_at is not None
        tally.bounced += mail.bounced
        if mail.replied_at is not None and mail.at <= self.now - SETTLED and len(self._delays) < SAMPLE:
            self._delays.append(max(0.0, (mail.replied_at - mail.at).total_seconds() / 3600))

    def curve(self) -> Curve:
        return curve(self._delays)

    def fit(self, what: str) -> Fit:
        """ρ of `replied` or `bounced`; a cluster is a campaign's week at one sender's domain."""
        groups: dict[tuple[str, str, date], tuple[int, int]] = {}
        for cell, tally in self.cells.items():
            key = (cell.campaign, cell.domain, cell.week)
            n, k = groups.get(key, (0, 0))
            groups[key] = (n + tally.sent, k + getattr(tally, what))
        return fit(list(groups.values()))


def curve(delays: Sequence[float]) -> Curve:
    """The empirical distribution at fixed hours."""
    total = len(delays)
    shares = {hour: sum(delay <= hour for delay in delays) / total for hour in HOURS} if total else {}
    return Curve(answers=total, shares=shares)


def fit(groups: Iterable[tuple[int, int]]) -> Fit:
    """One-way analysis of variance of yes and no over clusters of (mails, events) of unequal size (Fleiss 1981, ANOVA
    estimator); below zero, which chance alone brings about, counts as zero."""
    cells = [(n, k) for n, k in groups if n > 1]
    total, events = sum(n for n, _ in cells), sum(k for _, k in cells)
    told = Fit(rho=None, clusters=len(cells), mails=total)
    if len(cells) < 2 or not 0 < events < total or total <= len(cells):
        return told
    mean = events / total
    between = sum(n * (k / n - mean) ** 2 for n, k in cells) / (len(cells) - 1)
    within = sum(k * (1 - k / n) for n, k in cells) / (total - len(cells))
    size = (total - sum(n * n for n, _ in cells) / total) / (len(cells) - 1)
    spread = between + (size - 1) * within
    if spread <= 0:
        return told
    return Fit(rho=max(0.0, min(1.0, (between - within) / spread)), clusters=len(cells), mails=total)


def rates(cells: Mapping[Cell, Tally], by: str) -> dict[str, Tally]:
    """Sums over one of campaign, domain, provider and week."""
    found: dict[str, Tally] = {}
    for cell, tally in cells.items():
        total = found.setdefault(str(getattr(cell, by)), Tally())
        for name in ("sent", "people", "opened", "clicked", "replied", "bounced"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return found
