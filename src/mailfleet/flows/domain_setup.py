"""Flow 1: a domain's zone, mailboxes, records, verification and warm-up; and the check that finishes what DNS delayed.

Every step is a service that can be run again; the flow is their order (spec 4, flow 1; D3, D5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ConcurrentTaskRunner

from mailfleet.errors import MailfleetError
from mailfleet.flows.shell import Result, current, run, specified, step
from mailfleet.services import domains, provisioning, records, setups
from mailfleet.services.context import Fleet
from mailfleet.services.provisioning import Prepared


@task(name="create_cloudflare_zone_task", cache_policy=NO_CACHE)
async def create_cloudflare_zone_task(domain: str) -> str:
    """The zone id at the domain's DNS host: the one known, found there, or made."""
    return await domains.ensure_zone(current(), domain)


@task(name="create_smartlead_mailbox_task", cache_policy=NO_CACHE)
async def create_smartlead_mailbox_task(email: str, imap_config: Mapping[str, Any]) -> dict[str, Any]:
    """`{dkim_selector, dkim_key, mailbox_id}`. The key comes from the mailbox host (V2); None until it is issued.

    `imap_config` names the host, the display name and the signature; credentials are read where they are used.
    """
    made = await provisioning.connect(current(), email, imap_config)
    return {"dkim_selector": made.dkim_selector, "dkim_key": made.dkim_key, "mailbox_id": made.mailbox_id}


@task(name="create_dns_records_task", cache_policy=NO_CACHE)
async def create_dns_records_task(
    zone_id: str, spf: Sequence[str], dkim: Mapping[str, str | None], dmarc: str
) -> dict[str, int]:
    """`{written, unchanged}`: SPF merged, DKIM, DMARC, MX and tracking in one batch.

    `spf` are the terms the mailbox host needs, `dkim` maps selector to record, `dmarc` is the policy wanted.
    """
    return await records.write(current(), zone_id, spf=spf, dkim=dkim, dmarc=dmarc)


@task(name="verify_dns_propagation_task", cache_policy=NO_CACHE)
async def verify_dns_propagation_task(domain: str) -> bool:
    """One look: the parent, each authoritative server, then a quorum of resolvers. It never waits (D5)."""
    return (await domains.verify(current(), domain)).verified


@task(name="enable_warmup_task", cache_policy=NO_CACHE)
async def enable_warmup_task(mailbox_id: str, warmup_config: Mapping[str, Any]) -> bool:
    """True when warm-up began now; False when it had begun already."""
    return await provisioning.warm_up(current(), UUID(mailbox_id), warmup_config)


@task(name="log_provisioning_task", cache_policy=NO_CACHE)
async def log_provisioning_task(domain: str, mailboxes: Sequence[str], status: str) -> None:
    """Writes what the set-up came to into the audit."""
    await provisioning.note(current(), domain, mailboxes, status)


@specified(
    name="smartlead_domain_setup",
    description="Configure DNS and create mailboxes for new domain",
    task_runner=ConcurrentTaskRunner(),
    tags=["tier:bulk", "smartlead", "infra:spot"],
)
async def smartlead_domain_setup_flow(
    domain: str,
    mailbox_count: int = 2,
    client_id: str | None = None,
    cloudflare_zone_id: str | None = None,
) -> dict[str, Any]:
    """
    Steps:
    1. Create/verify Cloudflare zone
    2. Create mailboxes in Smartlead
    3. Extract DKIM records from Smartlead response
    4. Create SPF/DKIM/DMARC records in Cloudflare
    5. Wait for propagation (async check)
    6. Enable warmup

    Returns:
        {
            "success": True,
            "domain": "example.com",
            "mailboxes_created": 2,
            "dns_configured": True,
            "warmup_enabled": True,
            "estimated_ready_date": "2026-02-19"  # 14 days
        }
    """

    skipped = {**_EMPTY, "domain": domain}

    async def work(fleet: Fleet) -> Result:
        return await _set_up(fleet, domain, mailbox_count, client_id, cloudflare_zone_id)

    return await run(
        "smartlead_domain_setup",
        key=f"domain:{domain.strip().lower()}",
        parameters={
            "domain": domain,
            "mailbox_count": mailbox_count,
            "client_id": client_id,
            "cloudflare_zone_id": cloudflare_zone_id,
        },
        work=work,
        skipped=skipped,
    )


