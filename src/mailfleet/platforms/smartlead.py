"""Smartlead as a sending platform."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import structlog

from mailfleet.errors import Conflict
from mailfleet.platforms import smartlead_events, smartlead_settling, smartlead_setup, smartlead_words
from mailfleet.platforms.port import (
    AddedLeads,
    Applied,
    CampaignSeen,
    CampaignSettings,
    CampaignSetup,
    CampaignStats,
    Capabilities,
    Counters,
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
    WebhookSeen,
    remaining,
)
from mailfleet.platforms.settling import Finding, OpenWrite
from mailfleet.platforms.smartlead_leads import sorted_out
from mailfleet.vendors.smartlead.area import fitting
from mailfleet.vendors.smartlead.client import SmartleadClient
from mailfleet.vendors.smartlead.leads import BATCH
from mailfleet.vendors.transport.secret import Hidden

log = structlog.get_logger(__name__)
# smartlead:email-accounts/warmup
PER_DAY, RAMPUP, REPLIES = (1, 50), (5, 20), (20, 100)
SHORTEST_GAP = 3
TRACKING_CNAME = "open.sleadtrack.com"


class SmartleadPlatform:
    """`SendingPlatform` on one Smartlead account."""

    name = "smartlead"

    def __init__(self, client: SmartleadClient) -> None:
        self.client = client
        self.capabilities = Capabilities(
            repeat_step=False,
            webhook_events=smartlead_setup.HOOKED,
            max_leads_per_call=BATCH,
            costs=("smartlead",),
            warmup_per_day=PER_DAY,
            warmup_rampup=RAMPUP,
            tracking_cname=TRACKING_CNAME,
        )
        self._categories: dict[int, str] | None = None

    def __repr__(self) -> str:
        return f"SmartleadPlatform({self.client!r})"

    async def close(self) -> None:
        await self.client.close()

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.client.transport.key_id})

    async def settle(self, write: OpenWrite) -> Finding:
        return await smartlead_settling.settle(self.client, write)

    async def connect_mailbox(self, spec: MailboxSpec) -> str:
        """The new account's id. A known address is not connected twice: raises `Conflict`, find it instead."""
        if found := await self.client.mailboxes.find(spec.address):
            raise Conflict(
                f"Smartlead already has {spec.address} as account {found.id}.",
                vendor="smartlead",
                operation="create_email_account",
                hint="Adopt it with `find_mailbox`; a second account would orphan its leads (V14).",
                ref=str(found.id),
            )
        return str(await self.client.create_email_account(Hidden(smartlead_words.account_fields(spec))))

    async def find_mailbox(self, address: str) -> MailboxSeen | None:
        found = await self.client.mailboxes.find(address)
        return smartlead_words.mailbox(found) if found else None

    async def mailboxes(self) -> AsyncIterator[MailboxSeen]:
        async for account in self.client.mailboxes.list():
            yield smartlead_words.mailbox(account)

    async def mailbox(self, ref: str) -> MailboxSeen:
        return smartlead_words.mailbox(await self.client.mailboxes.get(ref))

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        gap, clamped = _clamp({"min_gap_minutes": (min_gap_minutes, (SHORTEST_GAP, 24 * 60))})
        values = {"daily_cap": daily_cap, **gap}
        await self.client.mailboxes.update(
            ref, max_email_per_day=daily_cap, time_to_wait_in_mins=gap["min_gap_minutes"]
        )
        return Applied(values=values, clamped=clamped)

    async def set_warmup(self, ref: str, settings: WarmupSettings) -> Applied:
        """The day's own figure goes to the vendor; what its bounds do not allow is clamped and said so (V4)."""
        values, clamped = _clamp(
            {
                "per_day": (settings.per_day, PER_DAY),
                "rampup": (settings.rampup, RAMPUP),
                "reply_percent": (settings.reply_percent, REPLIES),
            }
        )
        await self.client.configure_warmup(
            ref,
            warmup_enabled=settings.enabled,
            total_warmup_per_day=values["per_day"],
            daily_rampup=values["rampup"],
            reply_rate_percentage=values["reply_percent"],
        )
        return Applied(values={"enabled": settings.enabled, **values}, clamped=clamped)

    async def warmup(self, ref: str) -> WarmupReading | None:
        stats = await self.client.get_warmup_status(ref)
        return smartlead_words.warmup_reading(stats) if stats else None

    async def suspend_mailbox(self, ref: str, suspended: bool) -> None:
        await (self.client.mailboxes.suspend(ref) if suspended else self.client.mailboxes.unsuspend(ref))

    async def reconnect_mailboxes(self) -> None:
        await self.client.mailboxes.reconnect_failed()

    async def campaigns(self) -> Sequence[CampaignSeen]:
        return [smartlead_setup.seen(found) for found in await self.client.campaigns.list(whole=False)]

    async def campaign(self, ref: str) -> CampaignSeen:
        return smartlead_setup.seen(await self.client.get_campaign(ref))

    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        """The time zone comes with the schedule."""
        return str(await self.client.create_campaign(name))

    async def set_campaign(self, ref: str, *, schedule: Schedule, settings: CampaignSettings | None) -> None:
        await self.client.campaigns.set_schedule(ref, **smartlead_setup.schedule_fields(schedule))
        if settings:
            await self.client.campaigns.set_settings(ref, **smartlead_setup.settings_fields(settings))

    async def set_steps(self, ref: str, steps: Sequence[Step]) -> None:
        known = {found.seq_number: found for found in await self.client.campaigns.sequences(ref)}
        await self.client.campaigns.set_sequences(ref, [smartlead_setup.step_fields(step, known) for step in steps])

    async def steps(self, ref: str) -> Sequence[Step]:
        found = [smartlead_setup.step(sequence) for sequence in await self.client.campaigns.sequences(ref)]
        return sorted(found, key=lambda step: step.position)

    async def campaign_setup(self, ref: str) -> CampaignSetup:
        campaigns = self.client.campaigns
        return smartlead_setup.setup(
            await campaigns.get(ref), await campaigns.sequences(ref), await campaigns.mailboxes(ref)
        )

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        """Adds first, then removes, so that an active campaign is never left without one."""
        wanted = {int(mailbox) for mailbox in mailbox_refs}
        have = {account.id for account in await self.client.campaigns.mailboxes(ref)}
        await self.client.campaigns.add_mailboxes(ref, sorted(wanted - have))
        await self.client.campaigns.remove_mailboxes(ref, sorted(have - wanted), urgent=True)

    async def campaign_mailboxes(self, ref: str) -> Sequence[str]:
        return [str(account.id) for account in await self.client.campaigns.mailboxes(ref)]

    async def start_campaign(self, ref: str) -> None:
        await self.client.start_campaign(ref)

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        await self.client.pause_campaign(ref, urgent=urgent)

    async def pulse(self, ref: str) -> Pulse:
        state = smartlead_words.campaign_state((await self.client.get_campaign(ref)).status)
        return Pulse(state=state, sent=(await self.client.statistics.totals(ref)).sent_count)

    async def stage(
        self,
        name: str,
        *,
        remaining_steps: Sequence[Step],
        schedule: Schedule,
        settings: CampaignSettings,
        mailbox_refs: Sequence[str],
    ) -> str:
        """A draft: the vendor starts nothing by itself."""
        ref = await self.create_campaign(name)
        await self.set_campaign(ref, schedule=schedule, settings=settings)
        await self.set_steps(ref, remaining(remaining_steps))
        await self.set_campaign_mailboxes(ref, mailbox_refs)
        return ref

    async def discard(self, ref: str) -> None:
        await self.client.campaigns.delete(ref)

    async def positions(self, campaign_ref: str) -> AsyncIterator[Position]:
        """Two passes, each in pages: what was sent, then who is there."""
        last: dict[str, tuple[int, datetime]] = {}
        async for sent in self.sent_messages(campaign_ref):
            key = sent.email.lower()
            last[key] = max(last.get(key, (0, sent.sent_at)), (sent.step, sent.sent_at))
        async for found in self.client.get_campaign_leads(campaign_ref):
            seen = smartlead_words.lead(found, {})
            step, at = last.get(seen.email.lower(), (0, None))
            state: LeadState = "stopped" if seen.unsubscribed else seen.state
            yield Position(ref=seen.ref, email=seen.email, state=state, last_step=step, last_sent_at=at)

    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads:
        """One batch of at most `capabilities.max_leads_per_call`, every address accounted for."""
        answer = await self.client.leads.add(campaign_ref, [smartlead_words.lead_fields(lead) for lead in leads])
        return sorted_out(answer, [lead.email for lead in leads])

    async def leads(self, campaign_ref: str, *, state: LeadState | None = None) -> AsyncIterator[LeadSeen]:
        names = await self._category_names()
        word = smartlead_words.lead_word(state)
        async for found in self.client.get_campaign_leads(campaign_ref, **({"status": word} if word else {})):
            yield smartlead_words.lead(found, names)

    async def find_lead(self, email: str) -> tuple[str, Sequence[str]] | None:
        """The lead's id and the campaigns it is in."""
        found = await self.client.get_lead_by_email(email)
        return (str(found.id), [str(c.campaign_id) for c in found.lead_campaign_data]) if found else None

    async def lead_state(self, campaign_ref: str, lead_ref: str) -> LeadState:
        """The list is all there is (smartlead:campaigns/leads); `one_state` says so."""
        states: dict[str, LeadState] = {seen.ref: seen.state async for seen in self.leads(campaign_ref)}
        return states.get(lead_ref, "unknown")

    async def pause_lead(self, campaign_ref: str, lead_ref: str) -> None:
        await self.client.leads.pause(campaign_ref, lead_ref)

    async def resume_lead(self, campaign_ref: str, lead_ref: str, *, delay_days: int = 0) -> None:
        await self.client.leads.resume(campaign_ref, lead_ref, delay_days)

    async def stop_lead(self, campaign_ref: str, lead_ref: str) -> None:
        """Paused, and never resumed by us. Deleting would lose its history, unsubscribing would report an opt-out of
        somebody who never opted out."""
        await self.client.leads.pause(campaign_ref, lead_ref)

    async def unsubscribe_lead(self, lead_ref: str) -> None:
        await self.client.leads.unsubscribe(lead_ref)

    async def forget_lead(self, campaign_ref: str, lead_ref: str) -> None:
        """Deleted: the lead itself goes too when it is in no other campaign."""
        await self.client.leads.delete(campaign_ref, lead_ref)

    async def block(self, addresses: Sequence[str]) -> None:
        if addresses:
            await self.client.leads.block(addresses)

    async def unblock(self, addresses: Sequence[str]) -> None:
        """Entries are taken off by number, so the list is read first."""
        wanted = {address.lower() for address in addresses}
        known = [entry async for entry in self.client.leads.blocked()]
        for entry in known:
            if entry.email_or_domain.lower() in wanted:
                await self.client.leads.unblock(entry.id)

    async def blocked(self) -> AsyncIterator[str]:
        async for entry in self.client.leads.blocked():
            yield entry.email_or_domain.lower()

    async def stats(self, campaign_ref: str) -> CampaignStats:
        return smartlead_words.stats(await self.client.statistics.totals(campaign_ref))

    async def counters(self, since: date, until: date) -> Mapping[str, Counters]:
        return {
            str(row.id): Counters(sent=row.sent, opened=row.opened, replied=row.replied, bounced=row.bounced)
            for row in await self.client.statistics.by_campaign(since, until)
        }

    async def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]:
        async for row in self.client.statistics.messages(campaign_ref, since=since):
            if message := smartlead_words.sent_message(row):
                yield message

    async def history(self, campaign_ref: str, lead_ref: str) -> Sequence[HistoryEntry]:
        return smartlead_words.history(await self.client.statistics.history(campaign_ref, lead_ref))

    async def complaints(self, campaign_ref: str) -> Sequence[LeadSeen]:
        """Leads marked as complaining: the vendor has no event for it, only this filter (V5)."""
        names = await self._category_names()
        found = await fitting(self.client.get_campaign_leads(campaign_ref, emailStatus="is_spam"))
        return [smartlead_words.lead(lead, names) for lead in found]

    async def ensure_webhook(self, campaign_ref: str, url: str, *, renew: bool = False) -> str:
        """The vendor disables hooks without showing it (V10)."""
        return str(await self.client.configure_webhook(campaign_ref, url, renew=renew) or "")

    async def webhooks(self, campaign_ref: str) -> Sequence[WebhookSeen]:
        return [smartlead_setup.webhook(hook) for hook in await self.client.webhooks.of(campaign_ref)]

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        return smartlead_events.parse(body)

    async def _category_names(self) -> dict[int, str]:
        if self._categories is None:
            self._categories = {found.id: found.name for found in await self.client.leads.categories()}
        return self._categories


def _clamp(
    asked: Mapping[str, tuple[int, tuple[int, int]]],
) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    values = {name: min(max(value, low), high) for name, (value, (low, high)) in asked.items()}
    clamped = {name: (value, values[name]) for name, (value, _) in asked.items() if values[name] != value}
    if clamped:
        log.info("smartlead.clamped", **{name: f"{was}→{now}" for name, (was, now) in clamped.items()})
    return values, clamped
