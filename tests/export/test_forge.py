"""The Forge stack exported from the sandbox, which was written from the documents apart from the clients."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.export.conftest import fleet_on
from tests.sandbox_fixture import Sandbox

from mailfleet.platforms.archive import Page
from mailfleet.platforms.forge_export import ForgeExport
from mailfleet.platforms.shelves import ObjectShelf
from mailfleet.policy.load import default_policy
from mailfleet.services import archives, export
from mailfleet.services.context import Fleet
from mailfleet.services.sealing import Opener, Seal
from mailfleet.store.database import Database, tuples
from mailfleet.vendors.infraforge.client import get_infraforge_client
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.warmforge.client import get_warmforge_client

pytestmark = pytest.mark.anyio
SEEDED = {"sequences": 3, "leads": 230, "fresh": 5, "mailboxes": 2, "days": 20}


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    running = Sandbox("--seed", "4", "--profile", "calm")
    running.control("POST", "/forge/seed", SEEDED)
    yield running
    running.close()


async def _sampled(kind: str, start: str | None) -> AsyncIterator[Page]:
    yield Page(rows=[{"kind": "mailbox", "ref": "m", "day": "2026-03-01", "sample": {"reputation": 90}}], next=None)


@contextlib.asynccontextmanager
async def source(world: Sandbox) -> AsyncIterator[ForgeExport]:
    means = Means(journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    core, warm, infra = (world.info[name] for name in ("salesforge", "warmforge", "infraforge"))
    made = ForgeExport(
        get_salesforge_client(
            core["api_key"], means, base_url=core["base_url"], multichannel_base_url=core["multichannel_base_url"],
            rate=500,
        ),
        get_warmforge_client(warm["api_key"], means, base_url=warm["base_url"], rate=500),
        get_infraforge_client(infra["api_key"], means, base_url=infra["base_url"], rate=500),
        _sampled,
        today=lambda: datetime.fromisoformat(world.control("GET", "/clock")["now"]).astimezone(UTC).date(),
    )  # fmt: skip
    yield made
    await made.close()


async def opened(shelf: ObjectShelf, prefix: str, opener: Opener) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The manifest and the rows by dataset."""
    key = f"{prefix}/manifest.json.age"
    told = msgspec.json.decode(opener.decrypt(key, await shelf.read(key)))
    rows: dict[str, list[Any]] = {}
    for name, dataset in told["datasets"].items():
        rows[name] = []
        for part in dataset["parts"]:
            file = part["files"]["jsonl"]["key"]
            rows[name] += [
                msgspec.json.decode(line) for line in opener.decrypt(file, await shelf.read(file)).splitlines()
            ]
    return told, rows


async def test_everything_asked_for_is_there_and_what_is_not_given_is_said(
    world: Sandbox, fleet: Fleet, shelf: ObjectShelf, keys: tuple[Seal, Opener, Path], tmp_path: Path
) -> None:
    seal, opener, _ = keys
    async with source(world) as forge:
        made = await export.run(fleet, forge, [shelf], seal)
    told, rows = await opened(shelf, made.prefix, opener)
    assert set(told["requirements"]) == set(default_policy().export.requirements())
    assert all(each["answered_by"] for each in told["requirements"].values())
    assert told["not_answered"] == []
    assert all(dataset["complete"] for dataset in told["datasets"].values())
    truth = {
        (send["lead_email"], send["campaign_id"]) for send in world.log("sends")
        if send.get("platform") == "forge" and send["kind"] == "campaign"
    }  # fmt: skip
    engaged = {(row["email"], row["sequenceId"]) for row in rows["salesforge/engagement"] if row["sent"]}
    assert truth and truth <= engaged, "each mail the sandbox logged is in the engagement"
    assert len(rows["salesforge/campaigns"]) == SEEDED["sequences"]
    assert {row["sequenceId"] for row in rows["salesforge/sequences"]} == {
        row["id"] for row in rows["salesforge/campaigns"]
    }
    assert all(row["emailSubject"] is not None and row["emailContent"] for row in rows["salesforge/sequences"])
    assert len({row["email"] for row in rows["salesforge/leads"]}) == len(rows["salesforge/leads"]) >= SEEDED["leads"]
    assert sum(row["leadCount"] for row in rows["salesforge/campaigns"]) == sum(
        len(row["sequences"]) for row in rows["salesforge/leads"]
    )
    heat = [row["healthReport"]["heatScore"] for row in rows["warmforge/mailboxes"]]
    assert len(heat) == SEEDED["mailboxes"] and all(0 <= score <= 100 for score in heat)
    assert rows["warmforge/warmup"] and rows["warmforge/history"]
    assert all(row["records"] for row in rows["infraforge/domains"])
    passwords = [row["credentials"]["smtpPassword"] for row in rows["infraforge/mailboxes"]]
    assert passwords and all(passwords)
    stored = b"".join(each.read_bytes() for each in (tmp_path / "exports").rglob("*") if each.is_file())
    assert not any(password.encode() in stored for password in passwords)


