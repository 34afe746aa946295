"""The doctor where nothing is set up, and where everything is wrong: it tells all it finds and never falls over."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from tests.faults.conftest import PLANTED, Ended, Run

from mailfleet.store.embedded import LocalPostgres


def _found(ended: Ended) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in json.loads(ended.said[ended.said.index("[\n") :])}


def test_everything_wrong_is_told_at_once(run: Run) -> None:
    ended = run(
        "doctor", "--json", DATABASE_URL=f"postgresql://app:{PLANTED}@127.0.0.1:1/x", MAILFLEET_POLICY="/nowhere.toml",
        PREFECT_API_URL="http://127.0.0.1:1/api",
    )  # fmt: skip
    found = _found(ended)
    assert ended.code == 1
    assert {found[name]["verdict"] for name in ("policy", "database", "Prefect")} == {"failed"}
    assert all(row["fix"] for row in found.values() if row["verdict"] == "failed")
    assert PLANTED not in ended.said


def test_a_setting_that_cannot_be_read_is_the_finding(run: Run) -> None:
    ended = run("doctor", "--json", RECEIVER_PORT="many")
    assert ended.code == 1
    assert _found(ended)["settings"]["code"] == "C100"


def test_a_clock_that_is_not_there_hides_no_other_check(run: Run, dsn: str) -> None:
    ended = run("doctor", "--json", "--offline", DATABASE_URL=dsn, MAILFLEET_CLOCK="file:/nowhere")
    found = _found(ended)
    assert found["clock"]["verdict"] == "failed" and "MAILFLEET_CLOCK" in found["clock"]["fix"]
    assert found["database"]["verdict"] == "ok"


def test_a_check_that_breaks_is_a_finding(run: Run, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("alter table mailfleet.webhook_inbox rename column state to estado")
    found = _found(run("doctor", "--json", "--offline", DATABASE_URL=dsn))
    assert found["workers"]["verdict"] == "failed" and "UndefinedColumn" in found["workers"]["found"]
    assert found["clock"]["verdict"] == "ok"


def test_what_needs_the_schema_is_said_to_be_left_out(run: Run, postgres: LocalPostgres, dsn: str) -> None:
    empty = postgres.ensure_database(f"{conninfo_to_dict(dsn)['dbname']}_bare")
    found = _found(run("doctor", "--json", DATABASE_URL=empty))
    assert found["database"]["verdict"] == "failed" and "migrate" in found["database"]["fix"]
    assert found["vendors"]["verdict"] == "attention"
