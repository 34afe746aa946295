"""What would change: a configuration against what is here and what is at the platform, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import Unknown
from mailfleet.rules import plans
from mailfleet.rules.campaign_file import parse
from mailfleet.rules.campaigns import CampaignConfig
from mailfleet.rules.plans import Change, Fields, Text
from mailfleet.rules.rendering import derived
from mailfleet.services.campaign_parts import (
    Parts,
    config_of,
    fields,
    new_leads,
    parts,
    seen_fields,
    step_fields,
    steps,
)
from mailfleet.services.clients import the_client
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_applies, campaign_leads, campaigns, links, mailboxes, migrations
from mailfleet.store.campaigns import Campaign
from mailfleet.store.clients import Client
from mailfleet.store.database import Connection
from mailfleet.store.mailboxes import Mailbox


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`checksum` stands for all of it: an apply that names it does what was shown, or nothing."""

    name: str
    campaign_id: UUID | None
    state: str
    checksum: str
    config_hash: str
    changes: Sequence[Change]
    refused: Sequence[str] = ()
    """Why it cannot be applied, all of it."""
    notes: Sequence[str] = ()

    @property
    def drift(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "drift"]

    @property
    def empty(self) -> bool:
        return not self.changes


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan stands on: read once, used by the apply that follows."""

    client: Client
    config: CampaignConfig
    campaign: Campaign | None
    ref: str | None
    wanted: Parts
    boxes: Sequence[Mailbox]
    refs: Mapping[str, str]
    """The platform's reference → our address, of all mailboxes."""
    put: Sequence[Fields] = ()
    past: Sequence[Text] = ()
    """Every text that leads may have seen, with its position then."""
    begun: frozenset[str] = frozenset()
    """Checksums of what was begun or done with this very configuration."""
    live: int = 0
    refused: Sequence[str] = ()

    @property
    def fields(self) -> Fields:
        return fields(self.wanted)


async def plan(fleet: Fleet, config: Mapping[str, Any]) -> Plan:
    """Raises BadFile with every problem of the configuration, Unknown for a client that there is not."""
    fleet, ground = await ground_of(fleet, config)
    return await compared(fleet, ground)


async def stored(fleet: Fleet, campaign: Campaign) -> Plan:
    """The stored configuration against the platform: what is not empty here was changed there, or never put."""
    async with fleet.db.connection() as db:
        client = await the_client(db, str(campaign.client_id))
        fleet = fleet.of(client)
        ground = await _ground(fleet, db, client, config_of(campaign))
    return await compared(fleet, ground)


async def ground_of(fleet: Fleet, config: Mapping[str, Any]) -> tuple[Fleet, Ground]:
    async with fleet.db.connection() as db:
        try:
            client = await the_client(db, str(config.get("client_id") or "") or None)
        except Unknown:
            parse(config, fleet.policy.send_limits)  # what is wrong with the file is told first
            raise
        fleet = fleet.of(client)
        return fleet, await _ground(fleet, db, client, parse(config, fleet.policy.send_limits))


async def _ground(fleet: Fleet, db: Connection, client: Client, config: CampaignConfig) -> Ground:
    campaign = await campaigns.named(db, client.id, config.name)
    platform = campaign.platform if campaign else await migrations.home(db, fleet.default_platform)
    refs = await links.refs(db, platform=platform, kind="mailbox")
    boxes, refused = await _staff(db, client, config)
    refused += [f"{box.address} is not connected to {platform}" for box in boxes if str(box.id) not in refs]
    factor = await campaigns.factor(db, campaign.id) if campaign else 1.0
    every = {str(box.id): box.address for box in await mailboxes.every(db)}
    known = campaign is not None
    return Ground(
        client=client,
        config=config,
        campaign=campaign,
        ref=await links.ref(db, platform=platform, kind="campaign", ours=campaign.id) if campaign else None,
        wanted=parts(
            config,
            client.identity,
            {box.address: refs[str(box.id)] for box in boxes if str(box.id) in refs},
            [box.display_name for box in boxes],
            factor,
        ),
        boxes=boxes,
        refs={ref: every[ours] for ours, ref in refs.items() if ours in every},
        put=await _put(db, campaign, new_leads(config_of(campaign), factor)) if campaign else (),
        past=await _past(db, campaign, client) if campaign else (),
        begun=await _begun(db, campaign, config.hash) if campaign else frozenset(),
        live=(await campaign_leads.progress(db, campaign.id, client.id, shared=False)).live
        if known and campaign
        else 0,
        refused=refused,
    )


