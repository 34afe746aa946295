"""What the transport needs of the outside: plain types only, so that the store fits them without knowing us.

The Postgres ones live in `mailfleet.store`; the in-memory ones, for a single process, in `memory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

Window = tuple[int, float]
"""At most this many calls in any stretch of this many seconds."""
Settled = Literal["done", "refused", "ambiguous", "abandoned"]
"""abandoned: it never left this machine, so nothing can have happened."""
Noted = Literal["drift", "deadline"]
"""drift: an answer did not fit our model; deadline: how long is waited for an answer was changed."""
Admission = Literal["closed", "probe", "open"]


class Journal(Protocol):
    """Writes are recorded here, and the record is durable, before they leave (I5)."""

    async def intend(
        self,
        *,
        vendor: str,
        operation: str,
        key_id: str,
        target: str,
        request: Mapping[str, Any],
        match: Mapping[str, Any],
    ) -> str:
        """The id of a committed entry in state `intended`. `request` and `match` arrive redacted."""
        ...

    async def finish(self, entry: str, state: Settled, *, outcome: Mapping[str, Any], error: str = "") -> None: ...


class Budget(Protocol):
    """One budget per API key over every process that uses it (V8). Real time, never the injected clock."""

    async def take(
        self, vendor: str, key_id: str, windows: Sequence[Window], *, reserved: float, urgent: bool
    ) -> float:
        """0: admitted and counted in every window. Else the seconds to wait before asking again; nothing was taken.

        `windows` are the plan's and hold until `learn` was called for the key. Of each window, max(1, limit·reserved)
        calls are kept for urgent ones.
        """
        ...

    async def learn(self, vendor: str, key_id: str, windows: Sequence[Window]) -> None:
        """What the vendor's own headers say now; replaces the windows in use."""
        ...

    async def block(self, vendor: str, key_id: str, seconds: float) -> None:
        """Nobody, urgent or not, calls with this key for so long (the vendor said `Retry-After`)."""
        ...


class Circuit(Protocol):
    """Gives a failing vendor a rest: opens after repeated failures, then lets a single probe through."""

    async def admit(self, vendor: str) -> Admission:
        """`open`: do not call. `probe`: the caller alone may try; its result decides."""
        ...

    async def succeeded(self, vendor: str) -> None: ...

    async def failed(self, vendor: str, error: str) -> None: ...


class Calls(Protocol):
    """Every attempt, for availability and latency. Must return at once: collect, and write elsewhere."""

    def called(self, vendor: str, operation: str, status: str, *, ms: int, attempt: int) -> None:
        """`status` is the HTTP status, or the name of the failure; `attempt` counts from 1."""
        ...

    def noted(self, vendor: str, what: Noted, subject: str, detail: Mapping[str, Any]) -> None:
        """Something about the vendor worth remembering; the same fact again is one more time. `detail` is redacted."""
        ...
