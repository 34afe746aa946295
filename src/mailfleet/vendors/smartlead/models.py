"""What Smartlead answers, as far as we use it. Digits in strings arrive as numbers; no model has a password (V13)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored; a missing or unfit one we rely on is `Drift`."""


class WarmupDetails(Model, frozen=True, kw_only=True):
    status: str | None = None
    reply_rate: float | None = None
    blocked_reason: str | None = None
    is_warmup_blocked: bool | None = None
    total_sent_count: int | None = None
    total_spam_count: int | None = None
    warmup_min_count: int | None = None
    warmup_max_count: int | None = None
    max_email_per_day: int | None = None
    warmup_created_at: datetime | None = None
    warmup_reputation: int | float | str | None = None
    """`"100%"` in lists, `100` in the detail (smartlead:email-accounts/get)."""

    @property
    def reputation(self) -> float | None:
        """0–100; None while the vendor gives none."""
        try:
            return float(str(self.warmup_reputation).strip().rstrip("%"))
        except ValueError:
            return None


class Tag(Model, frozen=True, kw_only=True):
    id: int | None = None
    name: str | None = None
    color: str | None = None


class EmailAccount(Model, frozen=True, kw_only=True):
    """A mailbox, from the list or by id: the two differ in fields (smartlead:email-accounts/get)."""

    id: int
    from_email: str
    from_name: str | None = None
    type: str | None = None
    client_id: int | None = None
    created_at: datetime | None = None
    smtp_host: str | None = None
    smtp_port: int | None = None
    imap_host: str | None = None
    imap_port: int | None = None
    message_per_day: int | None = None
    min_wait: int | None = msgspec.field(name="minTimeToWaitInMins", default=None)
    daily_sent_count: int | None = None
    custom_tracking_domain: str | None = None
    signature: str | None = None
    is_smtp_success: bool | None = None
    is_imap_success: bool | None = None
    smtp_failure_error: str | None = None
    imap_failure_error: str | None = None
    is_suspended: bool | None = None
    is_connected_to_campaign: bool | None = None
    campaign_count: int | None = None
    campaign_ids: list[int] | None = None
    tags: list[Tag] | None = None
    warmup_details: WarmupDetails | None = None


class WarmupDay(Model, frozen=True, kw_only=True):
    date: date
    sent_count: int = 0
    reply_count: int = 0
    save_from_spam_count: int = 0


class WarmupStats(Model, frozen=True, kw_only=True):
    """The last seven days, counts only: no reputation and no series of it (smartlead:email-accounts/warmup-stats)."""

    sent_count: int
    spam_count: int
    inbox_count: int
    warmup_email_received_count: int = 0
    stats_by_date: list[WarmupDay] = []


class Campaign(Model, frozen=True, kw_only=True):
    id: int
    name: str | None = None
    status: str
    created_at: datetime | None = None
    track_settings: list[str] | None = None
    scheduler_cron_value: dict[str, Any] | None = None
    min_time_btwn_emails: int | None = None
    max_leads_per_day: int | None = None
    stop_lead_settings: str | None = None
    send_as_plain_text: bool | None = None
    follow_up_percentage: int | None = None
    unsubscribe_text: str | None = None
    parent_campaign_id: int | None = None
    client_id: int | None = None


class CreatedCampaign(Model, frozen=True, kw_only=True):
    id: int
    name: str | None = None


class Duplicated(Model, frozen=True, kw_only=True):
    new_id: int = msgspec.field(name="newCampaignId")


class SequenceVariant(Model, frozen=True, kw_only=True):
    id: int | None = None
    subject: str | None = None
    email_body: str | None = None
    variant_label: str | None = None
    is_deleted: bool | None = None


class SequenceDelay(Model, frozen=True, kw_only=True):
    """Written `delay_in_days`, read `delayInDays` (smartlead:campaigns/sequences)."""

    days: int | None = msgspec.field(name="delayInDays", default=None)


class Sequence(Model, frozen=True, kw_only=True):
    id: int
    seq_number: int
    subject: str | None = None
    email_body: str | None = None
    seq_delay_details: SequenceDelay | None = None
    sequence_variants: list[SequenceVariant] | None = None


class LeadIdMap(Model, frozen=True, kw_only=True):
    added: dict[str, int] = msgspec.field(name="newlyAddedLeads", default_factory=dict)
    existing: dict[str, int] = msgspec.field(name="existingLeads", default_factory=dict)
    elsewhere: dict[str, int] = msgspec.field(name="existingLeadsInOtherCampaigns", default_factory=dict)


class AddedLeads(Model, frozen=True, kw_only=True):
    """`total_leads` were attached; `upload_count` were looked at (smartlead:campaigns/leads/add)."""

    upload_count: int = 0
    total_leads: int = 0
    block_count: int = 0
    duplicate_count: int = 0
    invalid_email_count: int = 0
    invalid_emails: list[str] = []
    already_added_to_campaign: int = 0
    unsubscribed_leads: list[Any] = []
    is_lead_limit_exhausted: bool = False
    lead_import_stopped_count: int = 0
    bounce_count: int = 0
    ids: LeadIdMap | None = msgspec.field(name="emailToLeadIdMap", default=None)


