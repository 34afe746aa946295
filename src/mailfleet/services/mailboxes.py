"""The life of the mailboxes: who they are, what each reading decides, and what that means at the platform.

One reading makes at most one transition; a missing reading makes none (S5, I10). The transition is committed before
the platform is told: limits that did not arrive are drift, and the next round mends drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog

from mailfleet.errors import Drift, NotAllowed, OverLimit, Unknown, VendorError
from mailfleet.platforms.port import MailboxSeen, WarmupSettings
from mailfleet.rules import graduation, lifecycle
from mailfleet.rules.heat import Heat
from mailfleet.rules.lifecycle import Decision, Facts
from mailfleet.services import alerts, budgets, holds, readings
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.services.readings import Taken
from mailfleet.store import links, mailboxes, readiness, transitions
from mailfleet.store.database import Connection
from mailfleet.store.mailboxes import Mailbox

log = structlog.get_logger(__name__)
_TOLD: Mapping[str, tuple[alerts.Severity, str]] = {
    "criteria_met": ("info", "is in PRODUCTION"),
    "heat_dropped": ("urgent", "lost its reputation and warms up again"),
    "heat_low_twice": ("urgent", "is DEGRADED"),
    "no_recovery": ("warning", "is retired: no recovery"),
    "disabled_too_long": ("warning", "is retired: disabled at the vendor for too long"),
}


async def find(db: Connection, key: str | UUID) -> Mailbox:
    """By address or id. Raises Unknown."""
    text = str(key).strip().lower()
    try:
        found = await mailboxes.get(db, UUID(text))
    except ValueError:
        found = await mailboxes.find(db, text)
    if found is None:
        raise Unknown(f"There is no mailbox {key}.", hint="`mailfleet mailbox list` shows those there are.")
    return found


async def survey(fleet: Fleet) -> tuple[Sequence[Mailbox], Mapping[UUID, MailboxSeen], bool]:
    """Our mailboxes that are not retired, and how the platform shows each; one pass over the list of each account.

    A mailbox that cannot be logged in to starts the clock of S12a; one that the platform does not list has no entry.
    Last: whether every account was read to its end.
    """
    listed, whole = await _listed(fleet)
    seen = {each.ref: each for each in listed}
    async with fleet.db.transaction() as db:
        refs = await links.refs(db, platform=fleet.default_platform, kind="mailbox")
        shown = {UUID(ours): seen[ref] for ours, ref in refs.items() if ref in seen}
        for id, each in shown.items():
            await mailboxes.set_health(db, id, connected=each.connected, at=fleet.clock.now())
        ours = await mailboxes.every(db, states=("NEW", "WARMING", "PRODUCTION", "DEGRADED", "ERROR"))
    await _told_disconnected(fleet, ours)
    return ours, shown, whole


async def shown(fleet: Fleet) -> Mapping[UUID, MailboxSeen]:
    """How the platform lists our mailboxes, by our id."""
    seen = {each.ref: each for each in (await _listed(fleet))[0]}
    async with fleet.db.connection() as db:
        refs = await links.refs(db, platform=fleet.default_platform, kind="mailbox")
    return {UUID(ours): seen[ref] for ours, ref in refs.items() if ref in seen}


async def look_at(fleet: Fleet, id: UUID, ref: str) -> MailboxSeen:
    async with fleet.db.connection() as db:
        fleet = await fleet_of(fleet, (await find(db, id)).client_id, db)
    return await fleet.platform().mailbox(ref)


async def apply_limits(fleet: Fleet, id: UUID, seen: MailboxSeen | None) -> bool:
    """Today's limits of one mailbox, set and read back; False when it is not at the platform or refuses them."""
    taken = await stored(fleet, id)
    return await _limits(await fleet_of(fleet, taken.mailbox.client_id), taken, seen, read_back=True)


async def _listed(fleet: Fleet) -> tuple[list[MailboxSeen], bool]:
    """Of every account. One that does not answer hides its own mailboxes alone; when none answers, that is raised."""
    accounts = [each for _, name, each in fleet.accounts() if name == fleet.default_platform] or [fleet.platform()]
    found: list[MailboxSeen] = []
    errors: list[VendorError] = []
    for account in accounts:
        before = len(found)
        try:
            async for each in account.mailboxes():
                found.append(each)
        except VendorError as error:
            if isinstance(error, Drift) and len(found) > before:
                continue  # the other mailboxes are there; the client has noted what does not fit
            errors.append(error)
            log.warning("an account's mailboxes are not listed", error=f"{error.code} {error}")
    if errors and len(errors) == len(accounts):
        raise errors[-1]
    return found, not errors


