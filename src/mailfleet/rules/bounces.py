"""What a bounce means (V6): from the text, then the enhanced code, then the basic code (classification.md 1)."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from mailfleet.rules import bounce_rules, report
from mailfleet.rules.bounce_rules import Outcome

LONGEST = 4000
"""Characters looked at; the reason stands near the beginning or after `Diagnostic-Code`."""
ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
DIAGNOSTIC = re.compile(r"diagnostic-code:\s*(?:[\w-]+\s*;)?\s*(\S.{6,})", re.IGNORECASE | re.DOTALL)
BASIC = re.compile(r"(?<![\d.])([2345]\d\d)[ -](?=\S)")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` names the row that decided. Hard alone is about the address; block and account are about us."""

    outcome: Outcome
    rule: str
    source: str
    """Where the row's wording is documented or seen."""
    by: Literal["text", "enhanced", "basic", "nothing"]
    enhanced_code: str | None = None
    reply_code: int | None = None


def classify(text: str, enhanced_code: str | None = None, reply_code: int | None = None) -> Verdict:
    """The outcome of one response line, diagnostic or notice. Codes not given are read from the text."""
    line = _cleaned(text)
    enhanced = enhanced_code or _first(ENHANCED, line)
    basic = reply_code or int(_first(BASIC, line) or 0) or None
    for row in bounce_rules.text_rules():
        if row.pattern.search(line):
            outcome = _tempered(row.name, row.outcome, enhanced, basic)
            return _verdict(outcome, row.name, row.source, "text", enhanced, basic)
    return _by_code(enhanced, basic)


def judge(text: str, enhanced_code: str | None = None, reply_code: int | None = None) -> Verdict:
    """As `classify`, for a whole message too: its report is read first (RFC 3464, RFC 5965, RFC 3834)."""
    if not report.looks_whole(text):
        return classify(text, enhanced_code, reply_code)
    read = report.read(text)
    if read.kind == "feedback":
        return _verdict("complaint", "feedback-report", "RFC 5965", "text", None, None)
    if read.kind == "automatic":
        return _verdict("auto_reply", "auto-reply", "RFC 3834", "text", None, None)
    if read.action == "delayed":
        return _verdict("soft", "delayed", "RFC 3464 2.3.3", "text", read.status or None, None)
    return classify(read.diagnostic or read.body or text, enhanced_code or read.status or None, reply_code)


def _by_code(enhanced: str | None, basic: int | None) -> Verdict:
    if enhanced and not enhanced.endswith(".0.0"):
        for prefix, outcome in bounce_rules.ENHANCED:
            if enhanced.startswith(prefix) and (prefix.endswith(".") or enhanced == prefix):
                return _verdict(outcome, f"code {enhanced}", "RFC 3463", "enhanced", enhanced, basic)
    if basic and basic in bounce_rules.BASIC:
        return _verdict(bounce_rules.BASIC[basic], f"code {basic}", "RFC 5321", "basic", enhanced, basic)
    return _verdict("other", "none", "", "nothing", enhanced, basic)


def _verdict(
    outcome: Outcome,
    rule: str,
    source: str,
    by: Literal["text", "enhanced", "basic", "nothing"],
    enhanced: str | None,
    basic: int | None,
) -> Verdict:
    return Verdict(outcome=outcome, rule=rule, source=source, by=by, enhanced_code=enhanced, reply_code=basic)


def _tempered(rule: str, outcome: Outcome, enhanced: str | None, basic: int | None) -> Outcome:
    """A dead address is not concluded from a mere temporary answer, unless its text is beyond doubt."""
    temporary = (basic is not None and 400 <= basic < 500) or (basic is None and (enhanced or "").startswith("4"))
    if outcome == "hard" and temporary and rule in ("no-unavailable", "disabled", "no-user"):
        return "soft"
    return outcome


def _cleaned(text: str) -> str:
    # Links and addresses carry words such as `spam` or `policy` that say nothing about this refusal.
    # A delivery report's own words ("could not be delivered") say nothing: the refusal is in its diagnostic (RFC 3464).
    found = DIAGNOSTIC.search(text[: 4 * LONGEST])
    line = re.sub(r"\s+", " ", (found.group(1) if found else text)[:LONGEST])
    line = re.sub(r"https?://\S+", " ", line)
    return re.sub(r"[\w.+-]+@(?=[\w-]+\.)", "x@", line)


def _first(pattern: re.Pattern[str], line: str) -> str | None:
    found = pattern.search(line)
    return found.group(1) if found else None
