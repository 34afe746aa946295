"""The bounce trigger: breaker, REVIEW, HOLD, PAUSE and ROLLBACK on windows of send cohorts (migration-control 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mailfleet.rules import beta
from mailfleet.rules.migration import evidence
from mailfleet.rules.migration.evidence import Cell, Counts, Prior
from mailfleet.rules.migration.verdicts import Literally, State, Verdict, percent

WINDOWS = (12, 24, 48, 96, 168)
"""Hours; a bounce counts in the window its mail was sent in, whenever it arrives."""
Windows = Mapping[int, Counts]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of 2.2; `rho` is estimated from the old platform's history and printed with the evidence."""

    rho: float = 0.02
    prior: Prior = Prior()
    hold_rate: float = 0.05
    hold_all: float = 0.975
    hold_without: float = 0.70
    review_all: float = 0.95
    pause_rate: float = 0.10
    pause_all: float = 0.95
    pause_without: float = 0.70
    rollback_rate: float = 0.08
    rollback_all: float = 0.95
    rollback_without: float = 0.75
    rollback_hours: float = 48
    clear_below: float = 0.5
    breaker_all: float = 0.90
    breaker_minimum: int = 20
    thin_below: float = 100
    """Effective mails in the longest window below which OK is not said."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule saw; stored with the verdict so that it can be said again."""

    windows: dict[str, list[Cell]]
    """hours → (campaign, mails, bounces of these mails)."""
    held_hours: float | None = None
    """How long a HOLD of this trigger has been standing."""
    fresh: float = 0
    """Mails sent since that HOLD."""
    literal_hours: float = 0
    """For how long every 24-hour reading was above the specification's threshold."""
    censored: tuple[str, ...] = ()
    """Campaigns the vendor paused itself: their mails stay in the windows, they reset nothing."""


def review(windows: Windows, rule: Rule) -> int | None:
    for hours in WINDOWS[1:]:
        if evidence.passes(
            windows[hours], rule.hold_rate, all=rule.review_all, without=0, rho=rule.rho, prior=rule.prior
        ):
            return hours
    return None


def hold(windows: Windows, rule: Rule) -> int | None:
    for hours in WINDOWS:
        if evidence.passes(
            windows[hours],
            rule.hold_rate,
            all=rule.hold_all,
            without=rule.hold_without,
            rho=rule.rho,
            prior=rule.prior,
        ):
            return hours
    return None


def pause(windows: Windows, rule: Rule) -> int | None:
    for hours in WINDOWS[:2]:
        if evidence.passes(
            windows[hours],
            rule.pause_rate,
            all=rule.pause_all,
            without=rule.pause_without,
            rho=rule.rho,
            prior=rule.prior,
        ):
            return hours
    return None


def rollback(windows: Windows, held_hours: float, rule: Rule) -> int | None:
    """Needs a HOLD that has stood long enough, on windows that begin at most as long before it."""
    if held_hours < rule.rollback_hours:
        return None
    for hours in WINDOWS[2:]:
        if hours > held_hours + rule.rollback_hours:
            return None
        if evidence.passes(
            windows[hours],
            rule.rollback_rate,
            all=rule.rollback_all,
            without=rule.rollback_without,
            rho=rule.rho,
            prior=rule.prior,
        ):
            return hours
    return None


def cleared(last48: Counts, fresh: float, rule: Rule) -> bool:
    """Positive evidence of recovery; silence clears nothing."""
    if fresh <= 0 or last48.n <= 0:
        return False
    p = evidence.above(rule.hold_rate, last48.n, last48.k, last48.squares, rule.rho, rule.prior)
    return p < rule.clear_below


def held(windows: Windows, held_hours: float | None, fresh: float, rule: Rule) -> tuple[float | None, int | None]:
    """For how long the HOLD stands after this look (None: it does not), and the window that shows it now."""
    window = hold(windows, rule)
    if window is not None:
        return held_hours or 0.0, window
    if held_hours is not None and cleared(windows[48], fresh, rule):
        return None, None
    return held_hours, None


