"""Making mailboxes: for people the client named, at the host that holds them, connected to the platform.

Smartlead and its like only connect to a mailbox (D3); the mailbox host alone knows credentials, MX, SPF and DKIM (V2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Ambiguous, MailfleetError, VendorError
from mailfleet.platforms.port import MailboxSpec
from mailfleet.platforms.ports import DkimKey, HostedMailbox
from mailfleet.rules import lifecycle, warmup
from mailfleet.rules.lifecycle import Facts
from mailfleet.services import budgets, clients, domains, mailboxes, personas, records
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.store import audit, links
from mailfleet.store import domains as domain_rows
from mailfleet.store import mailboxes as mailbox_rows
from mailfleet.store.domains import Domain
from mailfleet.store.mailboxes import Mailbox


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A domain and the mailboxes it is to have: addresses with what the mailbox host is asked for."""

    domain: Domain
    client_slug: str
    addresses: Mapping[str, Mapping[str, Any]]
    shortage: str = ""
    """Why there are fewer addresses than asked for."""


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox at the platform. `dkim_key` is the TXT to publish, None while the host has not issued it."""

    mailbox_id: str
    address: str
    dkim_selector: str
    dkim_key: str | None


async def prepare(fleet: Fleet, name: str, count: int, client: str | None) -> Prepared:
    """Takes the domain in and names the mailboxes to make: for the client's first `count` people, nobody invented."""
    async with fleet.db.transaction() as db:
        owner = await clients.the_client(db, client)
        people, shortage = await personas.first(db, owner, count)
        domain = await domains.take_in(fleet, db, name, owner, mailboxes=count)
        addresses: dict[str, Mapping[str, Any]] = {}
        for person in people:
            address = f"{person.local_part}@{domain.name}"
            await mailbox_rows.add(
                db,
                address,
                client_id=owner.id,
                domain_id=domain.id,
                persona_id=person.id,
                display_name=person.display_name,
                timezone=owner.timezone,
                host=domain.mailbox_host,
                at=fleet.clock.now(),
            )
            addresses[address] = {
                "host": domain.mailbox_host,
                "display_name": person.display_name,
                "signature": person.signature,
            }
    return Prepared(domain=domain, client_slug=owner.slug, addresses=addresses, shortage=shortage)


async def connect(fleet: Fleet, address: str, config: Mapping[str, Any]) -> Connected:
    """The mailbox at its host, then at the platform; one that is there already is taken as it is.

    A connect whose outcome is unknown is settled by looking for the address (V9). On failure the mailbox is in ERROR
    and keeps its count of tries; raises what went wrong.
    """
    async with fleet.db.connection() as db:
        mailbox = await mailboxes.find(db, address)
        fleet = await clients.fleet_of(fleet, mailbox.client_id, db)
    try:
        hosted = await fleet.mailbox_hosts[mailbox.host].mailbox(address, mailbox.display_name)
        ref = await _at_platform(fleet, mailbox, hosted, config)
    except VendorError:
        await _event(fleet, mailbox, api_ok=False)
        raise
    await _event(fleet, mailbox, api_ok=True)
    async with fleet.db.transaction() as db:
        await links.put(
            db, platform=fleet.default_platform, kind="mailbox", ours=mailbox.id, ref=ref, at=fleet.clock.now()
        )
    key = await dkim(fleet, mailbox)
    return Connected(mailbox_id=str(mailbox.id), address=address, dkim_selector=key.selector, dkim_key=key.record)


async def dkim(fleet: Fleet, mailbox: Mailbox) -> DkimKey:
    """The domain's key: the one stored, else what the host issues; a private key made for us is stored encrypted."""
    assert mailbox.domain_id is not None
    async with fleet.db.connection() as db:
        domain = await domain_rows.get(db, mailbox.domain_id)
        kept = await domain_rows.keys(db, mailbox.domain_id)
    assert domain is not None
    issued = next((key for key in kept if key.record), None)
    if issued:
        return DkimKey(selector=issued.selector, record=issued.record)
    key = await fleet.mailbox_hosts[domain.mailbox_host].dkim(domain.name)
    async with fleet.db.transaction() as db:
        pem = key.private_pem
        secret = await fleet.vault.put(db, f"dkim:{domain.name}:{key.selector}", pem) if pem else None
        await domain_rows.put_key(
            db,
            domain.id,
            selector=key.selector,
            record=key.record,
            secret_id=secret,
            issued_by=domain.mailbox_host,
            at=fleet.clock.now(),
        )
        kept = await domain_rows.keys(db, domain.id)
    # Two at once: the first one stored is the key; the other was never published.
    first = next((each for each in kept if each.record), None)
    return DkimKey(selector=first.selector, record=first.record) if first else key


