"""The entry: what help costs, what a failure says, which code it ends with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailfleet import cli
from mailfleet.errors import BadFile, MailfleetError, NotAllowed, Unauthorized

HEAVY = ("prefect", "fastapi", "httpx2", "psycopg", "pydantic_settings", "cyclopts", "rich", "mailfleet.settings")


def imported_by(*argv: str) -> set[str]:
    code = f"import sys\nfrom mailfleet import cli\ncli.run({list(argv)!r})\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    assert imported_by("--help").isdisjoint(HEAVY)


def test_a_wrong_command_imports_no_command() -> None:
    modules = imported_by("doctr")
    assert not {name for name in modules if name.startswith("mailfleet.cli.")}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name, _, _ in cli.COMMANDS)


@pytest.mark.parametrize(("name", "target"), [(name, target) for name, target, _ in cli.COMMANDS])
def test_every_command_exists_and_explains_itself(name: str, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0, target
    assert "Usage" in capsys.readouterr().out


def test_a_wrong_command_is_a_usage_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctr"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "mailfleet doctor" in told.err


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "show", "--colour"]) == 2
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadFile("The file is odd.", hint="Mend it."), 2),
        (Unauthorized("The key is refused.", vendor="smartlead", operation="x", hint="Check it."), 4),
        (NotAllowed("Not now.", reasons=("too early",), hint="Wait."), 5),
        (MailfleetError("It failed.", hint="Look."), 1),
        (RuntimeError("surprise"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_ends_with_its_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> object:
        def fail(*_: object, **__: object) -> None:
            raise error

        return fail

    monkeypatch.setattr(cli, "parser", broken)
    assert cli.run(["config", "show"]) == code
    told = capsys.readouterr()
    assert told.out == ""
    if isinstance(error, MailfleetError):
        assert all(part in told.err for part in (error.code, error.what, f"What to do: {error.hint}"))


def test_the_trace_is_shown_on_request_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> object:
        def fail(*_: object, **__: object) -> None:
            raise MailfleetError("GET http://x.test/?api_key=s3cr3tv4lu3 failed.")

        return fail

    monkeypatch.setattr(cli, "parser", broken)
    assert cli.run(["config", "show", "--debug"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "s3cr3tv4lu3" not in told


@pytest.mark.parametrize("words", [("--timeout",), ("--timeout", "soon"), ("--timeout=-1",)])
def test_a_timeout_that_is_no_time_is_told(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILFLEET_HOME", str(tmp_path))
    monkeypatch.setenv("MAILFLEET_CALL_TIMEOUT", "5")  # put back after the test
    assert cli.run(["config", "show", *words]) == 2
    assert "imeout" in capsys.readouterr().err
