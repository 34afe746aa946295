"""A sending platform of a third shape, in memory: pages by cursor, no drafts, no reading of a pause, no block list to
take from. It sends one step a day to everyone in a running campaign; addresses that begin with `replies` answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from mailfleet.errors import Conflict, NotAllowed
from mailfleet.platforms.port import (
    AddedLeads,
    Applied,
    CampaignSeen,
    CampaignSettings,
    CampaignStats,
    Capabilities,
    HistoryEntry,
    LeadSeen,
    LeadState,
    MailboxSeen,
    MailboxSpec,
    NewLead,
    PlatformEvent,
    Position,
    Pulse,
    Schedule,
    SentMessage,
    Step,
    WarmupReading,
    WarmupSettings,
)

PAGE = 2


@dataclass
class Campaign:
    name: str
    running: bool = True
    steps: tuple[Step, ...] = ()
    boxes: tuple[str, ...] = ()
    leads: dict[str, str] = field(default_factory=dict)
    """address → state"""
    sent: list[SentMessage] = field(default_factory=list)


def unable(what: str) -> NoReturn:
    raise NotAllowed(f"Tiny cannot {what}.", hint="Its capabilities say so.")


class TinyPlatform:
    """Every list of the vendor is read by `cursor`, and says where the next page begins."""

    name = "tiny"
    capabilities = Capabilities(
        suspend_mailboxes=False,
        draft_campaigns=False,
        pause_read_back=False,
        schedule_read_back=False,
        stop_lead="none",
        resume_lead_with_delay=False,
        step_statistics=False,
        unblock=False,
        warmup=False,
        webhooks=False,
        max_leads_per_call=PAGE,
    )

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, tzinfo=UTC)
        self.boxes: dict[str, MailboxSeen] = {}
        self.held: dict[str, Campaign] = {}
        self.forbidden: list[str] = []

    def advance(self, days: int) -> None:
        for _ in range(days):
            self.now += timedelta(days=1)
            for ref, campaign in self.held.items():
                self._day(ref, campaign)

    def _day(self, ref: str, campaign: Campaign) -> None:
        for email, state in campaign.leads.items():
            done = [one for one in campaign.sent if one.email == email]
            if not campaign.running or state not in ("started", "in_progress") or email in self.forbidden:
                continue
            replied = self.now if email.startswith("replies") else None
            step = len(done) + 1
            campaign.sent.append(
                SentMessage(
                    message_ref=f"{ref}/{email}/{step}", email=email, step=step, sent_at=self.now, replied_at=replied
                )
            )
            over = "stopped" if replied else "completed" if step == len(campaign.steps) else "in_progress"
            campaign.leads[email] = over

    def _page(self, rows: Sequence[Any], cursor: str | None) -> tuple[Sequence[Any], str | None]:
        start = int(cursor or 0)
        return rows[start : start + PAGE], str(start + PAGE) if start + PAGE < len(rows) else None

    async def _all(self, rows: Sequence[Any]) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            page, cursor = self._page(rows, cursor)
            for row in page:
                yield row
            if cursor is None:
                return

    async def close(self) -> None:
        return None

    async def connect_mailbox(self, spec: MailboxSpec) -> str:
        if await self.find_mailbox(spec.address):
            raise Conflict(f"{spec.address} is there.", vendor="tiny", operation="connect")
        ref = f"box-{len(self.boxes)}"
        self.boxes[ref] = MailboxSeen(ref=ref, address=spec.address, connected=True, daily_cap=spec.daily_cap)
        return ref

    async def find_mailbox(self, address: str) -> MailboxSeen | None:
        return next((box for box in self.boxes.values() if box.address == address.lower()), None)

    async def mailboxes(self) -> AsyncIterator[MailboxSeen]:
        async for box in self._all(list(self.boxes.values())):
            yield box

    async def mailbox(self, ref: str) -> MailboxSeen:
        return self.boxes[ref]

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        box = self.boxes[ref]
        self.boxes[ref] = MailboxSeen(ref=ref, address=box.address, connected=True, daily_cap=daily_cap)
        return Applied(values={"daily_cap": daily_cap})

    async def set_warmup(self, ref: str, settings: WarmupSettings) -> Applied:
        unable("warm up")

    async def warmup(self, ref: str) -> WarmupReading | None:
        return None

    async def suspend_mailbox(self, ref: str, suspended: bool) -> None:
        unable("suspend a mailbox")

    async def reconnect_mailboxes(self) -> None:
        return None

    async def campaigns(self) -> Sequence[CampaignSeen]:
        return [CampaignSeen(ref=ref, name=one.name, state="unknown") for ref, one in self.held.items()]

    async def campaign(self, ref: str) -> CampaignSeen:
        """Whether it sends is nowhere to be read."""
        return CampaignSeen(ref=ref, name=self.held[ref].name, state="unknown")

    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        ref = f"camp-{len(self.held)}"
        self.held[ref] = Campaign(name)
        return ref

    async def set_campaign(self, ref: str, *, schedule: Schedule, settings: CampaignSettings) -> None:
        return None

    async def set_steps(self, ref: str, steps: Sequence[Step]) -> None:
        self.held[ref].steps = tuple(steps)

    async def steps(self, ref: str) -> Sequence[Step]:
        return self.held[ref].steps

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        self.held[ref].boxes = tuple(mailbox_refs)

    async def campaign_mailboxes(self, ref: str) -> Sequence[str]:
        return self.held[ref].boxes

    async def start_campaign(self, ref: str) -> None:
        self.held[ref].running = True

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        self.held[ref].running = False

    async def pulse(self, ref: str) -> Pulse:
        return Pulse(state="unknown", sent=len(self.held[ref].sent))

    async def stage(
        self,
        name: str,
        *,
        remaining_steps: Sequence[Step],
        schedule: Schedule,
        settings: CampaignSettings,
        mailbox_refs: Sequence[str],
    ) -> str:
        unable("hold a campaign that does not send")

    async def discard(self, ref: str) -> None:
        del self.held[ref]

    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads:
        there = self.held[campaign_ref].leads
        given = [lead.email.lower() for lead in leads]
        invalid = tuple(email for email in given if "@" not in email)
        old = {email: email for email in given if email in there}
        new = {email: email for email in given if email not in old and email not in invalid}
        there |= dict.fromkeys(new, "started")
        return AddedLeads(added=new, already_there=old, invalid=invalid)

    async def leads(self, campaign_ref: str, *, state: LeadState | None = None) -> AsyncIterator[LeadSeen]:
        async for email, now in self._all(list(self.held[campaign_ref].leads.items())):
            if state in (None, now):
                yield LeadSeen(ref=email, map_ref=email, email=email, state=now)

    async def positions(self, campaign_ref: str) -> AsyncIterator[Position]:
        campaign = self.held[campaign_ref]
        async for email, now in self._all(list(campaign.leads.items())):
            done = [one for one in campaign.sent if one.email == email]
            yield Position(
                ref=email, email=email, state=now, last_step=len(done), last_sent_at=done[-1].sent_at if done else None
            )

    async def find_lead(self, email: str) -> tuple[str, Sequence[str]] | None:
        found = [ref for ref, campaign in self.held.items() if email.lower() in campaign.leads]
        return (email.lower(), found) if found else None

    async def pause_lead(self, campaign_ref: str, lead_ref: str) -> None:
        unable("pause one lead")

    async def resume_lead(self, campaign_ref: str, lead_ref: str, *, delay_days: int = 0) -> None:
        unable("resume one lead")

    async def stop_lead(self, campaign_ref: str, lead_ref: str) -> None:
        unable("stop one lead")

    async def unsubscribe_lead(self, lead_ref: str) -> None:
        await self.block([lead_ref])

    async def block(self, addresses: Sequence[str]) -> None:
        self.forbidden += [address.lower() for address in addresses]

    async def unblock(self, addresses: Sequence[str]) -> None:
        unable("take an address off its block list")

    async def blocked(self) -> AsyncIterator[str]:
        async for address in self._all(self.forbidden):
            yield address

    async def stats(self, campaign_ref: str) -> CampaignStats:
        sent = self.held[campaign_ref].sent
        return CampaignStats(sent=len(sent), replied=sum(one.replied_at is not None for one in sent))

    async def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]:
        async for one in self._all(self.held[campaign_ref].sent):
            if since is None or one.sent_at >= since:
                yield one

    async def history(self, campaign_ref: str, lead_ref: str) -> Sequence[HistoryEntry]:
        rows = [one for one in self.held[campaign_ref].sent if one.email == lead_ref]
        sent = [HistoryEntry(kind="sent", at=one.sent_at) for one in rows]
        return sent + [HistoryEntry(kind="reply", at=one.replied_at) for one in rows if one.replied_at]

    async def complaints(self, campaign_ref: str) -> Sequence[LeadSeen]:
        return []

    async def ensure_webhook(self, campaign_ref: str, url: str) -> str:
        unable("tell of events")

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        return None