async def read(fleet: Fleet, id: UUID, seen: MailboxSeen | None = None) -> Taken:
    """A fresh reading of one mailbox, stored. Raises Unknown or a VendorError; nothing is stored then."""
    async with fleet.db.connection() as db:
        mailbox = await find(db, id)
        fleet = await fleet_of(fleet, mailbox.client_id, db)
        ref = await links.need(db, platform=fleet.default_platform, kind="mailbox", ours=id)
    return await readings.take(fleet, mailbox, ref, seen or await fleet.platform().mailbox(ref))


async def checklist(fleet: Fleet, db: Connection, taken: Taken) -> graduation.Checklist:
    """Every graduation criterion with its value and its n (S6, S7)."""
    fleet = await fleet_of(fleet, taken.mailbox.client_id, db)
    return graduation.checklist(fleet.policy.graduation, await history(fleet, db, taken))


async def history(fleet: Fleet, db: Connection, taken: Taken) -> graduation.History:
    """What graduation is judged by."""
    mailbox, now = taken.mailbox, fleet.clock.now()
    since = mailbox.warming_since or mailbox.created_at
    here = await mailboxes.counts(db, mailbox.id, since=since, until=now)
    life = await mailboxes.counts(db, mailbox.id, since=mailbox.created_at, until=now)
    return graduation.History(
        warmup_days=mailbox.warmup_days,
        heat=taken.heat,
        sent=taken.warmup_sent + here.sent,
        bounced=0,
        campaign_sent=life.sent,
        campaign_bounced=life.bounced,
        complaints=here.complained,
        warm_elsewhere=mailbox.warm_elsewhere,
    )


async def decide(fleet: Fleet, taken: Taken, *, graduate: bool) -> Decision | None:
    """What this reading decides; the graduation checklist counts only when asked for."""
    async with fleet.db.connection() as db:
        fleet = await fleet_of(fleet, taken.mailbox.client_id, db)
        known = await _facts(db, taken)
        checked = await checklist(fleet, db, taken) if graduate and taken.mailbox.state == "WARMING" else None
    return lifecycle.decide(known, _reading(fleet, taken, checked), fleet.policy)


async def carry_out(fleet: Fleet, mailbox: Mailbox, decision: Decision) -> Mailbox | None:
    """Makes the transition and what it means at the platform; None when somebody else changed the mailbox meanwhile."""
    fleet = await fleet_of(fleet, mailbox.client_id)
    async with fleet.db.transaction() as db:
        moved = await shift(fleet, db, mailbox, decision)
    if moved:
        await _consequences(fleet, moved, decision)
    return moved


async def shift(fleet: Fleet, db: Connection, mailbox: Mailbox, decision: Decision) -> Mailbox | None:
    """The transition itself, by compare-and-set, with its row and its notice, in the caller's transaction."""
    now = fleet.clock.now()
    moved = await mailboxes.move(db, mailbox, decision.to_state, now)
    if moved is None:
        return None
    await transitions.record(
        db,
        entity="mailbox",
        entity_id=str(mailbox.id),
        from_state=decision.from_state,
        to_state=decision.to_state,
        event=decision.event,
        reason=decision.reason,
        evidence=decision.evidence,
        rule=decision.rule,
        rule_version=decision.rule_version,
        actor=fleet.actor,
        at=now,
    )
    if told := _TOLD.get(decision.event):
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"mailbox:{mailbox.id}:{moved.version}",
            kind=f"mailbox_{decision.event}",
            severity=told[0],
            title=f"{mailbox.address} {told[1]}",
            body=decision.reason,
            client_id=mailbox.client_id,
            context={"mailbox": mailbox.address, "from": decision.from_state, "to": decision.to_state},
        )
    return moved


async def graduate(fleet: Fleet, ids: Sequence[UUID]) -> tuple[int, Mapping[str, Sequence[str]]]:
    """Moves those that meet every criterion to PRODUCTION; the others by address, with the criteria they miss."""
    graduated, held_back = 0, dict[str, Sequence[str]]()
    for id in ids:
        taken = await stored(fleet, id)
        if taken.mailbox.state != "WARMING":
            continue
        decision = await decide(fleet, taken, graduate=True)
        if decision and decision.event == "criteria_met":
            graduated += await carry_out(fleet, taken.mailbox, decision) is not None
            continue
        async with fleet.db.connection() as db:
            held_back[taken.mailbox.address] = (await checklist(fleet, db, taken)).missing
    return graduated, held_back


