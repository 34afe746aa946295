from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailfleet.store import approvals
from mailfleet.store.approvals import Approval
from mailfleet.store.database import Connection, Database

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SCOPE = {"domain": "a.com"}


async def ask(db: Connection, needed: int = 1) -> Approval:
    return await approvals.request(
        db,
        "buy",
        scope=SCOPE,
        ceiling_cents=1500,
        currency="USD",
        by="ann",
        reason="launch",
        at=NOW,
        expires_at=NOW + timedelta(days=1),
        needed=needed,
    )


async def use(db: Connection, at: datetime = NOW) -> Approval | None:
    return await approvals.use(db, "buy", scope=SCOPE, at=at)


async def test_an_approval_is_used_once(database: Database) -> None:
    async with database.connection() as db:
        asked = await ask(db)
        assert await use(db) is None
        await approvals.approve(db, asked.id, by="bob", at=NOW)
        assert await approvals.use(db, "buy", scope={"domain": "b.com"}, at=NOW) is None
        assert await use(db)
        assert await use(db) is None


async def test_it_expires_and_can_be_withdrawn(database: Database) -> None:
    async with database.connection() as db:
        for _ in range(2):
            await approvals.approve(db, (await ask(db)).id, by="bob", at=NOW)
        assert await use(db, NOW + timedelta(days=1)) is None
        asked = await ask(db)
        assert [each.id for each in await approvals.waiting(db, at=NOW)] == [asked.id]
        assert await approvals.withdraw(db, asked.id, at=NOW)
        assert not await approvals.withdraw(db, asked.id, at=NOW)
        assert await approvals.approve(db, asked.id, by="bob", at=NOW) is None
        assert await approvals.waiting(db, at=NOW) == []


async def test_four_eyes_are_two_people_neither_of_whom_asked(database: Database) -> None:
    async with database.connection() as db:
        asked = await ask(db, needed=2)
        assert await approvals.approve(db, asked.id, by="ann", at=NOW) is None
        for by in ("bob", "bob"):
            half = await approvals.approve(db, asked.id, by=by, at=NOW)
            assert half and half.approved_at is None
        whole = await approvals.approve(db, asked.id, by="cat", at=NOW)
        assert whole and whole.approved_at == NOW
        assert await use(db)
