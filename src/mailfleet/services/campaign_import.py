"""Campaigns of another platform made ours, and the default platform's: seen before it is done, and done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog

from mailfleet.errors import BadFile, NotAllowed, Unknown
from mailfleet.platforms.port import CampaignSeen, SendingPlatform, Step
from mailfleet.rules import campaign_file, mapping
from mailfleet.rules.mapping import Form, Mapped, Source
from mailfleet.services import campaigns
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns as rows
from mailfleet.store import links, mailboxes

log = structlog.get_logger(__name__)
Action = Literal["create", "same", "differs", "asks", "skip", "bad"]


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do with one campaign."""

    ref: str
    name: str
    action: Action
    differences: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    ours: UUID | None = None
    config: dict[str, Any] = {}


async def sources(fleet: Fleet, name: str, *, refs: Sequence[str] = ()) -> list[Source]:
    """The platform's campaigns with steps and mailboxes. Raises VendorError."""
    platform = fleet.platforms[name]
    addresses = {box.ref: box.address async for box in platform.mailboxes()}
    found = [seen for seen in await platform.campaigns() if not refs or seen.ref in refs]
    return [await _source(platform, seen, addresses) for seen in found if seen.state != "archived"]


async def _source(platform: SendingPlatform, seen: CampaignSeen, addresses: Mapping[str, str]) -> Source:
    boxes = await platform.campaign_mailboxes(seen.ref)
    own = tuple(addresses[box] for box in boxes if box in addresses)
    steps = forms(await platform.steps(seen.ref))
    return Source(ref=seen.ref, name=seen.name, state=seen.state, steps=steps, mailboxes=own)


def forms(steps: Sequence[Step]) -> tuple[Form, ...]:
    return tuple(
        Form(delay_days=step.delay_days, wordings=step.variants or (("A", step.subject, step.body),)) for step in steps
    )


async def plan(
    fleet: Fleet, name: str, answers: Mapping[str, Mapping[str, Any]], *, refs: Sequence[str] = ()
) -> list[tuple[Source, Planned]]:
    """Every campaign with what would become of it; nothing is changed anywhere."""
    return await planned(fleet, name, await sources(fleet, name, refs=refs), answers)


async def planned(
    fleet: Fleet, name: str, found: Sequence[Source], answers: Mapping[str, Mapping[str, Any]]
) -> list[tuple[Source, Planned]]:
    """The same of campaigns that were read already, from an archive for one. `name` is what their refs are known by."""
    return [(source, await _planned(fleet, name, source, answers.get(source.ref, {}))) for source in found]


async def _planned(fleet: Fleet, name: str, source: Source, answers: Mapping[str, Any]) -> Planned:
    found = mapping.mapped(source, answers)
    async with fleet.db.connection() as db:
        ours = await links.ours(db, platform=name, kind="campaign", ref=source.ref)
    known = await rows_of(fleet, ours) if ours else None
    told = mapping.differences(known, found.config)
    return Planned(
        ref=source.ref,
        name=found.config["name"],
        action=_action(fleet, found, answers, known is not None, told),
        differences=tuple(told),
        lost=(*found.lost, *await _strangers(fleet, source)),
        asked=found.asked,
        problems=tuple(_problems(fleet, found)),
        ours=UUID(ours) if ours else None,
        config=found.config,
    )


async def _strangers(fleet: Fleet, source: Source) -> list[str]:
    async with fleet.db.connection() as db:
        ours = [box for box in source.mailboxes if await mailboxes.find(db, box)]
    lacking = sorted(set(source.mailboxes) - set(ours))
    return [f"mailboxes that are not ours yet: {', '.join(lacking)}"] if lacking else []


def _action(fleet: Fleet, found: Mapped, answers: Mapping[str, Any], known: bool, told: Sequence[str]) -> Action:
    if answers.get("skip"):
        return "skip"
    if found.asked:
        return "asks"
    if _problems(fleet, found):
        return "bad"
    return "create" if not known else "differs" if told else "same"


def _problems(fleet: Fleet, found: Mapped) -> list[str]:
    """What our own rules say of it, once everything is answered."""
    if found.asked:
        return []
    try:
        campaign_file.parse(found.config, fleet.policy.send_limits)
    except BadFile as error:
        return [error.what]
    return []


async def rows_of(fleet: Fleet, id: str) -> dict[str, Any] | None:
    """Our campaign's configuration as it stands; None when it is gone."""
    async with fleet.db.connection() as db:
        found = await rows.find(db, id)
    return found[0].config if found else None


async def apply(fleet: Fleet, name: str, planned: Sequence[Planned]) -> list[Planned]:
    """Makes what is new, as drafts; a campaign that differs from ours is left to a person. Safe to stop and repeat.

    Raises NotAllowed for the platform that campaigns are made on anyway.
    """
    if name == fleet.default_platform:
        raise NotAllowed(f"Campaigns of {name} are not imported into {name}.", hint="Name the platform they leave.")
    return await make(fleet, name, planned)


async def make(fleet: Fleet, name: str, planned: Sequence[Planned]) -> list[Planned]:
    """`apply`, wherever they come from."""
    done: list[Planned] = []
    for each in planned:
        if each.action in ("create", "same"):
            done.append(msgspec.structs.replace(each, ours=await _make(fleet, name, each)))
    return done


async def _make(fleet: Fleet, name: str, planned: Planned) -> UUID:
    """Every step may be repeated: one that was made in part is finished, a draft gets mailboxes that came since."""
    made = await campaigns.draft(fleet, planned.config)
    async with fleet.db.transaction() as db:
        await links.put(db, platform=name, kind="campaign", ours=made.id, ref=planned.ref, at=fleet.clock.now())
    if made.state != "draft":
        return made.id
    await campaigns.configure_steps(fleet, made.id, planned.config["sequence"])
    await campaigns.set_schedule(fleet, made.id, planned.config["schedule"])
    try:
        await campaigns.assign_mailboxes(fleet, made.id, await campaigns.mailboxes_for(fleet, made.id))
    except Unknown as error:
        log.info("import.mailboxes_missing", campaign=made.name, said=error.what)
    return made.id
