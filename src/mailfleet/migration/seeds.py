"""Seed tests in, from whoever makes them: a vendor's placement tests, or a hand-made list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from mailfleet.errors import BadFile
from mailfleet.services.context import Fleet
from mailfleet.store import verdicts

Age = Literal["young", "middle", "old", "warmed_elsewhere"]
"""Of the domain: below 30 days, 30 to 90, more, or warmed on another platform."""


class SeedTest(msgspec.Struct, frozen=True, kw_only=True):
    """One domain at one provider."""

    at: datetime
    platform: str
    domain: str
    domain_age: Age
    provider: str
    seeds: int
    inbox: int
    source: str = ""


async def record(fleet: Fleet, lines: bytes, *, burst: bool) -> int:
    """How many were new. Raises BadFile naming the line; then nothing is recorded."""
    tests = [_read(number, line) for number, line in enumerate(lines.splitlines(), 1) if line.strip()]
    return await add(fleet, tests, burst=burst)


async def add(fleet: Fleet, tests: list[SeedTest], *, burst: bool) -> int:
    new = 0
    async with fleet.db.transaction() as db:
        for test in tests:
            new += await verdicts.add_test(
                db, at=test.at.astimezone(UTC), platform=test.platform, domain=test.domain,
                domain_age=test.domain_age, provider=test.provider, seeds=test.seeds, inbox=test.inbox, burst=burst,
                source=test.source,
            )  # fmt: skip
    return new


def _read(number: int, line: bytes) -> SeedTest:
    try:
        test = msgspec.json.decode(line, type=SeedTest)
    except msgspec.DecodeError as error:
        raise BadFile(f"Line {number}: {error}.", hint="Nothing was recorded.") from error
    if not 0 <= test.inbox <= test.seeds or test.seeds < 1:
        raise BadFile(f"Line {number}: {test.inbox} of {test.seeds} cannot be.", hint="Nothing was recorded.")
    return test
