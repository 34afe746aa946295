"""Classifying replies and bounces, a message at a time: `python benchmarks/classify.py`. CPU time, one core."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mailfleet.rules import bounces, replies, reply_rules

DATA = Path(__file__).parent.parent / "tests" / "data"


def main() -> None:
    for name, files, judge, most in (
        ("replies", ("replies", "replies-held-out", "replies-tuning"), reply, 0.5),
        ("bounces", ("bounces", "bounces-held-out"), bounce, 2.0),
    ):
        rows = [json.loads(line) for file in files for line in (DATA / f"{file}.jsonl").read_text().splitlines()]
        sys.stdout.write(f"{name}: {took(rows, judge):.3f} ms a message over {len(rows)}, promised {most} ms\n")


def took(rows: Sequence[dict[str, Any]], judge: Callable[[dict[str, Any]], object]) -> float:
    """Milliseconds a message; the first round compiles, nothing is remembered from one round to the next."""
    for row in rows:
        judge(row)
    reply_rules.hit.cache_clear()
    began = time.process_time()
    for row in rows:
        judge(row)
    return (time.process_time() - began) / len(rows) * 1000


def reply(row: dict[str, Any]) -> object:
    return replies.classify(row["text"], row["subject"], row["headers"])


def bounce(row: dict[str, Any]) -> object:
    return bounces.judge(row["text"], row["enhanced_code"])


if __name__ == "__main__":
    main()
