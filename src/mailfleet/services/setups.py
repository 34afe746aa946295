"""What a domain's set-up has come to, and the check that finishes those which DNS or a DKIM key delayed (D5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from mailfleet.errors import MailfleetError
from mailfleet.rules import warmup
from mailfleet.services import alerts, domains, provisioning, records
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.store import mailboxes
from mailfleet.store.domains import Domain, State


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: the day on which its last mailbox should be in PRODUCTION, counted from today where warm-up waits."""

    state: State
    ready: date | None
    waiting_for: tuple[str, ...]
    warming: int


async def status(fleet: Fleet, name: str) -> Status:
    async with fleet.db.connection() as db:
        domain = await domains.find(db, name)
        fleet = await fleet_of(fleet, domain.client_id, db)
        theirs = await mailboxes.every(db, domain_id=domain.id)
    known = [mailbox.estimated_ready_date for mailbox in theirs if mailbox.estimated_ready_date]
    return Status(
        state=domain.state,
        ready=max(known) if known else _from_today(fleet, theirs[0].timezone if theirs else "UTC"),
        waiting_for=tuple(domain.errors),
        warming=sum(mailbox.state == "WARMING" for mailbox in theirs),
    )


async def waits_for_person(fleet: Fleet, name: str, todo: str) -> None:
    """Tells once what only a person can do; the set-up goes on by itself afterwards."""
    async with fleet.db.transaction() as db:
        domain = await domains.find(db, name)
        await alerts.raise_alert(
            fleet,
            db,
            fact_key=f"nameservers:{domain.id}:{','.join(domain.nameservers)}",
            kind="nameservers",
            severity="warning",
            title=f"{name} waits for its nameservers",
            body=todo,
            client_id=domain.client_id,
            context={"domain": name, "nameservers": domain.nameservers},
        )


async def finish_pending_domains(fleet: Fleet) -> dict[str, Any]:
    """`{checked, verified, pending, errors, rechecked, drifted}` by name. Run every 15 minutes; safe at any time.

    Verified domains are looked at again every hour: `drifted` are those whose records are no longer right (D7).
    """
    async with fleet.db.connection() as db:
        waiting = await domains.pending(db)
        again = await domains.to_look_at_again(fleet, db)
    done = await finish(fleet, waiting)
    drifted: list[str] = []
    for domain in again:
        try:
            if (await domains.verify(fleet, domain.name)).broken:
                drifted.append(domain.name)
        except MailfleetError as error:
            done["errors"].append(f"{domain.name}: {error.coded}")
    return {**done, "rechecked": len(again), "drifted": drifted}


async def finish(fleet: Fleet, waiting: Sequence[Domain]) -> dict[str, Any]:
    """The same for these domains."""
    verified: list[str] = []
    pending: dict[str, list[str]] = {}
    errors: list[str] = []
    for domain in waiting:
        try:
            missing = await _finish(fleet, domain, errors)
        except MailfleetError as error:
            errors.append(f"{domain.name}: {error.coded}")
            continue
        if missing:
            pending[domain.name] = missing
        else:
            verified.append(domain.name)
    return {"checked": len(waiting), "verified": verified, "pending": pending, "errors": errors}


async def _finish(fleet: Fleet, domain: Domain, errors: list[str]) -> list[str]:
    """What is still missing; warm-up is begun when nothing is."""
    fleet = await fleet_of(fleet, domain.client_id)
    if domain.state == "awaiting_key" and not await _key_came(fleet, domain):
        return ["the mailbox host has not issued the DKIM key yet"]
    verdict = await domains.verify(fleet, domain.name)
    if not verdict.verified:
        return list(verdict.waiting_for)
    errors += await provisioning.warm_up_domain(fleet, domain)
    return []


async def _key_came(fleet: Fleet, domain: Domain) -> bool:
    async with fleet.db.connection() as db:
        theirs = await mailboxes.every(db, domain_id=domain.id)
    if not theirs or (await provisioning.dkim(fleet, theirs[0])).record is None:
        return False
    asked = await records.wanted(fleet, domain.name)
    assert domain.zone_ref is not None
    await records.write(fleet, domain.zone_ref, spf=asked.spf, dkim=asked.dkim, dmarc=asked.dmarc)
    return True


def _from_today(fleet: Fleet, timezone: str) -> date | None:
    return warmup.estimated_ready(
        fleet.policy.send_limits,
        fleet.policy.graduation,
        local_day(fleet.clock.now(), timezone),
        per_day=fleet.speaker(fleet.default_platform).capabilities.warmup_per_day,
    )
