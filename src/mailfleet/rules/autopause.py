"""Should a mailbox be paused, why, and what then (spec 5, S8). Campaign mail stops; warm-up goes on.

A rate above its limit is not enough: what stops sending needs evidence, shown with its n (S1).
"""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec

from mailfleet.policy.model import AutoPause
from mailfleet.rules import beta

Reason = Literal["bounce_rate_exceeded", "spam_rate_exceeded", "heat_score_low", "api_disabled", "reputation_critical"]
Recovery = Literal[
    "none", "reconnect_mailbox", "stop_and_review_content", "clean_list_and_check_dns", "continue_warmup_only",
]  # fmt: skip

RECOVERY: dict[Reason, Recovery] = {
    "api_disabled": "reconnect_mailbox",
    "spam_rate_exceeded": "stop_and_review_content",
    "bounce_rate_exceeded": "clean_list_and_check_dns",
    "reputation_critical": "continue_warmup_only",
    "heat_score_low": "continue_warmup_only",
}
"""Reason → recommended action; the first reason in this order decides when there are several."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a mailbox, over the policy's windows. None: unknown, which pauses nothing (I10)."""

    sent_24h: int = 0
    bounced_24h: int = 0
    sent_7d: int = 0
    complaints_7d: int = 0
    heat: float | None = None
    api_disabled: bool = False
    reputation: float | None = None


class Verdict(TypedDict):
    """The specification's dict, plus the evidence."""

    should_pause: bool
    reasons: list[Reason]
    recommended_action: Recovery
    evidence: dict[str, dict[str, float | int | bool | None]]


def conditions(health: Health, rule: AutoPause) -> Verdict:
    """Every trigger judged on its own minimum sample; `reasons` in the specification's order."""
    bounce = _rate(health.bounced_24h, health.sent_24h, rule.bounce_minimum)
    spam = _rate(health.complaints_7d, health.sent_7d, rule.spam_minimum)
    sure = beta.above(rule.bounce_proven, health.sent_24h, min(health.bounced_24h, health.sent_24h))
    holds: dict[Reason, bool] = {
        "bounce_rate_exceeded": bounce is not None and bounce > rule.bounce_rate and sure >= rule.bounce_confidence,
        "spam_rate_exceeded": spam is not None
        and spam > rule.spam_rate
        and health.complaints_7d >= rule.spam_complaints,
        "heat_score_low": health.heat is not None and health.heat < rule.heat_score,
        "api_disabled": health.api_disabled,
        "reputation_critical": health.reputation is not None and health.reputation < rule.reputation,
    }
    reasons = list[Reason](reason for reason, held in holds.items() if held)
    return Verdict(
        should_pause=bool(reasons),
        reasons=reasons,
        recommended_action=recovery(reasons),
        evidence={
            "bounce_rate_exceeded": {
                **_shown(bounce, health.sent_24h, rule.bounce_rate, rule.bounce_minimum),
                "confidence": round(sure, 3),
                "needed": rule.bounce_confidence,
            },
            "spam_rate_exceeded": _shown(spam, health.sent_7d, rule.spam_rate, rule.spam_minimum),
            "heat_score_low": {"value": health.heat, "limit": rule.heat_score},
            "api_disabled": {"value": health.api_disabled},
            "reputation_critical": {"value": health.reputation, "limit": rule.reputation},
        },
    )


RELEASE: dict[Reason, Literal["connection", "reading", "person"]] = {
    "api_disabled": "connection",
    "heat_score_low": "reading",
    "reputation_critical": "reading",
    "bounce_rate_exceeded": "person",
    "spam_rate_exceeded": "person",
}
"""What ends a pause: the platform is connected again, a fresh reading above the limit, or a person's word."""


def may_release(held_for: str, health: Health) -> bool:
    """Whether the machine may let go of its own pause, when no trigger holds any more. Silence is no good news."""
    told = held_for.split(", ")
    reasons = list[Reason](reason for reason in RELEASE if reason in told)
    if len(reasons) != len(told):
        return False
    known = {
        "connection": not health.api_disabled,
        "reading": health.heat is not None or health.reputation is not None,
        "person": False,
    }
    return all(known[RELEASE[reason]] for reason in reasons)


def recovery(reasons: list[Reason]) -> Recovery:
    """The closed table: the gravest reason decides."""
    for reason, then in RECOVERY.items():
        if reason in reasons:
            return then
    return "none"


def _rate(events: int, sent: int, minimum: int) -> float | None:
    return events / sent if sent > 0 and sent >= minimum else None


def _shown(rate: float | None, n: int, limit: float, minimum: int) -> dict[str, float | int | bool | None]:
    return {"value": rate, "n": n, "limit": limit, "minimum": minimum}
