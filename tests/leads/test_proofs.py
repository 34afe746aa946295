"""Small seeded parts of the proofs about leads: kills of the pusher, of an import, of Postgres; rubbish imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_lead_is_there_once_after_kills_of_the_pusher_and_of_postgres() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proofs.pusher_crash", "2", "3"], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout


def test_an_import_killed_with_its_postgres_goes_on_and_ends_as_one_undisturbed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proofs.import_crash", "1", "3"], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as undisturbed" in done.stdout


def test_rubbish_is_imported_or_refused_with_what_is_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proofs.importer_fuzz", "25", "11"], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout
