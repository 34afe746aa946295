"""Telling people. The row is written with the decision it tells of; the message follows, once per fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from mailfleet.errors import Ambiguous, MailfleetError
from mailfleet.services.context import Fleet
from mailfleet.store import alerts, journal
from mailfleet.store.alerts import Channel, Due, Severity
from mailfleet.store.database import Connection

ATTEMPTS = 8
_LEASE = timedelta(minutes=5)
_DEFAULT_CHANNEL = "#mailfleet-alerts"
log = structlog.get_logger(__name__)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, to `channel` when one is named."""

    fact_key: str
    kind: str
    severity: Severity
    title: str
    body: str
    client_id: UUID | None = None
    context: Mapping[str, object] = {}
    channel: str = ""


async def raise_alert(
    fleet: Fleet,
    db: Connection,
    *,
    fact_key: str,
    kind: str,
    severity: Severity,
    title: str,
    body: str,
    client_id: UUID | None = None,
    context: Mapping[str, object] | None = None,
    channel: str = "",
) -> bool:
    """Writes the alert and its deliveries in the caller's transaction; False when this fact was told before.

    Every severity goes to Slack, to `channel` when one is named; `emergency` also by SMS to the configured numbers
    (S12).
    """
    notice = Notice(
        fact_key=fact_key, kind=kind, severity=severity, title=title, body=body, client_id=client_id,
        context=context or {}, channel=channel,
    )  # fmt: skip
    return bool(await raise_alerts(fleet, db, [notice]))


async def raise_alerts(fleet: Fleet, db: Connection, notices: Sequence[Notice]) -> int:
    """`raise_alert` for many, in a few statements; how many were not told before."""
    told = {each.fact_key: each for each in notices}
    if not told:
        return 0
    now = fleet.clock.now()
    new = await alerts.add(db, [_row(each) for each in told.values()], now)
    wanted: list[tuple[UUID, Channel, str]] = [
        (id, means, target)
        for fact, id in new.items()
        for means, target in _targets(fleet, told[fact].severity, told[fact].channel)
    ]
    if wanted:
        await alerts.add_deliveries(db, wanted, now)
    return len(new)


def _row(notice: Notice) -> alerts.New:
    return alerts.New(
        fact_key=notice.fact_key, kind=notice.kind, severity=notice.severity, client_id=notice.client_id,
        title=notice.title, body=notice.body, context=dict(notice.context),
    )  # fmt: skip


async def tell(fleet: Fleet, *, fact_key: str, kind: str, severity: Severity, title: str, body: str) -> bool:
    """`raise_alert` in a transaction of its own, for facts that no other row goes with."""
    async with fleet.db.transaction() as db:
        return await raise_alert(fleet, db, fact_key=fact_key, kind=kind, severity=severity, title=title, body=body)


async def deliver_due(fleet: Fleet, *, limit: int = 50) -> int:
    """Sends what is due; returns how many arrived. A failure is tried again later, eight times in all."""
    now = fleet.clock.now()
    async with fleet.db.connection() as db:
        due = await alerts.take_due(db, now=now, until=now + _LEASE, limit=limit)
    arrived = 0
    for delivery in due:
        arrived += await _deliver(fleet, delivery)
    return arrived


async def resolve(fleet: Fleet, db: Connection, fact_key: str) -> bool:
    """The fact no longer holds. The same fact later needs a new key (a date in it)."""
    return await alerts.resolve(db, fact_key, fleet.clock.now())


async def resolve_of(fleet: Fleet, db: Connection, *beginnings: str) -> int:
    """The same for every open fact whose key begins so; how many."""
    return sum([await alerts.resolve_beginning(db, each, fleet.clock.now()) for each in beginnings])


async def _deliver(fleet: Fleet, delivery: Due) -> bool:
    if delivery.attempts > 1 and await _left_before(fleet, delivery):
        return False
    channel = fleet.channels.get(delivery.channel)
    try:
        if channel is None:
            raise MailfleetError(f"The channel {delivery.channel} is not set up.")
        ref = await channel.send(
            delivery.target,
            title=delivery.title,
            body=delivery.body,
            severity=delivery.severity,
            context=delivery.context,
            notice=str(delivery.id),
        )
    except Ambiguous as error:
        async with fleet.db.connection() as db:
            await alerts.unknown(db, delivery.id, error=f"{error.code} {error}")
        return False
    except MailfleetError as error:
        await _put_off(fleet, delivery, f"{error.code} {error}")
        return False
    except Exception as error:  # whatever a channel raises, the notices behind it go out
        log.exception("a notice could not be sent", error=type(error).__name__)
        await _put_off(fleet, delivery, type(error).__name__)
        return False
    async with fleet.db.connection() as db:
        await alerts.sent(db, delivery.id, vendor_ref=ref, at=fleet.clock.now())
    return True


async def _left_before(fleet: Fleet, delivery: Due) -> bool:
    """Whether a process that died had it sent, or may have: then it is not sent again (I5)."""
    async with fleet.db.transaction() as db:
        left = await journal.of_notice(db, delivery.id)
        if left and left.state in ("done", "reconciled_done"):
            await alerts.sent(db, delivery.id, vendor_ref="", at=left.finished_at or left.intended_at)
        elif left and left.state != "reconciled_absent":
            await alerts.unknown(db, delivery.id, error="its process died between the call and its answer")
    return left is not None and left.state != "reconciled_absent"


async def _put_off(fleet: Fleet, delivery: Due, error: str) -> None:
    again = fleet.clock.now() + timedelta(minutes=2**delivery.attempts)
    async with fleet.db.connection() as db:
        await alerts.failed(db, delivery.id, error=error, next_at=again if delivery.attempts < ATTEMPTS else None)


def _targets(fleet: Fleet, severity: Severity, channel: str) -> list[tuple[Channel, str]]:
    found: list[tuple[Channel, str]] = []
    if "slack" in fleet.channels:
        named = channel or severity
        fallback = channel or fleet.slack_channels.get("default", _DEFAULT_CHANNEL)
        found.append(("slack", fleet.slack_channels.get(named, fallback)))
    if severity == "emergency" and "sms" in fleet.channels:
        found.extend(("sms", number) for number in fleet.sms_numbers)
    return found
