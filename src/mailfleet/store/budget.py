"""One budget of calls per API key over every process (V8): exact sliding windows, several at once, in real time.

The whole decision is one call of `mailfleet.api_take`, by the database's own clock, so the processes' clocks do not
matter. In no stretch of a window's length are more calls admitted than its limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Json

from mailfleet.store.database import Database, execute, value

Window = tuple[int, float]
"""At most this many calls in any stretch of this many seconds."""

SLACK = 0.05
"""Seconds added to every window: calls admitted evenly may arrive at the vendor a little closer together."""


class PostgresBudget:
    """Shared by all processes on one database."""

    def __init__(self, database: Database, *, slack: float = SLACK) -> None:
        self._database, self._slack = database, slack

    async def take(
        self, vendor: str, key_id: str, windows: Sequence[Window], *, reserved: float, urgent: bool
    ) -> float:
        """0: admitted and counted in every window. Else the seconds to wait before asking again; nothing was taken.

        `windows` are the plan's and hold until `learn` was called for the key. Of each window, max(1, limit·reserved)
        calls are kept for urgent ones.
        """
        async with self._database.connection() as db:
            return await value(
                db,
                "select mailfleet.api_take(%s, %s, %s::jsonb, %s::numeric, %s, %s::numeric)",
                [key_id, vendor, _json(windows), reserved, urgent, self._slack],
            )

    async def learn(self, vendor: str, key_id: str, windows: Sequence[Window]) -> None:
        """What the vendor's own headers say now; replaces the windows in use."""
        async with self._database.connection() as db:
            await execute(
                db,
                """insert into mailfleet.api_keys (key_id, vendor, windows, learned) values (%s, %s, %s, true)
                   on conflict (key_id) do update
                   set windows = excluded.windows, learned = true, updated_at = clock_timestamp()
                   where not api_keys.learned or api_keys.windows <> excluded.windows""",
                [key_id, vendor, _json(windows)],
            )

    async def block(self, vendor: str, key_id: str, seconds: float) -> None:
        """Nobody, urgent or not, calls with this key for so long (the vendor said `Retry-After`)."""
        async with self._database.connection() as db:
            await execute(
                db,
                """insert into mailfleet.api_keys (key_id, vendor, windows, blocked_until)
                   values (%(key)s, %(vendor)s, '[]', clock_timestamp() + make_interval(secs => %(seconds)s))
                   on conflict (key_id) do update
                   set blocked_until = greatest(api_keys.blocked_until, excluded.blocked_until)""",
                {"key": key_id, "vendor": vendor, "seconds": seconds},
            )


def _json(windows: Sequence[Window]) -> Json:
    return Json([list(window) for window in windows])
