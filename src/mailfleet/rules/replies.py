"""What a reply means (classification.md, S11): automatic first, the quoted original cut, opt-out before all else."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

Category = Literal["positive", "negative", "out_of_office", "unknown"]
Subcategory = Literal["unsubscribe", "wrong_person", "info_request"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`stripped` is what the person wrote; `proven_automatic` alone may resume a sequence; `review`: ask a person."""

    category: Category
    subcategory: Subcategory | None = None
    rule: str
    confidence: float
    stripped: str
    automatic: bool = False
    proven_automatic: bool = False
    return_date: date | None = None
    review: bool = False
