"""What the accounts of the four products hold."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_TO_LETTERS = bytes(_LETTERS[byte % 36] for byte in range(256))
_ID_LENGTH = 21
PRODUCTS = ("salesforge", "warmforge", "infraforge", "mailforge")
# A contact in one of these is still to be written to.
GOES_ON = ("none", "active", "ooo", "contacted")


@dataclass(slots=True)
class Variant:
    """One wording of a step."""

    id: str
    label: str
    status: str
    subject: str
    content: str
    weight: float
    more: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Step:
    """One mail of a sequence; its place is its place in the list."""

    id: str
    name: str
    wait_days: int
    strategy: str
    variants: list[Variant]


@dataclass(slots=True)
class Box:
    """A mailbox in Salesforge. Credentials are taken and never shown."""

    id: str
    address: str
    first_name: str
    last_name: str
    created_at: datetime
    status: str = "pending"
    disconnect_reason: str = ""
    provider: str = "smtp"
    daily_limit: int = 30
    signature: str = ""
    tracking_domain: str = ""
    tags: list[str] = field(default_factory=list[str])
    sent_at: deque[datetime] = field(default_factory=deque[datetime])
    free_from: datetime | None = None

    @property
    def vendor(self) -> str:
        return "forge"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


@dataclass(slots=True)
class Contact:
    """A person in a workspace."""

    id: str
    email: str
    first_name: str
    last_name: str
    company: str
    position: str
    linkedin: str
    created_at: datetime
    tags: list[str] = field(default_factory=list[str])
    custom: dict[str, str] = field(default_factory=dict[str, str])
    enrolments: dict[str, Enrolment] = field(default_factory=dict[str, "Enrolment"])


@dataclass(slots=True)
class Mail:
    """A mail that left."""

    id: str
    message_id: str
    enrolment: Enrolment
    step: int
    variant: str
    box: Box
    subject: str
    body: str
    at: datetime
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    replied_at: datetime | None = None
    bounced: bool = False


@dataclass(slots=True)
class Enrolment:
    """A contact in a sequence. `next_step` counts from 0."""

    contact: Contact
    sequence: Sequence
    added_at: datetime
    status: str = "none"
    next_step: int = 0
    due: datetime | None = None
    box: Box | None = None
    imported: bool = False
    mails: list[Mail] = field(default_factory=list[Mail])
    version: int = 0


@dataclass
class Sequence:
    """A V1 sequence: e-mail only."""

    id: str
    name: str
    product_id: str
    created_at: datetime
    language: str
    timezone: str
    status: str = "draft"
    steps: list[Step] = field(default_factory=list[Step])
    schedules: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    mailboxes: dict[str, Box] = field(default_factory=dict[str, Box])
    enrolments: dict[str, Enrolment] = field(default_factory=dict[str, Enrolment])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    lead_count: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    days: dict[date, dict[str, int]] = field(default_factory=dict[date, dict[str, int]])
    mails: list[Mail] = field(default_factory=list[Mail])
    engine: Any = None

    def count(self, what: str, by: int = 1) -> None:
        """Adds to one of the counters beside the sequence."""
        self.counts[what] = self.counts.get(what, 0) + by

    def on(self, day: date, what: str) -> None:
        """Adds one to a day's counter."""
        found = self.days.setdefault(day, {})
        found[what] = found.get(what, 0) + 1


@dataclass
class Graph:
    """A multichannel sequence, as far as it is needed: a chain of mails in the node graph's form."""

    id: int
    name: str
    status: str
    timezone: str
    created_at: datetime
    schedule: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    nodes: list[dict[str, Any]]
    branches: list[dict[str, Any]]
    profiles: list[int] = field(default_factory=list[int])
    leads: int = 0


@dataclass(slots=True)
class Email:
    """A mail in a thread."""

    id: str
    email_id: str
    type: str
    subject: str
    content: str
    date: datetime
    sender: str
    to: str


@dataclass(slots=True)
class Thread:
    """A conversation: exists from the first answer on."""

    id: str
    box: Box
    contact: Contact
    sequence: Sequence
    reply_type: str
    emails: list[Email] = field(default_factory=list[Email])
    label_id: str = ""
    label_applied_at: datetime | None = None
    label_applied_by: str = ""
    positive: bool = False
    unread: bool = True


@dataclass(slots=True)
class Hook:
    """A registered webhook: one type."""

    id: str
    name: str
    type: str
    url: str
    sequence_ids: list[str]
    secret: str
    sent: int = 0


