"""The port of a sending platform, in our words. Adapters translate; services and the migration know only this.

Every reference (`ref`) is the platform's own identifier as text. Rates are fractions, times are aware UTC, a limit is
mails a day. Errors raised: the tree under `errors.VendorError`; a write whose outcome is unknown raises `Ambiguous` and
is already in the journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from mailfleet.platforms.happened import CampaignStats, Counters, EventKind, HistoryEntry, PlatformEvent, SentMessage

CampaignState = Literal["draft", "running", "paused", "stopped", "completed", "archived", "unknown"]
LeadState = Literal["started", "in_progress", "completed", "paused", "stopped", "blocked", "unknown"]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform can and cannot do; asked before use (spec decisions V15, S9)."""

    connect_mailboxes: bool = True
    suspend_mailboxes: bool = True
    draft_campaigns: bool = True
    """A campaign can hold steps and leads and send nothing until it is started: what `stage` needs."""
    pause_read_back: bool = True
    """That a campaign is paused can be read, not only ordered."""
    schedule_read_back: bool = True
    """Where it cannot, whoever needs the schedule elsewhere has to be told it by a person."""
    list_leads: bool = True
    find_lead: bool = True
    """One lead can be looked up by address for less than reading them all."""
    one_state: bool = False
    """The state of one lead is read by itself (`lead_state`); else the campaign's list has to be read for it."""
    positions: bool = True
    """How far each lead has come, step by step."""
    stop_lead: Literal["lead", "address", "none"] = "lead"
    """What ends one lead alone: its pause in the campaign, its address on the block list, or nothing."""
    resume_lead_with_delay: bool = True
    repeat_step: bool = False
    step_statistics: bool = True
    block_list: bool = True
    unblock: bool = True
    """Entries of the block list can be read and taken off again."""
    warmup: bool = True
    webhooks: bool = True
    webhook_retries: bool = True
    """False: an event that was not taken is told only by reading."""
    costs: tuple[str, ...] = ()
    """The rows of the price table that are paid for it."""
    webhook_events: frozenset[EventKind] = frozenset()
    """What a hook of a campaign has to be registered for."""
    max_leads_per_call: int = 100
    warmup_per_day: tuple[int, int] = (0, 10_000)
    warmup_rampup: tuple[int, int] = (0, 10_000)
    tracking_cname: str | None = None
    """What a custom tracking host has to point to; None: the platform has no such thing."""


class MailboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox to connect. The password is the host's; it never appears in a repr, a log or the journal."""

    address: str
    display_name: str
    username: str
    password: str
    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int
    daily_cap: int
    min_gap_minutes: int = 10
    signature: str = ""
    tracking_host: str | None = None

    def __repr__(self) -> str:
        return f"MailboxSpec(address={self.address!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("address", self.address)]


class WarmupSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the mailbox's warm-up should be today, before the platform's bounds are applied."""

    enabled: bool
    per_day: int
    rampup: int
    reply_percent: int = 30


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was really set, and what had to be clamped to the platform's bounds (V4): name → (asked, set)."""

    values: Mapping[str, int | bool] = {}
    clamped: Mapping[str, tuple[int, int]] = {}


class MailboxSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as the platform reports it. No password ever crosses this border (V13)."""

    ref: str
    address: str
    connected: bool
    failure: str = ""
    suspended: bool = False
    daily_cap: int | None = None
    sent_today: int | None = None
    min_gap_minutes: int | None = None
    warmup_enabled: bool | None = None
    warmup_blocked: bool = False
    warmup_failure: str = ""
    """Why it is blocked, in the platform's words."""
    warmup_per_day: int | None = None
    warmup_reply_percent: int | None = None
    reputation: float | None = None
    """The vendor's warm-up reputation, 0–100."""
    campaign_refs: tuple[str, ...] | None = None
    raw: Mapping[str, Any] = {}


