"""What one Smartlead account holds."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

# smartlead:leads/fetch-categories; names are the vendor's defaults, ids differ by account.
CATEGORIES = (
    ("Interested", "positive"),
    ("Meeting Request", "positive"),
    ("Not Interested", "negative"),
    ("Do Not Contact", "negative"),
    ("Information Request", "positive"),
    ("Out Of Office", "neutral"),
    ("Wrong Person", "negative"),
)
STATS_DAYS = 7
_FIRST = {
    "account": 310044, "campaign": 771200, "sequence": 55210, "variant": 88120, "lead": 4155000001, "map": 2890001,
    "webhook": 100, "block": 61001, "client": 3301, "tag": 501, "test": 9001, "warmup": 40001, "list": 701, "key": 11,
    "note": 21001, "task": 31001, "mapping": 51001, "mail": 81001, "folder": 601,
}  # fmt: skip


@dataclass
class Warmup:
    """The warm-up settings and counts of one mailbox."""

    id: int
    created_at: datetime
    enabled: bool = True
    total_per_day: int = 20
    rampup: int = 5
    ramping: bool = False
    reply_rate: int = 30
    key_id: str = ""
    sent: int = 0
    spam: int = 0
    blocked_reason: str | None = None
    running: bool = False
    # Day to [sent, spam, received, replied, saved from spam].
    days: dict[str, list[int]] = field(default_factory=dict[str, list[int]])


@dataclass
class Mailbox:
    """A connected e-mail account."""

    id: int
    created_at: datetime
    updated_at: datetime
    fields: dict[str, Any]
    smtp_ok: bool = True
    imap_ok: bool = True
    smtp_error: str | None = None
    imap_error: str | None = None
    suspended: bool = False
    warmup: Warmup | None = None
    tag_ids: list[int] = field(default_factory=list[int])
    sent_at: deque[datetime] = field(default_factory=deque[datetime])

    @property
    def vendor(self) -> str:
        return "smartlead"

    @property
    def address(self) -> str:
        return cast(str, self.fields["from_email"])

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()

    @property
    def per_day(self) -> int:
        return int(self.fields.get("message_per_day") or 0)

    def sent_since(self, moment: datetime) -> int:
        """Campaign mails since a moment not more than two days ago."""
        return sum(1 for at in self.sent_at if at >= moment)


@dataclass
class Variant:
    """One wording of a step."""

    id: int
    subject: str
    body: str
    label: str
    share: int | None
    created_at: datetime


@dataclass
class Step:
    """One mail of a sequence."""

    id: int
    number: int
    delay_days: int
    subject: str
    body: str
    created_at: datetime
    variants: list[Variant] = field(default_factory=list[Variant])


@dataclass
class Lead:
    """A person as the vendor knows them, over all campaigns."""

    id: int
    email: str
    fields: dict[str, Any]
    created_at: datetime
    unsubscribed: bool = False
    spam: bool = False
    maps: dict[int, LeadMap] = field(default_factory=dict[int, "LeadMap"])
    # The lead lists it is in.
    lists: set[int] = field(default_factory=set[int])
    # Mapping number to tag number.
    tags: dict[int, int] = field(default_factory=dict[int, int])
    notes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tasks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass
class Sent:
    """One message that left: a row of the campaign's statistics."""

    stats_id: str
    message_id: str
    lead_map: LeadMap
    step: Step
    variant: Variant | None
    mailbox: Mailbox
    subject: str
    body: str
    at: datetime
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    replied_at: datetime | None = None
    opens: int = 0
    clicks: int = 0
    bounced: bool = False
    sender_bounced: bool = False
    unsubscribed: bool = False
    links: list[str] = field(default_factory=list[str])


@dataclass
class Message:
    """An entry of a lead's message history that is not a step: a reply, or an answer sent by hand."""

    type: str
    at: datetime
    message_id: str
    stats_id: str
    sender: str
    to: str
    subject: str
    body: str
    cc: list[str] = field(default_factory=list[str])


@dataclass
class LeadMap:
    """A lead in a campaign."""

    id: int
    lead: Lead
    campaign: Campaign
    created_at: datetime
    status: str = "STARTED"
    category_id: int | None = None
    next_step: int = 1
    due: datetime | None = None
    mailbox: Mailbox | None = None
    sent: list[Sent] = field(default_factory=list[Sent])
    messages: list[Message] = field(default_factory=list[Message])
    resting_until: datetime | None = None
    unsubscribed: bool = False
    # What people marked in the inbox.
    read: bool = False
    revenue: float = 0.0
    reminder: datetime | None = None
    # Who of the team looks after it; nobody is the owner.
    member: int | None = None
    # Raised whenever a pause, resume or stop makes queued work out of date.
    version: int = 0

    @property
    def replied(self) -> bool:
        return any(message.type == "REPLY" for message in self.messages)

    @property
    def bounced(self) -> bool:
        return any(sent.bounced for sent in self.sent)


