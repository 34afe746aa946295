"""When a nuisance becomes an alert, and when polling takes over from webhooks (spec 5 and 6, V10)."""

from __future__ import annotations

from datetime import datetime, timedelta

from mailfleet.policy.model import Escalation, Reply


def failures_alert(rule: Escalation, failures_last_hour: int) -> bool:
    """The API failed more often in an hour than is put up with."""
    return failures_last_hour > rule.api_failures_per_hour


def webhooks_silent(rule: Escalation, last_webhook_at: datetime | None, since: datetime, now: datetime) -> bool:
    """Mails have been leaving since `since`, and no webhook has come for too long: a critical alert."""
    return now - max(last_webhook_at or since, since) > timedelta(hours=rule.webhook_silence_hours)


def poll_every(reply: Reply, *, silent: bool, calm: timedelta) -> timedelta:
    """How often the second source is read: at the specification's interval when webhooks are silent or not used."""
    quick = timedelta(minutes=reply.polling_interval_minutes)
    return min(quick, calm) if silent or reply.detection_method == "polling" else calm
