"""Campaign files, lists and words that mean nothing: told whole, with a code, before anything is done."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from tests.faults.conftest import Run

EXAMPLE = (Path(__file__).parents[2] / "examples" / "campaign.toml").read_text()


def _changed(pattern: str, new: str) -> str:
    return re.sub(pattern, new, EXAMPLE, count=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("surprise = 1\n" + EXAMPLE, "surprise: unknown key"),
        (_changed(r"\[schedule\]", "[schedule]\nfoo = 1"), "schedule.foo: unknown key"),
        (_changed("step = 2", "step = 5"), "has to be 2"),
        (_changed('timezone = ".*"', 'timezone = "Mars/Olympus"'), "not a time zone"),
        (_changed("start_hour = .*", "start_hour = 18"), "opens at 18 and closes at 17"),
        (_changed("\ndays = .*", "\ndays = []"), "names no day"),
        (_changed('subject = "', 'subject = "Re: '), "begins like an answer"),
        (EXAMPLE + "\n[[", "cannot be read"),
        ("", "sequence: has no step"),
    ],
)
def test_a_campaign_file_is_refused_whole(run: Run, tmp_path: Path, dsn: str, text: str, told: str) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(text)
    for more in ((), ("--yes",)):
        ended = run("campaign", "create", str(file), *more, DATABASE_URL=dsn)
        assert (ended.code, ended.said[:4]) == (2, "C103")
        assert told in ended.said and "What to do:" in ended.said
    with psycopg.connect(dsn) as db:
        assert db.execute("select count(*) from mailfleet.campaigns").fetchone() == (0,)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("led",), "Did you mean `mailfleet lead`"),
        (("lead", "lsit"), 'Did you mean "list"'),
        (("lead", "list", "--bogus"), "--bogus"),
        (("lead", "list", "--limit", "-1"), ">= 1"),
        (("lead", "list", "--status", "rubbish"), "in_sequence"),
        (("lead", "tasks", "--done", "xyz"), "UUID"),
        (("lead", "show", "nobody"), "@-sign"),
        (("lead", "suppress", "rubbish"), "@-sign"),
        (("lead", "suppress", "com.au", "--scope", "domain"), "registered"),
        (("lead", "suppress", "Jo Lee", "--scope", "person"), "First Last|domain"),
        (("suppression", "save", "/nowhere/list.csv"), "cannot be written"),
        (("event", "complaint", "rubbish"), "@-sign"),
        (("event", "list", "--kind", "rubbish"), "complained"),
        (("event", "list", "--received", "rubbish"), "ignored"),
        (("mailbox", "list", "--state", "rubbish"), "WARMING"),
        (("domain", "add", "a-mfdemo.com", "--new-client", "A"), "--client"),
        (("domain", "add", "no domain", "--client", "a", "--new-client", "A"), "not a domain name"),
        (("domain", "add", "a-mfdemo.com", "--client", "a", "--new-client", "A", "--timezone", "Mars/X"), "time zone"),
        (("domain", "add", "a-mfdemo.com", "--client", "a", "--new-client", "A", "--country", "ZZZ"), "country"),
        (("domain", "add", "a-mfdemo.com", "--client", "A B", "--new-client", "A"), "slug"),
    ],
)
def test_what_means_nothing_is_a_usage_error_and_leaves_nothing(
    run: Run, dsn: str, command: tuple[str, ...], told: str
) -> None:
    ended = run(*command, DATABASE_URL=dsn)
    assert ended.code == 2
    assert told in ended.said and "What to do:" in ended.said and "E999" not in ended.said
    with psycopg.connect(dsn) as db:
        for table in ("clients", "suppressions", "events"):
            assert db.execute(f"select count(*) from mailfleet.{table}").fetchone() == (0,)  # type: ignore[arg-type]


def test_refusals_that_cannot_be_written_are_told_before_a_lead_is_taken(run: Run, tmp_path: Path, dsn: str) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("email,country,source\nbo@firm-mfdemo.com,US,fair\n")
    run("domain", "add", "a-mfdemo.com", "--client", "a", "--new-client", "A", DATABASE_URL=dsn)
    ended = run("lead", "import", str(file), "--refusals", "/nowhere/refused.csv", DATABASE_URL=dsn)
    assert (ended.code, ended.said[:4]) == (2, "C103")
    with psycopg.connect(dsn) as db:
        assert db.execute("select count(*) from mailfleet.leads").fetchone() == (0,)
