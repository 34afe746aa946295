"""What to do about a vendor's answer: ERROR_RESPONSES, and which real answers mean its named codes (spec 6, V13a)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from mailfleet.errors import (
    Ambiguous,
    Conflict,
    Drift,
    Forbidden,
    Invalid,
    MailfleetError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
    VendorError,
)
from mailfleet.policy.model import ErrorAction, ErrorResponse

Code = Literal["MAILBOX_DISABLED", "CAMPAIGN_LIMIT_REACHED", "LEAD_ALREADY_EXISTS", "INVALID_EMAIL", "WARMUP_FAILED"]
CODES: tuple[Code, ...] = (
    "MAILBOX_DISABLED", "CAMPAIGN_LIMIT_REACHED", "LEAD_ALREADY_EXISTS", "INVALID_EMAIL", "WARMUP_FAILED",
)  # fmt: skip


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """One real answer that means one of our codes. `source` is the vendor's page."""

    code: Code
    field: str
    test: Callable[[Any], bool]
    source: str


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. `key` is the row of ERROR_RESPONSES that decided; empty: none matched, so a person is told."""

    key: str
    action: ErrorAction
    retry: bool
    message: str


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _false(value: Any) -> bool:
    return value is False


def _true(value: Any) -> bool:
    return value is True


_ROWS: tuple[tuple[Code, str, Callable[[Any], bool], str], ...] = (
    ("MAILBOX_DISABLED", "is_smtp_success", _false, "email-accounts"),
    ("MAILBOX_DISABLED", "is_imap_success", _false, "email-accounts"),
    ("MAILBOX_DISABLED", "is_suspended", _true, "email-accounts/suspend"),
    ("CAMPAIGN_LIMIT_REACHED", "is_lead_limit_exhausted", _true, "campaigns/leads"),
    ("CAMPAIGN_LIMIT_REACHED", "lead_import_stopped_count", _positive, "campaigns/leads"),
    ("LEAD_ALREADY_EXISTS", "already_added_to_campaign", _positive, "campaigns/leads"),
    ("LEAD_ALREADY_EXISTS", "duplicate_count", _positive, "campaigns/leads"),
    ("INVALID_EMAIL", "invalid_emails", bool, "campaigns/leads"),
    ("INVALID_EMAIL", "invalid_email_count", _positive, "campaigns/leads"),
    ("WARMUP_FAILED", "is_warmup_blocked", _true, "email-accounts/warmup"),
    ("WARMUP_FAILED", "blocked_reason", bool, "email-accounts/warmup"),
)
MEANINGS = tuple(Meaning(code=c, field=f, test=t, source=f"smartlead:{page}") for c, f, t, page in _ROWS)


def codes_in(body: Mapping[str, Any]) -> tuple[Code, ...]:
    """Our codes that a vendor's answer carries, in the specification's order; `warmup_details` is looked into too."""
    inner = body.get("warmup_details")
    sides = (body, inner) if isinstance(inner, Mapping) else (body,)
    found = {m.code for m in MEANINGS for side in sides if m.field in side and m.test(side[m.field])}
    named = str(body.get("errorCode") or body.get("code") or "").upper()
    return tuple(code for code in CODES if code in found or code == named)


def respond(errors: Mapping[str, ErrorResponse], *, status: int | None = None, code: str = "") -> Response:
    """The row for a body code, else for a status; no answer at all (None) and other 5xx are retried with backoff."""
    for key in (code, str(status)):
        if row := errors.get(key):
            return Response(key=key, action=row.action, retry=row.retry, message=row.message or key)
    if status is None:
        return Response(key="", action="retry_with_backoff", retry=True, message="No answer")
    if status >= 500:
        return Response(key="", action="retry_with_backoff", retry=True, message=f"Server error {status}")
    return Response(key="", action="log_and_skip", retry=False, message=f"Answer {status} is not in the table")


def by_action(errors: Mapping[str, ErrorResponse], outcomes: Mapping[str, int]) -> dict[ErrorAction, int]:
    """How many calls call for which action; successes and redirects for none. `outcomes`: status or failure → calls."""
    found: dict[ErrorAction, int] = {}
    for outcome, calls in outcomes.items():
        status = int(outcome) if outcome.isdigit() else None
        if status is None or status >= 400:
            action = respond(errors, status=status).action
            found[action] = found.get(action, 0) + calls
    return found


def action_for(errors: Mapping[str, ErrorResponse], code: Code) -> ErrorAction:
    """What the policy does about one of our codes."""
    return respond(errors, code=code).action


_STATUS: tuple[tuple[type[VendorError], int | None], ...] = (
    (Unauthorized, 401), (Forbidden, 403), (NotFound, 404), (RateLimited, 429), (Conflict, 400), (Invalid, 400),
    (TimedOut, None), (Unavailable, 503),
)  # fmt: skip


def respond_to(errors: Mapping[str, ErrorResponse], error: MailfleetError) -> Response:
    """The row for an error of ours. An ambiguous write and an unknown shape are never retried (V9)."""
    if isinstance(error, Ambiguous):
        return Response(key="", action="pause_and_alert", retry=False, message="Outcome unknown: settle by reading")
    if isinstance(error, Drift):
        return Response(key="", action="alert_critical", retry=False, message="The vendor's answer changed its shape")
    if isinstance(error, VendorError) and error.status is not None:
        return respond(errors, status=error.status)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return respond(errors, status=status)
    return Response(key="", action="log_and_skip", retry=False, message=error.what)
