"""The fast way through a file gives, row for row, what the plain one gives."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailfleet.policy.model import Legal
from mailfleet.services import lead_rows
from mailfleet.services.lead_batches import Batcher, copied
from mailfleet.services.lead_rows import Options
from mailfleet.store.imports import Refusal

HEADER = ("email", "first_name", "last_name", "company", "country", "source", "source_at", "basis", "evidence",
          "captured_at", "role", "relevance", "no_marketing_statement", "subscriber", "note")  # fmt: skip
ADDRESS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9._+'-]{1,8}@[a-z0-9.-]{1,8}\.(com|de|test|co\.uk|gmail\.com|XN--p1ai)", fullmatch=True),
    st.sampled_from(["info@firm.de", "Bo@Straße.de", "ø@x.dk", "<a@b.com>", "=a@b.com", "a@b.com;c@d.com", ""]),
)
LAW = Legal(individual_countries=("GB",))
CELL = st.one_of(
    st.sampled_from(["", "Bo", "AU", "GB", "plc", "Germany", "yes", "no", "consent", "+49 30 1", "-", "+", "=1", "a\tb",
                     "\x00", "\ud800", " x", "x  y", '"q"', "\\N", "a\\tb", "2026-01-01T00:00:00Z", "2026-01-01",
                     "x" * 2100]),
    st.text(max_size=6),
)  # fmt: skip


def plain(number: int, cells: list[str], columns: Any, options: Options, rule: Legal) -> Refusal | str:
    found = lead_rows.judge(number, cells, columns, options, rule)
    return found if isinstance(found, Refusal) else copied(found)


@given(
    rows=st.lists(st.tuples(ADDRESS, st.lists(CELL, min_size=13, max_size=15)), min_size=1, max_size=6),
    roles=st.booleans(), source=st.booleans(),
)  # fmt: skip
@example(rows=[("a@b.com", ["\\N"] * 14), ("info@b.com", [""] * 14), ("c@b.com", ["x"] * 14)], roles=True, source=True)
@settings(max_examples=300, deadline=None)
def test_each_row_of_a_batch_is_the_same_lead_both_ways(
    rows: list[tuple[str, list[str]]], roles: bool, source: bool
) -> None:
    columns = lead_rows.map_columns(HEADER)
    options = Options(take_roles=roles, source="fair" if source else "")
    given = [(n, [email, *cells]) for n, (email, cells) in enumerate(rows, start=7)]
    wanted = [plain(number, cells, columns, options, LAW) for number, cells in given]
    chunk = Batcher(columns, options, LAW).chunk(given)
    assert chunk is not None
    again = [each for each in chunk.refused if each.rule == "duplicate_in_file"]
    left = {each.row_no for each in again}
    taken = "".join(each for (number, _), each in zip(given, wanted, strict=True)
                    if isinstance(each, str) and number not in left)  # fmt: skip
    assert chunk.lines.decode() == taken and chunk.taken == len(taken.splitlines())
    assert [each for each in chunk.refused if each not in again] == [
        each for each in wanted if not isinstance(each, str)
    ]
    assert all(wanted[each.row_no - 7] != wanted[int(each.culprit.split()[1]) - 7] for each in again)


def test_plain_rows_do_not_take_the_slow_way(monkeypatch: Any) -> None:
    columns = lead_rows.map_columns(HEADER)
    monkeypatch.setattr(lead_rows, "judge", None)
    row = ["Bo.Ek+x@firm-mfdemo.de", "Zoë", "O'Neil", "Firm & Co. KG", "DE", "fair", "2026-01-01 10:00:00", "", "",
           "", "Head of Sales", "", "", "", "says / hello"]  # fmt: skip
    strict = [*row[:4], "Australia", *row[5:7], "consent", "https://x", "2026", "CEO", "she asked", "no", "", ""]
    chunk = Batcher(columns, Options(), Legal()).chunk([(2, row), (3, ["x" + strict[0], *strict[1:]])])
    assert chunk is not None and chunk.taken == 2
    assert msgspec.json.decode(chunk.lines.decode().splitlines()[0].split("\t")[13]) == {
        "role": "Head of Sales", "note": "says / hello",
    }  # fmt: skip
