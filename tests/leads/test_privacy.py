"""A person's rights: shown what is held, erased so that no list brings them back, purged when nobody answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.leads.files import people, row, write

from mailfleet.errors import BadFile, NotAllowed
from mailfleet.services import clients, imports, lead_fix, privacy, push, suppression, worker
from mailfleet.store import ownership

pytestmark = pytest.mark.anyio
WHO = "p0@firm0-mfdemo.com"


async def pushed(world: Any, folder: Path, count: int = 3) -> None:
    await imports.import_leads(world.fleet, write(folder, people(count)))
    await push.push_ready(world.fleet, world.campaign)


async def test_access_shows_everything_that_is_held(running: Any, tmp_path: Path) -> None:
    await pushed(running, tmp_path)
    await suppression.add(running.fleet, WHO)
    found = (await privacy.access(running.fleet, WHO))["held"]
    assert set(found) >= {"leads", "ownership", "contacts", "suppressions", "imports"}
    assert found["leads"][0]["email"] == WHO and len(found["leads"]) == 1


async def test_an_erased_person_is_nowhere_and_never_comes_back(running: Any, tmp_path: Path) -> None:
    await pushed(running, tmp_path)
    plan = await privacy.erase(running.fleet, WHO, reason="request", apply=False)
    assert (
        plan.leads == 1
        and not plan.erased
        and await running.one("select count(*) from mailfleet.leads where email = %s", WHO)
    )
    await privacy.erase(running.fleet, WHO, reason="request", apply=True)
    await worker.run_once(running.fleet)
    await worker.run_once(running.fleet)
    await privacy.erase(running.fleet, WHO, reason="request", apply=True)  # what the orders themselves left behind
    async with running.fleet.db.connection() as db:
        names = [
            name for (name,) in await (await db.execute(
                "select tablename from pg_tables where schemaname = 'mailfleet'"
            )).fetchall()
        ]  # fmt: skip
        dump = json.dumps(
            [await (await db.execute(f'select t::text from mailfleet."{name}" t')).fetchall() for name in names]
        )
    assert WHO not in dump.lower()
    assert running.desk.forgotten == [(running.ref, "90000")]
    report = await imports.import_leads(running.fleet, write(tmp_path, people(1), "again.csv"))
    assert (report.taken, report.by_rule[0].rule) == (0, "suppressed")


async def test_nobody_is_erased_while_a_batch_with_them_is_under_way(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, people(1)))
    running.desk.lose = "after"
    await push.push_ready(running.fleet, running.campaign)
    with pytest.raises(NotAllowed):
        await privacy.erase(running.fleet, WHO, reason="request", apply=True)


async def test_what_nobody_answered_goes_after_the_clients_own_days(running: Any, tmp_path: Path) -> None:
    await pushed(running, tmp_path, 3)
    async with running.fleet.db.transaction() as db:
        ids = [id for (id,) in await running.ask("select id from mailfleet.leads order by id")]
        await ownership.stop(db, dict.fromkeys(ids[:2], "test"), at=running.clock.now())
        await db.execute("update mailfleet.leads set email_status = 'replied' where id = %s", [ids[1]])
    running.later(days=89)
    assert (await privacy.purge(running.fleet, apply=True)).purged == 0
    running.later(days=2)
    assert (await privacy.purge(running.fleet, apply=False)).due == 1
    assert (await privacy.purge(running.fleet, apply=True)).purged == 1
    assert await running.ask("select id from mailfleet.leads order by id") == [(ids[1],), (ids[2],)]


async def test_retention_is_the_clients_own(world: Any, tmp_path: Path) -> None:
    await imports.import_leads(world.fleet, write(tmp_path, people(2)))
    client = await world.one("select slug from mailfleet.clients")
    await clients.put_client(world.fleet, client, name="A", policy={"legal": {"retention_days": 10}})
    world.later(days=11)
    assert (await privacy.purge(world.fleet, apply=True)).purged == 2


async def test_a_lead_set_aside_is_brought_back_by_what_it_lacked(running: Any, tmp_path: Path) -> None:
    await imports.import_leads(running.fleet, write(tmp_path, [row("a@one-mfdemo.com", first="", last=""), *people(1)]))
    assert (await push.push_ready(running.fleet, running.campaign)).by_rule == {"invalid": 1}
    still = await lead_fix.fix_all(running.fleet)
    assert (still.ready, still.still_invalid) == (1, 0)  # no campaign is its own yet: the next push judges again
    assert (await push.push_ready(running.fleet, running.campaign)).by_rule == {"invalid": 1}
    fixed = await lead_fix.fix(running.fleet, "a@one-mfdemo.com", {"first_name": "Ann", "last_name": "Ek"})
    assert fixed.ready == 1
    assert (await push.push_ready(running.fleet, running.campaign)).added == 1


async def test_the_suppression_list_is_saved_without_names_and_is_no_list_of_leads(world: Any, tmp_path: Path) -> None:
    await imports.import_leads(world.fleet, write(tmp_path, [row("bo@firm-mfdemo.com", first="Bo", company="Firm")]))
    await suppression.add(world.fleet, "bo@firm-mfdemo.com")
    saved = tmp_path / "list.csv"
    assert await suppression.export_file(world.fleet, saved) == 1
    header, entry = saved.read_text().splitlines()
    assert header == "scope,value,reason,created_at" and entry.startswith("address,bo@firm-mfdemo.com,manual,")
    with pytest.raises(BadFile, match="No column holds e-mail addresses"):
        await imports.import_leads(world.fleet, saved)
