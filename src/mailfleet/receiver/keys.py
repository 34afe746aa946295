"""The secrets that hooks of one platform sign with: read when first needed, and again when none of them fits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

AGAIN = 2.0
"""Seconds between two readings: somebody who sends rubbish does not make us read all day."""


class HookKeys:
    """Reads by `load`, which gives the secrets by hook; `clock` counts seconds, of real time where none is given."""

    def __init__(
        self, load: Callable[[], Awaitable[Mapping[str, str]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._clock = load, clock
        self._known: Sequence[str] = ()
        self._read_at = float("-inf")

    def known(self) -> Sequence[str]:
        return self._known

    async def again(self) -> Sequence[str]:
        """Those there are now: a hook may have been registered by another process a moment ago."""
        if self._clock() - self._read_at >= AGAIN:
            self._read_at = self._clock()
            self._known = tuple((await self._load()).values())
        return self._known
