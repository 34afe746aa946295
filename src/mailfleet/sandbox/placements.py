"""A panel of seed addresses that somebody keeps: where mail of each domain lands, by each vendor, at each provider."""

from __future__ import annotations

from typing import Any

from mailfleet.sandbox.forge.state import Box, forge
from mailfleet.sandbox.reputation import placement
from mailfleet.sandbox.seeds import fraction
from mailfleet.sandbox.smartlead.state import Mailbox, smartlead
from mailfleet.sandbox.world import World

SEEDS = {"google": 10, "microsoft": 6, "postfix": 4}
_NAMES = {"google": "gmail", "microsoft": "outlook", "postfix": "other"}


def panel(world: World, *, burst: bool) -> list[dict[str, Any]]:
    """One test of every domain by both vendors now, a line for each provider."""
    number = world.state["panels"] = world.state.get("panels", 0) + 1
    lines: list[dict[str, Any]] = []
    for platform, boxes in _domains(world).items():
        for domain, box in sorted(boxes.items()):
            for provider, seeds in SEEDS.items():
                share = placement(world, box, provider)
                stem = f"{number}:{platform}:{domain}:{provider}"
                inbox = sum(fraction(world, "panel", f"{stem}:{seed}") < share for seed in range(seeds))
                lines.append(
                    {
                        "at": world.now.isoformat(), "platform": platform, "domain": domain, "domain_age": "old",
                        "provider": _NAMES[provider], "seeds": seeds, "inbox": inbox,
                        "source": f"panel {number}{' burst' if burst else ''}",
                    }
                )  # fmt: skip
    return lines


def _domains(world: World) -> dict[str, dict[str, Mailbox | Box]]:
    """Of the mailboxes that send campaigns at a vendor, one a domain."""
    new: dict[str, Mailbox | Box] = {}
    for item in smartlead(world).mailboxes.values():
        new.setdefault(item.domain, item)
    old: dict[str, Mailbox | Box] = {}
    for ws in forge(world).workspaces.values():
        for box in ws.boxes.values():
            old.setdefault(box.domain, box)
    both = new.keys() & old.keys()
    return {
        "smartlead": {name: box for name, box in new.items() if name in both},
        "forge": {name: box for name, box in old.items() if name in both},
    }