async def stored(fleet: Fleet, id: UUID) -> Taken:
    """What is known without asking the platform; heat that is too old is THIN (S5)."""
    async with fleet.db.connection() as db:
        mailbox = await find(db, id)
        fleet = await fleet_of(fleet, mailbox.client_id, db)
        known = await readings.known(fleet, db, mailbox)
    stale = timedelta(hours=fleet.policy.lifecycle.stale_hours)
    now = fleet.clock.now()
    fresh = [each for each in known.days if each.heat is not None and timedelta() <= now - each.taken_at <= stale]
    if known.heat.state == "OK" and not fresh:
        return readings.with_heat(known, Heat(value=None, state="THIN"))
    return known


async def settle(fleet: Fleet, id: UUID, seen: MailboxSeen | None, *, listed_as: str) -> Decision | None:
    """The rest of a round for one mailbox: its transition, its notices, today's limits, and drift mended.

    `listed_as` is its state when the platform showed `seen`: whoever changed it since has set other limits there, and
    what was shown before is no drift.
    """
    taken = await stored(fleet, id)
    fleet = await fleet_of(fleet, taken.mailbox.client_id)
    decision = await decide(fleet, taken, graduate=False)
    if decision and await carry_out(fleet, taken.mailbox, decision):
        taken = await stored(fleet, id)
    await _notices(fleet, taken)
    if taken.mailbox.state in lifecycle.WARMS:
        today = local_day(fleet.clock.now(), taken.mailbox.timezone)
        await budgets.check_day(fleet, taken.mailbox, today - timedelta(days=1))
        await _limits(fleet, taken, seen if taken.mailbox.state == listed_as else None)
    return decision


async def retire(fleet: Fleet, id: UUID) -> bool:
    """Retires this one if it meets the rule: no recovery by day 30, or disabled for over 24 h (S5)."""
    taken = await stored(fleet, id)
    decision = await decide(fleet, taken, graduate=False)
    if decision is None or decision.to_state != "RETIRED":
        return False
    return await carry_out(fleet, taken.mailbox, decision) is not None


async def explain(fleet: Fleet, id: UUID) -> dict[str, Any]:
    """`{checklist, missing, transitions}`: what stands between it and PRODUCTION, and how it came here (I9)."""
    taken = await stored(fleet, id)
    async with fleet.db.connection() as db:
        checked = await checklist(fleet, db, taken)
        since = await readiness.missing_since(db, id)
        moves = await transitions.history(db, "mailbox", str(id))
    return {
        "address": taken.mailbox.address,
        "state": taken.mailbox.state,
        "checklist": [{**each, "since": since.get(str(each["name"]))} for each in checked.as_evidence()],
        "missing": list(checked.missing) if taken.mailbox.state == "WARMING" else [],
        "transitions": [msgspec.to_builtins(each) for each in moves],
    }


async def start_warmup(fleet: Fleet, id: UUID, settings: Mapping[str, Any]) -> bool:
    """Switches warm-up on at the platform and begins WARMING; False when it had begun already.

    `settings`: per_day, rampup, reply_percent, as the ramp's first day gives them.
    """
    async with fleet.db.connection() as db:
        mailbox = await find(db, id)
        fleet = await fleet_of(fleet, mailbox.client_id, db)
        ref = await links.need(db, platform=fleet.default_platform, kind="mailbox", ours=mailbox.id)
    if mailbox.state != "NEW":
        return False
    await fleet.platform().set_warmup(ref, WarmupSettings(enabled=True, **settings))
    reading = lifecycle.Reading(
        at=fleet.clock.now(), day=local_day(fleet.clock.now(), mailbox.timezone), warmup_running=True
    )
    decision = lifecycle.decide(Facts(state="NEW", state_since=mailbox.state_since), reading, fleet.policy)
    moved = await carry_out(fleet, mailbox, decision) if decision else None
    if moved:
        await budgets.apply_day(fleet, moved, ref, await fleet.platform().mailbox(ref), warmup_day=1)
    return moved is not None


async def operate(fleet: Fleet, id: UUID, event: lifecycle.Event, reason: str) -> Mailbox:
    """A person's own decision: retire it, or reinstate a retired one to NEW; always with a reason."""
    if not reason.strip():
        raise NotAllowed("A reason is needed.", hint="Say in a few words why; it is kept with the transition.")
    async with fleet.db.connection() as db:
        mailbox = await find(db, id)
        fleet = await fleet_of(fleet, mailbox.client_id, db)
    decision = Decision(
        event=event,
        from_state=mailbox.state,
        to_state=lifecycle.apply(mailbox.state, event),
        reason=reason,
        evidence={},
        rule_version=fleet.policy.version,
    )
    return await carry_out(fleet, mailbox, decision) or mailbox


