"""The detached process that owns one embedded Postgres: makes it, starts it, restarts it, stops it when nobody uses it.

Run by its path (`python -I -S keeper.py`) and written with the standard library alone, so that it is there in
hundredths of a second. It is told everything in one line of JSON on standard input. Its file locks are the protocol:

`keeper.lock`  held for as long as a keeper lives; whoever starts one hands the held lock over, so there is never a
               second and never a gap
`users.lock`   every user holds it shared, which the kernel drops even on SIGKILL; the keeper waits for it exclusively
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

PORT = 5432
BORROWED = ("postgres", "nobody")
FOR_ROOT = Path("/var/lib/mailfleet")
NO_PERMISSION = "Give this account the right to write there, set MAILFLEET_HOME to another folder, or set DATABASE_URL."
_LONGEST_SOCKET = 100
_STOP_WITHIN = 300.0
_ORPHANS_WITHIN = 60.0
_RESTARTS, _RESTARTS_WITHIN = 5, 60.0
_LOG_BYTES = 20_000_000
_PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """Why there is no server, and what a person can do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


class Keeper:
    """`home` holds the locks; `place` holds the data: the same folder, but for root (see `_place`)."""

    def __init__(self, home: Path, bin: Path, carried: Sequence[Path], settings: dict[str, str]) -> None:
        self.home, self.bin, self.carried, self.settings = home, bin, carried, settings
        self.owner = _unprivileged() if os.geteuid() == 0 else None
        self.place = self._place()
        self.data = self.place / "data"
        self.log = self.home / "server.log"
        self.sock = _socket_folder(self.place, self.owner)
        self.server: subprocess.Popen[Any] | None = None
        self.leaving = False
        self.impatient: threading.Timer | None = None

    def keep(self) -> None:
        """Until the last user is gone."""
        self._usable_binaries()
        self._initialised()
        self._without_orphan()
        _write(self.home / "socket", str(self.sock))
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        threading.Thread(target=self._wait_for_the_last, daemon=True).start()
        self._serve()

    def discard(self) -> None:
        """Removes the data."""
        shutil.rmtree(self.data)
        if self.place != self.home:
            shutil.rmtree(self.place)
            (self.home / "place").unlink()

    def _serve(self) -> None:
        started: list[float] = []
        while not self.leaving:
            started.append(time.monotonic())
            if len([at for at in started if at > started[-1] - _RESTARTS_WITHIN]) > _RESTARTS:
                raise Refused("The embedded Postgres keeps failing.", self._see_log())
            ready = self._run_once()
            if not ready and not self.leaving:
                raise Refused(f"The embedded Postgres did not start. {self._last_words()}", self._see_log())

    def _run_once(self) -> bool:
        """One life of the server; whether it became ready."""
        patience = time.monotonic() + _ORPHANS_WITHIN
        while True:
            came_up = self._live()
            # Backends of a killed postmaster hold its shared memory until they notice.
            if came_up or self.leaving or "shared memory" not in self._last_words() or time.monotonic() > patience:
                return came_up
            time.sleep(0.5)

    def _live(self) -> bool:
        self._drop_stale()
        with self._opened_log() as log:
            self.server = self._spawn([str(self.bin / "postgres"), *self._options()], log, signal.SIGINT)
        ready = False
        while self.server.poll() is None and not ready:
            if self.leaving:  # a server that is only just starting may miss the signal: again
                self._leave()
            ready = self._status() == "ready"
            time.sleep(0.02)
        self.server.wait()
        return ready

    def _options(self) -> list[str]:
        given = {"listen_addresses": "", "unix_socket_permissions": "0700", **self.settings}
        flags = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self.data), "-k", str(self.sock), "-p", str(PORT), *flags]

    def _wait_for_the_last(self) -> None:
        self.users = (self.home / "users.lock").open("a")  # kept open: it is released when this process ends
        fcntl.flock(self.users, fcntl.LOCK_EX)
        self._leave()

    def _leave(self) -> None:
        self.leaving = True
        server = self.server
        if server and server.poll() is None:
            server.send_signal(signal.SIGINT)  # fast shutdown
            if self.impatient is None:
                self.impatient = threading.Timer(_STOP_WITHIN, lambda: server.send_signal(signal.SIGQUIT))
                self.impatient.daemon = True
                self.impatient.start()

    # --- what has to be there first ---------------------------------------------------------------------------------

    def _place(self) -> Path:
        """PostgreSQL refuses to run as root. Where the borrowed account cannot reach `home` (root's own folder is
        closed), the data lies under /var/lib instead, and no folder is opened for it."""
        told = self.home / "place"
        if self.owner is None:
            return self.home
        if told.exists() and Path(told.read_text()).is_dir():
            return Path(told.read_text())
        if _reaches(self.owner, self.home):
            return self.home
        self._sweep()
        FOR_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="postgres-", dir=FOR_ROOT))
        place.chmod(0o711)
        _write(told, str(place))
        _write(place / "home", str(self.home))  # last: another keeper's sweep goes by it
        return place

    def _sweep(self) -> None:
        """Removes what homes that are gone have left under /var/lib."""
        for left in FOR_ROOT.glob("postgres-*"):
            with contextlib.suppress(OSError):
                told = Path((left / "home").read_text()) / "place"
                if not told.exists() or told.read_text() != str(left):
                    shutil.rmtree(left, ignore_errors=True)  # another sweep may be at it too

    def _usable_binaries(self) -> None:
        if self._version():
            return
        if self.owner and self.carried and not _reaches(self.owner, self.bin):
            self._copy_binaries()
        if not self._version():
            raise Refused(
                f"{self.bin / 'postgres'} does not run.", "Set POSTGRES_BIN to the bin folder of a PostgreSQL."
            )

    def _copy_binaries(self) -> None:
        """Root's home is closed to the borrowed account: a copy is opened to it, not the folders above."""
        package = self.carried[0]
        copy = self.place / "binaries" / f"{package.name}-{package.stat().st_mtime_ns}"
        if not copy.exists():
            shutil.rmtree(copy.parent, ignore_errors=True)
            new = Path(f"{copy}.new")
            for each in self.carried:
                shutil.copytree(each, new / each.name)
            new.rename(copy)
        self.bin = copy / package.name / self.bin.relative_to(package)

    def _version(self) -> int:
        """The major version of the binaries, 0 when they cannot be run."""
        try:
            done = subprocess.run([self.bin / "postgres", "-V"], capture_output=True, text=True, **self._as_owner())
        except OSError:
            return 0
        found = re.search(r"(\d+)", done.stdout)
        return int(found[1]) if found and done.returncode == 0 else 0

    def _initialised(self) -> None:
        stamp, ours = self.data / "PG_VERSION", self._version()
        if stamp.exists():
            theirs = stamp.read_text().strip()
            if theirs != str(ours):
                raise Refused(
                    f"The data in {self.data} was made by PostgreSQL {theirs}, and this is {ours}.",
                    f"Point POSTGRES_BIN at a PostgreSQL {theirs} and dump it, or move the folder away to begin anew.",
                )
            return
        for left in self.place.glob("data.new-*"):  # of an initdb that was killed
            shutil.rmtree(left, ignore_errors=True)
        if self.data.exists():
            raise Refused(f"{self.data} is no PostgreSQL data folder.", "Move it away.")
        new = Path(tempfile.mkdtemp(prefix="data.new-", dir=self.place))
        self._chown(new)
        self._initdb(new, ours)
        new.rename(self.data)

    def _initdb(self, new: Path, version: int) -> None:
        # The built-in provider needs no locale of the machine.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv = [self.bin / "initdb", "-D", new, "-U", "app", "-A", "trust", "-E", "UTF8"]
        argv += locale if version >= 17 else ["--locale=C.UTF-8"]
        argv += ["--no-sync"] if self.settings.get("fsync") == "off" else []
        with self._opened_log() as log:
            made = self._spawn([str(each) for each in argv], log, signal.SIGKILL).wait()
        if made != 0:
            raise Refused(f"initdb failed in {self.place}. {self._last_words()}", self._see_log())

    # --- what an earlier life left ----------------------------------------------------------------------------------

    def _without_orphan(self) -> None:
        """A server without a keeper is stopped: it becomes our own child again."""
        end = time.monotonic() + _STOP_WITHIN
        while pid := self._orphan():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if time.monotonic() < end else signal.SIGQUIT)
            time.sleep(0.1)

    def _orphan(self) -> int | None:
        """The live postmaster of this folder. The pid file alone is not believed: it may name a zombie, or by now
        another process. A socket that answers is proof; so is the working folder, where it can be read."""
        if not (pid := self._pid()):
            return None
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == self.data:
                return pid
        return pid if self._answers() else None

    def _pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return abs(int((self.data / "postmaster.pid").read_text().split()[0])) or None
        return None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.sock / f".s.PGSQL.{PORT}"))
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def _drop_stale(self) -> None:
        for stale in (self.data / "postmaster.pid", *self.sock.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)

    def _status(self) -> str:
        """PostgreSQL writes its state into the eighth line: starting, standby, ready, stopping."""
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return lines[7].strip() if len(lines) > 7 else ""
        return ""

    # --- doing it as the right account ------------------------------------------------------------------------------

    def _spawn(self, argv: list[str], log: Any, when_orphaned: signal.Signals) -> subprocess.Popen[Any]:
        """A child that gets `when_orphaned` should this keeper be killed (Linux)."""
        prepare = _dies_with_parent(when_orphaned)
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=prepare,
            process_group=0,
            **self._as_owner(),
        )

    def _as_owner(self) -> dict[str, Any]:
        common: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self.owner:
            common |= {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}
        return common

    def _chown(self, path: Path) -> None:
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def _opened_log(self) -> Any:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        return open(self.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            said = self.log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
            return " / ".join(line.strip() for line in said[-6:])
        return ""

    def _see_log(self) -> str:
        return f"The whole log is in {self.log}."


def _unprivileged() -> pwd.struct_passwd:
    for name in BORROWED:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Refused("PostgreSQL refuses to run as root, and there is no account to borrow.", "Run as an ordinary user.")


def _reaches(owner: pwd.struct_passwd, path: Path) -> bool:
    """Whether that account can enter every folder above and the path itself."""
    test = f"cd {shlex.quote(str(path))}"
    who: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    return subprocess.run(["/bin/sh", "-c", test], stderr=subprocess.DEVNULL, cwd="/", **who).returncode == 0


def _socket_folder(place: Path, owner: pwd.struct_passwd | None) -> Path:
    """Beside the data, or, where that path is too long for a socket (108 bytes, 104 on macOS), a short one."""
    folder = place / "sock"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET - len("/.s.PGSQL.5432.lock"):
        return _short_folder(place, owner)
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def _short_folder(place: Path, owner: pwd.struct_passwd | None) -> Path:
    told = place / "short"
    if told.exists() and _is_ours(folder := Path(told.read_text()), owner):
        return folder
    folder = Path(tempfile.mkdtemp(prefix="mailfleet-", dir="/tmp"))
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    _write(told, str(folder))
    return folder


def _is_ours(folder: Path, owner: pwd.struct_passwd | None) -> bool:
    """The short folder lies where everybody may write: one that another account has put in its place is not used."""
    with contextlib.suppress(OSError):
        seen = folder.lstat()
        return seen.st_mode & 0o170777 == 0o040700 and seen.st_uid == (owner.pw_uid if owner else os.geteuid())
    return False


def _dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return prepare


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)


def main() -> NoReturn:
    told = json.loads(sys.stdin.readline())
    if os.fork():  # the user's process waits for this one alone: the keeper is nobody's child
        os._exit(0)
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN this is not handed on to the server
    home = Path(told["home"])
    try:
        keeper = Keeper(home, Path(told["bin"]), [Path(each) for each in told["carried"]], told["settings"])
        keeper.keep()
        if told["throwaway"]:
            keeper.discard()
    except Refused as refused:
        _write(home / "failed", json.dumps({"what": refused.what, "hint": refused.hint}))
    except OSError as error:
        what = f"The embedded Postgres cannot use {error.filename or home}: {error.strerror}."
        _write(home / "failed", json.dumps({"what": what, "hint": NO_PERMISSION}))
    fcntl.flock(int(told["lock"]), fcntl.LOCK_UN)  # before users.lock: who waits for that starts a keeper of its own
    os._exit(0)


if __name__ == "__main__":
    main()
