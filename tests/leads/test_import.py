"""A list comes in: every row is taken or refused, and the report says which and why."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.leads.files import HEADER, people, row, write

from mailfleet.errors import BadFile
from mailfleet.services import clients, imports, suppression
from mailfleet.services.imports import Request
from mailfleet.services.lead_rows import Options

pytestmark = pytest.mark.anyio
EXAMPLES = Path(__file__).parents[2] / "examples"


def rules(report: imports.Report) -> dict[str, int]:
    return {each.rule: each.n for each in report.by_rule}


async def test_a_plain_file_is_taken_whole(world: Any, tmp_path: Path) -> None:
    report = await imports.import_leads(world.fleet, write(tmp_path, people(3)))
    assert (report.taken, report.refused, report.rows) == (3, 0, 3)
    assert await world.one("select count(*) from mailfleet.leads where status = 'ready_to_send'") == 3


async def test_the_example_list_is_refused_row_by_row_as_planted(world: Any, tmp_path: Path) -> None:
    planted = json.loads((EXAMPLES / "leads.faults.json").read_text())["faults"]
    await suppression.import_file(world.fleet, EXAMPLES / "suppressions.csv")
    report = await imports.import_leads(world.fleet, EXAMPLES / "leads.csv")
    assert report.taken + report.refused == report.rows == 1000
    found = dict(await world.ask("select row_no, rule from mailfleet.import_refusals"))
    expected = {
        "duplicate": {"duplicate_in_file"},
        "bad_address": {"syntax", "several", "empty"},
        "role_address": {"role_address"},
        "formula": {"formula"},
        "missing_legal_basis": {"legal_basis"},
        "missing_source": {"no_source"},
        "no_marketing_statement": {"no_marketing_statement"},
        "suppressed_address": {"suppressed"},
        "suppressed_domain": {"suppressed"},
    }
    for fault, allowed in expected.items():
        wrong = {n: found.get(n) for n in planted[fault]["rows"] if found.get(n) not in allowed}
        assert not wrong, (fault, wrong)
    faulty = {n for fault in expected for n in planted[fault]["rows"]}
    assert set(found) == faulty


async def test_the_first_of_several_rows_wins_whatever_their_case_and_spacing(world: Any, tmp_path: Path) -> None:
    rows = [row("Bo@Firm-mfdemo.com", first="One"), row(" bo@firm-mfdemo.com "), row("<bo@FIRM-mfdemo.com>")]
    report = await imports.import_leads(world.fleet, write(tmp_path, rows))
    assert report.taken == 1 and rules(report) == {"duplicate_in_file": 2}
    assert await world.one("select first_name from mailfleet.leads") == "One"
    assert {each.culprit for each in report.examples} == {"row 2"}


async def test_the_same_file_again_does_nothing(world: Any, tmp_path: Path) -> None:
    path = write(tmp_path, people(5))
    first = await imports.import_leads(world.fleet, path)
    again = await imports.import_leads(world.fleet, path)
    assert again.again and again.import_id == first.import_id
    assert await world.one("select count(*) from mailfleet.leads") == 5


async def test_another_file_with_known_people_names_them(world: Any, tmp_path: Path) -> None:
    await imports.import_leads(world.fleet, write(tmp_path, people(5)))
    report = await imports.import_leads(world.fleet, write(tmp_path, people(6), "more.csv"))
    assert report.taken == 1 and rules(report) == {"known_lead": 5}


async def test_an_interrupted_import_goes_on_where_it_stopped(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 10)
    path = write(tmp_path, people(35))

    def stop(done: int, _all: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await imports.import_leads(world.fleet, path, progress=stop)
    assert 10 <= await world.one("select count(*) from mailfleet.leads") < 35
    report = await imports.import_leads(world.fleet, path)
    assert report.taken == 35 and report.refused == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
async def test_encodings_of_spreadsheet_programs_are_read(world: Any, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "leads.csv"
    rows = [row(f"p{n}@firm{n}-mfdemo.com", first="Zoë", last="Müller", company="Café Ångström") for n in range(30)]
    path.write_bytes("\r\n".join((",".join(HEADER), *rows)).encode(encoding))
    report = await imports.import_leads(world.fleet, path)
    assert report.taken == 30
    assert await world.one("select distinct first_name from mailfleet.leads") == "Zoë"


@pytest.mark.parametrize("mark", [";", "\t", "|"])
async def test_other_delimiters_and_quoted_commas(world: Any, tmp_path: Path, mark: str) -> None:
    path = tmp_path / "leads.txt"
    with path.open("w", newline="") as file:
        out = csv.writer(file, delimiter=mark)
        out.writerow(("E-Mail Address", "Full Name", "Organisation", "Country", "Lead Source"))
        out.writerow(("bo@firm-mfdemo.com", "Bo van Ek", "Ek, Sons & Co", "DE", "fair"))
    report = await imports.import_leads(world.fleet, path)
    assert report.taken == 1
    found = await world.ask("select first_name, last_name, company, company_norm from mailfleet.leads")
    assert found == [("Bo", "van Ek", "Ek, Sons & Co", "ek sons")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"  \n \n", "is empty"),
        (b"email,first_name\n", "no rows"),
        (b"name,phone\nBo,1\n", "name, phone"),
        (b"PK\x03\x04\x00\x00\x08\x00", "cannot be read as a workbook"),
        (b'email\n"bo@firm-mfdemo.com\n' + b"x" * 200_000, "line"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_whole(
    world: Any, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=told):
        await imports.import_leads(world.fleet, path)
    assert await world.one("select count(*) from mailfleet.imports") == 0


async def test_without_a_legal_record_an_australian_row_is_refused(world: Any, tmp_path: Path) -> None:
    rows = [row("a@one-mfdemo.com.au", country="AU"), row("b@two-mfdemo.de"), row("c@three-mfdemo.com", country="")]
    report = await imports.import_leads(world.fleet, write(tmp_path, rows))
    assert report.taken == 1 and rules(report) == {"legal_basis": 2}


async def test_role_addresses_wait_for_a_decision(world: Any, tmp_path: Path) -> None:
    path = write(tmp_path, [row("info@one-mfdemo.com")])
    assert rules(await imports.import_leads(world.fleet, path)) == {"role_address": 1}
    taken = await imports.import_leads(
        world.fleet,
        write(tmp_path, [row("info@one-mfdemo.com"), *people(1)], "b.csv"),
        Request(options=Options(take_roles=True)),
    )
    assert taken.taken == 2


async def test_the_refusal_file_never_carries_a_formula(world: Any, tmp_path: Path) -> None:
    bad = '=cmd|"/c calc"!A1'
    path = write(
        tmp_path, [row("a@one-mfdemo.com", first='"' + bad.replace('"', '""') + '"'), row("=b@two-mfdemo.com")]
    )
    out = tmp_path / "refused.csv"
    report = await imports.import_leads(world.fleet, path, refusals_to=out)
    assert rules(report) == {"formula": 2}
    with out.open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not any(cell[:1] in "=+-@" for cell in cells if cell)
    assert "'" + bad in cells


async def test_a_zero_byte_or_a_lone_surrogate_does_not_stop_the_rest(world: Any, tmp_path: Path) -> None:
    rows = [row("a@one-mfdemo.com", company="Nul\x01l"), *people(2)]
    assert (await imports.import_leads(world.fleet, write(tmp_path, rows))).taken == 3


async def test_a_country_is_read_by_its_name_and_an_unknown_one_is_judged_strictly(world: Any, tmp_path: Path) -> None:
    rows = [
        row("a@firma-mfdemo.com", country="Germany"), row("b@firmb-mfdemo.com", country="Australia"),
        row("c@firmc-mfdemo.com", country="Atlantis"), row("d@firmd-mfdemo.com", country=""),
        row("e@firme-mfdemo.com", country="united kingdom"),
    ]  # fmt: skip
    report = await imports.import_leads(world.fleet, write(tmp_path, rows))
    assert (report.taken, report.unknown_country, rules(report)) == (2, 2, {"legal_basis": 3})
    assert await world.ask("select country from mailfleet.leads order by id") == [("DE",), ("GB",)]
    refused = await world.ask("select value from mailfleet.import_refusals order by row_no")
    assert refused == [("AU",), ("Atlantis",), ("",)]
    assert (await imports.import_leads(world.fleet, write(tmp_path, rows))).unknown_country == 2


async def test_the_gate_is_the_clients_own(world: Any, tmp_path: Path) -> None:
    strict = {"legal": {"strict_countries": ["AU", "DE"]}}
    await clients.put_client(world.fleet, "careful", name="Careful", policy=strict)
    path = write(tmp_path, [row("a@firma-mfdemo.com", country="Germany")])
    assert (await imports.import_leads(world.fleet, path, Request(client="careful"))).taken == 0
    assert (await imports.import_leads(world.fleet, path, Request(client="agency-os"))).taken == 1


async def test_a_country_nobody_knows_is_no_default(world: Any, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no country 'Atlantis'"):
        await imports.import_leads(
            world.fleet, write(tmp_path, people(1)), Request(options=Options(country="Atlantis"))
        )
