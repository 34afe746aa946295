"""Stopping, and letting go again. What stops is written first, done at the platform second, and read back third.

A person's or a vendor's hold is never released by the machine (I7, S13). Pausing a mailbox or a domain stops its
campaign mail; warm-up goes on (S8).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import MailfleetError, NotAllowed, VendorError
from mailfleet.services.alerts import raise_alert
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import audit, holds, outbox, transitions
from mailfleet.store.database import Connection
from mailfleet.store.holds import ActorKind, CampaignAt, Hold, Kind, MailboxAt, Scope

START = "campaign.start"
LOOK = "campaign.look"
_STALE = timedelta(hours=1)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """`confirmed`: the platform's own read showed it. `problems` say where it did not."""

    hold: Hold
    new: bool
    confirmed: bool
    problems: tuple[str, ...] = ()


async def pause(
    fleet: Fleet,
    scope: Scope,
    scope_id: str,
    reason: str,
    actor: str = "",
    actor_kind: ActorKind = "machine",
    *,
    evidence: Mapping[str, object] | None = None,
) -> Held:
    """Stops sending in this scope and reads back at the platform that it stopped.

    Where the platform does not confirm it, the hold stands unconfirmed, an alert tells, and the monitor tries again.
    """
    async with fleet.db.transaction() as db:
        hold, new = await _write(fleet, db, scope, scope_id, "sending", reason, actor, actor_kind, evidence or {})
        await _mark_campaigns(fleet, db, hold)
    if hold.confirmed_at:
        return Held(hold=hold, new=new, confirmed=True)
    return await _confirmed(fleet, hold, new, await _enforce(fleet, hold))


async def hold_new_leads(
    fleet: Fleet,
    scope: Scope,
    scope_id: str,
    reason: str,
    actor: str = "",
    actor_kind: ActorKind = "machine",
    *,
    evidence: Mapping[str, object] | None = None,
) -> Held:
    """No lead is claimed for this scope while it stands. Only we add leads, so our own rule is the whole of it."""
    async with fleet.db.transaction() as db:
        hold, new = await _write(fleet, db, scope, scope_id, "new_leads", reason, actor, actor_kind, evidence or {})
        await holds.confirm(db, hold.id, fleet.clock.now())
    return Held(hold=hold, new=new, confirmed=True)


async def release(
    fleet: Fleet,
    scope: Scope,
    scope_id: str,
    kind: Kind = "sending",
    *,
    actor: str = "",
    actor_kind: ActorKind = "machine",
    reason: str = "",
) -> int:
    """Lets go of the holds this actor may release; returns how many. The machine releases its own alone (I7).

    What no other hold covers is resumed at the platform. Raises NotAllowed when the machine may release none of them.
    """
    async with fleet.db.transaction() as db:
        standing = await holds.standing(db, scope=scope, scope_id=scope_id, kind=kind)
        mine = [hold for hold in standing if actor_kind == "person" or hold.actor_kind == actor_kind]
        if standing and not mine:
            raise NotAllowed(
                f"The hold on {scope} {scope_id} is not the machine's.",
                reasons=tuple(f"{hold.actor_kind} {hold.actor}: {hold.reason}" for hold in standing),
                hint="A person has to release it.",
            )
        for hold in mine:
            await holds.release(db, hold.id, by=_who(fleet, actor), at=fleet.clock.now())
            await _audit(fleet, db, f"release_{kind}", hold, actor, reason)
    if mine and kind == "sending":
        await _resume(fleet, scope, scope_id, actor_kind)
    return len(mine)


async def release_own(fleet: Fleet, scope: Scope, scope_id: str, reason: str) -> bool:
    """The machine's own hold on sending, if there is one; what others hold stays held (I7)."""
    async with fleet.db.connection() as db:
        standing = await holds.standing(db, scope=scope, scope_id=scope_id, kind="sending")
    if not any(hold.actor_kind == "machine" for hold in standing):
        return False
    return await release(fleet, scope, scope_id, reason=reason) > 0


async def enforce_unconfirmed(fleet: Fleet) -> int:
    """Tries again every standing hold that no read has confirmed; returns how many are confirmed now."""
    async with fleet.db.connection() as db:
        standing = [hold for hold in await holds.standing(db, kind="sending") if hold.confirmed_at is None]
    confirmed = 0
    for hold in standing:
        confirmed += (await _confirmed(fleet, hold, False, await _enforce(fleet, hold))).confirmed
    return confirmed


