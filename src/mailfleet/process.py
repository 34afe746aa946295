"""Child processes that never outlive their parent, ports, and a supervisor that restarts what dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx2
import structlog

from mailfleet import lifeline
from mailfleet.errors import ConfigError, MailfleetError, ProcessFailed
from mailfleet.log import redact

GRACE = 10.0
"""Seconds a child has between being asked to stop and being killed."""

log = structlog.get_logger(__name__)


class Child:
    """A running program, with a lifeline: should this process end in any way, so does the child and all it started.

    Standard output and error go to the log file; with `announces`, the first line of standard output is kept for
    `announcement`.
    """

    def __init__(self, process: asyncio.subprocess.Process, line: int, log_file: Path | None, name: str) -> None:
        self._process, self._line, self.log_file, self.name = process, line, log_file, name
        self._copying: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        announces: bool = False,
        cwd: Path | None = None,
        grace: float = GRACE,
        name: str = "",
    ) -> Child:
        """Starts it. `environment` is its whole environment (default: this process' own); without `log` its output is
        thrown away."""
        reading, writing = os.pipe()  # neither end is inherited but by the guard below
        guard = [sys.executable, "-I", "-S", lifeline.__file__, str(reading), str(grace)]
        try:
            with _opened(log) as out:
                process = await asyncio.create_subprocess_exec(
                    *guard,
                    *map(str, argv),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE if announces else out,
                    stderr=out,
                    env=None if environment is None else dict(environment),
                    cwd=cwd,
                    pass_fds=[reading],
                    start_new_session=True,  # Ctrl-C is for the parent, which stops its children in order
                )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing, log, name or Path(argv[0]).name)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, argv: Sequence[str | Path], **how: Any) -> AsyncGenerator[Child]:
        """A child for as long as the block lasts. Takes what `start` takes."""
        child = await cls.start(argv, **how)
        try:
            yield child
        finally:
            await child.stop()

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Of the guard in front of the program."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit status, once it has one (128 + n after signal n)."""
        return await self._process.wait()

    async def stop(self) -> int:
        """Asks it to stop and, when its grace is over, ends it; its exit status."""
        if (
            self._line >= 0
        ):  # not by a signal: asyncio's own would reap the child beside its watcher and lose its status
            os.close(self._line)
            self._line = -1
        if self._process.stdout and self._copying is None:
            self._copying = asyncio.create_task(self._copy())  # an unread pipe would hold it up
        status = await asyncio.shield(asyncio.ensure_future(self._process.wait()))
        if self._copying:
            await self._copying
        return status

    async def announcement(self, within: float = 60.0) -> str:
        """The first line it prints, for children started with `announces`. Raises ProcessFailed when none comes."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), within)
        except TimeoutError:
            line = b""
        if not line.endswith(b"\n"):
            await self.stop()
            raise self.failure("said nothing")
        self._copying = asyncio.create_task(self._copy())
        return line.decode().rstrip("\n")

    async def answers(self, url: str, within: float = 60.0) -> None:
        """Returns once `url` answers 200. Raises ProcessFailed when the child ends before, or time is up."""
        end = time.monotonic() + within
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            while not await _ok(client, url):
                if not self.alive or time.monotonic() > end:
                    await self.stop()
                    raise self.failure(f"did not answer at {url}")
                await asyncio.sleep(0.05)

    def failure(self, what: str) -> ProcessFailed:
        """The error for a child that did not do its part, with the end of its log."""
        ended = f" and ended with status {self.returncode}" if self.returncode is not None else ""
        said = tail(self.log_file)
        return ProcessFailed(
            f"{self.name} {what}{ended}." + (f" Its log ends: {said}" if said else ""),
            hint=f"The whole log is in {self.log_file}." if self.log_file else "",
        )

    async def _copy(self) -> None:
        assert self._process.stdout is not None
        with _opened(self.log_file) as out:
            while block := await self._process.stdout.read(65536):
                os.write(out.fileno(), block)


def tail(log_file: Path | None, length: int = 600) -> str:
    """The end of a log file, redacted, on one line."""
    with contextlib.suppress(OSError):
        if log_file:
            return " ".join(redact(log_file.read_text(errors="replace")[-length:]).split())
    return ""


def free_port(wanted: int = 0, host: str = "127.0.0.1", *, setting: str = "the port") -> int:
    """`wanted` if it is free, any free one for 0. Raises ConfigError when it is taken; `setting` is what to change."""
    if not wanted:
        return _any_free(host)
    try:
        return _bound(host, wanted)
    except OSError as error:
        raise ConfigError(
            f"Port {wanted} on {host} cannot be used: {error.strerror}.",
            hint=f"Stop what uses it, or set {setting} to another (0 = any free one).",
        ) from error


def _any_free(host: str) -> int:
    """Below the ports that systems give to outgoing connections: none of those takes it before it is used."""
    for port in random.sample(range(20_000, 32_000), 50):
        with contextlib.suppress(OSError):
            return _bound(host, port)
    return _bound(host, 0)


def _bound(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def listening(host: str, port: int, *, setting: str) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises ConfigError when it is taken; `setting` begins the names of the two settings that say where.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named; otherwise answers wait for an ACK.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        made.close()
        raise ConfigError(
            f"The {setting.lower()} cannot listen on {host}:{port}: {getattr(error, 'strerror', '') or error}.",
            hint=f"Set {setting}_PORT to a free port, or 0 for any, and {setting}_HOST to an address of this machine.",
        ) from error
    made.listen(1024)
    return made


Start = Callable[[], Coroutine[Any, Any, Child]]


@dataclass
class Part:
    """One thing a supervisor keeps running. `restarts` counts how often it had to be started again."""

    name: str
    start: Start
    child: Child | None = None
    restarts: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps parts running: a dead one is started again after 1, 2, 4 … 30 seconds, at once if it had run for a minute.

    Parts are stopped in the reverse of the order in which they were added.
    """

    def __init__(self, *, first_wait: float = 1.0) -> None:
        self.parts: list[Part] = []
        self._first_wait = first_wait

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def add(self, name: str, start: Start) -> Part:
        """Starts a part and keeps it. `start` returns when the part is ready; its first failure is the caller's."""
        part = Part(name, start, await start())
        part.task = asyncio.create_task(self._keep(part), name=f"keep {name}")
        self.parts.append(part)
        return part

    async def stop(self) -> None:
        for part in reversed(self.parts):
            if part.task:
                part.task.cancel()
                await asyncio.gather(part.task, return_exceptions=True)
            if part.child:
                await part.child.stop()
        self.parts.clear()

    async def _keep(self, part: Part) -> None:
        wait, since = 0.0, time.monotonic()
        while True:
            if part.child:
                status = await part.child.wait()
                log.warning("part_died", part=part.name, status=status, log=tail(part.child.log_file, 300))
                await part.child.stop()
                wait = 0.0 if time.monotonic() - since > 60 else min(30.0, wait * 2 or self._first_wait)
            await asyncio.sleep(wait)
            part.child, since = await self._again(part), time.monotonic()
            wait = wait if part.child else min(30.0, wait * 2 or self._first_wait)

    async def _again(self, part: Part) -> Child | None:
        part.restarts += 1
        try:
            return await part.start()
        except (MailfleetError, OSError) as error:
            log.warning("part_not_restarted", part=part.name, error=str(error))
            return None


def _opened(path: Path | None) -> IO[bytes]:
    """Append, readable by this account alone: logs name addresses."""
    if path is None:
        return open(os.devnull, "ab")  # noqa: PTH123 - closed by the caller
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


async def _ok(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False
