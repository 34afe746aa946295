"""What a bounce means (classification.md, V6): from the text, then the enhanced code, then the basic code."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["hard", "soft", "block", "account", "complaint", "auto_reply", "other"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` names the row that decided. Hard alone is about the address; block and account are about us."""

    outcome: Outcome
    rule: str
    reason: str
    by: Literal["text", "enhanced", "basic", "nothing"]
    enhanced_code: str | None = None
    reply_code: int | None = None
