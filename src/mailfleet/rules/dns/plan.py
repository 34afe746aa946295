"""Which records a domain should have, what to create or change for that, and whether the world sees them (D1–D5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from mailfleet.errors import NotAllowed
from mailfleet.rules.dns import dkim, dmarc, spf

Purpose = Literal["spf", "dkim", "dmarc", "mx", "tracking", "report"]
Outcome = Literal["unknown", "match", "mismatch", "missing", "error"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record we want. `name` is fully qualified, lower case, without a trailing dot."""

    purpose: Purpose
    type: str
    name: str
    content: str
    priority: int | None = None
    ttl: int = 300


class Existing(Protocol):
    """What the DNS host has; `ZoneRecord` of the ports fits."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def priority(self) -> int | None: ...
    @property
    def ref(self) -> str | None: ...


class Answer(Protocol):
    """What one server said; `NameAnswer` of the ports fits; its values are compared here."""

    @property
    def server(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def authoritative(self) -> bool: ...


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the mailbox host says a domain needs. `dkim_record` None: the host has not issued the key yet."""

    spf_terms: tuple[str, ...]
    mx: tuple[tuple[int, str], ...]
    dkim_selector: str
    dkim_record: str | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`before` None: create; else change the record `ref` in place, never delete and add (D2)."""

    record: Record
    before: str | None = None
    ref: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`desired` is everything wanted; `changes` what differs; `foreign` stands at our names and is left alone."""

    desired: tuple[Record, ...]
    changes: tuple[Change, ...]
    awaiting_key: bool
    foreign: tuple[str, ...] = ()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One record's verdict, with the servers that disagree."""

    outcome: Outcome
    reason: str
    dissent: tuple[str, ...] = ()


def plan(
    domain: str,
    host: HostFacts,
    existing: Sequence[Existing],
    *,
    only_outreach: bool = True,
    rua: str = "",
    tracking: tuple[str, str] | None = None,
    resolve: spf.Resolver | None = None,
) -> Plan:
    """What to publish for `domain`. `tracking` is (label, target of the CNAME).

    Raises NotAllowed where publishing would break something that stands: several SPF or DMARC records, a null MX of
    somebody's, an include that does not resolve to one record (asked through `resolve`), a CNAME in the way.
    """
    name = domain.lower().rstrip(".")
    at = _index(existing)
    wanted = [
        _spf(name, host, at, resolve),
        *_mx(name, host, at),
        *_dkim(name, host),
        _dmarc(name, host, at, only_outreach, rua),
    ]
    if tracking:
        wanted.append(
            Record(purpose="tracking", type="CNAME", name=f"{tracking[0]}.{name}", content=_host(tracking[1]))
        )
    _nothing_in_the_way(wanted, at)
    changes = tuple(change for record in wanted if (change := _change(record, at)))
    return Plan(
        desired=tuple(wanted),
        changes=changes,
        awaiting_key=host.dkim_record is None,
        foreign=_foreign(wanted, at),
    )


Index = Mapping[tuple[str, str], list[Existing]]


def _index(existing: Sequence[Existing]) -> Index:
    found: dict[tuple[str, str], list[Existing]] = {}
    for record in existing:
        found.setdefault((record.name.lower().rstrip("."), record.type.upper()), []).append(record)
    return found


def _spf(name: str, host: HostFacts, at: Index, resolve: spf.Resolver | None) -> Record:
    text = spf.merge([r.content for r in at.get((name, "TXT"), [])], host.spf_terms)
    if resolve and (reasons := spf.check(name, text, resolve)):
        raise NotAllowed(f"The SPF record for {name} is not written.", reasons=reasons, hint="; ".join(reasons))
    return Record(purpose="spf", type="TXT", name=name, content=text)


def _mx(name: str, host: HostFacts, at: Index) -> list[Record]:
    if any(_host(r.content) == "" for r in at.get((name, "MX"), [])):
        raise NotAllowed(
            f"{name} has a null MX: somebody declared that it takes no mail.",
            reasons=("null MX (RFC 7505)",),
            hint="Remove it if the domain is to send; a domain that sends has to receive answers.",
        )
    return [
        Record(purpose="mx", type="MX", name=name, content=_host(target), priority=priority)
        for priority, target in host.mx
    ]


def _dkim(name: str, host: HostFacts) -> list[Record]:
    if host.dkim_record is None:
        return []
    return [Record(purpose="dkim", type="TXT", name=dkim.name(host.dkim_selector, name), content=host.dkim_record)]


def _dmarc(name: str, host: HostFacts, at: Index, only_outreach: bool, rua: str) -> Record:
    where = f"_dmarc.{name}"
    had = [r.content for r in at.get((where, "TXT"), []) if dmarc.is_dmarc(r.content)]
    if len(had) > 1:
        raise NotAllowed(
            f"Two DMARC records stand at {where}, so receivers use neither.",
            reasons=("several DMARC records (RFC 9989)",),
            hint="Leave one and run this again.",
        )
    try:
        text = dmarc.desired(
            only_outreach=only_outreach,
            dkim_ready=host.dkim_record is not None,
            rua=rua,
            existing=had[0] if had else None,
        )
    except ValueError as error:
        raise NotAllowed(
            f"The DMARC record at {where} cannot be read: {error}.", reasons=(str(error),), hint="Correct it first."
        ) from error
    return Record(purpose="dmarc", type="TXT", name=where, content=text)


