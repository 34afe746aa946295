"""The schema on every Postgres we promise, through a pooler, and with Supabase's roles."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from mailfleet.errors import DatabaseUnavailable, SchemaOutOfDate
from mailfleet.process import free_port
from mailfleet.store import migrate, outbox
from mailfleet.store.budget import PostgresBudget
from mailfleet.store.database import Database, execute
from mailfleet.store.embedded import LocalPostgres

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_15 = "/usr/lib/postgresql/15/bin"
SMALL = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
def empty(postgres: LocalPostgres) -> Iterator[str]:
    """A database without a schema."""
    name = f"e_{uuid.uuid4().hex}"
    yield postgres.ensure_database(name)
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"drop database {name} with (force)")


def test_runners_racing_apply_each_file_once(empty: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = [name for each in threads.map(lambda _: migrate.migrate(empty), range(4)) for name in each]
    assert sorted(applied) == [f"{each.version}_{each.name}" for each in migrate.migrations()]
    assert migrate.status(empty).pending == []


def test_status_tells_what_is_missing_and_what_is_unknown(empty: str) -> None:
    everything = [f"{each.version}_{each.name}" for each in migrate.migrations()]
    assert migrate.status(empty).pending == everything
    with pytest.raises(SchemaOutOfDate, match="mailfleet db migrate"):
        migrate.require_current(empty)
    migrate.migrate(empty)
    migrate.require_current(empty)
    with psycopg.connect(empty) as db:
        db.execute("insert into supabase_migrations.schema_migrations (version) values ('99990101000000')")
    found = migrate.status(empty)
    assert (found.applied, found.pending, found.unknown) == (everything, [], ["99990101000000"])


def test_the_history_is_what_supabase_keeps(empty: str) -> None:
    migrate.migrate(empty)
    with psycopg.connect(empty) as db:
        kept = db.execute(
            "select version, name, statements[1] from supabase_migrations.schema_migrations order by version"
        ).fetchall()
    assert kept == [(each.version, each.name, each.sql) for each in migrate.migrations()]


def test_a_failing_file_leaves_nothing_of_itself(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = migrate.Migration(version="99990101000000", name="bad", sql="create table public.half (); select 1/0;")
    monkeypatch.setattr(migrate, "migrations", lambda: [bad])
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.migrate(empty)
    with psycopg.connect(empty) as db:
        assert db.execute("select to_regclass('public.half')").fetchone() == (None,)


def test_a_database_that_is_down_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as told:
        migrate.status(f"postgresql://me:hunter2@127.0.0.1:{free_port()}/x")
    assert "hunter2" not in str(told.value)


def test_every_migration_is_shipped_in_the_package() -> None:
    truth = {each.name: each.read_text() for each in (ROOT / "supabase" / "migrations").glob("*.sql")}
    links = {each.name: each.read_text() for each in (ROOT / "src/mailfleet/store/migrations").glob("*.sql")}
    assert links == truth, "ln -s ../../../../supabase/migrations/NAME src/mailfleet/store/migrations/NAME"


@pytest.mark.debian("postgresql-15")
def test_the_schema_and_the_server_run_on_debians_15(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path / "pg", SMALL, bin=DEBIAN_15, throwaway=True).running() as server:
        assert migrate.migrate(server.dsn())
        assert migrate.status(server.dsn()).server.startswith("15.")
        asyncio.run(works(server.dsn()))
        members_read_their_own_rows_only(server.dsn())


async def works(dsn: str) -> None:
    """A bit of everything that needs more than plain statements: functions, locks, batches."""
    async with Database(dsn) as database:
        budget = PostgresBudget(database)
        taken = [await budget.take("v", "k", [(2, 3600.0)], reserved=0, urgent=False) for _ in range(3)]
        assert [wait > 0 for wait in taken] == [False, False, True]
        async with database.connection() as db:
            await execute(db, "select mailfleet.events_keep(now(), 3, 6)")
            [(now,)] = await (await db.execute("select now()")).fetchall()
            assert await outbox.put(db, "t", {}, now=now, dedupe_key="k")
            assert not await outbox.put(db, "t", {}, now=now, dedupe_key="k")
        async with outbox.taken(database, now=now) as command:
            assert command is not None
        async with database.single_flight("x") as mine, database.single_flight("x") as theirs:
            assert (mine, theirs) == (True, False)


@pytest.fixture
def pooled(dsn: str, tmp_path: Path) -> Iterator[str]:
    """The database through pgbouncer in transaction mode, without named statements, with fewer servers than clients."""
    direct, port = conninfo_to_dict(dsn), free_port()
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    (folder / "ini").write_text(f"""
[databases]
* = host={direct["host"]} port={direct["port"]} user=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 50
ignore_startup_parameters = extra_float_digits
""")
    # It refuses to be root; the account of the embedded server may enter that server's socket folder.
    other = ["-u", pwd.getpwuid(Path(str(direct["host"])).stat().st_uid).pw_name] if os.geteuid() == 0 else []
    argv = ["/usr/sbin/pgbouncer", *other, str(folder / "ini")]
    pooler = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        assert pooler.stderr is not None
        while "process up" not in (line := pooler.stderr.readline()):
            assert line, "pgbouncer did not start"
        yield f"host=127.0.0.1 port={port} user=app dbname={direct['dbname']}"
    finally:
        pooler.kill()
        pooler.communicate()


@pytest.mark.anyio
@pytest.mark.debian("pgbouncer")
async def test_everything_works_through_a_transaction_pooler(pooled: str) -> None:
    assert migrate.status(pooled).pending == []
    assert migrate.migrate(pooled) == []
    await asyncio.gather(*(works_pooled(pooled, number) for number in range(6)))


async def works_pooled(dsn: str, number: int) -> None:
    async with Database(dsn, max_size=4) as database:
        for turn in range(5):
            async with database.single_flight(f"{number}") as mine:
                assert mine
            async with database.transaction() as db:
                [(now,)] = await (await db.execute("select now()")).fetchall()
                await outbox.put(db, f"t{number}", {"turn": turn}, now=now)
            # A topic of its own: of a common one, another may take the command between our look and our lock.
            async with outbox.taken(database, now=now + timedelta(hours=1), topics=[f"t{number}"]) as command:
                assert command is not None and command.payload == {"turn": turn}


CLIENTS = """
insert into mailfleet.clients (id, slug, name) values (%(a)s, 'a', 'A'), (%(b)s, 'b', 'B');
insert into mailfleet.client_members (client_id, user_id) values (%(a)s, %(user)s);
insert into mailfleet.leads (client_id, email, email_norm, domain, created_at, updated_at)
values (%(a)s, 'x@a.com', 'x@a.com', 'a.com', now(), now()), (%(b)s, 'y@b.com', 'y@b.com', 'b.com', now(), now());
insert into mailfleet.secrets (purpose, key_id, wrapped_key, ciphertext) values ('p', 'k', '', '');
"""


def members_read_their_own_rows_only(dsn: str) -> None:
    given = {"a": uuid.uuid4(), "b": uuid.uuid4(), "user": uuid.uuid4()}
    with psycopg.connect(dsn) as db:
        for statement in CLIENTS.strip().split(";")[:-1]:
            db.execute(statement, given)  # type: ignore[call-overload] - a constant, split
    with psycopg.connect(dsn) as db:
        db.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": str(given["user"])})])
        db.execute("set local role authenticated")
        assert db.execute("select auth.uid()").fetchone() == (given["user"],)
        assert db.execute("select slug from mailfleet.clients").fetchall() == [("a",)]
        assert db.execute("select email_norm from mailfleet.leads").fetchall() == [("x@a.com",)]
        refused(db, "select * from mailfleet.secrets")
        refused(db, "update mailfleet.leads set email = 'z'")
    with psycopg.connect(dsn) as db:
        db.execute("set local role authenticated")
        assert db.execute("select count(*) from mailfleet.leads").fetchone() == (0,)
    with psycopg.connect(dsn) as db:
        db.execute("set local role anon")
        refused(db, "select * from mailfleet.leads")
        refused(db, "select * from mailfleet.clients")
    with psycopg.connect(dsn) as db:
        db.execute("set local role service_role")
        assert db.execute("select count(*) from mailfleet.leads").fetchone() == (2,)


def refused(db: psycopg.Connection, query: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
        db.execute(query)  # type: ignore[call-overload] - written out by the callers above


def test_members_read_their_own_rows_only_and_strangers_nothing(dsn: str) -> None:
    members_read_their_own_rows_only(dsn)


def test_every_table_has_row_level_security_and_no_grant_to_strangers(dsn: str) -> None:
    with psycopg.connect(dsn) as db:
        assert db.execute(
            """select relname from pg_class join pg_namespace n on n.oid = relnamespace
               where nspname = 'mailfleet' and relkind in ('r', 'p') and not relrowsecurity"""
        ).fetchall() == []  # fmt: skip
        assert db.execute(
            """select table_name from information_schema.role_table_grants
               where table_schema = 'mailfleet' and grantee = 'anon'"""
        ).fetchall() == []  # fmt: skip


def test_on_supabase_itself_the_platform_is_left_alone(tmp_path: Path) -> None:
    """A server of its own: the role that tells Supabase belongs to the whole server."""
    with LocalPostgres(tmp_path / "pg", SMALL, throwaway=True).running() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as db:
            db.execute("create role supabase_admin superuser login")
            for name in ("anon", "authenticated", "service_role"):
                db.execute(f"create role {name}")  # type: ignore[call-overload] - names from the line above
            db.execute("create schema auth")
            db.execute("create function auth.uid() returns uuid language sql as 'select null::uuid'")
        migrate.migrate(server.dsn())
        with psycopg.connect(server.dsn()) as db:
            assert db.execute("select to_regprocedure('auth.jwt()')").fetchone() == (None,)
