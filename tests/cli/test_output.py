"""What people see: texts of others are shown as they are."""

from __future__ import annotations

import pytest

from mailfleet.cli import output

ODD = ("[/x] and Sons", "[bold]Ltd", "a [1] b", "\\[red]")


@pytest.mark.parametrize("name", ODD)
def test_brackets_in_a_name_are_shown_and_break_nothing(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.show([{"name": name}], title=name)
    output.show_one({"name": name})
    output.say(f"{name} is away")
    shown = capsys.readouterr()
    assert shown.out.count(name) == 3
    assert f"{name} is away" in shown.err
