"""Countries as people write them; what nobody knows stays unknown, for the strictest rule."""

from __future__ import annotations

import pytest

from mailfleet.policy.model import Legal
from mailfleet.rules import country, legal


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("Australia", "AU"), ("AUS", "AU"), (" au ", "AU"), ("United Kingdom", "GB"), ("U.K.", "GB"), ("uk", "GB"),
        ("Great Britain", "GB"), ("the Netherlands", "NL"), ("Österreich", "AT"), ("Oesterreich", "AT"),
        ("Côte d'Ivoire", "CI"), ("Trinidad and Tobago", "TT"), ("Trinidad & Tobago", "TT"), ("U.S.A.", "US"),
        ("Timor-Leste", "TL"), ("United States", "US"), ("South Korea", "KR"),
        ("", ""), ("Atlantis", ""), ("XX", ""), ("-", ""), ("Sydney", ""),
    ],
)  # fmt: skip
def test_a_country_is_known_by_its_names(given: str, code: str) -> None:
    assert country.code(given) == code


def test_no_name_is_two_countries_and_every_code_is_its_own() -> None:
    seen: dict[str, str] = {}
    lines = country.resources.files("mailfleet.rules").joinpath("data/countries.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(rows) == 249
    for alpha, names in rows:
        for name in (alpha, *names.split("|")):
            folded = name.casefold().replace(".", "")
            assert seen.setdefault(folded, alpha) == alpha, f"{name} is {seen[folded]} and {alpha}"
            assert country.code(name) == alpha


def test_an_unknown_country_is_judged_as_the_strictest() -> None:
    rule = Legal()
    assert not legal.gate(rule, country=country.code("Atlantis"), source="fair", basis={}).open
    assert not legal.gate(rule, country=country.code("Australia"), source="fair", basis={}).open
    assert legal.gate(rule, country=country.code("Germany"), source="fair", basis={}).open
