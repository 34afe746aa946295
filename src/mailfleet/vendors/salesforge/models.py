"""What Salesforge answers, as far as we use it. Names are the vendor's, in our case; no model has a password (V13)."""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Unknown fields are ignored; a missing or unfit one we rely on is `Drift`."""


class Key(Model, frozen=True, kw_only=True):
    account_id: str
    api_key_name: str = ""


class Workspace(Model, frozen=True, kw_only=True):
    id: str
    name: str = ""
    slug: str = ""


class Product(Model, frozen=True, kw_only=True):
    id: str
    internal_name: str = ""
    translations: list[dict[str, Any]] = []


class Named(Model, frozen=True, kw_only=True):
    """A tag, or a custom variable."""

    id: str
    name: str = ""


class Enrolment(Model, frozen=True, kw_only=True):
    """A sequence that a contact is in (newer than 2026-02)."""

    id: str
    name: str = ""
    status: str = ""


class Contact(Model, frozen=True, kw_only=True):
    id: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    position: str = ""
    linkedin_url: str = ""
    tags: list[str] = []
    custom_vars: dict[str, Any] | None = None
    sequences: list[Enrolment] | None = None
    """None: this answer does not say, which is not the same as being in none."""


class Variant(Model, frozen=True, kw_only=True):
    id: str = ""
    order: int = 0
    label: str = ""
    status: str = "active"
    distribution_weight: float = 0
    email_subject: str = ""
    email_content: str = ""


class Step(Model, frozen=True, kw_only=True):
    id: str = ""
    order: int = 0
    """From 0; webhooks count from 1."""
    name: str = ""
    wait_days: int = 0
    distribution_strategy: str = "equal"
    variants: list[Variant] = []


class SequenceMailbox(Model, frozen=True, kw_only=True):
    id: str
    address: str = ""


class Sequence(Model, frozen=True, kw_only=True):
    """A V1 sequence. Steps and mailboxes only by id; schedule, time zone and language never (salesforge:sequences/get).

    Percentages are not ours to recompute: their denominators do not match the counters beside them.
    """

    id: str
    name: str = ""
    status: str = ""
    product_id: str = ""
    lead_count: int = 0
    contacted_count: int = 0
    opened_count: int = 0
    clicked_count: int = 0
    replied_count: int = 0
    replied_positive_count: int = 0
    bounced_count: int = 0
    completed_count: int = 0
    opt_outed_count: int = 0
    open_tracking_enabled: bool = False
    click_tracking_enabled: bool = False
    steps: list[Step] | None = None
    mailboxes: list[SequenceMailbox] | None = None


class Steps(Model, frozen=True, kw_only=True):
    steps: list[Step] = []


class Count(Model, frozen=True, kw_only=True):
    count: int


class Day(Model, frozen=True, kw_only=True):
    sent: int = 0
    replied: int = 0
    total_opened: int = 0
    unique_opened: int = 0
    total_clicked: int = 0
    unique_clicked: int = 0


class DayStats(Model, frozen=True, kw_only=True):
    contacted: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    replied_positive: int = 0


class Analytics(Model, frozen=True, kw_only=True):
    """By day, without bounces and without steps (salesforge:sequences/analytics)."""

    days: dict[str, Day] = {}
    stats: DayStats = DayStats()


class Metrics(Model, frozen=True, kw_only=True):
    """Over the workspace or some sequences; the only count of bounces (salesforge:sequence-metrics)."""

    contacted: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    replied_positive: int = 0
    bounced: int = 0


class Sending(Model, frozen=True, kw_only=True):
    """When something was sent to a contact: one row a mail or one a contact, which is not settled."""

    sequence_id: str
    contact_id: str
    email: str = ""
    scheduled: str | None = None
    sent: str | None = None
    opened: str | None = None
    clicked: str | None = None


class Mailbox(Model, frozen=True, kw_only=True):
    """`active` may carry a `disconnect_reason` (salesforge:mailboxes/list). No warm-up, no credentials."""

    id: str
    address: str
    first_name: str = ""
    last_name: str = ""
    status: str = ""
    disconnect_reason: str | None = None
    mailbox_provider: str = ""
    daily_email_limit: int | None = None
    signature: str | None = None
    tracking_domain: str | None = None


class Dnc(Model, frozen=True, kw_only=True):
    value: str
    type: str = ""
    created_at: str = ""


class Created(Model, frozen=True, kw_only=True):
    created: int = 0


class Contacts(Model, frozen=True, kw_only=True):
    contacts: list[Contact] = []


class ThreadRow(Model, frozen=True, kw_only=True):
    id: str
    mailbox_id: str = ""
    contact_email: str = ""
    subject: str = ""
    content: str = ""
    date: str = ""
    label_id: str | None = None
    label_applied_at: str | None = None
    is_positive: bool | None = None
    reply_type: str = ""


class ThreadEmail(Model, frozen=True, kw_only=True):
    id: str
    email_id: str = ""
    """Looks like a Message-ID without brackets: an opaque key (salesforge:threads/get)."""
    type: str = ""
    subject: str = ""
    content: str = ""
    date: str = ""
    from_address: str = ""
    to_address: str = ""


class ThreadContact(Model, frozen=True, kw_only=True):
    id: str
    email: str = ""


class ThreadSequence(Model, frozen=True, kw_only=True):
    id: str = ""
    name: str = ""


class Thread(Model, frozen=True, kw_only=True):
    contact: ThreadContact
    sequence: ThreadSequence | None = None
    emails: list[ThreadEmail] = []


class Label(Model, frozen=True, kw_only=True):
    id: str
    name: str = ""
    special_label: str | None = None


class Hook(Model, frozen=True, kw_only=True):
    """`signing_secret` stands in the answer to its making and nowhere else."""

    id: str
    name: str = ""
    type: str = ""
    url: str = ""
    sequence_id: str | None = None
    sequence_ids: list[str] | None = None
    sent_count: int = 0
    signing_secret: str | None = None

    def __repr__(self) -> str:
        return f"Hook({self.id!r}, {self.type!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("type", self.type)]

    def covers(self, sequence: str) -> bool:
        """Whether it is told of this sequence; one without any is told of the whole workspace."""
        named = self.sequence_ids or ([self.sequence_id] if self.sequence_id else [])
        return not named or sequence in named


class DayWindow(Model, frozen=True, kw_only=True):
    """Fields named as the vendor names them; `from` and `to` are hours."""

    enabled: bool = False
    start: int = msgspec.field(name="from", default=0)
    end: int = msgspec.field(name="to", default=0)


class Window(Model, frozen=True, kw_only=True):
    timezone: str = ""
    schedule: dict[str, DayWindow] = {}


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A multichannel sequence as its list shows it; the rest is kept as it comes."""

    id: int
    name: str = ""
    status: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A sender: mailboxes belong to it, not to a sequence."""

    id: int
    name: str = ""
    status: str | None = None
    mailboxes: list[dict[str, Any]] = []
