"""A migration in small: the world, the shipped parts and the witness, with a way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailfleet.migration import verbs
from mailfleet.rehearsal import agency, record, report, scenarios, stage, witness
from mailfleet.rehearsal.people import People
from mailfleet.rehearsal.play import Play
from mailfleet.rehearsal.record import Result
from mailfleet.rehearsal.run import Rehearsed
from mailfleet.store import migrations

pytestmark = pytest.mark.anyio


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    """A small agency whose migration stands at 100 %: every campaign that begins goes to the new platform."""
    plan = agency.book(1, 30)
    async with stage.opened(tmp_path, seed=1, start=agency.moment(-1)) as ground:
        made = Play(ground, plan, People(ground, plan), scenarios.scenario("smooth"), lambda _: None)
        await made.done("found", made._begin)
        assert not made.failures
        async with ground.fleet.db.transaction() as db:
            found = await migrations.need(db)
            await db.execute("update mailfleet.migrations set phase = 'full'")
            await migrations.enter(db, found.id, "full", checklist=[], by="test", at=ground.now)
        await days(made, range(3))
        yield made


async def days(play: Play, some: range) -> None:
    for day in some:
        await play._day(day, campaigns=day < 2)


async def account(play: Play) -> witness.Account:
    async with play.stage.fleet.db.connection() as db:
        given = play.given - await record.queued(db)
    return witness.account(play.stage.inside.world, given, agency.STEPS)


async def gone_back(play: Play) -> witness.Account:
    """A person goes back on day 3; what is left is sent in the days after."""
    await play.done("people", lambda: verbs.rollback(play.stage.fleet, "a test"))
    await days(play, range(3, 20))
    return await account(play)


async def test_after_a_way_back_every_step_left_once_and_nobody_is_lost(play: Play) -> None:
    before = {mail.platform for mail in witness.mails(play.stage.inside.world) if mail.email in play.given}
    seen = await gone_back(play)
    assert before == {"smartlead"} and not play.failures
    assert (await play._migration()).state == "rolled_back"
    assert {mail.platform for mail in witness.mails(play.stage.inside.world)} == {"smartlead", "forge"}
    assert (seen.double_sends, seen.lost_leads, seen.crossed_leads, play.both) == (0, 0, 0, set())
    async with play.stage.fleet.db.connection() as db:
        assert await record.balanced(db, witness.active(play.stage.inside.world))


async def test_the_page_stands_alone() -> None:
    result = Result(
        scenario="smooth", seed=1, volume=30, outcome="cut_over", ended_week=13,
        phases=[record.Entered(phase="setup", week=1, at="2026-03-01T13:00:00+00:00")],
        holds=[record.Span(trigger="bounce", start="2026-03-03T00:00:00+00:00", end="")], rollbacks=[], breakers=1,
        ledger_balanced=True, double_sends=0, lost_leads=0, on_both_sides=0, mails=9, ledger="ab",
        seconds=1, cpu_seconds=1,
    )  # fmt: skip
    day = {
        "shares": {"target": 0.1, "routed": None, "sending": 0.1, "owned": 0.2}, "cost_cents": 1200,
        "verdicts": {"bounce": {"state": "HOLD", "observed": 0.07, "interval": [0.03, 0.11]}},
    }  # fmt: skip
    drawn: dict[str, Any] = {
        "days": [(agency.START_ON, day)], "mails": {}, "ledger": {}, "calls": 1, "said": [],
        "steps": [{"at": "2026-03-03T00:00:00+00:00", "did": "hold", "reason": "<b>bounce</b>"}],
    }  # fmt: skip
    text = report.page(Rehearsed(result=result, drawn=drawn), scenarios.scenario("smooth"))
    assert "<svg" in text and "&lt;b&gt;bounce" in text
    assert "http" not in text.replace("http://www.w3.org", "") and "<script" not in text and "src=" not in text


def test_every_scenario_says_what_it_expects() -> None:
    names = [each.name for each in scenarios.SCENARIOS]
    assert len(names) == len(set(names)) == 11 and all(each.expected for each in scenarios.SCENARIOS)


def test_one_seed_gives_one_agency() -> None:
    assert agency.book(3, 1000) == agency.book(3, 1000) != agency.book(4, 1000)
    assert agency.book(3, 1000).at_once == 20
