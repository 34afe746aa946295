"""Up at once, down one step at a time: which band a scope stands in, and what that asks for (S1).

A band is entered as soon as the estimate shows it. It is left downwards only by fresh mail that bounces less, one band
a day at most: silence is no good news, and a rate that hovers at an edge changes nothing (migration-control 2.2).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mailfleet.policy.model import Band, BounceAction, Policy
from mailfleet.rules import bounce_bands
from mailfleet.rules.bounce_bands import BANDS


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Mails of a window and those of them that bounced."""

    sent: int = 0
    bounced: int = 0


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """Where a scope stands: `band` by the estimate, `proven` by the evidence; what stops sending needs the second."""

    band: Band
    proven: Band
    since: datetime


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one look came to. `actions` hold as long as the level does; doing them again changes nothing."""

    level: Level
    moved: int
    """Bands up (above 0) or down (below 0)."""
    reading: bounce_bands.Reading
    actions: tuple[BounceAction, ...]
    factor: float
    minutes: int
    reason: str

    @property
    def stops(self) -> bool:
        return "pause_all_campaigns" in self.actions

    @property
    def no_new_leads(self) -> bool:
        """Where sending stops, nothing is added either."""
        return self.stops or "pause_new_lead_additions" in self.actions


def look(
    policy: Policy,
    level: Level | None,
    window: Sample,
    fresh: Sample,
    now: datetime,
    *,
    released_at: datetime | None = None,
) -> Step:
    """`window` is the policy's window, begun anew at a person's release; `fresh` are the mails since the level was
    entered, of the last `calm_window_hours` at most. `released_at`: when a person let go of what the ladder stopped."""
    standing = level or Level(band="normal", proven="normal", since=now)
    if released_at and released_at >= standing.since and standing.band == "emergency":
        standing = Level(band="critical", proven=_lower("critical", standing.proven), since=released_at)
    reading = bounce_bands.read(policy, window.sent, window.bounced)
    reached = _reached(policy, standing, reading, fresh, now)
    moved = _rank(reached.band) - _rank(level.band if level else "normal")
    actions = bounce_bands.actions_for(policy, reached.band, reached.proven, reading)
    watched = reached.band != "normal" or "increase_monitoring_frequency" in actions
    return Step(
        level=reached,
        moved=moved,
        reading=reading,
        actions=actions,
        factor=bounce_bands.factor_of(actions),
        minutes=policy.bounce_actions.watch_minutes if watched else policy.bounce_actions.usual_minutes,
        reason=_reason(policy, reached, reading),
    )


def _reached(policy: Policy, standing: Level, reading: bounce_bands.Reading, fresh: Sample, now: datetime) -> Level:
    band = _carried(policy, reading)
    higher = _rank(band) > _rank(standing.band) or _rank(reading.proven) > _rank(standing.proven)
    if higher:
        return Level(band=_higher(band, standing.band), proven=_higher(reading.proven, standing.proven), since=now)
    if standing.band == "normal" or not _calm(policy, standing, fresh, now):
        return standing
    down = BANDS[_rank(standing.band) - 1]
    return Level(band=down, proven=_lower(down, standing.proven), since=now)


def _carried(policy: Policy, reading: bounce_bands.Reading) -> Band:
    """The estimate's band, where so many mails carry it: of few, the highest that is more likely than not."""
    rule, edges = policy.bounce_evidence, policy.bounce_thresholds
    if reading.sent < rule.band_minimum:
        return "normal"
    if reading.sent >= rule.slow_minimum:
        return reading.band
    for band in reversed(BANDS[2 : _rank(reading.band) + 1]):
        edge = bounce_bands.lower_edge(edges, band)
        if bounce_bands.sure(policy, reading.sent, reading.bounced, edge) >= rule.calm_confidence:
            return band
    return _lower(reading.band, "elevated")


def _calm(policy: Policy, standing: Level, fresh: Sample, now: datetime) -> bool:
    rule = policy.bounce_evidence
    if now - standing.since < timedelta(hours=rule.step_hours) or fresh.sent < rule.band_minimum:
        return False
    edge = bounce_bands.lower_edge(policy.bounce_thresholds, standing.band)
    return bounce_bands.sure(policy, fresh.sent, fresh.bounced, edge) < rule.calm_confidence


def _reason(policy: Policy, level: Level, reading: bounce_bands.Reading) -> str:
    days = policy.bounce_evidence.window_days
    rate = f" ({reading.rate:.1%})" if reading.rate is not None else ""
    told = f"{reading.bounced} of {reading.sent} mails of {days} days bounced{rate}: {reading.band}"
    if level.band != reading.band and reading.sent:
        told += f"; stays {level.band} until fresh mail bounces less"
    return told


def _rank(band: Band) -> int:
    return BANDS.index(band)


def _higher(one: Band, other: Band) -> Band:
    return one if _rank(one) >= _rank(other) else other


def _lower(one: Band, other: Band) -> Band:
    return one if _rank(one) <= _rank(other) else other
