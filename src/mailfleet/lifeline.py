"""Stands between a process and its child so that the child never outlives it: `python lifeline.py FD GRACE argv …`.

The parent holds the writing end of a pipe; FD is the reading end. When the parent ends, also by SIGKILL, the pipe
closes and everything the child has started is ended. Written with the standard library alone and run by its path, so
that it costs hundredths of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

MARK = "MAILFLEET_LIFELINE"
_PR_SET_PDEATHSIG = 1


def guard(parent: int, grace: float, argv: list[str]) -> int:
    """Runs `argv` until it ends by itself, is asked to (SIGTERM, SIGINT) or the parent is gone; its exit status."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    mark = uuid.uuid4().hex
    child = subprocess.Popen(argv, process_group=0, env={**os.environ, MARK: mark}, preexec_fn=_dies_with_this())
    deadline: float | None = None
    while child.poll() is None:
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([woken] if deadline else [woken, parent], [], [], wait)
        asked = parent in ready or _asked(woken)
        if asked and deadline is None:
            deadline = time.monotonic() + grace
            _signal_group(child.pid, signal.SIGTERM)
        elif deadline is not None and time.monotonic() >= deadline:
            _signal_group(child.pid, signal.SIGKILL)
    _signal_group(child.pid, signal.SIGKILL)
    _sweep(mark)
    return child.returncode


def _asked(woken: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        return any(number != signal.SIGCHLD for number in os.read(woken, 512))
    return False


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _sweep(mark: str) -> None:
    """Ends what left the child's process group (Linux): it still carries the mark in its environment."""
    sought = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if sought in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _dies_with_this() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    return prepare


def main() -> NoReturn:
    status = guard(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
