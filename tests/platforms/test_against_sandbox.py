"""The adapters over real sockets against the sandbox, which was written from the documents apart from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.sandbox_fixture import Sandbox
from tests.vendors.wires import caught

from mailfleet.errors import Conflict, Unauthorized
from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.platforms.custom_smtp import CustomSmtp, MailServers
from mailfleet.platforms.namecheap_registrar import NamecheapRegistrar
from mailfleet.platforms.names import DnsNames
from mailfleet.platforms.notices import SlackChannel, SmsChannel
from mailfleet.platforms.port import CampaignSettings, MailboxSpec, NewLead, Schedule, Step, WarmupSettings
from mailfleet.platforms.ports import ZoneRecord
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.platforms.smartlead_events import parse
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.twilio.client import TwilioClient

pytestmark = pytest.mark.anyio
DOMAIN = "getbrightwater-mailfleet-demo.com"
ADA = f"ada@{DOMAIN}"
PASSWORD = "pw-123 x"
SCHEDULE = Schedule(timezone="Australia/Sydney", days=(1, 2, 3, 4, 5), start_hour=9, end_hour=17)
STEPS = (
    Step(position=1, subject="Hi {{first_name}}", body="<p>one</p>", delay_days=0),
    Step(position=2, subject="", body="<p>two</p>", delay_days=2, variants=(("A", "s", "b"), ("B", "t", "c"))),
)


class Receiver:
    """Takes every webhook and remembers its body."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Tests stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks/token/smartlead"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()
    running.thread.join()


@pytest.fixture
def means() -> Means:
    return Means(journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())


@pytest.fixture
async def smartlead(sandbox: Sandbox, means: Means) -> AsyncIterator[SmartleadPlatform]:
    told = sandbox.info["smartlead"]
    client = get_smartlead_client(
        told["api_key"], means, base_url=told["base_url"], delivery_base_url=told["delivery_base_url"]
    )
    platform = SmartleadPlatform(client)
    yield platform
    await platform.close()


@pytest.fixture
async def cloudflare(sandbox: Sandbox, means: Means) -> AsyncIterator[CloudflareDns]:
    told = sandbox.info["cloudflare"]
    client = CloudflareClient(
        Secret(told["api_token"]), means, account_id=told["account_id"], base_url=told["base_url"]
    )
    host = CloudflareDns(client)
    yield host
    await host.close()


def mail_host(sandbox: Sandbox, password: str = PASSWORD) -> CustomSmtp:
    told = sandbox.info["mailhost"]

    async def login(address: str) -> tuple[str, str]:
        return address, password

    places = {name: told[name] for name in ("smtp_host", "smtp_port", "imap_host", "imap_port")}
    return CustomSmtp(MailServers(**places, spf_terms=(told["spf"],), mx=((10, told["hostname"]),)), login)


async def connected(sandbox: Sandbox, smartlead: SmartleadPlatform) -> str:
    sandbox.control("POST", "/mailhost/accounts", {"address": ADA, "password": PASSWORD})
    hosted = await mail_host(sandbox).mailbox(ADA, "Ada")
    spec = MailboxSpec(
        address=ADA,
        display_name="Ada Byrne",
        username=hosted.username,
        password=hosted.password,
        smtp_host=hosted.smtp_host,
        smtp_port=hosted.smtp_port,
        imap_host=hosted.imap_host,
        imap_port=hosted.imap_port,
        daily_cap=40,
    )
    return await smartlead.connect_mailbox(spec)


async def test_a_domain_is_delegated_published_and_seen_by_the_world(
    sandbox: Sandbox, cloudflare: CloudflareDns, means: Means
) -> None:
    told, dns = sandbox.info["namecheap"], sandbox.info["dns"]
    sandbox.control("POST", "/registrar/domains", {"name": DOMAIN})
    names = DnsNames(parent=dns["parent"], nameservers=dns["nameservers"], resolvers=dns["resolvers"])
    zone = await cloudflare.create_zone(DOMAIN)
    assert (await cloudflare.create_zone(DOMAIN)).ref == zone.ref
    host = mail_host(sandbox)
    key = await host.dkim(DOMAIN)
    assert key.record is not None
    dkim = f"{key.selector}._domainkey.{DOMAIN}"
    wanted = [
        ZoneRecord(type="TXT", name=dkim, content=key.record),
        ZoneRecord(type="MX", name=DOMAIN, content=(await host.mx(DOMAIN))[0][1], priority=10),
        ZoneRecord(type="CNAME", name=f"track.{DOMAIN}", content="open.sleadtrack.com"),
    ]
    await cloudflare.apply(zone.ref, create=wanted)
    assert len(await cloudflare.apply(zone.ref, create=wanted)) == 3
    assert set((await names.delegation(DOMAIN)).values) != set(zone.nameservers)

    client = NamecheapClient(
        means,
        api_user=told["api_user"],
        key=Secret(told["api_key"]),
        username=told["username"],
        client_ip=told["client_ip"],
        base_url=told["base_url"],
    )
    registrar = NamecheapRegistrar(client)
    assert await registrar.owned(DOMAIN)
    assert not await registrar.owned("nobody-mailfleet-demo.com")
    await registrar.set_nameservers(DOMAIN, zone.nameservers)
    await registrar.close()
    sandbox.advance(days=3)

    assert set((await names.delegation(DOMAIN)).values) == set(zone.nameservers)
    answers = await names.authoritative(DOMAIN, dkim, "TXT", zone.nameservers)
    assert [(a.outcome, a.values, a.authoritative) for a in answers] == [("match", (key.record,), True)] * 2
    (mx,) = await names.resolvers(DOMAIN, "MX")
    assert mx.values == (f"10 {sandbox.info['mailhost']['hostname']}",)
    missing = await names.authoritative(DOMAIN, f"nothing.{DOMAIN}", "TXT", zone.nameservers)
    assert {answer.outcome for answer in missing} == {"nxdomain"}
    assert (await cloudflare.zone(zone.ref)).status == "active"


