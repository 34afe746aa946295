"""What the sandbox serves and simulates, in CPU seconds; requests beside a bare application of the same kind.

Targets: 300 requests a second on one core; a day of 1,000 sends in 0.25 s, with 40 mailboxes and 20 campaigns, and no
slower with tens of thousands of leads.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mailfleet.sandbox.within import ROOT, Inside

REQUESTS, PER_SECOND, DAY_SECONDS, DAYS = 2_000, 300, 0.25, 10
BOXES, CAMPAIGNS = 40, 20
EVERY_DAY = {"timezone": "UTC", "days_of_the_week": list(range(7)), "start_hour": "08:00", "end_hour": "18:00"}


class Rig:
    """A world with mailboxes and running campaigns."""

    def __init__(self) -> None:
        self.inside = Inside(1)
        self.http = httpx2.AsyncClient(transport=self.inside.transport())
        self.campaigns: list[int] = []

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        held = self.inside.info["smartlead"]
        answer = await self.http.request(
            method, held["base_url"] + path, params={"api_key": held["api_key"]}, json=body
        )
        answer.raise_for_status()
        return answer.json()

    async def built(self, leads: int) -> Rig:
        boxes = [await self._mailbox(number) for number in range(BOXES)]
        for number in range(CAMPAIGNS):
            self.campaigns.append(await self._campaign(number, boxes[2 * number : 2 * number + 2], leads // CAMPAIGNS))
        return self

    async def _mailbox(self, number: int) -> int:
        address, control = f"box{number}@domain{number // 4}-mailfleet.com", self.inside.info["control"]["base_url"]
        await self.http.post(control + "/mailhost/accounts", json={"address": address, "password": "p"})
        host = self.inside.info["mailhost"]
        login = {
            "from_email": address,
            "from_name": "Ada",
            "user_name": address,
            "password": "p",
            "max_email_per_day": 25,
        }
        places = {name: host[name] for name in ("smtp_host", "smtp_port", "imap_host", "imap_port")}
        body = {**login, **places, "warmup_enabled": True, "total_warmup_per_day": 20}
        return (await self.call("POST", "/email-accounts/save", body))["emailAccountId"]

    async def _campaign(self, number: int, boxes: list[int], leads: int) -> int:
        identity = (await self.call("POST", "/campaigns/create", {"name": f"C{number}"}))["id"]
        at = f"/campaigns/{identity}"
        step = {"subject": "Hello {{first_name}}", "email_body": "<div>Hello {{first_name}}</div>"}
        steps = [{**step, "seq_number": n + 1, "seq_delay_details": {"delay_in_days": 3 * n}} for n in range(3)]
        await self.call("POST", at + "/schedule", {**EVERY_DAY, "min_time_btw_emails": 10, "max_new_leads_per_day": 50})
        await self.call("POST", at + "/sequences", {"sequences": steps})
        await self.call("POST", at + "/email-accounts", {"email_account_ids": boxes})
        for first in range(0, leads, 400):
            rows = [{"email": f"p{n}@firm{n}c{number}-mf.com"} for n in range(first, min(leads, first + 400))]
            await self.call("POST", at + "/leads", {"lead_list": rows})
        await self.call("POST", at + "/status", {"status": "START"})
        return identity


async def per_second(one: Callable[[], Awaitable[Any]]) -> float:
    begun = time.process_time()
    for _ in range(REQUESTS):
        await one()
    return REQUESTS / (time.process_time() - begun)


async def requests() -> bool:
    rig = await Rig().built(2_000)

    async def bare(request: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    nothing = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=Starlette(routes=[Route("/", bare)])), base_url=ROOT
    )
    limit = await per_second(lambda: nothing.get("/"))
    campaign = f"/campaigns/{rig.campaigns[0]}"
    sys.stdout.write(f"bare application, client included   {limit:8.0f} requests/s\n")
    slowest = limit
    for name, path in (
        ("a campaign", campaign),
        ("a page of 100 leads", campaign + "/leads"),
        ("40 mailboxes", "/email-accounts"),
    ):
        rate = await per_second(lambda path=path: rig.call("GET", path))
        sys.stdout.write(f"{name:<36}{rate:8.0f} requests/s, {rate / limit:.2f} of bare\n")
        slowest = min(slowest, rate)
    sys.stdout.write(f"target {PER_SECOND} requests/s: {'held' if slowest >= PER_SECOND else 'MISSED'}\n")
    return slowest >= PER_SECOND


async def days(leads: int) -> float:
    """CPU seconds for a day's 1,000 sends, the mean over some days."""
    rig = await Rig().built(leads)
    await rig.inside.advance(rig.inside.now + timedelta(days=2))
    sends = rig.inside.world.log.lists["sends"]
    before, begun = len(sends), time.process_time()
    await rig.inside.advance(rig.inside.now + timedelta(days=DAYS))
    spent, made = time.process_time() - begun, sends[before:]
    mails = sum(entry["kind"] == "campaign" for entry in made)
    sys.stdout.write(
        f"{leads:>7} leads, {BOXES} mailboxes, {CAMPAIGNS} campaigns: {mails / DAYS:.0f} campaign mails and "
        f"{(len(made) - mails) / DAYS:.0f} warm-up mails a day, {1000 * spent / mails:.3f} s for 1,000 campaign mails\n"
    )
    return 1000 * spent / mails


async def main() -> int:
    held = await requests()
    few, many = await days(10_000), await days(50_000)
    good = max(few, many) <= DAY_SECONDS
    sys.stdout.write(
        f"target {DAY_SECONDS} s: {'held' if good else 'MISSED'}; five times the leads: {many / few:.2f} ×\n"
    )
    return 0 if held and good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
