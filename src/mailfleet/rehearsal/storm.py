"""The end of a process at random calls to a vendor, before or after it was carried out; and answers that are lost."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Generator

import httpx2

from mailfleet.rehearsal.stage import Stage

ONE_IN, LOST_ONE_IN = 150, 40


class Killed(BaseException):
    """The process ends here: nothing that waits for an exception sees it, and nothing is written down."""


class Storm:
    """`lost`: answers of writes are lost too, the call being carried out or not."""

    def __init__(self, rng: random.Random, *, lost: bool = False, one_in: int = ONE_IN) -> None:
        self._rng, self._lost, self._one_in = rng, lost, one_in

    @staticmethod
    def none() -> Storm:
        return Storm(random.Random(0), one_in=0)  # noqa: S311 - never drawn from

    @contextlib.contextmanager
    def over(self, stage: Stage, *, on: bool) -> Generator[None]:
        wire = stage.wire
        if not on or not self._one_in:
            yield
            return
        wire.before, wire.after = self._before, self._after
        try:
            yield
        finally:
            wire.calm()

    def _before(self, request: httpx2.Request) -> None:
        self._maybe()
        if self._lost and request.method != "GET" and self._rng.randrange(LOST_ONE_IN) == 0:
            raise httpx2.ReadTimeout("no answer came; it never arrived", request=request)

    def _after(self, request: httpx2.Request) -> None:
        self._maybe()
        if self._lost and request.method != "GET" and self._rng.randrange(LOST_ONE_IN) == 0:
            raise httpx2.ReadTimeout("no answer came; it was carried out", request=request)

    def _maybe(self) -> None:
        if self._rng.randrange(2 * self._one_in) == 0:
            raise Killed