def breaker(n: float, k: float, rule: Rule) -> bool:
    """This campaign alone: P(5 %) ≥ .90 from 20 mails on; the platform is not judged by it."""
    if n < rule.breaker_minimum or k <= rule.hold_rate * n:
        return False
    return beta.above(rule.hold_rate, n, min(k, n), prior=(rule.prior.a, rule.prior.b)) >= rule.breaker_all


def judge(inputs: Inputs, rule: Rule) -> Verdict:
    """Everything the windows say, in one verdict."""
    windows = {hours: Counts.of(inputs.windows.get(str(hours), ())) for hours in WINDOWS}
    since, shown = held(windows, inputs.held_hours, inputs.fresh, rule)
    state, window, theta = _gravest(windows, since, shown, rule)
    counts = windows[window]
    sure = evidence.sure(counts, theta, rho=rule.rho, prior=rule.prior)
    rate = counts.k / counts.n if counts.n else None
    made = Verdict(
        trigger="bounce",
        state=state,
        observed=rate,
        interval=evidence.interval(sure.n_eff, counts.k / sure.effect, rule.prior) if counts.n else None,
        n=counts.n,
        n_eff=sure.n_eff,
        design_effect=sure.effect,
        threshold=theta,
        posterior=sure.p if counts.n else None,
        without_worst=sure.without,
        worst=sure.worst,
        window=f"{window} h",
        since=since,
        pause=_open(windows[WINDOWS[-1]], rule),
        literal=_literal(inputs, rule),
    )
    return msgspec.structs.replace(made, sentence=_sentence(made, counts.k, inputs.censored))


def _gravest(windows: Windows, since: float | None, shown: int | None, rule: Rule) -> tuple[State, int, float]:
    if since is not None and (window := rollback(windows, since, rule)):
        return "ROLLBACK", window, rule.rollback_rate
    if window := pause(windows, rule):
        return "PAUSE", window, rule.pause_rate
    if since is not None:
        return "HOLD", shown or 48, rule.hold_rate
    if window := review(windows, rule):
        return "REVIEW", window, rule.hold_rate
    longest = windows[WINDOWS[-1]]
    enough = longest.n / evidence.effect(longest.n, longest.squares, rule.rho) >= rule.thin_below
    return ("OK" if enough else "THIN"), WINDOWS[-1], rule.hold_rate


def _open(counts: Counts, rule: Rule) -> tuple[str, ...]:
    return tuple(sorted(c for c, (n, k) in counts.cells.items() if breaker(n, k, rule)))


def _literal(inputs: Inputs, rule: Rule) -> Literally:
    fires = inputs.literal_hours > rule.rollback_hours
    return Literally(
        fires=fires,
        sentence=f"read literally (24-hour rate above {percent(rule.rollback_rate, 0)} for more than "
        f"{rule.rollback_hours:.0f} h): {inputs.literal_hours:.0f} h so far, {'it fires' if fires else 'it is silent'}",
    )


def _sentence(verdict: Verdict, k: float, censored: Sequence[str]) -> str:
    if verdict.observed is None:
        return "Nothing was sent on the new platform in these seven days: nothing is known of its bounces."
    low, high = verdict.interval or (0.0, 1.0)
    told = (
        f"{k:.0f} of {verdict.n:.0f} mails of the last {verdict.window} bounced: {percent(verdict.observed)} "
        f"[{percent(low)} to {percent(high)}], worth {verdict.n_eff:.0f} independent mails; "
        f"P(rate > {percent(verdict.threshold, 0)}) = {verdict.posterior:.3f}"
    )
    if verdict.without_worst is not None:
        told += f", {verdict.without_worst:.2f} without campaign {verdict.worst}"
    else:
        told += "; there is no other campaign, so platform and list cannot be told apart"
    if verdict.since is not None:
        told += f". A HOLD has been standing for {verdict.since:.0f} h"
    if censored:
        told += f". Paused by the vendor and counted as far as they came: {', '.join(censored)}"
    return told + "."
