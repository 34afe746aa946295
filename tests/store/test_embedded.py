"""The embedded server: starting, sharing, stopping, and what it finds after crashes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from mailfleet.errors import DatabaseUnavailable
from mailfleet.store import keeper
from mailfleet.store.embedded import LocalPostgres

SMALL = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

USER = """
import sys, pathlib
from mailfleet.store.embedded import LocalPostgres
small = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
with LocalPostgres(pathlib.Path(sys.argv[1]), small).running() as server:
    print("up", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "pg"
    yield folder
    cleared(folder)


def cleared(home: Path) -> None:
    gone(home)
    for each in (place(home), home):
        shutil.rmtree(each, ignore_errors=True)


def server(home: Path) -> LocalPostgres:
    return LocalPostgres(home, SMALL)


def another_user(home: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", USER, str(home)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def up(user: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert user.stdout is not None
    assert user.stdout.readline() == "up\n"
    return user


def leaves(user: subprocess.Popen[str]) -> None:
    user.communicate("\n")


def left(home: Path) -> list[psutil.Process]:
    """Every process that has to do with this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and belongs(process, home):
                found.append(process)
        except psutil.Error:
            continue
    return found


def belongs(process: psutil.Process, home: Path) -> bool:
    match process.name():
        case "postgres" | "initdb":
            return process.cwd() == str(data(home)) or any(str(place(home)) in each for each in process.cmdline())
        case name if name.startswith("python"):
            return keeps(process, home)
        case _:
            return False


def keeps(process: psutil.Process, home: Path) -> bool:
    return any(each.path == str(home / "keeper.lock") for each in process.open_files())


def keepers(home: Path) -> list[psutil.Process]:
    found = [each for each in left(home) if each.name().startswith("python") and each.pid != os.getpid()]
    assert found
    return found


def gone(home: Path) -> None:
    """Returns once nothing is left; the test's own time limit is the only one."""
    end = time.monotonic() + 60
    while found := [each for each in left(home) if each.pid != os.getpid()]:
        assert time.monotonic() < end, found
        time.sleep(0.1)


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((data(home) / "postmaster.pid").read_text().split()[0]))


def place(home: Path) -> Path:
    """Where the data is: elsewhere for root, whose temporary folders are closed to the borrowed account."""
    try:
        return Path((home / "place").read_text())
    except FileNotFoundError:  # beside the locks; or a keeper has just removed it
        return home


def data(home: Path) -> Path:
    return place(home) / "data"


def one(local: LocalPostgres) -> object:
    with psycopg.connect(local.dsn()) as db:
        found = db.execute("select count(*) from t").fetchone()
    return found and found[0]


def fill(local: LocalPostgres) -> None:
    with psycopg.connect(local.dsn()) as db:
        db.execute("create table t as select 1")


def test_starts_cold_keeps_its_data_and_starts_warm(home: Path) -> None:
    with server(home).running() as local:
        fill(local)
        with server(home).running() as attached:
            assert one(attached) == 1
        assert one(local) == 1
    gone(home)
    with server(home).running() as local:
        assert one(local) == 1


def test_the_server_goes_with_its_last_user(home: Path) -> None:
    user = up(another_user(home))
    with server(home).running() as local:
        leaves(user)
        fill(local)
    gone(home)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(local.dsn())


def test_killing_the_only_user_leaves_no_process(home: Path) -> None:
    user = up(another_user(home))
    assert left(home)
    user.kill()
    user.communicate()
    gone(home)
    with server(home).running() as local:
        fill(local)


def test_killing_a_user_in_the_middle_of_the_first_start_leaves_no_process(home: Path) -> None:
    user = another_user(home)
    while not list(place(home).glob("data*")):
        time.sleep(0.001)
    user.kill()
    user.communicate()
    gone(home)
    with server(home).running() as local:
        fill(local)
    assert not list(place(home).glob("data.new-*"))


def test_users_racing_to_the_first_start_share_one_server(home: Path) -> None:
    racing = [another_user(home) for _ in range(4)]
    for user in racing:
        up(user)
    assert len([each for each in left(home) if each.name() == "postgres" and "-D" in each.cmdline()]) == 1
    for user in racing:
        leaves(user)


def test_a_killed_server_is_started_again_while_it_has_users(home: Path) -> None:
    with server(home).running() as local:
        fill(local)
        postmaster(home).kill()
        with server(home).running():
            assert one(local) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the server is told of its keeper's death on Linux")
def test_a_killed_keeper_takes_the_server_along_and_the_next_user_starts_both(home: Path) -> None:
    with server(home).running() as local:
        fill(local)
        for process in keepers(home):
            process.kill()
        gone(home)
        with server(home).running():
            assert one(local) == 1


@pytest.mark.parametrize("whose", ["nobody's", "another process'", "a zombie's"])
def test_a_pid_file_left_by_a_crash_is_not_believed(home: Path, whose: str) -> None:
    with server(home).running() as local:
        fill(local)
    gone(home)
    does = "pass" if whose == "a zombie's" else "import sys; sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", does], stdin=subprocess.PIPE)
    if whose == "a zombie's":
        while psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
    elif whose == "nobody's":
        other.communicate()
    lines = [str(other.pid), str(data(home)), "1", "5432", str(data(home).parent / "sock"), "", "  1 2", "ready", ""]
    (data(home) / "postmaster.pid").write_text("\n".join(lines))
    (data(home).parent / "sock" / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
    with server(home).running() as local:
        assert one(local) == 1
    assert whose != "another process'" or other.poll() is None
    other.communicate()


def test_data_of_another_version_is_left_alone_and_named(home: Path) -> None:
    with server(home).running() as local:
        fill(local)
    gone(home)
    (data(home) / "PG_VERSION").write_text("14\n")
    with pytest.raises(DatabaseUnavailable, match="made by PostgreSQL 14") as told, server(home).running():
        pass
    assert "POSTGRES_BIN" in told.value.hint


def test_binaries_that_are_not_there_are_named(home: Path) -> None:
    asked = LocalPostgres(home, SMALL, bin="/nowhere")
    with pytest.raises(DatabaseUnavailable, match="/nowhere/postgres does not run"), asked.running():
        pass


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    asked = LocalPostgres(home, {"no_such_setting": "1"})
    with pytest.raises(DatabaseUnavailable, match="no_such_setting"), asked.running():
        pass
    assert not [each for each in left(home) if each.pid != os.getpid()]


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = server(tmp_path / "file" / "pg")
    with pytest.raises(DatabaseUnavailable, match="cannot be written") as told, asked.running():
        pass
    assert "MAILFLEET_HOME" in told.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_a_folder_that_this_account_may_not_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o755)
    code = """
import sys, pathlib
from mailfleet.errors import DatabaseUnavailable
from mailfleet.store.embedded import LocalPostgres
try:
    with LocalPostgres(pathlib.Path(sys.argv[1])).running(): pass
except DatabaseUnavailable as error:
    print(error)
"""
    nobody = pwd.getpwnam("nobody")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    python = Path(sys.executable)
    if not keeper._reaches(nobody, python.resolve().parent):
        pytest.skip("this Python is out of the other account's reach")
    done = subprocess.run(
        [python, "-c", code, str(tmp_path / "closed" / "pg")],
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True, text=True,
    )  # fmt: skip
    assert "cannot be written: Permission denied" in done.stdout, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")
