"""One event with what it is about: the platform's words are behind it, our objects and its id are known."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.platforms.port import PlatformEvent
from mailfleet.rules import bounces
from mailfleet.services.context import Fleet
from mailfleet.store import events
from mailfleet.store.database import Connection
from mailfleet.store.events import Delivery, Event, Named, Resolved, Rollup, Scope
from mailfleet.store.inbox import Received

POLLED = "poll"
"""`source` in the headers of an inbox row that the second source wrote; nothing from outside can set it."""
_STATUS: Mapping[str, str] = {
    "sent": "sent", "opened": "opened", "clicked": "clicked", "replied": "", "bounced": "",
    "unsubscribed": "unsubscribed", "complained": "spam_complaint",
}  # fmt: skip
_TEXT = 4000
_EARLIEST = 2000


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """`event` is the row; `given` what the platform said, with texts the row does not keep."""

    event: Event
    given: PlatformEvent
    about: Resolved
    bounce: bounces.Verdict | None = None

    @property
    def kind(self) -> str:
        return self.event.kind


class Understood(msgspec.Struct, frozen=True, kw_only=True):
    """Inbox rows by what they are: facts, kinds nobody knows, and those whose reading failed, with the reason."""

    facts: Sequence[tuple[UUID, Fact]]
    unknown: Sequence[UUID]


def parse(fleet: Fleet, received: Received) -> PlatformEvent | None:
    """The row as one of our events; None when its kind is not known."""
    if received.headers.get("source") in (POLLED, "operator"):
        return msgspec.convert(received.body, PlatformEvent)
    return fleet.speaker(received.platform).parse_event(received.body)


async def understand(fleet: Fleet, db: Connection, received: Sequence[Received]) -> Understood:
    """Reads each row and finds whom it is about, in one query a platform. Raises what a malformed row raises."""
    parsed = [(each, parse(fleet, each)) for each in received]
    known = [(each, event) for each, event in parsed if event is not None]
    about: dict[int, Resolved] = {}
    for platform in {each.platform for each, _ in known}:
        named = [_named(n, event) for n, (each, event) in enumerate(known) if each.platform == platform]
        about |= {found.n: found for found in await events.resolve(db, platform, named)}
    facts = [(each.id, _fact(each, event, about.get(n) or Resolved(n=n))) for n, (each, event) in enumerate(known)]
    return Understood(facts=facts, unknown=[each.id for each, event in parsed if event is None])


def _named(n: int, event: PlatformEvent) -> Named:
    return Named(
        n=n,
        campaign_ref=event.campaign_ref,
        lead_ref=event.lead_ref,
        email=event.lead_email.strip().lower() if event.lead_email else None,
        mailbox_ref=event.mailbox_ref,
        mailbox_address=event.mailbox_address,
    )


def _fact(received: Received, event: PlatformEvent, about: Resolved) -> Fact:
    verdict = _verdict(event)
    told = received.headers.get("source")
    if event.at.year < _EARLIEST:
        # Account notifications carry no time: the hour of receipt makes repetitions one event, and later ones another.
        event = msgspec.structs.replace(event, at=received.received_at.replace(minute=0, second=0, microsecond=0))
    row = Event(
        id=events.event_id(received.platform, event.dedupe_key, event.at),
        at=event.at,
        received_at=received.received_at,
        source="poll" if told == "poll" else "operator" if told == "operator" else "webhook",
        platform=received.platform,
        kind=event.kind,
        client_id=about.client_id,
        campaign_id=about.campaign_id,
        mailbox_id=about.mailbox_id,
        lead_id=about.lead_id,
        step=event.step,
        message_ref=event.message_ref,
        detail=_kept(event, verdict),
    )
    return Fact(event=row, given=event, about=about, bounce=verdict)


def _verdict(event: PlatformEvent) -> bounces.Verdict | None:
    if event.kind != "bounced":
        return None
    detail = event.detail
    code = detail.get("reply_code")
    return bounces.judge(
        str(detail.get("text") or ""),
        str(detail["enhanced_code"]) if detail.get("enhanced_code") else None,
        int(code) if isinstance(code, int | str) and str(code).isdigit() else None,
    )


def _kept(event: PlatformEvent, verdict: bounces.Verdict | None) -> dict[str, Any]:
    if verdict is not None:
        return {
            "class": verdict.outcome,
            "rule": verdict.rule,
            "by": verdict.by,
            "text": str(event.detail.get("text") or "")[:_TEXT],
            "sender_originated": bool(event.detail.get("sender_originated")),
        }
    if event.kind == "replied":
        return {"message_id": event.detail.get("message_id"), "subject": str(event.detail.get("subject") or "")[:500]}
    if event.kind in ("campaign_status", "category_changed", "mailbox_disconnected", "bounce_breach"):
        return {name: value for name, value in event.detail.items() if isinstance(value, str | int | bool)}
    return {}


def deliveries(facts: Sequence[Fact]) -> list[Delivery]:
    """The furthest each lead came; replies and bounces are judged before they say so."""
    furthest: dict[int, Delivery] = {}
    for fact in facts:
        event = fact.event
        if event.lead_id is None or event.kind not in _STATUS:
            continue
        new = Delivery(
            lead_id=event.lead_id,
            email_status=_STATUS[event.kind],
            step=(event.step or 0) if event.kind == "sent" else 0,
            at=event.at,
        )
        old = furthest.get(event.lead_id)
        furthest[event.lead_id] = new if old is None else _further(old, new)
    return list(furthest.values())


def _further(old: Delivery, new: Delivery) -> Delivery:
    best = max((old.email_status, new.email_status), key=events.RANKS.index)
    return Delivery(lead_id=old.lead_id, email_status=best, step=max(old.step, new.step), at=max(old.at, new.at))


_Key = tuple[Scope, UUID | str, date]
Column = Literal[
    "sent", "opened", "clicked", "replied", "bounced_hard", "bounced_soft", "blocked", "complained", "unsubscribed"
]


def column(fact: Fact) -> Column | None:
    """The sum that a fact adds to; None: none."""
    if fact.bounce is not None:
        outcome = fact.bounce.outcome
        if outcome == "hard":
            return "bounced_hard"
        return (
            "bounced_soft" if outcome in ("soft", "other") else "blocked" if outcome in ("block", "account") else None
        )
    kind = fact.event.kind
    if kind in ("sent", "opened", "clicked", "replied", "complained", "unsubscribed"):
        return kind
    return None


def rollups(facts: Sequence[Fact]) -> list[Rollup]:
    """One more in each scope's sums. A mailbox's day is its own time zone's; all others' are UTC."""
    sums: dict[_Key, Rollup] = {}
    for fact in facts:
        if name := column(fact):
            _count(sums, fact, name, 1)
    return list(sums.values())


def hardened(facts: Sequence[Fact]) -> list[Rollup]:
    """The sums' change when soft bounces have become final and count as hard from now on (S9)."""
    sums: dict[_Key, Rollup] = {}
    for fact in facts:
        _count(sums, fact, "bounced_soft", -1)
        _count(sums, fact, "bounced_hard", 1)
    return list(sums.values())


def _count(sums: dict[_Key, Rollup], fact: Fact, name: Column, n: int) -> None:
    for key in _scopes(fact):
        row = sums.get(key)
        if row is None:
            row = sums[key] = Rollup(scope=key[0], scope_id=str(key[1]), day=key[2])
        setattr(row, name, getattr(row, name) + n)


def _scopes(fact: Fact) -> list[_Key]:
    event, about = fact.event, fact.about
    day = event.at.date()
    found: list[_Key] = [("workspace", "", day)]
    if event.client_id:
        found.append(("client", event.client_id, day))
    if event.campaign_id:
        found.append(("campaign", event.campaign_id, day))
    if event.mailbox_id:
        found.append(("mailbox", event.mailbox_id, event.at.astimezone(_zone(about.timezone)).date()))
    if about.domain_id:
        found.append(("domain", about.domain_id, day))
    if about.lead_domain:
        found.append(("provider", about.lead_domain, day))
    return found


@functools.cache
def _zone(name: str | None) -> ZoneInfo:
    return ZoneInfo(name or "UTC")
