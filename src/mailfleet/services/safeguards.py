"""What stops a mailbox, and how it is found out: auto-pause, bounce bands, complaints (S1, S8, S12b).

All of it runs without an orchestrator; every decision rests on events and readings of our own store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailfleet.rules import autopause, bounce_bands, complaints
from mailfleet.rules.autopause import Health, Verdict
from mailfleet.services import alerts, clients, holds, mailboxes, reconcile, vendor_health
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.store import holds as hold_rows
from mailfleet.store import mailboxes as rows
from mailfleet.store.database import Connection
from mailfleet.store.holds import Scope
from mailfleet.store.mailboxes import Counts, Mailbox

BAND_WINDOW = timedelta(days=7)


async def check_auto_pause_conditions(fleet: Fleet, mailbox_id: str | UUID) -> Verdict:
    """The specification's `{should_pause, reasons, recommended_action}`, with the evidence and its samples (S8).

    Looks only; `enforce` acts on it.
    """
    async with fleet.db.connection() as db:
        mailbox = await mailboxes.find(db, mailbox_id)
        fleet = await clients.fleet_of(fleet, mailbox.client_id, db)
        return autopause.conditions(await health(fleet, db, mailbox), fleet.policy.auto_pause)


async def health(fleet: Fleet, db: Connection, mailbox: Mailbox) -> Health:
    """What is known of a mailbox over the policy's windows; a heat too old to trust is unknown, not low (I10)."""
    now, rule = fleet.clock.now(), fleet.policy.auto_pause
    day = await _counts(fleet, db, mailbox.id, timedelta(hours=rule.bounce_window_hours))
    week = await _counts(fleet, db, mailbox.id, timedelta(days=rule.spam_window_days))
    stale = now - timedelta(hours=fleet.policy.lifecycle.stale_hours)
    read = await rows.readings(
        db, mailbox.id, since=local_day(stale, mailbox.timezone), platform=fleet.default_platform
    )
    fresh = [each for each in read if each.taken_at >= stale]
    return Health(
        sent_24h=day.sent,
        bounced_24h=day.bounced,
        sent_7d=week.sent,
        complaints_7d=week.complained,
        heat=mailbox.heat if fresh and mailbox.heat_state == "OK" else None,
        api_disabled=mailbox.disabled_since is not None,
        reputation=fresh[-1].vendor_reputation if fresh else None,
    )


async def enforce(fleet: Fleet, mailbox: Mailbox) -> Verdict:
    """Pauses a sending mailbox for which a trigger holds, once, and tells why and what to do."""
    fleet = await clients.fleet_of(fleet, mailbox.client_id)
    verdict = await check_auto_pause_conditions(fleet, mailbox.id)
    if mailbox.state != "PRODUCTION":
        return verdict
    if not verdict["should_pause"]:
        await _let_go(fleet, mailbox)
        return verdict
    reason = ", ".join(verdict["reasons"])
    held = await holds.pause(fleet, "mailbox", str(mailbox.id), reason, evidence=dict(verdict["evidence"]))
    async with fleet.db.transaction() as db:
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"auto-pause:{held.hold.id}",
            kind="auto_pause",
            severity="urgent",
            title=f"{mailbox.address} is paused: {reason}",
            body=f"Recommended: {verdict['recommended_action']}. Warm-up goes on; campaign mail is stopped.",
            client_id=mailbox.client_id,
            context={"mailbox": mailbox.address, "reasons": list(verdict["reasons"])},
        )
    return verdict


async def _let_go(fleet: Fleet, mailbox: Mailbox) -> None:
    """A mailbox that can be logged in to again sends again; every other reason waits for a person or for heat."""
    async with fleet.db.connection() as db:
        standing = await hold_rows.standing(db, scope="mailbox", scope_id=str(mailbox.id), kind="sending")
    if any(hold.actor_kind == "machine" and hold.reason == "api_disabled" for hold in standing):
        await holds.release_own(fleet, "mailbox", str(mailbox.id), "the platform is connected again")


async def apply_bands(fleet: Fleet, mailbox: Mailbox) -> bounce_bands.Reading:
    """The mailbox's bounce band over seven days and what it asks for; the limit follows it down and up again (S1)."""
    fleet = await clients.fleet_of(fleet, mailbox.client_id)
    async with fleet.db.connection() as db:
        counts = await _counts(fleet, db, mailbox.id, BAND_WINDOW)
    reading = bounce_bands.read(fleet.policy, counts.sent, counts.bounced)
    watch = "increase_monitoring_frequency" in reading.actions
    minutes = fleet.policy.bounce_actions.watch_minutes if watch else 15
    if (mailbox.limit_factor, mailbox.monitor_minutes) != (reading.factor, minutes):
        async with fleet.db.connection() as db:
            await rows.set_throttle(db, mailbox.id, factor=reading.factor, monitor_minutes=minutes)
    await _band_actions(fleet, mailbox, reading)
    return reading


