"""Importing a lead file; target 60,000 rows a second, flat memory.

`python benchmarks/import_leads.py [ROWS ...]`: 100,000 without more. fsync and synchronous_commit are on; every row is
validated, a tenth is refused for one of seven reasons, and the refusal report is written. The importer is a process of
its own, so that its memory is measured alone. Beside it, in the same run: csv.reader over the same file; the same
server's bare COPY of the leads that were taken, into a table without indexes; and the same COPY into one with the
indexes that leads have, which is what Postgres alone makes of such rows.
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


def copying(dsn: str, folder: Path, *, indexed: bool) -> float:
    """Seconds for one COPY of what was imported, committed."""
    import psycopg

    lines = folder / "leads.copy"
    with psycopg.connect(dsn) as db, db.cursor() as cursor:
        if not lines.exists():
            with lines.open("wb") as out, cursor.copy("copy mailfleet.leads to stdout") as rows:
                for block in rows:
                    out.write(block)
        kind = "including all" if indexed else ""
        cursor.execute(f"create table bare (like mailfleet.leads {kind})")  # type: ignore[arg-type]
        db.commit()
        begun = time.perf_counter()
        with lines.open("rb") as file, cursor.copy("copy bare from stdin") as copy:
            while block := file.read(1 << 20):
                copy.write(block)
        db.commit()
        took = time.perf_counter() - begun
        cursor.execute("drop table bare")
    return took


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
        plain, indexed = (taken / copying(dsn, Path(folder), indexed=each) for each in (False, True))
    assert taken + refused == rows == count, told
    held = count / took >= TARGET and memory < MOST_MB
    pace = count / took
    speed = f"{took:7.1f} s, {pace:8,.0f} rows/s, {took / bare:5.1f} × csv.reader, {memory:4.0f} MB"
    beside = f"{pace / plain:.2f} of bare COPY ({plain:,.0f}/s), {pace / indexed:.2f} of indexed ({indexed:,.0f}/s)"
    verdict = f"{beside}, {taken:,.0f} taken, {refused:,.0f} refused: {'held' if held else 'MISSED'}"
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
