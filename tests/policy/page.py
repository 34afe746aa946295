"""The made parts of docs/policy.md: every figure, and the mailbox's states. Run this file to write them anew."""

from __future__ import annotations

import re
from pathlib import Path

from mailfleet.policy.load import describe
from mailfleet.policy.model import default_policy
from mailfleet.rules.lifecycle import diagram

PAGE = Path(__file__).parents[2] / "docs/policy.md"


def made() -> dict[str, str]:
    """Marked part → its text."""
    rows = ["| key | default | unit | decision |", "|---|---|---|---|"]
    for leaf in describe(default_policy()):
        value = str(leaf.value).replace("|", "\\|")
        rows.append(f"| `{leaf.key}` | {value} | {leaf.unit} | {leaf.decision} |")
    return {"figures": "\n".join(rows), "states": f"```mermaid\n{diagram()}\n```"}


def renewed(text: str) -> str:
    """The page with its made parts as the code has them now."""
    for name, part in made().items():
        begin, end = f"<!-- {name}: made -->", f"<!-- end {name} -->"
        text = re.sub(f"{begin}.*?{end}", lambda _, b=begin, p=part, e=end: f"{b}\n\n{p}\n\n{e}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