async def _write(
    fleet: Fleet,
    db: Connection,
    scope: Scope,
    scope_id: str,
    kind: Kind,
    reason: str,
    actor: str,
    actor_kind: ActorKind,
    evidence: Mapping[str, object],
) -> tuple[Hold, bool]:
    hold, new = await holds.add(
        db,
        scope=scope,
        scope_id=scope_id,
        kind=kind,
        reason=reason,
        actor=_who(fleet, actor),
        actor_kind=actor_kind,
        evidence=evidence,
        at=fleet.clock.now(),
    )
    if new:
        await _audit(fleet, db, f"hold_{kind}", hold, actor, reason)
    return hold, new


async def _mark_campaigns(fleet: Fleet, db: Connection, hold: Hold) -> None:
    for campaign in await holds.campaigns_under(db, hold.scope, hold.scope_id):
        now = fleet.clock.now()
        was = await holds.campaign_paused(db, campaign.id, by=hold.actor_kind, reason=hold.reason, at=now)
        if was:
            await transitions.record(
                db,
                entity="campaign",
                entity_id=str(campaign.id),
                from_state=was,
                to_state="paused",
                event="hold",
                reason=hold.reason,
                evidence=hold.evidence,
                rule="holds.pause",
                rule_version=fleet.policy.version,
                actor=hold.actor,
                at=now,
            )


async def _enforce(fleet: Fleet, hold: Hold) -> Sequence[str]:
    """Pauses at the platform what the hold covers and reads it back; what could not be confirmed, in words."""
    async with fleet.db.connection() as db:
        campaigns = await holds.campaigns_under(db, hold.scope, hold.scope_id)
        mailboxes = await holds.mailboxes_under(db, hold.scope, hold.scope_id, fleet.default_platform)
    told = [await _pause_campaign(fleet, campaign) for campaign in campaigns]
    told += [await _suspend(fleet, mailbox, True) for mailbox in mailboxes]
    return [each for each in told if each]


async def _pause_campaign(fleet: Fleet, campaign: CampaignAt) -> str:
    if campaign.ref is None:
        return ""
    platform = (await fleet_of(fleet, campaign.client_id)).platform(campaign.platform)
    try:
        await platform.pause_campaign(campaign.ref)
        state = (await platform.campaign(campaign.ref)).state
    except MailfleetError as error:
        return f"campaign {campaign.id}: {error}"
    # A draft or a finished campaign sends nothing either.
    return f"campaign {campaign.id}: still {state}" if state in ("running", "unknown") else ""


async def _suspend(fleet: Fleet, mailbox: MailboxAt, suspended: bool) -> str:
    if mailbox.ref is None:
        return ""
    platform = (await fleet_of(fleet, mailbox.client_id)).platform()
    try:
        await platform.suspend_mailbox(mailbox.ref, suspended)
        seen = await platform.mailbox(mailbox.ref)
    except MailfleetError as error:
        return f"mailbox {mailbox.address}: {error}"
    return "" if seen.suspended is suspended else f"mailbox {mailbox.address}: the platform shows no change"


async def _confirmed(fleet: Fleet, hold: Hold, new: bool, problems: Sequence[str]) -> Held:
    async with fleet.db.transaction() as db:
        if problems:
            await raise_alert(
                fleet,
                db,
                fact_key=f"hold-unconfirmed:{hold.id}",
                kind="hold_unconfirmed",
                severity="critical",
                title=f"Pausing {hold.scope} {hold.scope_id} is not confirmed",
                body="; ".join(problems),
                context={"hold": str(hold.id), "reason": hold.reason},
            )
        else:
            await holds.confirm(db, hold.id, fleet.clock.now())
    return Held(hold=hold, new=new, confirmed=not problems, problems=tuple(problems))


async def _resume(fleet: Fleet, scope: Scope, scope_id: str, actor_kind: ActorKind) -> None:
    """Resumes what no hold covers any more: a person's pause only when a person lets go, the vendor's never."""
    async with fleet.db.connection() as db:
        campaigns = await holds.campaigns_under(db, scope, scope_id)
        mailboxes = await holds.mailboxes_under(db, scope, scope_id, fleet.default_platform)
    for campaign in campaigns:
        await _resume_campaign(fleet, campaign, actor_kind)
    for mailbox in mailboxes:
        async with fleet.db.connection() as db:
            held = await holds.over_mailbox(db, mailbox.id, "sending")
        if not held:
            await _suspend(fleet, mailbox, False)


