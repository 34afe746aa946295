"""Lets anybody measure the classifiers: one JSON object a line in, one a line out, in the same order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from cyclopts import App, Parameter

from mailfleet.errors import ConfigError

Input = Annotated[
    str, Parameter(name="--input", allow_leading_hyphen=True, help="A JSONL file, or - for standard input.")
]
app = App(name="classify", help="Read bounces or replies as the product does: JSONL in, JSONL out.")


@app.default
def classify(what: Literal["bounces", "replies"], *, input: Input = "-") -> None:
    """Judges each line by itself; needs no database. Nothing is kept and nothing is done.

    Parameters
    ----------
    what
        `bounces` answers id, outcome, rule, confidence; `replies` id, category, subcategory, rule, confidence.
    """
    from mailfleet.policy.model import default_policy
    from mailfleet.rules import judged

    keywords = default_policy().reply.auto_categories
    judge = judged.bounce if what == "bounces" else lambda line, number: judged.reply(line, number, keywords)
    with _opened(input) as lines:
        _answer(lines, judge)


@contextmanager
def _opened(name: str) -> Generator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ConfigError(
            f"{name} cannot be read: {error.strerror}.", hint="Give --input a JSONL file, or -."
        ) from error
    with file:
        yield file


def _answer(lines: BinaryIO, judge: Callable[[bytes, int], dict[str, Any]]) -> None:
    import json

    for number, line in enumerate(lines, start=1):
        if line.strip():
            sys.stdout.write(json.dumps(judge(line, number)) + "\n")
    sys.stdout.flush()
