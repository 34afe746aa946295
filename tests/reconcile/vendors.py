"""Every port on the sandbox, with the real journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2

from mailfleet.clock import FixedClock
from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.platforms.namecheap_registrar import NamecheapRegistrar
from mailfleet.platforms.notices import SlackChannel, SmsChannel
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.platforms.status_pages import PublicStatus
from mailfleet.policy.model import default_policy
from mailfleet.services.context import Fleet
from mailfleet.services.vendor_health import Refusals
from mailfleet.store.database import Database
from mailfleet.store.journal import PostgresJournal
from mailfleet.store.secrets import Kek, Vault
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.statuspage.client import StatusPage
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.protocols import Calls
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.twilio.client import TwilioClient

START = datetime(2026, 3, 2, tzinfo=UTC)
CONTACT = {
    "FirstName": "Ada", "LastName": "Byrne", "Address1": "1 Street", "City": "Sydney", "StateProvince": "NSW",
    "PostalCode": "2000", "Country": "AU", "Phone": "+61.255501234", "EmailAddress": "ada@agency-mailfleet-demo.com",
}  # fmt: skip


@asynccontextmanager
async def opened(
    database: Database,
    info: Mapping[str, Any],
    http: httpx2.AsyncBaseTransport | None = None,
    *,
    clock: FixedClock | None = None,
    calls: Calls | None = None,
    patience: Patience | None = None,
) -> AsyncGenerator[Fleet]:
    """A fleet whose vendors are the sandbox that told `info`."""
    clock = clock or FixedClock(START)
    refusals = Refusals()
    means = Means(
        refused=refusals.told,
        journal=PostgresJournal(database, clock),
        budget=MemoryBudget(),
        circuit=MemoryCircuit(failures=1000),
        calls=calls or MemoryCalls(),
        patience=patience or Patience(first_wait=0.01),
        http=http,
    )
    lead, cloud, name, slack, sms = (
        info[vendor] for vendor in ("smartlead", "cloudflare", "namecheap", "slack", "twilio")
    )
    client = get_smartlead_client(
        lead["api_key"], means, base_url=lead["base_url"], delivery_base_url=lead["delivery_base_url"]
    )
    zones = CloudflareClient(
        Secret(cloud["api_token"]), means, account_id=cloud["account_id"], base_url=cloud["base_url"]
    )
    registrar = NamecheapClient(
        means, api_user=name["api_user"], key=Secret(name["api_key"]), username=name["username"],
        client_ip=name["client_ip"], base_url=name["base_url"],
    )  # fmt: skip
    posts = SlackClient(means, token=Secret(slack["bot_token"]), base_url=slack["base_url"])
    hook = SlackClient(means, webhook=Secret(slack["webhook_url"]))
    texts = TwilioClient(
        means, account_sid=sms["account_sid"], token=Secret(sms["auth_token"]), sender=sms["from_number"],
        base_url=sms["base_url"],
    )  # fmt: skip
    fleet = Fleet(
        db=database,
        clock=clock,
        policy=default_policy(),
        vault=Vault(Kek(bytes(32))),
        platforms={"smartlead": SmartleadPlatform(client)},
        dns_hosts={"cloudflare": CloudflareDns(zones)},
        mailbox_hosts={},
        channels={"slack": SlackChannel(posts), "slack-hook": SlackChannel(hook), "sms": SmsChannel(texts)},
        names=None,  # type: ignore[arg-type]  # nothing here asks DNS
        registrars={"namecheap": NamecheapRegistrar(registrar)},
        sms_numbers=("+61400000000",),
        status_pages={"smartlead": PublicStatus(StatusPage("smartlead", info["status_page"], means))},
        suppression_key=b"pepper",
        webhook_base="http://127.0.0.1/hooks/token",
    )
    refusals.fleet = fleet
    yield fleet
    for group in (fleet.platforms, fleet.dns_hosts, fleet.registrars, fleet.channels, fleet.status_pages):
        for part in group.values():
            await part.close()
