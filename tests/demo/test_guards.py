"""Each guard, switched off alone, turns the check that watches it false; with all of them on, every check holds."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.demo.in_process import TINY, verdicts

from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.receiver import app
from mailfleet.services import budgets, commands, dedup
from mailfleet.store import alerts, events, imports, ownership, suppressions
from mailfleet.store.database import execute

pytestmark = pytest.mark.anyio
Off = Callable[[pytest.MonkeyPatch], None]
# Needs the orchestrator's API: its own test plays the whole demonstration.
RIVALS = msgspec.structs.replace(TINY, rivals=True)
ELSEWHERE = "flows_recorded"


def suppression(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any, **__: Any) -> int:
        return 0

    patch.setattr(suppressions, "add_many", nothing)


def exits(patch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any, **__: Any) -> dict[int, int]:
        return {}

    patch.setattr(ownership, "stop", nobody)


def absence(patch: pytest.MonkeyPatch) -> None:
    async def no(*_: Any, **__: Any) -> None:
        return None

    patch.setattr(commands, "pause_all", no)


def limit(patch: pytest.MonkeyPatch) -> None:
    within = budgets.limits.budget

    def without(*args: Any, **kwargs: Any) -> Any:
        return msgspec.structs.replace(within(*args, **kwargs), warmup_target=50, campaign_cap=90)

    patch.setattr(budgets.limits, "budget", without)


def refusals(patch: pytest.MonkeyPatch) -> None:
    kept = imports.advance

    async def forgotten(*args: Any, **kwargs: Any) -> None:
        await kept(*args, **{**kwargs, "refused": []})

    patch.setattr(imports, "advance", forgotten)


def told(patch: pytest.MonkeyPatch) -> None:
    due = alerts.take_due

    async def twice(*args: Any, **kwargs: Any) -> list[Any]:
        return [each for each in await due(*args, **kwargs) for _ in range(2)]

    patch.setattr(alerts, "take_due", twice)


def identity(patch: pytest.MonkeyPatch) -> None:
    """A new id for every delivery: what is told twice is recorded twice."""
    same = events.event_id

    def another(*args: Any, **kwargs: Any) -> uuid.UUID:
        return uuid.UUID(bytes=same(*args, **kwargs).bytes[:6] + uuid.uuid4().bytes[6:])

    patch.setattr(events, "event_id", another)
    patch.setattr(app, "event_id", another)


def claim(patch: pytest.MonkeyPatch) -> None:
    """Neither the lock on what is ready, nor the check for a recent contact, nor the ledger's condition."""

    async def all_of_them(db: Any, ids: Any) -> list[int]:
        return list(ids)

    async def unseen(fleet: Any, db: Any, ids: Any, **_: Any) -> list[int]:
        return list(ids)

    right = ownership.claim

    async def taken_over(db: Any, ids: Any, **how: Any) -> list[int]:
        await execute(db, "update mailfleet.lead_ownership set state = 'released' where lead_id = any(%s)", [list(ids)])
        return await right(db, ids, **how)

    patch.setattr(ownership, "lock_ready", all_of_them)
    patch.setattr(dedup, "separate", unseen)
    patch.setattr(ownership, "claim", taken_over)


def key(patch: pytest.MonkeyPatch) -> None:
    """One byte of the published key is wrong: verification has to notice, so the set-up stays `verifying`."""
    right = CloudflareDns.apply

    async def wrong(self: CloudflareDns, zone: str, *, create: Any = (), change: Any = ()) -> Any:
        return await right(self, zone, create=[_damaged(each) for each in create], change=change)

    patch.setattr(CloudflareDns, "apply", wrong)


def _damaged(record: Any) -> Any:
    if "p=MII" not in record.content:
        return record
    return msgspec.structs.replace(record, content=record.content.replace("p=MII", "p=MIJ"))


async def test_with_every_guard_on_every_check_holds(tmp_path: Path, dsn: str) -> None:
    """Also with two campaigns that push the same leads at the same moment."""
    found = await verdicts(tmp_path, dsn, RIVALS)
    assert {name: detail for name, (ok, detail) in found.items() if not ok and name != ELSEWHERE} == {}


@pytest.mark.parametrize(
    ("off", "check"),
    [
        (suppression, "no_suppressed_sent"),
        (exits, "exits_effective"),
        (absence, "ooo_resumed"),
        (limit, "mailbox_limits"),
        (refusals, "leads_accounted"),
        (told, "alerts_once"),
        (identity, "events_once"),
        (key, "dns_verified"),
        (claim, "no_step_twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_without_its_guard_the_check_fails(
    off: Off, check: str, tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    off(monkeypatch)
    found = await verdicts(tmp_path, dsn, RIVALS if off is claim else TINY)
    assert not found[check][0], found[check][1]
