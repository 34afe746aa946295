"""What has to be true before a campaign starts: every rule with what it found, so that all reasons are told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mailfleet.policy.model import SendLimits
from mailfleet.rules.campaigns import CampaignConfig, problems
from mailfleet.rules.rendering import IDENTITY_NEEDED, SENDER, merge_fields, texts


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as a start looks at it. `share` is its part for this campaign, `others` what other campaigns ask."""

    address: str
    state: str
    ours: bool
    connected: bool
    verified: bool
    domain: str = ""
    share: int = 1
    others: int = 0
    name: str = ""
    held: str = ""


class Leads(msgspec.Struct, frozen=True, kw_only=True):
    """`empty` counts the waiting leads that leave a needed field empty; `examples` names some of them."""

    waiting: int = 0
    live: int = 0
    empty: Mapping[str, int] = {}
    examples: Sequence[str] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the world offers a campaign at its start."""

    mailboxes: Sequence[Mailbox]
    leads: Leads
    identity: Mapping[str, str] = {}
    opens_allowed: bool = True
    clicks_allowed: bool = True
    holds: Sequence[str] = ()
    webhooks: str = ""
    """Why its events could not reach us; empty when they can."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's answer. `reasons` are all of them, `detail` the same in one line or what was found in order."""

    name: str
    ok: bool
    detail: str = ""
    reasons: Sequence[str] = ()


def preflight(config: CampaignConfig, facts: Facts, limits: SendLimits | None = None) -> tuple[Check, ...]:
    return tuple(_checks(config, facts, limits or SendLimits()))


def identity_of(config: CampaignConfig, client: Mapping[str, object]) -> dict[str, str]:
    """The client's identity with the campaign's own on top."""
    return {**{key: str(value) for key, value in client.items()}, **config.identity}


def _checks(config: CampaignConfig, facts: Facts, limits: SendLimits) -> Iterator[Check]:
    boxes = facts.mailboxes
    wrong = problems(config, limits)
    yield _check("configuration", wrong, f"{len(config.sequence)} steps")
    yield _check("mailboxes", _states(config, boxes), f"{len(boxes)} in PRODUCTION")
    yield _check(
        "client", [f"{box.address} belongs to another client" for box in boxes if not box.ours], "all are the client's"
    )
    yield _check(
        "connected",
        [f"{box.address} is not connected at the platform" for box in boxes if not box.connected],
        "all are connected",
    )
    yield _check("share", [_over(box) for box in boxes if box.share < 1], f"{sum(b.share for b in boxes)} a day in all")
    yield _check(
        "domains",
        sorted({f"{box.domain or box.address}: DNS is not verified" for box in boxes if not box.verified}),
        "DNS verified",
    )
    yield _check("leads", _leads(facts.leads), f"{facts.leads.waiting} wait, {facts.leads.live} are in the sequence")
    yield _check("merge fields", _fields(facts.leads), "every waiting lead has what the texts need")
    yield _check("sender", _senders(config, boxes), "")
    yield _check("identity", _identity(config, facts), "complete")
    yield _check(
        "tracking", _tracking(config, facts), "off" if not (config.track_opens or config.track_clicks) else "allowed"
    )
    yield _check("webhooks", [facts.webhooks] if facts.webhooks else [], "events reach us")
    yield _check("holds", list(facts.holds), "none")


def _check(name: str, reasons: Sequence[str], found: str) -> Check:
    return Check(name=name, ok=not reasons, detail="; ".join(reasons) or found, reasons=tuple(reasons))


def _states(config: CampaignConfig, boxes: Sequence[Mailbox]) -> list[str]:
    told = [f"{box.address} is {box.state}, not PRODUCTION" for box in boxes if box.state != "PRODUCTION"]
    told += [f"{box.address} is held: {box.held}" for box in boxes if box.held]
    able = sum(1 for box in boxes if box.state == "PRODUCTION" and not box.held)
    if able < config.minimum_mailboxes:
        told.append(f"{able} of its mailboxes are in PRODUCTION, at least {config.minimum_mailboxes} are needed")
    return told


def _over(box: Mailbox) -> str:
    return f"{box.address} has nothing left: its other campaigns take {box.others} a day"


def _leads(leads: Leads) -> list[str]:
    return [] if leads.waiting + leads.live else ["0 leads are ready to send"]


def _fields(leads: Leads) -> list[str]:
    told = [f"{n} leads leave {{{{{name}}}}} empty" for name, n in sorted(leads.empty.items()) if n]
    return [*told, f"for example {', '.join(leads.examples)}"] if told and leads.examples else told


def _senders(config: CampaignConfig, boxes: Sequence[Mailbox]) -> list[str]:
    used = {field for text in texts(config) for field in merge_fields(text)} & SENDER
    names = sorted({box.name for box in boxes})
    if not used or len(names) == 1:
        return [f"{{{{{field}}}}}: its mailbox has no name" for field in sorted(used) if not any(names)]
    listed = f"its mailboxes carry {len(names)} names ({', '.join(name or '(no name)' for name in names)})"
    return [f"{{{{{field}}}}} cannot be filled: {listed}" for field in sorted(used)]


def _identity(config: CampaignConfig, facts: Facts) -> list[str]:
    identity = identity_of(config, facts.identity)
    lacking = [key for key in IDENTITY_NEEDED if not identity.get(key, "").strip()]
    return [f"the sender's {', '.join(lacking)} missing (L5)"] if lacking else []


def _tracking(config: CampaignConfig, facts: Facts) -> list[str]:
    asked = (("opens", config.track_opens, facts.opens_allowed), ("clicks", config.track_clicks, facts.clicks_allowed))
    return [
        f"tracking of {name} is on; the client's policy forbids it (L15)" for name, on, may in asked if on and not may
    ]
