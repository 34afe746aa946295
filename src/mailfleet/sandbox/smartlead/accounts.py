"""Smartlead's e-mail accounts: connect, read, change, warm up, suspend. No answer holds any DNS record."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from mailfleet.sandbox.reputation import warmup_reputation
from mailfleet.sandbox.smartlead.check import Refusal, Rule, failed, flag, group, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, numbered, route
from mailfleet.sandbox.smartlead.login import check_logins
from mailfleet.sandbox.smartlead.state import Mailbox, rest_time
from mailfleet.sandbox.smartlead.warmups import WARMUP, apply_warmup
from mailfleet.sandbox.world import World

# A domain that DNS can be asked about: who mails from another could never be judged.
_ADDRESS = re.compile(r"[^@\s]+@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,61}", re.IGNORECASE)
_LIMITS: dict[str, Rule] = {
    "max_email_per_day": number(low=0, high=2000),
    "custom_tracking_url": text(),
    "bcc": text(),
    "signature": text(),
    "client_id": number(),
    "time_to_wait_in_mins": number(low=0, high=10**6),
    "is_suspended": flag(),
}
# smartlead: email-accounts/add-smtp
SAVE: dict[str, Rule] = {
    "id": number(),
    "from_name": text(required=True),
    "from_email": text(required=True),
    "user_name": text(required=True),
    "password": text(required=True),
    "smtp_host": text(required=True),
    "smtp_port": number(required=True, low=1, high=65535),
    "imap_host": text(required=True),
    "imap_port": number(required=True, low=1, high=65535),
    "warmup_enabled": flag(required=True),
    "type": text(options=("SMTP", "GMAIL", "OUTLOOK", "ZOHO")),
    "token": Rule(kind="object"),
    "smtp_port_type": text(),
    "imap_port_type": text(),
    "different_reply_to_address": text(),
    "imap_user_name": text(),
    "imap_password": text(),
    **{name: WARMUP[name] for name in ("total_warmup_per_day", "daily_rampup", "reply_rate_percentage")},
    **_LIMITS,
}
# smartlead: email-accounts/add-oauth
OAUTH: dict[str, Rule] = {
    "id": number(),
    "from_email": text(required=True),
    "from_name": text(required=True),
    "type": text(required=True, options=("GMAIL", "OUTLOOK")),
    "token": group(
        {
            "scope": text(required=True),
            "expiry_date": number(required=True),
            **{name: text() for name in ("access_token", "refresh_token", "id_token", "token_type")},
        },
        required=True,
    ),
    **{name: WARMUP[name] for name in ("warmup_enabled", "total_warmup_per_day", "daily_rampup")},
    "reply_rate_percentage": WARMUP["reply_rate_percentage"],
    **_LIMITS,
}
UPDATE: dict[str, Rule] = {"from_name": Rule(kind="string", nullable=False), **_LIMITS}
# What is written under one name is read under another (smartlead: email-accounts).
_READ_NAMES = {
    "max_email_per_day": "message_per_day",
    "custom_tracking_url": "custom_tracking_domain",
    "bcc": "bcc_email",
    "user_name": "username",
    "imap_user_name": "imap_username",
    "time_to_wait_in_mins": "minTimeToWaitInMins",
}
_HELD = (
    "from_name", "from_email", "username", "password", "smtp_host", "smtp_port", "smtp_port_type", "message_per_day",
    "different_reply_to_address", "imap_username", "imap_password", "imap_host", "imap_port", "imap_port_type",
    "signature", "custom_tracking_domain", "bcc_email", "type", "client_id",
)  # fmt: skip
_DEFAULTS = {
    "smtp_port_type": "TLS",
    "imap_port_type": "SSL",
    "message_per_day": 20,
    "minTimeToWaitInMins": 10,
    "type": "SMTP",
}
_RECONNECTS = 3


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Everything under /email-accounts but tags."""
    table = (
        ("GET", "/email-accounts", listed),
        ("POST", "/email-accounts/save", save),
        ("POST", "/email-accounts/save-oauth", save_oauth),
        ("POST", "/email-accounts/reconnect-failed-email-accounts", reconnect),
        ("PUT", "/email-accounts/suspend/{account_id}", lambda ask: suspend(ask, suspended=True)),
        ("DELETE", "/email-accounts/unsuspend/{account_id}", lambda ask: suspend(ask, suspended=False)),
        ("GET", "/email-accounts/{account_id}", one),
        ("POST", "/email-accounts/{account_id}", update),
        ("DELETE", "/email-accounts/{account_id}", delete),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def listed(ask: Ask) -> list[dict[str, Any]]:
    """The accounts, newest last, as a bare array."""
    ask.known(
        "offset", "limit", "username", "esp", "client_id", "isInUse", "emailWarmupStatus", "isSmtpSuccess",
        "isWarmupBlocked", "fetch_campaigns",
    )  # fmt: skip
    offset, most = ask.number("offset", 0, 10**9, 0), ask.number("limit", 1, 100, 100)
    asked = {name: wanted for name, wanted in ask.query.items() if name in _FILTERS}
    boxes = ask.vendor.mailboxes.values()
    found = [box for box in boxes if all(_FILTERS[name](ask, box, wanted) for name, wanted in asked.items())]
    return [list_item(ask, box) for box in found[offset : offset + most]]


def in_use(ask: Ask, box: Mailbox) -> bool:
    """Whether any campaign has the mailbox."""
    return any(box.id in campaign.mailboxes for campaign in ask.vendor.campaigns.values())


def _said(flag_: bool) -> str:
    return "true" if flag_ else "false"


def _warming(box: Mailbox) -> str:
    return "ACTIVE" if box.warmup is not None and box.warmup.enabled else "INACTIVE"


def _blocked(box: Mailbox) -> bool:
    return box.warmup is not None and box.warmup.blocked_reason is not None


# Which accounts a list holds, by what is asked for.
_FILTERS: dict[str, Callable[[Ask, Mailbox, str], bool]] = {
    "username": lambda ask, box, wanted: wanted.lower() in str(box.fields["username"]).lower(),
    "esp": lambda ask, box, wanted: box.fields["type"] == wanted,
    "client_id": lambda ask, box, wanted: str(box.fields["client_id"]) == wanted,
    "isInUse": lambda ask, box, wanted: _said(in_use(ask, box)) == wanted,
    "emailWarmupStatus": lambda ask, box, wanted: _warming(box) == wanted,
    "isWarmupBlocked": lambda ask, box, wanted: _said(_blocked(box)) == wanted,
    "isSmtpSuccess": lambda ask, box, wanted: _said(box.smtp_ok) == wanted,
}


def list_item(ask: Ask, box: Mailbox) -> dict[str, Any]:
    """An account as lists show it: passwords in base64, reputation as text with a percent sign."""
    campaigns = [campaign.id for campaign in ask.vendor.campaigns.values() if box.id in campaign.mailboxes]
    shown = _both(ask, box)
    for secret in ("password", "imap_password"):
        if shown[secret] is not None:
            shown[secret] = base64.b64encode(str(shown[secret]).encode()).decode()
    shown |= {
        "expires_at": None,
        "minTimeToWaitInMins": box.fields["minTimeToWaitInMins"],
        "campaign_count": len(campaigns),
        "is_connected_to_campaign": bool(campaigns),
        "tags": [ask.vendor.tags[number] for number in box.tag_ids if number in ask.vendor.tags],
        "warmup_details": _warmup_shared(ask, box),
    }
    if shown["warmup_details"]:
        shown["warmup_details"]["warmup_reputation"] = f"{warmup_reputation(ask.world, box)}%"
    if ask.query.get("fetch_campaigns") == "true":
        shown["campaign_ids"] = campaigns
    return shown


def one(ask: Ask) -> dict[str, Any]:
    """An account by id: passwords in clear, reputation as a number."""
    ask.known("fetch_campaigns", "fetch_tags")
    box = ask.mailbox
    shown = _both(ask, box) | {"is_suspended": box.suspended, "use_whitelabel_credentials": False}
    details = _warmup_shared(ask, box)
    if details and box.warmup:
        details |= {
            "id": box.warmup.id,
            "created_at": rest_time(box.warmup.created_at),
            "is_warmup_blocked": box.warmup.blocked_reason is not None,
            "warmup_reputation": warmup_reputation(ask.world, box),
        }
    shown["warmup_details"] = details
    if ask.query.get("fetch_campaigns") == "true":
        shown["campaign_ids"] = [item.id for item in ask.vendor.campaigns.values() if box.id in item.mailboxes]
    if ask.query.get("fetch_tags") == "true":
        shown["tags"] = [ask.vendor.tags[number] for number in box.tag_ids if number in ask.vendor.tags]
    return shown


def _both(ask: Ask, box: Mailbox) -> dict[str, Any]:
    midnight = ask.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    held = {name: box.fields.get(name) for name in _HELD}
    return {
        "id": box.id,
        "created_at": rest_time(box.created_at),
        "updated_at": rest_time(box.updated_at),
        "user_id": ask.vendor.user_id,
        **held,
        "is_different_imap_account": held["imap_username"] is not None,
        "is_smtp_success": box.smtp_ok,
        "is_imap_success": box.imap_ok,
        "smtp_failure_error": box.smtp_error,
        "imap_failure_error": box.imap_error,
        "daily_sent_count": box.sent_since(midnight),
    }


def _warmup_shared(ask: Ask, box: Mailbox) -> dict[str, Any] | None:
    warmup = box.warmup
    if warmup is None:
        return None
    return {
        "status": "ACTIVE" if warmup.enabled else "INACTIVE",
        "reply_rate": warmup.reply_rate,
        "warmup_key_id": warmup.key_id,
        "blocked_reason": warmup.blocked_reason,
        "total_sent_count": warmup.sent,
        "total_spam_count": warmup.spam,
        "warmup_min_count": min(5, warmup.total_per_day),
        "warmup_max_count": warmup.total_per_day,
        "max_email_per_day": warmup.total_per_day,
        "warmup_created_at": rest_time(warmup.created_at),
    }


async def save(ask: Ask) -> Response | dict[str, Any]:
    """Creates (`id` null) or updates an account; logs in over SMTP and IMAP before it answers."""
    given = ask.body(SAVE)
    _check_address(given)
    number_ = given.pop("id", None)
    held = _by_id(ask, int(number_)) if number_ is not None else None
    if held is None and any(
        box.address.lower() == given["from_email"].lower() for box in ask.vendor.mailboxes.values()
    ):
        return _refused("ACCOUNT_ALREADY_EXIST", f"Email account {given['from_email']} already exists")
    fields = {**_DEFAULTS, **dict.fromkeys(_HELD), **(_DEFAULTS if held is None else held.fields), **_renamed(given)}
    smtp_error, imap_error = await check_logins(fields)
    if smtp_error or imap_error:
        failing = "SMTP" if smtp_error else "IMAP"
        return _refused(f"{failing} connection failed", smtp_error or imap_error or "")
    box = _kept(ask, held, fields)
    if given["warmup_enabled"] or "total_warmup_per_day" in given:
        apply_warmup(ask, box, given)
    return {
        "ok": True,
        "message": "Email account added/updated successfully!",
        "emailAccountId": box.id,
        "warmupKey": box.warmup.key_id if box.warmup else None,
    }


def save_oauth(ask: Ask) -> Response | dict[str, Any]:
    """Connects a Gmail or Outlook account by a token; no password is kept, and no login by password is made."""
    given = ask.body(OAUTH)
    _check_address(given)
    number_ = given.pop("id", None)
    held = _by_id(ask, int(number_)) if number_ is not None else None
    taken = {box.address.lower() for box in ask.vendor.mailboxes.values()}
    if held is None and given["from_email"].lower() in taken:
        return _refused("ACCOUNT_ALREADY_EXIST", f"Email account {given['from_email']} already exists")
    host = {"GMAIL": "gmail.com", "OUTLOOK": "office365.com"}[given["type"]]
    places = {"smtp_host": f"smtp.{host}", "smtp_port": 587, "imap_host": f"imap.{host}", "imap_port": 993}
    fields = {**dict.fromkeys(_HELD), **_DEFAULTS, **places, "username": given["from_email"], **_renamed(given)}
    box = _kept(ask, held, fields)
    if given.get("warmup_enabled"):
        apply_warmup(ask, box, given)
    key = box.warmup.key_id if box.warmup else None
    message = "Email account added/updated successfully!"
    return {"ok": True, "message": message, "emailAccountId": box.id, "warmupKey": key}


def _check_address(given: Mapping[str, Any]) -> None:
    if not _ADDRESS.fullmatch(given["from_email"]):
        raise said('"from_email" must be a valid email')


def _by_id(ask: Ask, number: int) -> Mailbox:
    found = ask.vendor.mailboxes.get(number)
    if found is None:
        raise failed(f"Email account id - {number} not allowed. Permission Error.")
    return found


def _refused(message: str, error: str) -> JSONResponse:
    return JSONResponse({"ok": False, "message": message, "error": error}, 400)


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    skipped = set(WARMUP) | {"token", "is_suspended"}
    return {_READ_NAMES.get(name, name): value for name, value in given.items() if name not in skipped}


def _kept(ask: Ask, held: Mailbox | None, fields: dict[str, Any]) -> Mailbox:
    now = ask.world.now
    if held is None:
        held = Mailbox(ask.vendor.new_id("account"), now, now, fields)
        ask.vendor.mailboxes[held.id] = held
    held.fields, held.updated_at = fields, now
    held.smtp_ok = held.imap_ok = True
    held.smtp_error = held.imap_error = None
    return held


def update(ask: Ask) -> dict[str, Any]:
    """Changes limits and presentation."""
    box, given = ask.mailbox, ask.body(UPDATE)
    if not given:
        raise said('"value" must have at least 1 key')
    box.fields |= _renamed(given)
    box.updated_at = ask.world.now
    if given.get("is_suspended") is not None:
        box.suspended = given["is_suspended"]
    return {"ok": True, "message": "Email account details updated successfully!"}


def delete(ask: Ask) -> Response | dict[str, Any]:
    """Removes an account from everything; adding it again makes another account."""
    number_ = numbered(ask.path["account_id"]) or 0
    if number_ not in ask.vendor.mailboxes:
        body = {
            "ok": False,
            "message": "Email account not found",
            "errorCode": "ACCOUNT_NOT_FOUND",
            "emailAccountId": number_,
        }
        raise Refusal(404, body)
    box = ask.vendor.mailboxes.pop(number_)
    box.suspended = True
    if box.warmup:
        box.warmup.enabled = False
    for campaign in ask.vendor.campaigns.values():
        campaign.mailboxes.pop(number_, None)
    return {"ok": True, "message": "Email account deleted successfully!"}


def suspend(ask: Ask, *, suspended: bool) -> dict[str, Any]:
    """Stops a mailbox from sending campaign mail, or lets it again."""
    box = ask.vendor.mailboxes.get(numbered(ask.path["account_id"]) or 0)
    if box is None:
        raise Refusal(400, {"success": False, "message": "Email account not found"})
    box.suspended = suspended
    word = "suspended" if suspended else "unsuspended"
    data = {"accountId": box.id, "isSuspended": suspended}
    return {"success": True, "message": f"Email account {word} successfully", "data": data}


async def reconnect(ask: Ask) -> dict[str, Any]:
    """Tries the logins of failed accounts again: three times in 24 hours, then 406."""
    calls, now = ask.vendor.reconnects, ask.world.now
    while calls and calls[0] <= now - timedelta(days=1):
        calls.popleft()
    if len(calls) >= _RECONNECTS:
        raise said("You have exceeded the maximum number of attempts to reconnect email accounts.", 406)
    calls.append(now)
    failing = [box for box in ask.vendor.mailboxes.values() if not (box.smtp_ok and box.imap_ok)]
    # An account connected by a token has no password to try.
    await retry_logins([box for box in failing if box.fields.get("password")])
    return {"ok": True, "message": "Email account(s) added to the queue to reconnect."}


async def retry_logins(boxes: Sequence[Mailbox]) -> None:
    """Logs in again and notes how it went."""
    for box in boxes:
        box.smtp_error, box.imap_error = await check_logins(box.fields)
        box.smtp_ok, box.imap_ok = box.smtp_error is None, box.imap_error is None
