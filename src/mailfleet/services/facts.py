"""One event with what it is about: the platform's words are behind it, our objects and its id are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.platforms.port import PlatformEvent
from mailfleet.rules import bounces
from mailfleet.services.context import Fleet
from mailfleet.store import events
from mailfleet.store.database import Connection
from mailfleet.store.events import Delivery, Event, Named, Resolved, Rollup
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
    ranks = list(_STATUS.values())
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
        furthest[event.lead_id] = new if old is None else _further(old, new, ranks)
    return list(furthest.values())


def _further(old: Delivery, new: Delivery, ranks: Sequence[str]) -> Delivery:
    best = max((old.email_status, new.email_status), key=lambda status: ranks.index(status) if status else -1)
    return Delivery(lead_id=old.lead_id, email_status=best, step=max(old.step, new.step), at=max(old.at, new.at))


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
    sums: dict[tuple[str, str, str, str], int] = {}
    for fact in facts:
        name = column(fact)
        if name is None:
            continue
        for scope, scope_id, day in _scopes(fact):
            key = (scope, scope_id, day, name)
            sums[key] = sums.get(key, 0) + 1
    return [
        msgspec.convert({"scope": s, "scope_id": i, "day": d, "column": c, "n": n}, Rollup)
        for (s, i, d, c), n in sums.items()
    ]


def hardened(fact: Fact) -> list[Rollup]:
    """The sums' change when a soft bounce has become final and counts as hard from now on (S9)."""
    changes: tuple[tuple[Column, int], ...] = (("bounced_soft", -1), ("bounced_hard", 1))
    return [
        msgspec.convert({"scope": scope, "scope_id": id, "day": day, "column": name, "n": n}, Rollup)
        for scope, id, day in _scopes(fact)
        for name, n in changes
    ]


def _scopes(fact: Fact) -> list[tuple[str, str, str]]:
    event, about = fact.event, fact.about
    day = event.at.date().isoformat()
    found = [("workspace", "", day)]
    found += [("client", str(event.client_id), day)] if event.client_id else []
    found += [("campaign", str(event.campaign_id), day)] if event.campaign_id else []
    found += [("mailbox", str(event.mailbox_id), _local(event.at, about.timezone))] if event.mailbox_id else []
    found += [("domain", str(about.domain_id), day)] if about.domain_id else []
    found += [("provider", about.lead_domain, day)] if about.lead_domain else []
    return found


def _local(at: datetime, timezone: str | None) -> str:
    return at.astimezone(ZoneInfo(timezone or "UTC")).date().isoformat()
