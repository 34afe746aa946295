"""The schema and the keys of what is encrypted in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cyclopts import App

from mailfleet import wiring
from mailfleet.cli.output import Json, emit, say, show_one
from mailfleet.cli.session import started
from mailfleet.errors import BadFile
from mailfleet.store import migrate as schema
from mailfleet.store.database import Database
from mailfleet.store.secrets import Kek, Vault, read_kek

app = App(name="db", help="Apply and inspect the schema.")

PENDING = 3


@app.command
def migrate(*, json: Json = False) -> None:
    """Apply the migrations that are missing, each in a transaction of its own."""
    with wiring.database(started()) as (dsn, _):
        applied = schema.migrate(dsn)
    if json:
        emit({"applied": applied})
        return
    say("Nothing to apply: the schema is current." if not applied else f"Applied {len(applied)} migrations:")
    for name in applied:
        say(f"  {name}")


@app.command
def status(*, json: Json = False) -> int:
    """Which migrations are applied and which are missing; exit code 3 when some are."""
    with wiring.database(started()) as (dsn, local):
        found = schema.status(dsn)
    told = {
        "server": f"PostgreSQL {found.server}" + (" (embedded)" if local else ""),
        "applied": found.applied,
        "pending": found.pending,
        "unknown": found.unknown,
    }
    show_one(told, as_json=json)
    return PENDING if found.pending else 0


@app.command
def rotate_keys(old_key_file: Path, *, json: Json = False) -> None:
    """Wrap every secret's key with the current key-encryption key. Secrets stay readable all the while.

    Parameters
    ----------
    old_key_file
        File with the key-encryption key used until now (base64). MAILFLEET_KEK or MAILFLEET_KEK_FILE is the new one.
    """
    settings = started()
    new = wiring.kek_of(settings)
    old = load_old(old_key_file)
    with wiring.database(settings) as (dsn, _):
        changed = asyncio.run(_rotate(dsn, Vault(new, former=(old,))))
    if json:
        emit({"key": new.id, "rotated": changed})
    else:
        say(f"{changed} secrets are on key {new.id} now. Keep the old key until every process has been restarted.")


def load_old(file: Path) -> Kek:
    """The key as it stands in a file. Raises BadFile when the file cannot be read."""
    try:
        return read_kek(file.read_text())
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}.", hint="Name the file with the old key.") from error


async def _rotate(dsn: str, vault: Vault) -> int:
    async with Database(dsn) as database, database.connection() as db:
        return await vault.rotate(db)
