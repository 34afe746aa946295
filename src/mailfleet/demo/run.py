"""The demonstration from end to end: parts, scenario, judgement, report."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mailfleet.demo import story, witness
from mailfleet.demo.checks import Case, judge
from mailfleet.demo.report import document
from mailfleet.demo.rig import Rig, assembled
from mailfleet.demo.scenario import REACTION, Plan, Tell, examples_folder, play

Keep = Callable[[Rig], Awaitable[None]]


def small(seed: int) -> Plan:
    """A world with fewer leads: quicker, all the same parts."""
    return Plan(seed=seed, leads=160, sending_days=10)


async def demonstrate(home: Path, plan: Plan, tell: Tell, *, keep: Keep | None = None) -> dict[str, Any]:
    """Plays one world and judges it; the report. With `keep` the parts stay up until it returns."""
    began = time.monotonic()
    tell("starting the parts", 0.01)
    async with assembled(home, plan.seed, tell=lambda part: tell(f"starting {part}", 0.02)) as rig:
        told = await judged(rig, plan, tell, began)
        if keep:
            await keep(rig)
    return told


async def judged(rig: Rig, plan: Plan, tell: Tell, began: float) -> dict[str, Any]:
    """Plays and judges on parts that run already."""
    from prefect import tags

    from mailfleet.flows.shell import using

    tag = f"demo:{time.time_ns()}"
    with using(rig.fleet), tags(tag):
        played = await play(rig, plan, tell, examples_folder())
    tell("checking against the sandbox's own logs", 0.95)
    async with rig.fleet.db.connection() as db:
        claims, selectors = await story.tell(db), await story.selectors(db)
    heard = await _recorded(rig, selectors, tag, {run for _, run in claims.runs})
    case = Case(played.leads_file, played.suppressed_file, claims, heard, until=played.until, reaction=REACTION)
    checks = judge(case)
    tell("done", 1.0)
    return document(plan.seed, played, claims, heard, checks, time.monotonic() - began)


async def _recorded(rig: Rig, selectors: dict[str, list[str]], tag: str, runs: set[str]) -> witness.Witness:
    """Prefect's record of a run may come a moment after the run."""
    end = time.monotonic() + 10
    while True:
        heard = await witness.hear(rig.control, rig.sandbox, selectors, rig.prefect_api, tag)
        settled = all(heard.flow_runs.get(run, ("", ""))[1] in ("COMPLETED", "FAILED", "CRASHED") for run in runs)
        if settled or time.monotonic() > end:
            return heard
        await asyncio.sleep(0.3)


def forget(home: Path) -> None:
    """Removes what former demonstrations left."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(home)
