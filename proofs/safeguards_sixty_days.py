"""Sixty days of fifty mailboxes against the hostile sandbox: limits, pauses and retirements, as the sandbox saw them.

python -m proofs.safeguards_sixty_days [--seed N] [--days N] [--domains N]

Asserted: no mailbox sends more than its hard limit on any of its local days, by the sandbox's own log; whenever the
data received satisfy a trigger or a band that stops sending, the mailbox or campaign is stopped at the vendor by the
end of that round, and such pauses occur; no mailbox is retired but those that were made unhealthy here. The vendor's
own bounce pause is switched off, so that ours alone has to act.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import random
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from mailfleet import log, wiring
from mailfleet.clock import FileClock
from mailfleet.demo.control import Control
from mailfleet.demo.rig import START, settings_for
from mailfleet.errors import MailfleetError
from mailfleet.flows import shell
from mailfleet.flows.domain_setup import mailfleet_dns_check_flow, smartlead_domain_setup_flow
from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
from mailfleet.flows.monitor import mailfleet_monitor_flow
from mailfleet.process import Child, free_port
from mailfleet.rules import bounce_bands
from mailfleet.services import campaign_parts, campaigns, clients, credentials, imports, personas, safeguards, worker
from mailfleet.services.context import Fleet
from mailfleet.settings import environment_of
from mailfleet.store import holds as hold_rows
from mailfleet.store import links, mailboxes
from mailfleet.store.clients import NewPersona
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.migrate import migrate
from mailfleet.wiring import open_fleet

SYDNEY = ZoneInfo("Australia/Sydney")
HARD_LIMIT = 80
EXAMPLES = Path(__file__).parents[1] / "examples"
FAST = {"synchronous_commit": "off", "fsync": "off", "full_page_writes": "off"}
PEOPLE = ("ann.lee", "bo.ek", "cy.day", "di.fox", "ed.roe")
HOURS = (9, 11, 13, 15, 17, 20)


@dataclass
class World:
    fleet: Fleet
    clock: FileClock
    control: Control
    home: Path
    rng: random.Random
    planted: set[str] = field(default_factory=set[str])
    late_pauses: list[str] = field(default_factory=list[str])
    checked: int = 0
    stood: int = 0
    paused: set[str] = field(default_factory=set[str])
    reasons: set[str] = field(default_factory=set[str])

    async def until(self, at: datetime) -> None:
        self.clock.set(at)
        await self.control.advance(at)
        for _ in range(50):
            if (await worker.run_once(self.fleet)).idle:
                return

    async def run(self, flow: Any, **parameters: Any) -> dict[str, Any]:
        """A hostile vendor may fail a run; the next one makes it good."""
        try:
            with shell.using(self.fleet):
                return await shell.plain(flow, **parameters)
        except MailfleetError as error:
            return {"error": error.coded}


@contextlib.asynccontextmanager
async def world(home: Path, seed: int, dsn: str) -> AsyncGenerator[World]:
    argv = [sys.executable, "-m", "mailfleet.sandbox", "--port", "0", "--seed", str(seed), "--json", "--profile",
            "hostile", "--start", START.isoformat(), "--rate-limit", "60000"]  # fmt: skip
    clock = FileClock(home / "clock")
    clock.set(START)
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            Child.running(argv, log=home / "sandbox.log", cwd=home, announces=True)
        )
        told = msgspec.json.decode(await sandbox.announcement())
        settings = settings_for(home, dsn, "", told, free_port())
        receiver = await stack.enter_async_context(
            Child.running(
                [sys.executable, "-m", "mailfleet.cli", "receiver"],
                environment=environment_of(settings),
                log=home / "receiver.log",
                cwd=home,
            )
        )
        await receiver.answers(f"http://127.0.0.1:{settings.receiver_port}/healthz")
        control = await stack.enter_async_context(Control(told["control"]["base_url"]))
        fleet = await stack.enter_async_context(open_fleet(settings))
        yield World(fleet=fleet, clock=clock, control=control, home=home, rng=random.Random(seed))  # noqa: S311


async def domains(here: World, count: int) -> None:
    client = await clients.put_client(here.fleet, "agency", name="Agency", timezone="Australia/Sydney")
    people = [NewPersona(local_part=each, first_name=each[:2].title(), last_name="Sixty") for each in PEOPLE]
    await personas.put_personas(here.fleet, client, people)
    for n in range(count):
        name = f"sixty{n}-mfdemo.com.au"
        await here.control.own_domain(name)
        for local in PEOPLE:
            await here.control.host_mailbox(f"{local}@{name}", "pw-sixty")
            await credentials.put(here.fleet, f"{local}@{name}", "pw-sixty")
        for _ in range(6):
            made = await here.run(
                smartlead_domain_setup_flow, domain=name, mailbox_count=len(PEOPLE), client_id="agency"
            )
            if not made.get("errors") and "error" not in made:
                break
    for _ in range(16):
        await here.until(here.clock.now() + timedelta(hours=3))
        if not (await here.run(mailfleet_dns_check_flow)).get("pending", True):
            break


async def day(here: World, start: datetime, *, working: bool) -> None:
    """A local day: the round of the mailboxes at its start, looks and lead syncs in the working hours."""
    await here.until(start + timedelta(minutes=10))
    await here.run(smartlead_mailbox_provisioning_flow, action="sync")
    for hour in HOURS if working else HOURS[::3]:
        await here.until(start.astimezone(SYDNEY).replace(hour=hour, minute=0, second=0, microsecond=0))
        await here.run(smartlead_lead_sync_flow, direction="bidirectional")
        await here.run(mailfleet_monitor_flow)
        await look(here)
    await here.run(smartlead_mailbox_provisioning_flow, action="retire")


async def look(here: World) -> None:
    """After a round of the monitor: whatever has to stand still stands still at the vendor."""
    async with here.fleet.db.connection() as db:
        seen = await safeguards.read(here.fleet, db, due=False)
        boxes = await mailboxes.every(db, states=("PRODUCTION", "WARMING", "DEGRADED", "RETIRED"))
        held = {(hold.scope, hold.scope_id) for hold in await hold_rows.standing(db, kind="sending")}
    here.checked += len(boxes)
    for box in boxes:
        verdict = safeguards.verdict_of(here.fleet, seen, box) if box.id in seen.histories else None
        here.reasons.update(verdict["reasons"] if verdict else [])
        stopped = {("mailbox", str(box.id)), ("domain", str(box.domain_id))} & held
        if stopped or (verdict and verdict["should_pause"]):
            here.paused.add(box.address)
            await _stands_still(here, "mailbox", box.id, box.address)
    for subject in seen.subjects:
        if subject.scope == "campaign":
            known = seen.found.of("campaign", subject.id).week
            if bounce_bands.breaker(here.fleet.policy, known.sent, known.bounced).open:
                here.late_pauses.append(f"{subject.name} runs at {here.clock.now():%d %b %H:%M}")
    for scope, id in held:
        if scope == "campaign":
            here.paused.add(id)
            await _stands_still(here, "campaign", UUID(id), id)


async def _stands_still(here: World, kind: Literal["mailbox", "campaign"], id: UUID, name: str) -> None:
    async with here.fleet.db.connection() as db:
        ref = await links.need(db, platform="smartlead", kind=kind, ours=id)
    platform = here.fleet.platform()
    for _ in range(4):  # a hostile vendor answers some reads with an error
        with contextlib.suppress(MailfleetError):
            here.stood += 1
            if kind == "mailbox":
                still = (await platform.mailbox(ref)).suspended
            else:
                still = (await platform.campaign(ref)).state != "running"
            if not still:
                here.late_pauses.append(f"{name} at {here.clock.now():%d %b %H:%M}")
            return


def leads(here: World, name: str, count: int) -> Path:
    path = here.home / f"{name}.csv"
    rows = [
        "Email Address,First Name,Last Name,Company,Job Title,Country,Source,Evidence URL,Captured At,Legal Basis,"
        "Relevance,No Marketing Statement"
    ]
    rows += [
        f"{name}{n}@{name}{n}-zqx.com.au,Pat,No{n},Firm {name} {n},Manager,AU,Company website,"
        f"https://www.{name}{n}-zqx.com.au,2025-12-10T00:00:00Z,conspicuous_publication,plans the work,no"
        for n in range(count)
    ]
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


async def campaign(here: World, name: str, addresses: list[str], count: int) -> None:
    config: dict[str, Any] = tomllib.loads((EXAMPLES / "campaign.toml").read_text())
    config |= {"name": name, "client_id": "agency", "from_mailboxes": addresses}
    config["schedule"] = {**config["schedule"], "max_new_leads_per_day": 400}
    made = await _again(lambda: campaigns.draft(here.fleet, config))
    wanted = imports.Request(client="agency", campaign_id=made.id)
    await imports.import_leads(here.fleet, leads(here, name, count), wanted)
    await _again(lambda: campaigns.configure_steps(here.fleet, made.id, config["sequence"]))
    await _again(lambda: _assign(here, made.id))
    await _again(lambda: campaigns.set_schedule(here.fleet, made.id))
    await _again(lambda: campaigns.start(here.fleet, made.id))


async def _assign(here: World, id: Any) -> None:
    await campaigns.assign_mailboxes(here.fleet, id, await campaigns.mailboxes_for(here.fleet, id))


async def _again(call: Any) -> Any:
    for left in range(8, -1, -1):
        try:
            return await call()
        except MailfleetError:
            if not left:
                raise
    return None


async def trouble(here: World, number: int, addresses: list[str]) -> None:
    """What goes wrong beyond what a hostile world does by itself."""
    fault = here.control._call
    if number == 22:
        for address in addresses[:3]:
            here.planted.add(address)
            await fault("POST", "/faults", {"kind": "standing", "address": address, "score": 0.15, "ceiling": 0.2})
    if number == 26:
        here.planted.add(addresses[3])
        await fault("POST", "/faults", {"kind": "disconnect_mailbox", "address": addresses[3]})
    if number == 28:
        await fault("POST", "/faults", {"kind": "disconnect_mailbox", "address": addresses[4]})
        await here.until(here.clock.now() + timedelta(hours=3))
        await fault("POST", "/faults", {"kind": "reconnect_mailbox", "address": addresses[4]})


async def _hurried(seconds: float) -> None:
    """The vendor's waits are real seconds, its days are not."""
    await asyncio.sleep(seconds / 20)


