"""Replies: a review signal and an alarm for a collapse, never an automatic way back (migration-control 2.4).

A mail of age a counts F(a) of a mail, F = how many of the replies have come by then on the old platform; a campaign is
compared with what its client's history lets expect of it.
"""

from __future__ import annotations

import math

import msgspec

from mailfleet.rules.migration import evidence
from mailfleet.rules.migration.evidence import Arm
from mailfleet.rules.migration.verdicts import Literally, State, Verdict, percent

Exposed = tuple[str, float, float, float]
"""campaign, exposure (mails × F(age)), replies, replies expected of that exposure."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    rho: float = 0.005
    """What is left of the clustering once expected rates are taken out."""
    baseline: float = 0.04
    shrink: tuple[float, float] = (0.8, 20.0)
    windows: tuple[int, ...] = (2, 4, 7, 14)
    review_ratio: float = 0.8
    review_all: float = 0.975
    review_without: float = 0.85
    hold_ratio: float = 0.6
    hold_all: float = 0.95
    hold_without: float = 0.75
    old_minimum: float = 30
    frozen_days: int = 28
    """When the old platform sends nothing any more: how many days of its history stand for it."""
    literal_rate: float = 0.02
    delay_hours: float = 20
    """Median of the old platform's replies; with `delay_sigma` a lognormal: 57 % in a day, 92 % in a week."""
    delay_sigma: float = 1.3
    prior_mails: float = 500
    """How many mails at the baseline a client's own history is mixed with."""


def seen_by(age_hours: float, rule: Rule) -> float:
    """F(age): the part of its replies that a mail of this age has had."""
    if age_hours <= 0:
        return 0.0
    return evidence.normal((math.log(age_hours) - math.log(rule.delay_hours)) / rule.delay_sigma)


def expected_rate(mails: float, replies: float, rule: Rule) -> float:
    """What a client's history lets expect of its campaigns."""
    return (replies + rule.baseline * rule.prior_mails) / (mails + rule.prior_mails)


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    new: dict[str, list[Exposed]] = {}
    """days → campaigns."""
    old: list[Exposed] = []
    history: float = 0
    """Mails of the old platform's frozen history."""
    held_hours: float | None = None


class _Sums:
    __slots__ = ("expected", "k", "n", "squares")

    def __init__(self, cells: list[Exposed], without: str = "") -> None:
        self.n = self.k = self.expected = self.squares = 0.0
        for campaign, n, k, expected in cells:
            if campaign != without:
                self.n += n
                self.k += k
                self.expected += expected
                self.squares += n * n

    def arm(self, rule: Rule) -> Arm | None:
        """The rate it would have on average campaigns, and its weight."""
        if self.n <= 0 or self.expected <= 0:
            return None
        return Arm(self.k / self.expected * rule.baseline, self.n / evidence.effect(self.n, self.squares, rule.rho))


def old_arm(inputs: Inputs, rule: Rule) -> Arm:
    """The old platform of these days; its frozen history when it sends too little."""
    found = _Sums(inputs.old).arm(rule)
    if found is None or found.n_eff < rule.old_minimum:
        return Arm(rule.baseline, inputs.history / (1.0 + 300 * rule.rho))
    return found


def worst(cells: list[Exposed], ratio: float) -> str:
    return max(cells, key=lambda c: ratio * c[3] - c[2], default=("", 0.0, 0.0, 0.0))[0]


def below(
    cells: list[Exposed], old: Arm, ratio: float, *, all: float, without: float, rule: Rule
) -> tuple[bool, float, float | None, str]:
    arm = _Sums(cells).arm(rule)
    if arm is None:
        return False, 0.0, None, ""
    p = evidence.ratio_below(arm, old, ratio, rule.shrink)
    bad = worst(cells, rule.review_ratio)
    if p < all:
        return False, p, None, bad
    rest = _Sums(cells, bad).arm(rule)
    if rest is None:
        return False, p, None, bad
    q = evidence.ratio_below(rest, old, ratio, rule.shrink)
    return q >= without, p, q, bad


