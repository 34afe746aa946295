"""Which band a bounce rate falls in, what the band asks for, and whether the evidence carries it (S1)."""

from __future__ import annotations

import msgspec

from mailfleet.policy.model import Band, BounceAction, BounceThresholds, Policy
from mailfleet.rules import beta

BANDS: tuple[Band, ...] = ("normal", "elevated", "warning", "critical", "emergency")
STOPPING: frozenset[BounceAction] = frozenset(
    {"pause_new_lead_additions", "pause_all_campaigns", "send_sms_alert_to_dave"}
)
"""Actions that need evidence beyond the estimate: they stop sending, or wake somebody because it was stopped."""
FACTORS: dict[BounceAction, float] = {
    "reduce_daily_limit_by_25_percent": 0.75,
    "reduce_daily_limit_by_50_percent": 0.5,
    "pause_all_campaigns": 0.0,
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Bounces of one scope. `band` is the estimate's; `actions` are what may be done on this evidence."""

    sent: int
    bounced: int
    rate: float | None
    """None: nothing was sent, so nothing is known."""
    band: Band
    proven: Band
    """The highest band that the evidence carries."""
    confidence: float
    """P(rate > lower edge of `band`)."""
    actions: tuple[BounceAction, ...]
    withheld: tuple[BounceAction, ...]
    """Actions of the band for which the evidence is not enough yet."""
    factor: float
    """What the daily limit is multiplied by."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The per-campaign breaker: open pauses that campaign alone."""

    open: bool
    sent: int
    bounced: int
    probability: float
    reason: str


def band_of(thresholds: BounceThresholds, rate: float) -> Band:
    """Half-open bands: the lower edge belongs to the band that begins there."""
    edges = (thresholds.normal, thresholds.warning, thresholds.critical, thresholds.emergency)
    return BANDS[sum(rate >= edge for edge in edges)]


def lower_edge(thresholds: BounceThresholds, band: Band) -> float:
    """Where a band begins."""
    edges = (0.0, thresholds.normal, thresholds.warning, thresholds.critical, thresholds.emergency)
    return edges[BANDS.index(band)]


def read(policy: Policy, sent: int, bounced: int) -> Reading:
    """The band of `bounced` out of `sent` and the actions it justifies.

    Bounces are hard ones plus soft ones after their last try, of these sends. Below `bounce_evidence.band_minimum`
    sends a scope is only watched. Where the estimate's own band is not proven, what the lower bands do without
    stopping anything is done, and the highest proven band is carried out in full.
    """
    rate = min(1.0, bounced / sent) if sent > 0 else None
    band = band_of(policy.bounce_thresholds, rate or 0.0)
    proven = _proven(policy, sent, bounced, band)
    enough = sent >= policy.bounce_evidence.band_minimum
    actions = _actions(policy, band, proven) if enough else _watching(band)
    wanted = actions_of(policy, band)
    return Reading(
        sent=sent,
        bounced=bounced,
        rate=rate,
        band=band,
        proven=proven,
        confidence=sure(policy, sent, bounced, lower_edge(policy.bounce_thresholds, band)) if sent > 0 else 0.0,
        actions=actions,
        withheld=tuple(action for action in wanted if action not in actions),
        factor=factor_of(actions),
    )


def factor_of(actions: tuple[BounceAction, ...]) -> float:
    """What they multiply the daily limit by."""
    return min((FACTORS[action] for action in actions if action in FACTORS), default=1.0)


def actions_for(policy: Policy, band: Band, proven: Band, reading: Reading) -> tuple[BounceAction, ...]:
    """What standing in `band` asks for; a scope that stands in none and has too few mails is watched at most."""
    return _actions(policy, band, proven) if band != "normal" else _watching(reading.band)


def _watching(band: Band) -> tuple[BounceAction, ...]:
    return ("increase_monitoring_frequency",) if band != "normal" else ()


def _actions(policy: Policy, band: Band, proven: Band) -> tuple[BounceAction, ...]:
    taken: list[BounceAction] = list(actions_of(policy, proven))
    for between in BANDS[BANDS.index(proven) + 1 : BANDS.index(band) + 1]:
        taken.extend(action for action in actions_of(policy, between) if action not in STOPPING)
    strongest = min((FACTORS[action] for action in taken if action in FACTORS), default=1.0)
    return tuple(dict.fromkeys(action for action in taken if FACTORS.get(action, strongest) <= strongest))


def breaker(policy: Policy, sent: int, bounced: int) -> Breaker:
    """P(5 %; this campaign) ≥ 0.90 with at least 20 sends: fires at 6 of 20, 8 of 50, 11 of 100, 17 of 200."""
    rule = policy.bounce_evidence
    probability = sure(policy, sent, bounced, rule.breaker_rate)
    is_open = sent >= rule.breaker_minimum and probability >= rule.breaker_confidence
    return Breaker(
        open=is_open,
        sent=sent,
        bounced=bounced,
        probability=probability,
        reason=f"{bounced} of {sent} bounced: P(rate > {rule.breaker_rate:.0%}) = {probability:.2f}",
    )


def actions_of(policy: Policy, band: Band) -> tuple[BounceAction, ...]:
    """The policy's actions of one band; normal has none."""
    table = policy.bounce_actions
    return {
        "normal": (),
        "elevated": table.elevated,
        "warning": table.warning,
        "critical": table.critical,
        "emergency": table.emergency,
    }[band]


def _proven(policy: Policy, sent: int, bounced: int, band: Band) -> Band:
    if sent < policy.bounce_evidence.band_minimum:
        return "normal"
    for candidate in reversed(BANDS[1 : BANDS.index(band) + 1]):
        edge = lower_edge(policy.bounce_thresholds, candidate)
        if sure(policy, sent, bounced, edge) >= policy.bounce_evidence.band_confidence:
            return candidate
    return "normal"


def sure(policy: Policy, sent: int, bounced: int, theta: float) -> float:
    """P(rate > `theta`) of these mails, with the policy's prior."""
    prior = (policy.bounce_evidence.prior_bounces, policy.bounce_evidence.prior_rest)
    return beta.above(theta, sent, min(bounced, sent), prior=prior)