class Lead(Model, frozen=True, kw_only=True):
    id: int
    email: str
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    phone_number: str | None = None
    website: str | None = None
    location: str | None = None
    linkedin_profile: str | None = None
    company_url: str | None = None
    custom_fields: dict[str, Any] | None = None
    is_unsubscribed: bool | None = None


class CampaignLead(Model, frozen=True, kw_only=True):
    campaign_lead_map_id: int
    status: str
    lead: Lead
    lead_category_id: int | None = None
    created_at: datetime | None = None


class LeadCampaign(Model, frozen=True, kw_only=True):
    campaign_id: int
    campaign_lead_map_id: int | None = None
    campaign_name: str | None = None
    lead_category_id: int | None = None
    client_id: int | None = None


class KnownLead(Model, frozen=True, kw_only=True):
    """A lead by address, with the campaigns it is in; all empty when the address is unknown."""

    id: int = 0
    email: str = ""
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    custom_fields: dict[str, Any] | None = None
    is_unsubscribed: bool | None = None

    lead_campaign_data: list[LeadCampaign] = []


class Category(Model, frozen=True, kw_only=True):
    id: int
    name: str
    sentiment_type: str | None = None


class Blocked(Model, frozen=True, kw_only=True):
    id: int
    email_or_domain: str
    source: str | None = None
    client_id: int | None = None
    created_at: datetime | None = None


class MessageRow(Model, frozen=True, kw_only=True):
    """One sent message of one lead at one step (smartlead:campaigns/statistics)."""

    stats_id: str
    lead_email: str
    sequence_number: int
    lead_name: str | None = None
    lead_category: str | None = None
    email_campaign_seq_id: int | None = None
    seq_variant_id: int | None = None
    email_subject: str | None = None
    email_account_id: int | None = None
    sent_time: datetime | None = None
    open_time: datetime | None = None
    click_time: datetime | None = None
    reply_time: datetime | None = None
    open_count: int = 0
    click_count: int = 0
    is_unsubscribed: bool | None = None
    is_bounced: bool | None = None


class Totals(Model, frozen=True, kw_only=True):
    """`/analytics`: almost every number is a string (smartlead:campaigns/analytics)."""

    sent_count: int = 0
    unique_sent_count: int = 0
    open_count: int = 0
    unique_open_count: int = 0
    click_count: int = 0
    unique_click_count: int = 0
    reply_count: int = 0
    bounce_count: int = 0
    block_count: int = 0
    unsubscribed_count: int = 0
    total_count: int = 0
    drafted_count: int = 0
    status: str | None = None
    campaign_lead_stats: dict[str, int] | None = None


class CampaignRow(Model, frozen=True, kw_only=True):
    """One campaign among the account's (smartlead:analytics/campaign-overall-stats): no clicks, no opt-outs."""

    id: int
    sent: int = 0
    opened: int = 0
    replied: int = 0
    bounced: int = 0


class DayTotals(Totals, frozen=True, kw_only=True):
    start_date: str | None = None
    end_date: str | None = None
    total_reply_count: int | None = None
    non_ooo_reply_count: int | None = None


class MailboxRow(Model, frozen=True, kw_only=True):
    email_account_id: int | None = None
    from_email: str
    sent_count: int = 0
    open_count: int = 0
    click_count: int = 0
    reply_count: int = 0
    bounce_count: int = 0


class SequenceRow(Model, frozen=True, kw_only=True):
    email_campaign_seq_id: int
    sent_count: int = 0
    skipped_count: int = 0
    open_count: int = 0
    click_count: int = 0
    reply_count: int = 0
    bounce_count: int = 0
    unsubscribed_count: int = 0
    failed_count: int = 0
    stopped_count: int = 0
    positive_reply_count: int = 0


class Message(Model, frozen=True, kw_only=True):
    """One entry of a message history; `stats_id` of a reply is what answering it needs."""

    type: str
    time: datetime
    message_id: str | None = None
    stats_id: str | None = None
    subject: str | None = None
    email_body: str | None = None
    email_seq_number: int | None = None


class History(Model, frozen=True, kw_only=True):
    history: list[Message]


class Webhook(Model, frozen=True, kw_only=True):
    id: int
    name: str | None = None
    webhook_url: str | None = None
    event_types: list[str] | None = None
    categories: list[Any] | None = None
    event_type_map: dict[str, bool] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Of its events, in either of the two forms; empty when the answer has neither."""
        return frozenset({*(self.event_types or ()), *(name for name, on in (self.event_type_map or {}).items() if on)})


class Client(Model, frozen=True, kw_only=True):
    id: int
    name: str | None = None
    email: str | None = None
    uuid: str | None = None


class PlacementTest(Model, frozen=True, kw_only=True):
    id: int
    status: str | None = None
    test_type: str | None = None
    test_name: str | None = None
