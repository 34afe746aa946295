"""Thirteen weeks, a look at a time: what is scheduled runs, what waits for people is done, and time goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
from mailfleet.services import approvals, worker
from mailfleet.store import migrations

CALM, UNREST = (10.5, 14, 17.5), (9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5, 20.5, 23.5)
"""Hours of the day at which the controller looks: in unrest every hour in which mail leaves, and at night."""
LONGEST_WEEKS = 16
UNEASY = {"REVIEW", "HOLD", "PAUSE", "ROLLBACK"}
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
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failures: list[str] = field(default_factory=list[str])
    unrest: bool = False
    spent: dict[str, float] = field(default_factory=dict[str, float])

    async def run(self) -> None:
        with using(self.stage.fleet):
            await self._begin()
            for day in range(7 * LONGEST_WEEKS):
                if day % 7 == 0:
                    self.tell(f"week {day // 7 + 1}")
                await self._day(day)
                if await self._over():
                    return

    async def timed(self, name: str, work: Any) -> Any:
        began = time.process_time()
        try:
            return await work
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - began

    async def _begin(self) -> None:
        await self.timed("found", agency.found(self.stage, self.plan))
        await self.timed("domain", agency.new_domain(self.stage))
        made = await verbs.plan(
            self.stage.fleet, name="rehearsal", start_on=agency.START_ON, timezone=agency.ZONE,
            volume=self.plan.volume, seed=self.plan.seed, campaigns=self.plan.at_once,
        )  # fmt: skip
        await approvals.approve(self.stage.fleet, made["approval"], by=ANN)
        await self.stage.until(agency.moment(0))
        await verbs.start(self.stage.fleet)

    async def _day(self, day: int) -> None:
        if day % 7 == 0 or day in (8, 11):
            await self.until(agency.moment(day, 0.5))
            await self._flow("mailboxes", smartlead_mailbox_provisioning_flow, action="sync")
            await self._flow("mailboxes", smartlead_mailbox_provisioning_flow, action="graduate")
        await self.until(agency.moment(day, 6.5))
        for each in self.plan.campaigns:
            if each.day == day:
                await self.timed("campaigns", self._campaign(each))
        await self._flow("sync", smartlead_lead_sync_flow, direction="bidirectional")
        await self.until(agency.moment(day, 8))
        await self.timed("people", self.people.morning())
        hour = 8.0
        while coming := [each for each in (UNREST if self.unrest else CALM) if each > hour]:
            hour = coming[0]
            await self.until(agency.moment(day, hour))
            await self.look()
        await self._flow("monitor", mailfleet_monitor_flow)
        await self.timed("people", self.people.look())
        self.both |= witness.on_both(self.stage.inside.world)

    async def until(self, at: datetime) -> None:
        await self.timed("world", self.stage.until(at))
        await self.timed("apply", self._applied())

    async def _applied(self) -> None:
        for _ in range(20):
            if (await worker.run_once(self.stage.fleet)).idle:
                return

    async def look(self) -> None:
        """Ticks until nothing is left to do."""
        for _ in range(_STEPS):
            step = await self.tick()
            if step.did == "burst":
                await self.timed("people", self.people.burst())
            if step.did in ("ask", "review"):
                await self.timed("people", self.people.look())
            if step.did == "nothing" or step.state in ("rolled_back", "done"):
                return

    async def tick(self) -> Step:
        await self.stage.flush()
        step = await self.timed("tick", controller.tick(self.stage.fleet))
        self.last = step.reason
        self.unrest = step.state != "running" or bool(UNEASY & set(step.verdicts.values()))
        if step.did not in ("nothing", "read", "reconcile"):
            self.steps.append(
                {"at": self.stage.now.isoformat(), "did": step.did, "state": step.state, "phase": step.phase,
                 "reason": step.reason}
            )  # fmt: skip
        return step

    async def _campaign(self, each: Campaign) -> None:
        self.given |= {str(lead["email"]) for lead in agency.leads(each, self.plan.seed)}
        made = await self.people.stage_campaign(each)
        told = await plain(smartlead_campaign_flow, action="start", campaign_id=str(made))
        if not told["success"]:
            self.failures.append(f"{each.name}: {told['reason']}")

    async def _flow(self, name: str, flow: Any, **given: Any) -> Any:
        try:
            return await self.timed(name, plain(flow, **given))
        except MailfleetError as error:
            self.failures.append(f"{self.stage.now:%m-%d %H:%M} {name}: {error.coded}")

    async def _over(self) -> bool:
        async with self.stage.fleet.db.connection() as db:
            made = await migrations.need(db)
        return made.ended_at is not None
