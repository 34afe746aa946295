"""What happens in the demonstration: two domains, their warm-up, one campaign, ten sending days.

The sandbox's world runs on its own clock. Each step of time sets the product's clock first, then lets the world run
there, then waits until what came in has been applied; the flows are called where their schedules would have been.
"""

from __future__ import annotations

import asyncio
import csv
import random
import secrets
import time
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from mailfleet.demo import story
from mailfleet.demo.rig import START, Rig
from mailfleet.errors import MailfleetError
from mailfleet.services import clients, credentials, imports, personas, suppression
from mailfleet.services.imports import Report
from mailfleet.services.suppression import Taken

CLIENT = "agency-os"
SYDNEY = ZoneInfo("Australia/Sydney")
NAMES = (
    "brightwater", "copperfield", "eastvale", "fernhill", "greenlea", "highmarsh", "ironbark", "larkspur",
    "millbrook", "northgate", "oakridge", "pebblebay", "quillhurst", "riverbend", "saltbush", "tallowood",
)  # fmt: skip
# The working hours after which the world stands still and what came in is looked at.
LOOKS = (12, 15, 18)
SENDING_DAYS = 10
REACTION = timedelta(hours=3, minutes=30)
LAST_WARMUP_DAY = 24
_SETTLE_WITHIN = 60.0
Tell = Callable[[str, float], None]
"""What is being done, and how far the whole is (0 to 1)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large a world. `leads` 0 means the whole file."""

    seed: int
    leads: int = 0
    domains: int = 2
    mailboxes: int = 2
    sending_days: int = SENDING_DAYS
    rivals: bool = False
    """Whether a second campaign reaches for the same leads at the same moment."""


class Played(msgspec.Struct, kw_only=True):
    """What was done and what came back."""

    suppressed: Taken
    imported: Report
    leads_file: Path
    suppressed_file: Path
    domains: Sequence[str]
    flows: dict[str, list[dict[str, Any]]]
    campaign_id: str
    until: datetime


Flow = Callable[..., Awaitable[dict[str, Any]]]


class Stage:
    """The rig, the clock and the flows."""

    def __init__(self, rig: Rig, plan: Plan, tell: Tell) -> None:
        self.rig, self.plan, self.tell = rig, plan, tell
        self.flows: dict[str, list[dict[str, Any]]] = {}
        self.rivals: list[str] = []
        self.rng = random.Random(f"demo:{plan.seed}")  # noqa: S311 - names of domains, not secrets

    async def run(self, flow: Any, **parameters: Any) -> dict[str, Any]:
        """A flow, recorded by Prefect where there is one; its result is kept under its name."""
        from mailfleet.flows.shell import plain

        result: dict[str, Any] = await (flow(**parameters) if self.rig.prefect_api else plain(flow, **parameters))
        self.flows.setdefault(str(flow.name), []).append(result)
        return result

    async def until(self, at: datetime) -> None:
        """Lets the world run to `at` and the product catch up with it."""
        self.rig.clock.set(at)
        await self.rig.control.advance(at)
        await self.settled()

    async def settled(self) -> None:
        end = time.monotonic() + _SETTLE_WITHIN
        while await self._open():
            if time.monotonic() > end:
                raise MailfleetError(
                    f"After {_SETTLE_WITHIN:.0f} s {await self._open()} webhooks or commands are still not dealt with.",
                    hint=f"See worker.log and receiver.log in {self.rig.home}.",
                )
            await asyncio.sleep(0.02)

    async def _open(self) -> int:
        async with self.rig.fleet.db.connection() as db:
            return await story.unsettled(db, self.rig.clock.now())


async def play(rig: Rig, plan: Plan, tell: Tell, examples: Path) -> Played:
    """The seven steps. What a flow returns is kept; what goes wrong on the way raises."""
    stage = Stage(rig, plan, tell)
    tell("importing leads", 0.05)
    suppressed, imported, leads_file = await _import(stage, examples)
    tell("setting up domains", 0.10)
    names = await _domains(stage)
    await _warm_up(stage)
    tell("starting the campaign", 0.40)
    campaign_id = await _campaign(stage, examples)
    if campaign_id:
        await _sending_days(stage, campaign_id)
    return Played(
        suppressed=suppressed,
        imported=imported,
        leads_file=leads_file,
        suppressed_file=examples / "suppressions.csv",
        domains=names,
        flows=stage.flows,
        campaign_id=campaign_id,
        until=rig.clock.now(),
    )


async def _import(stage: Stage, examples: Path) -> tuple[Taken, Report, Path]:
    fleet = stage.rig.fleet
    client = await clients.put_client(fleet, CLIENT, name="Agency OS", timezone="Australia/Sydney", country="AU")
    await personas.put_personas(fleet, client, personas.read_file(examples / "personas.toml"))
    suppressed = await suppression.import_file(fleet, examples / "suppressions.csv")
    chosen = _leads(stage, examples / "leads.csv")
    return suppressed, await imports.import_leads(fleet, chosen, imports.Request(client=CLIENT)), chosen


def _leads(stage: Stage, whole: Path) -> Path:
    """The file, or its first rows for a smaller world."""
    if not stage.plan.leads:
        return whole
    small = stage.rig.home / "leads.csv"
    with whole.open(encoding="utf-8-sig", newline="") as read, small.open("w", encoding="utf-8", newline="") as write:
        rows = list(csv.reader(read))
        csv.writer(write).writerows(rows[: stage.plan.leads + 1])
    return small


