"""Thirteen weeks, a look at a time: what is scheduled runs, what waits for people is done, and time goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mailfleet.errors import MailfleetError
from mailfleet.flows.campaign import smartlead_campaign_flow
from mailfleet.flows.lead_sync import smartlead_lead_sync_flow
from mailfleet.flows.mailbox_provisioning import smartlead_mailbox_provisioning_flow
from mailfleet.flows.monitor import mailfleet_monitor_flow
from mailfleet.flows.shell import plain, using
from mailfleet.migration import controller, verbs
from mailfleet.migration.controller import Step
from mailfleet.rehearsal import agency, witness
from mailfleet.rehearsal.agency import Book, Campaign
from mailfleet.rehearsal.people import ANN, People
from mailfleet.rehearsal.scenarios import Scenario
from mailfleet.rehearsal.stage import Stage
from mailfleet.rehearsal.storm import Killed, Storm
from mailfleet.rehearsal.trouble import begin
from mailfleet.services import approvals, worker
from mailfleet.store import migrations, verdicts
from mailfleet.store.migrations import Migration

CALM, UNREST = (10.5, 14, 17.5), (9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5, 20.5, 23.5)
"""Hours of the day at which the controller looks: in unrest every hour in which mail leaves, and at night."""
QUARTERS = tuple(9 + n / 4 for n in range(60))
"""While calls to a vendor fail, or a way back is under way, as often as its schedule has it."""
LONGEST_WEEKS, RETRY_WEEKS, REST_DAYS = 16, 36, 8
AFTER_DAYS = 12
"""Played on after a rollback, so that what was moved is sent."""
UNEASY = {"REVIEW", "HOLD", "PAUSE", "ROLLBACK"}
MOVING = {"pausing", "assessing", "rolling_back"}
_STEPS = 12


@dataclass
class Play:
    """One run of one plan."""

    stage: Stage
    plan: Book
    people: People
    scenario: Scenario
    tell: Callable[[str], None]
    given: set[str] = field(default_factory=set[str])
    both: set[str] = field(default_factory=set[str])
    """Whoever both vendors might have written to at some moment."""
    last: str = ""
    kills: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failures: list[str] = field(default_factory=list[str])
    ledger: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    unrest: bool = False
    fine: bool = False
    spent: dict[str, float] = field(default_factory=dict[str, float])
    storm: Storm | None = None

    async def run(self) -> None:
        if self.scenario.crashes:
            rng = random.Random(f"storm:{self.plan.seed}")  # noqa: S311 - where a process ends
            self.storm = Storm(rng, lost=self.scenario.interrupts)
        await self.done("found", self._begin)
        last = 7 * (RETRY_WEEKS if self.scenario.again else LONGEST_WEEKS)
        again: int | None = None
        for day in range(last):
            if day % 7 == 0:
                self.tell(f"week {day // 7 + 1}")
            if day == again:
                await self.done("people", lambda: self.people.retry(agency.local_date(self.stage.now)))
            await self._day(day, campaigns=True)
            made = await self._migration()
            if made.ended_at is None or (again is not None and day < again):
                continue
            if self.scenario.again and made.state == "rolled_back" and again is None:
                await self.done("people", self.people.sign_off)
                again = day + REST_DAYS + 1
                continue
            await self._after(day + 1, made)
            return

    async def _after(self, first: int, made: Migration) -> None:
        if made.state == "rolled_back":
            for day in range(first, first + AFTER_DAYS):
                await self._day(day, campaigns=False)

    async def done(self, name: str, act: Callable[[], Awaitable[Any]], *, storm: bool = False) -> Any:
        """Does it, again from the start where the process is ended on the way. What fails is written down."""
        while True:
            began = time.process_time()
            try:
                with using(self.stage.fleet), (self.storm or Storm.none()).over(self.stage, on=storm):
                    return await act()
            except Killed:
                self.kills += 1
                await self.stage.again()
            except MailfleetError as error:
                self.failures.append(f"{self.stage.now:%m-%d %H:%M} {name}: {error.coded}")
                return None
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - began

    async def _begin(self) -> None:
        await agency.found(self.stage, self.plan)
        made = await verbs.plan(
            self.stage.fleet, name="rehearsal", start_on=agency.START_ON, timezone=agency.ZONE,
            volume=self.plan.volume, seed=self.plan.seed, campaigns=self.plan.at_once,
        )  # fmt: skip
        await approvals.approve(self.stage.fleet, made["approval"], by=ANN)
        await self.stage.until(agency.moment(0))
        await verbs.start(self.stage.fleet)
        await agency.new_domain(self.stage)

    async def _day(self, day: int, *, campaigns: bool) -> None:
        for fault in self.scenario.faults:
            if int(fault.day) == day:
                begin(self.stage, self.plan, fault)
        if day % 7 == 0 or day in (8, 11):
            await self.until(agency.moment(day, 0.5))
            await self._flow("mailboxes", smartlead_mailbox_provisioning_flow, action="sync")
            await self._flow("mailboxes", smartlead_mailbox_provisioning_flow, action="graduate")
        await self.until(agency.moment(day, 6.5))
        for each in (each for each in self.plan.campaigns if campaigns and each.day == day):
            await self._campaign(each)
        await self._flow("sync", smartlead_lead_sync_flow, direction="bidirectional")
        await self.until(agency.moment(day, 8))
        await self.done("people", self.people.morning)
        await self._hours(day)
        await self._flow("sync", smartlead_lead_sync_flow, direction="bidirectional")
        await self._flow("monitor", mailfleet_monitor_flow)
        await self.done("people", self.people.look)
        await self._note_day()

    async def _hours(self, day: int) -> None:
        hour = 8.0
        while coming := [each for each in self._looks() if each > hour]:
            hour = coming[0]
            await self.until(agency.moment(day, hour))
            if self.fine:
                await self._flow("sync", smartlead_lead_sync_flow, direction="bidirectional")
            await self.look()

    def _looks(self) -> tuple[float, ...]:
        return QUARTERS if self.fine else UNREST if self.unrest else CALM

    async def _note_day(self) -> None:
        self.both |= witness.on_both(self.stage.inside.world)
        async with self.stage.fleet.db.connection() as db:
            day = self.stage.now.astimezone(ZoneInfo(agency.ZONE)).date().isoformat()
            self.ledger[day] = dict(await verdicts.owned(db))

    async def until(self, at: datetime) -> None:
        await self.done("world", lambda: self.stage.until(at))
        await self.done("apply", self._applied, storm=True)

    async def _applied(self) -> None:
        for _ in range(20):
            if (await worker.run_once(self.stage.fleet)).idle:
                return

    async def look(self) -> None:
        """Ticks until nothing is left to do now; a saga's own waits of a minute pass at once."""
        for _ in range(_STEPS):
            step = await self.tick()
            if step is None or step.state in ("rolled_back", "done"):
                return
            if step.did == "burst":
                await self.done("people", self.people.burst)
            if step.did in ("ask", "review"):
                await self.done("people", self.people.look)
            if step.did == "rollback" and not await self._waited(step):
                return
            if step.did == "nothing":
                return

    async def _waited(self, step: Step) -> bool:
        """Is there more to do now? People decide what waits for them; a minute is waited for, more is not."""
        self.both |= witness.on_both(self.stage.inside.world)
        if "a person decides" in step.reason:
            before = len(self.people.said)
            await self.done("people", self.people.decide)
            return len(self.people.said) > before
        if step.state == "watching":
            return False
        await self.until(self.stage.now + timedelta(seconds=65))
        return True

    async def tick(self) -> Step | None:
        await self.stage.flush()
        step: Step | None = await self.done("tick", lambda: controller.tick(self.stage.fleet), storm=True)
        if step is None:
            return None
        self.last = step.reason
        self.unrest = step.state not in ("running", "rolled_back") or bool(UNEASY & set(step.verdicts.values()))
        self.fine = step.verdicts.get("api") in UNEASY or step.state in MOVING
        if step.did not in ("nothing", "read", "reconcile"):
            self.steps.append(
                {"at": self.stage.now.isoformat(), "did": step.did, "state": step.state, "phase": step.phase,
                 "reason": step.reason}
            )  # fmt: skip
        return step

    async def _campaign(self, each: Campaign) -> None:
        self.given |= {str(lead["email"]) for lead in agency.leads(each, self.plan.seed)}
        await self.done("campaigns", lambda: self._made(each), storm=True)

    async def _made(self, each: Campaign) -> None:
        made = await self.people.stage_campaign(each)
        told = await plain(smartlead_campaign_flow, action="start", campaign_id=str(made))
        if not told["success"]:
            self.failures.append(f"{each.name}: {told['reason']}")

    async def _flow(self, name: str, flow: Any, **given: Any) -> None:
        await self.done(name, lambda: plain(flow, **given), storm=True)

    async def _migration(self) -> Migration:
        async with self.stage.fleet.db.connection() as db:
            return await migrations.need(db)