@specified(
    name="mailfleet_dns_check",
    description="Finish domains whose DNS was not visible yet: verify, then begin warm-up",
    tags=["tier:realtime", "mailfleet"],
)
async def mailfleet_dns_check_flow() -> dict[str, Any]:
    """`{checked, verified, pending, errors, rechecked, drifted}` over every domain that waits for DNS or for a DKIM
    key (D5), and once an hour over those that are verified: one whose records changed is held (D7)."""
    return await run(
        "mailfleet_dns_check",
        key="dns-check",
        parameters={},
        work=setups.finish_pending_domains,
        skipped={"checked": 0, "verified": [], "pending": {}, "errors": [], "rechecked": 0, "drifted": []},
        max_lag=timedelta(minutes=30),
    )


_EMPTY: Mapping[str, Any] = {
    "success": False,
    "mailboxes_created": 0,
    "dns_configured": False,
    "warmup_enabled": False,
    "estimated_ready_date": None,
    "errors": [],
    "state": "",
}


async def _set_up(fleet: Fleet, domain: str, count: int, client_id: str | None, zone_id: str | None) -> Result:
    """The order of the steps. What fails is told in `errors`; what follows from it is left for the next run."""
    prepared = await provisioning.prepare(fleet, domain, count, client_id)
    name = prepared.domain.name
    errors = [prepared.shortage] if prepared.shortage else []
    zone = await _zone(fleet, name, zone_id, errors)
    made = await _mailboxes(prepared, errors) if zone else {}
    written = bool(made) and await _records(fleet, name, zone, errors)
    todo = await _delegated(fleet, name, errors) if written else ""
    verified = written and await _seen(name, errors)
    warm = verified and await _warm(fleet, name, made, errors)
    status = await setups.status(fleet, name)
    await step(log_provisioning_task, name, sorted(made), status.state)
    return {
        "success": len(made) == count and written and not errors,
        "domain": name,
        "mailboxes_created": len(made),
        "dns_configured": written,
        "warmup_enabled": warm,
        "estimated_ready_date": status.ready.isoformat() if status.ready else None,
        "errors": errors,
        "state": status.state,
        "waiting_for": [each for each in (todo, *status.waiting_for) if each],
        "mailboxes": sorted(made),
        "zone_id": zone,
    }


async def _zone(fleet: Fleet, name: str, zone_id: str | None, errors: list[str]) -> str:
    try:
        if zone_id:
            await domains.adopt_zone(fleet, name, zone_id)
        return await step(create_cloudflare_zone_task, name)
    except MailfleetError as error:
        errors.append(f"{name}: {error.coded}")
        return ""


async def _seen(name: str, errors: list[str]) -> bool:
    try:
        return await step(verify_dns_propagation_task, name)
    except MailfleetError as error:
        errors.append(f"{name}: {error.coded}")
        return False


async def _mailboxes(prepared: Prepared, errors: list[str]) -> dict[str, str]:
    """Address → our mailbox id of those connected. One after the other: the host's key is issued once per domain."""
    made: dict[str, str] = {}
    for address, config in prepared.addresses.items():
        try:
            made[address] = (await step(create_smartlead_mailbox_task, address, config))["mailbox_id"]
        except MailfleetError as error:
            errors.append(f"{address}: {error.coded}")
    return made


async def _records(fleet: Fleet, name: str, zone: str, errors: list[str]) -> bool:
    try:
        wanted = await records.wanted(fleet, name)
        await step(create_dns_records_task, zone, wanted.spf, wanted.dkim, wanted.dmarc)
        return True
    except MailfleetError as error:
        errors.append(f"{name}: {error.coded}")
        return False


async def _delegated(fleet: Fleet, name: str, errors: list[str]) -> str:
    """What a person has to do for the delegation; empty when a registrar of ours did it."""
    try:
        todo = (await domains.delegate(fleet, name)).todo
        if todo:
            await setups.waits_for_person(fleet, name, todo)
        return todo
    except MailfleetError as error:
        errors.append(f"{name}: {error.coded}")
        return ""


async def _warm(fleet: Fleet, name: str, made: Mapping[str, str], errors: list[str]) -> bool:
    config = await provisioning.warmup_config_of(fleet, name)
    for address, mailbox_id in made.items():
        try:
            await step(enable_warmup_task, mailbox_id, config)
        except MailfleetError as error:
            errors.append(f"{address}: {error.coded}")
    return bool(made) and not errors
