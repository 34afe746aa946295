"""Which leads may be new contacts: the specified checks over everything we know, each exclusion with its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailfleet.rules.address import BadAddress, company_key, normalise
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.services.lead_rows import person_key
from mailfleet.store import campaigns, dedup, leads
from mailfleet.store.database import Connection
from mailfleet.store.dedup import Candidate, Checks, Verdict

Entry = Mapping[str, Any]


def checks(fleet: Fleet, campaign_id: UUID | None = None) -> Checks:
    """The policy's `dedup`, as of now."""
    rule = fleet.policy.dedup
    return Checks(
        scope=rule.scope,
        since=fleet.clock.now() - timedelta(days=rule.time_window_days),
        campaign_id=campaign_id,
        blocked_statuses=rule.status_blocklist,
        by_domain="domain" in rule.secondary_check,
        by_company="company" in rule.secondary_check,
        one_mailbox=rule.one_mailbox,
    )


async def deduplicate_leads(fleet: Fleet, leads: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """(unique, duplicates), as specified (spec 5): at a vendor, suppressed, organisation contacted, status blocked.

    Entries need `email`; `company`, `first_name`, `last_name` and `client_id` are used when given. Each duplicate
    carries `rule` and `culprit` besides. The first of several in the list wins. Entries of one client are judged by
    its policy, mixed ones by the workspace's.
    """
    duplicates: dict[int, Entry] = {}

    def candidates() -> Iterator[Candidate]:
        for n, entry in enumerate(leads):
            try:
                yield candidate(n, entry)
            except BadAddress as error:
                duplicates[n] = {**entry, "rule": "invalid_email", "culprit": str(error)}

    owners = {str(entry.get("client_id") or "") for entry in leads}
    owner = owners.pop() if len(owners) == 1 else ""
    async with fleet.db.transaction() as db:
        fleet = await fleet_of(fleet, UUID(owner), db) if owner else fleet
        verdicts = await dedup.judge(db, candidates(), checks(fleet), pepper=fleet.suppression_key)
    duplicates |= {v.n: {**leads[v.n], "rule": v.rule, "culprit": v.culprit} for v in verdicts}
    unique = [entry for n, entry in enumerate(leads) if n not in duplicates]
    return unique, [duplicates[n] for n in sorted(duplicates)]


async def unique_ids(fleet: Fleet, ids: Sequence[int], *, campaign_id: UUID | None = None) -> list[int]:
    """Those of these stored leads that may be new contacts; the others are excluded with rule and culprit."""
    async with fleet.db.transaction() as db:
        return await separate(fleet, db, ids, campaign_id=campaign_id)


async def separate(fleet: Fleet, db: Connection, ids: Sequence[int], *, campaign_id: UUID | None) -> list[int]:
    """`unique_ids` in the caller's transaction, by the policy of the campaign's client."""
    if campaign_id is not None:
        fleet = await fleet_of(fleet, (await campaigns.need(db, campaign_id)).client_id, db)
    verdicts = await dedup.judge_leads(db, ids, checks(fleet, campaign_id), pepper=fleet.suppression_key)
    excluded = {verdict.lead_id: _exclusion(verdict) for verdict in verdicts}
    if excluded:
        await leads.exclude(db, list(excluded.values()), campaign_id=campaign_id, at=fleet.clock.now())
    return [id for id in sorted(ids) if id not in excluded]


def _exclusion(verdict: Verdict) -> dict[str, object]:
    return {"lead_id": verdict.lead_id, "rule": verdict.rule, "culprit": verdict.culprit}


def candidate(n: int, entry: Entry) -> Candidate:
    address = normalise(str(entry.get("email", "")))
    client = entry.get("client_id")
    return Candidate(
        n=n,
        lead_id=entry.get("id"),
        client_id=UUID(str(client)) if client else None,
        email_norm=address.norm,
        domain=address.registrable,
        company_norm=company_key(str(entry.get("company") or entry.get("company_name") or "")),
        person_key=person_key(
            str(entry.get("first_name") or ""), str(entry.get("last_name") or ""), address.registrable
        ),
        free_mail=address.free,
    )
