"""What every mailbox's next reading would decide, from what a round has read: no query a mailbox.

The round that acts asks again mailbox by mailbox, with a compare-and-set; this one sees ten thousand at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mailfleet.rules import graduation, lifecycle
from mailfleet.rules.heat import Heat
from mailfleet.rules.lifecycle import Decision, Facts
from mailfleet.services.context import Fleet
from mailfleet.services.days import local_day
from mailfleet.store.evidence import History, Sums, Wanted
from mailfleet.store.mailboxes import Mailbox


def spans(boxes: Sequence[Mailbox]) -> list[Wanted]:
    """The mails graduation is judged by: of the whole life, and since warm-up began."""
    return [
        Wanted(scope="mailbox", scope_id=str(box.id), since=since)
        for box in boxes
        if box.state == "WARMING"
        for since in dict.fromkeys((box.created_at, box.warming_since or box.created_at))
    ]


def decide(
    fleet: Fleet, box: Mailbox, history: History, later: Mapping[Wanted, Sums], now: datetime
) -> Decision | None:
    """The transition of one mailbox, as `mailboxes.decide` finds it from what is stored."""
    stale = timedelta(hours=fleet.policy.lifecycle.stale_hours)
    fresh = history.read_at is not None and timedelta() <= now - history.read_at <= stale
    thin = box.heat_state == "OK" and not fresh
    heat = Heat(value=None, state="THIN") if thin else Heat(value=box.heat, state=box.heat_state)
    checked = _checklist(fleet, box, history, heat, later) if box.state == "WARMING" else None
    reading = lifecycle.Reading(at=now, day=local_day(now, box.timezone), heat=heat, checklist=checked)
    return lifecycle.decide(_facts(box, history), reading, fleet.policy)


def _facts(box: Mailbox, history: History) -> Facts:
    return Facts(
        state=box.state,
        state_since=box.state_since,
        heats=tuple(zip(history.days, history.heats, strict=True)),
        degraded_at=tuple(history.degraded_at),
        disabled_since=box.disabled_since,
        error_retries=box.error_retries,
    )


def _checklist(
    fleet: Fleet, box: Mailbox, history: History, heat: Heat, later: Mapping[Wanted, Sums]
) -> graduation.Checklist:
    life, here = _sums(later, box.id, box.created_at), _sums(later, box.id, box.warming_since or box.created_at)
    return graduation.checklist(
        fleet.policy.graduation,
        graduation.History(
            warmup_days=box.warmup_days,
            heat=heat,
            sent=history.warmup_sent + here.sent,
            campaign_sent=life.sent,
            campaign_bounced=life.bounced,
            complaints=here.complained,
            warm_elsewhere=box.warm_elsewhere,
        ),
    )


def _sums(later: Mapping[Wanted, Sums], id: UUID, since: datetime) -> Sums:
    return later.get(Wanted(scope="mailbox", scope_id=str(id), since=since), Sums())
