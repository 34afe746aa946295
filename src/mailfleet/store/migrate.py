"""Apply supabase/migrations/*.sql, keeping the history table that `supabase db push` keeps.

Either tool may be used on a database, and each sees what the other did. What the Supabase platform provides and a
plain Postgres lacks (roles, the auth schema) is made first where the role `supabase_admin` is absent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from mailfleet.errors import ConfigError, DatabaseUnavailable, SchemaOutOfDate, StoreError
from mailfleet.store.database import told

OLDEST = 15
_TAKEN = (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject, psycopg.errors.DuplicateFunction)
_LOCK = "select pg_advisory_xact_lock(hashtext('supabase_migrations'))"
_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations
    (version text primary key, statements text[], name text);
"""
PLATFORM = """
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values ('anon', ''), ('authenticated', ''), ('service_role', 'bypassrls')) as t (name, more)
    loop
        begin
            execute format('create role %I nologin noinherit %s', wanted.name, wanted.more);
        exception when duplicate_object or unique_violation then null;  -- roles belong to the server, not the database
        end;
    end loop;
end $$;
create schema if not exists auth;
create schema if not exists extensions;
grant usage on schema auth, extensions, public to anon, authenticated, service_role;
create or replace function auth.jwt() returns jsonb language sql stable as
$$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;
create or replace function auth.uid() returns uuid language sql stable as
$$ select (auth.jwt() ->> 'sub')::uuid $$;
create or replace function auth.role() returns text language sql stable as
$$ select auth.jwt() ->> 'role' $$;
"""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the folder."""

    version: str
    name: str
    sql: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`unknown` are versions in the database that this copy of mailfleet has no file for: a newer one wrote them."""

    server: str
    applied: list[str]
    pending: list[str]
    unknown: list[str]


def folder() -> Path:
    """supabase/migrations of the checkout, else what the wheel shipped of it (links in store/migrations)."""
    checkout = Path(__file__).resolve().parents[3] / "supabase" / "migrations"
    return checkout if checkout.is_dir() else Path(__file__).parent / "migrations"


def migrations() -> list[Migration]:
    """In the order in which they apply."""
    found: list[Migration] = []
    for file in sorted(folder().glob("*.sql")):
        version, _, name = file.stem.partition("_")
        found.append(Migration(version=version, name=name, sql=file.read_text(encoding="utf-8")))
    if not found:
        raise SchemaOutOfDate(f"There are no migrations in {folder()}.", hint="Install mailfleet again.")
    return found


def migrate(dsn: str) -> list[str]:
    """Applies what is missing, each file in a transaction of its own; the names applied by this call.

    Racing callers are safe: one applies, the others wait and find it done. Works through a transaction pooler.
    Raises DatabaseUnavailable when the database cannot be reached or is older than Postgres 15.
    """
    with _connected(dsn) as db, _explained():
        with db.transaction():
            db.execute(_LOCK)
            _prepare(db)
        return [f"{each.version}_{each.name}" for each in migrations() if _apply(db, each)]


def status(dsn: str) -> Status:
    """What has been applied and what has not; changes nothing."""
    with _connected(dsn) as db, _explained():
        applied = _applied(db)
        server = _value(db, "select current_setting('server_version')")
    known = {each.version: f"{each.version}_{each.name}" for each in migrations()}
    return Status(
        server=str(server),
        applied=[name for version, name in known.items() if version in applied],
        pending=[name for version, name in known.items() if version not in applied],
        unknown=sorted(applied - set(known)),
    )


def require_current(dsn: str) -> None:
    """Raises SchemaOutOfDate when migrations are missing."""
    if pending := status(dsn).pending:
        raise SchemaOutOfDate(
            f"{len(pending)} migrations are missing, the first is {pending[0]}.", hint="Run `mailfleet db migrate`."
        )


def _connected(dsn: str) -> psycopg.Connection[Any]:
    _readable(dsn)
    try:
        db = psycopg.connect(dsn, autocommit=True, prepare_threshold=None, connect_timeout=15)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The database cannot be reached: {' '.join(str(error).split())}",
            hint="Is the server running, and are host, port, database, user and password in DATABASE_URL right?",
        ) from error
    if db.info.server_version < OLDEST * 10000:
        number = db.info.server_version // 10000
        db.close()
        raise DatabaseUnavailable(
            f"The database is PostgreSQL {number}; mailfleet needs {OLDEST} or newer.",
            hint="Upgrade it, or unset DATABASE_URL to use the embedded server.",
        )
    return db


@contextlib.contextmanager
def _explained() -> Generator[None]:
    try:
        yield
    except _TAKEN as error:
        raise StoreError(
            f"The schema cannot be applied: {' '.join(str(error).split())}.",
            hint="Something else has made objects of these names here. Use an empty database, or move them away; "
            "what this step began was taken back.",
        ) from error
    except psycopg.Error as error:
        if known := told(error):
            raise known from error
        raise


def _readable(dsn: str) -> None:
    """Raises ConfigError without a word of the text: a part of it is a password, and which one is not known."""
    try:
        host = str(conninfo_to_dict(dsn).get("host") or "")
    except psycopg.ProgrammingError:
        host = "@"
    if "@" in host:
        raise ConfigError(
            "DATABASE_URL cannot be read as the address of a Postgres database.",
            hint="It begins with postgresql://, then user, colon, password, @, host, port and database as in any URL; "
            "in the password, write @ as %40, / as %2F and % as %25.",
        )


def _prepare(db: psycopg.Connection[Any]) -> None:
    if not _value(db, "select 1 from pg_roles where rolname = 'supabase_admin'"):
        _run(db, PLATFORM)
    _run(db, _HISTORY)


def _apply(db: psycopg.Connection[Any], migration: Migration) -> bool:
    with db.transaction():
        db.execute(_LOCK)
        if migration.version in _applied(db):
            return False
        _run(db, migration.sql)
        db.execute(
            "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
            [migration.version, [migration.sql], migration.name],
        )
    return True


def _applied(db: psycopg.Connection[Any]) -> set[str]:
    if not _value(db, "select to_regclass('supabase_migrations.schema_migrations') is not null"):
        return set()
    versions: Sequence[tuple[str]] = db.execute("select version from supabase_migrations.schema_migrations").fetchall()
    return {version for (version,) in versions}


def _run(db: psycopg.Connection[Any], script: str) -> None:
    db.execute(script.encode())  # bytes: a file of ours, not a literal, and no placeholders in it


def _value(db: psycopg.Connection[Any], query: bytes | str) -> Any:
    found = db.execute(query.encode() if isinstance(query, str) else query).fetchone()
    return found[0] if found else None
