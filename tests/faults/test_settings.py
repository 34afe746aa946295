"""Settings, policies, folders, keys and ports that cannot be used."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.faults.conftest import PLANTED, Run

from mailfleet.errors import ConfigError
from mailfleet.process import listening


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SMARTLEAD_BASE_URL", "server.smartlead.ai", "https://"),
        ("PREFECT_API_URL", "localhost:4200", "https://"),
        ("MAILFLEET_CLOCK", "sundial", "file:PATH"),
        ("MAILFLEET_LOG_LEVEL", "loud", "'debug'"),
        ("RECEIVER_PORT", "many", "integer"),
        ("MAILFLEET_KEK", f"{PLANTED}!", "base64"),
        ("MAILBOX_SMTP", "mail", "host:port"),
        ("SLACK_CHANNELS", "#ops", "JSON"),
    ],
)
def test_a_setting_that_means_nothing_is_named(run: Run, dsn: str, name: str, value: str, told: str) -> None:
    ended = run("lead", "list", **{"DATABASE_URL": dsn, name: value})
    assert ended.code == 2
    assert ended.said.startswith("C10") and told in ended.said and "What to do:" in ended.said
    assert PLANTED not in ended.said


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("[bounce_thresholds]\nwarning = 0.08\n", "bands may not overlap"),
        ('[send_limits.warmup."day_8_14"]\nfrom_day = 6\n', "overlaps"),
        ("[graduation]\nminimum_warmup_days = 1\nminimum_emails_sent = 5000\n", "cannot be reached"),
        ("[send_limits]\nfoo = 1\n", "is not a key"),
        ('[graduation]\nminimum_heat_score = "x"\n', "expected `float`"),
        ("[auto_pause]\nbounce_rate = nan\n", "finite"),
        ("[send_limits\n", "not TOML"),
    ],
)
def test_a_policy_that_contradicts_itself_stops_every_command(run: Run, tmp_path: Path, policy: str, told: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(policy)
    for command in (("config", "policy"), ("lead", "list")):
        ended = run(*command, MAILFLEET_POLICY=str(file))
        assert (ended.code, ended.said[:4]) == (2, "C102")
        assert told in ended.said and str(file) in ended.said


@pytest.mark.parametrize("command", [("up",), ("demo",), ("lead", "list"), ("db", "migrate"), ("receiver",)])
def test_a_data_folder_that_cannot_be_one(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ended = run(*command, MAILFLEET_HOME=str(file / "home"), MAILFLEET_KEK="", DATABASE_URL="")
    assert ended.code in (1, 2)
    assert ended.said[:4] in ("C100", "S201") and str(file) in ended.said and "What to do:" in ended.said
    assert list(tmp_path.iterdir()) == [file]


def test_a_key_file_of_raw_bytes_is_told(run: Run, tmp_path: Path, dsn: str) -> None:
    file = tmp_path / "kek"
    file.write_bytes(bytes(range(200, 232)))
    file.chmod(0o600)
    ended = run("lead", "list", MAILFLEET_KEK="", MAILFLEET_KEK_FILE=str(file), DATABASE_URL=dsn)
    assert (ended.code, ended.said[:4]) == (2, "C100")
    assert "base64" in ended.said


def test_a_port_in_use_is_told_by_the_sandbox_and_the_receiver(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("sandbox", "serve", "--port", str(port))
        assert (ended.code, ended.said[:4]) == (2, "C100")
        assert f"Port {port}" in ended.said and "or 0" in ended.said
        with pytest.raises(ConfigError, match="already in use"):
            listening("127.0.0.1", port, setting="RECEIVER")


@pytest.mark.parametrize("more", [("--port", "99999"), ("--start", "yesterday"), ("--rate-limit", "0")])
def test_a_sandbox_that_cannot_be_meant(run: Run, more: tuple[str, ...]) -> None:
    ended = run("sandbox", "serve", *more)
    assert (ended.code, ended.said[:4]) == (2, "C100")


def test_a_port_that_is_no_port() -> None:
    with pytest.raises(ConfigError, match="0-65535"):
        listening("127.0.0.1", 99999, setting="RECEIVER")
