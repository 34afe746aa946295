"""A campaign's figures: by step, variant and mailbox, each rate with its n; replies counted by lead (smartlead 6.1).

Every rate is a ratio of sums. A sum of rates, or their mean, would weigh a step of ten mails like one of a thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.platforms.port import CampaignStats, SendingPlatform, SentMessage
from mailfleet.services.campaign_parts import both, config_of
from mailfleet.services.context import Fleet
from mailfleet.store import campaign_leads, campaigns, events, links, mailboxes
from mailfleet.store.campaigns import Campaign


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`count` of `n`; no rate where there is no n."""

    count: int
    n: int
    rate: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One step, variant or mailbox. `replied` counts leads, attributed to the last mail before their reply."""

    of: str
    sent: int
    opened: Rate | None
    """None where opens are not tracked: no opens seen is not no opens."""
    clicked: Rate | None
    replied: Rate
    bounced: Rate
    unsubscribed: Rate


async def stats(fleet: Fleet, campaign_id: UUID) -> dict[str, Any]:
    """The platform's totals, its figures by part, ours beside them, and how many leads are in which state."""
    fleet, campaign, ref = await both(fleet, campaign_id)
    platform = fleet.platform(campaign.platform)
    theirs = await platform.stats(ref)
    messages = [each async for each in platform.sent_messages(ref)] if theirs.sent else []
    async with fleet.db.connection() as db:
        ours = dict(await events.campaign_sums(db, campaign_id))
        states = dict(await campaigns.lead_states(db, campaign_id))
        replied = dict(await campaign_leads.replied(db, campaign_id))
        names = {ref: id for id, ref in (await links.refs(db, platform=campaign.platform, kind="mailbox")).items()}
        addresses = {str(box.id): box.address for box in await mailboxes.every(db)}
    boxes = {ref: addresses.get(id, ref) for ref, id in names.items()}
    labels = await _labels(platform, campaign, ref, messages)
    return {
        **msgspec.to_builtins(theirs),
        "rates": msgspec.to_builtins(_totals(campaign, theirs, messages)),
        **_tables(campaign, messages, labels, boxes),
        "replies_by_category": replied,
        "ours": ours,
        "leads_by_status": states,
        "state": campaign.state,
    }


async def _labels(
    platform: SendingPlatform, campaign: Campaign, ref: str, messages: Sequence[SentMessage]
) -> Mapping[str, str]:
    """Read only for a campaign with variants: every call counts against the platform's rate."""
    if not messages or not any(step.variants for step in config_of(campaign).sequence):
        return {}
    return (await platform.campaign_setup(ref)).variant_labels


def _tables(
    campaign: Campaign, messages: Sequence[SentMessage], labels: Mapping[str, str], boxes: Mapping[str, str]
) -> dict[str, Any]:
    answered = last_before_reply(messages)
    kinds = {
        "by_step": lambda each: str(each.step),
        "by_variant": lambda each: labels.get(each.variant_ref or "", ""),
        "by_mailbox": lambda each: boxes.get(each.mailbox_ref or "", each.mailbox_ref or ""),
    }
    return {name: msgspec.to_builtins(_rows(campaign, messages, answered, key)) for name, key in kinds.items()}


def last_before_reply(messages: Iterable[SentMessage]) -> frozenset[str]:
    """One message for each lead that replied: one reply may mark several rows, and the last of them was answered."""
    found: dict[str, SentMessage] = {}
    for each in messages:
        old = found.get(each.email)
        if each.replied_at and (old is None or each.sent_at > old.sent_at):
            found[each.email] = each
    return frozenset(each.message_ref for each in found.values())


def _rows(campaign: Campaign, messages: Sequence[SentMessage], answered: frozenset[str], key: Any) -> list[Row]:
    grouped: dict[str, list[SentMessage]] = defaultdict(list)
    for each in messages:
        if name := key(each):
            grouped[name].append(each)
    return [_row(campaign, name, some, answered) for name, some in sorted(grouped.items())]


def _row(campaign: Campaign, name: str, some: Sequence[SentMessage], answered: frozenset[str]) -> Row:
    config, n = config_of(campaign), len(some)
    return Row(
        of=name,
        sent=n,
        opened=_rate(sum(1 for m in some if m.opened_at), n) if config.track_opens else None,
        clicked=_rate(sum(1 for m in some if m.clicked_at), n) if config.track_clicks else None,
        replied=_rate(sum(1 for m in some if m.message_ref in answered), n),
        bounced=_rate(sum(1 for m in some if m.bounced), n),
        unsubscribed=_rate(len({m.email for m in some if m.unsubscribed}), n),
    )


def _totals(campaign: Campaign, theirs: CampaignStats, messages: Sequence[SentMessage]) -> dict[str, Rate | None]:
    """Of all mails, and of all leads where a lead counts once."""
    config, people = config_of(campaign), len({m.email for m in messages}) or theirs.unique_sent
    return {
        "opened": _rate(theirs.opened, theirs.sent) if config.track_opens else None,
        "clicked": _rate(theirs.clicked, theirs.sent) if config.track_clicks else None,
        "replied": _rate(len(last_before_reply(messages)), people),
        "bounced": _rate(theirs.bounced, theirs.sent),
        "unsubscribed": _rate(theirs.unsubscribed, people),
    }


def _rate(count: int, n: int) -> Rate:
    return Rate(count=count, n=n, rate=round(count / n, 4) if n else None)
