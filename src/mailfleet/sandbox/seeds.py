"""Values that are the same for a seed however the calls are ordered: ids, keys and delays."""

from __future__ import annotations

import hashlib

from mailfleet.sandbox.world import World


def hexes(world: World, length: int, *parts: object) -> str:
    """`length` hexadecimal digits that belong to these parts in this world."""
    text = "\x1f".join(map(str, (world.seed, *parts)))
    return hashlib.blake2b(text.encode(), digest_size=(length + 1) // 2).hexdigest()[:length]


def fraction(world: World, *parts: object) -> float:
    """A number from 0 up to but not including 1 that belongs to these parts in this world."""
    return int(hexes(world, 13, *parts), 16) / 16**13
