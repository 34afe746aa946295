"""Two vendors in memory that can be told to misbehave, and a world on a real database between them.

They play the outside: a campaign that runs sends; a call may be refused, lost, carried out without an answer, or
carried out long after. What went out is in `log`, by address and text, whoever sent it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from mailfleet.clock import FixedClock
from mailfleet.errors import Ambiguous, Unavailable
from mailfleet.platforms.port import (
    AddedLeads,
    Applied,
    CampaignSeen,
    CampaignStats,
    Capabilities,
    LeadSeen,
    MailboxSeen,
    NewLead,
    SentMessage,
)
from mailfleet.policy.model import default_policy
from mailfleet.services import campaigns, clients, push
from mailfleet.services.context import Fleet
from mailfleet.store import links
from mailfleet.store import mailboxes as boxes
from mailfleet.store.database import tuples
from mailfleet.store.secrets import Kek, Vault

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
STEPS = 3


def config(name: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "sequence": [
            {
                "step": n,
                "subject": "Hello {{first_name}}" if n == 1 else "",
                "body": f"{name} mail {n}. {{{{unsubscribe}}}}",
                "delay_days": 0 if n == 1 else 3,
            }
            for n in range(1, STEPS + 1)
        ],
        "schedule": {
            "timezone": "Australia/Sydney", "days": ["mon", "tue", "wed", "thu", "fri"], "start_hour": 9,
            "end_hour": 17,
        },
        "identity": {"legal_name": "Agency", "postal_address": "1 Street", "reply_contact": "a@agency-mfdemo.com"},
    }  # fmt: skip


class Vendor:
    """`next` says what becomes of the coming calls, one word each: ok, refused, lost, done, late."""

    def __init__(self, name: str, log: list[tuple[str, str, str]], *, unique: bool) -> None:
        self.name, self.log, self.unique = name, log, unique
        self.capabilities = Capabilities(max_leads_per_call=2, list_leads=unique)
        self.made: dict[str, SimpleNamespace] = {}
        self.blocked: set[str] = set()
        self.next: list[str] = []
        self.late: list[Any] = []
        self.calls: list[str] = []
        self.clock: FixedClock | None = None

    async def _carry(self, what: str, act: Any) -> Any:
        self.calls.append(what)
        fate = self.next.pop(0) if self.next else "ok"
        if fate == "refused":
            raise Unavailable("no", vendor=self.name, operation=what) if what == "read" else self._no(what)
        if fate == "lost":
            raise Ambiguous("no answer", vendor=self.name, operation=what)
        if fate == "late":
            self.late.append(act)
            raise Ambiguous("no answer", vendor=self.name, operation=what)
        done = act()
        if fate == "done":
            raise Ambiguous("no answer", vendor=self.name, operation=what)
        return done

    def _no(self, what: str) -> Exception:
        from mailfleet.errors import RateLimited

        return RateLimited("too many", vendor=self.name, operation=what, status=429)

    def deliver(self) -> None:
        """What was under way arrives."""
        while self.late:
            self.late.pop(0)()

    # what happens there by itself
    def send(self, most: int = 10_000, rng: random.Random | None = None) -> int:
        """Running campaigns send the next step of each lead."""
        sent = 0
        for campaign in self.made.values():
            if campaign.state != "running":
                continue
            for lead in campaign.leads:
                if sent >= most or lead.over or lead.email in self.blocked or lead.at >= len(campaign.steps):
                    continue
                if rng and rng.random() < 0.5:
                    continue
                self.log.append((self.name, lead.email, campaign.steps[lead.at].body))
                lead.at, sent = lead.at + 1, sent + 1
                campaign.sent += 1
        return sent

    def ends(self, email: str) -> None:
        """This person replied here: the vendor stops by itself."""
        for campaign in self.made.values():
            for lead in campaign.leads:
                lead.over = lead.over or lead.email == email

    # the port
    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        def act() -> str:
            ref = f"{self.name}-{len(self.made) + 1}"
            self.made[ref] = SimpleNamespace(name=name, state="draft", leads=[], boxes=[], steps=[], sent=0)
            return ref

        return await self._carry("create", act)

    async def campaigns(self) -> Sequence[CampaignSeen]:
        return [CampaignSeen(ref=ref, name=c.name, state=c.state) for ref, c in self.made.items()]

    async def campaign(self, ref: str) -> CampaignSeen:
        return CampaignSeen(ref=ref, name=self.made[ref].name, state=self.made[ref].state)

    async def set_campaign(self, ref: str, **given: Any) -> None: ...

    async def set_steps(self, ref: str, steps: Sequence[Any]) -> None:
        self.made[ref].steps = list(steps)

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        self.made[ref].boxes = list(mailbox_refs)

    async def start_campaign(self, ref: str) -> None:
        await self._carry("start", lambda: setattr(self.made[ref], "state", "running"))

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        await self._carry("pause", lambda: setattr(self.made[ref], "state", "paused"))

    async def ensure_webhook(self, campaign_ref: str, url: str, *, renew: bool = False) -> str:
        return "9"

    async def mailboxes(self) -> AsyncIterator[MailboxSeen]:
        yield MailboxSeen(ref="1", address="ann@mfdemo-out.com", connected=True, daily_cap=40, warmup_enabled=False)

    async def mailbox(self, ref: str) -> MailboxSeen:
        return MailboxSeen(ref=ref, address="ann@mfdemo-out.com", connected=True)

    async def set_warmup(self, ref: str, settings: Any) -> Applied:
        return await self._carry("warm", Applied)

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        return Applied()

    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads:
        def act() -> AddedLeads:
            here = self.made[campaign_ref].leads
            added: dict[str, str] = {}
            for lead in leads:
                if not (self.unique and any(each.email == lead.email for each in here)):
                    here.append(SimpleNamespace(email=lead.email, ref=f"l{len(here)}", at=0, over=False))
                added[lead.email] = here[-1].ref
            return AddedLeads(added=added)

        return await self._carry("add", act)

    async def leads(self, campaign_ref: str, *, state: str | None = None) -> AsyncIterator[LeadSeen]:
        for lead in self.made[campaign_ref].leads:
            yield LeadSeen(ref=lead.ref, map_ref=lead.ref, email=lead.email, state="in_progress")

    async def stats(self, campaign_ref: str) -> CampaignStats:
        campaign = self.made[campaign_ref]
        return CampaignStats(sent=campaign.sent, leads={"all": len(campaign.leads)})

    async def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]:
        assert self.clock
        for lead in self.made[campaign_ref].leads:
            for step in range(1, lead.at + 1):
                yield SentMessage(
                    message_ref=f"{lead.email}-{step}", email=lead.email, step=step, sent_at=self.clock.now(),
                    replied_at=self.clock.now() if lead.over else None,
                )  # fmt: skip

    async def block(self, addresses: Sequence[str]) -> None:
        await self._carry("block", lambda: self.blocked.update(addresses))


class Pair:
    """An operation that has moved to `new` and may have to go back to `old`."""

    def __init__(self, fleet: Fleet, new: Vendor, old: Vendor, clock: FixedClock) -> None:
        self.fleet, self.new, self.old, self.clock = fleet, new, old, clock
        self.log = getattr(new, "log", [])
        self.campaigns: list[Any] = []

    async def ask(self, sql: Any, *args: object) -> list[tuple[Any, ...]]:
        async with self.fleet.db.connection() as db:
            return await tuples(db, sql, args)

    async def do(self, sql: Any, *args: object) -> None:
        async with self.fleet.db.connection() as db:
            await db.execute(sql, args)

    def later(self, **passed: float) -> None:
        self.clock.set(self.clock.now() + timedelta(**passed))

    def twice(self) -> list[tuple[str, str]]:
        """Mails that went out more than once, whoever sent them."""
        seen = [(email, text) for _, email, text in self.log]
        return sorted({each for each in seen if seen.count(each) > 1})

    async def owners(self) -> list[tuple[str, str, str]]:
        """address, platform, state; the final ledger."""
        return await self.ask(
            """select l.email_norm, o.platform, o.state from mailfleet.lead_ownership o
               join mailfleet.leads l on l.id = o.lead_id order by 1"""
        )


async def pair(database: Any, *, leads: Sequence[int] = (3, 2)) -> Pair:
    """Campaigns with so many leads each, pushed and running on the new platform."""
    log: list[tuple[str, str, str]] = []
    new, old, clock = Vendor("smartlead", log, unique=True), Vendor("forge", log, unique=False), FixedClock(START)
    new.clock = old.clock = clock
    fleet = Fleet(
        db=database,
        clock=clock,
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": new, "forge": old},  # type: ignore[dict-item]
        dns_hosts={},
        mailbox_hosts={},
        channels={},
        names=None,  # type: ignore[arg-type]
        suppression_key=b"pepper",
        rng=random.Random(1),
    )
    await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    made = Pair(fleet, new, old, clock)
    async with fleet.db.transaction() as db:
        client = await clients.the_client(db, None)
        box = await boxes.add(
            db, "ann@mfdemo-out.com", client_id=client.id, domain_id=None, persona_id=None, display_name="Ann",
            timezone="Australia/Sydney", host="custom_smtp", at=START,
        )  # fmt: skip
        await db.execute(
            "update mailfleet.mailboxes set state = 'PRODUCTION', connected = true where id = %s", [box.id]
        )
        for platform in ("smartlead", "forge"):
            await links.put(db, platform=platform, kind="mailbox", ours=box.id, ref=f"{platform}-box", at=START)
    for number, count in enumerate(leads):
        made.campaigns.append(await _campaign(made, f"Trades {number}", count, box.id, client.id))
    return made


async def _campaign(made: Pair, name: str, count: int, box: Any, client: Any) -> Any:
    fleet = made.fleet
    campaign = await campaigns.draft(fleet, config(name))
    await campaigns.configure_steps(fleet, campaign.id, config(name)["sequence"])
    await campaigns.assign_mailboxes(fleet, campaign.id, [box])
    await campaigns.set_schedule(fleet, campaign.id)
    tag = name.lower().replace(" ", "")
    for n in range(count):
        await made.do(
            """insert into mailfleet.leads (client_id, email, email_norm, domain, first_name, campaign_id,
                   created_at, updated_at) values (%s, %s, %s, %s, 'Kim', %s, %s, %s)""",
            client, f"p{n}@{tag}-{n}.com", f"p{n}@{tag}-{n}.com", f"{tag}-{n}.com", campaign.id, START, START,
        )  # fmt: skip
    ids = [
        id for (id,) in await made.ask("select id from mailfleet.leads where campaign_id = %s order by id", campaign.id)
    ]
    await made.do("update mailfleet.campaigns set state = 'running', started_at = %s where id = %s", START, campaign.id)
    if ids:
        await push.push(fleet, campaign.id, ids)
    (ref,) = (
        await made.ask(
            "select ref from mailfleet.platform_links where kind = 'campaign' and ours = %s", str(campaign.id)
        )
    )[0]
    made.new.made[ref].state = "running"
    return campaign
