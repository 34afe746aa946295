"""What really happened, from both vendors' own logs and accounts. Nothing here knows how leads are moved, or why.

Every mail of a rehearsal carries a reference, `TAG/STEP`: the same reference to the same address is the same step,
whichever vendor sent it and whatever it is called there.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailfleet.sandbox.forge.state import GOES_ON, forge
from mailfleet.sandbox.smartlead.state import smartlead
from mailfleet.sandbox.world import World

REFERENCE = re.compile(r"Reference ([a-z0-9]+/\d+)")
_UNDER_WAY = ("STARTED", "INPROGRESS", "PAUSED")
RESUMED_WITHIN = timedelta(days=12)
_ENDINGS = ("bounced", "unsubscribed", "complained")


@dataclass(frozen=True)
class Mail:
    """A mail that left."""

    at: datetime
    platform: str
    email: str
    step: str
    """Its reference."""


@dataclass(frozen=True)
class Account:
    """What the logs say of a whole rehearsal."""

    mails: int
    double_sends: int
    lost_leads: int
    crossed_leads: int
    """Written to by one vendor again after the other had gone on with them."""
    doubles: tuple[str, ...]
    lost: tuple[str, ...]


def mails(world: World) -> list[Mail]:
    """Every campaign mail of the logs, with the reference in its text."""
    texts = {sent.message_id: sent.body for sent in smartlead(world).by_stats_id.values()}
    texts |= {mail.message_id: mail.body for ws in forge(world).workspaces.values() for mail in ws.mails}
    return [
        Mail(datetime.fromisoformat(line["at"]), line["platform"], line["lead_email"].lower(), _step(texts, line))
        for line in world.log.lists["sends"]
        if line["kind"] == "campaign"
    ]


def _step(texts: Mapping[str, str], line: Mapping[str, str]) -> str:
    found = REFERENCE.search(texts.get(line["message_id"], ""))
    return found[1] if found else f"{line['campaign_id']}/{line['step']}"


def active(world: World) -> dict[str, set[str]]:
    """By vendor, who may be written to at this moment: under way in a campaign that is sending."""
    new = {
        each.lead.email.lower()
        for campaign in smartlead(world).campaigns.values()
        if campaign.status == "ACTIVE"
        for each in campaign.maps.values()
        if each.status in ("STARTED", "INPROGRESS")
    }
    old = {
        each.contact.email.lower()
        for ws in forge(world).workspaces.values()
        for sequence in ws.sequences.values()
        if sequence.status == "active"
        for each in sequence.enrolments.values()
        if each.status in GOES_ON
    }
    return {"smartlead": new, "forge": old}


def on_both(world: World) -> set[str]:
    """Leads that both vendors may write to at this moment."""
    seen = active(world)
    return seen["smartlead"] & seen["forge"]


def account(world: World, given: Collection[str], steps: int) -> Account:
    """`given`: whoever was handed over to be written to, and `steps` of mail each is to get."""
    sent = mails(world)
    times = Counter((mail.email, mail.step) for mail in sent)
    doubles = sorted(f"{email} {step} × {n}" for (email, step), n in times.items() if n > 1)
    lost = sorted(_lost(world, sent, given, steps))
    return Account(
        mails=len(sent),
        double_sends=sum(n - 1 for n in times.values()),
        lost_leads=len(lost),
        crossed_leads=len(_crossed(sent)),
        doubles=tuple(doubles[:20]),
        lost=tuple(lost[:20]),
    )


def _crossed(sent: Sequence[Mail]) -> set[str]:
    """A, then B, then A again."""
    turns: dict[str, list[str]] = defaultdict(list)
    for mail in sorted(sent, key=lambda mail: mail.at):
        if not turns[mail.email] or turns[mail.email][-1] != mail.platform:
            turns[mail.email].append(mail.platform)
    return {email for email, order in turns.items() if len(order) > 2}


def _lost(world: World, sent: Sequence[Mail], given: Collection[str], steps: int) -> set[str]:
    """Neither written to the end, nor ended by what they did, nor waiting at a vendor."""
    got: dict[str, set[str]] = defaultdict(set)
    for mail in sent:
        got[mail.email].add(mail.step)
    over = {email for email, seen in got.items() if len(seen) >= steps}
    return {email.lower() for email in given} - over - _ended(world) - _waiting(world) - _away(world)


def _ended(world: World) -> set[str]:
    """Who answered, bounced, opted out or complained, by the log of what people did; and who is on a list not to be
    written to."""
    return {
        line["email"].lower()
        for line in world.log.lists["people"]
        if line["kind"] in _ENDINGS or (line["kind"] == "replied" and line["category"] != "out_of_office")
    }


def _away(world: World) -> set[str]:
    """Out of the office, and not back for longer than it takes to go on with them."""
    found: set[str] = set()
    for line in world.log.lists["people"]:
        if line["kind"] == "replied" and line["category"] == "out_of_office" and line["back"]:
            back = datetime.fromisoformat(line["back"]).replace(tzinfo=world.now.tzinfo)
            if back + RESUMED_WITHIN > world.now:
                found.add(line["email"].lower())
    return found


def _waiting(world: World) -> set[str]:
    """Under way at a vendor, in a campaign that sends or was paused; in a draft nobody waits for anything."""
    new = {
        each.lead.email.lower()
        for campaign in smartlead(world).campaigns.values()
        if campaign.status in ("ACTIVE", "PAUSED")
        for each in campaign.maps.values()
        if each.status in _UNDER_WAY
    }
    old = {
        each.contact.email.lower()
        for ws in forge(world).workspaces.values()
        for sequence in ws.sequences.values()
        if sequence.status in ("active", "paused")
        for each in sequence.enrolments.values()
        if each.status in GOES_ON
    }
    return new | old


def by_day(world: World) -> dict[str, dict[str, int]]:
    """Day (UTC) → platform → campaign mails."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"smartlead": 0, "forge": 0})
    for line in world.log.lists["sends"]:
        if line["kind"] == "campaign":
            found[line["at"][:10]][line["platform"]] += 1
    return dict(sorted(found.items()))


def digest(lines: Sequence[Sequence[object]]) -> str:
    """Of a ledger, whatever the order of its lines."""
    text = "\n".join(sorted("\x1f".join(map(str, line)) for line in lines))
    return hashlib.sha256(text.encode()).hexdigest()
