"""An export: complete, encrypted before it leaves, resumable, checkable, readable without the database it came from."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import resource
import shutil
import subprocess
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from tests.export.conftest import START, change, fleet_on
from tests.export.source import Book, Endless, people

from mailfleet.clock import FixedClock
from mailfleet.errors import AlreadyThere, BadFile, ConfigError, ExportError, LostKey, ShelfError, Tampered, TimedOut
from mailfleet.platforms.shelves import ObjectShelf, bucket, folder
from mailfleet.services import archives, export, restored
from mailfleet.services.context import Fleet
from mailfleet.services.restored import Restored
from mailfleet.services.sealing import Opener, Seal, key_file, new_key
from mailfleet.store.database import Database, tuples

pytestmark = pytest.mark.anyio
Keys = tuple[Seal, Opener, Path]
LOGINS = [{"address": "a@example.com", "password": "planted-s3cret-1"}, {"address": "b@example.com", "password": "x"}]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_PART_BYTES", 1_000)


async def said(shelf: ObjectShelf, prefix: str, opener: Opener) -> archives.Manifest:
    return await archives.manifest(shelf, prefix, opener)


async def rows_in(shelf: ObjectShelf, found: archives.Manifest, dataset: str, opener: Opener) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = []
    for part in found.datasets[dataset].parts:
        key = part.files["jsonl"].key
        held += [msgspec.json.decode(line) for line in opener.decrypt(key, await shelf.read(key)).splitlines()]
    return held


async def test_every_row_is_there_once_with_what_the_vendor_said_and_does_not_give(
    fleet: Fleet, shelf: ObjectShelf, s3: ObjectShelf, keys: Keys
) -> None:
    seal, opener, _ = keys
    book = Book(people(95), LOGINS)
    made = await export.run(fleet, book, [shelf, s3], seal)
    assert made.state == "done" and set(made.places) == {"folder", "bucket"}
    for place in (shelf, s3):
        found = await said(place, made.prefix, opener)
        assert await rows_in(place, found, "people", opener) == people(95)
        assert len(found.datasets["people"].parts) > 3
        assert (found.datasets["people"].rows, found.datasets["people"].complete) == (95, True)
        assert found.datasets["people"].vendor_said == {"before": 95, "after": 95}
        assert "schedules" in found.not_given
    assert await archives.at(shelf) == [made.prefix]


async def test_nothing_is_readable_at_rest(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, tmp_path: Path, database: Database
) -> None:
    seal, _, _ = keys
    made = await export.run(fleet, Book(people(3), LOGINS), [shelf], seal)
    files = [each for each in (tmp_path / "exports").rglob("*") if each.is_file()]
    assert {each.suffix for each in files} == {".age", ".txt"}
    assert all(b"planted-s3cret" not in each.read_bytes() and b"Person 1" not in each.read_bytes() for each in files)
    async with database.connection() as db:
        kept = await tuples(
            db, "select e::text from mailfleet.exports e union select p::text from mailfleet.export_parts p"
        )
    assert made and all("planted" not in text and "Person" not in text for (text,) in kept)


async def test_an_export_that_stopped_goes_on_with_the_next_part(fleet: Fleet, shelf: ObjectShelf, keys: Keys) -> None:
    seal, opener, _ = keys
    book = Book(people(95))
    book.fail_at = 60
    with pytest.raises(TimedOut):
        await export.run(fleet, book, [shelf], seal)
    book.asked.clear()
    made = await export.run(fleet, book, [shelf], seal)
    first = next(at for dataset, at in book.asked if dataset == "people")
    assert 0 < first <= 60, "what was stored is not asked for again"
    found = await said(shelf, made.prefix, opener)
    assert await rows_in(shelf, found, "people", opener) == people(95)
    assert len(await archives.at(shelf)) == 1


async def test_a_time_out_on_page_317_of_400_costs_no_page_twice_but_those_of_the_part_under_way(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys
) -> None:
    seal, opener, _ = keys
    book = Book(people(4_000))
    book.fail_at = 3_160
    with pytest.raises(TimedOut):
        await export.run(fleet, book, [shelf], seal)
    asked = [at for dataset, at in book.asked if dataset == "people"]
    assert len(asked) == 317
    made = await export.run(fleet, book, [shelf], seal)
    again = [at for dataset, at in book.asked if dataset == "people"][317:]
    assert again[0] > 3_100 and again[-1] == 3_990
    found = await said(shelf, made.prefix, opener)
    assert await rows_in(shelf, found, "people", opener) == people(4_000)


async def test_a_disk_that_is_really_full_is_named_and_nothing_is_taken_for_stored(
    fleet: Fleet, keys: Keys, tmp_path: Path
) -> None:
    seal, _, _ = keys
    shelf = folder(tmp_path / "full")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))  # as a full disk: the write ends with an error
    try:
        with pytest.raises(ShelfError, match="could not be written"):
            await export.run(fleet, Book(people(500)), [shelf], seal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert await archives.at(shelf) == []
    made = await export.run(fleet, Book(people(500)), [shelf], seal)
    assert (await archives.verify_stored(fleet, made, shelf)).faults == []


async def test_memory_does_not_grow_with_the_number_of_rows(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_PART_BYTES", 100_000)
    peaks: list[int] = []
    for rows in (3_000, 3_000, 30_000):  # the first one loads what is loaded once
        source = Endless(rows)
        gc.collect()
        tracemalloc.start()
        made = await export.run(fleet, source, [shelf], keys[0])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (await said(shelf, made.prefix, keys[1])).datasets["people"].rows == rows
    assert peaks[2] < 1.5 * peaks[1], peaks


async def test_a_stop_between_storing_a_part_and_recording_it_doubles_nothing(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal, opener, _ = keys
    right, left = export.exports.add_part, [1]

    async def killed(*args: Any) -> None:
        if left and left.pop():
            raise KeyboardInterrupt
        await right(*args)

    monkeypatch.setattr(export.exports, "add_part", killed)
    with pytest.raises(KeyboardInterrupt):
        await export.run(fleet, Book(people(40)), [shelf], seal)
    made = await export.run(fleet, Book(people(40)), [shelf], seal)
    found = await said(shelf, made.prefix, opener)
    assert await rows_in(shelf, found, "people", opener) == people(40)
    assert (await archives.verify_opened(shelf, made.prefix, opener)).faults == []


async def test_pages_that_move_while_they_are_read_double_nothing_and_are_told(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys
) -> None:
    seal, opener, _ = keys
    book = Book(people(45))
    book.insert_after = 20
    made = await export.run(fleet, book, [shelf], seal)
    found = await said(shelf, made.prefix, opener)
    ids = [row["id"] for row in await rows_in(shelf, found, "people", opener)]
    assert sorted(ids) == sorted({row["id"] for row in people(45)})
    assert found.datasets["people"].vendor_said == {"before": 45, "after": 46}
    assert not found.datasets["people"].complete


async def test_a_wrong_count_of_the_vendor_is_shown(fleet: Fleet, shelf: ObjectShelf, keys: Keys) -> None:
    seal, opener, _ = keys
    book = Book(people(5))
    book.said = 7
    made = await export.run(fleet, book, [shelf], seal)
    assert not (await said(shelf, made.prefix, opener)).datasets["people"].complete


async def test_a_full_or_refusing_place_stops_it_and_the_next_call_completes_it(
    fleet: Fleet, shelf: ObjectShelf, s3: ObjectShelf, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal, opener, _ = keys
    right, calls = ObjectShelf.create, []

    async def full(self: ObjectShelf, key: str, data: bytes) -> None:
        calls.append(key)
        if len(calls) == 9:
            raise ShelfError(f"{key} could not be written: no space left on device.")
        await right(self, key, data)

    monkeypatch.setattr(ObjectShelf, "create", full)
    with pytest.raises(ShelfError):
        await export.run(fleet, Book(people(60)), [shelf, s3], seal)
    made = await export.run(fleet, Book(people(60)), [shelf, s3], seal)
    for place in (shelf, s3):
        assert (await archives.verify_opened(place, made.prefix, opener)).faults == []


async def test_nothing_is_overwritten(shelf: ObjectShelf, s3: ObjectShelf) -> None:
    for place in (shelf, s3):
        await place.create("a/b.age", b"first")
        with pytest.raises(AlreadyThere):
            await place.create("a/b.age", b"second")
        assert await place.read("a/b.age") == b"first"


async def test_a_bucket_that_refuses_is_named_without_its_secret(s3_server: str) -> None:
    missing = bucket("s3://no-such-bucket/x", key_id="AKID", secret="hidden-s3-secret", endpoint=s3_server, retries=0)
    with pytest.raises(ShelfError) as told:
        await missing.create("k", b"")
    assert "s3://no-such-bucket/x" in str(told.value) and "hidden-s3-secret" not in str(told.value)


async def test_a_changed_file_is_noticed_with_and_without_the_key_and_nothing_of_it_is_restored(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, tmp_path: Path, database: Database
) -> None:
    seal, opener, _ = keys
    made = await export.run(fleet, Book(people(30)), [shelf], seal)
    file = change(tmp_path / "exports", "people/*.jsonl.age")
    for checked in (
        await archives.verify_stored(fleet, made, shelf), await archives.verify_opened(shelf, made.prefix, opener)
    ):  # fmt: skip
        assert [file.name in fault for fault in checked.faults] == [True]
    with pytest.raises(Tampered, match="was changed"):
        await archives.restore(fleet, shelf, made.prefix, opener)
    async with database.connection() as db:
        assert await tuples(db, "select 1 from mailfleet.restorations") == []


async def test_a_part_of_another_archive_cannot_take_the_place_of_one(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, tmp_path: Path
) -> None:
    seal, opener, _ = keys
    made = await export.run(fleet, Book(people(30)), [shelf], seal)
    one, other = sorted((tmp_path / "exports").rglob("people/*.jsonl.age"))[:2]
    shutil.copy(other, one)
    assert len((await archives.verify_opened(shelf, made.prefix, opener)).faults) == 1


async def test_without_a_fitting_key_it_is_said_that_nobody_can_open_it(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, tmp_path: Path
) -> None:
    seal, _, _ = keys
    made = await export.run(fleet, Book(people(3)), [shelf], seal)
    new_key(tmp_path / "other.key")
    with pytest.raises(LostKey, match="not encrypted to any key"):
        await archives.manifest(shelf, made.prefix, key_file(tmp_path / "other.key"))


async def test_each_of_several_recipients_opens_it(fleet: Fleet, shelf: ObjectShelf, tmp_path: Path) -> None:
    files = [tmp_path / "one.key", tmp_path / "two.key"]
    seal = Seal([new_key(file) for file in files])
    made = await export.run(fleet, Book(people(3)), [shelf], seal)
    for file in files:
        assert (await archives.verify_opened(shelf, made.prefix, key_file(file))).rows == 3


async def test_it_is_restored_from_bucket_and_key_alone_and_exported_again_it_is_the_same(
    fleet: Fleet, s3: ObjectShelf, shelf: ObjectShelf, keys: Keys, postgres: Any, dsn: str
) -> None:
    seal, opener, _ = keys
    odd = [{"id": "x", "name": "nul \0 and lone \ud800?".replace("\ud800", "\ufffd"), "note": None, "rate": 81.97}]
    made = await export.run(fleet, Book([*people(40), *odd], LOGINS), [s3], seal)
    name = f"{psycopg.conninfo.conninfo_to_dict(dsn)['dbname']}_fresh"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"create database {name} template migrated strategy file_copy")
    async with Database(postgres.dsn(name)) as empty:
        elsewhere = fleet_on(empty, seed=2, kek=bytes(31) + b"k")
        for _ in range(2):  # a second time changes nothing
            back = await archives.restore(elsewhere, s3, made.prefix, opener)
        async with empty.connection() as db:
            kept = await tuples(db, "select line from mailfleet.restored")
        assert all("planted-s3cret" not in line for (line,) in kept)
        again = await export.run(elsewhere, Restored(elsewhere, back), [shelf], seal)
    one, two = await said(s3, made.prefix, opener), await said(shelf, again.prefix, opener)
    assert {n: (d.rows, d.digest) for n, d in one.datasets.items()} == {
        n: (d.rows, d.digest) for n, d in two.datasets.items()
    }


async def test_an_archive_is_exported_again_only_where_it_was_restored_and_never_as_the_platform_itself(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys
) -> None:
    seal, opener, _ = keys
    made = await export.run(fleet, Book(people(40), LOGINS), [shelf], seal)
    with pytest.raises(ExportError, match="not restored"):
        await restored.find(fleet, made.prefix)
    await archives.restore(fleet, shelf, made.prefix, opener)
    stopped = Book(people(40))
    stopped.fail_at = 30
    with pytest.raises(TimedOut):
        await export.run(fleet, stopped, [shelf], seal)
    again = await export.run(fleet, await restored.find(fleet, str(made.id)), [shelf], seal)
    assert again.id not in (made.id, (await export.run(fleet, Book(people(40)), [shelf], seal)).id)
    assert (await said(shelf, again.prefix, opener)).datasets["logins"].rows == 2


async def test_tables_load_into_a_spreadsheet_and_into_postgres_unchanged(
    fleet: Fleet, shelf: ObjectShelf, keys: Keys, database: Database
) -> None:
    seal, opener, _ = keys
    rows = [
        {"id": "1", "name": 'Quote " and, comma', "note": "two\nlines"},
        {"id": "2", "name": "=cmd()", "note": "@SUM(A1)"},
        {"id": "3", "name": "", "note": None},
        {"id": "4", "name": "-12.5", "note": "é \u2028 漢"},
        {"id": "5", "name": "\rline", "note": "a\r\nb"},
        {"id": "6", "name": ["a", "b"], "note": "\0-x"},
    ]
    made = await export.run(fleet, Book(rows), [shelf], seal)
    (part,) = (await said(shelf, made.prefix, opener)).datasets["people"].parts
    text = opener.decrypt("csv", await shelf.read(part.files["csv"].key))
    read = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert read == [
        ["id", "name", "note"], ["1", 'Quote " and, comma', "two\nlines"], ["2", "'=cmd()", "'@SUM(A1)"],
        ["3", "", ""], ["4", "-12.5", "é \u2028 漢"], ["5", "'\rline", "a\r\nb"], ["6", '["a","b"]', "'-x"],
    ]  # fmt: skip
    async with database.transaction() as db:
        await db.execute("create temporary table loaded (id text, name text, note text)")
        async with db.cursor().copy("copy loaded from stdin (format csv, header)") as copy:
            await copy.write(text)
        found = await tuples(db, "select id, coalesce(name, ''), coalesce(note, '') from loaded order by id")
    assert [list(row) for row in found] == read[1:]


@pytest.mark.debian("age")
async def test_the_standard_program_opens_it(fleet: Fleet, shelf: ObjectShelf, keys: Keys, tmp_path: Path) -> None:
    seal, _, file = keys
    made = await export.run(fleet, Book(people(2)), [shelf], seal)
    sealed = tmp_path / "exports" / made.prefix / "manifest.json.age"
    age = ["age", "--decrypt", "--identity", file, sealed]
    clear = await asyncio.to_thread(subprocess.check_output, age)
    assert msgspec.json.decode(clear)["datasets"]["people"]["rows"] == 2


async def test_it_is_kept_as_long_as_promised(fleet: Fleet, shelf: ObjectShelf, keys: Keys) -> None:
    seal, _, _ = keys
    made = await export.run(fleet, Book(people(2)), [shelf], seal)
    fleet.clock = FixedClock(START + timedelta(days=100))
    ended = START + timedelta(days=20)
    assert await archives.prune(fleet, [shelf], moves_end=ended, moving=False) == []
    assert await archives.prune(fleet, [shelf], moves_end=None, moving=True) == []
    fleet.clock = FixedClock(START + timedelta(days=111))
    assert [each.id for each in await archives.prune(fleet, [shelf], moves_end=ended, moving=False)] == [made.id]
    assert await shelf.keys(made.prefix) == []
    assert (await export.need(fleet, made.id)).state == "pruned"


def test_keys_and_places_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No recipient"):
        Seal([])
    with pytest.raises(ConfigError, match="not the public key"):
        Seal(["ssh-rsa AAAA"])
    (tmp_path / "bad.key").write_text("AGE-SECRET-KEY-1NOTAKEY\n")
    for name in ("bad.key", "missing.key"):
        with pytest.raises(BadFile):
            key_file(tmp_path / name)
    with pytest.raises(BadFile, match="exists"):
        new_key(tmp_path / "bad.key")
    (tmp_path / "file").write_text("")
    with pytest.raises(ShelfError, match="EXPORT_FOLDER"):
        folder(tmp_path / "file" / "below")


async def test_nowhere_to_put_it_is_said_before_anything_is_read(fleet: Fleet, keys: Keys) -> None:
    book = Book(people(1))
    with pytest.raises(ExportError, match="no place"):
        await export.run(fleet, book, [], keys[0])
    assert book.asked == []
