"""The error matrix' last column for vendors: failures, refusals and limits are told once an hour (spec 6)."""

from __future__ import annotations

from mailfleet.services import alerts
from mailfleet.services.context import Fleet
from mailfleet.store import vendor_health
from mailfleet.store.database import Connection
from mailfleet.store.vendor_health import Hour


async def check(fleet: Fleet) -> dict[str, str]:
    """Vendor → what is wrong, for those with something wrong; each is told once per vendor and hour."""
    found: dict[str, str] = {}
    async with fleet.db.transaction() as db:
        for hour in await vendor_health.last_hour(db):
            if problem := _problem(fleet, hour):
                severity, what = problem
                found[hour.vendor] = what
                await _tell(fleet, db, hour, severity, what)
    return found


def _problem(fleet: Fleet, hour: Hour) -> tuple[alerts.Severity, str] | None:
    most = fleet.policy.escalation.api_failures_per_hour
    if hour.denied:
        return "critical", f"{hour.denied} calls were refused: the key is wrong or may not do this"
    if hour.failed > most:
        return "warning", f"{hour.failed} of {hour.calls} calls failed within an hour"
    if hour.limited > most:
        return "warning", f"{hour.limited} calls met the rate limit within an hour: review the quota"
    return None


async def _tell(fleet: Fleet, db: Connection, hour: Hour, severity: alerts.Severity, what: str) -> None:
    await alerts.raise_alert(
        fleet,
        db,
        fact_key=f"vendor:{hour.vendor}:{severity}:{hour.until:%Y-%m-%dT%H}",
        kind="vendor_health",
        severity=severity,
        title=f"{hour.vendor}: {what}",
        body=f"{hour.calls} calls in the hour to {hour.until:%Y-%m-%d %H:%M} UTC.",
        context={"vendor": hour.vendor, "failed": hour.failed, "limited": hour.limited, "denied": hour.denied},
    )
