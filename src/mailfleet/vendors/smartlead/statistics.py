"""Statistics and analytics, message history and replying."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from mailfleet.vendors.smartlead.area import Area
from mailfleet.vendors.smartlead.models import (
    CampaignRow,
    DayTotals,
    History,
    MailboxRow,
    Message,
    MessageRow,
    SequenceRow,
    Totals,
)
from mailfleet.vendors.transport.operation import Operation

PAGE = 1000
MAILBOX_PAGE = 20
MESSAGES = Operation(  # smartlead:campaigns/statistics
    name="get_statistics", method="GET", path="/campaigns/{id}/statistics", timeout=40
)
TOTALS = Operation(  # smartlead:campaigns/analytics
    name="get_analytics", method="GET", path="/campaigns/{id}/analytics"
)
BY_DATE = Operation(  # smartlead:campaigns/analytics-by-date
    name="get_analytics_by_date", method="GET", path="/campaigns/{id}/analytics-by-date"
)
BY_MAILBOX = Operation(  # smartlead:campaigns/mailbox-statistics
    name="get_mailbox_statistics", method="GET", path="/campaigns/{id}/mailbox-statistics"
)
BY_SEQUENCE = Operation(  # smartlead:campaigns/sequence-analytics
    name="get_sequence_analytics", method="GET", path="/campaigns/{id}/sequence-analytics"
)
DOMAIN_HEALTH = Operation(  # smartlead:analytics/domain-wise-health-metrics
    name="get_domain_health", method="GET", path="/analytics/mailbox/domain-wise-health-metrics"
)
BY_CAMPAIGN = Operation(  # smartlead:analytics/campaign-overall-stats
    name="get_campaign_performance", method="GET", path="/analytics/campaign/overall-stats"
)
HISTORY = Operation(  # smartlead:campaigns/leads/message-history
    name="get_message_history", method="GET", path="/campaigns/{id}/leads/{lead}/message-history"
)
REPLY = Operation(  # smartlead:campaigns/reply-email-thread
    name="reply_email_thread",
    method="POST",
    path="/campaigns/{id}/reply-email-thread",
    reconcile="the message history of the lead, matched on a SENT entry after the intent with this body",
)


class _Steps(msgspec.Struct, frozen=True):
    data: list[SequenceRow]


class _Performance(msgspec.Struct, frozen=True):
    campaign_wise_performance: list[CampaignRow] = []


class _Performances(msgspec.Struct, frozen=True):
    data: _Performance


class Statistics(Area):
    """`/campaigns/{id}/…` that only count, and the messages themselves."""

    def messages(
        self, campaign: int | str, *, since: datetime | None = None, until: datetime | None = None, **filters: Any
    ) -> AsyncIterator[MessageRow]:
        """One row per sent message. Several rows may carry one reply: count replies by lead."""
        query = {"sent_time_start_date": _iso(since), "sent_time_end_date": _iso(until), **filters}
        return self._pages(MESSAGES, MessageRow, PAGE, rows="data", at={"id": campaign}, query=query)

    async def totals(self, campaign: int | str) -> Totals:
        return await self.transport.ask(TOTALS, Totals, at={"id": campaign})

    async def by_date(self, campaign: int | str, start: date, end: date) -> DayTotals:
        """One source caps the span at 30 days."""
        query = {"start_date": start.isoformat(), "end_date": end.isoformat()}
        return await self.transport.ask(BY_DATE, DayTotals, at={"id": campaign}, query=query)

    def by_mailbox(self, campaign: int | str, **query: Any) -> AsyncIterator[MailboxRow]:
        return self._pages(BY_MAILBOX, MailboxRow, MAILBOX_PAGE, rows="data", at={"id": campaign}, query=query)

    async def by_sequence(
        self, campaign: int | str, start: datetime, end: datetime, time_zone: str
    ) -> Sequence[SequenceRow]:
        """The vendor wants `YYYY-MM-DD HH:MM:SS` here, in `time_zone`."""
        query = {"start_date": f"{start:%Y-%m-%d %H:%M:%S}", "end_date": f"{end:%Y-%m-%d %H:%M:%S}"}
        query["time_zone"] = time_zone
        return (await self.transport.ask(BY_SEQUENCE, _Steps, at={"id": campaign}, query=query)).data

    async def by_campaign(self, start: date, end: date) -> Sequence[CampaignRow]:
        """A few counters of every campaign of the account in one answer; one may be left out of a long one."""
        query = {"start_date": start.isoformat(), "end_date": end.isoformat(), "full_data": "true"}
        found = await self.transport.ask(BY_CAMPAIGN, _Performances, query=query)
        return found.data.campaign_wise_performance

    async def domain_health(self, start: date, end: date) -> Mapping[str, Any]:
        """Engagement counts by sending domain; nothing about DNS."""
        query = {"start_date": start.isoformat(), "end_date": end.isoformat()}
        return (await self.transport.call(DOMAIN_HEALTH, query=query)).fields

    async def history(self, campaign: int | str, lead: int | str) -> Sequence[Message]:
        at = {"id": campaign, "lead": lead}
        return (await self.transport.ask(HISTORY, History, at=at)).history

    async def reply(self, campaign: int | str, lead: int | str, stats_id: str, body: str, **fields: Any) -> str:
        """Queues an answer in the thread. The vendor confirms with a sentence, no id: only the history proves it."""
        sent = {"email_stats_id": stats_id, "email_body": body, **fields}
        match = {"id": campaign, "lead": lead, "stats_id": stats_id, "body": body}
        answer = await self.transport.call(REPLY, at={"id": campaign}, body=sent, match=match)
        return answer.text.strip() or str(answer.fields.get("message", ""))


def _iso(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z" if at else None
