"""What a scope's complaints ask for (spec 6, S12b). The lead itself is stopped and suppressed in every case."""

from __future__ import annotations

from typing import Literal

import msgspec

from mailfleet.policy.model import Complaints


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """`action`: nothing, an urgent alert with the content to review, or a pause of all the scope's campaigns."""

    sent: int
    complaints: int
    rate: float | None
    action: Literal["none", "urgent_alert", "pause_all_campaigns"]
    reason: str


def read(rule: Complaints, sent: int, complaints: int) -> Reading:
    """`sent` and `complaints` of one scope over `rule.window_days`."""
    rate = complaints / sent if sent > 0 else None
    enough = sent >= rule.minimum_sent and complaints >= rule.minimum_complaints
    if complaints == 0:
        return Reading(sent=sent, complaints=0, rate=rate, action="none", reason="no complaint")
    if enough and rate is not None and rate > rule.pause_rate:
        reason = f"{complaints} complaints on {sent} mails are above {rule.pause_rate:.1%}"
        return Reading(sent=sent, complaints=complaints, rate=rate, action="pause_all_campaigns", reason=reason)
    reason = f"{complaints} complaint{'s' if complaints > 1 else ''} on {sent} mails: review the content"
    return Reading(sent=sent, complaints=complaints, rate=rate, action="urgent_alert", reason=reason)
