"""What the safeguards know of every scope, read for all mailboxes at once: mails, their bounces, complaints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from mailfleet.rules.ladder import Sample
from mailfleet.services.context import Fleet
from mailfleet.store import evidence
from mailfleet.store.database import Connection
from mailfleet.store.evidence import Spans, Sums, Tally, Wanted
from mailfleet.store.mailboxes import Mailbox

AT_ONCE = 2000
"""Mailboxes a query."""
_SPANS_AT_ONCE = 2 * AT_ONCE
"""A mailbox may be looked at from several instants on."""


class Known(msgspec.Struct, kw_only=True):
    """Sums of one scope over the policy's day and week."""

    sent_day: int = 0
    bounced_day: int = 0
    sent_week: int = 0
    bounced_week: int = 0
    sent_spam: int = 0
    complained_spam: int = 0
    sent_told: int = 0
    complained_told: int = 0

    @property
    def week(self) -> Sample:
        return Sample(sent=self.sent_week, bounced=self.bounced_week)

    def add(self, tally: Tally) -> None:
        self.sent_day += tally.sent_day
        self.bounced_day += tally.bounced_day
        self.sent_week += tally.sent_week
        self.bounced_week += tally.bounced_week
        self.sent_spam += tally.sent_spam
        self.complained_spam += tally.complained_spam
        self.sent_told += tally.sent_told
        self.complained_told += tally.complained_told


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """(scope, id) → its sums; a scope without mail has zeros."""

    sums: Mapping[tuple[str, str], Known]

    def of(self, scope: str, id: UUID | str) -> Known:
        return self.sums.get((scope, str(id))) or Known()


async def gather(fleet: Fleet, db: Connection, mailboxes: Sequence[Mailbox]) -> Evidence:
    """One query a thousand mailboxes."""
    sums: dict[tuple[str, str], Known] = {}
    by_id = {mailbox.id: mailbox for mailbox in mailboxes}
    rule, now = fleet.policy, fleet.clock.now()
    for start in range(0, len(mailboxes), AT_ONCE):
        found = await evidence.tallies(
            db,
            [mailbox.id for mailbox in mailboxes[start : start + AT_ONCE]],
            now=now,
            spans=Spans(
                day=timedelta(hours=rule.auto_pause.bounce_window_hours),
                week=timedelta(days=rule.bounce_evidence.window_days),
                spam=timedelta(days=rule.auto_pause.spam_window_days),
                told=timedelta(days=rule.complaints.window_days),
            ),
        )
        for tally in found:
            for key in _scopes(tally, by_id[tally.mailbox_id]):
                sums.setdefault(key, Known()).add(tally)
    return Evidence(sums=sums)


async def later(fleet: Fleet, db: Connection, wanted: Sequence[Wanted]) -> Mapping[Wanted, Sums]:
    """What each sent from an instant on. A query a few thousand."""
    now = fleet.clock.now()
    found: dict[Wanted, Sums] = {}
    for start in range(0, len(wanted), _SPANS_AT_ONCE):
        found |= await evidence.later(db, wanted[start : start + _SPANS_AT_ONCE], now=now)
    return found


def _scopes(tally: Tally, mailbox: Mailbox) -> Iterator[tuple[str, str]]:
    yield "mailbox", str(mailbox.id)
    yield "client", str(mailbox.client_id)
    if mailbox.domain_id:
        yield "domain", str(mailbox.domain_id)
    if tally.campaign_id:
        yield "campaign", str(tally.campaign_id)
