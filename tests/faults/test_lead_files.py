"""Lead files as they come: the wrong program's, the wrong encoding's, broken, or no table at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfleet.errors import BadFile
from mailfleet.services import lead_rows, tables

HEADER = "email,first_name,company\n"
GERMAN = HEADER + "anna@firm-mfdemo.de,Änne,Bäckerei Größe\n"
FRENCH = HEADER + "zoe@firm-mfdemo.fr,Éloïse,Crèmerie « Chez Zoë »\n"
POLISH = HEADER + "a@firm-mfdemo.pl,Łukasz,Żółty Dom\n"
RUSSIAN = HEADER + "a@firm-mfdemo.ru,Алексей,Завод\n"
JAPANESE = HEADER + "a@firm-mfdemo.jp,太郎,田中株式会社\n"


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "leads.csv"
    path.write_bytes(content)
    return path


def _cells(path: Path, encoding: str = "") -> list[str]:
    return [cell for _, cells in tables.read(tables.look(path, encoding=encoding)) for cell in cells]


@pytest.mark.parametrize("text", [GERMAN, FRENCH])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
def test_what_western_spreadsheets_save_is_read_as_written(tmp_path: Path, text: str, encoding: str) -> None:
    assert _cells(_file(tmp_path, text.encode(encoding))) == text.splitlines()[1].split(",")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (POLISH, "cp1250"),
        (POLISH, "iso8859-2"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "gb18030"),
        (FRENCH, "mac_roman"),
    ],
)
def test_an_encoding_that_is_not_certain_is_asked_for_and_never_guessed(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = _file(tmp_path, text.encode(encoding))
    with pytest.raises(BadFile, match="--encoding"):
        tables.look(path)
    assert _cells(path, encoding) == text.splitlines()[1].split(",")


@pytest.mark.parametrize(("encoding", "told"), [("klingon", "no encoding 'klingon'"), ("utf-8", "not in utf-8")])
def test_an_encoding_that_is_named_wrongly_is_refused(tmp_path: Path, encoding: str, told: str) -> None:
    with pytest.raises(BadFile, match=told):
        tables.look(_file(tmp_path, GERMAN.encode("latin-1")), encoding=encoding)


@pytest.mark.parametrize("content", [GERMAN.encode("utf-16-le"), bytes(range(256))])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadFile) as told:
        tables.look(_file(tmp_path, content))
    assert "UTF-8" in told.value.hint


def test_a_quote_never_closed_is_told_with_its_line_and_swallows_nothing(tmp_path: Path) -> None:
    content = HEADER + 'a@firm-mfdemo.de,A,Firm\nb@firm-mfdemo.de,"B,Firm\nc@firm-mfdemo.de,C,Firm\n'
    with pytest.raises(BadFile, match="line 3"):
        tables.look(_file(tmp_path, content.encode()))


def test_a_last_cell_of_several_lines_is_no_fault(tmp_path: Path) -> None:
    content = HEADER + 'a@firm-mfdemo.de,A,"Firm\nof three\nlines"\n'
    assert _cells(_file(tmp_path, content.encode()))[2] == "Firm\nof three\nlines"


def test_two_columns_of_addresses_are_told_apart_by_a_person() -> None:
    with pytest.raises(BadFile, match="Two columns are called 'E-Mail'"):
        lead_rows.map_columns(["E-Mail", "first_name", "e mail"])


@pytest.mark.parametrize(("name", "told"), [("nowhere.csv", "No such file"), (".", "Is a directory")])
def test_a_path_that_is_no_file_is_told(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(BadFile, match=told):
        tables.look(tmp_path / name)
