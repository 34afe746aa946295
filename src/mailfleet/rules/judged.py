"""One line of JSON in, one judged out: for `mailfleet classify` and whoever wants to measure the classifiers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mailfleet.policy.model import AutoCategories
from mailfleet.rules import bounces, replies

CONFIDENCE = {"text": 0.9, "enhanced": 0.7, "basic": 0.5, "nothing": 0.2}
LONGEST = 200_000
"""Characters of a text that are looked at."""


def bounce(line: str | bytes, number: int) -> dict[str, Any]:
    """`{id, outcome, rule, confidence}`. Whatever cannot be read is `other`, never an error."""
    given = _given(line)
    found = bounces.judge(_text(given), _code(given.get("enhanced_code")), _number(given.get("reply_code")))
    confidence = CONFIDENCE[found.by] if given else 0.0
    return {"id": given.get("id", number), "outcome": found.outcome, "rule": found.rule, "confidence": confidence}


def reply(line: str | bytes, number: int, keywords: AutoCategories | None = None) -> dict[str, Any]:
    """`{id, category, subcategory, rule, confidence}`."""
    given = _given(line)
    sent = given.get("sent_text")
    found = replies.classify(
        _text(given),
        str(given.get("subject") or ""),
        _headers(given.get("headers")),
        sent if isinstance(sent, str) else "",
        keywords=keywords,
    )
    return {
        "id": given.get("id", number),
        "category": found.category,
        "subcategory": found.subcategory,
        "rule": found.rule,
        "confidence": found.confidence,
    }


def _given(line: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(given: Mapping[str, Any]) -> str:
    text = given.get("text")
    return text[:LONGEST] if isinstance(text, str) else "" if text is None else str(text)[:LONGEST]


def _code(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 200 <= value < 600 else None
    text = value.strip()[:3] if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and 200 <= int(text) < 600 else None


def _headers(value: object) -> dict[str, str]:
    """Headers as a mapping, or as pairs of name and value."""
    pairs = value.items() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2}
