"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.generate import REFERENCE, ROOT, pages

from mailfleet import cli, errors

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", ["settings.md", "command-line.md", "errors.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text() == pages()[name], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_named_in_the_pages_exist(page: Path) -> None:
    named = set(re.findall(r"`mailfleet ([a-z]+)", page.read_text()))
    assert named <= {name for name, _, _ in cli.COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_named_in_the_pages_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= targets


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.MailfleetError)
    ]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))


def test_decisions_name_a_guard_that_exists() -> None:
    text = (ROOT / "docs/decisions.md").read_text()
    guards = re.findall(r"\*\*Guard\*\*: `([^`]+)`", text)
    assert guards
    missing = [guard for guard in guards if not _exists(guard)]
    assert missing == []


def _exists(guard: str) -> bool:
    path, _, name = guard.partition("::")
    file = ROOT / path
    return file.exists() and (not name or f"def {name}(" in file.read_text())
