"""A policy key that nothing reads would promise something the product does not do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec

import mailfleet
from mailfleet.policy.model import Policy

SOURCE = Path(mailfleet.__file__).parent

LATER = {
    "migration": {
        "export", "rollback_triggers", "parallel", "success_metrics", "costs",
    },
}  # fmt: skip
"""Sections read by a module family that comes later: the mover between platforms, its verdicts, export and savings."""

FIXED = {"dedup.key_fields"}
"""Keys whose type admits one value: they state what is done and leave nothing to decide."""


def structs(kind: type[msgspec.Struct], path: str) -> Iterator[tuple[str, str]]:
    """(dotted path, attribute) of every field below `kind`; members of a dictionary or tuple count as one kind."""
    for name, hint in get_type_hints(kind).items():
        yield f"{path}{name}", name
        inner = [hint, *get_args(hint)]
        for one in inner:
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                yield from structs(one, f"{path}{name}.")


def attributes_read() -> set[str]:
    """Every attribute that some module other than the policy's own description and checks loads."""
    found: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        if file.parent.name == "policy" or "sandbox" in file.relative_to(SOURCE).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
    return found


def test_every_policy_key_is_read_somewhere() -> None:
    read = attributes_read() | {"day_1_7", "day_8_14", "day_15_30", "day_30_on"}  # by WarmupTable.ranges()
    later = set[str]().union(*LATER.values())
    unread = [
        path
        for path, name in structs(Policy, "")
        if name not in read and path not in FIXED and path.split(".")[0] not in later
    ]
    assert not unread, "\n".join(unread)


def test_the_list_of_later_sections_holds_no_section_already_read() -> None:
    assert all(section in get_type_hints(Policy) for section in set[str]().union(*LATER.values()))
