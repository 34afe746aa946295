"""What decided is told with its inputs, and what is foretold comes true."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services_fleet.test_rounds import ANN, box, days, states, warming
from tests.services_fleet.test_safeguards import ADDRESS, happened, monitor
from tests.services_fleet.test_safeguards import sending as sending

from mailfleet.services import evaluation, explained, holds, mailboxes, safeguards

pytestmark = pytest.mark.anyio


async def test_a_bounce_foretold_moves_the_band_at_the_platform(sending: Any) -> None:
    await happened(sending, "sent", 100)
    await happened(sending, "bounced", 4)
    await monitor(sending)
    told = await explained.explain(sending.fleet, "mailbox", ADDRESS)
    (bands,) = [each for each in told.rulings if each.rule == "bounce_ladder"]
    (flip,) = [each for each in bands.what_if if each.input == "bounced"]
    assert (bands.says.split(",")[0], flip.instead, flip.then.split(",")[0]) == ("elevated", 5, "warning")
    assert told.watching.startswith("every 5 min")
    assert (await sending.ask("select limit_factor::float8 from mailfleet.mailboxes"))[0] == (1.0,)
    await happened(sending, "bounced", 1)
    await monitor(sending)
    assert (await sending.ask("select limit_factor::float8 from mailfleet.mailboxes"))[0] == (0.75,)
    assert sending.platform.boxes["100"].cap == 30


async def test_a_hold_is_what_decided_whatever_the_rules_say(sending: Any) -> None:
    await holds.pause(sending.fleet, "mailbox", str(sending.mailbox), "holiday", "dave", "person")
    told = await explained.explain(sending.fleet, "mailbox", ADDRESS)
    assert "sends nothing" in told.decided
    assert "person dave" in told.decided
    assert "holiday" in told.decided
    assert not any(each.acts for each in told.rulings)


async def test_a_check_names_what_the_next_round_does_and_changes_nothing(sending: Any) -> None:
    await happened(sending, "sent", 100)
    await happened(sending, "bounced", 30)
    found = {each.scope: each for each in await explained.check(sending.fleet)}
    assert found["mailbox"].todo == "pause, normal → emergency"
    assert found["mailbox"].auto_pause == "bounce_rate_exceeded"
    assert await sending.ask("select count(*) from mailfleet.holds") == [(0,)]
    assert not sending.platform.boxes["100"].suspended
    await monitor(sending)
    assert sending.platform.boxes["100"].suspended
    assert [each.todo for each in await explained.check(sending.fleet) if each.scope == "mailbox"] == [""]


async def test_a_campaign_is_explained_by_its_name(sending: Any) -> None:
    told = await explained.explain(sending.fleet, "campaign", "one")
    assert {each.rule for each in told.rulings} == {"bounce_ladder", "breaker", "complaints"}
    assert told.decided == "no rule acts"


async def test_all_at_once_decides_what_one_by_one_decides(world: Any) -> None:
    await warming(world)
    await days(world, 11)
    for day in range(5):
        box(world, ANN).inbox = 0.5 if day > 1 else 0.97
        await days(world, 1)
        async with world.fleet.db.connection() as db:
            seen = await safeguards.read(world.fleet, db, due=False)
        for each in seen.boxes:
            one = await mailboxes.decide(world.fleet, await mailboxes.stored(world.fleet, each.id), graduate=True)
            view = seen.theirs[each.client_id]
            assert evaluation.decide(view, each, seen.histories[each.id], seen.later, seen.now) == one
    assert set((await states(world)).values()) == {"DEGRADED", "PRODUCTION"}
