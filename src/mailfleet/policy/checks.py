"""Contradictions a type cannot see: overlapping bands, ramps that lead nowhere, limits that cross."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mailfleet.policy.model import ErrorResponse, Metric, Policy, RollbackTrigger, WarmupRange

Problem = tuple[str, str]
"""(dotted key, what is wrong with it)."""

BODY_CODES = frozenset(
    {"MAILBOX_DISABLED", "CAMPAIGN_LIMIT_REACHED", "LEAD_ALREADY_EXISTS", "INVALID_EMAIL", "WARMUP_FAILED"}
)
SHARES: frozenset[Metric] = frozenset(
    {"deliverability_drop", "bounce_rate", "api_availability", "sends_affected", "reply_rate_drop"}
)


def problems(policy: Policy) -> Iterator[Problem]:
    """Every contradiction, gravest first within a section."""
    yield from _bands(policy)
    yield from _limits(policy)
    yield from _ranges(policy)
    yield from _ramp(policy)
    yield from _lifecycle(policy)
    yield from _watching(policy)
    yield from _errors(policy.errors)
    yield from _triggers(policy)
    yield from _split(policy)


def _bands(policy: Policy) -> Iterator[Problem]:
    rule = policy.bounce_thresholds
    edges = (
        ("normal", rule.normal),
        ("warning", rule.warning),
        ("critical", rule.critical),
        ("emergency", rule.emergency),
    )
    for (lower, start), (upper, end) in pairwise(edges):
        if end <= start:
            yield f"bounce_thresholds.{upper}", f"has to be above {lower} ({start}): bands may not overlap"
    evidence = policy.bounce_evidence
    if evidence.prior_bounces <= 0 or evidence.prior_rest <= 0:
        yield "bounce_evidence.prior_bounces", "and prior_rest have to be above 0"


def _limits(policy: Policy) -> Iterator[Problem]:
    rule = policy.send_limits.production
    if rule.soft_limit > rule.hard_limit:
        yield "send_limits.production.soft_limit", f"is above hard_limit ({rule.hard_limit})"
    if rule.warmup_reserve > rule.hard_limit:
        yield "send_limits.production.warmup_reserve", f"is above hard_limit ({rule.hard_limit})"
    if rule.campaign_per_mailbox + rule.warmup_reserve > rule.hard_limit:
        yield (
            "send_limits.production.campaign_per_mailbox",
            f"and warmup_reserve ({rule.warmup_reserve}) are together above hard_limit ({rule.hard_limit})",
        )
    if policy.send_limits.emergency.pause_threshold < rule.hard_limit:
        yield "send_limits.emergency.pause_threshold", f"is below hard_limit ({rule.hard_limit})"


def _ranges(policy: Policy) -> Iterator[Problem]:
    names = ("day_1_7", "day_8_14", "day_15_30", "day_30+")
    rows = list(zip(names, policy.send_limits.warmup.ranges(), strict=True))
    if rows[0][1].from_day != 1:
        yield "send_limits.warmup.day_1_7.from_day", "has to be 1: warm-up begins on day 1"
    for name, row in rows:
        yield from _range(f"send_limits.warmup.{name}", row, last=name == names[-1])
    for (_, before), (name, after) in pairwise(rows):
        key = f"send_limits.warmup.{name}"
        if after.from_day != before.until_day:
            kind = "overlaps" if after.from_day < before.until_day else "leaves a gap after"
            yield f"{key}.from_day", f"{kind} the range before it, which ends before day {before.until_day}"
        if after.min < before.min:
            yield f"{key}.min", f"is below the range before it ({before.min})"


def _range(key: str, row: WarmupRange, *, last: bool) -> Iterator[Problem]:
    if row.min > row.max:
        yield f"{key}.min", f"is above max ({row.max})"
    if row.until_day == 0 and not last:
        yield f"{key}.until_day", "is open, but another range follows"
    if row.until_day and row.until_day <= row.from_day:
        yield f"{key}.until_day", f"has to be after from_day ({row.from_day})"
    if row.until_day and last:
        yield f"{key}.until_day", "has to be 0 (open): later days would have no figure"


def _ramp(policy: Policy) -> Iterator[Problem]:
    rule, limits = policy.graduation, policy.send_limits
    total = 0
    for day in range(1, rule.minimum_warmup_days + 1):
        row = next(r for r in reversed(limits.warmup.ranges()) if day >= r.from_day or r.from_day == 1)
        total += min(row.max, row.min + row.rampup_per_day * (day - row.from_day), limits.production.hard_limit)
    if total < rule.minimum_emails_sent:
        yield (
            "graduation.minimum_emails_sent",
            f"cannot be reached: the warm-up ramp sends {total} mails by day {rule.minimum_warmup_days} (S3)",
        )


def _lifecycle(policy: Policy) -> Iterator[Problem]:
    rule = policy.lifecycle
    if rule.low_heat >= policy.graduation.minimum_heat_score:
        yield (
            "lifecycle.low_heat",
            f"has to be below graduation.minimum_heat_score ({policy.graduation.minimum_heat_score})",
        )
    if rule.degraded_readings < 1:
        yield "lifecycle.degraded_readings", "has to be at least 1"
    if rule.recovery_days < 1 or rule.recovery_days > rule.retire_days:
        yield "lifecycle.recovery_days", f"has to be from 1 to retire_days ({rule.retire_days})"
    if rule.review_day < rule.notice_day:
        yield "lifecycle.review_day", f"is before notice_day ({rule.notice_day})"


SHORTEST_WATCH = 5
"""Minutes between two rounds of the monitor, as deployed (`flows.deployments`)."""


def _watching(policy: Policy) -> Iterator[Problem]:
    rule = policy.bounce_actions
    if rule.watch_minutes < SHORTEST_WATCH:
        yield "bounce_actions.watch_minutes", f"is below {SHORTEST_WATCH}, the interval of the monitor's rounds"
    if rule.watch_minutes > rule.usual_minutes:
        yield (
            "bounce_actions.watch_minutes",
            f"is longer than usual_minutes ({rule.usual_minutes}): it has to watch closer",
        )
    if policy.reserve.share > 0 and (policy.reserve.days_on < 1 or policy.reserve.days_off < 1):
        yield "reserve.days_on", "and days_off have to be at least 1"


def _errors(rows: dict[str, ErrorResponse]) -> Iterator[Problem]:
    for key, row in rows.items():
        if not (key in BODY_CODES or (key.isdigit() and 400 <= int(key) <= 599)):
            yield f"errors.{key}", "is neither an HTTP status nor one of our outcomes"
        if row.retry and row.action in ("log_and_skip", "skip_silently", "alert_critical", "log_and_suppress"):
            yield f"errors.{key}.retry", f"contradicts its action {row.action}"


def _triggers(policy: Policy) -> Iterator[Problem]:
    for kind, rows in (
        ("automatic", policy.rollback_triggers.automatic),
        ("manual_review", policy.rollback_triggers.manual_review),
    ):
        for row in rows:
            yield from _trigger(f"rollback_triggers.{kind}", row)


def _trigger(key: str, row: RollbackTrigger) -> Iterator[Problem]:
    if row.metric in SHARES and not 0 <= row.threshold <= 1:
        yield key, f"has {row.metric} at {row.threshold}; it is a fraction"
    if row.upper is not None and row.upper <= row.threshold:
        yield key, f"has {row.metric} from {row.threshold} to {row.upper}, an empty range"


def _split(policy: Policy) -> Iterator[Problem]:
    split, before = policy.parallel.traffic_split, 0.0
    weeks = (
        ("week_3_4", split.week_3_4),
        ("week_5_6", split.week_5_6),
        ("week_7_8", split.week_7_8),
        ("week_9+", split.week_9_on),
    )
    for name, row in weeks:
        key = f"parallel.traffic_split.{name}"
        if abs(row.smartlead + row.forge - 1) > 1e-9:
            yield key, f"does not add up to 1 ({row.smartlead} + {row.forge})"
        if row.smartlead < before:
            yield key, f"goes back from {before}: nothing moves back but by a rollback"
        before = row.smartlead
