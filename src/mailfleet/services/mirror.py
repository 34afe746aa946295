"""Who is at a platform already, in any campaign, put there by whomever (spec 5, check 1): a mirror read by listing.

A campaign is listed again only when its counter says something else than what the ledger and the mirror hold together:
ten million leads are a hundred thousand pages, and a sync of nothing costs two calls a campaign at most.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mailfleet.errors import NotAllowed, VendorError
from mailfleet.platforms.port import CampaignSeen, SendingPlatform
from mailfleet.rules.address import BadAddress, normalise
from mailfleet.services.context import Fleet
from mailfleet.store import vendor_leads, watermarks

_PAGE = 1000


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account's own leads. `read_at` None: never read."""

    platform: str
    account: str
    campaigns: int
    strangers: int
    read_at: datetime | None
    age_minutes: int | None


async def state(fleet: Fleet) -> list[State]:
    """Every account that can be listed, with the age of what is known of it."""
    found: list[State] = []
    async with fleet.db.connection() as db:
        known = {(each.platform, each.account): each for each in await vendor_leads.every(db)}
        for account, name, _ in _accounts(fleet):
            at = await watermarks.get(db, _mark(account, name))
            kept = known.get((name, account))
            found.append(
                State(
                    platform=name, account=account, campaigns=kept.campaigns if kept else 0,
                    strangers=kept.leads if kept else 0, read_at=at,
                    age_minutes=int((fleet.clock.now() - at).total_seconds() // 60) if at else None,
                )
            )  # fmt: skip
    return found


async def ensure(fleet: Fleet) -> None:
    """Reads what has become old (`dedup.mirror_hours`). Raises NotAllowed when an account is too old to be relied on
    (`dedup.mirror_max_hours`) and cannot be read."""
    rule, now = fleet.policy.dedup, fleet.clock.now()
    stale: list[str] = []
    for account, name, platform in _accounts(fleet):
        async with fleet.db.connection() as db:
            at = await watermarks.get(db, _mark(account, name))
        if at and now - at < timedelta(hours=rule.mirror_hours):
            continue
        try:
            await refresh(fleet, account, name, platform)
        except VendorError as error:
            if at is None or now - at >= timedelta(hours=rule.mirror_max_hours):
                since = f"since {at:%Y-%m-%d %H:%M}" if at else "yet"
                stale.append(f"who is at {name}{account and ' of ' + account} was not read {since}: {error}")
    if stale:
        raise NotAllowed(
            "Nothing is pushed: whoever is at the platform already could be written to twice.", reasons=tuple(stale)
        )


async def refresh_all(fleet: Fleet) -> None:
    """Reads every account now."""
    for account, name, platform in _accounts(fleet):
        await refresh(fleet, account, name, platform)


async def refresh(fleet: Fleet, account: str, name: str, platform: SendingPlatform) -> None:
    now = fleet.clock.now()
    seen = await platform.campaigns()
    for campaign in seen:
        await _read(fleet, account, name, platform, campaign, now)
    async with fleet.db.transaction() as db:
        await vendor_leads.gone(db, name, account, [campaign.ref for campaign in seen])
        await watermarks.put(db, _mark(account, name), now)


async def _read(
    fleet: Fleet, account: str, name: str, platform: SendingPlatform, seen: CampaignSeen, now: datetime
) -> None:
    ref = seen.ref
    total = seen.leads if seen.leads is not None else (await platform.stats(ref)).leads.get("total")
    async with fleet.db.connection() as db:
        kept = await vendor_leads.counted(db, name, account, ref)
    if kept and total is not None and total in (kept.leads, kept.ours + kept.strangers):
        return
    page: list[tuple[str, str]] = []
    count = 0
    async for lead in platform.leads(ref):
        page.append((_norm(lead.email), lead.ref))
        count += 1
        if len(page) == _PAGE:
            await _keep(fleet, account, name, ref, page, now)
            page = []
    await _keep(fleet, account, name, ref, page, now)
    async with fleet.db.transaction() as db:
        await vendor_leads.read(db, name, account, ref, count, now)


async def _keep(fleet: Fleet, account: str, name: str, ref: str, page: list[tuple[str, str]], now: datetime) -> None:
    if page:
        async with fleet.db.transaction() as db:
            await vendor_leads.put(db, name, account, ref, page, now)


def _norm(email: str) -> str:
    try:
        return normalise(email).norm
    except BadAddress:
        return email.strip().lower()


def _accounts(fleet: Fleet) -> list[tuple[str, str, SendingPlatform]]:
    return [each for each in (fleet.workspace or fleet).accounts() if each[2].capabilities.list_leads]


def _mark(account: str, name: str) -> str:
    return f"mirror:{name}:{account}"