async def _domains(stage: Stage) -> list[str]:
    """Flow 1 for each, then the scheduled check until DNS shows everything."""
    from mailfleet.flows.domain_setup import mailfleet_dns_check_flow, smartlead_domain_setup_flow

    rig = stage.rig
    names = [f"{name}-mfdemo.com.au" for name in stage.rng.sample(NAMES, stage.plan.domains)]
    for name in names:
        await rig.control.own_domain(name)
        await _mailbox_logins(stage, name)
        await stage.run(smartlead_domain_setup_flow, domain=name, mailbox_count=stage.plan.mailboxes, client_id=CLIENT)
    waiting = True
    while waiting and rig.clock.now() < START + timedelta(hours=48):
        await stage.until(rig.clock.now() + timedelta(hours=3))
        waiting = bool((await stage.run(mailfleet_dns_check_flow))["pending"])
    return names


async def _mailbox_logins(stage: Stage, domain: str) -> None:
    """The operator makes the mailboxes at the mail host and gives their logins (D3)."""
    people = personas.read_file(examples_folder() / "personas.toml")
    for person in people[: stage.plan.mailboxes]:
        address, password = f"{person.local_part}@{domain}", secrets.token_urlsafe(12)
        await stage.rig.control.host_mailbox(address, password)
        await credentials.put(stage.rig.fleet, address, password)


async def _warm_up(stage: Stage) -> None:
    """A day at a time, with the daily round, until every mailbox is in PRODUCTION or has had its time."""
    from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow

    for day in range(1, LAST_WARMUP_DAY + 1):
        stage.tell(f"warming up, day {day}", 0.12 + 0.27 * day / LAST_WARMUP_DAY)
        await stage.until(_next_day(stage.rig.clock.now()))
        state = await stage.run(smartlead_mailbox_provisioning_flow, action="sync")
        if state["production"] == stage.plan.domains * stage.plan.mailboxes:
            break
    await stage.run(smartlead_mailbox_provisioning_flow, action="graduate")


async def _campaign(stage: Stage, examples: Path) -> str:
    from mailfleet.flows.campaign import smartlead_campaign_flow
    from mailfleet.flows.lead_sync import smartlead_lead_sync_flow

    config: dict[str, Any] = {"client_id": CLIENT, **tomllib.loads((examples / "campaign.toml").read_text())}
    made = await stage.run(smartlead_campaign_flow, action="create", campaign_config=config)
    if not made["success"]:  # no domain is verified: nothing may be sent, and the checks say so
        return ""
    campaign_id: str = made["campaign_id"]
    if stage.plan.rivals:
        await _both_at_once(stage, campaign_id, {**config, "name": f"{config['name']} (rival)"})
    await stage.run(smartlead_campaign_flow, action="start", campaign_id=campaign_id)
    await stage.run(smartlead_lead_sync_flow, direction="bidirectional", campaign_id=campaign_id)
    await stage.settled()
    return campaign_id


async def _both_at_once(stage: Stage, campaign_id: str, config: dict[str, Any]) -> None:
    """A second campaign, and both push the very same leads side by side: each lead has to go to one of them."""
    from mailfleet.flows.campaign import smartlead_campaign_flow
    from mailfleet.services import push
    from mailfleet.store import campaigns

    rival: str = (await stage.run(smartlead_campaign_flow, action="create", campaign_config=config))["campaign_id"]
    stage.rivals.append(rival)
    fleet = stage.rig.fleet
    async with fleet.db.connection() as db:
        first = await campaigns.need(db, UUID(campaign_id))
    wanted = await push.ready(fleet, first)
    for each, own in ((campaign_id, wanted[:5]), (rival, wanted[-5:])):  # a platform starts no campaign without leads
        await push.push(fleet, UUID(each), own)
    for each in (campaign_id, rival):
        await stage.run(smartlead_campaign_flow, action="start", campaign_id=each)
    await asyncio.gather(*(push.push(fleet, UUID(each), wanted[5:-5]) for each in (campaign_id, rival)))


async def _sending_days(stage: Stage, campaign_id: str) -> None:
    """Each day: the daily round of the mailboxes, looks during the working hours, then the sync and the safeguards."""
    from mailfleet.flows.campaign import smartlead_campaign_flow
    from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
    from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
    from mailfleet.flows.monitor import mailfleet_monitor_flow

    done = 0
    while done < stage.plan.sending_days:
        day = _local_midnight(stage.rig.clock.now(), days=1)
        await stage.until(day + timedelta(minutes=10))
        await stage.run(smartlead_mailbox_provisioning_flow, action="sync")
        working = day.astimezone(SYDNEY).weekday() < 5
        done += working
        stage.tell(f"sending, day {done} of {stage.plan.sending_days}", 0.42 + 0.5 * done / stage.plan.sending_days)
        for hour in LOOKS if working else LOOKS[-1:]:
            await stage.until(_local_hour(day, hour))
        for each in (campaign_id, *stage.rivals):
            await stage.run(smartlead_lead_sync_flow, direction="bidirectional", campaign_id=each)
        await stage.run(mailfleet_monitor_flow)
        await stage.settled()
    await stage.until(stage.rig.clock.now() + timedelta(hours=5))
    for each in (campaign_id, *stage.rivals):
        await stage.run(smartlead_lead_sync_flow, direction="pull", campaign_id=each)
    await stage.settled()
    await stage.run(smartlead_campaign_flow, action="stats", campaign_id=campaign_id)


def examples_folder() -> Path:
    """The example files, which are part of the package; `examples/` of the checkout leads there."""
    return Path(__file__).parents[1] / "_examples"


def _next_day(now: datetime) -> datetime:
    return _local_midnight(now, days=1) + timedelta(minutes=10)


def _local_midnight(now: datetime, *, days: int = 0) -> datetime:
    local = now.astimezone(SYDNEY)
    return local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)


def _local_hour(day: datetime, hour: int) -> datetime:
    return day.astimezone(SYDNEY).replace(hour=hour, minute=0, second=0, microsecond=0)
