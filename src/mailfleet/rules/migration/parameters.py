"""Every figure of a migration in one versioned record. A change gets a new version; old verdicts keep theirs (I9)."""

from __future__ import annotations

import hashlib

import msgspec

from mailfleet.policy.model import Policy
from mailfleet.rules.migration import availability, bounce, bug, gates, phases, placement, plain, readiness, reply

VERSION = "1"
"""Of the rules' code: raised when a rule's meaning changes."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Times of the rollback (spec 7): seconds and minutes of vendor time, hours of ours."""

    pause_seconds: float = 300
    assess_minutes: tuple[float, float] = (15, 30)
    rollback_hours: tuple[float, float] = (1, 2)
    watch_hours: float = 24
    post_mortem_hours: float = 48
    cool_down_days: float = 7
    approval_hours: float = 72
    automatic: bool = True
    """False: an automatic trigger also waits for a person after ASSESS (M6)."""
    still_polls: int = 2
    """Looks at which the sent counters have to stand still."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """`steps` is the plan; the rest the rules of `rules.migration`."""

    steps: tuple[phases.Step, ...]
    bounce: bounce.Rule = bounce.Rule()
    placement: placement.Rule = placement.Rule()
    reply: reply.Rule = reply.Rule()
    api: availability.Rule = availability.Rule()
    bug: bug.Rule = bug.Rule()
    warmup: plain.WarmupRule = plain.WarmupRule()
    cost: plain.CostRule = plain.CostRule()
    gates: gates.Rule = gates.Rule()
    readiness: readiness.Rule = readiness.Rule()
    pace: Pace = Pace()
    freezes: tuple[phases.Window, ...] = ()
    record_only: tuple[str, ...] = ()
    """Triggers that are judged and shown but never acted on."""

    @property
    def version(self) -> str:
        evened = msgspec.convert(msgspec.to_builtins(self), Parameters)
        digest = hashlib.sha256(msgspec.json.encode(evened, order="sorted")).hexdigest()[:12]
        return f"{VERSION}-{digest}"


def of(policy: Policy) -> Parameters:
    """From the policy: what the specification fixes is read from there, the rest is the measured default."""
    drop, bounced, available, affected = (trigger.threshold for trigger in policy.rollback_triggers.automatic[:4])
    hours = policy.rollback_triggers.automatic[1].for_hours
    metrics = policy.success_metrics
    return Parameters(
        steps=phases.plan(policy.parallel.traffic_split),
        bounce=bounce.Rule(
            rollback_rate=bounced,
            rollback_hours=hours,
            hold_rate=policy.bounce_thresholds.warning,
            pause_rate=policy.bounce_thresholds.emergency,
            breaker_all=policy.bounce_evidence.breaker_confidence,
            breaker_minimum=policy.bounce_evidence.breaker_minimum,
        ),
        placement=placement.Rule(
            rollback_ratio=round(1 - drop, 9),
            baseline=metrics.inbox_placement.baseline,
            floor=metrics.inbox_placement.trigger or 0.80,
        ),
        reply=reply.Rule(baseline=metrics.reply_rate.baseline, literal_rate=metrics.reply_rate.trigger or 0.02),
        api=availability.Rule(
            limit=round(1 - available, 9), fire_minutes=round(60 * policy.rollback_triggers.automatic[2].for_hours)
        ),
        bug=bug.Rule(share=affected),
        warmup=plain.WarmupRule(target_days=metrics.warmup_time.target, limit_days=metrics.warmup_time.trigger or 30),
    )
