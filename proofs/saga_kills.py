"""The process ended at every boundary of a rollback's journal, each one, and started again: the same final state.

python -m proofs.saga_kills
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.migration import kills

from mailfleet.store import migrate
from mailfleet.store.database import Database
from mailfleet.store.embedded import LocalPostgres

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


async def prove(dsn: str) -> int:
    async with Database(dsn) as database:
        wanted, names = await kills.once(database, 0)
        different = [names[at - 1] for at in range(1, len(names) + 1) if (await kills.once(database, at))[0] != wanted]
    sys.stdout.write(f"{len(names)} boundaries, {len(different)} ended differently {different}\n")
    return 1 if different else 0


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "postgres", FAST, throwaway=True).running() as server,
    ):
        dsn = server.ensure_database("kills")
        migrate.migrate(dsn)
        return asyncio.run(prove(dsn))


if __name__ == "__main__":
    sys.exit(main())
