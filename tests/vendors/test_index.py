"""The index of each vendor, the code that cites it and the exchanges written from the documents agree, both ways."""

from __future__ import annotations

import ast
import csv
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "src" / "mailfleet"
NAMES = tuple(sorted(path.parent.name for path in (PACKAGE / "vendors").glob("*/index.tsv")))
COLUMNS = ("row", "method", "path", "support", "confidence", "documented", "note")
OWN_PATHS = ("namecheap", "slack")
"""One path for all commands, and a path that is a secret."""


def index(vendor: str) -> list[dict[str, str]]:
    with (PACKAGE / "vendors" / vendor / "index.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def exchanges(vendor: str) -> set[str]:
    path = PACKAGE / "vendors" / vendor / "exchanges.toml"
    found = tomllib.loads(path.read_text())
    assert all(each["source"] for each in found.values())
    return set(found)


def operations(vendor: str) -> Iterator[tuple[str, str, str, str]]:
    """(cited row, name, method, path) of every operation in the vendor's code; the row stands beside it."""
    for path in (PACKAGE / "vendors" / vendor).glob("*.py"):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Operation":
                given = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg != "reconcile"}
                cited = re.search(rf"# {vendor}:(\S+)", "\n".join(lines[node.lineno - 1 : node.end_lineno]))
                assert cited, f"{path.name}:{node.lineno} cites no row"
                yield cited[1], str(given["name"]), str(given["method"]), str(given["path"])


@pytest.mark.parametrize("vendor", NAMES)
def test_every_row_is_complete_and_there_once(vendor: str) -> None:
    rows = index(vendor)
    names = [row["row"] for row in rows]
    assert len(names) == len(set(names))
    for row in rows:
        assert tuple(row) == COLUMNS
        assert row["support"] in ("Yes", "Partial", "No") and row["confidence"] in ("H", "M", "L"), row
        assert row["documented"], row
        assert row["note"] or row["support"] == "Yes", f"{row['row']} says not why it is {row['support']}"


@pytest.mark.parametrize("vendor", NAMES)
def test_every_citation_has_a_row(vendor: str) -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if "sandbox" not in path.parts)
    cited = set(re.findall(rf"\b{vendor}:([a-zA-Z0-9_][a-zA-Z0-9_./-]*[a-zA-Z0-9_])", source))
    assert cited - {row["row"] for row in index(vendor)} == set()


@pytest.mark.parametrize("vendor", NAMES)
def test_every_operation_is_what_its_row_says_and_every_supported_row_has_one(vendor: str) -> None:
    rows = {row["row"]: row for row in index(vendor)}
    made = list(operations(vendor))
    for row, _, method, path in made:
        assert rows[row]["support"] != "No", row
        assert method == rows[row]["method"], row
        assert vendor in OWN_PATHS or path == rows[row]["path"], row
    supported = {name for name, row in rows.items() if row["support"] != "No" and row["method"] != "-"}
    assert {row for row, *_ in made} == supported


@pytest.mark.parametrize("vendor", NAMES)
def test_every_yes_row_has_an_exchange_from_the_documents(vendor: str) -> None:
    yes = {row["row"] for row in index(vendor) if row["support"] == "Yes" and row["method"] != "-"}
    assert yes == exchanges(vendor)


@pytest.mark.parametrize("vendor", NAMES)
def test_quirks_are_dated(vendor: str) -> None:
    rows = [
        line for line in (PACKAGE / "vendors" / vendor / "quirks.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| date")
    ]  # fmt: skip
    assert rows and all(re.match(r"\| \d{4}-\d{2}(-\d{2})? \|", row) for row in rows)
