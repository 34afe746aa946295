"""A database that is away, somebody else's, read-only or not ours to use; and its password, which is never shown."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.faults.conftest import PLANTED, Run

from mailfleet.errors import StoreError
from mailfleet.store.embedded import LocalPostgres
from mailfleet.store.migrate import migrate


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        (f"postgresql://app:{PLANTED}@127.0.0.1:1/x", "S201", "Connection refused"),
        (f"postgresql://app:{PLANTED}@nowhere.invalid/x", "S201", "nowhere.invalid"),
        (f"postgresql://app:p@{PLANTED}@127.0.0.1:1/x", "C100", "%40"),
        (f"postgresql://app:%zz{PLANTED}@127.0.0.1:1/x", "C100", "cannot be read"),
        (f"mysql://app:{PLANTED}@127.0.0.1/x", "C100", "cannot be read"),
        (f"rubbish {PLANTED}", "C100", "cannot be read"),
        (f"host=127.0.0.1 port=1 user=u password={PLANTED}", "S201", "Connection refused"),
    ],
)
@pytest.mark.parametrize("command", [("lead", "list"), ("db", "migrate"), ("lead", "list", "--debug")])
def test_an_address_that_leads_nowhere(run: Run, url: str, code: str, told: str, command: tuple[str, ...]) -> None:
    ended = run(*command, DATABASE_URL=url)
    assert ended.code == {"S201": 1, "C100": 2}[code]
    assert ended.said.startswith(code) and told in ended.said and "What to do:" in ended.said
    assert PLANTED not in ended.said


def test_missing_migrations_are_told_and_nothing_is_made(run: Run, postgres: LocalPostgres, dsn: str) -> None:
    name = conninfo_to_dict(dsn)["dbname"]
    empty = postgres.ensure_database(f"{name}_empty")
    try:
        ended = run("lead", "list", DATABASE_URL=empty)
        assert (ended.code, ended.said[:4]) == (1, "S202")
        assert "mailfleet db migrate" in ended.said
        with psycopg.connect(empty) as db:
            assert db.execute("select 1 from pg_namespace where nspname = 'mailfleet'").fetchone() is None
            db.execute("create schema mailfleet")
            db.execute("create table mailfleet.clients (x int)")
        with pytest.raises(StoreError, match="already exists"):
            migrate(empty)
        with psycopg.connect(empty) as db:
            made = db.execute("select count(*) from pg_class c where relnamespace = 'mailfleet'::regnamespace")
            assert made.fetchone() == (1,)
    finally:
        with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
            db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(f"{name}_empty")))


def test_a_role_without_rights_is_told_what_it_needs(run: Run, dsn: str) -> None:
    name = f"weak_{conninfo_to_dict(dsn)['dbname']}"
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        try:
            ended = run("db", "status", DATABASE_URL=make_conninfo(dsn, user=name))
            assert (ended.code, ended.said[:4]) == (1, "S200")
            assert "permission denied" in ended.said and "owner" in ended.said
        finally:
            db.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_a_database_that_takes_no_changes(run: Run, dsn: str) -> None:
    replica = make_conninfo(dsn, options="-c default_transaction_read_only=on")
    ended = run("domain", "add", "a-mfdemo.com", "--client", "c", "--new-client", "C", DATABASE_URL=replica)
    assert (ended.code, ended.said[:4]) == (1, "S201")
    assert "read-only" in ended.said
