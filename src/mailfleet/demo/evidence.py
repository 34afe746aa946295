"""What the two sides say of the same days: `Claims` is mailfleet's story, `Witness` is the sandbox's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that left, as the sandbox wrote it down."""

    at: datetime
    kind: str
    mailbox: str
    message_id: str
    lead_email: str | None = None
    campaign_id: int | str | None = None
    step: int | None = None


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What a person or a receiving server did."""

    at: datetime
    kind: str
    email: str
    category: str | None = None
    text: str = ""
    step: int | None = None
    hard: bool | None = None
    until: datetime | None = None
    """The day an absent person said to be back."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A Slack message or an SMS that arrived."""

    at: datetime
    text: str
    channel: str = ""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    sends: Sequence[Send]
    deeds: Sequence[Deed]
    slack: Sequence[Notice]
    sms: Sequence[Notice]
    in_campaign: frozenset[str]
    """Addresses that the vendor holds as leads of a campaign."""
    scheduled: frozenset[str]
    """Those of them for whom it has a next mail in its queue."""
    dns: Mapping[str, Mapping[str, Sequence[str]]]
    """domain → record name → texts, asked of the authoritative server over the wire."""
    flow_runs: Mapping[str, tuple[str, str]]
    """Prefect's run id → (flow name, state)."""


class LeadClaim(msgspec.Struct, frozen=True, kw_only=True):
    row: int | None
    email: str
    status: str
    email_status: str
    pushed: bool
    excluded_by: str | None
    stopped: bool


class EventClaim(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    email: str
    step: int | None
    at: datetime


class AlertClaim(msgspec.Struct, frozen=True, kw_only=True):
    fact_key: str
    kind: str
    severity: str
    title: str
    email: str | None
    slack: int
    sms: int


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    refused: Mapping[int, str]
    """row of the file → rule"""
    leads: Sequence[LeadClaim]
    suppressed: Mapping[str, tuple[str, datetime]]
    """address → (reason, since)"""
    mailboxes: Mapping[str, str]
    production_since: Mapping[str, datetime]
    domains: Mapping[str, str]
    events: Sequence[EventClaim]
    replies: Sequence[tuple[str, str]]
    alerts: Sequence[AlertClaim]
    runs: Sequence[tuple[str, str]]
    """(flow, Prefect's run id) of every recorded run."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ok: bool
    detail: str


Json = Mapping[str, Any]
