"""Somebody who waits is told what for: a call that takes long says so while it does, not after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType


class Telling:
    """While the block lasts, `tell` is given `who` and `what` every so many seconds. `what` may change meanwhile."""

    def __init__(self, tell: Callable[[str], None] | None, who: str, every: float) -> None:
        self.what = ""
        self._tell, self._who, self._every = tell, who, every
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    def __enter__(self) -> Telling:
        if self._tell:
            self._since = time.monotonic()
            self._again()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._say)

    def _say(self) -> None:
        if self._tell:
            self._tell(f"{self._who}: {self.what}; {time.monotonic() - self._since:.0f} s so far")
        self._again()
