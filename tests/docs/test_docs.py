"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.generate import REFERENCE, ROOT, pages

from mailfleet import cli, errors
from mailfleet.policy.model import default_policy
from mailfleet.rules.errors_matrix import MEANINGS

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


def test_the_table_of_outcomes_is_the_policys() -> None:
    """What an answer brings about, as `docs/vendors.md` tells it, row by row and code by code."""
    table = re.search(r"<!-- outcomes -->(.*)<!-- /outcomes -->", (ROOT / "docs/vendors.md").read_text(), re.S)
    assert table
    told = re.findall(r"^\| `?([A-Z0-9_]+)`? \| `(\w+)` \| (yes|no) \| (.+) \|$", table[1], re.M)
    errors_ = default_policy().errors
    assert [(key, action, repeated == "yes") for key, action, repeated, _ in told] == [
        (key, row.action, row.retry) for key, row in errors_.items()
    ]
    found = {key: set(re.findall(r"`(\w+)`", cell)) for key, _, _, cell in told if not key.isdigit()}
    assert found == {key: {each.field for each in MEANINGS if each.code == key} for key in found}