async def prove(home: Path, seed: int, dsn: str, length: int, count: int) -> int:
    begun = time.monotonic()
    campaign_parts.BACKSTOP_PERCENT = 100
    wiring.Means = functools.partial(wiring.Means, sleep=_hurried)
    async with world(home, seed, dsn) as here:
        await domains(here, count)
        first = here.clock.now().astimezone(SYDNEY).replace(hour=0, minute=0, second=0, microsecond=0)
        started = False
        addresses: list[str] = []
        for number in range(1, length + 1):
            start = first + timedelta(days=number)
            if number == 18 or (number > 18 and not started):
                async with here.fleet.db.connection() as db:
                    addresses = [box.address for box in await mailboxes.every(db, states=("PRODUCTION",))]
                if len(addresses) > 8:
                    fault = here.control._call
                    await fault("POST", "/faults", {"kind": "bad_list", "contains": "worn", "bounces": 0.14})
                    await campaign(here, "fresh", addresses[:-4], 150 * length)
                    await campaign(here, "worn", addresses[-8:-1], 40 * length)
                    await fault("POST", "/faults", {"kind": "bad_list", "contains": "rotten", "bounces": 0.3})
                    await campaign(here, "rotten", addresses[-1:], 10 * length)
                    started = True
            if started:
                await trouble(here, number, addresses)
            await day(here, start, working=start.astimezone(SYDNEY).weekday() < 5)
            sys.stdout.write(f"day {number}: {await _states(here)} ({time.monotonic() - begun:.0f} s)\n")
            sys.stdout.flush()
        return await report(here, started)