@dataclass
class Campaign:
    """A campaign with its settings, in the vendor's read names."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    client_id: int | None
    status: str = "DRAFTED"
    schedule: dict[str, Any] | None = None
    min_gap: int = 10
    max_new: int = 20
    schedule_start: str | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    steps: list[Step] = field(default_factory=list[Step])
    mailboxes: dict[int, Mailbox] = field(default_factory=dict[int, Mailbox])
    maps: dict[int, LeadMap] = field(default_factory=dict[int, LeadMap])
    sent: list[Sent] = field(default_factory=list[Sent])
    bounces: int = 0
    parent_id: int | None = None
    engine: Any = None

    def step(self, position: int) -> Step | None:
        """The step at a position, from 1."""
        return self.steps[position - 1] if 0 < position <= len(self.steps) else None

    def tracks(self, what: str) -> bool:
        """Whether OPEN, LINK_CLICK or REPLY_TO_AN_EMAIL is tracked."""
        return all(not setting.endswith(what) for setting in self.settings.get("track_settings", []))


@dataclass
class LeadList:
    """A list of leads that belongs to no campaign."""

    id: int
    name: str
    created_at: datetime
    tag_ids: list[int] = field(default_factory=list[int])


@dataclass
class Blocked:
    """An entry of the block list: a domain or an address."""

    id: int
    what: str
    created_at: datetime
    source: str
    client_id: int | None


@dataclass
class Webhook:
    """A registered hook; `campaign_id` None = of the account."""

    id: int
    name: str
    url: str
    events: list[str]
    categories: list[str]
    created_at: datetime
    campaign_id: int | None = None
    client_id: int | None = None
    failures: int = 0
    disabled: bool = False
    results: list[tuple[datetime, bool]] = field(default_factory=list[tuple[datetime, bool]])
    failed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    # What was sent lately, for whoever sends it again.
    made: deque[tuple[datetime, str, dict[str, Any]]] = field(
        default_factory=lambda: deque[tuple[datetime, str, dict[str, Any]]](maxlen=10_000)
    )


@dataclass
class Smartlead:
    """The account."""

    api_key: str
    webhook_secret: str
    user_id: int = 9001
    mailboxes: dict[int, Mailbox] = field(default_factory=dict[int, Mailbox])
    campaigns: dict[int, Campaign] = field(default_factory=dict[int, Campaign])
    leads: dict[int, Lead] = field(default_factory=dict[int, Lead])
    by_email: dict[str, Lead] = field(default_factory=dict[str, Lead])
    by_stats_id: dict[str, Sent] = field(default_factory=dict[str, Sent])
    blocks: dict[int, Blocked] = field(default_factory=dict[int, Blocked])
    blocked: dict[str, Blocked] = field(default_factory=dict[str, Blocked])
    webhooks: dict[int, Webhook] = field(default_factory=dict[int, Webhook])
    clients: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    client_keys: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    tags: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    tests: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    lists: dict[int, LeadList] = field(default_factory=dict[int, "LeadList"])
    mails: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    folders: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    reconnects: deque[datetime] = field(default_factory=deque[datetime])
    lead_credits: int | None = None
    sign_webhooks: bool = False
    retry_minutes: tuple[float, ...] = (1, 5, 30)
    disable_after_failure: bool = False
    # Which of two published shapes account-level notices have: flat or dotted.
    notice_shape: str = "flat"
    made: dict[str, int] = field(default_factory=dict[str, int])

    def new_id(self, kind: str) -> int:
        """The next integer id of a kind."""
        made = self.made[kind] = self.made.get(kind, 0) + 1
        return _FIRST[kind] + made - 1

    def blocks_address(self, email: str) -> bool:
        """Whether the block list holds the address or its domain."""
        return email in self.blocked or email.rpartition("@")[2] in self.blocked

    def block(self, what: str, now: datetime, source: str, client_id: int | None = None) -> bool:
        """Puts a domain or address on the block list; False when it was there already."""
        what = what.strip().lower()
        if not what or what in self.blocked:
            return False
        entry = Blocked(self.new_id("block"), what, now, source, client_id)
        self.blocks[entry.id] = self.blocked[what] = entry
        return True


def smartlead(world: World) -> Smartlead:
    """The account of this world."""
    kept = world.state.get("smartlead")
    if kept is None:
        kept = Smartlead(hexes(world, 40, "smartlead", "key"), hexes(world, 24, "smartlead", "hook"))
        world.state["smartlead"] = kept
        world.state["mailboxes"], world.state["campaigns"] = kept.mailboxes, kept.campaigns
    return cast(Smartlead, kept)


def category(world: World, name: str) -> int:
    """The id of a default category in this world."""
    return categories(world)[name]


def categories(world: World) -> dict[str, int]:
    """Default categories by name; the ids belong to the account."""
    first = 1 + world.rng("categories").randrange(3)
    return {name: first + position for position, (name, _) in enumerate(CATEGORIES)}


def stats_uuid(world: World, *parts: object) -> str:
    """A UUID that belongs to these parts in this world."""
    text = hashlib.blake2b("\x1f".join(map(str, (world.seed, *parts))).encode(), digest_size=16).hexdigest()
    # RFC 9562 4.1 and 5.4: version 4, variant 10.
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def rest_time(moment: datetime | None) -> str | None:
    """ISO 8601 UTC with milliseconds and `Z`, as REST answers carry it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def hook_time(moment: datetime) -> str:
    """Microseconds and `+00:00`, as webhooks carry it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def plain(text: str) -> str:
    """HTML as text, roughly as the vendor does it."""
    out: list[str] = []
    inside = False
    for part in (
        text.replace("<br>", "\n").replace("<br/>", "\n").replace("</div>", "</div>\n").replace("</p>", "</p>\n")
    ):
        if part == "<":
            inside = True
        elif part == ">" and inside:
            inside = False
        elif not inside:
            out.append(part)
    return "".join(out).strip()
