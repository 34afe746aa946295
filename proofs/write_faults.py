"""Every write of every vendor, with every fault of the wire and its process killed on both sides of the call.

`python -m proofs.write_faults [seed] [sequences]`: each write meets each fate once, SIGKILL among them; then random
sequences of fates, each tried until it is known to be done. Counted at the sandbox: exactly one effect, or at most one
where nothing can be read.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.reconcile.deaths import Deaths
from tests.reconcile.deeds import Deed, Scene
from tests.reconcile.further_deeds import EVERY
from tests.reconcile.ordeal import DEATHS, FATES, Cut, any_sequence, ordeal, settled, states, watched
from tests.reconcile.vendors import opened
from tests.sandbox_fixture import Sandbox

from mailfleet import log
from mailfleet.services.context import Fleet
from mailfleet.store import migrate
from mailfleet.store.database import Database, execute
from mailfleet.store.embedded import LocalPostgres

WORLD = ("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
_number = itertools.count()


class Campaign:
    """The figures, and what went wrong."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn, self.rng = dsn, random.Random(seed)  # noqa: S311 - a seed, nothing secret
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def run(self, sequences: int) -> None:
        async with self._place() as (fleet, world, cut):
            for deed in EVERY:
                for fate in FATES:
                    await self._met(deed, fate, await self._one(deed, fate, fleet, world, cut), fleet, world)
            for deed in self._drawn(sequences):
                said = await self._sequence(deed, fleet, world, cut)
                await self._met(deed, "a sequence", said, fleet, world)

    def _drawn(self, sequences: int) -> list[Deed]:
        return [self.rng.choice([deed for deed in EVERY if deed.vendor != "namecheap"]) for _ in range(sequences)]

    async def _one(self, deed: Deed, fate: str, fleet: Fleet, world: Sandbox, cut: Cut) -> str:
        if deed.vendor != "namecheap":
            return await self._fated(deed, fate, fleet, world, cut)
        async with self._place() as (own, registrar, wire):  # it takes 20 calls a minute
            return await self._fated(deed, fate, own, registrar, wire)

    async def _fated(self, deed: Deed, fate: str, fleet: Fleet, world: Sandbox, cut: Cut) -> str:
        try:
            if fate in DEATHS:
                return await self._killed(deed, fate, fleet, world)
            return await ordeal(deed, fate, fleet, world, cut, f"y{next(_number)}y")
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    async def _killed(self, deed: Deed, fate: str, fleet: Fleet, world: Sandbox) -> str:
        scene = Scene(fleet, world, f"y{next(_number)}y", {"deed": deed})
        await deed.prepare(scene)
        watched(scene)
        before = len(await states(fleet, deed.operation))
        code = await asyncio.to_thread(Deaths(self.dsn, world.info).die, fate, scene.n, scene.have)
        left = (await states(fleet, deed.operation))[before:]
        return await settled(deed, fate, scene, before) if (code, left) == (-9, ["intended"]) else f"{code}, {left}"

    async def _sequence(self, deed: Deed, fleet: Fleet, world: Sandbox, cut: Cut) -> str:
        try:
            return await any_sequence(deed, self.rng, fleet, world, cut, f"y{next(_number)}y")
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    async def _met(self, deed: Deed, fate: str, said: str, fleet: Fleet, world: Sandbox) -> None:
        self.met[fate] += 1
        if said:
            self.wrong.append(said)
            say(f"{deed.name}, {fate}: {said}")
            async with fleet.db.connection() as db:
                await execute(db, "delete from mailfleet.journal where state in ('intended', 'ambiguous')")
        world.control("DELETE", "/faults")

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[tuple[Fleet, Sandbox, Cut]]:
        world, cut = Sandbox(*WORLD), Cut()
        try:
            async with Database(self.dsn) as database, opened(database, world.info, cut) as fleet:
                yield fleet, world, cut
        finally:
            world.close()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    seed, sequences = (int(given) for given in (*sys.argv[1:3], *("1", "100")[len(sys.argv[1:3]) :]))
    log.setup("error", "json")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder) / "pg", {"fsync": "off"}, throwaway=True).running() as server,
    ):
        dsn = server.ensure_database("proof")
        migrate.migrate(dsn)
        made = Campaign(dsn, seed)
        asyncio.run(made.run(sequences))
    readable = sum(deed.readable for deed in EVERY)
    writes = len({(deed.vendor, deed.operation) for deed in EVERY})
    say(f"seed {seed}: {writes} writes in {len(EVERY)} deeds, {readable} of them readable")
    say(", ".join(f"{fate} {times}" for fate, times in made.met.items()))
    say(f"{len(made.wrong)} of {made.met.total()} went wrong")
    return 1 if made.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
