"""`mailfleet client`: clients and where their policy differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailfleet import cli
from mailfleet.settings import Settings


@pytest.fixture(autouse=True)
def settings(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("MAILFLEET_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert cli.run([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_clients_policy_is_shown_then_set_then_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "client", "add", "acme", "--name", "Acme", "--legal-name", "Acme Pty Ltd")
    Path("acme.toml").write_text("[graduation]\nminimum_heat_score = 90\n")
    change = [{"key": "graduation.minimum_heat_score", "was": 85.0, "now": 90.0}]
    assert told(capsys, "client", "set-policy", "acme", "acme.toml", code=3) == change
    assert told(capsys, "config", "policy", "--client", "acme")["graduation"]["minimum_heat_score"] == 85
    assert told(capsys, "client", "set-policy", "acme", "acme.toml", "--yes") == change
    assert told(capsys, "config", "policy", "--client", "acme")["graduation"]["minimum_heat_score"] == 90
    assert told(capsys, "config", "policy")["graduation"]["minimum_heat_score"] == 85
    assert told(capsys, "client", "list")[0]["changed"] == 1
    shown = told(capsys, "client", "show", "acme")
    assert shown["policy"] == {"graduation.minimum_heat_score": 90}
    assert shown["identity"] == {"legal_name": "Acme Pty Ltd"}


def test_adding_again_keeps_identity_and_policy(capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "client", "add", "acme", "--name", "Acme", "--legal-name", "Acme Pty Ltd")
    again = told(capsys, "client", "add", "acme", "--name", "Acme 2", "--reply-contact", "hello@acme.com")
    assert again["name"] == "Acme 2"
    assert again["identity"] == {"legal_name": "Acme Pty Ltd", "reply_contact": "hello@acme.com"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[graduation]\nminimum_heat_score = 900\n", "graduation.minimum_heat_score"),
        ("[graduatoin]\nx = 1\n", "graduatoin"),
        ("not toml", "is not TOML"),
    ],
)
def test_overrides_that_make_no_policy_are_refused(text: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "client", "add", "acme", "--name", "Acme")
    Path("bad.toml").write_text(text)
    assert cli.run(["client", "set-policy", "acme", "bad.toml", "--yes"]) == 2
    assert named in capsys.readouterr().err
    assert told(capsys, "client", "show", "acme")["policy"] == {}