@pytest.mark.parametrize(
    ("options", "found_by", "all_found"),
    [({"list_sequences": False}, "outside each sequence", True), ({"profile": "2026-02"}, "not to be found", False)],
)
async def test_where_the_list_names_no_sequences_members_are_found_by_difference_or_it_is_said(
    options: dict[str, Any], found_by: str, all_found: bool, shelf: ObjectShelf, fleet: Fleet,
    keys: tuple[Seal, Opener, Path],
) -> None:  # fmt: skip
    seal, opener, _ = keys
    other = Sandbox("--seed", "4", "--profile", "calm")
    try:
        other.control("POST", "/forge/options", options)
        other.control("POST", "/forge/seed", {"sequences": 2, "leads": 40, "fresh": 3, "mailboxes": 1, "days": 5})
        async with source(other) as forge:
            made = await export.run(fleet, forge, [shelf], seal)
    finally:
        other.close()
    told, rows = await opened(shelf, made.prefix, opener)
    assert found_by in told["remarks"]["salesforge/memberships"]
    counts = {row["id"]: row["leadCount"] for row in rows["salesforge/campaigns"]}
    found = {id: sum(row["sequenceId"] == id for row in rows["salesforge/memberships"]) for id in counts}
    assert (found == counts) is all_found


async def test_passwords_are_encrypted_in_the_database_they_are_restored_to(
    world: Sandbox, fleet: Fleet, shelf: ObjectShelf, keys: tuple[Seal, Opener, Path], database: Database
) -> None:
    seal, opener, _ = keys
    async with source(world) as forge:
        made = await export.run(fleet, forge, [shelf], seal)
    found = await archives.restore(fleet_on(database, seed=9), shelf, made.prefix, opener)
    rows = [row async for _, row in archives.restored_rows(fleet, found.archive, "infraforge/mailboxes")]
    passwords = [row["credentials"]["smtpPassword"] for row in rows]
    assert len(passwords) == SEEDED["mailboxes"]
    async with database.connection() as db:
        texts = [line for (line,) in await tuples(db, "select line from mailfleet.restored")]
    assert not any(password in text for password in passwords for text in texts)


async def test_one_mailbox_in_two_workspaces_and_one_that_was_deleted_are_told_apart_with_their_history(
    fleet: Fleet, shelf: ObjectShelf, keys: tuple[Seal, Opener, Path]
) -> None:
    seal, opener, _ = keys
    other = Sandbox("--seed", "5", "--profile", "calm")
    try:
        given = {"sequences": 1, "leads": 120, "fresh": 2, "days": 12, "addresses": ["ana.ruiz@shared-box.com"]}
        spaces = [other.control("POST", "/forge/seed", {**given, "workspace": name})["workspace"] for name in "AB"]
        core = other.info["salesforge"]
        url, key = f"{core['base_url']}/workspaces/{spaces[1]}/mailboxes", {"Authorization": core["api_key"]}
        gone = other.http.get(url, headers=key).json()["data"][0]["id"]
        assert other.http.delete(f"{url}/{gone}", headers=key).status_code == 204
        given = {**given, "workspace": "C", "leads": 5}
        spaces.append(other.control("POST", "/forge/seed", given)["workspace"])
        async with source(other) as forge:
            made = await export.run(fleet, forge, [shelf], seal)
    finally:
        other.close()
    told, rows = await opened(shelf, made.prefix, opener)
    assert all(dataset["complete"] for dataset in told["datasets"].values())
    boxes = rows["salesforge/mailboxes"]
    assert sorted(box["workspaceId"] for box in boxes) == sorted([spaces[0], spaces[2]])
    assert {box["address"] for box in boxes} == {"ana.ruiz@shared-box.com"} and len({box["id"] for box in boxes}) == 2
    assert {row["mailboxId"] for row in rows["salesforge/replies"]} - {box["id"] for box in boxes} == {gone}
    for name in ("salesforge/leads", "salesforge/engagement", "salesforge/campaigns"):
        assert set(spaces) <= {row["workspaceId"] for row in rows[name]} | {spaces[2]}