async def check_complaints(fleet: Fleet, scope: Scope, scope_id: str, mailbox_ids: Sequence[UUID]) -> str:
    """A scope's complaint rate over the policy's window: nothing, an urgent alert, or a pause of its campaigns
    (S12b). The lead itself has been stopped by whoever applied the complaint."""
    rule, now = fleet.policy.complaints, fleet.clock.now()
    sent = complained = 0
    async with fleet.db.connection() as db:
        for id in mailbox_ids:
            counts = await _counts(fleet, db, id, timedelta(days=rule.window_days))
            sent, complained = sent + counts.sent, complained + counts.complained
    reading = complaints.read(rule, sent, complained)
    if reading.action == "none":
        return reading.action
    if reading.action == "pause_all_campaigns":
        await holds.pause(fleet, scope, scope_id, reading.reason, evidence={"sent": sent, "complaints": complained})
    await alerts.tell(
        fleet,
        fact_key=f"complaints:{scope}:{scope_id}:{complained}:{now:%G-W%V}",
        kind="complaints",
        severity="critical" if reading.action == "pause_all_campaigns" else "urgent",
        title=f"Complaints in {scope} {scope_id}",
        body=reading.reason,
    )
    return reading.action


async def _counts(fleet: Fleet, db: Connection, id: UUID, span: timedelta) -> Counts:
    now = fleet.clock.now()
    soft = fleet.policy.soft_bounce.max_retries
    return await rows.counts(db, id, since=now - span, until=now, soft_limit=soft)


async def watch(fleet: Fleet) -> dict[str, Any]:
    """One round over everything that sends: `{checked, paused, throttled, complaints, vendors, confirmed,
    settled, delivered}`.

    Ends by trying again what no read has confirmed, by reading what became of writes of unknown outcome, and by
    sending the notices that are due.
    """
    await clients.check_policies(fleet)
    async with fleet.db.connection() as db:
        sending = await rows.every(db, states=("PRODUCTION",))
        theirs = await clients.views(fleet, db)
    paused: list[str] = []
    throttled: list[str] = []
    for mailbox in sending:
        if (await enforce(theirs[mailbox.client_id], mailbox))["should_pause"]:
            paused.append(mailbox.address)
        if (await apply_bands(theirs[mailbox.client_id], mailbox)).factor < 1:
            throttled.append(mailbox.address)
    by_client: dict[UUID, list[UUID]] = {}
    for mailbox in sending:
        by_client.setdefault(mailbox.client_id, []).append(mailbox.id)
    found = {
        str(client): action
        for client, ids in by_client.items()
        if (action := await check_complaints(theirs[client], "client", str(client), ids)) != "none"
    }
    return {
        "checked": len(sending),
        "paused": paused,
        "throttled": throttled,
        "complaints": found,
        "vendors": await vendor_health.check(fleet),
        "confirmed": await holds.enforce_unconfirmed(fleet),
        "settled": (await reconcile.settle_open(fleet)).settled,
        "delivered": await alerts.deliver_due(fleet),
    }


async def _band_actions(fleet: Fleet, mailbox: Mailbox, reading: bounce_bands.Reading) -> None:
    """What the band's actions mean for one mailbox; each is told once a band and day."""
    actions = set(reading.actions)
    told = f"{reading.bounced} of {reading.sent} bounced in 7 days"
    evidence = {"sent": reading.sent, "bounced": reading.bounced, "band": reading.band, "proven": reading.proven}
    if "pause_all_campaigns" in actions:
        await holds.pause(fleet, "mailbox", str(mailbox.id), told, evidence=evidence)
    if "pause_new_lead_additions" in actions:
        await holds.hold_new_leads(fleet, "mailbox", str(mailbox.id), told, evidence=evidence)
    severity = _severity(actions)
    if severity is None:
        return
    await alerts.tell(
        fleet,
        fact_key=f"bounces:{mailbox.id}:{reading.band}:{local_day(fleet.clock.now(), mailbox.timezone)}",
        kind=f"bounces_{reading.band}",
        severity=severity,
        title=f"{mailbox.address}: bounces are {reading.band}",
        body=f"{told} (confidence {reading.confidence:.0%}). Done: {', '.join(reading.actions)}.",
    )


def _severity(actions: set[Any]) -> alerts.Severity | None:
    if "send_sms_alert_to_dave" in actions:
        return "emergency"
    if "send_urgent_alert" in actions:
        return "urgent"
    return "warning" if "send_slack_alert" in actions else None
