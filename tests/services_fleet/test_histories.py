"""Histories at random, by two monitors at once, with rubbish from the vendor: what may never happen does not happen.

Seen at the platform's side: nothing sends without health, nobody's pause is let go of by the machine, no cap is above
the limit of the day; and in our rows: one transition a reading, none out of what was not read.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest
from tests.services_fleet.test_rounds import days, sync, warming
from tests.services_fleet.test_safeguards import monitor

from mailfleet.policy.model import Policy
from mailfleet.rules import lifecycle
from mailfleet.services import holds

pytestmark = pytest.mark.anyio
RUBBISH = (-5.0, 101.0, 1e9, float("nan"))


class Walk:
    """One history: a step at a time, and what has to hold after each."""

    def __init__(self, world: Any, seed: int) -> None:
        self.world, self.rng = world, random.Random(seed)
        self.seen = 0
        self.persons: set[str] = set()

    async def step(self) -> None:
        boxes = list(self.world.platform.boxes.values())
        box = self.rng.choice(boxes)
        match self.rng.choice(("bad", "good", "rubbish", "lost", "future", "person", "away", "clock", "limits")):
            case "bad":
                box.inbox, box.reputation = 0.4, 50.0
            case "good":
                box.inbox, box.reputation, box.connected = 0.97, 95.0, True
            case "rubbish":
                box.reputation = self.rng.choice(RUBBISH)
            case "lost":
                box.inbox = None
            case "future":
                box.days[(self.world.clock.now().date()).replace(year=2031)] = 40
            case "person":
                id = (await self.world.ask("select id from mailfleet.mailboxes where address = %s", box.address))[0][0]
                await holds.pause(self.world.fleet, "mailbox", str(id), "a person's", "dave", "person")
                self.persons.add(box.address)
            case "away":
                self.world.platform.away = not self.world.platform.away
            case "clock":
                self.world.days_pass(self.rng.choice((-0.5, 2.0)))
            case _:
                self.world.fleet.policy = lowered(self.world.fleet.policy)
        self.world.warm()
        await self.round()
        await self.holds_true()

    async def round(self) -> None:
        before = await self.transitions()
        away = self.world.platform.away
        result: Any = None
        try:
            result = await sync(self.world)
        except Exception as error:
            assert away, error
        moved = (await self.transitions())[len(before) :]
        assert len({(entity, at) for entity, at, _, _ in moved}) == len(moved), "two transitions in a reading"
        assert result is not None or not moved
        await asyncio.gather(monitor(self.world), monitor(self.world))
        self.world.days_pass(1)

    async def transitions(self) -> list[tuple[Any, ...]]:
        return await self.world.ask(
            "select entity_id, at, from_state, to_state from mailfleet.transitions where entity = 'mailbox' order by id"
        )

    async def holds_true(self) -> None:
        rows = await self.world.ask(
            """select m.address, m.state, m.heat_state, b.campaign_cap + b.warmup_target, b.hard_limit, b.campaign_cap
               from mailfleet.mailboxes m left join lateral (
                   select * from mailfleet.mailbox_budgets
                   where mailbox_id = m.id order by day desc limit 1) b on true"""
        )
        shown = {box.address: box for box in self.world.platform.boxes.values()}
        for address, state, _, planned, hard, cap in rows:
            assert planned is None or planned <= hard
            assert shown[address].cap <= max(1, cap or 40), (address, state)
            if address in self.persons:
                assert shown[address].suspended, f"{address} was let go"
            if state in ("RETIRED", "DEGRADED") and not self.world.platform.away:
                assert not shown[address].warm or state == "DEGRADED"
        for _, _, from_state, to_state in await self.transitions():
            assert to_state in {after for (before, _), after in lifecycle.TABLE.items() if before == from_state}


def lowered(policy: Policy) -> Policy:
    """A limit lowered in the middle of a day."""
    production = msgspec.structs.replace(policy.send_limits.production, campaign_per_mailbox=15)
    limits = msgspec.structs.replace(policy.send_limits, production=production)
    return msgspec.structs.replace(policy, send_limits=limits)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_history_breaks_what_has_to_hold(world: Any, seed: int) -> None:
    await warming(world)
    await days(world, 12)
    walk = Walk(world, seed)
    for _ in range(8):
        await walk.step()


async def test_what_is_no_reputation_moves_nothing_and_promotes_nobody(world: Any) -> None:
    await warming(world)
    await days(world, 10)
    for box in world.platform.boxes.values():
        box.reputation = float("nan")
    await days(world, 6)
    assert {state for (state,) in await world.ask("select state from mailfleet.mailboxes")} == {"WARMING"}
    assert await world.ask("select count(*) from mailfleet.mailbox_readings where vendor_reputation = 'NaN'") == [(0,)]


async def test_days_that_have_not_come_count_for_nothing(world: Any) -> None:
    await warming(world)
    await days(world, 3)
    for box in world.platform.boxes.values():
        box.days |= {day.replace(year=2030): 40 for day in box.days}
        box.days |= {day.replace(year=2025): -40 for day in list(box.days) if day.year == 2026}
    await days(world, 1)
    assert {days for (days,) in await world.ask("select warmup_days from mailfleet.mailboxes")} == {4}


async def test_a_vendor_away_for_a_day_moves_nothing(world: Any) -> None:
    await warming(world)
    await days(world, 16)
    before = await world.ask("select count(*) from mailfleet.transitions")
    world.platform.away = True
    for _ in range(4):
        world.days_pass(0.3)
        with pytest.raises(Exception, match="down"):
            await sync(world)
        await monitor(world)
    assert await world.ask("select count(*) from mailfleet.transitions") == before
    assert not any(box.suspended for box in world.platform.boxes.values())
