"""The error matrix' last column for vendors: failures, refusals and limits are told once an hour (spec 6), answers in
an unknown shape once a day, and webhooks that stopped coming once per silence (V10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from mailfleet.platforms.ports import StatusSaid
from mailfleet.rules import errors_matrix, escalation
from mailfleet.services import alerts
from mailfleet.services.context import Fleet
from mailfleet.store import inbox, vendor_health, vendor_notes
from mailfleet.store.database import Connection
from mailfleet.store.vendor_health import Hour

_FAR = timedelta(days=1)


async def check(fleet: Fleet) -> dict[str, str]:
    """Vendor → what is wrong, for those with something wrong; each is told once per vendor and hour."""
    found: dict[str, str] = {}
    async with fleet.db.connection() as db:
        hours = await vendor_health.last_hour(db)
    said = {hour.vendor: await look_up(fleet, hour.vendor) for hour in hours if hour.timeouts}
    async with fleet.db.transaction() as db:
        for hour in hours:
            if problem := _problem(fleet, hour):
                severity, what = problem
                found[hour.vendor] = what
                await _tell(fleet, db, hour, severity, what, said.get(hour.vendor))
        for vendor, what in (await _drifted(fleet, db)).items():
            found.setdefault(vendor, what)
        for platform, silence in (await silences(fleet, db)).items():
            if silence.too_long:
                found[f"{platform} webhooks"] = await _tell_silence(fleet, db, platform, silence)
            else:
                await alerts.resolve_of(fleet, db, f"webhooks-silent:{platform}:")
    return found


class Refusals:
    """A refused key is told while it is refused, not at the monitor's next round, and once for both."""

    fleet: Fleet | None = None

    async def told(self, vendor: str, operation: str, status: str) -> bool:
        """Writes the alert when the policy says so of this status; False when it says otherwise or it is known."""
        fleet = self.fleet
        if fleet is None or errors_matrix.respond(fleet.policy.errors, status=int(status)).action != "alert_critical":
            return False
        at = fleet.clock.now()
        return await alerts.tell(
            fleet,
            fact_key=_fact(vendor, "critical", at),
            kind="vendor_health",
            severity="critical",
            title=f"{vendor}: {operation} was refused: the key is wrong or may not do this",
            body=f"It was answered with {status} at {at:%Y-%m-%d %H:%M} UTC. `mailfleet doctor` asks again.",
        )


async def look_up(fleet: Fleet, vendor: str) -> StatusSaid | None:
    """What the vendor's status page says, kept as evidence; None when none is set."""
    page = fleet.status_pages.get(vendor)
    if page is None:
        return None
    said = await page.read()
    async with fleet.db.connection() as db:
        note = vendor_notes.seen(vendor, "status_page", msgspec.to_builtins(said), fleet.clock.now())
        await vendor_notes.put(db, note)
    return said


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """`since`: the first mail to leave after the last webhook, None when none did; `last` None: none ever came."""

    since: datetime | None
    last: datetime | None
    too_long: bool


async def silences(fleet: Fleet, db: Connection) -> Mapping[str, Silence]:
    """By platform, for those that are to send us webhooks."""
    if not fleet.webhook_base or fleet.policy.reply.detection_method == "polling":
        return {}
    now = fleet.clock.now()
    found: dict[str, Silence] = {}
    for name in dict.fromkeys(name for _, name, platform in fleet.accounts() if platform.capabilities.webhooks):
        last = await inbox.last_received(db, name)
        since = await vendor_health.first_sent(db, name, max(last or now - _FAR, now - _FAR))
        silent = since is not None and escalation.webhooks_silent(fleet.policy.escalation, last, since, now)
        found[name] = Silence(since=since, last=last, too_long=silent)
    return found


def _problem(fleet: Fleet, hour: Hour) -> tuple[alerts.Severity, str] | None:
    rule, by = fleet.policy.escalation, errors_matrix.by_action(fleet.policy.errors, hour.outcomes)
    if denied := by.get("alert_critical", 0):
        return "critical", f"{denied} calls were refused: the key is wrong or may not do this"
    if escalation.failures_alert(rule, failed := by.get("retry_with_backoff", 0)):
        return "warning", f"{failed} of {hour.calls} calls failed within an hour"
    if escalation.failures_alert(rule, limited := by.get("wait_and_retry", 0)):
        return "warning", f"{limited} calls met the rate limit within an hour: review the quota"
    return None


async def _drifted(fleet: Fleet, db: Connection) -> dict[str, str]:
    """Vendor → what no longer fits; told once a day and field."""
    now = fleet.clock.now()
    found: dict[str, str] = {}
    for note in await vendor_notes.listed(db, since=now - _FAR, what="drift"):
        found[note.vendor] = f"an answer does not fit our model any more: {note.subject}"
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"drift:{note.vendor}:{note.subject}:{note.last_at:%Y-%m-%d}",
            kind="drift",
            severity="urgent",
            title=f"{note.vendor}: {found[note.vendor]}",
            body=f"{note.detail.get('told')} Everything else goes on; `mailfleet vendor status` keeps the answer.",
            context={"vendor": note.vendor, "field": note.subject, "times": note.times},
        )
    return found


async def _tell(
    fleet: Fleet, db: Connection, hour: Hour, severity: alerts.Severity, what: str, said: StatusSaid | None
) -> None:
    status = f" Its status page says: {said.indicator} {said.description}".rstrip() + "." if said else ""
    await alerts.raise_alert(
        fleet,
        db,
        fact_key=_fact(hour.vendor, severity, hour.until),
        kind="vendor_health",
        severity=severity,
        title=f"{hour.vendor}: {what}",
        body=f"{hour.calls} calls in the hour to {hour.until:%Y-%m-%d %H:%M} UTC.{status}",
        context={"vendor": hour.vendor, **hour.outcomes},
    )


async def _tell_silence(fleet: Fleet, db: Connection, platform: str, silence: Silence) -> str:
    heard = f"the last one came {silence.last:%Y-%m-%d %H:%M} UTC" if silence.last else "none has ever come"
    what = f"mails leave and no webhook comes; {heard}"
    await alerts.raise_alert(
        fleet,
        db,
        fact_key=f"webhooks-silent:{platform}:{silence.last.isoformat() if silence.last else 'never'}",
        kind="webhooks_silent",
        severity="critical",
        title=f"{platform}: webhooks have stopped coming",
        body=f"{what}. Until they do, events are read from the platform every few minutes. Check the receiver.",
        context={"platform": platform},
    )
    return what


def _fact(vendor: str, severity: alerts.Severity, at: datetime) -> str:
    return f"vendor:{vendor}:{severity}:{at:%Y-%m-%dT%H}"
