"""Leave for a receiver of DMARC reports to get those of a domain that is not its own (RFC 9990 4, dns-mail 3.5).

Without it receivers send nothing. Where the reports' domain is ours the record is written into its zone; elsewhere it
is looked for, and a person is told what to publish. Neither keeps a domain from being set up: no mail depends on it.
"""

from __future__ import annotations

from mailfleet.errors import VendorError
from mailfleet.platforms.ports import ZoneRecord
from mailfleet.rules.address import registrable
from mailfleet.rules.dns import dmarc
from mailfleet.services import alerts
from mailfleet.services.context import Fleet
from mailfleet.store import audit, domains
from mailfleet.store.domains import Domain, Wanted

LEAVE = "v=DMARC1"


async def permit(fleet: Fleet, domain: Domain, record: str) -> None:
    """Sees to it that every foreign receiver named in the domain's DMARC `record` may get its reports."""
    for name in dmarc.report_authorisations(domain.name, record):
        receiver = registrable(name.partition("._report._dmarc.")[2])
        async with fleet.db.connection() as db:
            ours = await domains.find(db, receiver)
        try:
            if ours and ours.zone_ref:
                await _write(fleet, ours, ours.zone_ref, name)
            elif not await _published(fleet, name):
                await _tell(fleet, domain, name, f'Publish at {receiver}: {name} TXT "{LEAVE}".')
        except VendorError as error:
            await _tell(fleet, domain, name, f"{name} could not be written: {error}")


async def _write(fleet: Fleet, receiver: Domain, zone: str, name: str) -> None:
    host = fleet.dns_hosts[receiver.dns_host]
    there = [each for each in await host.records(zone) if (each.name.lower().rstrip("."), each.type) == (name, "TXT")]
    leave = next((each for each in there if dmarc.is_dmarc(each.content)), None)
    if leave is None:
        wanted = ZoneRecord(type="TXT", name=name, content=LEAVE, ttl=300, comment="mailfleet report")
        await host.apply(zone, create=[wanted])
    async with fleet.db.transaction() as db:
        now = fleet.clock.now()
        desired = leave.content if leave else LEAVE
        await domains.put_records(
            db, receiver.id, [Wanted(purpose="report", type="TXT", name=name, desired=desired)], now
        )
        if leave is None:
            await audit.record(
                db, actor=fleet.actor, action="write_records", entity="domain", entity_id=receiver.id, at=now,
                detail={"changes": [{"purpose": "report", "name": name, "content": LEAVE}]},
            )  # fmt: skip


async def _published(fleet: Fleet, name: str) -> bool:
    """Whether a resolver shows it; true as well when none can be asked: silence is no finding."""
    answers = [each for each in await fleet.names.resolvers(name, "TXT") if each.outcome in _TOLD]
    return not answers or any(dmarc.is_dmarc(value) for answer in answers for value in answer.values)


async def _tell(fleet: Fleet, domain: Domain, name: str, body: str) -> None:
    async with fleet.db.transaction() as db:
        await alerts.raise_alert(
            fleet, db, fact_key=f"dmarc-reports:{domain.id}:{name}", kind="dmarc_reports", severity="warning",
            title=f"No DMARC reports about {domain.name} will come", body=body, client_id=domain.client_id,
            context={"domain": domain.name, "name": name},
        )  # fmt: skip


_TOLD = ("match", "mismatch", "nxdomain", "nodata")
