"""Has the world seen the records yet? The parent's delegation first, then every authoritative server, then resolvers.

No public resolver is asked before the zone's own servers agree: it would remember the "no" (RFC 2308 5). What each
server said is stored as evidence; a server's silence overwrites nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from mailfleet.platforms.ports import NameAnswer
from mailfleet.rules.dns import plan
from mailfleet.rules.dns.plan import Record, Seen
from mailfleet.services.context import Fleet
from mailfleet.store import domains
from mailfleet.store.domains import Domain, Observed, StoredRecord

Stage = Literal["delegation", "authoritative", "resolvers", "done"]
_SILENT = ("servfail", "refused", "timeout")
_BLOCKING = ("spf", "dkim", "dmarc", "mx")
"""Without these mail is refused or not answered; a lost tracking name or report permission waits."""
Answers = Mapping[tuple[str, str], Sequence[NameAnswer]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`stage` is how far the check came, `done` alone means verified; `waiting_for`: what is not there, in words.

    `broken` is what somebody answered and what stops sending (D7); a server's silence is never in it.
    """

    stage: Stage
    waiting_for: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    evidence: dict[str, Any] = {}

    @property
    def verified(self) -> bool:
        return self.stage == "done"


async def look(fleet: Fleet, domain: Domain) -> Verdict:
    """One look at the outside. Reads names only; what each record was seen as is stored with it."""
    delegation = await fleet.names.delegation(domain.name)
    said = {"delegation": _plain(delegation)}
    if not plan.delegated(delegation, domain.nameservers):
        told = (_undelegated(domain, delegation),)
        silent = delegation.outcome in _SILENT
        return Verdict(stage="delegation", waiting_for=told, broken=() if silent else told, evidence=said)
    async with fleet.db.connection() as db:
        records = await domains.records(db, domain.id)
    own = await _ask_authoritative(fleet, domain, records)
    first = await _judge(fleet, records, own, {}, "authoritative")
    if first.waiting_for:
        return msgspec.structs.replace(first, evidence=said)
    asked = {question: await fleet.names.resolvers(*question) for question in own}
    second = await _judge(fleet, records, own, asked, "resolvers")
    if second.waiting_for:
        return msgspec.structs.replace(second, evidence=said)
    seen = [f"{record.type} {record.name} ({record.purpose})" for record in records]
    return Verdict(stage="done", evidence={**said, "records": seen})


async def _ask_authoritative(fleet: Fleet, domain: Domain, records: Sequence[StoredRecord]) -> Answers:
    """Each server's answer; one without the AA bit speaks for somebody else and counts as a refusal."""
    own: dict[tuple[str, str], Sequence[NameAnswer]] = {}
    for question in dict.fromkeys((record.name, record.type) for record in records):
        answers = await fleet.names.authoritative(domain.name, *question, domain.nameservers)
        own[question] = [_with_authority(answer) for answer in answers]
    return own


async def _judge(fleet: Fleet, records: Sequence[StoredRecord], own: Answers, asked: Answers, stage: Stage) -> Verdict:
    judged: list[tuple[Record, Seen]] = []
    observed: list[Observed] = []
    for stored in records:
        question = (stored.name, stored.type)
        seen = plan.judge(_record(stored), own[question], asked.get(question, ()))
        judged.append((_record(stored), seen))
        observed.append(_observed(stored, stage, seen, asked.get(question) or own[question]))
    async with fleet.db.transaction() as db:
        await domains.put_observed(db, observed, fleet.clock.now())
    broken = tuple(
        f"{record.purpose}: {seen.outcome} ({seen.reason})"
        for record, seen in judged
        if record.purpose in _BLOCKING and seen.outcome in ("mismatch", "missing")
    )
    return Verdict(stage=stage, waiting_for=plan.verdict(judged).pending, broken=broken)


def _with_authority(answer: NameAnswer) -> NameAnswer:
    if answer.authoritative or answer.outcome in _SILENT:
        return answer
    return msgspec.structs.replace(answer, outcome="refused", detail="not authoritative for this zone")


def _observed(stored: StoredRecord, stage: Stage, seen: Seen, answers: Sequence[NameAnswer]) -> Observed:
    return Observed(
        id=stored.id,
        outcome="error" if seen.outcome == "unknown" else seen.outcome,
        seen=sorted({value for answer in answers for value in answer.values}),
        evidence={"stage": stage, "reason": seen.reason, "answers": [_plain(answer) for answer in answers]},
    )


def _record(stored: StoredRecord) -> Record:
    assert stored.desired is not None
    assert stored.purpose != "foreign"
    return Record(
        purpose=stored.purpose,
        type=stored.type,
        name=stored.name,
        content=stored.desired,
        priority=stored.priority,
        ttl=stored.ttl,
    )


def _undelegated(domain: Domain, answer: NameAnswer) -> str:
    told = ", ".join(sorted(answer.values)) or answer.outcome
    return f"{domain.name} is not delegated to {' and '.join(domain.nameservers)} yet (the parent says: {told})"


def _plain(answer: NameAnswer) -> dict[str, Any]:
    return msgspec.to_builtins(answer)
