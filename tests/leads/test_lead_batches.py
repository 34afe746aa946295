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
          "captured_at", "role", "relevance", "no_marketing_statement", "phone", "note")  # fmt: skip
ADDRESS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9._+'-]{1,8}@[a-z0-9.-]{1,8}\.(com|de|test|co\.uk|gmail\.com|XN--p1ai)", fullmatch=True),
    st.sampled_from(["info@firm.de", "Bo@Straße.de", "ø@x.dk", "<a@b.com>", "=a@b.com", "a@b.com;c@d.com", ""]),
)
CELL = st.one_of(
    st.sampled_from(["", "Bo", "AU", "DE", "Germany", "yes", "no", "consent", "+49 30 1", "-", "+", "=1", "a\tb",
                     "\x00", "\ud800", " x", "x  y", '"q"', "\\N", "a\\tb", "2026-01-01T00:00:00Z", "2026-01-01",
                     "x" * 2100]),
    st.text(max_size=6),
)  # fmt: skip


def plain(number: int, cells: list[str], columns: Any, options: Options, rule: Legal) -> Refusal | str:
    found = lead_rows.judge(number, cells, columns, options, rule)
    return found if isinstance(found, Refusal) else copied(found)


@given(email=ADDRESS, cells=st.lists(CELL, min_size=14, max_size=14), roles=st.booleans(), source=st.booleans())
@example(email="a@b.com", cells=["\\N"] * 14, roles=True, source=True)
@settings(max_examples=300, deadline=None)
def test_a_row_is_the_same_lead_both_ways(email: str, cells: list[str], roles: bool, source: bool) -> None:
    columns = lead_rows.map_columns(HEADER)
    options = Options(take_roles=roles, source="fair" if source else "")
    wanted = plain(7, [email, *cells], columns, options, Legal())
    chunk = Batcher(columns, options, Legal()).chunk([(7, [email, *cells])])
    assert chunk is not None
    assert (list(chunk.refused) or chunk.lines.decode()) == ([wanted] if isinstance(wanted, Refusal) else wanted)


def test_plain_rows_do_not_take_the_slow_way(monkeypatch: Any) -> None:
    columns = lead_rows.map_columns(HEADER)
    monkeypatch.setattr(lead_rows, "judge", None)
    row = ["Bo.Ek+x@firm-mfdemo.de", "Zoë", "O'Neil", "Firm & Co. KG", "DE", "fair", "2026-01-01 10:00:00", "", "",
           "", "Head of Sales", "", "", "+49 30 123-45", "says \\ hello"]  # fmt: skip
    strict = [*row[:4], "Australia", *row[5:7], "consent", "https://x", "2026", "CEO", "she asked", "no", "", ""]
    chunk = Batcher(columns, Options(), Legal()).chunk([(2, row), (3, ["x" + strict[0], *strict[1:]])])
    assert chunk is not None and chunk.taken == 2
    assert msgspec.json.decode(chunk.lines.decode().splitlines()[0].split("\t")[13].replace("\\\\", "\\")) == {
        "role": "Head of Sales", "phone": "+49 30 123-45", "note": "says \\ hello",
    }  # fmt: skip
