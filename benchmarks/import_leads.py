"""Importing a lead file, beside csv.reader over the same file in one run; target 60,000 rows a second, flat memory.

`python benchmarks/import_leads.py [ROWS ...]`: 100,000 without more. fsync and synchronous_commit are on; every row is
validated, a tenth is refused for one of seven reasons, and the refusal report is written. The importer is a process of
its own, so that its memory is measured alone.
"""

from __future__ import annotations

import asyncio
import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET, MOST_MB = 60_000, 400
HEADER = ("email", "first_name", "last_name", "company", "job_title", "country", "phone", "source", "source_at")
FIRST = ("Ann", "Bo", "Cleo", "Dag", "Eve", "Finn", "Gro", "Håkon", "Ines", "José")
LAST = ("Abel", "Berg", "Conti", "Dunn", "Ek", "Falk", "Garcia", "Holm", "Ibsen", "Jung")


def write(path: Path, count: int) -> None:
    """Two and a half leads a company, as lists have them; one row in ten is faulty."""
    rng = random.Random(count)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for n in range(count):
            firm = rng.randrange(max(1, count * 2 // 5))
            first, last = rng.choice(FIRST), rng.choice(LAST)
            row = [
                f"{first.lower().replace('å', 'a').replace('é', 'e')}.{last.lower()}{n}@firm{firm}-mfdemo.com", first,
                last, f"Firm {firm} Works Pty Ltd", "Head of Operations", rng.choice(("DE", "US", "GB", "France")),
                f"+49 30 {n:07}", "Trade fair 2026", "2026-05-01T10:00:00Z",
            ]  # fmt: skip
            if n % 10 == 9:
                _spoil(row, n // 10 % 7)
            out.writerow(row)


def _spoil(row: list[str], fault: int) -> None:
    match fault:
        case 0:
            row[0] = row[0].replace("@", "@@")
        case 1:
            row[0] = ""
        case 2:
            row[1] = '=HYPERLINK("x")'
        case 3:
            row[0] = "info@" + row[0].partition("@")[2]
        case 4:
            row[5] = "AU"
        case 5:
            row[7] = ""
        case _:
            row[0] = "ann.abel0@firm0-mfdemo.com"


def reading(path: Path) -> float:
    begun = time.perf_counter()
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file):
            pass
    return time.perf_counter() - begun


async def importing(dsn: str, path: Path) -> None:
    """In a process of its own: seconds and the most memory it took."""
    from benchmarks.parts import fleet_on

    from mailfleet.services import imports

    async with fleet_on(dsn) as fleet:
        begun = time.perf_counter()
        report = await imports.import_leads(fleet, path, refusals_to=path.with_suffix(".refused.csv"))
        took = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{took} {memory} {report.taken} {report.refused} {report.rows}")


def measure(count: int) -> bool:
    from benchmarks.parts import database

    with tempfile.TemporaryDirectory() as folder, database() as dsn:
        path = Path(folder, "leads.csv")
        write(path, count)
        size = path.stat().st_size / 1e6
        bare = reading(path)
        command = [sys.executable, "-m", "benchmarks.import_leads", "--one", dsn, str(path)]
        told = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, text=True).stdout
        took, memory, taken, refused, rows = map(float, told.split())
    assert taken + refused == rows == count, told
    held = count / took >= TARGET and memory < MOST_MB
    speed = f"{took:7.1f} s, {count / took:8,.0f} rows/s, {took / bare:5.1f} × csv.reader, {memory:4.0f} MB"
    verdict = f"{taken:,.0f} taken, {refused:,.0f} refused: {'held' if held else 'MISSED'}"
    print(f"{count:>10,} rows, {size:6.0f} MB: {speed}, {verdict}", flush=True)
    return held


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        asyncio.run(importing(sys.argv[2], Path(sys.argv[3])))
        return 0
    held = [measure(count) for count in map(int, sys.argv[1:] or ["100000"])]
    print(f"target {TARGET:,} rows/s, under {MOST_MB} MB")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
