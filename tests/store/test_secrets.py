from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from mailfleet.errors import ConfigError, StoreError, Unknown
from mailfleet.store.database import Database, execute, tuples
from mailfleet.store.secrets import Kek, Vault, load_kek, read_kek

pytestmark = pytest.mark.anyio
SECRET = b"hunter2 hunter2 hunter2"


def kek() -> Kek:
    return Kek(os.urandom(32))


async def test_a_secret_comes_back_and_is_nowhere_in_clear(database: Database) -> None:
    vault = Vault(kek())
    async with database.connection() as db:
        one, two = await vault.put(db, "mailbox:a", SECRET), await vault.put(db, "mailbox:a", SECRET)
        assert await vault.get(db, one) == await vault.get(db, two) == SECRET
        stored = await tuples(db, "select wrapped_key, ciphertext from mailfleet.secrets")
    assert stored[0][1] != stored[1][1]
    assert all(SECRET[:8] not in column for each in stored for column in each)
    assert repr(vault) == f"Vault(Kek(id='{vault.kek.id}'))"


async def test_another_key_is_refused_with_both_named(database: Database) -> None:
    right, wrong = Vault(kek()), Vault(kek())
    async with database.connection() as db:
        id = await right.put(db, "x", SECRET)
        with pytest.raises(StoreError, match=rf"{right.kek.id}.*{wrong.kek.id}"):
            await wrong.get(db, id)
        with pytest.raises(Unknown):
            await right.get(db, uuid4())


async def test_a_ciphertext_does_not_work_in_another_row(database: Database) -> None:
    vault = Vault(kek())
    async with database.connection() as db:
        one, two = await vault.put(db, "mailbox:a", SECRET), await vault.put(db, "mailbox:b", b"other")
        await execute(
            db,
            """update mailfleet.secrets b set wrapped_key = a.wrapped_key, ciphertext = a.ciphertext
               from mailfleet.secrets a where a.id = %s and b.id = %s""",
            [one, two],
        )
        with pytest.raises(StoreError, match="damaged"):
            await vault.get(db, two)


async def test_rotation_leaves_no_row_on_the_old_key_and_no_ciphertext_changed(database: Database) -> None:
    old, new = kek(), kek()
    async with database.connection() as db:
        ids = [await Vault(old).put(db, "x", bytes([n])) for n in range(7)]
        before = await tuples(db, "select id, ciphertext from mailfleet.secrets order by id")
        rotating = Vault(new, former=(old,))
        assert await rotating.get(db, ids[0]) == b"\0"
        assert await rotating.rotate(db, batch=2) == 7
        assert await rotating.rotate(db) == 0
        assert [await Vault(new).get(db, id) for id in ids] == [bytes([n]) for n in range(7)]
        assert await tuples(db, "select id, ciphertext from mailfleet.secrets order by id") == before
        with pytest.raises(StoreError):
            await Vault(old).get(db, ids[0])


async def test_rotation_without_the_old_key_says_so_and_changes_nothing(database: Database) -> None:
    old = kek()
    async with database.connection() as db:
        await Vault(old).put(db, "x", SECRET)
        with pytest.raises(StoreError, match=old.id):
            await Vault(kek()).rotate(db)


def test_a_key_file_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "kek"
    made = load_kek(None, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_kek(None, file).id == made.id
    assert [each.name for each in file.parent.iterdir()] == ["kek"]


def test_processes_racing_to_make_the_key_file_agree(tmp_path: Path) -> None:
    code = "import sys, pathlib; from mailfleet.store.secrets import load_kek as load; print(load(None, {}).id)"
    argv = [sys.executable, "-c", code.format("pathlib.Path(sys.argv[1])"), str(tmp_path / "kek")]
    racing = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({child.communicate()[0] for child in racing}) == 1


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    load_kek(None, file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="Others may read"):
        load_kek(None, file)


@pytest.mark.parametrize("text", ["not base64 at all!", base64.b64encode(b"short").decode()])
def test_a_malformed_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_kek(text)
    assert text not in str(told.value)


def test_both_kinds_of_base64_are_read() -> None:
    raw = bytes(range(223, 255))
    assert read_kek(base64.b64encode(raw).decode()).id == read_kek(base64.urlsafe_b64encode(raw).decode() + "\n").id


async def test_a_kept_secret_is_made_once_and_survives_rotation(database: Database) -> None:
    old, new = kek(), kek()

    async def ask(vault: Vault) -> bytes:
        async with database.connection() as db:
            return await vault.kept(db, "suppression")

    made = await asyncio.gather(*(ask(Vault(old)) for _ in range(4)))
    assert len(set(made)) == 1
    async with database.connection() as db:
        assert await Vault(new, former=(old,)).rotate(db) == 1
    assert await ask(Vault(new)) == made[0]