async def resume(fleet: Fleet, campaign_id: UUID) -> None:
    """Runs a campaign again that was paused without a hold (`campaigns.pause_for`), unless one stands by now."""
    async with fleet.db.connection() as db:
        found = await holds.campaigns_under(db, "campaign", str(campaign_id))
    for campaign in found:
        await _resume_campaign(fleet, campaign, "person")


async def _resume_campaign(fleet: Fleet, campaign: CampaignAt, actor_kind: ActorKind) -> None:
    paused_by: Sequence[ActorKind] = ("machine", "person") if actor_kind == "person" else ("machine",)
    now = fleet.clock.now()
    order = {"campaign_id": str(campaign.id), "at": now.isoformat()}
    key = f"{START}:{campaign.id}:{uuid.uuid4()}"
    async with fleet.db.transaction() as db:
        # The lock first: a pause under way is then seen here, or finds the campaign running and pauses it.
        await holds.lock_campaign(db, campaign.id)
        if await holds.over_campaign(db, campaign.id, "sending"):
            return
        if not await holds.campaign_resumed(db, campaign.id, paused_by=paused_by, at=fleet.clock.now()):
            return
        if campaign.ref:
            # In this transaction: a process that dies before the call leaves the command, and the worker makes it.
            await outbox.put(db, START, order, now=fleet.clock.now(), dedupe_key=key)
        await transitions.record(
            db,
            entity="campaign",
            entity_id=str(campaign.id),
            from_state="paused",
            to_state="running",
            event="release",
            reason="the last hold was released",
            evidence={},
            rule="holds.release",
            rule_version=fleet.policy.version,
            actor=fleet.actor,
            at=fleet.clock.now(),
        )
    with contextlib.suppress(VendorError):  # the worker tries again
        await do_start(fleet, order)
        async with fleet.db.connection() as db:
            await outbox.settle(db, key, now=fleet.clock.now())


async def do_start(fleet: Fleet, payload: Mapping[str, Any]) -> None:
    """The command that follows a release: starts the campaign at its platform, unless it was stopped again meanwhile.

    What decides is our own state when the command is done: a hold of the platform's or of a person's, written since,
    has taken the campaign out of `running`, and then nothing is started. An order that lay for too long is told
    instead: the pause that the platform shows may be its own by now (I7).
    """
    if fleet.clock.now() - datetime.fromisoformat(str(payload["at"])) > _STALE:
        await _told_stale(fleet, str(payload["campaign_id"]))
        return
    async with fleet.db.connection() as db:
        campaign = await holds.campaign_at(db, UUID(str(payload["campaign_id"])))
        if campaign is None or campaign.ref is None or await holds.over_campaign(db, campaign.id, "sending"):
            return
    platform = (await fleet_of(fleet, campaign.client_id)).platform(campaign.platform)
    if (await platform.campaign(campaign.ref)).state != "running":
        await platform.start_campaign(campaign.ref)


async def starting(db: Connection, campaign_id: UUID) -> bool:
    """Is it released here and not started at its platform yet? Its pause there is then nobody's new one."""
    return await outbox.pending(db, START, {"campaign_id": str(campaign_id)})


async def _told_stale(fleet: Fleet, campaign_id: str) -> None:
    async with fleet.db.transaction() as db:
        await raise_alert(
            fleet,
            db,
            fact_key=f"start-stale:{campaign_id}:{fleet.clock.now().isoformat()}",
            kind="start_stale",
            severity="urgent",
            title=f"Campaign {campaign_id} was released and may not be running",
            body="The order to start it was not carried out in time. Look at the platform, then start it there.",
        )


async def _audit(fleet: Fleet, db: Connection, action: str, hold: Hold, actor: str, reason: str) -> None:
    await audit.record(
        db,
        actor=_who(fleet, actor),
        action=action,
        entity=hold.scope,
        entity_id=hold.scope_id,
        reason=reason or hold.reason,
        at=fleet.clock.now(),
        detail={"hold": str(hold.id), "actor_kind": hold.actor_kind},
    )


def _who(fleet: Fleet, actor: str) -> str:
    return actor or fleet.actor
