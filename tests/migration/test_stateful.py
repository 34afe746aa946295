"""Anything may happen to a way back, in any order: the real executor between two vendors that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.migration.desks import STEPS, Pair, pair
from tests.migration.kills import Boundary, Killed, clear, finished, opened, stands, to_the_end

from mailfleet.migration import saga as sagas_do
from mailfleet.migration.saga import Executor, Pace
from mailfleet.rules.migration.saga import next_action
from mailfleet.store import sagas
from mailfleet.store.database import Database

FATES = st.lists(st.sampled_from(["ok", "ok", "lost", "done", "late", "refused"]), max_size=4)
OLD = Pace(lease=timedelta(hours=1))
SLOW = Pace(lease=timedelta(seconds=-1))


class WayBack(RuleBasedStateMachine):
    """One saga over two campaigns. An executor with a lease waits for the other; one without takes over at once."""

    dsn: ClassVar[str]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(automatic=st.booleans())
    def begin(self, automatic: bool) -> None:
        self.stopped: set[str] = set()
        self.committed: int | None = None
        self.database = Database(self.dsn, max_size=3)
        self.world: Pair = self.do(self._begin())
        self.saga = self.do(opened(self.world, automatic=automatic))

    async def _begin(self) -> Pair:
        await self.database.open()
        await clear(self.database)
        return await pair(self.database, leads=(2, 1))

    @rule(fates=FATES, most=st.integers(1, 8))
    def tick(self, fates: list[str], most: int) -> None:
        self.world.old.next = fates
        for _ in range(most):
            self.do(Executor(self.world.fleet, self.saga.id, pace=OLD, judge=stands).advance())

    @rule(fates=FATES, most=st.integers(1, 3))
    def trouble_on_the_new_side(self, fates: list[str], most: int) -> None:
        self.world.new.next = fates
        for _ in range(most):
            self.do(Executor(self.world.fleet, self.saga.id, pace=OLD, judge=stands).advance())

    @rule(at=st.integers(1, 4))
    def killed_and_started_again(self, at: int) -> None:
        try:
            dying = Executor(self.world.fleet, self.saga.id, pace=OLD, judge=stands, reached=Boundary(at))
            self.do(dying.run(most=3))
        except Killed:
            pass
        self.do(Executor(self.world.fleet, self.saga.id, pace=SLOW, judge=stands).advance())

    @rule()
    def two_at_once(self) -> None:
        async def both() -> None:
            one = Executor(self.world.fleet, self.saga.id, pace=OLD, judge=stands)
            two = Executor(self.world.fleet, self.saga.id, pace=SLOW, judge=stands)
            await asyncio.gather(one.advance(), two.advance())

        self.do(both())

    @rule(minutes=st.sampled_from([1, 20, 600]))
    def time_passes(self, minutes: int) -> None:
        self.world.later(minutes=minutes)

    @rule()
    def late_calls_arrive(self) -> None:
        self.world.new.deliver()
        self.world.old.deliver()

    @rule(most=st.integers(1, 3))
    def somebody_sends(self, most: int) -> None:
        self.world.new.send(most=most)
        self.world.old.send(most=most)

    @rule(n=st.integers(0, 2))
    def somebody_replies(self, n: int) -> None:
        async def reply() -> None:
            email = (await self.world.owners())[n][0]
            self.stopped.add(email)
            self.world.new.ends(email)
            self.world.old.ends(email)
            await self.world.do(
                """update mailfleet.lead_ownership o set state = 'stopped', updated_at = now() from mailfleet.leads l
                   where l.id = o.lead_id and l.email_norm = %s""",
                email,
            )

        self.do(reply())

    @rule()
    def the_vendor_pauses_a_campaign(self) -> None:
        first = next(iter(self.world.new.made.values()))
        first.state = "paused" if first.state == "running" else first.state

    @rule()
    def called_off(self) -> None:
        self.do(sagas_do.abort(self.world.fleet, self.saga.id, "a person"))

    @rule(what=st.sampled_from(["proceed", "resume"]))
    def decided(self, what: Any) -> None:
        async def decide() -> None:
            async with self.world.fleet.db.transaction() as db:
                await sagas.decide(db, self.saga.id, what, "ann")

        self.do(decide())

    @invariant()
    def nothing_goes_out_twice(self) -> None:
        assert self.world.twice() == []

    @invariant()
    def the_old_side_sends_after_the_commit_alone(self) -> None:
        now = self.do(self._saga())
        assert self.committed in (None, now.committed), "a committed epoch changed"
        self.committed = now.committed
        running = [each for each in self.world.old.made.values() if each.state == "running"]
        assert not running or now.committed is not None
        imported = any(each.leads for each in self.world.old.made.values())
        assert not imported or self.do(self._still())

    async def _saga(self) -> Any:
        async with self.world.fleet.db.connection() as db:
            return await sagas.get(db, self.saga.id)

    async def _still(self) -> bool:
        found = await self.world.ask(
            "select 1 from mailfleet.saga_journal where saga_id = %s and kind = 'still' and outcome = 'ok'",
            self.saga.id,
        )
        return bool(found)

    def teardown(self) -> None:
        if not hasattr(self, "saga"):
            return
        self.do(self._ends())
        self.do(self.database.close())

    async def _ends(self) -> None:
        world = self.world
        world.new.next = world.old.next = []
        async with world.fleet.db.transaction() as db:
            await sagas.decide(db, self.saga.id, "proceed", "ann")
        ended = await finished(world, self.saga)
        for campaign in world.new.made.values():  # what the vendor or a late pause stopped, a person starts again
            if ended.outcome == "stopped":
                campaign.state = "running"
        to_the_end(world)
        assert world.twice() == []
        mails = {email: sum(to == email for _, to, _ in world.log) for email, _, _ in await world.owners()}
        assert all(n == STEPS for email, n in mails.items() if email not in self.stopped), mails
        async with world.fleet.db.connection() as db:
            lines = await sagas.journal(db, self.saga.id)
            again = await sagas_do.view(db, ended, lines, timedelta())
        assert next_action(again).why == "ended"


def test_no_order_of_events_breaks_an_invariant(postgres: Any, dsn: str) -> None:
    walk(dsn, examples=5, steps=20)


def walk(dsn: str, *, examples: int, steps: int) -> None:
    WayBack.dsn = dsn
    with asyncio.Runner() as runner:
        WayBack.loop = runner.get_loop()
        run_state_machine_as_test(
            WayBack,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