@dataclass
class Workspace:
    """A workspace of Salesforge."""

    id: str
    name: str
    slug: str
    products: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    boxes: dict[str, Box] = field(default_factory=dict[str, Box])
    contacts: dict[str, Contact] = field(default_factory=dict[str, Contact])
    by_email: dict[str, Contact] = field(default_factory=dict[str, Contact])
    sequences: dict[str, Sequence] = field(default_factory=dict[str, Sequence])
    graphs: dict[int, Graph] = field(default_factory=dict[int, Graph])
    profiles: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    mails: list[Mail] = field(default_factory=list[Mail])
    threads: dict[str, Thread] = field(default_factory=dict[str, Thread])
    labels: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    hooks: dict[str, Hook] = field(default_factory=dict[str, Hook])
    # Value to (type, when).
    dnc: dict[str, tuple[str, datetime]] = field(default_factory=dict[str, tuple[str, datetime]])
    # Raised when who is in which sequence changes; lists made for a filter are kept as long as it stays.
    version: int = 0
    kept: dict[str, tuple[int, list[Contact]]] = field(default_factory=dict[str, tuple[int, list[Contact]]])
    # The conversations, those with the newest mail first; emptied by every mail in one.
    newest: list[Thread] = field(default_factory=list["Thread"])

    def add_email(self, thread: Thread, email: Email) -> None:
        """Puts a mail at the end of a conversation."""
        thread.emails.append(email)
        self.newest = []

    def by_newest(self) -> list[Thread]:
        """The conversations, those with the newest mail first; sorted once, since pages ask again and again."""
        if len(self.newest) != len(self.threads):
            self.newest = sorted(self.threads.values(), key=lambda thread: thread.emails[-1].date, reverse=True)
        return self.newest

    def forbids(self, email: str) -> bool:
        """Whether the do-not-contact list holds the address or its domain."""
        return bool(self.dnc) and (email in self.dnc or email.rpartition("@")[2] in self.dnc)


@dataclass
class Forge:
    """The accounts."""

    keys: dict[str, str]
    account_id: str
    workspaces: dict[str, Workspace] = field(default_factory=dict[str, Workspace])
    # 2026-02 or 2026-09 (default): what of the interface there is.
    profile: str = "2026-09"
    # sending-data in one row a mail, or one a contact: not settled by what is published.
    sending_data: str = "email"
    # Whether lists of contacts carry `sequences`: not settled either.
    list_sequences: bool = True
    page_most: int = 100
    lead_credits: int | None = None
    contact_capacity: int | None = None
    # Calls a second and product, in real time; None: no limit.
    per_second: float | None = None
    taken: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])
    # Webhook type to the block an event of it carries beside the common ones.
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    made: dict[str, int] = field(default_factory=dict[str, int])


def forge(world: World) -> Forge:
    """The accounts of this world."""
    kept = world.state.get("forge")
    if kept is None:
        keys = {product: hexes(world, 40, product, "key") for product in PRODUCTS}
        kept = world.state["forge"] = Forge(keys, ident(world, "acc_", "account"))
        workspace(world, "Agency")
    return cast(Forge, kept)


def workspace(world: World, name: str) -> Workspace:
    """The workspace of this name, made when there is none."""
    held = cast(Forge, world.state["forge"])
    for found in held.workspaces.values():
        if found.name == name:
            return found
    made = Workspace(ident(world, "wks_", name), name, name.lower().replace(" ", "-"))
    for special in ("positive", "negative", "ooo", "meeting_booked", "wrong_contact"):
        identity = ident(world, "lbl_", name, special)
        label = special.replace("_", " ").capitalize()
        made.labels[identity] = {"id": identity, "name": label, "isBuiltIn": True, "specialLabel": special}
    held.workspaces[made.id] = made
    return made


def ident(world: World, prefix: str, *parts: object) -> str:
    """An identifier in the products' form that belongs to these parts in this world."""
    text = "\x1f".join(map(str, (world.seed, prefix, *parts)))
    digest = hashlib.blake2b(text.encode(), digest_size=_ID_LENGTH).digest()
    return prefix + digest.translate(_TO_LETTERS).decode()


def new_id(world: World, prefix: str) -> str:
    """The next identifier of a kind."""
    made = forge(world).made
    made[prefix] = made.get(prefix, 0) + 1
    return ident(world, prefix, made[prefix])


def stamp(moment: datetime | None) -> str:
    """RFC 3339 with an offset, as the products write times; nothing for what has not happened."""
    return moment.isoformat(timespec="seconds") if moment else ""
