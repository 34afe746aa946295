from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mailfleet.errors import ConfigError, ProcessFailed
from mailfleet.process import Child, Supervisor, free_port

pytestmark = pytest.mark.anyio
PYTHON = sys.executable
SLEEPS = [PYTHON, "-c", "import time; print('here', flush=True); time.sleep(600)"]
DEAF = [
    PYTHON,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
]
BREEDS = [
    PYTHON,
    "-c",
    "import subprocess, sys, time\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
    "made = [subprocess.Popen(sleep, start_new_session=apart) for apart in (0, 1)]\n"
    "print(*[each.pid for each in made], flush=True)\n"
    "time.sleep(600)",
]
PARENT = """
import asyncio, os, sys
from mailfleet.process import Child

async def main():
    child = await Child.start(sys.argv[1:], announces=True)
    print(child.pid, await child.announcement(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def until(true: Callable[[], bool]) -> None:
    """Returns once it is so."""
    while not true():  # noqa: ASYNC110 - it happens in another process
        await asyncio.sleep(0.01)


def ended(*pids: int) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


async def test_a_child_is_stopped_with_its_block_and_logs_to_its_file(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    async with Child.running(SLEEPS, log=log, announces=True) as child:
        assert await child.announcement() == "here"
        assert child.alive
    assert not child.alive
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_child_that_does_not_listen_is_ended_when_its_grace_is_over() -> None:
    child = await Child.start(DEAF, announces=True, grace=0.2)
    await child.announcement()
    assert await child.stop() == 128 + signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who left the process group is found on Linux")
async def test_killing_the_parent_ends_the_child_and_all_it_started() -> None:
    parent = await asyncio.create_subprocess_exec(PYTHON, "-c", PARENT, *BREEDS, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(each) for each in (await parent.stdout.readline()).split()]
    assert len(pids) == 3
    parent.kill()
    await parent.wait()
    await until(lambda: ended(*pids))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent's death is signalled on Linux")
async def test_killing_the_guard_ends_the_child() -> None:
    child = await Child.start([PYTHON, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
                              announces=True)  # fmt: skip
    pid = int(await child.announcement())
    os.kill(child.pid, signal.SIGKILL)
    await until(lambda: ended(pid))
    await child.stop()


async def test_a_child_hands_on_its_status_and_its_environment() -> None:
    code = "import os, sys; sys.exit(int(os.environ['STATUS']))"
    child = await Child.start([PYTHON, "-c", code], environment={**os.environ, "STATUS": "7"})
    assert await child.wait() == 7
    assert await child.stop() == 7


async def test_a_child_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    child = await Child.start([PYTHON, "-c", "raise SystemExit('no luck, password=hunter2')"], announces=True,
                              log=tmp_path / "log", name="the sandbox")  # fmt: skip
    with pytest.raises(ProcessFailed, match=r"the sandbox said nothing and ended with status 1\..*no luck") as told:
        await child.announcement()
    assert "hunter2" not in str(told.value)


async def test_waiting_for_an_answer_ends_with_the_answer_or_with_the_child(tmp_path: Path) -> None:
    port = free_port()
    serve = [PYTHON, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    async with Child.running(serve, log=tmp_path / "log") as child:
        await child.answers(f"http://127.0.0.1:{port}/")
    dead = await Child.start([PYTHON, "-c", "pass"])
    with pytest.raises(ProcessFailed, match="did not answer"):
        await dead.answers(f"http://127.0.0.1:{port}/")


def test_a_port_in_use_is_named_and_zero_finds_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port}"):
            free_port(port)
    assert free_port(free_port()) > 0


async def test_a_dead_part_is_started_again_and_the_others_are_left_alone() -> None:
    async with Supervisor(first_wait=0.01) as supervisor:
        steady = await supervisor.add("steady", lambda: Child.start(SLEEPS))
        fragile = await supervisor.add("fragile", lambda: Child.start(SLEEPS))
        first, other = fragile.child, steady.child
        assert first
        os.kill(first.pid, signal.SIGTERM)
        await until(lambda: fragile.child not in (first, None))
        assert fragile.restarts == 1
        assert fragile.child.alive
        assert steady.child is other
    assert not fragile.child.alive


async def test_a_part_that_cannot_be_started_again_is_tried_until_it_can() -> None:
    tries = 0

    async def start() -> Child:
        nonlocal tries
        tries += 1
        if tries in (2, 3):
            raise ProcessFailed("not yet")
        return await Child.start(SLEEPS if tries > 1 else [PYTHON, "-c", "pass"])

    async with Supervisor(first_wait=0.01) as supervisor:
        part = await supervisor.add("p", start)
        await until(lambda: tries == 4)
    assert part.restarts == 3
