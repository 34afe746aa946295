"""The stateful test of the way back, many times longer, and the model of its protocol searched deeper.

python -m proofs.saga_stateful [EXAMPLES]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.migration import model
from tests.migration.test_stateful import walk

from mailfleet.store import migrate
from mailfleet.store.embedded import LocalPostgres

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DEEP = ((1, 2, 2, 2), (2, 1, 1, 2), (2, 2, 2, 2))
"""executors, crashes, lost calls, answers not waited for."""


def main(examples: int) -> int:
    wrong = 0
    for workers, crashes, losses, doubts in DEEP:
        began = time.process_time()
        found = model.search(model.Ours(workers=workers, crashes=crashes, losses=losses, doubts=doubts))
        wrong += len(found.wrong) + found.stuck
        sys.stdout.write(
            f"model, {workers} executors, {crashes} crashes, {losses} losses, {doubts} doubts: {found.states} states, "
            f"{found.wrong or 'no fault'}, {found.stuck} stuck, {time.process_time() - began:.0f} s\n"
        )
        sys.stdout.flush()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "postgres", FAST, throwaway=True).running() as server,
    ):
        dsn = server.ensure_database("walks")
        migrate.migrate(dsn)
        walk(dsn, examples=examples, steps=40)
    sys.stdout.write(f"{examples} walks of 40 steps: no invariant broken\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
