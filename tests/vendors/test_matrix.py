"""The specification's error matrix and the five codes of its own, each from detection to who is told, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.leads.conftest import CONFIG
from tests.leads.files import row, write
from tests.reconcile.deeds import Scene, connect
from tests.reconcile.vendors import opened
from tests.sandbox.receiver import Receiver, receiving
from tests.sandbox_fixture import Sandbox

from mailfleet.clock import FixedClock
from mailfleet.errors import NotAllowed
from mailfleet.platforms.names import DnsNames
from mailfleet.platforms.port import WarmupSettings
from mailfleet.policy.model import default_policy
from mailfleet.services import (
    alerts,
    campaigns,
    clients,
    domains,
    events,
    imports,
    mailboxes,
    push,
    rounds,
    safeguards,
    sync,
    worker,
)
from mailfleet.services.context import Fleet
from mailfleet.services.days import next_vendor_day
from mailfleet.services.dns_check import Verdict
from mailfleet.store import inbox, links
from mailfleet.store import mailboxes as boxes
from mailfleet.store.calls import PostgresCalls
from mailfleet.store.campaigns import Campaign
from mailfleet.store.database import Database, tuples
from mailfleet.store.events import event_id

pytestmark = pytest.mark.anyio
_number = count()


@dataclass
class Agency:
    """One client with one mailbox and one running campaign at the sandbox, and a receiver for its webhooks."""

    fleet: Fleet
    world: Sandbox
    hooks: Receiver
    calls: PostgresCalls
    n: int
    begun: dict[str, int]
    mailbox: Any = None
    campaign: Campaign | None = None
    ref: str = ""
    taken: int = 0

    @property
    def clock(self) -> FixedClock:
        assert isinstance(self.fleet.clock, FixedClock)
        return self.fleet.clock

    async def ask(self, sql: Any, *args: object) -> list[tuple[Any, ...]]:
        async with self.fleet.db.connection() as db:
            return await tuples(db, sql, args)

    def raw(self, path: str, **query: Any) -> Any:
        return self.world.smartlead("GET", path, **query).json()

    @property
    def name(self) -> str:
        return f"Trades {self.n}"

    def log(self, name: str) -> list[dict[str, Any]]:
        """What the world wrote down since this scenario began."""
        return self.world.log(name, self.begun[name])

    def at(self, who: str) -> str:
        """Somebody at a firm of their own, with what they do in their name; nobody of another scenario."""
        return f"{who}@firm-{who.replace('.', '-')}-{self.n}-mfdemo.com"

    def at_vendor(self) -> dict[str, str]:
        rows = self.raw(f"/campaigns/{self.ref}/leads", offset=0, limit=100)["data"]
        return {each["lead"]["email"]: each["status"] for each in rows}

    def sent_to(self, email: str) -> int:
        return sum(email in str(entry) for entry in self.log("sends"))

    async def pass_time(self, **passed: float) -> None:
        """The world moves on; what its webhooks told is taken in and applied, and one round of the monitor is made."""
        self.clock.set(datetime.fromisoformat(self.world.advance(**passed)))
        await self.take_in()
        await self.monitor()

    async def take_in(self) -> None:
        new, self.taken = self.hooks.arrived[self.taken :], len(self.hooks.arrived)
        now = self.clock.now()
        rows = [
            {
                "id": event_id("smartlead", msgspec.json.encode(body).decode(), now), "platform": "smartlead",
                "received_at": now, "headers": {}, "body": body,
            }
            for body in new
        ]  # fmt: skip
        if rows:
            async with self.fleet.db.transaction() as db:
                await inbox.put(db, rows)
        await events.apply_all(self.fleet)
        await worker.run_once(self.fleet)

    async def monitor(self) -> None:
        await self.calls.flush()
        await safeguards.watch(self.fleet)
        await alerts.deliver_due(self.fleet)

    def heard(self, *words: str) -> bool:
        """Whether one message in Slack has all of these."""
        return any(all(word in str(entry) for word in words) for entry in self.log("slack"))

    async def lead_in(self, folder: Path, *emails: str) -> None:
        rows = [row(email, company=f"Company {email.partition('@')[0]}") for email in emails]
        await imports.import_leads(self.fleet, write(folder, rows, f"{emails[0].partition('@')[0]}.csv"))


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    """One calm world for all scenarios, one after another; each has people of its own and its part of the logs."""
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    yield running
    running.close()


def monday(world: Sandbox) -> datetime:
    """Moves the world to the beginning of a week, so that each scenario has the same days before it."""
    now = datetime.fromisoformat(world.control("GET", "/clock")["now"])
    ahead = timedelta(days=-now.weekday() % 7) - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    if ahead < timedelta(0):
        ahead += timedelta(days=7)
    return datetime.fromisoformat(world.advance(seconds=ahead.total_seconds())) if ahead else now


@pytest.fixture
async def agency(database: Database, world: Sandbox, hooks: Receiver) -> AsyncIterator[Agency]:
    clock = FixedClock(monday(world))
    calls = PostgresCalls(database, clock)
    begun = {name: world.control("GET", f"/log/{name}", limit=1)["total"] for name in ("http", "slack", "sends", "dns")}
    async with opened(database, world.info, clock=clock, calls=calls) as fleet:
        fleet.webhook_base = hooks.url
        made = Agency(fleet, world, hooks, calls, next(_number), begun)
        await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
        await _mailbox(made)
        yield made
    world.control("DELETE", "/faults")
    world.fault("lead_credits", count=100_000)
    if made.ref:
        world.smartlead("POST", f"/campaigns/{made.ref}/status", {"status": "STOPPED"})


async def _mailbox(agency: Agency) -> None:
    fleet, now = agency.fleet, agency.clock.now()
    ref = await connect(Scene(fleet, agency.world, f"m{agency.n}"))
    seen = await fleet.platform().mailbox(ref)
    async with fleet.db.transaction() as db:
        client = await clients.the_client(db, None)
        box = await boxes.add(
            db, seen.address, client_id=client.id, domain_id=None, persona_id=None, display_name="Ada",
            timezone="Australia/Sydney", host="custom_smtp", at=now,
        )  # fmt: skip
        await db.execute(
            "update mailfleet.mailboxes set state = 'PRODUCTION', connected = true where id = %s",
            [box.id],
        )
        await links.put(db, platform="smartlead", kind="mailbox", ours=box.id, ref=ref, at=now)
        agency.mailbox = await boxes.get(db, box.id)


async def run_campaign(agency: Agency, folder: Path, *emails: str) -> None:
    fleet = agency.fleet
    await agency.lead_in(folder, *emails)
    made = await campaigns.draft(fleet, {**CONFIG, "name": agency.name})
    await campaigns.configure_steps(fleet, made.id, CONFIG["sequence"])
    await campaigns.assign_mailboxes(fleet, made.id, [agency.mailbox.id])
    await campaigns.set_schedule(fleet, made.id)
    await campaigns.start(fleet, made.id)
    async with fleet.db.connection() as db:
        agency.campaign = await campaigns.campaigns.need(db, made.id)
        agency.ref = await links.need(db, platform="smartlead", kind="campaign", ours=made.id)


async def test_hard_bounce(agency: Agency, tmp_path: Path) -> None:
    dead = [agency.at(f"hard-bounce.{n}") for n in range(4)]
    await run_campaign(agency, tmp_path, *dead, *(agency.at(f"silent.{n}") for n in range(16)))
    for _ in range(4):
        await agency.pass_time(days=1)
    kept = {key for (key,) in await agency.ask("select key from mailfleet.suppressions where reason = 'hard_bounce'")}
    sent = [email for email in dead if agency.sent_to(email)]
    assert sent and kept == set(sent)
    states = agency.at_vendor()
    assert {states[email] for email in sent} <= {"PAUSED", "STOPPED", "BLOCKED"}
    listed = {each["email_or_domain"] for each in agency.raw("/leads/get-domain-block-list", offset=0, limit=1000)}
    assert set(sent) <= listed
    assert {agency.sent_to(email) for email in sent} == {1}
    assert agency.heard(f"campaign {agency.name}: bounces are warning")
    await agency.lead_in(tmp_path, dead[0])
    assert not await agency.ask("select 1 from mailfleet.leads where status = 'ready_to_send'")


async def test_soft_bounce(agency: Agency, tmp_path: Path) -> None:
    who = agency.at("soft-bounce")
    await run_campaign(agency, tmp_path, who, agency.at("silent"))
    held: list[tuple[Any, ...]] = []
    for _ in range(30):
        await agency.pass_time(seconds=1800)
        if held := await agency.ask("select resume_at, soft_bounces from mailfleet.leads where status = 'held'"):
            break
    ((resume, count),) = held
    assert (agency.at_vendor()[who], count) == ("PAUSED", 1)
    assert timedelta(hours=23) < resume - agency.clock.now() <= timedelta(hours=24)
    await agency.pass_time(days=1.1)
    assert agency.at_vendor()[who] == "INPROGRESS"
    for hour in (1, 2):
        await bounce_again(agency, hour)
    assert await agency.ask("select soft_bounces, email_status from mailfleet.leads where email_norm = %s", who) == [
        (3, "bounced")
    ]
    assert agency.at_vendor()[who] in ("PAUSED", "STOPPED")
    assert not await agency.ask("select 1 from mailfleet.suppressions")
    rules = await agency.ask("select detail ->> 'rule' from mailfleet.events where kind = 'bounced'")
    assert len(rules) == 3


async def bounce_again(agency: Agency, hour: int) -> None:
    """The same mail box is full at another attempt: what the vendor sent, of another message and time."""
    body = dict(agency.hooks.events("EMAIL_BOUNCE")[-1])
    when = agency.clock.now() + timedelta(hours=hour)
    message = {**body["bounce_message"], "message_id": f"<again{hour}@mx.example>", "time": when.isoformat()}
    agency.hooks.arrived.append(
        body
        | {"event_timestamp": when.isoformat(), "time_sent": when.isoformat(), "stats_id": str(UUID(int=hour))}
        | {"bounce_message": message, "bounce_reply_message_id": message["message_id"]}
    )
    await agency.take_in()


async def test_spam_complaint(agency: Agency, tmp_path: Path) -> None:
    who = agency.at("complains")
    await run_campaign(agency, tmp_path, who, agency.at("silent"))
    for _ in range(4):
        await agency.pass_time(days=1)
        await sync.poll(agency.fleet)
        await agency.take_in()
        await agency.monitor()
    assert await agency.ask("select reason from mailfleet.suppressions where key = %s", who) == [("complaint",)]
    assert agency.at_vendor()[who] in ("PAUSED", "STOPPED", "BLOCKED")
    assert agency.heard(who, "reported a mail as spam", "Review the content")
    await agency.pass_time(days=6)
    assert agency.sent_to(who) == 1 and agency.sent_to(agency.at("silent")) == 2


async def test_mailbox_disabled(agency: Agency, tmp_path: Path) -> None:
    """Reconnecting is tried as often as the vendor allows, spread over the day, and helps for a while."""
    await run_campaign(agency, tmp_path, agency.at("silent"))
    address = agency.mailbox.address
    for tries, hours in ((1, 9), (2, 9), (3, 9), (3, 1)):
        agency.world.fault("disconnect_mailbox", address=address)
        agency.clock.set(datetime.fromisoformat(agency.world.advance(seconds=hours * 3600)))
        await settle(agency)
        assert agency.raw(f"/campaigns/{agency.ref}")["status"] == "PAUSED"
        tried = [entry for entry in agency.log("http") if "reconnect-failed" in entry["path"]]
        assert [entry["status"] for entry in tried] == [200] * tries
        if (tries, hours) != (3, 1):
            agency.clock.set(datetime.fromisoformat(agency.world.advance(seconds=600)))
            await settle(agency)
    assert agency.heard(address, "cannot be logged in to", "reconnecting is tried")
    assert agency.heard(f"{agency.name} is paused: too few mailboxes")
    agency.clock.set(datetime.fromisoformat(agency.world.advance(days=1.1)))
    await settle(agency)
    assert await agency.ask("select state from mailfleet.mailboxes") == [("RETIRED",)]
    assert agency.heard(address, "is retired: disabled at the vendor for too long")


async def test_campaign_paused_by_others(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("silent"))
    await agency.pass_time(seconds=60)
    agency.world.fault("campaign_status", campaign_id=int(agency.ref), status="PAUSED")
    await agency.pass_time(seconds=600)
    assert agency.heard("is paused by smartlead", "not resumed by itself")
    [(by, reason)] = await agency.ask("select paused_by, pause_reason from mailfleet.campaigns")
    assert by == "vendor" and "paused" in reason
    assert agency.campaign is not None
    with pytest.raises(NotAllowed, match="paused it"):
        await campaigns.start(agency.fleet, agency.campaign.id)
    await agency.pass_time(days=2)
    assert agency.raw(f"/campaigns/{agency.ref}")["status"] == "PAUSED"


async def test_invalid_lead_data(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("silent"))
    rows = [row(f"p{n}@firm{n}-mfdemo.com", first="", company=f"Firm {n} works") for n in range(12)]
    await imports.import_leads(agency.fleet, write(tmp_path, rows))
    assert agency.campaign is not None
    done = await push.push_ready(agency.fleet, agency.campaign)
    assert (done.added, done.by_rule) == (0, {"invalid": 12}) and len(agency.at_vendor()) == 1
    await agency.monitor()
    assert agency.heard("12 leads of", "cannot be sent", "first_name")
    async with agency.fleet.db.connection() as db:
        await db.execute(
            "update mailfleet.leads set first_name = 'Bo', status = 'ready_to_send' where email_norm like 'p1@%%'"
        )
    assert (await push.push_ready(agency.fleet, agency.campaign)).added == 1


async def test_webhooks_fail(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("hard-bounce"), agency.at("silent"))
    agency.world.fault("webhook_loss", times=1000)
    await agency.pass_time(days=1)
    assert not agency.hooks.events("EMAIL_SENT")
    await sync.poll(agency.fleet)
    await agency.take_in()
    await agency.monitor()
    told = await agency.ask("select kind, source from mailfleet.events where kind in ('sent', 'bounced') order by kind")
    assert told == [("bounced", "poll"), ("sent", "poll"), ("sent", "poll")]
    assert agency.heard("came by no webhook") or agency.heard("webhooks have stopped coming")
    critical = await agency.ask(
        "select severity from mailfleet.alerts where kind in ('missed_events', 'webhooks_silent')"
    )
    assert set(critical) == {("critical",)}
    agency.world.control("DELETE", "/faults")
    await agency.pass_time(days=4)
    assert agency.hooks.events("EMAIL_SENT")
    assert not await agency.ask("select 1 from mailfleet.alerts where kind = 'webhooks_silent' and resolved_at is null")


async def test_campaign_limit_reached(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("silent"))
    agency.world.fault("lead_credits", count=2)
    await agency.lead_in(tmp_path, *(agency.at(f"opens.{n}") for n in range(5)))
    assert agency.campaign is not None
    done = await push.push_ready(agency.fleet, agency.campaign)
    assert (done.added, done.later) == (2, 3)
    resume = {at for (at,) in await agency.ask("select resume_at from mailfleet.leads where status = 'held'")}
    assert resume == {next_vendor_day(agency.clock.now())}
    assert (await push.push_ready(agency.fleet, agency.campaign)).added == 0
    agency.world.fault("lead_credits", count=1000)
    agency.clock.set(datetime.fromisoformat(agency.world.advance(to=next(iter(resume)).isoformat())))
    await worker.run_once(agency.fleet)
    assert (await push.push_ready(agency.fleet, agency.campaign)).added == 3
    assert len(agency.at_vendor()) == 6
    assert not await agency.ask("select 1 from mailfleet.suppressions")


async def test_lead_already_exists(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("silent"))
    known = {"lead_list": [{"email": agency.at("opens"), "first_name": "Bo"}]}
    agency.world.smartlead("POST", f"/campaigns/{agency.ref}/leads", known)
    await agency.lead_in(tmp_path, agency.at("opens"))
    assert agency.campaign is not None
    await push.push_ready(agency.fleet, agency.campaign)
    await agency.monitor()
    assert sorted(agency.at_vendor()) == sorted([agency.at("silent"), agency.at("opens")])
    assert await agency.ask("select state from mailfleet.lead_ownership") == [("active",), ("active",)]
    assert not agency.log("slack") and not await agency.ask("select 1 from mailfleet.suppressions")


async def test_invalid_email(agency: Agency, tmp_path: Path) -> None:
    await run_campaign(agency, tmp_path, agency.at("silent"))
    await agency.lead_in(tmp_path, agency.at("opens"))
    async with agency.fleet.db.connection() as db:
        await db.execute(
            "update mailfleet.leads set email = 'broken@@x', email_norm = 'broken@@x' where email like 'opens%%'"
        )
    assert agency.campaign is not None
    done = await push.push_ready(agency.fleet, agency.campaign)
    assert done.by_rule == {"invalid_email": 1}
    assert await agency.ask("select key, reason from mailfleet.suppressions") == [("broken@@x", "invalid")]
    assert await agency.ask("select status from mailfleet.leads where email = 'broken@@x'") == [("invalid",)]
    before = len(agency.log("http"))
    assert (await push.push_ready(agency.fleet, agency.campaign)).added == 0
    assert not [entry for entry in agency.log("http")[before:] if entry["path"].endswith("/leads")]


async def test_warmup_failed_and_dns_misconfigured(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, info, name = agency.fleet, agency.world.info, agency.mailbox.address.partition("@")[2]
    fleet.names = DnsNames(
        parent=info["dns"]["parent"], nameservers=info["dns"]["nameservers"], resolvers=info["dns"]["resolvers"]
    )
    agency.world.control("POST", "/registrar/domains", {"name": name})
    async with fleet.db.transaction() as db:
        client = await clients.the_client(db, None)
        domain = await domains.take_in(fleet, db, name, client)
        await db.execute("update mailfleet.mailboxes set domain_id = %s", [domain.id])
    await domains.ensure_zone(fleet, name)
    listed = agency.raw("/email-accounts/", offset=0, limit=100)
    (ref,) = [each["id"] for each in listed if each["from_email"] == agency.mailbox.address]
    await fleet.platform().set_warmup(str(ref), WarmupSettings(enabled=True, per_day=20, rampup=5))
    agency.world.fault("block_warmup", address=agency.mailbox.address, text="blocked for bad DNS")
    await settle(agency)
    assert agency.heard(
        "warm-up", "blocked for bad DNS", "is not delegated to", "not tried again before that is mended"
    )
    assert agency.log("dns")

    async def verified(_fleet: Fleet, _name: str) -> Verdict:
        return Verdict(stage="done")

    monkeypatch.setattr(domains, "verify", verified)
    agency.clock.set(datetime.fromisoformat(agency.world.advance(days=1)))
    before = warmups(agency)
    await settle(agency)
    assert agency.heard("blocked for bad DNS", "every record is right", "warm-up was switched on again")
    assert warmups(agency) > before


async def settle(agency: Agency) -> None:
    ours, seen, _ = await mailboxes.survey(agency.fleet)
    await rounds.settle(agency.fleet, {each.id: each.state for each in ours}, seen)
    await agency.monitor()


def warmups(agency: Agency) -> int:
    """How often the vendor was asked to warm the mailbox up."""
    return sum(entry["path"].endswith("/warmup") for entry in agency.log("http"))


SCENARIOS: dict[str, Any] = {
    "Bounce (Hard)": test_hard_bounce,
    "Bounce (Soft)": test_soft_bounce,
    "Spam Complaint": test_spam_complaint,
    "Mailbox Disabled": test_mailbox_disabled,
    "Campaign Paused (External)": test_campaign_paused_by_others,
    "Invalid Lead Data": test_invalid_lead_data,
    "Webhook Delivery Failure": test_webhooks_fail,
    "DNS Misconfiguration": test_warmup_failed_and_dns_misconfigured,
    "MAILBOX_DISABLED": test_mailbox_disabled,
    "CAMPAIGN_LIMIT_REACHED": test_campaign_limit_reached,
    "LEAD_ALREADY_EXISTS": test_lead_already_exists,
    "INVALID_EMAIL": test_invalid_email,
    "WARMUP_FAILED": test_warmup_failed_and_dns_misconfigured,
}
"""The other two rows, timeouts and rate limits, and every status stand in `test_status_matrix`."""


def test_every_code_of_the_table_has_its_scenario() -> None:
    codes = {key for key in default_policy().errors if not key.isdigit()}
    assert codes == {name for name in SCENARIOS if name.isupper()}
