"""The wordings that `replies` reads, from a data file, by what they mean."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Literal

import msgspec

Meaning = Literal[
    "unsubscribe", "not_opt_out", "left_company", "wrong_person", "negative", "weak_negative", "info_request",
    "positive", "absent", "responder", "acknowledgement",
]  # fmt: skip


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `data/reply_texts.tsv`."""

    meaning: Meaning
    name: str
    pattern: re.Pattern[str]


@functools.cache
def rules() -> dict[Meaning, tuple[TextRule, ...]]:
    """All rows, by meaning, in the file's order."""
    lines = resources.files("mailfleet.rules").joinpath("data", "reply_texts.tsv").read_text("utf-8").splitlines()
    rows = [_row(line) for line in lines if line and not line.startswith("#")]
    found: dict[Meaning, tuple[TextRule, ...]] = {}
    for row in rows:
        found[row.meaning] = (*found.get(row.meaning, ()), row)
    return found


def _row(line: str) -> TextRule:
    meaning, name, pattern = line.split("\t")
    return TextRule(meaning=msgspec.convert(meaning, Meaning), name=name, pattern=re.compile(pattern, re.IGNORECASE))


def hit(meaning: Meaning, text: str) -> str:
    """The name of the first row of `meaning` found in `text` as `meaning/name`, or nothing."""
    for row in rules().get(meaning, ()):
        if row.pattern.search(text):
            return f"{meaning}/{row.name}"
    return ""
