"""Parts in memory around a real database: a desk that plays the sending platform and can be told to misbehave."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Json

from mailfleet.clock import FixedClock
from mailfleet.errors import Ambiguous
from mailfleet.platforms.port import (
    AddedLeads,
    Applied,
    CampaignSeen,
    CampaignSetup,
    CampaignStats,
    Capabilities,
    EventKind,
    HistoryEntry,
    LeadSeen,
    MailboxSeen,
    NewLead,
    PlatformEvent,
    SentMessage,
    WebhookSeen,
)
from mailfleet.policy.model import default_policy
from mailfleet.services import campaigns, clients
from mailfleet.services.context import Fleet
from mailfleet.store import links
from mailfleet.store import mailboxes as boxes
from mailfleet.store.database import tuples
from mailfleet.store.secrets import Kek, Vault

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
CONFIG: Mapping[str, Any] = {
    "name": "Trades",
    "sequence": [
        {"step": 1, "subject": "Hello {{first_name}}", "body": "Hi {{first_name}}. {{unsubscribe}}", "delay_days": 0},
        {"step": 2, "subject": "", "body": "Still there? {{unsubscribe}}", "delay_days": 3},
    ],
    "schedule": {
        "timezone": "Australia/Sydney", "days": ["mon", "tue", "wed", "thu", "fri"], "start_hour": 9, "end_hour": 17,
    },
    "identity": {"legal_name": "Agency", "postal_address": "1 Street", "reply_contact": "a@agency-mfdemo.com"},
}  # fmt: skip


HOOKED = frozenset[EventKind](("sent", "replied"))


def shown(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Schedule and settings as the desk reads them back."""
    if not given:
        return {}
    timing, settings = given["schedule"], msgspec.structs.asdict(given["settings"])
    fields = {f"settings.{name}": value for name, value in settings.items()}
    return fields | {
        "schedule.timezone": timing.timezone,
        "schedule.days": list(timing.days),
        "schedule.hours": f"{timing.start_hour:02d}:00-{timing.end_hour:02d}:00",
        "schedule.min_gap_minutes": timing.min_gap_minutes,
        "schedule.max_new_leads_per_day": timing.max_new_leads_per_day,
    }


