"""A domain's records: what its mailbox host and its platform need, merged with what stands there, written in one batch.

What stands at our names and is not ours is left alone; SPF is merged in place, never added (D2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mailfleet.platforms.ports import ZoneRecord
from mailfleet.rules.dns import dmarc as dmarc_rules
from mailfleet.rules.dns import spf as spf_rules
from mailfleet.rules.dns.plan import Change, HostFacts, Plan, Record, plan
from mailfleet.services import domains, reports
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import audit
from mailfleet.store import domains as domain_rows
from mailfleet.store.database import Connection
from mailfleet.store.domains import Domain, Wanted

TRACKING_LABEL = "track"
# RFC 7208 4.6.4 ends the tree at ten lookups; a few more are fetched so that the rule can say by how much it is over.
_MOST_NAMES = 25

Answers = dict[tuple[str, str], Sequence[str] | None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish, before it is merged: SPF terms, selector → DKIM text (None: not issued), the DMARC policy."""

    spf: tuple[str, ...]
    dkim: Mapping[str, str | None]
    dmarc: str


async def wanted(fleet: Fleet, name: str) -> Asked:
    """From the domain's mailbox host and the keys it issued; only the host knows them (V2, D1)."""
    async with fleet.db.connection() as db:
        domain = await domains.find(db, name)
        fleet = await fleet_of(fleet, domain.client_id, db)
        keys = await domain_rows.keys(db, domain.id)
    host = fleet.mailbox_hosts[domain.mailbox_host]
    return Asked(
        spf=tuple(await host.spf_terms(domain.name)),
        dkim={key.selector: key.record for key in keys},
        dmarc=dmarc_rules.desired(
            only_outreach=domain.only_outreach,
            dkim_ready=any(key.record for key in keys),
            rua=fleet.policy.dns.report_address,
        ),
    )


async def write(
    fleet: Fleet, zone_id: str, *, spf: Sequence[str], dkim: Mapping[str, str | None], dmarc: str
) -> dict[str, int]:
    """`{written, unchanged}`. Raises NotAllowed where publishing would break something that stands.

    What is wanted is stored first; the zone changes all at once or not at all.
    """
    async with fleet.db.connection() as db:
        domain = await domains.by_zone(db, zone_id)
        fleet = await fleet_of(fleet, domain.client_id, db)
    host = fleet.dns_hosts[domain.dns_host]
    made = await _plan(fleet, domain, await host.records(zone_id), spf=spf, dkim=dkim, dmarc=dmarc)
    if made.changes:
        standing = await host.apply(
            zone_id,
            create=[_zone_record(each) for each in made.changes if each.before is None],
            change=[_zone_record(each) for each in made.changes if each.before is not None],
        )
    else:
        standing = []
    async with fleet.db.transaction() as db:
        await _store(fleet, db, domain, made, standing)
    await reports.permit(fleet, domain, next(each.content for each in made.desired if each.purpose == "dmarc"))
    return {"written": len(made.changes), "unchanged": len(made.desired) - len(made.changes)}


async def _plan(
    fleet: Fleet,
    domain: Domain,
    existing: Sequence[ZoneRecord],
    *,
    spf: Sequence[str],
    dkim: Mapping[str, str | None],
    dmarc: str,
) -> Plan:
    host = fleet.mailbox_hosts[domain.mailbox_host]
    selector, key = next(((s, k) for s, k in dkim.items() if k), ("", None))
    target = fleet.speaker(fleet.default_platform).capabilities.tracking_cname
    policy = dmarc_rules.parse(dmarc)
    answers = await _spf_tree(fleet, spf)
    return plan(
        domain.name,
        HostFacts(spf_terms=tuple(spf), mx=tuple(await host.mx(domain.name)), dkim_selector=selector, dkim_record=key),
        existing,
        only_outreach=policy.p != "none",
        rua=policy.rua[0] if policy.rua else "",
        tracking=(TRACKING_LABEL, target) if target else None,
        resolve=(lambda name, type: answers.get((name, type))) if answers else None,
    )


async def _spf_tree(fleet: Fleet, terms: Sequence[str]) -> Answers:
    """What the includes lead to, so that one without exactly one SPF record is refused before it is written (D1)."""
    answers: Answers = {}
    waiting = list(spf_rules.names_needed(" ".join(["v=spf1", *terms])))
    while waiting and len(answers) < _MOST_NAMES:
        question = waiting.pop(0)
        if question in answers:
            continue
        values = await _values(fleet, *question)
        answers[question] = values
        for text in values or ():
            if question[1] == "TXT" and spf_rules.is_spf(text):
                waiting += _needed(text)
    return answers


async def _values(fleet: Fleet, name: str, type: str) -> Sequence[str] | None:
    """What the first resolver that answers says; empty for a "no", None when none could be asked."""
    for answer in await fleet.names.resolvers(name, type):
        if answer.outcome in ("match", "mismatch"):
            return answer.values
        if answer.outcome in ("nxdomain", "nodata"):
            return ()
    return None


def _needed(text: str) -> Sequence[tuple[str, str]]:
    try:
        return spf_rules.names_needed(text)
    except ValueError:
        return ()


async def _store(fleet: Fleet, db: Connection, domain: Domain, made: Plan, standing: Sequence[ZoneRecord]) -> None:
    now = fleet.clock.now()
    before = {_identity(each.record): each.before for each in made.changes}
    refs = {(each.type, each.name.lower().rstrip("."), each.content): each.ref for each in standing}
    await domain_rows.put_records(
        db,
        domain.id,
        [
            Wanted(
                purpose=record.purpose,
                type=record.type,
                name=record.name,
                desired=record.content,
                priority=record.priority,
                ttl=record.ttl,
                previous=before.get(_identity(record)),
                provider_ref=refs.get((record.type, record.name, record.content)),
            )
            for record in made.desired
        ],
        now,
    )
    await domain_rows.set_deadline(db, domain.id, now + domains.deadline(fleet))
    await _moved(fleet, db, domain, made)
    if made.changes:
        await audit.record(
            db,
            actor=fleet.actor,
            action="write_records",
            entity="domain",
            entity_id=domain.id,
            at=now,
            detail={"changes": [msgspec.to_builtins(each) for each in made.changes], "foreign": list(made.foreign)},
        )


async def _moved(fleet: Fleet, db: Connection, domain: Domain, made: Plan) -> None:
    if made.awaiting_key:
        await domains.move(fleet, db, domain, "awaiting_key", "the mailbox host has not issued the DKIM key yet")
    elif made.changes or domain.state in ("new", "zone_ready", "awaiting_key", "failed"):
        await domains.move(fleet, db, domain, "records_written", f"{len(made.changes)} records written")


def _zone_record(change: Change) -> ZoneRecord:
    record = change.record
    return ZoneRecord(
        type=record.type,
        name=record.name,
        content=record.content,
        ttl=record.ttl,
        priority=record.priority,
        ref=change.ref,
        comment=f"mailfleet {record.purpose}",
    )


def _identity(record: Record) -> tuple[str, str, str, int | None]:
    return record.purpose, record.type, record.name, record.priority
