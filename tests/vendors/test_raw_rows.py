"""The other direction: of each Yes row a raw call, written from the documents, stands among the sandbox's tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.vendors.test_index import index

TESTS = Path(__file__).parents[1]
FILES = tuple(sorted([*(TESTS / "sandbox").glob("*.py"), *(TESTS / "sandbox_around").glob("*.py")]))
VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
VENDORS = ("smartlead", "cloudflare", "namecheap", "slack", "twilio")
SAID_OTHERWISE = {
    "namecheap": "namecheap.{row}",
    "incoming-webhook": "webhook_path",
    "chat.postMessage": "/slack/api/chat.postMessage",
    "messages": ".json",
}
"""Where no verb stands before a path: one address for all commands, and addresses that the world tells."""


def text(node: ast.expr) -> str:
    """A text as written, `{}` for whatever is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{[^}]*\}", "{}", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return ""


def raw_calls() -> Iterator[tuple[str, str]]:
    """Each verb with the path behind it."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            given = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
            words = [text(each) for each in given]
            yield from ((verb, path) for verb, path in pairwise(words) if verb in VERBS)


def fits(path: str, template: str) -> bool:
    wanted = re.escape(re.sub(r"\{[^}]*\}", "{}", template).rstrip("/")).replace(r"\{\}", "[^/?]+")
    return re.fullmatch(rf"{wanted}/?(\?.*)?", path) is not None


def test_the_raw_tests_know_neither_side() -> None:
    for file in FILES:
        if file.parent.name == "sandbox":
            assert "mailfleet.vendors" not in file.read_text(), file.name


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_yes_row_is_called_raw(vendor: str) -> None:
    called, source = set(raw_calls()), "".join(file.read_text() for file in FILES)
    missing: list[str] = []
    for row in (row for row in index(vendor) if row["support"] == "Yes" and row["method"] != "-"):
        said = SAID_OTHERWISE.get(vendor) or SAID_OTHERWISE.get(row["row"])
        found = (
            said.format(row=row["row"]) in source or f'"{row["row"]}"' in source
            if said
            else any(verb == row["method"] and fits(path, row["path"]) for verb, path in called)
        )
        missing += [] if found else [row["row"]]
    assert missing == []