class Desk:
    """Keeps campaigns and their leads; `calls` lists every address given to add_leads, in order."""

    name = "smartlead"
    capabilities = Capabilities(
        webhook_events=HOOKED, max_leads_per_call=50, warmup_per_day=(1, 50), warmup_rampup=(5, 20)
    )

    def __init__(self) -> None:
        self.made: dict[str, SimpleNamespace] = {}
        self.calls: list[str] = []
        self.renewed: list[str] = []
        self.blocked: list[str] = []
        self.unsubscribed: list[str] = []
        self.forgotten: list[tuple[str, str]] = []
        self.refuses: dict[str, str] = {}
        self.lose: str | None = None
        self.during: Any = None
        self.messages: list[SentMessage] = []
        self.told: list[LeadSeen] = []
        self.histories: dict[str, list[HistoryEntry]] = {}
        self.totals = CampaignStats()

    async def create_campaign(self, name: str, *, timezone: str = "UTC") -> str:
        ref = str(7000 + len(self.made))
        self.made[ref] = SimpleNamespace(name=name, state="draft", leads={}, boxes=[], steps=[], hook=None, given={})
        return ref

    async def campaigns(self) -> Sequence[CampaignSeen]:
        return [CampaignSeen(ref=ref, name=c.name, state=c.state) for ref, c in self.made.items()]

    async def campaign(self, ref: str) -> CampaignSeen:
        return CampaignSeen(ref=ref, name=self.made[ref].name, state=self.made[ref].state)

    async def set_campaign(self, ref: str, **given: Any) -> None:
        self.made[ref].given = given

    async def set_steps(self, ref: str, steps: Sequence[Any]) -> None:
        self.made[ref].steps = list(steps)

    async def set_campaign_mailboxes(self, ref: str, mailbox_refs: Sequence[str]) -> None:
        self.made[ref].boxes = list(mailbox_refs)

    async def start_campaign(self, ref: str) -> None:
        self.made[ref].state = "running"

    async def pause_campaign(self, ref: str, *, urgent: bool = True) -> None:
        self.made[ref].state = "paused"

    async def campaign_setup(self, ref: str) -> CampaignSetup:
        made = self.made[ref]
        return CampaignSetup(
            state=made.state, fields=shown(made.given), steps=made.steps, mailbox_refs=frozenset(made.boxes)
        )

    async def webhooks(self, campaign_ref: str) -> Sequence[WebhookSeen]:
        url = self.made[campaign_ref].hook
        return [WebhookSeen(ref="9", ours=True, url=url, events=HOOKED)] if url else []

    async def ensure_webhook(self, campaign_ref: str, url: str, *, renew: bool = False) -> str:
        self.made[campaign_ref].hook = url
        self.renewed += [campaign_ref] if renew else []
        return "9"

    async def mailbox(self, ref: str) -> MailboxSeen:
        return MailboxSeen(ref=ref, address="x", connected=True)

    async def set_mailbox_limits(self, ref: str, *, daily_cap: int, min_gap_minutes: int) -> Applied:
        return Applied()

    async def set_warmup(self, ref: str, settings: Any) -> Applied:
        return Applied()

    async def add_leads(self, campaign_ref: str, leads: Sequence[NewLead]) -> AddedLeads:
        self.calls += [lead.email for lead in leads]
        if self.during:
            await self.during()
        if self.lose == "before":
            raise Ambiguous("no answer", vendor="smartlead", operation="add")
        here = self.made[campaign_ref].leads
        buckets: dict[str, list[str]] = {"blocked": [], "invalid": [], "not_taken": [], "unexplained": []}
        added: dict[str, str] = {}
        for lead in leads:
            if why := self.refuses.get(lead.email):
                buckets[why].append(lead.email)
                continue
            ref = here.setdefault(lead.email, SimpleNamespace(ref=str(90_000 + len(here)), state="started")).ref
            added[lead.email] = ref
        if self.lose == "after":
            raise Ambiguous("no answer", vendor="smartlead", operation="add")
        return AddedLeads(added=added, **{name: tuple(found) for name, found in buckets.items()})

    async def leads(self, campaign_ref: str, *, state: str | None = None) -> AsyncIterator[LeadSeen]:
        for email, lead in self.made[campaign_ref].leads.items():
            if state is not None and lead.state != state:
                continue
            yield LeadSeen(ref=lead.ref, map_ref=lead.ref, email=email, state=lead.state)

    async def find_lead(self, email: str) -> tuple[str, Sequence[str]] | None:
        found = [(ref, c.leads[email].ref) for ref, c in self.made.items() if email in c.leads]
        return (found[0][1], [ref for ref, _ in found]) if found else None

    def _set(self, campaign_ref: str, lead_ref: str, state: str) -> None:
        for lead in self.made[campaign_ref].leads.values():
            lead.state = state if lead.ref == lead_ref else lead.state

    async def pause_lead(self, campaign_ref: str, lead_ref: str) -> None:
        self._set(campaign_ref, lead_ref, "paused")

    async def resume_lead(self, campaign_ref: str, lead_ref: str, *, delay_days: int = 0) -> None:
        self._set(campaign_ref, lead_ref, "in_progress")

    async def stop_lead(self, campaign_ref: str, lead_ref: str) -> None:
        self._set(campaign_ref, lead_ref, "stopped")

    async def unsubscribe_lead(self, lead_ref: str) -> None:
        self.unsubscribed.append(lead_ref)

    async def forget_lead(self, campaign_ref: str, lead_ref: str) -> None:
        self.forgotten.append((campaign_ref, lead_ref))

    async def block(self, addresses: Sequence[str]) -> None:
        self.blocked += addresses

    async def unblock(self, addresses: Sequence[str]) -> None:
        self.blocked = [each for each in self.blocked if each not in addresses]

    async def stats(self, campaign_ref: str) -> CampaignStats:
        return self.totals

    async def sent_messages(self, campaign_ref: str, *, since: datetime | None = None) -> AsyncIterator[SentMessage]:
        for message in self.messages:
            yield message

    async def history(self, campaign_ref: str, lead_ref: str) -> Sequence[HistoryEntry]:
        return self.histories.get(lead_ref, [])

    async def complaints(self, campaign_ref: str) -> Sequence[LeadSeen]:
        return self.told

    def parse_event(self, body: Mapping[str, Any]) -> PlatformEvent | None:
        return None if body.get("kind") == "mystery" else msgspec.convert(body, PlatformEvent)


