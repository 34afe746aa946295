"""Finds the route of a path among hundreds: only those that could match are asked, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

# Vendors' paths differ in their fourth part (`/smartlead/api/v1/campaigns`) and in their last.
_TELLING = 3
Key = tuple[int, str | None, str | None]


@dataclass(frozen=True)
class _Shape:
    """What a path must be for a route to match it; None where a route takes anything."""

    length: int | None
    telling: str | None
    last: str | None

    def fits(self, key: Key) -> bool:
        length, telling, last = key
        if self.length is None:
            return True
        return self.length == length and self.telling in (None, telling) and self.last in (None, last)


class Indexed(Router):
    """A router that looks only at the routes of a path's shape; otherwise as Starlette's own."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        super().__init__(routes, redirect_slashes=False)
        self._shapes = [_shape(route) for route in routes]
        self._telling = {shape.telling for shape in self._shapes}
        self._last = {shape.last for shape in self._shapes}
        self._few: dict[Key, Router] = {}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request to the router of its shape."""
        parts = scope["path"].split("/")
        telling = _part(parts, _TELLING + 1)
        key = (
            len(parts),
            telling if telling in self._telling else None,
            parts[-1] if parts[-1] in self._last else None,
        )
        found = self._few.get(key)
        if found is None:
            of_shape = [route for route, shape in zip(self.routes, self._shapes, strict=True) if shape.fits(key)]
            found = self._few[key] = Router(of_shape, redirect_slashes=False)
        await found.app(scope, receive, send)


def _shape(route: BaseRoute) -> _Shape:
    if not isinstance(route, Route) or ":path}" in route.path:
        return _Shape(None, None, None)
    parts = route.path.split("/")
    return _Shape(len(parts), _fixed(_part(parts, _TELLING + 1)), _fixed(parts[-1]))


def _part(parts: Sequence[str], at: int) -> str | None:
    return parts[at] if at < len(parts) else None


def _fixed(part: str | None) -> str | None:
    return None if part is None or "{" in part else part