def _nothing_in_the_way(wanted: Iterable[Record], at: Index) -> None:
    for record in wanted:
        others = {kind for (name, kind) in at if name == record.name}
        blocked = "CNAME" in others if record.type != "CNAME" else bool(others - {"CNAME"})
        if blocked:
            raise NotAllowed(
                f"A CNAME and another record cannot share {record.name}.",
                reasons=(f"{', '.join(sorted(others))} stands there",),
                hint="Remove the record in the way, or choose another name.",
            )


def _change(record: Record, at: Index) -> Change | None:
    same = [r for r in at.get((record.name, record.type), []) if replaces(record, r)]
    if any(equal(record, r.content) and r.priority == record.priority for r in same):
        return None
    if not same:
        return Change(record=record)
    return Change(record=record, before=same[0].content, ref=same[0].ref)


def replaces(record: Record, other: Existing) -> bool:
    """Is `other` what `record` would take the place of? Foreign TXT and foreign MX are not."""
    match record.purpose:
        case "spf":
            return spf.is_spf(other.content)
        case "dmarc":
            return dmarc.is_dmarc(other.content)
        case "mx":
            return _host(other.content) == record.content
        case "dkim" | "tracking" | "report":
            return True


def equal(record: Record, value: str) -> bool:
    """Does a published value say what `record` wants, spacing and letter case of names aside?"""
    match record.purpose:
        case "dkim":
            return dkim.same_key(value, record.content)
        case "dmarc":
            return dmarc.same(value, record.content)
        case "mx" | "tracking":
            return _host(value.split()[-1] if value.split() else "") == record.content
        case "spf" | "report":
            return " ".join(value.split()) == " ".join(record.content.split())


def _foreign(wanted: Iterable[Record], at: Index) -> tuple[str, ...]:
    told: list[str] = []
    for name, kind in sorted({(r.name, r.type) for r in wanted}):
        ours = [r for r in wanted if (r.name, r.type) == (name, kind)]
        told += [
            f"{kind} {name} {o.content}" for o in at.get((name, kind), []) if not any(replaces(r, o) for r in ours)
        ]
    return tuple(told)


def judge(record: Record, authoritative: Sequence[Answer], resolvers: Sequence[Answer] = ()) -> Seen:
    """Does the world see `record`? Every authoritative server has to agree, then a majority of resolvers (D5).

    Resolvers are judged only after the authoritative ones agree: a negative answer asked too early is cached.
    """
    views: list[tuple[str, Outcome]] = [(answer.server, _view(record, answer)) for answer in authoritative]
    if not views:
        return Seen(outcome="unknown", reason="no authoritative server was asked")
    wrong = tuple(f"{server}: {view}" for server, view in views if view != "match")
    if wrong:
        return Seen(outcome=_worst(views), reason="; ".join(wrong), dissent=wrong)
    if not resolvers:
        return Seen(outcome="match", reason=f"all {len(views)} authoritative servers agree")
    return _quorum([(answer.server, _view(record, answer)) for answer in resolvers])


def _quorum(views: list[tuple[str, Outcome]]) -> Seen:
    agree = sum(view == "match" for _, view in views)
    dissent = tuple(f"{server}: {view}" for server, view in views if view != "match")
    if agree * 2 > len(views):
        return Seen(outcome="match", reason=f"{agree} of {len(views)} resolvers agree", dissent=dissent)
    return Seen(
        outcome=_worst(views),
        reason=f"only {agree} of {len(views)} resolvers agree",
        dissent=dissent,
    )


def _view(record: Record, answer: Answer) -> Outcome:
    if answer.outcome in ("servfail", "refused", "timeout"):
        return "error"
    if answer.outcome in ("nxdomain", "nodata"):
        return "missing"
    ours = [value for value in answer.values if _concerns(record, value)]
    if not ours:
        return "missing"
    if record.purpose in ("spf", "dmarc", "dkim", "tracking") and len(ours) > 1:
        return "mismatch"
    return "match" if any(_equal_mx(record, value) for value in ours) else "mismatch"


def _concerns(record: Record, value: str) -> bool:
    match record.purpose:
        case "spf":
            return spf.is_spf(value)
        case "dmarc":
            return dmarc.is_dmarc(value)
        case "mx" | "dkim" | "tracking" | "report":
            return True


def _equal_mx(record: Record, value: str) -> bool:
    parts = value.split()
    if record.purpose == "mx" and len(parts) == 2 and parts[0].isdigit() and int(parts[0]) != record.priority:
        return False
    return equal(record, value)


_GRAVITY: tuple[Outcome, ...] = ("mismatch", "missing", "error", "unknown")


def _worst(views: Sequence[tuple[str, Outcome]]) -> Outcome:
    found = {view for _, view in views}
    for outcome in _GRAVITY:
        if outcome in found:
            return outcome
    return "match"


class DomainSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`verified`: every record matches and DKIM is among them."""

    verified: bool
    pending: tuple[str, ...]
    reason: str


def verdict(seen: Sequence[tuple[Record, Seen]]) -> DomainSeen:
    """The domain's verdict over all its records; SPF, DKIM, DMARC and MX have to be among them."""
    pending = tuple(f"{r.purpose}: {one.outcome} ({one.reason})" for r, one in seen if one.outcome != "match")
    planned = {record.purpose for record, _ in seen}
    pending += tuple(f"{need}: not planned yet" for need in ("spf", "dkim", "dmarc", "mx") if need not in planned)
    return DomainSeen(verified=not pending, pending=pending, reason="; ".join(pending) or "every record is seen")


def delegated(answer: Answer, assigned: Sequence[str]) -> bool:
    """Does the parent zone hand the domain to exactly the servers its DNS host assigned?"""
    return {_host(v) for v in answer.values} == {_host(v) for v in assigned} and bool(assigned)


def _host(name: str) -> str:
    return name.strip().lower().rstrip(".")
