"""The status page: what an operator looks at first, and nobody else's page can read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from mailfleet.clock import FixedClock
from mailfleet.store.database import Database, execute
from mailfleet.web.app import console

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
async def page(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=console(database, FixedClock(NOW)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


async def test_before_anything_exists_it_says_so(page: httpx2.AsyncClient) -> None:
    shown = (await page.get("/")).text
    assert "2026-03-02 01:00 UTC" in shown
    assert shown.count("None yet.") == 3
    assert "No flow has run yet." in shown


async def test_what_is_stopped_and_told_is_shown_and_cannot_write_into_the_page(
    page: httpx2.AsyncClient, database: Database
) -> None:
    async with database.connection() as db:
        await execute(
            db,
            """insert into mailfleet.holds (scope, scope_id, kind, reason, actor, actor_kind, since)
               values ('domain', 'example.com', 'new_leads', %s, 'ann', 'person', %s)""",
            ["bounces <script>alert(1)</script>", NOW],
        )
        await execute(
            db,
            """insert into mailfleet.alerts (fact_key, kind, severity, title, body, created_at)
               values ('a', 'test', 'critical', 'Key refused', '', %s)""",
            [NOW],
        )
        await execute(
            db,
            "insert into mailfleet.outbox (topic, run_at, created_at, state) values ('x', %s, %s, 'dead')",
            [NOW, NOW],
        )
    shown = (await page.get("/")).text
    assert "new leads" in shown
    assert "bounces &lt;script&gt;" in shown and "<script>" not in shown
    assert 'class="critical">critical' in shown and "Key refused" in shown
    told = (await page.get("/status.json")).json()
    assert told["queues"]["commands given up"] == 1
    assert [hold["actor"] for hold in told["holds"]] == ["ann"]


async def test_another_name_is_not_answered(page: httpx2.AsyncClient) -> None:
    assert (await page.get("/", headers={"host": "evil.example"})).status_code == 400


async def test_a_database_that_went_away_is_said(database: Database, page: httpx2.AsyncClient) -> None:
    async with database.connection() as db:
        await execute(db, "alter table mailfleet.alerts rename to gone")
    answer = await page.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "gone" not in answer.text
