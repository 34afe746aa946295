"""The rows that `bounces` reads: wordings from a data file, then enhanced codes, then basic codes."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Literal

import msgspec

Outcome = Literal["hard", "soft", "block", "account", "complaint", "auto_reply", "other"]


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `data/bounce_texts.tsv`."""

    name: str
    outcome: Outcome
    source: str
    pattern: re.Pattern[str]


@functools.cache
def text_rules() -> tuple[TextRule, ...]:
    """The wordings in their order; the first that is found decides."""
    lines = resources.files("mailfleet.rules").joinpath("data", "bounce_texts.tsv").read_text("utf-8").splitlines()
    return tuple(_row(line) for line in lines if line and not line.startswith("#"))


def _row(line: str) -> TextRule:
    name, outcome, source, pattern = line.split("\t")
    return TextRule(
        name=name,
        outcome=msgspec.convert(outcome, Outcome),
        source=source,
        pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL),
    )


ENHANCED: tuple[tuple[str, Outcome], ...] = (
    ("5.1.7", "block"), ("5.1.8", "block"), ("5.1.9", "soft"), ("5.1.0", "hard"), ("5.1.", "hard"),
    ("5.2.1", "hard"), ("5.2.0", "block"), ("5.2.", "soft"), ("5.3.0", "other"), ("5.3.2", "hard"), ("5.3.", "soft"),
    ("5.4.1", "hard"), ("5.4.4", "hard"), ("5.4.310", "hard"), ("5.4.5", "account"), ("5.4.6", "other"),
    ("5.4.", "soft"),
    ("5.5.", "other"), ("5.6.", "block"), ("5.7.", "block"),
    ("4.7.", "soft"), ("4.", "soft"), ("2.", "other"),
)  # fmt: skip
"""Prefix → outcome, first match; `5.0.0` says nothing and is skipped."""

BASIC: dict[int, Outcome] = {
    421: "soft", 422: "soft", 431: "soft", 432: "soft", 441: "soft", 442: "soft", 446: "soft", 447: "soft", 449: "soft",
    450: "soft", 451: "soft", 452: "soft", 454: "soft", 455: "soft", 471: "soft",
    500: "other", 501: "other", 502: "other", 503: "other", 504: "other",
    510: "hard", 511: "hard", 512: "hard", 513: "hard", 521: "hard", 556: "hard", 551: "hard",
    523: "soft", 530: "account", 535: "account", 541: "block", 552: "soft",
    550: "block", 553: "block", 554: "block", 571: "block",
}  # fmt: skip
"""A bare 550 says no more than no: most are about us, so it never condemns an address by itself."""
