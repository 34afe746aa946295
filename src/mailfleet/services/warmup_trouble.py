"""Warm-up that the platform has blocked: the domain's DNS is looked at, then it is tried again (spec 6, V13a)."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from mailfleet.errors import VendorError
from mailfleet.platforms.port import MailboxSeen
from mailfleet.rules.errors_matrix import action_for
from mailfleet.services import alerts, budgets, domains, mailboxes
from mailfleet.services.clients import fleet_of
from mailfleet.services.context import Fleet
from mailfleet.store import domains as domain_rows
from mailfleet.store import links, watermarks
from mailfleet.store.mailboxes import Mailbox

AGAIN = timedelta(hours=20)
"""Once a day: the platform's reasons take longer than that to go away."""


async def check(fleet: Fleet, mailbox: Mailbox, seen: MailboxSeen | None) -> bool:
    """Whether warm-up is blocked and was looked into now. What the DNS shows holds the domain if it is broken (D7)."""
    if seen is None or not seen.warmup_blocked:
        return False
    fleet = await fleet_of(fleet, mailbox.client_id)
    if action_for(fleet.policy.errors, "WARMUP_FAILED") != "check_dns_and_retry":
        return False
    now, mark = fleet.clock.now(), f"warmup-blocked:{mailbox.id}"
    async with fleet.db.transaction() as db:
        last = await watermarks.get(db, mark)
        if last is not None and now - last < AGAIN:
            return False
        await watermarks.put(db, mark, now)
    found, good = await _dns(fleet, mailbox)
    done = await _retry(fleet, mailbox) if good else "it is not tried again before that is mended"
    await alerts.tell(
        fleet,
        fact_key=f"warmup-blocked:{mailbox.id}:{now:%Y-%m-%d}",
        kind="warmup_blocked",
        severity="urgent",
        title=f"The warm-up of {mailbox.address} is blocked by the platform",
        body=f"{seen.warmup_failure or 'It gives no reason'}. DNS was checked: {found}; {done}.",
    )
    return True


async def _dns(fleet: Fleet, mailbox: Mailbox) -> tuple[str, bool]:
    async with fleet.db.connection() as db:
        domain = await domain_rows.get(db, mailbox.domain_id) if mailbox.domain_id else None
    if domain is None:
        return "the mailbox has no domain of ours", True
    verdict = await domains.verify(fleet, domain.name)
    return ("every record is right", True) if verdict.verified else ("; ".join(verdict.waiting_for), False)


async def _retry(fleet: Fleet, mailbox: Mailbox) -> str:
    """Sets today's warm-up once more, whatever the platform says is set."""
    async with fleet.db.connection() as db:
        ref = await links.ref(db, platform=fleet.default_platform, kind="mailbox", ours=mailbox.id)
    if ref is None:
        return "it is not at the platform"
    taken = await mailboxes.stored(fleet, mailbox.id)
    with contextlib.suppress(VendorError):
        await budgets.apply_day(fleet, mailbox, ref, None, warmup_day=taken.warmup_day)
        return "warm-up was switched on again"
    return "switching it on again was refused"
