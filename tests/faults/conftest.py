"""The command line as a person has it: settings from the environment, what it prints, how it ends."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from mailfleet import cli

PLANTED = "planted-9f8e7d6c5b4a"


class Ended(NamedTuple):
    """How a command ended: its exit code and all that it said."""

    code: int
    said: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("lead", "list", DATABASE_URL=…)`: one command with these settings and no others."""
    for name in os.environ:
        if name.startswith(("MAILFLEET_", "SMARTLEAD_", "CLOUDFLARE_", "RECEIVER_")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    base = {
        "MAILFLEET_HOME": str(tmp_path / "home"),
        "MAILFLEET_KEK": base64.b64encode(bytes(32)).decode(),
        "DATABASE_URL": "postgresql://app@127.0.0.1:1/none",
        "COLUMNS": "400",
    }

    def command(*argv: str, **settings: str) -> Ended:
        given: Mapping[str, str] = {**base, **settings}
        with monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            code = cli.run(argv)
        out = capfd.readouterr()
        return Ended(code, out.out + out.err)

    return command
