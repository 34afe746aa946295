"""The example files are what their script writes, and hold what their descriptions say."""

import csv
import importlib.util
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_leads", EXAMPLES / "make_leads.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (EXAMPLES / "leads.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def faults() -> dict[int, str]:
    """Row number to fault."""
    listed: dict[str, Any] = json.loads((EXAMPLES / "leads.faults.json").read_text())["faults"]
    return {row: name for name, entry in listed.items() for row in entry["rows"]}


def test_the_files_are_what_the_script_writes(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0


def test_the_list_is_saved_as_a_spreadsheet_program_does(rows: list[dict[str, str]]) -> None:
    raw = (EXAMPLES / "leads.csv").read_bytes()

    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == raw.count(b"\n") == 1001
    assert len(rows) == 1000
    assert any("," in row["Company"] for row in rows)
    assert {"José", "Zoë", "Łukasz"} <= {row["First Name"] for row in rows}


def test_only_the_duplicates_repeat_an_address(rows: list[dict[str, str]], faults: dict[int, str]) -> None:
    seen: dict[str, int] = {}
    repeated: list[int] = []
    for number, row in enumerate(rows, 2):
        key = "".join(row["Email Address"].split()).lower()
        if key in seen:
            repeated.append(number)
        seen.setdefault(key, number)

    assert repeated == [number for number, fault in sorted(faults.items()) if fault == "duplicate"]


def test_every_fault_is_where_it_is_said_to_be(rows: list[dict[str, str]], faults: dict[int, str]) -> None:
    with (EXAMPLES / "suppressions.csv").open(encoding="utf-8-sig", newline="") as file:
        suppressed = {row["Value"] for row in csv.DictReader(file)}
    good = re.compile(r"[a-z]+([.][a-z0-9]+)*@[a-z0-9-]+(\.[a-z]+)+")

    def found(row: dict[str, str]) -> str:
        address = row["Email Address"].strip().lower()
        local, _, domain = address.partition("@")
        if any(value.startswith(("=", "@")) for value in row.values()):
            return "formula"
        if not good.fullmatch(address):
            return "bad_address"
        if address in suppressed or domain in suppressed:
            return "suppressed_address" if address in suppressed else "suppressed_domain"
        if not row["First Name"]:
            return "role_address"
        if not row["Source"]:
            return "missing_source"
        if not all(row[name] for name in ("Legal Basis", "Evidence URL", "Captured At", "Relevance")):
            return "missing_legal_basis"
        if row["No Marketing Statement"] != "no":
            return "no_marketing_statement"
        return "free_mail" if local.startswith("invented.") else ""

    told = {"duplicate": "", "same_company": ""}
    wrong = [
        (number, found(row), faults.get(number, ""))
        for number, row in enumerate(rows, 2)
        if found(row) != told.get(faults.get(number, ""), faults.get(number, ""))
    ]
    assert wrong == []


def test_companies_come_once_but_for_those_said_to_come_twice(
    rows: list[dict[str, str]], faults: dict[int, str]
) -> None:
    counted = Counter(row["Website"] for number, row in enumerate(rows, 2) if faults.get(number) != "duplicate")
    twice = {site for site, count in counted.items() if count > 1}
    said = {
        rows[number - 2]["Website"]
        for number, fault in faults.items()
        if fault in ("same_company", "suppressed_domain")
    }

    assert twice == said
    assert all(site.split("//www.")[1].split(".")[0].endswith("-zqx") for site in counted)


def test_the_readme_names_every_count(faults: dict[int, str]) -> None:
    text = (EXAMPLES / "README.md").read_text()

    for fault, count in Counter(faults.values()).items():
        assert f"| `{fault}` | {count} |" in text
    assert f"{1000 - len(faults)} rows" in text


def test_the_campaign_says_who_writes_and_how_to_stop_it() -> None:
    campaign = tomllib.loads((EXAMPLES / "campaign.toml").read_text())
    people = tomllib.loads((EXAMPLES / "personas.toml").read_text())["persona"]

    assert [step["step"] for step in campaign["sequence"]] == [1, 2, 3]
    assert campaign["tracking"] == {"opens": True, "clicks": True}
    for step in campaign["sequence"]:
        assert "{{unsubscribe}}" in step["body"]
        assert campaign["identity"]["postal_address"] in step["body"]
        assert campaign["identity"]["legal_name"] in step["body"]
    assert len({person["local_part"] for person in people}) == len(people) >= 2
