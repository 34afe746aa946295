"""A country as lists of leads write it, as its ISO 3166-1 alpha-2 code."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources


def code(text: str) -> str:
    """`AU` for `Australia`, `AUS` or `au`; empty for what nobody knows, which the law's gate holds to the strictest
    rule (L1). Case, accents, signs and a leading article do not count."""
    return _known().get(_folded(text), "")


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("&", " and ").replace(".", "")
    return re.sub(r"[\W_]+", " ", plain).strip().removeprefix("the ")


@functools.cache
def _known() -> Mapping[str, str]:
    found: dict[str, str] = {}
    text = resources.files("mailfleet.rules").joinpath("data/countries.tsv").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            alpha, names = line.split("\t")
            found |= {_folded(name): alpha for name in (alpha, *names.split("|"))}
    return found
