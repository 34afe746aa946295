"""The one table of magic names in the documents is what the sandbox does."""

from __future__ import annotations

import re
from pathlib import Path

from mailfleet.sandbox.people import MAGIC, MAGIC_HOSTS, person, provider_of
from mailfleet.sandbox.world import World

TABLE = Path(__file__).parents[2] / "docs" / "sandbox.md"


def names(where: str) -> list[str]:
    """The names that the table says force an outcome there."""
    rows = [line.split("|") for line in TABLE.read_text("utf-8").splitlines() if f"| {where} |" in line]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[1])]


def test_every_magic_recipient_stands_in_the_table_and_has_its_fate() -> None:
    world = World(4)

    assert names("recipient") == list(MAGIC)
    for name, fate in MAGIC.items():
        found = person(world, f"{name}7@firm-mailfleet.com")
        assert (found.fate, found.sure) == (fate, True)


def test_every_magic_domain_stands_in_the_table_and_lives_there() -> None:
    assert names("recipient's domain") == list(MAGIC_HOSTS)
    for name, provider in MAGIC_HOSTS.items():
        assert provider_of(World(4), f"{name}-mailfleet.com") == provider
