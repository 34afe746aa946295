"""One rehearsal from beginning to end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailfleet.rehearsal import agency, record, stage, witness
from mailfleet.rehearsal.people import People
from mailfleet.rehearsal.play import Play
from mailfleet.rehearsal.record import Result
from mailfleet.rehearsal.scenarios import Scenario
from mailfleet.store import migrations

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Rehearsed:
    """The result, and what a report is drawn from."""

    result: Result
    drawn: dict[str, Any]


async def rehearse(scenario: Scenario, *, seed: int, volume: int, tell: Tell = lambda _: None) -> Rehearsed:
    """Plays the scenario in a world of its own, which is gone after it."""
    began, cpu = time.monotonic(), time.process_time()
    plan = agency.book(seed, volume)
    with tempfile.TemporaryDirectory(prefix="rehearsal") as folder:
        async with stage.opened(Path(folder), seed=seed, start=agency.moment(-1)) as ground:
            play = Play(ground, plan, People(ground, plan, decision=scenario.decision), scenario, tell)
            await play.run()
            return await _told(play, scenario, began, cpu)


async def _told(play: Play, scenario: Scenario, began: float, cpu: float) -> Rehearsed:
    world, seed = play.stage.inside.world, play.plan.seed
    async with play.stage.fleet.db.connection() as db:
        seen = witness.account(world, play.given - await record.queued(db), agency.STEPS)
        made = await migrations.need(db)
        steps = await migrations.history(db, made.id, actions=("breaker",), limit=1000)
        result = Result(
            scenario=scenario.name,
            seed=seed,
            volume=play.plan.volume,
            outcome=record.outcome(made),
            ended_week=record.week(made.ended_at or play.stage.now),
            phases=await record.entered(db, made),
            holds=await record.holds(db, made),
            rollbacks=await record.rollbacks(db, made),
            breakers=len(steps),
            ledger_balanced=await record.balanced(db, witness.active(world)),
            double_sends=seen.double_sends,
            lost_leads=seen.lost_leads,
            on_both_sides=len(play.both),
            mails=seen.mails,
            ledger=await record.ledger(db),
            seconds=round(time.monotonic() - began, 1),
            cpu_seconds=round(time.process_time() - cpu, 1),
        )
        drawn = {
            "days": await migrations.days(db, made.id),
            "mails": witness.by_day(world),
            "steps": play.steps,
            "said": play.people.said,
            "failures": play.failures,
            "spent": play.spent,
            "calls": play.stage.wire.calls,
            "doubles": seen.doubles,
            "lost": seen.lost,
            "last": play.last,
            "ledger": play.ledger,
            "kills": play.kills,
        }
    return Rehearsed(result=result, drawn=drawn)