def visible(old: Arm, new: Arm, rule: Rule) -> float:
    """The smallest drop (0–1) that the review rule would see with this much mail, on average."""
    low, high = 0.0, 1.0
    for _ in range(30):
        mid = (low + high) / 2
        seen = Arm(max(1e-6, rule.baseline * (1 - mid)), new.n_eff)
        p = evidence.ratio_below(seen, Arm(rule.baseline, old.n_eff), rule.review_ratio, rule.shrink)
        low, high = (low, mid) if p >= rule.review_all else (mid, high)
    return high


def judge(inputs: Inputs, rule: Rule) -> Verdict:
    old = old_arm(inputs, rule)
    state, days, ratio, p, q, bad = _gravest(inputs, old, rule)
    sums = _Sums(inputs.new.get(str(days), []))
    arm = sums.arm(rule)
    n_eff = arm.n_eff if arm else 0.0
    rate = sums.k / sums.n if sums.n else None
    effect = sums.n / n_eff if n_eff else 1.0
    made = Verdict(
        trigger="reply",
        state=state,
        observed=rate,
        interval=evidence.interval(n_eff, sums.k / effect, evidence.Prior(a=1, b=24)) if sums.n else None,
        n=sums.n,
        n_eff=n_eff,
        design_effect=effect,
        threshold=ratio,
        posterior=p,
        without_worst=q,
        worst=bad,
        window=f"{days} d",
        since=(inputs.held_hours or 0.0) if state == "HOLD" else None,
        asks=("placement",) if state == "HOLD" else (),
        literal=_literal(inputs, rule),
    )
    return msgspec.structs.replace(made, sentence=_sentence(made, old, arm, rule))


def _gravest(inputs: Inputs, old: Arm, rule: Rule) -> tuple[State, int, float, float, float | None, str]:
    best: tuple[State, int, float, float, float | None, str] | None = None
    for days in rule.windows:
        cells = inputs.new.get(str(days), [])
        yes, p, q, bad = below(cells, old, rule.hold_ratio, all=rule.hold_all, without=rule.hold_without, rule=rule)
        if yes:
            return "HOLD", days, rule.hold_ratio, p, q, bad
        yes, p, q, bad = below(
            cells, old, rule.review_ratio, all=rule.review_all, without=rule.review_without, rule=rule
        )
        if yes and best is None:
            best = "REVIEW", days, rule.review_ratio, p, q, bad
    if best:
        return best
    longest = rule.windows[-1]
    cells = inputs.new.get(str(longest), [])
    arm = _Sums(cells).arm(rule)
    p = evidence.ratio_below(arm, old, rule.review_ratio, rule.shrink) if arm else 0.0
    # A drop of a half is the smallest that can be told from a full month of ten mails a day.
    thin = arm is None or visible(old, arm, rule) > 0.5
    return ("THIN" if thin else "OK"), longest, rule.review_ratio, p, None, ""


def _literal(inputs: Inputs, rule: Rule) -> Literally:
    sums = _Sums(inputs.new.get(str(rule.windows[-1]), []))
    if sums.n <= 0:
        return Literally(fires=None, sentence="read literally: nothing was sent")
    rate = sums.k / sums.n
    return Literally(
        fires=rate < rule.literal_rate,
        sentence=f"read literally (replies below {percent(rule.literal_rate, 0)}): {percent(rate)}, adjusted for "
        "replies still to come",
    )


def _sentence(verdict: Verdict, old: Arm, new: Arm | None, rule: Rule) -> str:
    if new is None or verdict.observed is None:
        return "Nothing was sent on the new platform: nothing is known of its replies."
    return (
        f"{percent(verdict.observed)} replies over {verdict.window}, as of {verdict.n:.0f} mails with all their time; "
        f"P(below {verdict.threshold:.0%} of the old platform's) = {verdict.posterior or 0:.3f}. With this much mail "
        f"no drop smaller than {visible(old, new, rule):.0%} can be seen."
    )