async def _past(db: Connection, campaign: Campaign, client: Client) -> list[Text]:
    found = [each.wanted for each in await campaign_applies.since_applied(db, campaign.id)]
    names = {each.display_name for each in await campaigns.senders(db, campaign.id)}
    now = steps(config_of(campaign), client.identity, names.pop() if len(names) == 1 else "")
    return [text for each in [*found, step_fields(now)] for text in _texts(each)]


async def _begun(db: Connection, campaign: Campaign, config_hash: str) -> frozenset[str]:
    found = await campaign_applies.since_applied(db, campaign.id)
    return frozenset(each.checksum for each in found if each.config_hash == config_hash)


async def _put(db: Connection, campaign: Campaign, most: int) -> Sequence[Fields]:
    """What was put there, with what the safeguards changed since: new leads a day, and mailboxes taken out here."""
    rows = await campaign_applies.since_applied(db, campaign.id)
    found: list[Fields] = [each.wanted for each in rows]
    if not any(each.state == "applied" for each in rows):
        return []  # of a first apply that was interrupted, what was there before it is not known to be anybody's
    if found:
        own = sorted(each.address for each in await campaigns.senders(db, campaign.id))
        found.append({**found[-1], "schedule.max_new_leads_per_day": most, "mailboxes": list[str](own)})
    return found


async def _staff(db: Connection, client: Client, config: CampaignConfig) -> tuple[list[Mailbox], list[str]]:
    """Those the configuration names, else the client's that are in PRODUCTION; and why some may not send."""
    if not config.from_mailboxes:
        found = list(await mailboxes.every(db, states=("PRODUCTION",), client_id=client.id))
        return found, [] if found else ["no mailbox is in PRODUCTION"]
    boxes: list[Mailbox] = []
    refused: list[str] = []
    for address in config.from_mailboxes:
        box = await mailboxes.find(db, address)
        if reason := unfit(client.id, address, box):
            refused.append(reason)
        elif box:
            boxes.append(box)
    return boxes, refused


def unfit(client_id: UUID, name: object, box: Mailbox | None) -> str:
    if box is None:
        return f"{name} is not a mailbox of ours"
    if box.client_id != client_id:
        return f"{box.address} belongs to another client"
    return "" if box.state == "PRODUCTION" else f"{box.address} is {box.state}, not PRODUCTION"


async def compared(fleet: Fleet, ground: Ground) -> Plan:
    campaign, wanted = ground.campaign, ground.fields
    there: Fields | None = None
    if campaign and ground.ref:
        there = seen_fields(await fleet.platform(campaign.platform).campaign_setup(ground.ref), ground.refs)
    changes = plans.changes(wanted, there, ground.put)
    refused = [*ground.refused, *_refusals(ground)]
    identity = str(campaign.id) if campaign else ground.config.name
    return Plan(
        name=ground.config.name,
        campaign_id=campaign.id if campaign else None,
        state=campaign.state if campaign else "new",
        config_hash=ground.config.hash,
        checksum=plans.checksum(identity, ground.config.hash, changes),
        changes=changes,
        refused=refused,
        notes=_notes(ground, changes),
    )


def _refusals(ground: Ground) -> list[str]:
    """What a campaign that has leads on their way cannot do, so that none sees a mail again (I2)."""
    if ground.campaign is None:
        return []
    told = ["it is archived"] if ground.campaign.state == "archived" else []
    if not ground.live:
        return told
    for was, now in sorted(set(plans.repeated(ground.past, _texts(ground.fields)))):
        told.append(
            f"step {now} has the text of step {was}: {ground.live} leads are in the sequence, and those past "
            f"step {was} would see it again; add new steps after the last one"
        )
    new = sorted(set(derived(ground.config)) - set(derived(config_of(ground.campaign))))
    if new:
        told.append(
            f"{ground.live} leads are at the platform without what {', '.join(new)} needs; "
            "write the text without a new fallback or field, or use a new campaign"
        )
    return told


def _texts(found: Mapping[str, Any]) -> list[Text]:
    made: list[Text] = []
    for field, value in found.items():
        if field.startswith("steps[") and field.endswith(".body"):
            position = int(field[len("steps[") : field.index("]")])
            made.append(Text(position=position, subject="", body=str(value)))
    return made


def _notes(ground: Ground, changes: Sequence[Change]) -> list[str]:
    told: list[str] = []
    if ground.live and any(change.part == "steps" for change in changes):
        told.append(f"{ground.live} leads are in the sequence: those past a changed step do not see its new text")
    if ground.live and (gone := [c.field for c in changes if c.part == "steps" and c.kind == "remove"]):
        told.append(f"removed: {', '.join(gone)}; leads that waited for it go on with what follows")
    if ground.campaign and ground.campaign.state == "running" and changes:
        told.append("it is paused while it is changed, and runs again afterwards")
    return told