def warmup_config(fleet: Fleet) -> Mapping[str, int]:
    """The ramp's first day, within the platform's bounds (S3, V4)."""
    can = fleet.platform().capabilities
    first = warmup.target(fleet.policy.send_limits, 1, per_day=can.warmup_per_day, rampup=can.warmup_rampup)
    return {"per_day": first.per_day, "rampup": first.rampup}


async def warmup_config_of(fleet: Fleet, name: str) -> Mapping[str, int]:
    """`warmup_config` by the policy of the domain's client."""
    async with fleet.db.connection() as db:
        domain = await domains.find(db, name)
        return warmup_config(await clients.fleet_of(fleet, domain.client_id, db))


async def warm_up(fleet: Fleet, mailbox_id: UUID, config: Mapping[str, Any]) -> bool:
    """Begins the warm-up and says when the mailbox should be ready; False when it had begun already."""
    began = await mailboxes.start_warmup(fleet, mailbox_id, config)
    async with fleet.db.transaction() as db:
        mailbox = await mailboxes.find(db, mailbox_id)
        fleet = await clients.fleet_of(fleet, mailbox.client_id, db)
        if mailbox.warming_since and mailbox.estimated_ready_date is None:
            ready = warmup.estimated_ready(
                fleet.policy.send_limits,
                fleet.policy.graduation,
                local_day(mailbox.warming_since, mailbox.timezone),
                warm_elsewhere=mailbox.warm_elsewhere,
                per_day=fleet.platform().capabilities.warmup_per_day,
            )
            await mailbox_rows.set_ready_date(db, mailbox.id, ready)
    return began


async def warm_up_domain(fleet: Fleet, domain: Domain) -> Sequence[str]:
    """Begins the warm-up of every connected mailbox of a verified domain; what went wrong, in words."""
    async with fleet.db.connection() as db:
        fleet = await clients.fleet_of(fleet, domain.client_id, db)
        waiting = await mailbox_rows.every(db, states=("NEW",), domain_id=domain.id)
        refs = await links.refs(
            db, platform=fleet.default_platform, kind="mailbox", ours=[mailbox.id for mailbox in waiting]
        )
    problems: list[str] = []
    for mailbox in waiting:
        if str(mailbox.id) not in refs:
            continue
        try:
            await warm_up(fleet, mailbox.id, warmup_config(fleet))
        except MailfleetError as error:
            problems.append(f"{mailbox.address}: {error.coded}")
    return problems


async def note(fleet: Fleet, name: str, addresses: Sequence[str], status: str) -> None:
    """One row of the audit for what a set-up came to."""
    async with fleet.db.transaction() as db:
        domain = await domains.find(db, name)
        await audit.record(
            db,
            actor=fleet.actor,
            action="provisioning",
            entity="domain",
            entity_id=domain.id,
            at=fleet.clock.now(),
            reason=status,
            detail={"domain": name, "mailboxes": list(addresses), "status": status},
        )


async def _at_platform(fleet: Fleet, mailbox: Mailbox, hosted: HostedMailbox, config: Mapping[str, Any]) -> str:
    platform = fleet.platform()
    if there := await platform.find_mailbox(mailbox.address):
        return there.ref
    try:
        return await platform.connect_mailbox(_spec(fleet, mailbox, hosted, config))
    except Ambiguous:
        if there := await platform.find_mailbox(mailbox.address):
            return there.ref
        raise


def _spec(fleet: Fleet, mailbox: Mailbox, hosted: HostedMailbox, config: Mapping[str, Any]) -> MailboxSpec:
    domain = mailbox.address.partition("@")[2]
    return MailboxSpec(
        address=mailbox.address,
        display_name=mailbox.display_name,
        username=hosted.username,
        password=hosted.password,
        smtp_host=hosted.smtp_host,
        smtp_port=hosted.smtp_port,
        imap_host=hosted.imap_host,
        imap_port=hosted.imap_port,
        daily_cap=fleet.policy.send_limits.production.campaign_per_mailbox,
        min_gap_minutes=budgets.MIN_GAP_MINUTES,
        signature=str(config.get("signature", "")),
        tracking_host=f"{records.TRACKING_LABEL}.{domain}" if fleet.platform().capabilities.tracking_cname else None,
    )


async def _event(fleet: Fleet, mailbox: Mailbox, *, api_ok: bool) -> None:
    """NEW → ERROR when the vendor refuses, ERROR → NEW when a retry succeeds; in any other state, nothing."""
    now = fleet.clock.now()
    facts = Facts(state=mailbox.state, state_since=mailbox.state_since, error_retries=mailbox.error_retries)
    reading = lifecycle.Reading(at=now, day=local_day(now, mailbox.timezone), api_ok=api_ok)
    decision = lifecycle.decide(facts, reading, fleet.policy)
    if decision and decision.event in ("api_error", "retry_ok"):
        await mailboxes.carry_out(fleet, mailbox, decision)
