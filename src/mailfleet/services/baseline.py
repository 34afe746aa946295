"""A platform's history read once and kept: what a migration's rates are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from mailfleet.errors import MailfleetError
from mailfleet.log import redact
from mailfleet.platforms.port import CampaignSeen, SendingPlatform
from mailfleet.rules import baseline as rules
from mailfleet.services.context import Fleet
from mailfleet.store import baselines
from mailfleet.store.baselines import Baseline

MEASURED = ("replied", "bounced")
log = structlog.get_logger(__name__)


async def take(fleet: Fleet, name: str, *, account: str = "") -> Baseline:
    """Reads every campaign's mails, counts them, fits what can be fitted, keeps it. Raises VendorError."""
    platform = fleet.account(account, name) if account else fleet.platforms[name]
    now = fleet.clock.now()
    counted = rules.Baseline(now)
    names: dict[str, str] = {}
    for campaign in await platform.campaigns():
        names[campaign.ref] = campaign.name
        await _read(platform, campaign, counted)
    made = _made(name, account, counted, names)
    rows = [
        {
            "campaign_ref": cell.campaign,
            "campaign_name": names[cell.campaign],
            "sender_domain": cell.domain,
            "provider": cell.provider,
            "week": cell.week,
            **msgspec.to_builtins(tally),
        }
        for cell, tally in counted.cells.items()
    ]
    async with fleet.db.transaction() as db:
        await baselines.put(db, made, rows)
    return made


async def scheduled(fleet: Fleet) -> dict[str, Any]:
    """What the schedule does: the history of every platform that campaigns are not made on, read anew. One that does
    not answer costs only itself: `{taken, errors}`."""
    taken, errors = 0, list[str]()
    for account, name, _ in fleet.accounts():
        if name == fleet.default_platform:
            continue
        try:
            await take(fleet, name, account=account)
            taken += 1
        except MailfleetError as error:
            errors.append(f"{name}: {redact(error.coded)}")
    return {"taken": taken, "errors": errors}


async def _read(platform: SendingPlatform, campaign: CampaignSeen, counted: rules.Baseline) -> None:
    domain = await _sender(platform, campaign)
    seen: set[str] = set()
    async for message in platform.sent_messages(campaign.ref):
        counted.add(
            rules.Mail(
                campaign=campaign.ref,
                domain=domain,
                recipient=message.email,
                at=message.sent_at,
                opened=message.opened_at is not None,
                clicked=message.clicked_at is not None,
                replied_at=message.replied_at,
                bounced=message.bounced,
                first=message.email not in seen,
            )
        )
        seen.add(message.email)


async def _sender(platform: SendingPlatform, campaign: CampaignSeen) -> str:
    """The domain its mails come from, where its mailboxes have but one: who sent a single mail is not told."""
    refs = await platform.campaign_mailboxes(campaign.ref)
    domains = {(await platform.mailbox(ref)).address.rpartition("@")[2].lower() for ref in refs}
    return domains.pop() if len(domains) == 1 else ""


def _made(name: str, account: str, counted: rules.Baseline, names: dict[str, str]) -> Baseline:
    fits = {what: counted.fit(what) for what in MEASURED}
    weeks = sorted(cell.week for cell in counted.cells)
    return Baseline(
        id=uuid4(),
        platform=name,
        account=account,
        taken_at=counted.now,
        first_day=weeks[0] if weeks else None,
        last_day=weeks[-1] + timedelta(days=6) if weeks else None,
        campaigns=len(names),
        sent=sum(tally.sent for tally in counted.cells.values()),
        reply_rho=fits["replied"].rho,
        bounce_rho=fits["bounced"].rho,
        fitted={what: msgspec.to_builtins(fit) for what, fit in fits.items()},
        reply_curve=msgspec.to_builtins(counted.curve(), str_keys=True),
    )


async def rates(fleet: Fleet, name: str, by: str, *, account: str = "") -> Sequence[dict[str, object]]:
    """The newest reading's rates by campaign, domain, provider or week, each with its counts."""
    async with fleet.db.connection() as db:
        found = await baselines.newest(db, name, account)
        counts = await baselines.counts(db, found.id) if found else []
    cells: dict[rules.Cell, rules.Tally] = {}
    for each in counts:
        cell = rules.Cell(
            campaign=each.campaign_name, domain=each.sender_domain, provider=each.provider, week=each.week
        )
        total = cells.setdefault(cell, rules.Tally())
        for column in ("sent", "people", "opened", "clicked", "replied", "bounced"):
            setattr(total, column, getattr(total, column) + getattr(each, column))
    return [{by: key, **_shown(tally)} for key, tally in sorted(rules.rates(cells, by).items())]


def _shown(tally: rules.Tally) -> dict[str, object]:
    sent = max(1, tally.sent)
    shares = {f"{what}_rate": round(getattr(tally, what) / sent, 4) for what in ("opened", "replied", "bounced")}
    return {**msgspec.to_builtins(tally), **shares}