def test_root_opens_no_folder_for_the_borrowed_account(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "pg"
    try:
        with server(home).running() as local:
            fill(local)
            assert postmaster(home).uids().effective != 0
        assert closed.stat().st_mode & 0o777 == 0o700
        gone(home)
        with server(home).running() as local:
            assert one(local) == 1
    finally:
        gone(home)
    left_behind = place(home)
    (home / "place").unlink()
    keeper.Keeper(home, Path("/nowhere"), [], {})  # a new one sweeps what nobody points at any more
    assert not left_behind.exists()
    shutil.rmtree(place(home))


def test_a_folder_with_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / "pg"
    with server(home).running() as local:
        assert len(local._socket()) < 80
        fill(local)
        with server(home).running() as attached:
            assert one(attached) == 1
    cleared(home)


def test_a_throwaway_server_takes_its_data_along(home: Path) -> None:
    for _ in range(2):
        with LocalPostgres(home, SMALL, throwaway=True).running() as local:
            fill(local)
            kept = data(home)
        gone(home)
        assert not kept.exists()


def test_further_databases_are_made_once_with_their_extensions(home: Path) -> None:
    with server(home).running() as local, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(local.ensure_database, "prefect", extensions=("pg_trgm",)) for _ in range(4)]
        dsns = {each.result() for each in asked}
        assert dsns == {local.dsn("prefect")}
        with psycopg.connect(local.dsn("prefect")) as db:
            assert db.execute("select similarity('abc', 'abd') > 0").fetchone() == (True,)


def test_an_interrupt_in_the_terminal_reaches_neither_keeper_nor_server(home: Path) -> None:
    user = up(another_user(home))
    with server(home).running() as local:
        for process in keepers(home):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGHUP)
        fill(local)
        assert one(local) == 1
    leaves(user)
