"""`mailfleet demo`: the whole of it at work on this machine, and checked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mailfleet.cli.output import Json, emit, say

if TYPE_CHECKING:
    from mailfleet.demo.rig import Rig
    from mailfleet.demo.scenario import Tell


def demo(*, seed: int = 1, small: bool = False, keep: bool = False, json: Json = False) -> int:
    """Sets up two domains, warms four mailboxes, runs a campaign over ten sending days, and checks itself.

    Everything runs on this machine; the vendors are the sandbox's. Exit code 1 when a check fails.

    Parameters
    ----------
    seed
        Chooses the world: who replies, what bounces, how long DNS takes.
    small
        Fewer leads: quicker, all the same parts.
    keep
        Leave everything running afterwards and print the addresses; Ctrl-C ends it.
    """
    return asyncio.run(_demo(seed, small, keep, json))


async def _demo(seed: int, small: bool, keep: bool, as_json: bool) -> int:
    from rich.console import Console

    from mailfleet import log
    from mailfleet.demo import run
    from mailfleet.demo.report import draw
    from mailfleet.demo.scenario import Plan
    from mailfleet.settings import get_settings

    log.setup("error")
    home: Path = get_settings().home / "demo"
    plan = run.small(seed) if small else Plan(seed=seed)
    with _stopped_by_signals(), _progress() as tell:
        told = await run.demonstrate(home, plan, tell, keep=(lambda rig: _keep(rig, as_json)) if keep else None)
    if as_json:
        emit(told)
    else:
        draw(Console(), told)
    return 0 if told["ok"] else 1


async def _keep(rig: Rig, as_json: bool) -> None:
    from mailfleet.demo.rig import console

    async with console(rig) as page:
        for name, address in {**rig.addresses, "status page": page, "to use it yourself": f". {_written(rig)}"}.items():
            say(f"{name:<20} {address}")
        say("Everything keeps running. Ctrl-C ends it.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def _written(rig: Rig) -> Path:
    """A file that a shell reads: every command then works on this demonstration. For its owner alone, like all keys."""
    import os
    import shlex

    from mailfleet.cli.sandbox import CONTROL
    from mailfleet.settings import variables_of

    names = {**variables_of(rig.settings), CONTROL: rig.control.base_url}
    file = rig.home / "env"
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as to:  # noqa: PTH123
        to.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(names.items()))
    return file


@contextlib.contextmanager
def _progress() -> Generator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=1.0)
        yield lambda what, share: progress.update(bar, description=what, completed=share)


@contextlib.contextmanager
def _stopped_by_signals() -> Generator[None]:
    """SIGTERM stops like Ctrl-C: the parts are stopped in order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)
