"""The wordings that `replies` reads, from a data file, by what they mean and in which language."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Literal

import msgspec

from mailfleet.rules.tongues import spoken

Meaning = Literal[
    "unsubscribe", "not_opt_out", "left_company", "wrong_person", "negative", "weak_negative", "info_request",
    "positive", "handover", "spare", "absent", "absent_more", "responder", "acknowledgement",
]  # fmt: skip


INSIDE_NO_WORD = r"(?!(?<=\w)\w)"
"""Spares the search most of its starts: rows of languages that do not join words begin at one."""
WHOLE_WORDS = frozenset({"en", "es", "pt", "it", "fr", "nl"})


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `data/reply_texts.tsv`; `tongue` is the first part of its name."""

    meaning: Meaning
    name: str
    tongue: str
    pattern: re.Pattern[str]


@functools.cache
def rules() -> dict[Meaning, tuple[TextRule, ...]]:
    """All rows, by meaning, in the file's order."""
    lines = resources.files("mailfleet.rules").joinpath("data", "reply_texts.tsv").read_text("utf-8").splitlines()
    words = dict(line[1:].split("\t") for line in lines if line.startswith("@"))
    found: dict[Meaning, tuple[TextRule, ...]] = {}
    for line in lines:
        if line and line[0] not in "#@":
            row = _row(line, words)
            found[row.meaning] = (*found.get(row.meaning, ()), row)
    return found


def _row(line: str, words: dict[str, str]) -> TextRule:
    meaning, name, pattern = line.split("\t")
    while "<<" in pattern:
        pattern = re.sub(r"<<(\w+)>>", lambda found: words[found[1]], pattern)
    tongue = name.split("-")[0]
    return TextRule(
        meaning=msgspec.convert(meaning, Meaning),
        name=name,
        tongue=tongue,
        pattern=re.compile(f"{INSIDE_NO_WORD if tongue in WHOLE_WORDS else ''}(?:{pattern})"),
    )


@functools.lru_cache(maxsize=1024)
def hit(meaning: Meaning, text: str) -> str:
    """The name of the first row of `meaning` found in `text` as `meaning/name`, or nothing."""
    heard = spoken(text)
    for row in rules().get(meaning, ()):
        if row.tongue in heard and row.pattern.search(text):
            return f"{meaning}/{row.name}"
    return ""


def without(meaning: Meaning, text: str) -> str:
    """`text` less what the rows of `meaning` find in it."""
    for row in rules().get(meaning, ()):
        text = row.pattern.sub(" ", text)
    return text
