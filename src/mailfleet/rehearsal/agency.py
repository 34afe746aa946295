"""The agency that is moved: mailboxes warm at the old vendor for months, and the campaigns it starts, by a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.flows.domain_setup import smartlead_domain_setup_flow
from mailfleet.flows.shell import plain
from mailfleet.platforms.port import MailboxSpec, WarmupSettings
from mailfleet.rehearsal.stage import Stage
from mailfleet.sandbox.forge.sequences import make_product
from mailfleet.sandbox.forge.state import workspace
from mailfleet.services import clients, credentials, personas
from mailfleet.store import links, mailboxes
from mailfleet.store.clients import NewPersona

CLIENT, ZONE = "agency-os", "Australia/Sydney"
OLD, NEW = "forge", "smartlead"
SYDNEY = ZoneInfo(ZONE)
START_ON = date(2026, 3, 2)
WEEKS = 13
STEPS = 3
LIFE = 14
"""Days of a campaign, from its first mail to its last."""
MAILS_A_LEAD = 2.7
"""Of three: some answer, some bounce."""
NEW_DAYS = 6
BOX_A_DAY = 25
PILOT, SENTINELS = 100, 2
_PEOPLE = ("ann.lee", "bo.ek", "cy.day", "di.fox")
_PASSWORD = "rehearsed"  # noqa: S105 - a mailbox of the sandbox
IDENTITY = {
    "legal_name": "Agency OS Rehearsal Pty Ltd",
    "trading_name": "Agency OS",
    "company_number": "ABN 00 000 000 000",
    "postal_address": "Level 1, 1 Example Street, Sydney NSW 2000, Australia",
    "reply_contact": "hello@agency-os-mfdemo.com.au",
}
_FOOT = (
    "\n\n--\nAgency OS Rehearsal Pty Ltd, trading as Agency OS (ABN 00 000 000 000)\n"
    "Level 1, 1 Example Street, Sydney NSW 2000, Australia\n{{unsubscribe}}\n"
)
_TEXTS = (
    "Hi {{first_name}},\n\nmost crews at {{company_name}}'s size plan their week by phone. A shared board saves them "
    "some hours. Would a ten-minute look be useful?",
    "Hi {{first_name}},\n\none example in case it helps: a team of twelve stopped ringing round each morning.",
    "Hi {{first_name}},\n\nthis is my last mail about it. Thank you for your time.",
)


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One to be started on `day` (0 is the first of week 1). `tag` stands in its leads' addresses."""

    name: str
    tag: str
    day: int
    leads: int
    boxes: tuple[int, ...]


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the agency will do, decided by the seed before anything begins."""

    seed: int
    volume: int
    boxes: int
    at_once: int
    campaigns: tuple[Campaign, ...]


def at_once(volume: int) -> int:
    """Campaigns that run side by side (migration-control 2.1: 4 at 100 a day, 20 at 1,000, 60 at 10,000)."""
    return max(2, round(20 * (volume / 1000) ** (math.log(5) / math.log(10) if volume < 1000 else 0.477)))


def book(seed: int, volume: int, days: int = 7 * 36) -> Book:
    """Campaigns of unequal size (log-normal, .6), begun evenly over the days."""
    rng = random.Random(f"rehearsal:{seed}:{volume}")  # noqa: S311 - an agency, no secret
    together = at_once(volume)
    boxes = max(24, round(volume / BOX_A_DAY))
    mean = volume * LIFE / together / MAILS_A_LEAD
    made: list[Campaign] = []
    for number in range(round(days * together / LIFE)):
        size = max(6, round(mean * rng.lognormvariate(-0.18, 0.6)))
        first = rng.randrange(boxes)
        used = tuple((first + each) % boxes for each in range(min(boxes, max(2, math.ceil(size / NEW_DAYS / 6)))))
        day = number * LIFE // together
        made.append(
            Campaign(name=f"Outreach {number + 1:03d}", tag=f"c{number + 1:03d}", day=day, leads=size, boxes=used)
        )
    return Book(seed=seed, volume=volume, boxes=boxes, at_once=together, campaigns=tuple(made))


def address(number: int) -> str:
    return f"{_PEOPLE[number % 4]}@crew{number // 4 + 1}-mfout.com"


def moment(day: int, hour: float = 0) -> datetime:
    """A local time of the agency on one of its days."""
    local = datetime.combine(START_ON + timedelta(days=day), time(), SYDNEY)
    return (local + timedelta(hours=hour)).astimezone(UTC)


def local_date(at: datetime) -> date:
    return at.astimezone(SYDNEY).date()


async def found(stage: Stage, plan: Book) -> None:
    """The agency as it stands before week 1: everything sends from the old vendor, every mailbox is known to both."""
    fleet = stage.fleet
    client = await clients.put_client(fleet, CLIENT, name="Agency OS", timezone=ZONE, country="AU", identity=IDENTITY)
    names = [address(number) for number in range(plan.boxes)]
    await stage.control(
        "POST",
        "/forge/seed",
        {"sequences": 0, "leads": 0, "addresses": names, "days": 90, "warm_days": 60, "timezone": ZONE},
    )
    world = stage.inside.world
    make_product(world, workspace(world, "Agency"), "Planning board", {"name": "Planning board"})
    theirs = {box.address: box.ref async for box in fleet.platform(OLD).mailboxes()}
    for name in names:
        await _mailbox(stage, client.id, name, theirs[name])
    await personas.put_personas(
        fleet, client, [NewPersona(local_part=each, first_name=each[:2].title(), last_name="Crew") for each in _PEOPLE]
    )


async def _mailbox(stage: Stage, client_id: Any, name: str, old: str) -> None:
    """Warm at the old vendor; connected to the new one, which warms it too (M7, S6)."""
    fleet, now = stage.fleet, stage.now
    await stage.control("POST", "/mailhost/accounts", {"address": name, "password": _PASSWORD})
    told = stage.inside.info["mailhost"]
    new = fleet.platform(NEW)
    ref = await new.connect_mailbox(
        MailboxSpec(
            address=name, display_name=_display(name), username=name, password=_PASSWORD,
            smtp_host=told["smtp_host"], smtp_port=told["smtp_port"], imap_host=told["imap_host"],
            imap_port=told["imap_port"], daily_cap=40,
        )
    )  # fmt: skip
    await new.set_warmup(ref, WarmupSettings(enabled=True, per_day=8, rampup=5))
    async with fleet.db.transaction() as db:
        box = await mailboxes.add(
            db, name, client_id=client_id, domain_id=None, persona_id=None, display_name=_display(name),
            timezone=ZONE, host="custom_smtp", at=now,
        )  # fmt: skip
        await db.execute(
            """update mailfleet.mailboxes
               set state = 'PRODUCTION', connected = true, warm_elsewhere = true, heat = 95, heat_state = 'OK',
                   warming_since = %s where id = %s""",
            [now - timedelta(days=60), box.id],
        )
        for platform, theirs in ((OLD, old), (NEW, ref)):
            await links.put(db, platform=platform, kind="mailbox", ours=box.id, ref=theirs, at=now)


def _display(name: str) -> str:
    return name.partition("@")[0].replace(".", " ").title()


async def new_domain(stage: Stage) -> None:
    """A domain of its own for the new platform, by the flow that makes them; it warms through weeks 1 and 2."""
    name = "fresh-mfout.com.au"
    await stage.control("POST", "/registrar/domains", {"name": name})
    for local in _PEOPLE[:2]:
        await stage.control("POST", "/mailhost/accounts", {"address": f"{local}@{name}", "password": _PASSWORD})
        await credentials.put(stage.fleet, f"{local}@{name}", _PASSWORD)
    await plain(smartlead_domain_setup_flow, domain=name, mailbox_count=2, client_id=CLIENT)


def config(each: Campaign) -> dict[str, Any]:
    """Its file. Each step carries a reference, so that whoever reads a mail knows which step of what it is."""
    return {
        "name": each.name,
        "client_id": CLIENT,
        "from_mailboxes": [address(number) for number in each.boxes],
        "sequence": [
            {
                "step": step,
                "subject": "Planning at {{company_name}}" if step == 1 else "",
                "body": f"{_TEXTS[step - 1]}\n\nReference {each.tag}/{step}.{_FOOT}",
                "delay_days": (0, 3, 5)[step - 1],
            }
            for step in range(1, STEPS + 1)
        ],
        "schedule": {
            "timezone": ZONE,
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "start_hour": 9,
            "end_hour": 17,
            "max_new_leads_per_day": max(4, math.ceil(each.leads / NEW_DAYS)),
        },
        "limits": {"daily_per_mailbox": 40, "warmup_reserve": 20},
        "tracking": {"opens": False, "clicks": False},
        "identity": IDENTITY,
    }


def leads(each: Campaign, seed: int) -> list[Mapping[str, Any]]:
    """Its people: each works somewhere else."""
    return [
        {
            "email": f"pat{number}@{each.tag}-{number}-s{seed}.com.au",
            "first_name": "Pat",
            "last_name": f"No{number}",
            "company": f"Firm {each.tag} {number}",
            "role": "Manager",
            "country": "AU",
            "source": "Company website",
            "evidence": f"https://www.{each.tag}-{number}-s{seed}.com.au",
            "captured_at": "2026-01-10T00:00:00Z",
            "basis": "conspicuous_publication",
            "relevance": "plans the work",
            "no_marketing_statement": "no",
        }
        for number in range(each.leads)
    ]
