"""What every flow has around its work: the parts, one run at a time, a row of ours, a table for people, and a way to
run when the orchestrator is away.

A flow is written as

    @specified(name=…, description=…, tags=[…])
    async def some_flow(thing: str) -> dict[str, Any]:
        async def work(fleet: Fleet) -> dict[str, Any]:
            return {"made": await step(make_task, thing)}
        return await run("some", key=f"some:{thing}", parameters={"thing": thing}, work=work, skipped={"made": 0})

Its tasks take the parts from `current()`. Truth never lives in Prefect: `plain` gives the same result without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import structlog
from prefect import Flow, Task
from prefect import tags as tagged
from prefect.artifacts import acreate_table_artifact
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from mailfleet.clock import SystemClock
from mailfleet.errors import MailfleetError
from mailfleet.services.context import Fleet
from mailfleet.store import flow_results

P = ParamSpec("P")
R = TypeVar("R")
Result = dict[str, Any]
Work = Callable[[Fleet], Awaitable[Result]]

_given: ContextVar[Fleet | None] = ContextVar("mailfleet_given_fleet", default=None)
_running: ContextVar[Fleet | None] = ContextVar("mailfleet_running_fleet", default=None)
log = structlog.get_logger(__name__)


class SpecifiedFlow(Flow[P, R]):
    """A flow that knows its tags: every run called from code carries them. Prefect's own decorator takes none; a
    deployment is given `tags=flow.tags`."""

    tags: tuple[str, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    async def _call(self, *args: Any, **kwargs: Any) -> Any:
        with tagged(*self.tags):
            called: Any = super().__call__(*args, **kwargs)
            return await called


def specified(
    *, name: str, description: str, tags: Sequence[str], task_runner: Any = None
) -> Callable[[Callable[P, R]], SpecifiedFlow[P, R]]:
    """`@flow` with the specification's four: name, description, tags and task runner."""

    def wrap(fn: Callable[P, R]) -> SpecifiedFlow[P, R]:
        flow = SpecifiedFlow(fn, name=name, description=description, task_runner=task_runner)
        flow.tags = tuple(tags)
        return flow

    return wrap


@contextlib.contextmanager
def using(fleet: Fleet) -> Generator[Fleet]:
    """Flows called within run on `fleet` instead of opening parts of their own (demo, tests, command line)."""
    token = _given.set(fleet)
    try:
        yield fleet
    finally:
        _given.reset(token)


def current() -> Fleet:
    """The parts of the flow that is running; for tasks."""
    if fleet := _running.get() or _given.get():
        return fleet
    raise MailfleetError(
        "A task was called outside of its flow.", hint="Call the flow, or wrap the call in `shell.using(fleet)`."
    )


@contextlib.asynccontextmanager
async def parts() -> AsyncGenerator[Fleet]:
    """The given parts, or those that the settings describe, opened for this run and closed after it."""
    if fleet := _given.get():
        yield fleet
        return
    from mailfleet.settings import get_settings
    from mailfleet.wiring import open_fleet

    async with open_fleet(get_settings()) as fleet:
        yield fleet


async def step(task: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A task, recorded by Prefect within a Prefect run and called plainly otherwise."""
    return await (task(*args, **kwargs) if FlowRunContext.get() else task.fn(*args, **kwargs))


async def run(
    name: str,
    *,
    key: str,
    parameters: Mapping[str, object],
    work: Work,
    skipped: Mapping[str, object],
    max_lag: timedelta | None = None,
) -> Any:
    """Does `work` once at a time for `key` and records it in flow_results.

    When another run holds the key, or a schedule's slot is later than `max_lag`, nothing is done: the result is
    `skipped` plus `skipped: true` and the `reason`, and Prefect shows the run as Skipped.
    """
    if late := _too_late(max_lag):
        return _skip(skipped, late)
    async with parts() as fleet, fleet.db.single_flight(key) as mine:
        if not mine:
            return _skip(skipped, f"another run is working on {key}")
        token = _running.set(fleet)
        try:
            return await _recorded(fleet, name, parameters, work)
        finally:
            _running.reset(token)


async def plain(flow: Flow[..., Any], *args: Any, **kwargs: Any) -> Result:
    """The flow as a plain async function: no orchestrator, same rows, same result."""
    return await flow.fn(*args, **kwargs)


async def run_or_plain(flow: Flow[..., Any], *args: Any, **kwargs: Any) -> Result:
    """Through Prefect when its server answers, else plainly: safeguards do not wait for an orchestrator."""
    return await (flow(*args, **kwargs) if await orchestrator_up() else plain(flow, *args, **kwargs))


async def orchestrator_up() -> bool:
    if not PREFECT_API_URL.value():
        return False
    try:
        async with get_client() as client:
            return await client.api_healthcheck() is None
    except Exception:  # whatever is wrong with it, it is not there for us
        return False


async def _recorded(fleet: Fleet, name: str, parameters: Mapping[str, object], work: Work) -> Result:
    run_id = await _start(fleet, name, parameters)
    try:
        result = await work(fleet)
    except BaseException as error:
        await _finish(fleet, run_id, {}, _told(error))
        raise
    await _finish(fleet, run_id, result, "")
    await _table(name, result)
    return result


async def _start(fleet: Fleet, name: str, parameters: Mapping[str, object]) -> UUID:
    context = FlowRunContext.get()
    flow_run_id = str(context.flow_run.id) if context and context.flow_run else ""
    async with fleet.db.transaction() as db:
        return await flow_results.start(db, name, flow_run_id=flow_run_id, parameters=parameters, at=fleet.clock.now())


async def _finish(fleet: Fleet, run_id: UUID, result: Mapping[str, object], error: str) -> None:
    async with fleet.db.transaction() as db:
        await flow_results.finish(db, run_id, result=result, error=error, at=fleet.clock.now())


def _told(error: BaseException) -> str:
    return f"{error.code} {error}" if isinstance(error, MailfleetError) else type(error).__name__


def _too_late(max_lag: timedelta | None) -> str:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if max_lag is None or run is None or not run.auto_scheduled or run.expected_start_time is None:
        return ""
    # The slot is Prefect's, on the machine's own time, whatever clock the product runs on.
    lag = SystemClock().now() - run.expected_start_time
    return f"missed slot {run.expected_start_time:%H:%M:%S}" if lag > max_lag else ""


def _skip(result: Mapping[str, object], reason: str) -> Any:
    told = {**result, "skipped": True, "reason": reason}
    return Completed(name="Skipped", message=reason, data=told) if FlowRunContext.get() else told


async def _table(name: str, result: Mapping[str, object]) -> None:
    if not FlowRunContext.get():
        return
    try:
        await acreate_table_artifact(
            key=name.replace("_", "-"),
            table=[{"key": key, "value": str(value)} for key, value in result.items()],
            description=f"What {name} returned",
        )
    except Exception as error:  # a table for people never fails the work
        log.warning("artifact not written", flow=name, error=type(error).__name__)