async def test_a_wrong_password_is_found_before_the_mailbox_is_given_away(sandbox: Sandbox) -> None:
    sandbox.control("POST", "/mailhost/accounts", {"address": ADA, "password": PASSWORD})
    error = await caught(mail_host(sandbox, "another").mailbox(ADA, "Ada"))
    assert isinstance(error, Unauthorized)
    assert "another" not in str(error)


async def test_a_mailbox_is_connected_once_warmed_within_bounds_and_read_back(
    sandbox: Sandbox, smartlead: SmartleadPlatform
) -> None:
    ref = await connected(sandbox, smartlead)
    assert isinstance(await caught(connected(sandbox, smartlead)), Conflict)
    assert await smartlead.warmup(ref) is None
    applied = await smartlead.set_warmup(ref, WarmupSettings(enabled=True, per_day=60, rampup=2))
    assert applied.clamped == {"per_day": (60, 50), "rampup": (2, 5)}
    await smartlead.set_mailbox_limits(ref, daily_cap=30, min_gap_minutes=5)
    sandbox.advance(days=9)
    reading, seen = await smartlead.warmup(ref), await smartlead.mailbox(ref)
    assert reading is not None
    assert reading.sent == reading.inbox + reading.spam == sum(reading.by_day.values()) > 0
    assert (seen.address, seen.connected, seen.warmup_enabled, seen.daily_cap) == (ADA, True, True, 30)
    assert seen.reputation is not None
    assert [mailbox.ref async for mailbox in smartlead.mailboxes()] == [ref]
    await smartlead.suspend_mailbox(ref, True)
    assert (await smartlead.mailbox(ref)).suspended


async def test_a_campaign_runs_its_life_and_every_webhook_is_understood(
    sandbox: Sandbox, smartlead: SmartleadPlatform, means: Means, receiver: Receiver
) -> None:
    mailbox = await connected(sandbox, smartlead)
    ref = await smartlead.create_campaign("Pilot A")
    await smartlead.set_campaign(ref, schedule=SCHEDULE, settings=CampaignSettings(track_opens=True, track_clicks=True))
    await smartlead.set_steps(ref, STEPS)
    assert tuple(await smartlead.steps(ref)) == STEPS
    await smartlead.set_campaign_mailboxes(ref, [mailbox])
    hook = await smartlead.ensure_webhook(ref, receiver.url)
    assert await smartlead.ensure_webhook(ref, receiver.url) == hook
    leads = [NewLead(email=f"p{n}@acme{n}-mailfleet-demo.com", fields={"role": "CTO"}) for n in range(30)]
    added = await smartlead.add_leads(ref, leads)
    assert len(added.added) == 30
    assert len((await smartlead.add_leads(ref, leads[:2])).already_there) == 2
    await smartlead.start_campaign(ref)
    sandbox.advance(days=8)

    messages = [message async for message in smartlead.sent_messages(ref)]
    sends = [entry for entry in sandbox.log("sends") if entry["kind"] == "campaign"]
    assert Counter((m.email, m.step) for m in messages) == Counter((s["lead_email"], s["step"]) for s in sends)
    assert (await smartlead.stats(ref)).sent == len(sends)
    history = await smartlead.history(ref, added.added[leads[0].email])
    assert [entry.kind for entry in history].count("sent") == sum(m.email == leads[0].email for m in messages)

    events = [event for body in receiver.bodies if (event := parse(body)) is not None]
    assert len(events) == len(receiver.bodies)
    sent = {event.dedupe_key: event for event in events if event.kind == "sent"}
    assert Counter((e.lead_email, e.step, e.message_ref) for e in sent.values()) == Counter(
        (m.email, m.step, m.message_ref) for m in messages
    )
    assert {event.campaign_ref for event in events} == {ref}
    assert {event.mailbox_address for event in events if event.kind in ("sent", "bounced", "replied")} == {ADA}
    bounced = [event for event in events if event.kind == "bounced"]
    assert bounced and all(event.detail["text"] for event in bounced)

    await smartlead.pause_campaign(ref)
    assert (await smartlead.campaign(ref)).state == "paused"
    await smartlead.stop_lead(ref, added.added[leads[1].email])
    await smartlead.block(["gone@acme-mailfleet-demo.com"])
    assert isinstance(means.journal, MemoryJournal)
    assert {entry.state for entry in means.journal.entries.values()} == {"done"}


async def test_notices_arrive(sandbox: Sandbox, means: Means) -> None:
    slack, twilio = sandbox.info["slack"], sandbox.info["twilio"]
    bot = SlackChannel(SlackClient(means, token=Secret(slack["bot_token"]), base_url=slack["base_url"]))
    hook = SlackChannel(SlackClient(means, webhook=Secret(slack["webhook_url"])))
    sms = SmsChannel(
        TwilioClient(
            means,
            account_sid=twilio["account_sid"],
            token=Secret(twilio["auth_token"]),
            sender=twilio["from_number"],
            base_url=twilio["base_url"],
        )
    )
    for channel, target in ((bot, "#ops"), (hook, "#ops"), (sms, "+61400000000")):
        await channel.send(target, title="Stop", body="<!channel> 5 %", severity="urgent", context={"mailbox": ADA})
        await channel.close()
    assert len(sandbox.log("slack")) == 2
    assert "<!channel>" not in repr(sandbox.log("slack"))
    assert len(sandbox.log("sms")) == 1
