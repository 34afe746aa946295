"""Rubbish given to the importer: each file is imported, or ends with what is wrong with it; no crash, no hang.

Broken encodings, NUL, lone surrogates, huge numbers, deep nesting, formula cells, quotes never closed, headers of a
million columns, zip and gzip bombs, workbooks with their parts damaged, and mutations of good files of every kind. Each
goes through the whole importer into a real Postgres; whatever was stored must hold no formula and no zero byte.

    python -m proofs.importer_fuzz [CASES [SEED]]: 2,000 without more
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import openpyxl
import psycopg

from mailfleet.errors import MailfleetError
from mailfleet.services import clients, imports
from mailfleet.services.context import Fleet
from mailfleet.store import migrate
from mailfleet.store.embedded import LocalPostgres
from proofs import ground

PATIENCE = 120.0
"""Seconds for one file."""
NAMES = (
    "email",
    "first_name",
    "last_name",
    "company",
    "country",
    "source",
    "notes",
    "E-Mail",
    "",
    "\ufeffemail",
    "x" * 300,
)
CELLS = (
    "bo@firm-mfdemo.com", "Bo", "DE", "fair", "", " ", "=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\x00",
    "a\x00b", "\ufeff", "\u202e", "é" * 40, "😀", "9" * 400, "1e999", "NaN", "\\N", "\\.", "a\\tb", "'; drop table x",
    "a@b.com;c@d.com", "<bo@firm-mfdemo.com>", "ø@x.dk", "x" * 5000, '"', '""', "a\nb", "a\r\nb", "\x1a", "\x85",
    "2026-13-45", "0001-01-01", "{}", "[", "null", "Bo@[127.0.0.1]", '"a b"@x.com', "a@" + "b." * 120 + "com",
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "cp1251", "shift_jis", "utf-7", "big5", "mac_roman")


def table(rng: random.Random) -> list[list[str]]:
    width = rng.randrange(1, 9)
    header: list[str] = ["email", *(rng.choice(NAMES[1:]) for _ in range(width))]
    if rng.random() < 0.2:
        header[0] = rng.choice(NAMES)
    rng.shuffle(header) if rng.random() < 0.3 else None
    rows = [[rng.choice(CELLS) for _ in range(rng.randrange(0, width + 3))] for _ in range(rng.randrange(0, 30))]
    for n, row in enumerate(rows):
        if rng.random() < 0.5:
            row[:1] = [f"p{rng.randrange(10**9)}.{n}@firm{n}-mfdemo.com"]
    return [header, *rows]


def as_csv(rng: random.Random) -> bytes:
    out = io.StringIO(newline="")
    rows = table(rng)
    if rng.random() < 0.8:
        style = csv.QUOTE_ALL if rng.random() < 0.3 else csv.QUOTE_MINIMAL
        writer = csv.writer(
            out, delimiter=rng.choice(",;\t|"), quoting=style, lineterminator=rng.choice(("\n", "\r\n", "\r"))
        )
        writer.writerows(rows)
    else:
        out.write(rng.choice(("\n", "\r\n", "\r")).join(rng.choice(",;\t|").join(row) for row in rows))
    return out.getvalue().encode(rng.choice(("utf-8", rng.choice(ENCODINGS))), "replace")


def as_lines(rng: random.Random) -> bytes:
    header, *rows = table(rng)
    made = [json.dumps(dict(zip(header, row, strict=False))) for row in rows]
    odd = (
        '{"email":' + "[" * rng.choice((10, 2000, 200_000)),
        '{"email":"a@b.com","n":' + "9" * rng.choice((40, 40_000)) + "}",
        '{"email":"\\ud800@b.com"}', '{"email":"a@b.com","email":"c@d.com"}', '{"email":["a@b.com"]}', '{"email":null}',
        '{"email":{"a":{"b":[1,2]}}}', '{"a\\u0000b":"1","email":"a\\u0000@b.com"}', "[]", "1", "nul", "{}", "",
        json.dumps({f"k{n}": n for n in range(rng.choice((10, 1500)))}), '{"email":1e999}', '{"email":true}',
    )  # fmt: skip
    for _ in range(rng.randrange(3)):
        made.insert(rng.randrange(len(made) + 1), rng.choice(odd))
    return "\n".join(made).encode()


def as_workbook(rng: random.Random) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in table(rng):
        sheet.append(["".join(c for c in cell if c >= " " and c not in "\ufffe\uffff")[:3000] for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def damaged_workbook(rng: random.Random) -> bytes:
    """A part of it cut, repeated, swollen or replaced, in an archive that is whole."""
    out, changed = io.BytesIO(), rng.randrange(8)
    with zipfile.ZipFile(io.BytesIO(as_workbook(rng))) as book, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for n, name in enumerate(book.namelist()):
            part = book.read(name)
            if n == changed:
                part = rng.choice(
                    (b"", part[: len(part) // 2], flipped(part, rng), bytes(rng.choice((99, 70 << 20))), part * 3)
                )
            made.writestr(name, part)
    return out.getvalue()


def wide(rng: random.Random) -> bytes:
    return b"email" + rng.choice((b",", b";", b",x")) * rng.choice((999, 1001, 1_000_000)) + b"\na@b.com\n"


def bomb(rng: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/workbook.xml", bytes(70 << 20))
    return rng.choice((gzip.compress(bytes(70 << 20)), out.getvalue(), gzip.compress(gzip.compress(b"email\n" * 9))))


def noise(rng: random.Random) -> bytes:
    head = rng.choice(
        (b"", b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"email\n")
    )
    return head + rng.randbytes(rng.choice((0, 1, 10, 600, 20_000)))


def flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 8)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


MAKERS: tuple[tuple[int, Callable[[random.Random], bytes]], ...] = (
    (40, as_csv), (20, as_lines), (8, as_workbook), (8, damaged_workbook), (10, noise), (2, wide), (1, bomb),
)  # fmt: skip


def content(rng: random.Random) -> bytes:
    [(_, make)] = rng.choices(MAKERS, [weight for weight, _ in MAKERS])
    made = make(rng)
    if rng.random() < 0.3 and make not in (bomb, wide):
        made = flipped(made, rng) if rng.random() < 0.7 else made[: rng.randrange(len(made) + 1)]
    return gzip.compress(made) if rng.random() < 0.1 else made


async def one(fleet: Fleet, path: Path) -> str:
    """What became of the file, in a word."""
    try:
        report = await asyncio.wait_for(imports.import_leads(fleet, path), PATIENCE)
    except MailfleetError as error:
        return f"refused: {error.code}"
    except TimeoutError:
        return "HUNG"
    except Exception as error:  # whatever else comes out of the importer is what is looked for
        return f"CRASHED: {type(error).__name__}: {str(error)[:200]}"
    return "imported" if report.taken + report.refused == report.rows else "LOST ROWS"


async def feed(dsn: str, folder: Path, cases: int, seed: int) -> Counter[str]:
    fleet, ends = ground.fleet(dsn), Counter[str]()
    async with fleet.db:
        await clients.put_client(fleet, "c", name="C")
        for n in range(cases):
            rng = random.Random(f"{seed}:{n}")  # noqa: S311 - one file is made again by its number
            path = folder / "leads"
            path.write_bytes(content(rng))
            became = await one(fleet, path)
            ends[became] += 1
            if became[0].isupper():
                sys.stdout.write(f"file {n} of seed {seed}: {became}\n")
            if became == "HUNG":
                break
    return ends


def stored_badly(dsn: str) -> int:
    with psycopg.connect(dsn) as db:
        found = db.execute(
            r"""select count(*) from mailfleet.leads
                where email ~ '^[=+@-]' or first_name ~ '^\s*[=@]' or company ~ '^\s*[=@]' or email !~ '@'"""
        ).fetchone()
    return found[0] if found else 0


def prove(cases: int, seed: int, folder: Path) -> int:
    with LocalPostgres(folder / "postgres").running() as server:
        dsn = server.ensure_database("fuzz")
        migrate.migrate(dsn)
        begun = time.monotonic()
        ends = asyncio.run(feed(dsn, folder, cases, seed))
        bad = stored_badly(dsn)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    told = ", ".join(f"{n} {what}" for what, n in sorted(ends.items()))
    holds = not bad and not any(what[0].isupper() for what in ends)
    sys.stdout.write(
        f"{cases} files, {time.monotonic() - begun:.0f} s, {memory} MB: {told}; {bad} stored badly: "
        f"{'holds' if holds else 'BROKEN'}\n"
    )
    return 0 if holds else 1


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        return prove(cases, seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
