"""What Warmforge answers, as far as we use it."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Unknown fields are ignored; a missing or unfit one we rely on is `Drift`."""


class Workspace(Model, frozen=True, kw_only=True):
    id: str
    name: str = ""
    slug: str = ""


class Health(Model, frozen=True, kw_only=True):
    heat_score: float | None = None
    warmup_days: int | None = None
    last_checked_at: str | None = None


class Mailbox(Model, frozen=True, kw_only=True):
    """`warm` is no status; the score is the present one: nothing keeps its history (warmforge:mailboxes/list)."""

    id: str
    address: str
    workspace_id: str = msgspec.field(name="workspaceID", default="")
    provider: str = ""
    status: str = ""
    warm: bool = False
    warmup_enabled: bool = False
    warmup_days_completed: int | None = None
    warmup_days_left: int | None = None
    min_emails_per_day: int | None = None
    max_emails_per_day: int | None = None
    email_ramp_up: int | None = None
    reply_rate_percent: int | None = None
    first_name: str = ""
    last_name: str = ""
    health_report: Health | None = None


class WarmupDay(Model, frozen=True, kw_only=True):
    date: date
    sent_count: int = 0
    reply_count: int = 0
    spam_count: int = 0
    provider_stats: dict[str, dict[str, int]] | None = None


class WarmupStats(Model, frozen=True, kw_only=True):
    stats: list[WarmupDay] = []


class PlacementTest(Model, frozen=True, kw_only=True):
    """Finished when nothing is pending."""

    id: str
    name: str = ""
    date: str = ""
    mailbox_count: int = 0
    email_sent: int = 0
    result: float | None = None
    inbox_count_gmail: int = 0
    spam_count_gmail: int = 0
    inbox_count_outlook: int = 0
    spam_count_outlook: int = 0
    pending_count: int = 0
    missing_count: int = 0
    tests: list[dict[str, Any]] = []


class Latest(Model, frozen=True, kw_only=True):
    mailbox_id: str
    address: str = ""
    placement_test: PlacementTest | None = None


class Results(Model, frozen=True, kw_only=True):
    results: list[Latest] = []
