"""Real campaigns on a world within this process: our services on one side, the sandbox's own log on the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from tests.leads.files import write
from tests.reconcile.vendors import START, opened

from mailfleet.clock import FixedClock
from mailfleet.platforms.port import MailboxSpec
from mailfleet.sandbox.within import Inside
from mailfleet.services import campaign_apply, campaigns, clients, imports, worker
from mailfleet.services.context import Fleet
from mailfleet.store import campaigns as rows
from mailfleet.store import inbox, links
from mailfleet.store import mailboxes as boxes
from mailfleet.store.campaigns import Campaign
from mailfleet.store.database import Database
from mailfleet.store.events import event_id
from mailfleet.store.mailboxes import Mailbox

IDENTITY = {"legal_name": "Agency", "postal_address": "1 Street", "reply_contact": "a@agency-mfdemo.com"}


class Wire(httpx2.AsyncBaseTransport):
    """The way to the world, with every call on it; it can be cut after any number of writes."""

    def __init__(self, inside: Inside) -> None:
        self.inside, self.world = inside, inside.transport()
        self.calls: list[tuple[str, str]] = []
        self.writes_left: int | None = None
        self.answer_lost = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append((request.method, request.url.path))
        last = request.method != "GET" and self.writes_left == 0
        if last and not self.answer_lost:
            raise KeyboardInterrupt  # killed before the call leaves
        answer = await self.world.handle_async_request(request)
        if last:
            raise KeyboardInterrupt  # killed when it had been carried out, unheard
        if request.method != "GET" and self.writes_left is not None:
            self.writes_left -= 1
        return answer

    @property
    def writes(self) -> list[str]:
        return [path.partition("/api/v1")[2] for method, path in self.calls if method != "GET"]


class Hooks(httpx2.AsyncBaseTransport):
    """Takes what the world calls, as a receiver would."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.bodies.append(msgspec.json.decode(await request.aread()))
        return httpx2.Response(200)


class Ground:
    """A client with mailboxes in PRODUCTION that are connected at the world."""

    def __init__(self, fleet: Fleet, inside: Inside, wire: Wire, hooks: Hooks, clock: FixedClock) -> None:
        self.fleet, self.inside, self.wire, self.hooks, self.clock = fleet, inside, wire, hooks, clock
        self.http = httpx2.AsyncClient(transport=inside.transport())

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.http.request(method, self.inside.info["control"]["base_url"] + path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def vendor(self, method: str, path: str, body: Any = None) -> Any:
        """As somebody at the vendor's own screen."""
        held = self.inside.info["smartlead"]
        answer = await self.http.request(
            method, held["base_url"] + path, params={"api_key": held["api_key"]}, json=body
        )
        answer.raise_for_status()
        return answer.json()

    async def mailbox(self, address: str, *, timezone: str = "Australia/Sydney", name: str = "Ann Lee") -> Mailbox:
        await self.control("POST", "/mailhost/accounts", {"address": address, "password": "pass-word"})
        host = self.inside.info["mailhost"]
        ref = await self.fleet.platform().connect_mailbox(
            MailboxSpec(
                address=address, display_name=name, username=address, password="pass-word", daily_cap=1,
                smtp_host=host["smtp_host"], smtp_port=host["smtp_port"], imap_host=host["imap_host"],
                imap_port=host["imap_port"], signature=f"{name}, Agency",
            )
        )  # fmt: skip
        now = self.clock.now()
        async with self.fleet.db.transaction() as db:
            client = await clients.the_client(db, None)
            box = await boxes.add(
                db, address, client_id=client.id, domain_id=None, persona_id=None, display_name=name,
                timezone=timezone, host="custom_smtp", at=now - timedelta(days=30),
            )  # fmt: skip
            await db.execute(
                "update mailfleet.mailboxes set state = 'PRODUCTION', connected = true, state_since = %s where id = %s",
                [now - timedelta(days=9), box.id],
            )
            await links.put(db, platform="smartlead", kind="mailbox", ours=box.id, ref=ref, at=now)
        return box

    async def leads(self, folder: Path, rows: Sequence[str], *, campaign: str = "") -> int:
        """Rows as `tests.leads.files` writes them."""
        found = await campaigns.find(self.fleet, campaign) if campaign else None
        request = imports.Request(campaign_id=found.id if found else None)
        return (await imports.import_leads(self.fleet, write(folder, rows), request)).taken

    async def apply(self, config: Mapping[str, Any], **how: Any) -> Campaign:
        done = await campaign_apply.apply(self.fleet, config, **how)
        async with self.fleet.db.connection() as db:
            return await rows.need(db, done.campaign_id)

    async def starts(self, campaign: Campaign) -> str:
        await campaigns.start(self.fleet, campaign.id)
        return await self.ref(campaign)

    async def ref(self, campaign: Campaign) -> str:
        async with self.fleet.db.connection() as db:
            return await links.need(db, platform="smartlead", kind="campaign", ours=campaign.id)

    async def to(self, moment: datetime) -> None:
        """Our clock and the world's are one; what its webhooks told on the way is applied at the end."""
        await self.inside.advance(moment)
        self.clock.set(self.inside.now)
        now, bodies = self.clock.now(), self.hooks.bodies
        self.hooks.bodies = []
        told = [
            {
                "id": event_id("smartlead", msgspec.json.encode(body).decode(), now),
                "platform": "smartlead", "received_at": now, "headers": {}, "body": body,
            }
            for body in bodies
        ]  # fmt: skip
        async with self.fleet.db.transaction() as db:
            await inbox.put(db, told)
        await worker.run_once(self.fleet)

    def sends(self, ref: str | None = None) -> list[dict[str, Any]]:
        """What left, from the world's own log."""
        found: list[dict[str, Any]] = self.inside.world.log.lists["sends"]
        return [each for each in found if ref is None or str(each["campaign_id"]) == ref]


@asynccontextmanager
async def ground(database: Database, seed: int = 1, start: datetime = START) -> AsyncGenerator[Ground]:
    hooks, clock = Hooks(), FixedClock(start)
    inside = Inside(seed, start, per_minute=1_000_000, hooks=hooks)
    wire = Wire(inside)
    async with opened(database, inside.info, wire, clock=clock) as fleet:
        await clients.put_client(fleet, "agency-os", name="Agency OS", timezone="Australia/Sydney")
        on = Ground(fleet, inside, wire, hooks, clock)
        yield on
        await on.http.aclose()


def a_day(found: Sequence[Mapping[str, Any]], day: Any) -> Counter[tuple[str, Any]]:
    """Mails by mailbox and day; `day` is given a moment."""
    return Counter((each["mailbox"], day(datetime.fromisoformat(each["at"]))) for each in found)