class WarmupReading(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of warm-up mail over the vendor's trailing window (7 days), and by day where given."""

    sent: int
    inbox: int
    spam: int
    by_day: Mapping[date, int] = {}
    raw: Mapping[str, Any] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of a sequence. `body` is HTML; the merge fields in it are the platform's to fill."""

    position: int
    subject: str
    body: str
    delay_days: int
    variants: tuple[tuple[str, str, str], ...] = ()
    """(label, subject, body) of each variant; empty: the step has one form."""
    shares: tuple[int, ...] = ()
    """Per cent of the leads for each variant; empty: equal parts."""


def remaining(steps: Sequence[Step]) -> list[Step]:
    """Steps that are left, as a sequence of their own."""
    ordered = sorted(steps, key=lambda step: step.position)
    return [
        msgspec.structs.replace(step, position=place, delay_days=step.delay_days if place > 1 else 0)
        for place, step in enumerate(ordered, 1)
    ]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    timezone: str
    days: tuple[int, ...]
    """ISO weekdays, 1 = Monday."""
    start_hour: int
    end_hour: int
    min_gap_minutes: int = 10
    max_new_leads_per_day: int = 100


class CampaignSettings(msgspec.Struct, frozen=True, kw_only=True):
    track_opens: bool = False
    track_clicks: bool = False
    stop_on_reply: bool = True
    bounce_autopause_percent: int = 8
    unsubscribe_text: str = ""
    """What the platform adds under each mail by itself; empty where the bodies say it."""
    follow_up_percent: int = 50
    plain_text: bool = False


class CampaignSeen(msgspec.Struct, frozen=True, kw_only=True):
    ref: str
    name: str
    state: CampaignState
    created_at: datetime | None = None
    max_new_leads_per_day: int | None = None
    leads: int | None = None
    """How many it holds, where the list of campaigns says so."""
    raw: Mapping[str, Any] = {}


class CampaignSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign read back whole, under the names it is written by.

    `fields` has `schedule.NAME` for the fields of `Schedule` (its hours as one text, `schedule.hours`: `09:00-17:00`)
    and `settings.NAME` for those of `CampaignSettings`; what the platform does not show is left out.
    """

    state: CampaignState
    fields: Mapping[str, Any]
    steps: Sequence[Step] = ()
    mailbox_refs: frozenset[str] = frozenset()
    variant_labels: Mapping[str, str] = {}
    """The platform's id of a variant → `POSITION:LABEL`, or `POSITION` alone."""


class WebhookSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A hook as the platform reports it. `ours`: it carries our name. `filled`: every filter that must not be empty."""

    ref: str
    ours: bool
    url: str
    events: frozenset[EventKind] = frozenset()
    filled: bool = True


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    email: str
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    fields: Mapping[str, str] = {}


class AddedLeads(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch, by normalised address. Every address given is in exactly one of these."""

    added: Mapping[str, str] = {}
    """address → the platform's lead id."""
    already_there: Mapping[str, str] = {}
    blocked: tuple[str, ...] = ()
    """On the platform's own block, bounce or unsubscribe list."""
    invalid: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()
    """Refused for now (lead credit used up): to be queued again."""
    unexplained: tuple[str, ...] = ()
    """The counters do not add up for these: read back before anything else."""


class LeadSeen(msgspec.Struct, frozen=True, kw_only=True):
    ref: str
    map_ref: str
    email: str
    state: LeadState
    category: str | None = None
    unsubscribed: bool = False
    raw: Mapping[str, Any] = {}


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a lead has come in a campaign."""

    ref: str
    email: str
    state: LeadState
    last_step: int | None
    """Position of the last step that left; 0: none has; None: the platform does not tell."""
    last_sent_at: datetime | None = None
    mailbox_ref: str | None = None

    @property
    def pending(self) -> bool:
        """Whether more would be sent to it if nothing else happened."""
        return self.state in ("started", "in_progress", "paused")


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One cheap reading: a pause is believed when `state` reads paused and `sent` stands still over several."""

    state: CampaignState
    sent: int


class SendingPlatform(Protocol):
    """A place that sends. `name` is what the ledger and the links store."""

    name: str
    capabilities: Capabilities

    async def close(self) -> None: ...

    # mailboxes
    async def connect_mailbox(self, spec: MailboxSpec) -> str: ...
    async def find_mailbox(self, address: str) -> MailboxSeen | None: ...
    def mailboxes(self) -> AsyncIterator[MailboxSeen]: ...
    async def mailbox(self, ref: str) -> MailboxSeen: ...
    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied: ...
    async def set_warmup(self, ref: str, settings: WarmupSettings) -> Applied: ...
    async def warmup(self, ref: str) -> WarmupReading | None: ...
    async def suspend_mailbox(self, ref: str, suspended: bool) -> None: ...
    async def reconnect_mailboxes(self) -> None: ...

    # campaigns
    async def campaigns(self) -> Sequence[CampaignSeen]: ...
    async def campaign(self, ref: str) -> CampaignSeen: ...
    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        """A campaign that does not send. Where the time zone can only be given now, this is it."""
        ...

    async def set_campaign(self, ref: str, *, schedule: Schedule, settings: CampaignSettings | None) -> None:
        """None: the settings stay as they are."""
        ...

    async def set_steps(self, ref: str, steps: Sequence[Step]) -> None: ...
    async def steps(self, ref: str) -> Sequence[Step]: ...
    async def campaign_setup(self, ref: str) -> CampaignSetup: ...
    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None: ...
    async def campaign_mailboxes(self, ref: str) -> Sequence[str]: ...
    async def start_campaign(self, ref: str) -> None: ...
    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None: ...
    async def pulse(self, ref: str) -> Pulse: ...

    # a campaign prepared beside the one that runs, for a rollback
    async def stage(
        self,
        name: str,
        *,
        remaining_steps: Sequence[Step],
        schedule: Schedule,
        settings: CampaignSettings,
        mailbox_refs: Sequence[str],
    ) -> str:
        """A campaign of this name with these steps that sends nothing until `start_campaign`, whatever it holds.

        They are numbered anew from 1, and the first is due at once.

        Raises NotAllowed where the platform has no such state. Names may repeat: only the ref returned is the token,
        and one whose making is ambiguous is discarded, never started.
        """
        ...

    async def discard(self, ref: str) -> None:
        """Ends a staged campaign for good, so that nothing can start it."""
        ...

    # leads
    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads: ...
    def leads(self, campaign_ref: str, *, state: LeadState | None = None) -> AsyncIterator[LeadSeen]:
        """All leads of a campaign, or those in one state."""
        ...

    def positions(self, campaign_ref: str) -> AsyncIterator[Position]:
        """Every lead of a campaign with the last step it got."""
        ...

    async def find_lead(self, email: str) -> tuple[str, Sequence[str]] | None: ...
    async def lead_state(self, campaign_ref: str, lead_ref: str) -> LeadState:
        """Of one lead; only where `one_state` says it can be read by itself."""
        ...

    async def pause_lead(self, campaign_ref: str, lead_ref: str) -> None: ...
    async def resume_lead(self, campaign_ref: str, lead_ref: str, *, delay_days: int = 0) -> None: ...
    async def stop_lead(self, campaign_ref: str, lead_ref: str) -> None: ...
    async def unsubscribe_lead(self, lead_ref: str) -> None: ...
    async def block(self, addresses: Sequence[str]) -> None: ...
    async def unblock(self, addresses: Sequence[str]) -> None:
        """Takes entries off; what is not on the list is passed over. Raises NotAllowed where that cannot be done."""
        ...

    def blocked(self) -> AsyncIterator[str]:
        """Every address and domain on the platform's own list."""
        ...

    # what happened
    async def stats(self, campaign_ref: str) -> CampaignStats: ...
    def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]: ...
    async def history(self, campaign_ref: str, lead_ref: str) -> Sequence[HistoryEntry]: ...
    async def complaints(self, campaign_ref: str) -> Sequence[LeadSeen]: ...
    async def webhooks(self, campaign_ref: str) -> Sequence[WebhookSeen]: ...
    async def ensure_webhook(self, campaign_ref: str, url: str, *, renew: bool = False) -> str:
        """One hook of ours, at this address, for every event of ours.

        `renew` writes it again though it looks right: a platform may switch one off unseen. What is there of ours
        beside it goes.
        """
        ...

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        """One raw webhook body as one of our events; None when its kind is not known (kept, counted, not dropped)."""
        ...


@runtime_checkable
class ListsCounters(Protocol):
    """A platform that gives the counters of all campaigns of the account in one answer."""

    async def counters(self, since: date, until: date) -> Mapping[str, Counters]:
        """By the campaign's reference, of these days; what it leaves out has to be asked for by itself."""
        ...


@runtime_checkable
class ForgetsLeads(Protocol):
    """A platform that can take a lead and its data out of a campaign for good (dns-mail L11)."""

    async def forget_lead(self, campaign_ref: str, lead_ref: str) -> None: ...


@runtime_checkable
class CountsLeads(Protocol):
    """A platform that tells how many leads of a campaign are in which state, where `stats` does not."""

    async def lead_states(self, campaign_ref: str) -> Mapping[str, int]: ...