class Box:
    """A notice channel that keeps what it carries."""

    name = "slack"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(
        self, target: str, *, title: str, body: str, severity: str, context: object, notice: str = ""
    ) -> str:
        self.sent.append((target, title))
        return str(len(self.sent))


class World:
    def __init__(self, fleet: Fleet, desk: Desk, clock: FixedClock, slack: Box) -> None:
        self.fleet, self.desk, self.clock, self.slack = fleet, desk, clock, slack
        self.campaign: Any = None
        self.ref = ""

    async def ask(self, sql: Any, *args: object) -> list[tuple[Any, ...]]:
        async with self.fleet.db.connection() as db:
            return await tuples(db, sql, args)

    async def one(self, sql: Any, *args: object) -> Any:
        return (await self.ask(sql, *args))[0][0]

    async def roomy(self, mailboxes: int = 9) -> None:
        """More mailboxes for the running campaign, so that it takes more leads than one can begin in a day."""
        async with self.fleet.db.transaction() as db:
            ids = []
            for n in range(mailboxes):
                box = await boxes.add(
                    db, f"more{n}@mfdemo-out.com", client_id=self.campaign.client_id, domain_id=None, persona_id=None,
                    display_name="Ann", timezone="Australia/Sydney", host="custom_smtp", at=START,
                )  # fmt: skip
                await links.put(db, platform="smartlead", kind="mailbox", ours=box.id, ref=f"51{n}", at=START)
                ids.append(box.id)
            await db.execute("update mailfleet.mailboxes set state = 'PRODUCTION' where id = any(%s)", [ids])
            await db.execute(
                "insert into mailfleet.campaign_mailboxes (campaign_id, mailbox_id, added_at)"
                " select %s, unnest(%s::uuid[]), %s",
                [self.campaign.id, ids, START],
            )
            await db.execute(
                "update mailfleet.campaigns set config = config || %s::jsonb where id = %s",
                [Json({"max_new_leads_per_day": 100_000}), self.campaign.id],
            )
            self.campaign = await campaigns.campaigns.need(db, self.campaign.id)

    def later(self, **passed: float) -> None:
        self.clock.set(self.clock.now() + timedelta(**passed))


@pytest.fixture
async def world(database: Any) -> World:
    desk, clock, slack = Desk(), FixedClock(START), Box()
    fleet = Fleet(
        db=database,
        clock=clock,
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": desk},  # type: ignore[dict-item]
        dns_hosts={},
        mailbox_hosts={},
        channels={"slack": slack},  # type: ignore[dict-item]
        names=None,  # type: ignore[arg-type]
        suppression_key=b"pepper",
        webhook_base="http://127.0.0.1/hooks/t",
        rng=random.Random(1),
    )
    await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
    return World(fleet, desk, clock, slack)


@pytest.fixture
async def running(world: World) -> World:
    """A campaign that runs, from one mailbox in PRODUCTION; one lead was needed and is away again."""
    fleet = world.fleet
    async with fleet.db.transaction() as db:
        client = await clients.the_client(db, None)
        box = await boxes.add(
            db, "ann@mfdemo-out.com", client_id=client.id, domain_id=None, persona_id=None, display_name="Ann",
            timezone="Australia/Sydney", host="custom_smtp", at=START,
        )  # fmt: skip
        await db.execute(
            "update mailfleet.mailboxes set state = 'PRODUCTION', connected = true where id = %s", [box.id]
        )
        await links.put(db, platform="smartlead", kind="mailbox", ours=box.id, ref="500", at=START)
    made = await campaigns.draft(fleet, CONFIG)
    await campaigns.configure_steps(fleet, made.id, CONFIG["sequence"])
    await campaigns.assign_mailboxes(fleet, made.id, [box.id])
    await campaigns.set_schedule(fleet, made.id)
    async with fleet.db.transaction() as db:
        await db.execute("update mailfleet.campaigns set state = 'running', started_at = %s", [START])
        world.campaign = await campaigns.campaigns.need(db, made.id)
        world.ref = await links.need(db, platform="smartlead", kind="campaign", ours=made.id)
    world.desk.made[world.ref].state = "running"
    return world
