"""A campaign's beginning: its row here and its draft at the platform, each made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mailfleet.errors import Ambiguous, Busy, NotAllowed, Unknown
from mailfleet.platforms.port import SendingPlatform
from mailfleet.rules.campaign_file import parse
from mailfleet.services.campaign_parts import config_of
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.store import audit, campaigns, links, migrations
from mailfleet.store.campaigns import Campaign


async def draft(fleet: Fleet, config: Mapping[str, Any]) -> Campaign:
    """The campaign of this configuration, by client and name; made as a draft here and at the platform when new.

    Raises BadFile with every problem. A repeated call adopts what is there; a campaign that is no draft any more
    refuses another configuration (NotAllowed).
    """
    fleet = await whose(fleet, config)
    parsed = parse(config, fleet.policy.send_limits)
    async with fleet.db.transaction() as db:
        client = await the_client(db, parsed.client_id or None)
        made = await campaigns.add(
            db, client_id=client.id, name=parsed.name, platform=await migrations.home(db, fleet.default_platform),
            config=msgspec.to_builtins(parsed), config_hash=parsed.hash, at=fleet.clock.now(),
        )  # fmt: skip
    if made.config_hash != parsed.hash:
        raise NotAllowed(
            f"{made.name} is {made.state} with another configuration.",
            reasons=("a campaign that was started is changed by a plan",),
            hint="`mailfleet campaign plan FILE` shows what would change; `campaign apply` does it.",
        )
    await at_platform(fleet, made)
    return made


async def whose(fleet: Fleet, config: Mapping[str, Any]) -> Fleet:
    """The parts of the client that a configuration names. A wrong name is told after the configuration was checked."""
    async with fleet.db.connection() as db:
        try:
            return fleet.of(await the_client(db, str(config.get("client_id") or "") or None))
        except Unknown:
            return fleet


async def at_platform(fleet: Fleet, campaign: Campaign) -> str:
    """The platform's campaign, made once: one killed between the call and the link is found by its name (V9)."""
    async with fleet.db.single_flight(f"campaign:{campaign.id}") as mine:
        if not mine:
            raise Busy(f"Another run is creating {campaign.name}.", hint="Wait for it to end.")
        async with fleet.db.connection() as db:
            ref = await links.ref(db, platform=campaign.platform, kind="campaign", ours=campaign.id)
        if ref is None:
            ref = await _adopted_or_made(fleet, campaign)
            async with fleet.db.transaction() as db:
                await links.put(
                    db, platform=campaign.platform, kind="campaign", ours=campaign.id, ref=ref, at=fleet.clock.now()
                )
                await audit.record(
                    db, actor=fleet.actor, action="create_campaign", entity="campaign", entity_id=campaign.id,
                    at=fleet.clock.now(), detail={"name": campaign.name, "hash": campaign.config_hash},
                )  # fmt: skip
    return ref


async def _adopted_or_made(fleet: Fleet, campaign: Campaign) -> str:
    platform = fleet.platform(campaign.platform)
    name = f"{campaign.name} [{str(campaign.id)[:8]}]"
    if known := await _named(platform, name):
        return known
    try:
        return await platform.create_campaign(name, timezone=config_of(campaign).schedule.timezone)
    except Ambiguous:
        if made := await _named(platform, name):
            return made
        raise


async def _named(platform: SendingPlatform, name: str) -> str | None:
    return next((seen.ref for seen in await platform.campaigns() if seen.name == name), None)
