"""`mailfleet demo` as a user calls it, small: every part a process, every run at Prefect, only JSON on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.contract.specification import FLOWS, FlowSpec


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "MAILFLEET_HOME": str(home)}
    argv = [sys.executable, "-m", "mailfleet.cli", "demo", "--small", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=home, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    left = [each.name() for each in psutil.Process().children(recursive=True) if str(home) in " ".join(each.cmdline())]
    return {**json.loads(done.stdout), "left": left}


def test_every_check_holds(told: dict[str, Any]) -> None:
    assert {check["name"]: check["detail"] for check in told["checks"] if not check["ok"]} == {}
    assert len(told["checks"]) == 10


def test_no_process_is_left(told: dict[str, Any]) -> None:
    assert told["left"] == []


def test_refused_rows_are_named(told: dict[str, Any]) -> None:
    rules = told["import"]["refused_by_rule"]
    assert sum(part["rows"] for part in rules.values()) == told["import"]["refused"] > 0
    assert all(part["row_numbers"] for part in rules.values())


@pytest.mark.parametrize("spec", FLOWS, ids=lambda spec: spec.name)
def test_a_real_run_returns_the_specified_keys_and_types(told: dict[str, Any], spec: FlowSpec) -> None:
    results = told["flows"][spec.name]["results"]
    named = {key: kind for key, kind in spec.returns.items() if key in results[0]}
    assert set(spec.returns) - set(named) <= {"campaign_id", "sequence_id"}  # ids differ from run to run
    assert all(isinstance(result[key], kind) for result in results for key, kind in named.items())


def test_the_answer_holds_nothing_that_differs_between_two_runs(told: dict[str, Any]) -> None:
    text = json.dumps({key: value for key, value in told.items() if key not in ("seconds", "left")})
    assert "127.0.0.1" not in text
    assert not any(len(word) == 36 and word.count("-") == 4 for word in text.replace('"', " ").split())
