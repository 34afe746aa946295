"""Domains: taken in, given a zone, delegated, written, verified. Each step can be run again and does only what is
missing (flow 1).

new → zone_ready → records_written → verifying → verified; `awaiting_key` while the mailbox host has not issued DKIM.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import timedelta

import idna
import msgspec
from publicsuffixlist import PublicSuffixList

from mailfleet.errors import BadFile, Conflict, MailfleetError, NotAllowed, NotFound, Unknown, VendorError
from mailfleet.platforms.ports import Zone
from mailfleet.services import alerts, dns_check, holds
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.dns_check import Verdict
from mailfleet.store import audit, domains, transitions
from mailfleet.store import holds as hold_rows
from mailfleet.store.clients import Client
from mailfleet.store.database import Connection
from mailfleet.store.domains import Domain, State

RECHECK = timedelta(hours=1)
DRIFT = "DNS: "
"""How the reason of the hold begins that a change of the records brought about; only such a one is let go here."""


class Delegated(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the registrar was told. `todo` is what a person has to do when no registrar of ours owns the domain."""

    registrar: str = ""
    changed: bool = False
    todo: str = ""


def clean_name(text: str) -> str:
    """A registrable domain in lower-case ASCII. Raises BadFile for anything else (a host name, a bare suffix, …)."""
    try:
        name = idna.encode(text.strip().rstrip("."), uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise BadFile(f"{text!r} is not a domain name: {error}.", hint="Give it as example.com.") from error
    registrable = _suffixes().privatesuffix(name)
    if registrable != name:
        raise BadFile(
            f"{text!r} is not a domain that can be registered.",
            hint=f"Did you mean {registrable}?" if registrable else "It needs a name before its public suffix.",
        )
    return name


async def take_in(fleet: Fleet, db: Connection, name: str, client: Client, *, mailboxes: int = 0) -> Domain:
    """The domain's row, made if new. Raises NotAllowed when it is another client's."""
    domain = await domains.add(db, clean_name(name), client_id=client.id, at=fleet.clock.now())
    if domain.client_id != client.id:
        raise NotAllowed(
            f"{domain.name} belongs to another client.",
            reasons=("a domain serves one client",),
            hint="Name the client it was added for, or use another domain.",
        )
    await domains.want(db, domain.id, mailboxes=mailboxes)
    return domain


async def find(db: Connection, name: str) -> Domain:
    """Raises Unknown."""
    if found := await domains.find(db, clean_name(name)):
        return found
    raise Unknown(f"The domain {name} is not known.", hint=f"Add it: `mailfleet domain add {name}`.")


async def ensure_zone(fleet: Fleet, name: str) -> str:
    """The zone of this domain at its DNS host: the one known, the one found there, or a new one. Its reference."""
    async with fleet.db.connection() as db:
        domain = await find(db, name)
    host = fleet.dns_hosts[domain.dns_host]
    zone = await (host.zone(domain.zone_ref) if domain.zone_ref else host.find_zone(domain.name))
    if zone is None:
        try:
            zone = await host.create_zone(domain.name)
        except VendorError:
            # An unknown outcome, or somebody was quicker: what is there now decides (V9).
            zone = await host.find_zone(domain.name)
            if zone is None:
                raise
    await _keep_zone(fleet, domain, zone)
    return zone.ref


async def adopt_zone(fleet: Fleet, name: str, zone_ref: str) -> str:
    """Takes a zone that exists already, after checking that it is this domain's. Raises Conflict or NotFound."""
    async with fleet.db.connection() as db:
        domain = await find(db, name)
    host = fleet.dns_hosts[domain.dns_host]
    try:
        zone = await host.zone(zone_ref)
    except NotFound as error:
        error.hint = f"Leave the zone id out: the zone of {domain.name} is then found or created."
        raise
    if zone.name != domain.name:
        raise Conflict(
            f"Zone {zone_ref} is that of {zone.name}, not of {domain.name}.",
            vendor=host.name,
            operation="adopt_zone",
            hint="Give the id of this domain's own zone, or none.",
        )
    await _keep_zone(fleet, domain, zone)
    return zone.ref


async def delegate(fleet: Fleet, name: str) -> Delegated:
    """Points the domain at its zone's servers where a registrar of ours owns it; else says what a person has to do."""
    async with fleet.db.connection() as db:
        domain = await find(db, name)
    if domain.state == "verified":
        return Delegated()
    for registrar in fleet.registrars.values():
        if not await registrar.owned(domain.name):
            continue
        now = {server.lower().rstrip(".") for server in await registrar.nameservers(domain.name)}
        if now == set(domain.nameservers):
            return Delegated(registrar=registrar.name)
        await registrar.set_nameservers(domain.name, domain.nameservers)
        await _audited(fleet, domain, "set_nameservers", {"was": sorted(now), "now": domain.nameservers})
        return Delegated(registrar=registrar.name, changed=True)
    servers = " and ".join(domain.nameservers)
    return Delegated(todo=f"At the registrar of {domain.name}, set its nameservers to {servers}.")


async def move(fleet: Fleet, db: Connection, domain: Domain, to: State, reason: str, **evidence: object) -> bool:
    """A change of state by compare-and-set, with its row."""
    now = fleet.clock.now()
    if domain.state == to or not await domains.move(db, domain, to, now):
        return False
    await transitions.record(
        db,
        entity="domain",
        entity_id=str(domain.id),
        from_state=domain.state,
        to_state=to,
        event=to,
        reason=reason,
        evidence=evidence,
        rule="domain_setup",
        rule_version=fleet.policy.version,
        actor=fleet.actor,
        at=now,
    )
    return True


async def verify(fleet: Fleet, name: str) -> Verdict:
    """One look at the outside; verified once everyone agrees, else the domain is `verifying`.

    48 h after the records were written an alert tells what is missing, once; the domain stays `verifying` (D5). A
    verified domain whose records are no longer what they were is held until a look finds them right again (D7).
    """
    async with fleet.db.connection() as db:
        domain = await find(db, name)
        fleet = await fleet_of(fleet, domain.client_id, db)
    await _nudge(fleet, domain)
    verdict = await dns_check.look(fleet, domain)
    async with fleet.db.transaction() as db:
        domain = await find(db, name)
        if verdict.verified:
            await move(fleet, db, domain, "verified", "every server and the resolvers agree", **verdict.evidence)
            await domains.set_last_good(db, domain.id, {"at": fleet.clock.now().isoformat(), **verdict.evidence})
            await domains.set_errors(db, domain.id, [])
            keys = (f"{kind}:{domain.id}:" for kind in ("nameservers", "dns-overdue", "dns-drift"))
            await alerts.resolve_of(fleet, db, *keys)
        elif domain.state == "records_written":
            await move(fleet, db, domain, "verifying", "; ".join(verdict.waiting_for), stage=verdict.stage)
        drifted = bool(verdict.broken) and await domains.untouched_since_verified(db, domain.id)
        if drifted and domain.state == "verified":
            await _drifted(fleet, db, domain, verdict)
        if not verdict.verified and (drifted or domain.state != "verified"):
            await domains.set_errors(db, domain.id, verdict.waiting_for)
            await _overdue(fleet, db, domain, verdict)
    await _hold_or_let_go(fleet, domain, verdict, drifted)
    return verdict


async def pending(db: Connection) -> Sequence[Domain]:
    """Those a scheduled check has to finish."""
    return await domains.every(db, states=("awaiting_key", "records_written", "verifying"))


async def to_look_at_again(fleet: Fleet, db: Connection) -> Sequence[Domain]:
    """Verified domains that nobody has looked at for an hour (D7)."""
    return await domains.unseen_since(db, fleet.clock.now() - RECHECK)


async def _keep_zone(fleet: Fleet, domain: Domain, zone: Zone) -> None:
    async with fleet.db.transaction() as db:
        servers = [server.lower().rstrip(".") for server in zone.nameservers]
        await domains.set_zone(db, domain.id, zone.ref, servers)
        if domain.state == "new":
            await move(fleet, db, domain, "zone_ready", f"zone {zone.ref} at {domain.dns_host}", nameservers=servers)


async def _nudge(fleet: Fleet, domain: Domain) -> None:
    """Asks the DNS host to look at the delegation again; it may refuse when asked too often, which is no failure."""
    host = fleet.dns_hosts[domain.dns_host]
    if domain.zone_ref is None:
        return
    try:
        if (await host.zone(domain.zone_ref)).status == "pending":
            await host.check_activation(domain.zone_ref)
    except MailfleetError:
        return


async def _drifted(fleet: Fleet, db: Connection, domain: Domain, verdict: Verdict) -> None:
    now = fleet.clock.now()
    told = "; ".join(verdict.broken)
    if not await move(fleet, db, domain, "verifying", told, stage=verdict.stage, drift=True):
        return
    await domains.restart_deadline(db, domain.id, now + deadline(fleet))
    await alerts.raise_alert(
        fleet,
        db,
        fact_key=f"dns-drift:{domain.id}:{now.isoformat()}",
        kind="dns_drift",
        severity="urgent",
        title=f"{domain.name} sends no campaign mail: its DNS has changed",
        body=f"{told}. It goes on by itself once the records are right again.",
        client_id=domain.client_id,
        context={"domain": domain.name, "stage": verdict.stage},
    )


async def _hold_or_let_go(fleet: Fleet, domain: Domain, verdict: Verdict, drifted: bool) -> None:
    """The hold stands as long as the drift; a crash before it was written is made good by the next look."""
    if drifted:
        await holds.pause(fleet, "domain", str(domain.id), f"{DRIFT}{'; '.join(verdict.broken)}")
    elif verdict.verified:
        async with fleet.db.connection() as db:
            standing = await hold_rows.standing(db, scope="domain", scope_id=str(domain.id), kind="sending")
        if any(hold.actor_kind == "machine" and hold.reason.startswith(DRIFT) for hold in standing):
            await holds.release_own(fleet, "domain", str(domain.id), "every record is seen again")


async def _overdue(fleet: Fleet, db: Connection, domain: Domain, verdict: Verdict) -> None:
    if domain.verify_until is None or fleet.clock.now() < domain.verify_until:
        return
    hours = fleet.policy.escalation.dns_pending_hours
    await alerts.raise_alert(
        fleet,
        db,
        fact_key=f"dns-overdue:{domain.id}:{domain.verify_until.isoformat()}",
        kind="dns_overdue",
        severity="urgent",
        title=f"{domain.name} is not verified after {hours:g} h",
        body="; ".join(verdict.waiting_for),
        client_id=domain.client_id,
        context={"domain": domain.name, "stage": verdict.stage},
    )


async def _audited(fleet: Fleet, domain: Domain, action: str, detail: dict[str, object]) -> None:
    async with fleet.db.transaction() as db:
        await audit.record(
            db,
            actor=fleet.actor,
            action=action,
            entity="domain",
            entity_id=domain.id,
            at=fleet.clock.now(),
            detail=detail,
        )


def deadline(fleet: Fleet) -> timedelta:
    return timedelta(hours=fleet.policy.escalation.dns_pending_hours)


async def by_zone(db: Connection, zone_ref: str) -> Domain:
    """Raises Unknown."""
    if found := await domains.by_zone(db, zone_ref):
        return found
    raise Unknown(f"No domain of ours has the zone {zone_ref}.", hint="Run the set-up from its first step.")


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
