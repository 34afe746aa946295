"""What people do in a rehearsal: they approve, test, drill, close what is over and sign what cannot be measured."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mailfleet.errors import MailfleetError, NotAllowed
from mailfleet.flows.campaign import smartlead_campaign_flow
from mailfleet.flows.shell import plain
from mailfleet.migration import drill, seeds, verbs, view
from mailfleet.rehearsal import agency
from mailfleet.rehearsal.agency import Campaign
from mailfleet.rehearsal.stage import Stage
from mailfleet.sandbox import placements
from mailfleet.services import approvals, campaigns
from mailfleet.store import migrations, verdicts

ANN, BOB = "person:ann", "person:bob"
DRILL_AFTER, SOON = timedelta(days=11), timedelta(days=4)
DECOMMISSION = ("export_verified", "credentials_archived", "lessons_documented", "subscriptions_cancelled")


@dataclass
class People:
    """Ann and Bob. `decision` is what they say when a paused platform waits for them."""

    stage: Stage
    plan: agency.Book
    decision: str | None = None
    drilled: datetime | None = None
    piloted: bool = False
    said: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _sentinels: int = 0

    async def morning(self) -> None:
        """Seed tests of both sides, and what the calendar asks for."""
        await self._seed_tests(burst=False)
        await self._calendar()

    async def look(self) -> None:
        """Whatever waits for a person, a few times a day."""
        await self._approve()
        seen = await view.status(self.stage.fleet)
        await self._close(seen)
        await self._sign(seen)

    async def burst(self) -> None:
        """Three extra tests a domain on both sides, the same day."""
        for _ in range(3):
            await self._seed_tests(burst=True)

    async def decide(self) -> None:
        """A paused platform waits; they go on, let it send again, or wait and see."""
        if self.decision is None:
            return
        if self.decision == "resume":
            await verbs.resume(self.stage.fleet, "the cause is known and is not the platform")
        else:
            await verbs.rollback(self.stage.fleet, "we go back")
        self._note(f"decided: {self.decision}")

    async def release(self) -> None:
        """What the vendor paused by itself is looked at, and started again by a person (I7)."""
        async with self.stage.fleet.db.connection() as db:
            paused = [UUID(each) for each in await verdicts.vendor_paused(db, agency.NEW)]
        for each in paused:
            with contextlib.suppress(NotAllowed):
                await campaigns.resume(replace(self.stage.fleet, actor=ANN), each, "looked at: the list is sound")
                self._note("started a campaign again that the vendor had paused")

    async def sign_off(self) -> None:
        """After a rollback: the post-mortem, a week's rest, a new plan."""
        fleet = self.stage.fleet
        await verbs.sign(fleet, "", "Root cause: receivers refused the vendor. Mended. Nothing changes in the plan.")
        self._note("signed the post-mortem")

    async def retry(self, day: date) -> None:
        made = await verbs.retry(self.stage.fleet, start_on=day)
        await approvals.approve(self.stage.fleet, made["approval"], by=ANN)
        await verbs.start(self.stage.fleet, made["name"])
        self.drilled, self.piloted = None, False
        self._note(f"a new migration begins: {made['name']}")

    def _note(self, what: str) -> None:
        self.said.append({"at": self.stage.now.isoformat(), "what": what})

    async def _seed_tests(self, *, burst: bool) -> None:
        lines = placements.panel(self.stage.inside.world, burst=burst)
        await seeds.record(self.stage.fleet, b"\n".join(map(msgspec.json.encode, lines)), burst=burst)

    async def _approve(self) -> None:
        for each in await approvals.waiting(self.stage.fleet):
            for who in (ANN, BOB)[: each.needed]:
                await approvals.approve(self.stage.fleet, str(each.id), by=who)
            self._note(f"approved {each.reason}")

    async def _close(self, seen: dict[str, Any]) -> None:
        """A review is closed once its verdict shows it no more and a night has passed."""
        fleet = self.stage.fleet
        async with fleet.db.connection() as db:
            made = await migrations.active(db)
            notes = await migrations.notes(db, made.id, kinds=("review",), open=True) if made else []
        for note in notes:
            still = seen["verdicts"].get(note.subject, {}).get("state") in ("REVIEW", "HOLD", "PAUSE", "ROLLBACK")
            if not still and self.stage.now - note.at > timedelta(hours=15):
                await verbs.close(fleet, note.id, "looked at: it has passed")
                self._note(f"closed the review of {note.subject}")

    async def _sign(self, seen: dict[str, Any]) -> None:
        """A gate that alone is missing, whose date has come, and that evidence cannot pass at this volume."""
        if seen["next"] is None or seen["state"] != "running":
            await self._decommission(seen)
            return
        missing = [check for check in seen["gate"] if not check["ok"] and check["name"] != "approval"]
        if missing and all(check["signable"] for check in missing):
            for check in missing:
                await verbs.confirm(
                    self.stage.fleet, f"{seen['next']}:{check['name']}", f"signed by review: {check['detail']}"
                )
                self._note(f"signed {check['name']} for {seen['next']}: {check['detail']}")

    async def _decommission(self, seen: dict[str, Any]) -> None:
        if seen["phase"] != "decommission" or seen["state"] != "running":
            return
        missing = {check["name"] for check in seen["gate"] if not check["ok"]}
        for name in DECOMMISSION:
            if name in missing:
                await verbs.confirm(self.stage.fleet, name, "done and seen")

    async def _calendar(self) -> None:
        seen = await view.status(self.stage.fleet)
        if seen["state"] not in ("running", "held"):
            return
        if seen["phase"] in ("setup", "pilot") and seen["week"] >= 2 and not self._sentinels:
            await self._sentinel()
        if seen["phase"] == "pilot" and not self.piloted:
            self.piloted = True
            number = sum("pilot begins" in each["what"] for each in self.said) + 1
            await self.pilot(
                Campaign(name=f"Pilot {number}", tag=f"pilot{number}", day=0, leads=agency.PILOT, boxes=(0, 1, 2, 3))
            )
        date = next((check for check in seen["gate"] if check["name"] == "date"), None)
        due = self.drilled is None or self.stage.now - self.drilled > DRILL_AFTER
        if due and date is not None and seen["phase"] != "setup":
            await self._drill()

    async def pilot(self, each: Campaign) -> None:
        """A hundred leads by hand on the new platform."""
        made = await self.stage_campaign(each)
        await verbs.place(self.stage.fleet, made, "the pilot")
        await plain(smartlead_campaign_flow, action="start", campaign_id=str(made))
        self._note(f"the pilot begins: {each.leads} leads")

    async def stage_campaign(self, each: Campaign) -> Any:
        told = await plain(
            smartlead_campaign_flow,
            action="create",
            campaign_config=agency.config(each),
            leads=list(agency.leads(each, self.plan.seed)),
        )
        if not told["success"]:
            raise MailfleetError(f"{each.name} could not be made: {told['reason']}")
        return (await campaigns.find(self.stage.fleet, told["campaign_id"])).id

    async def _sentinel(self) -> Any:
        """Two addresses of the agency's own on the new platform: what a drill is practised with."""
        self._sentinels += 1
        each = Campaign(
            name=f"Sentinel {self._sentinels}", tag=f"own{self._sentinels}", day=0, leads=agency.SENTINELS, boxes=(0, 1)
        )
        made = await self.stage_campaign(each)
        await verbs.place(self.stage.fleet, made, "a sentinel")
        await plain(smartlead_campaign_flow, action="start", campaign_id=str(made))
        return made

    async def _drill(self) -> None:
        fleet = self.stage.fleet
        told = await drill.drill(fleet, [await self._sentinel()], live=False, sleep=self.stage.wait)
        self.drilled = self.stage.now
        self._note(f"drilled: paused after {told['paused']:.0f} s, complete after {told['complete']:.0f} s")
