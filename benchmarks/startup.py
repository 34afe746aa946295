"""What `mailfleet --help` costs, beside bare Python in the same run. CPU seconds, median of several; target 0.25 s."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

TARGET = 0.25
RUNS = 9


def cpu(argv: list[str]) -> float:
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def median(argv: list[str]) -> float:
    cpu(argv)
    return statistics.median(cpu(argv) for _ in range(RUNS))


def main() -> int:
    bare = median([sys.executable, "-c", "pass"])
    rows = {
        "--help": median([sys.executable, "-m", "mailfleet.cli", "--help"]),
        "config --help": median([sys.executable, "-m", "mailfleet.cli", "config", "--help"]),
    }
    print(f"bare Python           {bare:6.3f} s of CPU")
    for name, seconds in rows.items():
        print(f"mailfleet {name:<12}{seconds:6.3f} s of CPU, {seconds / max(bare, 0.001):5.1f} × bare")
    held = rows["--help"] < TARGET
    print(f"target {TARGET} s: {'held' if held else 'MISSED'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
