"""The daily round over all mailboxes: what flow 2 is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import MailfleetError
from mailfleet.platforms.port import MailboxSeen
from mailfleet.services import clients as client_views
from mailfleet.services import domains, mailboxes, provisioning, readiness, rotation, upkeep, warmup_trouble
from mailfleet.services.context import Fleet
from mailfleet.store import clients
from mailfleet.store import domains as domain_rows
from mailfleet.store import mailboxes as rows
from mailfleet.store.mailboxes import Mailbox


class Graduation(msgspec.Struct, frozen=True, kw_only=True):
    """`held_back`: address → the criteria it misses."""

    graduated: int
    held_back: Mapping[str, Sequence[str]]


async def survey(fleet: Fleet) -> tuple[Sequence[Mailbox], Mapping[UUID, MailboxSeen]]:
    """`mailboxes.survey`, after finishing what was made half-way; then the platform is asked to reconnect what is lost,
    and who is gone or renamed is told."""
    await upkeep.finish(fleet)
    ours, shown, whole = await mailboxes.survey(fleet)
    await upkeep.compare(fleet, ours, shown, whole=whole)
    async with fleet.db.connection() as db:
        theirs = await client_views.views(fleet, db)
    await upkeep.reconnect(fleet, theirs, ours)
    return ours, shown


async def rotate(fleet: Fleet, threshold: int) -> dict[str, Any]:
    """`{retired, rotated, reserve}`: spare mailboxes step in for failing ones before these leave, then those that meet
    the rule are retired, and the reserve takes its turn."""
    rotated = await rotation.replace(fleet, threshold)
    return {"retired": await retire(fleet, threshold), "rotated": rotated, "reserve": await rotation.rest(fleet)}


async def graduate(fleet: Fleet, ids: Sequence[UUID]) -> Graduation:
    graduated, held = await mailboxes.graduate(fleet, ids)
    return Graduation(graduated=graduated, held_back=held)


async def held_back(fleet: Fleet, ids: Sequence[UUID]) -> dict[str, list[str]]:
    """Of these, the WARMING ones by address with the criteria they miss."""
    return await readiness.keep(fleet, ids)


async def settle(fleet: Fleet, states: Mapping[UUID, str], seen: Mapping[UUID, MailboxSeen]) -> dict[str, int]:
    """`{transitions, errors}` after each mailbox's transition, notices and limits. `states` are those of the moment at
    which the platform was listed."""
    made = failed = 0
    for id, state in states.items():
        try:
            made += await mailboxes.settle(fleet, id, seen.get(id), listed_as=state) is not None
            await _look_into(fleet, id, seen.get(id))
        except MailfleetError:
            failed += 1
    return {"transitions": made, "errors": failed}


async def _look_into(fleet: Fleet, id: UUID, seen: MailboxSeen | None) -> None:
    if seen is not None and seen.warmup_blocked:
        async with fleet.db.connection() as db:
            mailbox = await mailboxes.find(db, id)
        await warmup_trouble.check(fleet, mailbox, seen)


async def retire(fleet: Fleet, threshold: int) -> int:
    """Retires those that meet the rule; a mailbox whose heat is known and not below `threshold` is left alone,
    unless the platform has it disabled (S5)."""
    async with fleet.db.connection() as db:
        every = await rows.every(db, states=("WARMING", "PRODUCTION", "DEGRADED"))
    poor = [m for m in every if m.disabled_since or (m.heat is not None and m.heat < threshold)]
    return sum([await mailboxes.retire(fleet, mailbox.id) for mailbox in poor])


async def tally(fleet: Fleet) -> dict[str, int]:
    """How many there are in each state."""
    async with fleet.db.connection() as db:
        every = await rows.every(db)
    states = [mailbox.state for mailbox in every]
    return {
        "mailboxes_total": len(every),
        "warming": states.count("WARMING"),
        "production": states.count("PRODUCTION"),
        "retired": states.count("RETIRED"),
        "new": states.count("NEW"),
        "degraded": states.count("DEGRADED"),
        "error": states.count("ERROR"),
    }


async def shortfall(fleet: Fleet, target: int) -> int:
    """How many mailboxes are missing to the target; retired ones do not count."""
    counts = await tally(fleet)
    return max(0, target - (counts["mailboxes_total"] - counts["retired"]))


async def warming(fleet: Fleet) -> list[dict[str, Any]]:
    async with fleet.db.connection() as db:
        return [{"mailbox_id": str(each.id)} for each in await rows.every(db, states=("WARMING",))]


async def verified_domains(fleet: Fleet) -> list[str]:
    async with fleet.db.connection() as db:
        return [domain.name for domain in await domain_rows.every(db, states=("verified",))]


async def per_domain(fleet: Fleet, names: Sequence[str], missing: int) -> dict[str, int]:
    """How many mailboxes each domain has to have so that `missing` more are there and not one beyond: the emptiest
    domains first."""
    there: dict[str, int] = {}
    async with fleet.db.connection() as db:
        for name in names:
            domain = await domains.find(db, name)
            there[domain.name] = sum(m.state != "RETIRED" for m in await rows.every(db, domain_id=domain.id))
    wanted = dict(there)
    for _ in range(missing):
        wanted[min(wanted, key=lambda name: (wanted[name], name))] += 1
    return {name: count for name, count in wanted.items() if count > there[name]}


async def top_up(fleet: Fleet, names: Sequence[str], count_per_domain: int) -> dict[str, Any]:
    """`{created, errors}`: brings each domain to `count_per_domain` mailboxes, for the client's people in order.

    On a verified domain warm-up begins at once; elsewhere the check that finishes domains begins it.
    """
    created: list[str] = []
    errors: list[str] = []
    for name in names:
        try:
            created += await _top_up(fleet, name, count_per_domain, errors)
        except MailfleetError as error:
            errors.append(f"{name}: {error.coded}")
    return {"created": created, "errors": errors}


async def _top_up(fleet: Fleet, name: str, count: int, errors: list[str]) -> list[str]:
    async with fleet.db.connection() as db:
        domain = await domains.find(db, name)
        before = {mailbox.address for mailbox in await rows.every(db, domain_id=domain.id)}
        owner = await clients.find(db, str(domain.client_id))
    assert owner is not None
    prepared = await provisioning.prepare(fleet, domain.name, count, owner.slug)
    if prepared.shortage:
        errors.append(prepared.shortage)
    made: list[str] = []
    for address, config in prepared.addresses.items():
        if address in before:
            continue
        try:
            await provisioning.connect(fleet, address, config)
            made.append(address)
        except MailfleetError as error:
            errors.append(f"{address}: {error.coded}")
    if domain.state == "verified":
        errors += await provisioning.warm_up_domain(fleet, domain)
    return made
