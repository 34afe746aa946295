"""Rubbish at the receiver's door: no 5xx of our own making, no hang, no crash, and good webhooks go on being stored.

Malformed and truncated JSON, huge numbers, lone surrogates, NUL, deep nesting, duplicate keys, compressed bombs, wrong
lengths, odd headers and paths, and mutations of real bodies; each case is sent raw, over a socket of its own, and
between them a good webhook has to be answered with 200.

    python -m proofs.receiver_fuzz [--cases 3000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg

from proofs import ground
from proofs.receiver_crash import SECRET, TOKEN, receive

PATIENCE = 20.0
"""Seconds for one answer."""
PATH = f"/hooks/{TOKEN}/smartlead"


class Figures(msgspec.Struct, kw_only=True):
    cases: int = 0
    answers: dict[str, int] = {}
    own_5xx: list[str] = []
    hung: list[str] = []
    good_sent: int = 0
    good_stored: int = 0
    seconds: float = 0.0


def good(n: int) -> bytes:
    return json.dumps({**ground.webhook(n), "secret_key": SECRET, "good": n}).encode()


def odd(rng: random.Random) -> bytes:
    """A body that no vendor would send."""
    made: tuple[Callable[[], bytes], ...] = (
        lambda: good(rng.randrange(10**6))[: rng.randrange(1, 300)],
        lambda: _flipped(good(rng.randrange(10**6)), rng),
        lambda: b'{"secret_key":"s","n":' + b"9" * rng.choice((40, 400, 40_000)) + b"}",
        lambda: b'{"secret_key":"s","n":' + rng.choice(NUMBERS) + b"}",
        lambda: b'{"secret_key":"s","text":"\\ud8' + rng.choice((b"00", b"3d", b"ff")) + b' lone"}',
        lambda: b'{"secret_key":"s","text":"\\u0000"}',
        lambda: b'{"secret_key":"s","\\u0000\\udc00":1}',
        lambda: b'{"secret_key":"s","text":"\x00\x01\x1f"}',
        lambda: _nested(rng.choice((10, 500, 5000, 200_000)), rng.choice((b"[", b'{"a":'))),
        lambda: b'{"secret_key":"s",' + b",".join(b'"k":%d' % n for n in range(rng.randrange(1, 3000))) + b"}",
        lambda: b'{"secret_key":' + rng.choice((b"[]", b"{}", b"true", b"null", b'"\\u00e9"', b"1.5")) + b"}",
        lambda: b'{"secret_key":"s","event_timestamp":"' + rng.choice(TIMES) + b'"}',
        lambda: json.dumps({"secret_key": SECRET, "event_type": [1], "event_timestamp": {"a": 1}}).encode(),
        lambda: gzip.compress(b" " * 10_000_000),
        lambda: rng.randbytes(rng.randrange(2000)),
        lambda: b"\xef\xbb\xbf" + good(1),
        lambda: good(2).decode().encode("utf-16"),
        lambda: b'{"secret_key":"s","text":"' + b"x" * ((1 << 20) + rng.randrange(10)) + b'"}',
        lambda: rng.choice((b"", b"null", b"[]", b'"x"', b"{}", b"0", b"{" * 9)),
    )
    return rng.choice(made)()


NUMBERS = (b"1e400", b"-1e999999", b"1E+2147483648", b"NaN", b"-0")
PATHS = ("/hooks/" + "a" * 9000, "/hooks/%00/x", "//", "/hooks/t/é", "/x")
TIMES = (b"0000-00-00", b"9999-12-31T23:59:59+14:00", b"0001-01-01T00:00:00-14:00", b"1e9", b"2026-02-30", b"\\u0000")


def _flipped(body: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _nested(depth: int, opening: bytes) -> bytes:
    closing = {b"[": b"]"}.get(opening, b"}")
    return b'{"secret_key":"s","deep":' + opening * depth + b"1" + closing * depth + b"}"


def request(body: bytes, rng: random.Random) -> bytes:
    path = PATH if rng.random() < 0.9 else rng.choice(PATHS)
    more = rng.choice(("", "", "content-encoding: gzip\r\n", "x-smartlead-signature: sha256=zz\r\n", "x-a: \x7f\r\n"))
    length = len(body) if rng.random() < 0.95 else rng.choice((0, len(body) // 2))
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n"
    return head.encode("utf-8") + body


async def answer(port: int, raw: bytes) -> str:
    """The status, "closed" for none, "hung" for no end."""
    try:
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
        writing.write(raw)
        line = await asyncio.wait_for(reading.readline(), PATIENCE)
        writing.close()
    except TimeoutError:
        return "hung"
    except OSError:
        return "closed"
    return line.split()[1].decode() if len(line.split()) > 1 else "closed"


async def throw(port: int, cases: int, rng: random.Random, figures: Figures) -> None:
    counted: Counter[str] = Counter()
    plain = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: "
    for n in range(cases):
        raw = request(odd(rng), rng)
        status = await answer(port, raw)
        counted[status] += 1
        if status.startswith("5"):
            figures.own_5xx.append(repr(raw[-120:]))
        elif status == "hung":
            figures.hung.append(repr(raw[-120:]))
        if n % 10 == 0:
            body = good(10**7 + n)
            figures.good_sent += await answer(port, f"{plain}{len(body)}\r\n\r\n".encode() + body) == "200"
    figures.answers = dict(sorted(counted.items()))
    figures.cases = cases


def run(home: Path, *, cases: int, seed: int) -> Figures:
    figures, began = Figures(), time.monotonic()
    with ground.server(home / "postgres") as (_, dsn), socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        process = multiprocessing.get_context("fork").Process(target=receive, args=(dsn, listening), daemon=True)
        process.start()
        rng = random.Random(seed)  # noqa: S311 - a seed, so that a case can be had again
        asyncio.run(throw(listening.getsockname()[1], cases, rng, figures))
        assert process.is_alive()
        process.terminate()
        process.join()
        with psycopg.connect(dsn) as db:
            found = db.execute("select count(*) from mailfleet.webhook_inbox where (body->>'good')::int >= 10000000")
            figures.good_stored = (found.fetchone() or (0,))[0]
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--cases", type=int, default=3000)
    given.add_argument("--seed", type=int, default=1)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), cases=asked.cases, seed=asked.seed)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")
    wanted = (asked.cases + 9) // 10
    return 1 if figures.own_5xx or figures.hung or figures.good_stored != wanted or figures.good_sent != wanted else 0


if __name__ == "__main__":
    sys.exit(main())
