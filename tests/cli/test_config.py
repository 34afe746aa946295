"""`mailfleet config`: what is set, where from, and the policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailfleet import cli
from mailfleet.settings import Settings


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_json_is_all_there_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "show", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {"SMARTLEAD_API_KEY", "DATABASE_URL", "MAILFLEET_CLOCK"} <= names


def test_piped_output_is_tab_separated_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMARTLEAD_API_KEY", "abcdefghijklmnop")
    assert cli.run(["config", "show"]) == 0
    lines = dict(line.split("\t")[:2] for line in capsys.readouterr().out.splitlines())
    assert lines["SMARTLEAD_API_KEY"] == "…mnop"


def test_explain_names_the_place_that_won(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SMARTLEAD_PLAN", "pro")
    assert cli.run(["config", "explain", "smartlead_plan", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0] == {"place": "environment", "value": "pro", "used": True}
    assert not any(row["used"] for row in told[1:])


def test_the_policy_is_shown_with_the_specified_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "policy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["send_limits"]["production"]["hard_limit"] == 80


def test_an_unknown_setting_is_a_configuration_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "explain", "NONSENSE"]) == 2
    assert "no setting NONSENSE" in capsys.readouterr().err
