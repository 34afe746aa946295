"""What the sandbox serves over HTTP and simulates; requests beside a bare application on the same server.

Targets: 300 requests a second on one core; a day of 1,000 sends in 0.25 s, with 40 mailboxes and 20 campaigns, and no
slower with tens of thousands of leads. Requests are counted twice: by the clock, with the client on another core if
there is one, and by the CPU time of the server, which other work on the machine does not change.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from mailfleet.sandbox.within import Inside

REQUESTS, CALLERS, PER_SECOND, DAY_SECONDS, DAYS = 2_000, 4, 300, 0.25, 10
SANDBOX = (sys.executable, "-m", "mailfleet.sandbox", "--rate-limit", "1000000000", "--profile", "calm")
BARE = (
    sys.executable,
    "-c",
    """
import json, socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    return JSONResponse({"ok": True})

listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"root": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
config = uvicorn.Config(Starlette(routes=[Route("/", answer)]), log_level="warning", access_log=False)
uvicorn.Server(config).run(sockets=[listener])
""",
)
BOXES, CAMPAIGNS = 40, 20
EVERY_DAY = {"timezone": "UTC", "days_of_the_week": list(range(7)), "start_hour": "08:00", "end_hour": "18:00"}


class Rig:
    """A world with mailboxes and running campaigns."""

    def __init__(self, info: dict[str, Any], http: httpx2.AsyncClient) -> None:
        self.info = info
        self.http = http
        self.campaigns: list[int] = []

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        held = self.info["smartlead"]
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
        address, control = f"box{number}@domain{number // 4}-mailfleet.com", self.info["control"]["base_url"]
        await self.http.post(control + "/mailhost/accounts", json={"address": address, "password": "p"})
        host = self.info["mailhost"]
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


@contextmanager
def serving(command: tuple[str, ...]) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server in another process, and the addresses it told."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def pull(url: str, times: int) -> None:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=60)
    for _ in range(times):
        line.request("GET", f"{parts.path or '/'}?{parts.query}")
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    line.close()


def measured(name: str, pid: int, url: str) -> float:
    """Requests a second on one core of the server; tells them and those by the clock."""
    pull(url, 50)
    used, begun = cpu(pid), time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(lambda _: pull(url, REQUESTS // CALLERS), range(CALLERS)))
    wall, spent = time.perf_counter() - begun, cpu(pid) - used
    sys.stdout.write(f"{name:<22}{REQUESTS / spent:8.0f} requests/s of one core, {REQUESTS / wall:6.0f} by the clock\n")
    return REQUESTS / spent


async def over_http(info: dict[str, Any]) -> list[tuple[str, str]]:
    """Builds the rig in a running sandbox; the reads to measure."""
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        rig = await Rig(info, client).built(2_000)
    base, key = info["smartlead"]["base_url"], info["smartlead"]["api_key"]
    reads = {
        "a campaign": f"/campaigns/{rig.campaigns[0]}",
        "a lead by address": "/leads",
        "a page of 100 leads": f"/campaigns/{rig.campaigns[0]}/leads",
        "40 mailboxes": "/email-accounts",
    }
    more = {"/leads": "&email=p1@firm1c0-mf.com"}
    return [(name, f"{base}{path}?api_key={key}{more.get(path, '')}") for name, path in reads.items()]


def requests() -> bool:
    with serving(BARE) as (process, info):
        limit = measured("bare application", process.pid, info["root"])
    with serving(SANDBOX) as (process, info):
        rates = [measured(name, process.pid, url) for name, url in asyncio.run(over_http(info))]
    held = min(rates) >= PER_SECOND
    shares = ", ".join(f"{rate / limit:.2f}" for rate in rates)
    sys.stdout.write(f"of bare: {shares}; target {PER_SECOND} requests/s: {'held' if held else 'MISSED'}\n")
    return held


async def days(leads: int) -> float:
    """CPU seconds for a day's 1,000 sends, the mean over some days."""
    inside = Inside(1)
    await Rig(inside.info, httpx2.AsyncClient(transport=inside.transport())).built(leads)
    await inside.advance(inside.now + timedelta(days=2))
    sends = inside.world.log.lists["sends"]
    before, begun = len(sends), time.process_time()
    await inside.advance(inside.now + timedelta(days=DAYS))
    spent, made = time.process_time() - begun, sends[before:]
    mails = sum(entry["kind"] == "campaign" for entry in made)
    sys.stdout.write(
        f"{leads:>7} leads, {BOXES} mailboxes, {CAMPAIGNS} campaigns: {mails / DAYS:.0f} campaign mails and "
        f"{(len(made) - mails) / DAYS:.0f} warm-up mails a day, {1000 * spent / mails:.3f} s for 1,000 campaign mails\n"
    )
    return 1000 * spent / mails


async def simulated() -> bool:
    few, many = await days(10_000), await days(50_000)
    good = max(few, many) <= DAY_SECONDS
    sys.stdout.write(
        f"target {DAY_SECONDS} s: {'held' if good else 'MISSED'}; five times the leads: {many / few:.2f} ×\n"
    )
    return good


def main() -> int:
    held = requests()
    return 0 if asyncio.run(simulated()) and held else 1


if __name__ == "__main__":
    sys.exit(main())
