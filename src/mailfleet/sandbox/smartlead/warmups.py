"""Smartlead's warm-up of a mailbox: its settings and its counts. No call tells a reputation over time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.routing import BaseRoute

from mailfleet.sandbox.engine.warmup import start_warmup
from mailfleet.sandbox.smartlead.check import Rule, flag, number, said, text
from mailfleet.sandbox.smartlead.http import Ask, Limit, route
from mailfleet.sandbox.smartlead.state import STATS_DAYS, Mailbox, Warmup
from mailfleet.sandbox.world import World

# smartlead: email-accounts/warmup-settings
WARMUP: dict[str, Rule] = {
    "warmup_enabled": flag(),
    "total_warmup_per_day": number(low=1, high=50),
    "daily_rampup": number(low=5, high=20),
    "reply_rate_percentage": number(low=20, high=100),
    "warmup_key_id": text(),
    "auto_adjust_warmup": flag(),
    "is_rampup_enabled": flag(),
}


def routes(world: World, limit: Limit) -> list[BaseRoute]:
    """Warm-up of an account."""
    table = (
        ("POST", "/email-accounts/{account_id}/warmup", set_warmup),
        ("GET", "/email-accounts/{account_id}/warmup-stats", warmup_stats),
    )
    return [entry for method, path, answer in table for entry in route(world, limit, method, path, answer)]


def set_warmup(ask: Ask) -> dict[str, Any]:
    """Turns warm-up on or off and sets its figures."""
    box, given = ask.mailbox, ask.body(WARMUP)
    if not given:
        raise said('"warmup_enabled" is required')
    apply_warmup(ask, box, given)
    return {"ok": True, "message": "Email warmup details updated successfully!"}


def apply_warmup(ask: Ask, box: Mailbox, given: Mapping[str, Any]) -> None:
    """Sets what is given; what is not stays."""
    warmup = box.warmup
    if warmup is None:
        number_ = ask.vendor.new_id("warmup")
        warmup = box.warmup = Warmup(number_, ask.world.now, key_id=str(10_000 + number_))
    for name, attribute in (
        ("warmup_enabled", "enabled"),
        ("total_warmup_per_day", "total_per_day"),
        ("daily_rampup", "rampup"),
        ("reply_rate_percentage", "reply_rate"),
        ("is_rampup_enabled", "ramping"),
        ("warmup_key_id", "key_id"),
    ):
        if given.get(name) is not None:
            setattr(warmup, attribute, given[name])
    if given.get("daily_rampup") is not None and given.get("is_rampup_enabled") is None:
        warmup.ramping = True
    start_warmup(ask.world, box)


def warmup_stats(ask: Ask) -> dict[str, Any]:
    """Counts of the last seven days: text for the totals, numbers by day; no reputation."""
    box = ask.mailbox
    if box.warmup is None:
        raise said("Warmup details not found for this email account", 404)
    days = [(ask.world.now - timedelta(days=back)).date().isoformat() for back in range(STATS_DAYS - 1, -1, -1)]
    shown = [(position, day, box.warmup.days[day]) for position, day in enumerate(days, 1) if day in box.warmup.days]
    sent, spam, received = (sum(counts[at] for _, _, counts in shown) for at in range(3))
    return {
        "id": box.id,
        "sent_count": str(sent),
        "spam_count": str(spam),
        "inbox_count": str(sent - spam),
        "warmup_email_received_count": str(received),
        "stats_by_date": [
            {
                "id": at,
                "date": day,
                "sent_count": counts[0],
                "reply_count": counts[3],
                "save_from_spam_count": counts[4],
            }
            for at, day, counts in shown
        ],
    }
