"""What a warming mailbox misses and since when, and when it should be ready by its ramp as it went."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from tests.services_fleet.test_rounds import ANN, DOMAIN, box, days, sync, warming

from mailfleet.services import mailboxes
from mailfleet.store import domains, readiness

pytestmark = pytest.mark.anyio


async def since(world: Any, name: str) -> Any:
    async with world.fleet.db.connection() as db:
        ann = await mailboxes.find(db, ANN)
        return (await readiness.missing_since(db, ann.id)).get(name)


async def ready(world: Any) -> date:
    return (await world.ask("select estimated_ready_date from mailfleet.mailboxes where address = %s", ANN))[0][0]


async def test_what_is_missing_is_kept_since_when_and_forgotten_when_met(world: Any) -> None:
    await warming(world)
    await days(world, 1)
    begun = await since(world, "emails_sent")
    await days(world, 8)
    assert await since(world, "emails_sent") == begun
    async with world.fleet.db.connection() as db:
        ann = await mailboxes.find(db, ANN)
    told = {each["name"]: each for each in (await mailboxes.explain(world.fleet, ann.id))["checklist"]}
    assert (told["emails_sent"]["since"], told["spam_rate"]["since"]) == (begun, None)
    box(world, ANN).inbox = 0.7
    await days(world, 4)
    lost = await since(world, "heat_score")
    assert lost > begun + timedelta(days=8)
    assert await since(world, "emails_sent") is None
    box(world, ANN).inbox = 0.99
    await days(world, 4)
    assert await world.ask("select count(*) from mailfleet.criteria_missing") == [(0,)]  # all are in PRODUCTION


async def test_a_day_without_warm_up_moves_the_date_it_should_be_ready(world: Any) -> None:
    await warming(world)
    await days(world, 3)
    planned = await ready(world)
    world.days_pass(2)
    await sync(world)
    assert await ready(world) == planned + timedelta(days=2)


async def test_a_domains_days_are_kept_and_what_nobody_read_is_unknown(world: Any) -> None:
    await warming(world)
    await days(world, 6)
    async with world.fleet.db.connection() as db:
        domain = await domains.find(db, DOMAIN)
        assert domain is not None
        kept = await readiness.domain_days(db, domain.id, since=date(2026, 1, 1))
    assert [(each.mailboxes, each.warmup_sent) for each in kept] == [(2, n) for n in (10, 10, 16, 22, 28, 34)]
    assert (kept[0].heat_lowest, kept[0].heat_unknown, kept[-1].heat_lowest) == (None, 2, 95)
    assert kept[0].placement_seeds is None
