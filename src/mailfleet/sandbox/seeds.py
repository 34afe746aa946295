"""Values that are the same for a seed however the calls are ordered: ids, keys and delays."""

from __future__ import annotations

import hashlib

from mailfleet.sandbox.world import World

# 13 hexadecimal digits, which a float holds exactly.
_PARTS = 16**13


def hexes(world: World, length: int, *parts: object) -> str:
    """`length` hexadecimal digits that belong to these parts in this world."""
    text = "\x1f".join(map(str, (world.seed, *parts)))
    return hashlib.blake2b(text.encode(), digest_size=(length + 1) // 2).hexdigest()[:length]


def fraction(world: World, *parts: object) -> float:
    """A number from 0 up to but not including 1 that belongs to these parts in this world."""
    digest = hashlib.blake2b("\x1f".join(map(str, (world.seed, *parts))).encode(), digest_size=7).digest()
    return (int.from_bytes(digest, "big") >> 4) / _PARTS
