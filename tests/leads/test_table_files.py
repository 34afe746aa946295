"""Workbooks, JSON lines and packed files are read like text; what would fill memory or disk is told and left."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.leads.files import people, write

from mailfleet.errors import BadFile
from mailfleet.services import imports, tables
from mailfleet.services.imports import Request

pytestmark = pytest.mark.anyio


def workbook(path: Path, rows: list[list[Any]], name: str = "Leads") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = name
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" if row else "\n" for row in rows))
    return path


async def test_a_workbook_is_read_as_a_person_sees_it(world: Any, tmp_path: Path) -> None:
    rows = [["Email", "First name", "Country", "Source", "Employees"], ["bo@firm-mfdemo.com", "Bo", "DE", "fair", 12.0]]
    report = await imports.import_leads(world.fleet, workbook(tmp_path / "l.xlsx", rows))
    assert (report.taken, report.kind) == (1, "workbook")
    assert await world.one("select fields from mailfleet.leads") == {"employees": "12"}


def test_another_sheet_is_named_and_an_unknown_one_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "l.xlsx", [["email"], ["a@b.com"]])
    with tables.opened(path, sheet="Leads") as table:
        assert list(tables.read(table)) == [(2, ["a@b.com"])]
    with pytest.raises(BadFile, match="no sheet 'Nope'") as told, tables.opened(path, sheet="Nope"):
        pass
    assert "Leads" in told.value.hint


async def test_json_lines_keep_the_files_own_numbers(world: Any, tmp_path: Path) -> None:
    lead = {"email": "a@one-mfdemo.com", "country": "DE", "source": "fair", "tags": ["x", {"y": 1}], "vip": True}
    path = lines(tmp_path / "l.jsonl", [lead, None, {"email": "broken@@x"}, {**lead, "email": "a@two-mfdemo.com"}])
    report = await imports.import_leads(world.fleet, path)
    assert (report.taken, report.refused) == (2, 1)
    assert await world.ask("select row_no from mailfleet.import_refusals") == [(3,)]
    fields = await world.one("select fields from mailfleet.leads limit 1")
    assert fields == {"tags": '["x",{"y":1}]', "vip": "yes"}


async def test_a_packed_file_is_the_same_file(world: Any, tmp_path: Path) -> None:
    plain = write(tmp_path, people(3))
    packed = tmp_path / "leads.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert (await imports.import_leads(world.fleet, packed)).taken == 3
    assert (await imports.import_leads(world.fleet, plain)).again


async def test_a_mapping_once_given_is_used_for_the_next_file_of_that_header(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Kontakt,Land,Quelle\na@one-mfdemo.com,DE,Messe\n")
    given = Request(columns={"email": "Kontakt", "source": "Quelle"})
    assert (await imports.import_leads(world.fleet, path, given)).mapping == "given"
    path.write_text("Kontakt,Land,Quelle\na@two-mfdemo.com,DE,Messe\n")
    again = await imports.import_leads(world.fleet, path)
    assert (again.mapping, again.taken) == ("saved", 1)


async def test_a_dry_run_says_what_would_become_of_each_row_and_stores_none(world: Any, tmp_path: Path) -> None:
    await imports.import_leads(world.fleet, write(tmp_path, people(2)))
    path, out = write(tmp_path, [*people(4), "broken,Bo,Ek,,DE,fair"], "b.csv"), tmp_path / "out.csv"
    report = await imports.import_leads(world.fleet, path, dry_run=True, refusals_to=out)
    assert (report.taken, {each.rule: each.n for each in report.by_rule}) == (2, {"known_lead": 2, "syntax": 1})
    assert await world.one("select count(*) from mailfleet.leads") == 2
    assert len(out.read_text().splitlines()) == 4
    assert await world.one("select count(*) from mailfleet.imports") == 1


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


BOMB = bytes(70 << 20)
HOSTILE = {
    "a gzip bomb": (lambda: gzip.compress(BOMB), "no list of leads"),
    "a zip bomb": (lambda: zipped({"xl/workbook.xml": BOMB}), "no list of leads"),
    "a zip of something else": (lambda: zipped({"leads.csv": b"email\na@b.com\n"}), "no workbook"),
    "packed twice": (lambda: gzip.compress(gzip.compress(b"email\n")), "packed twice"),
    "half a gzip": (lambda: gzip.compress(b"email\n" * 9999)[:-30], "cannot be unpacked"),
    "deep nesting": (lambda: b'{"email":' + b"[" * 100_000, "line 1 is no JSON object"),
    "not json after all": (lambda: b'{"email":"a@b.com"}\n{"email"', "line 2"),
    "a number without end": (lambda: b'{"email":"a@b.com","n":' + b"9" * 5000 + b"}", "out of range"),
    "a lone surrogate": (lambda: b'{"email":"a@b.com","n":"\\ud800"}', "line 1"),
    "a million columns": (lambda: b"email" + b"," * 1_000_000 + b"\na@b.com\n", "1,000,001 columns"),
    "a huge field": (lambda: b"email,x\na@b.com," + b"x" * 200_000 + b"\n", "line 2"),
    "a line without end": (lambda: b"email\n" + b"x" * (20 << 20), "line of over"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_ends_with_what_is_wrong(tmp_path: Path, case: str) -> None:
    content, told = HOSTILE[case]
    path = tmp_path / "leads"
    path.write_bytes(content())
    with pytest.raises(BadFile, match=told), tables.opened(path):
        pass
