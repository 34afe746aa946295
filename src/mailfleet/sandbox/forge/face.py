"""Every endpoint of the four products."""

from __future__ import annotations

from starlette.routing import BaseRoute

from mailfleet.sandbox.forge import contacts, core, infraforge, multichannel, sequences, warmforge
from mailfleet.sandbox.world import World

VENDORS = ("salesforge", "multichannel", "warmforge", "infraforge", "mailforge")
_FACES = (sequences, contacts, core, multichannel, warmforge, infraforge)


def routes(world: World) -> list[BaseRoute]:
    """All of them, in one process."""
    return [entry for face in _FACES for entry in face.routes(world)]