def _reading(fleet: Fleet, taken: Taken, checked: graduation.Checklist | None) -> lifecycle.Reading:
    now = fleet.clock.now()
    return lifecycle.Reading(at=now, day=local_day(now, taken.mailbox.timezone), heat=taken.heat, checklist=checked)


async def facts(fleet: Fleet, db: Connection, taken: Taken) -> tuple[Facts, lifecycle.Reading]:
    """What the state machine is asked with, the checklist aside."""
    return await _facts(db, taken), _reading(fleet, taken, None)


async def _facts(db: Connection, taken: Taken) -> Facts:
    mailbox = taken.mailbox
    return Facts(
        state=mailbox.state,
        state_since=mailbox.state_since,
        heats=tuple((each.day, each.heat) for each in taken.days if each.taken_at > mailbox.state_since),
        degraded_at=tuple(await mailboxes.entered(db, mailbox.id, "DEGRADED")),
        disabled_since=mailbox.disabled_since,
        error_retries=mailbox.error_retries,
    )


async def _consequences(fleet: Fleet, mailbox: Mailbox, decision: Decision) -> None:
    """At the platform: production limits, or no campaign mail any more; retired mailboxes stop warming too (V14)."""
    if mailbox.state == "PRODUCTION":
        await holds.release_own(fleet, "mailbox", str(mailbox.id), decision.reason)
        await _limits(fleet, await stored(fleet, mailbox.id), None)
    elif decision.from_state == "PRODUCTION" or mailbox.state == "RETIRED":
        await holds.pause(fleet, "mailbox", str(mailbox.id), decision.reason, evidence=decision.evidence)
    if mailbox.state == "RETIRED":
        await _cool(fleet, mailbox)


async def _cool(fleet: Fleet, mailbox: Mailbox) -> None:
    async with fleet.db.connection() as db:
        ref = await links.ref(db, platform=fleet.default_platform, kind="mailbox", ours=mailbox.id)
    if ref:
        await fleet.platform().set_warmup(ref, WarmupSettings(enabled=False, per_day=0, rampup=0))


async def _limits(fleet: Fleet, taken: Taken, seen: MailboxSeen | None, *, read_back: bool = False) -> bool:
    async with fleet.db.connection() as db:
        ref = await links.ref(db, platform=fleet.default_platform, kind="mailbox", ours=taken.mailbox.id)
    if ref is None:
        return False
    try:
        await budgets.apply_day(fleet, taken.mailbox, ref, seen, warmup_day=taken.warmup_day, read_back=read_back)
    except OverLimit:
        return False  # already paused and told (S4)
    except VendorError as error:
        await alerts.tell(
            fleet,
            fact_key=f"limits:{taken.mailbox.id}:{local_day(fleet.clock.now(), taken.mailbox.timezone)}",
            kind="limits_not_set",
            severity="warning",
            title=f"Today's limits of {taken.mailbox.address} could not be set",
            body=f"{error.code} {error}",
        )
        return False
    return True


async def _notices(fleet: Fleet, taken: Taken) -> None:
    async with fleet.db.transaction() as db:
        for notice in lifecycle.notices(await _facts(db, taken), _reading(fleet, taken, None), fleet.policy):
            await alerts.raise_alert(
                fleet,
                db,
                fact_key=f"{notice.kind}:{taken.mailbox.id}:{taken.mailbox.version}",
                kind=notice.kind,
                severity="warning" if notice.needs_person else "info",
                title=f"{taken.mailbox.address}: {notice.reason}",
                body=notice.reason,
                client_id=taken.mailbox.client_id,
            )


async def _told_disconnected(fleet: Fleet, ours: Sequence[Mailbox]) -> None:
    """Told once per outage; what uses the mailbox goes on only as its staffing allows (S12a)."""
    for mailbox in ours:
        if mailbox.disabled_since is not None:
            await alerts.tell(
                fleet,
                fact_key=f"disabled:{mailbox.id}:{mailbox.disabled_since.isoformat()}",
                kind="mailbox_disabled",
                severity="urgent",
                title=f"{mailbox.address} cannot be logged in to",
                body="The platform lost the connection; reconnecting is tried. After 24 h the mailbox is retired.",
            )