async def _states(here: World) -> str:
    async with here.fleet.db.connection() as db:
        return ", ".join(f"{n} {s}" for s, n in Counter(box.state for box in await mailboxes.every(db)).most_common())


async def report(here: World, started: bool) -> int:
    per_day: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    for line in await here.control.log("sends"):
        at = datetime.fromisoformat(line["at"]).astimezone(SYDNEY)
        per_day[line["mailbox"], f"{at:%Y-%m-%d}"] += 1
        kinds[line["kind"]] += 1
    over = {key: n for key, n in per_day.items() if n > HARD_LIMIT}
    async with here.fleet.db.connection() as db:
        retired = {box.address for box in await mailboxes.every(db, states=("RETIRED",))}
        told = await (
            await db.execute("select kind, count(*) from mailfleet.alerts group by 1 order by 2 desc")
        ).fetchall()
        steps = await (await db.execute(
            "select event, count(*) from mailfleet.transitions group by 1 order by 2 desc"
        )).fetchall()  # fmt: skip
        stopped = await (await db.execute("select scope, reason from mailfleet.holds order by since")).fetchall()
    wrongly = retired - here.planted
    lines = [
        f"sent by the sandbox's log: {dict(kinds)}; mailbox days {len(per_day)}, most on one {max(per_day.values())}",
        f"over the hard limit of {HARD_LIMIT}: {over or 'none'}",
        f"looks at mailboxes {here.checked}; that had to stand still {len(here.paused)}, read {here.stood} times; "
        f"not stopped at the vendor after the round: {here.late_pauses or 'none'}",
        f"triggers met: {sorted(here.reasons) or 'none'}",
        f"retired {sorted(retired)}; of them healthy: {sorted(wrongly) or 'none'}",
        f"transitions {dict(steps)}",
        f"alerts {dict(told)}",
        *(f"hold on a {scope}: {reason}" for scope, reason in stopped[:60]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    bounced = any("bounce_rate_exceeded" in reason for _, reason in stopped)
    broken = any(reason.startswith(("breaker", "bounces")) for _, reason in stopped)
    return 1 if over or here.late_pauses or wrongly or not started or not bounced or not broken else 0


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--days", type=int, default=60)
    given.add_argument("--domains", type=int, default=10)
    wanted = given.parse_args()
    log.setup("error", "text")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "postgres", FAST, throwaway=True).running() as server,
    ):
        dsn = server.ensure_database("sixty")
        migrate(dsn)
        return asyncio.run(prove(Path(folder), wanted.seed, dsn, wanted.days, wanted.domains))


if __name__ == "__main__":
    sys.exit(main())
