"""A campaign's webhook: registered for every event of ours, read back, repaired (V10)."""

from __future__ import annotations

from uuid import UUID

import msgspec

from mailfleet.errors import NotAllowed
from mailfleet.platforms.port import SendingPlatform, WebhookSeen
from mailfleet.services.campaign_parts import both
from mailfleet.services.context import Fleet
from mailfleet.store import links
from mailfleet.store.campaigns import Campaign

NOWHERE = "no public address is set that webhooks could reach; `mailfleet config list` names the setting"


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform shows; `problems` is empty when events reach us."""

    campaign: str
    ref: str | None
    events: tuple[str, ...]
    problems: tuple[str, ...]


def address(fleet: Fleet, platform: SendingPlatform) -> str:
    return f"{fleet.webhook_base.rstrip('/')}/{platform.name}"


def unreachable(fleet: Fleet, platform: SendingPlatform) -> str:
    """Why no hook could bring its events here; empty when one can, or when the platform has none."""
    return NOWHERE if platform.capabilities.webhooks and not fleet.webhook_base else ""


async def check(fleet: Fleet, campaign_id: UUID) -> Hook:
    fleet, campaign, ref = await both(fleet, campaign_id)
    platform = fleet.platform(campaign.platform)
    return _judged(fleet, platform, campaign, [hook for hook in await platform.webhooks(ref) if hook.ours])


async def repair(fleet: Fleet, campaign_id: UUID) -> Hook:
    """Registers it again and reads it back, whatever was there. Raises NotAllowed when nothing could reach us."""
    fleet, campaign, ref = await both(fleet, campaign_id)
    platform = fleet.platform(campaign.platform)
    if reason := unreachable(fleet, platform):
        raise NotAllowed(f"{campaign.name} cannot have a webhook.", reasons=(reason,), hint=reason)
    await _link(fleet, campaign, await platform.ensure_webhook(ref, address(fleet, platform), renew=True))
    return await check(fleet, campaign_id)


async def ensure(fleet: Fleet, platform: SendingPlatform, campaign: Campaign, ref: str) -> None:
    """Before a start. Raises NotAllowed when the platform does not show the hook as it has to be."""
    if not platform.capabilities.webhooks:
        return
    hook = await platform.ensure_webhook(ref, address(fleet, platform))
    found = await check(fleet, campaign.id)
    if found.problems:
        found = await repair(fleet, campaign.id)
    if found.problems:
        raise NotAllowed(
            f"{campaign.name} does not start: its webhook is not as it has to be.",
            reasons=found.problems,
            hint="`mailfleet campaign webhook repair` registers it again.",
        )
    await _link(fleet, campaign, found.ref or hook)


async def _link(fleet: Fleet, campaign: Campaign, hook: str) -> None:
    """A hook for the whole account belongs to the first campaign that needed it."""
    async with fleet.db.transaction() as db:
        if await links.ours(db, platform=campaign.platform, kind="webhook", ref=hook) is None:
            await links.put(
                db, platform=campaign.platform, kind="webhook", ours=campaign.id, ref=hook, at=fleet.clock.now()
            )


def _judged(fleet: Fleet, platform: SendingPlatform, campaign: Campaign, mine: list[WebhookSeen]) -> Hook:
    wanted = platform.capabilities.webhook_events
    problems = [reason] if (reason := unreachable(fleet, platform)) else []
    if not mine:
        problems.append("the campaign has no webhook of ours")
    if len(mine) > 1:
        problems.append(f"it has {len(mine)} of ours; events come {len(mine)} times")
    for hook in mine[:1]:
        if hook.url != address(fleet, platform):
            problems.append("it leads to another address")
        if lacking := sorted(wanted - hook.events):
            problems.append(f"it is not registered for {', '.join(lacking)}")
        if not hook.filled:
            problems.append("it names no lead category, so that changes of category are not told")
    return Hook(
        campaign=campaign.name,
        ref=mine[0].ref if mine else None,
        events=tuple(sorted(mine[0].events)) if mine else (),
        problems=tuple(problems),
    )
