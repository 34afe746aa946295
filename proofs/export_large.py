"""A large account leaves, and comes back from bucket and key alone: calls, memory, speed, the same content again.

    python -m proofs.export_large [CAMPAIGNS] [LEADS A CAMPAIGN]

The commands are run as an operator runs them, each in a process of its own, against a sandbox that allows 200 calls a
second, a bucket (moto) and two databases of an embedded server. The sandbox is gone before anything is restored.
Exit code 1 when a promise is missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from tests.sandbox_fixture import Sandbox

from mailfleet.platforms.forge_datasets import SALESFORGE
from mailfleet.rules import table_files
from mailfleet.services.sealing import Opener, Seal, key_file, new_key
from mailfleet.store import migrate
from mailfleet.store.embedded import LocalPostgres
from proofs import ground

PER_SECOND, MORE_CALLS, MOST_MB, LEAST_MB_PER_SECOND = 200, 1.05, 300, 80
STEPS, BATCH, DAYS = 5, 10, 120
PAGE, LONG_PAGE = 100, 1000
"""The largest pages of the interface: 1000 rows of `sending-data` and `dnc`, 100 of everything else."""
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
Told = dict[str, Any]


def seeded(world: Sandbox, campaigns: int, leads: int) -> Told:
    """A past of these campaigns; what there is then."""
    for at in range(0, campaigns, BATCH):
        given = {"sequences": min(BATCH, campaigns - at), "leads": leads, "fresh": leads // 50, "steps": STEPS}
        world.control(
            "POST", "/forge/seed", {**given, "mailboxes": 40, "domains": 10, "days": DAYS, "status": "paused"}
        )
    world.control("POST", "/forge/options", {"per_second": PER_SECOND})
    return world.control("GET", "/forge/state")


def lower_bound(there: Told) -> tuple[int, dict[str, int]]:
    """The calls that nobody can do without who reads all this: each list once at its largest page, each sequence once
    (steps and counters are shown nowhere else) and its days once, each mailbox's warm-up days, each domain's records,
    and one list of each product's workspaces."""
    boxes, sequences = len(there["warmup"]), len(there["sequences"])
    calls = {
        "workspaces": 2,
        "contacts": _pages(there["contacts"], PAGE),
        "sending-data": _pages(there["mails"], LONG_PAGE),
        "threads": _pages(there["threads"], PAGE),
        "dnc": _pages(there["forbidden"], LONG_PAGE),
        "sequences": _pages(sequences, PAGE),
        "sequences/ID": sequences,
        "sequences/ID/analytics": sequences,
        "mailboxes (salesforge)": _pages(boxes, PAGE),
        "multichannel": 1,
        "warm-up": boxes + 2,
        "domains and DNS": 1 + len(there["domains"]),
        "credentials": 1,
    }
    return sum(calls.values()), calls


def _pages(rows: int, size: int) -> int:
    return max(1, -(-rows // size))


def command(env: Told, *words: str) -> tuple[Any, float, float]:
    """What a command prints as JSON, its seconds, and the most memory its process had, in MB."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        line = [sys.executable, "-m", "mailfleet.cli", *words, "--json"]
        process = subprocess.Popen(line, stdout=out, env={**os.environ, **env})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{text[-2000:]}")
    return json.loads(text or "null"), time.monotonic() - began, used.ru_maxrss / 1000


@contextlib.contextmanager
def bucket() -> Generator[str]:
    """An S3 service in a process of its own with the bucket `archives`; its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    try:
        address = process.stdout.readline().strip()
        httpx2.put(f"{address}/archives", trust_env=False).raise_for_status()
        yield address
    finally:
        process.kill()
        process.wait()


_SERVE = """
import logging, threading
from moto.server import ThreadedMotoServer
logging.disable(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
threading.Event().wait()
"""


def vendors(world: Sandbox) -> dict[str, str]:
    found: dict[str, str] = {"FORGE_CALLS_PER_SECOND": str(PER_SECOND)}
    for name in ("salesforge", "warmforge", "infraforge"):
        found[f"{name.upper()}_API_KEY"] = world.info[name]["api_key"]
        found[f"{name.upper()}_BASE_URL"] = world.info[name]["base_url"]
    return {**found, "SALESFORGE_MULTICHANNEL_BASE_URL": world.info["salesforge"]["multichannel_base_url"]}


def packing(archive: dict[str, Any], folder: Path, opener: Opener) -> str:
    """Real rows packed and encrypted again; MB of files in clear a second of processor time, the middle of five."""
    seal = Seal([new_key(folder / "speed.key")])
    told: list[str] = []
    for name in ("salesforge/leads", "salesforge/engagement"):
        key = archive["datasets"][name]["parts"][0]["files"]["jsonl"]["key"]
        rows = [
            msgspec.json.decode(line) for line in opener.decrypt(key, (folder / "out" / key).read_bytes()).splitlines()
        ]
        columns = next(each.columns for each in SALESFORGE if each.name == name)
        rates = sorted(_packed(rows, columns, seal) for _ in range(5))
        told.append(f"{name.rpartition('/')[2]} {rates[2]:.0f} MB/s")
        if rates[2] < LEAST_MB_PER_SECOND:
            _MISSED.append(f"packing {told[-1]}")
    return ", ".join(told)


def _packed(rows: list[Told], columns: tuple[str, ...], seal: Seal) -> float:
    began = time.process_time()
    lines = table_files.json_lines(rows)
    table = table_files.csv_lines(rows, columns)
    table_files.digest(lines)
    seal.encrypt(lines)
    seal.encrypt(table)
    return (len(lines) + len(table)) / 1e6 / (time.process_time() - began)


_MISSED: list[str] = []


def kept(what: str, held: bool) -> str:
    if not held:
        _MISSED.append(what)
    return "held" if held else "MISSED"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    campaigns, leads = (int(word) for word in [*sys.argv[1:], *("100", "5000")[len(sys.argv) - 1 :]][:2])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place,
        bucket() as s3,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(place)
        folder.chmod(0o755)
        server = stack.enter_context(LocalPostgres(folder / "postgres", FAST, throwaway=True).running())
        first, second = (_database(server, name) for name in ("first", "second"))
        recipient = new_key(folder / "age.key")
        env = {
            "MAILFLEET_HOME": str(folder / "home"), "MAILFLEET_LOG_LEVEL": "error", "EXPORT_RECIPIENTS": recipient,
            "EXPORT_BUCKET": "s3://archives/mailfleet", "EXPORT_S3_ENDPOINT": s3, "EXPORT_S3_KEY_ID": "k",
            "EXPORT_S3_SECRET": "s",
        }  # fmt: skip
        name = exported(env | {"DATABASE_URL": first}, campaigns, leads, folder)
        back(env | {"DATABASE_URL": second, "MAILFLEET_HOME": str(folder / "elsewhere")}, name, folder)
    say("every promise held" if not _MISSED else f"MISSED: {', '.join(_MISSED)}")
    return 1 if _MISSED else 0


def _database(server: LocalPostgres, name: str) -> str:
    dsn = server.ensure_database(name)
    migrate.migrate(dsn)
    return dsn


def exported(env: Told, campaigns: int, leads: int, folder: Path) -> str:
    """The archive's name. The sandbox lives only in here."""
    began = time.monotonic()
    world = Sandbox("--seed", "1", "--profile", "calm")
    world.http.timeout = httpx2.Timeout(1800)
    try:
        there = seeded(world, campaigns, leads)
        say(
            f"{len(there['sequences'])} campaigns, {there['contacts']:,} leads, {there['mails']:,} engagement rows, "
            f"{there['threads']:,} conversations; seeded in {time.monotonic() - began:.0f} s"
        )
        made, seconds, memory = command({**env, **vendors(world)}, "export", "forge")
        asked = [entry for entry in world.log("http") if entry["vendor"] in _VENDORS]
    finally:
        world.process.kill()  # taking gigabytes apart in order takes longer than it is waited for
        world.close()
    bound, parts = lower_bound(there)
    refused = Counter(entry["status"] for entry in asked if entry["status"] != 200)
    say(f"rows: {made['rows']}")
    say(f"lower bound {bound:,} calls: {parts}")
    say(
        f"calls {len(asked):,}, {len(asked) / bound:.4f} of the bound (at most {MORE_CALLS}): "
        f"{kept('calls', len(asked) <= MORE_CALLS * bound)}; refused {dict(refused)}"
    )
    say(
        f"export: {seconds:.0f} s, {len(asked) / seconds:.0f} calls/s, {memory:.0f} MB (under {MOST_MB}): "
        f"{kept('memory of the export', memory < MOST_MB)}"
    )
    (checked,), seconds, memory = command(env, "export", "verify", made["archive"], "--key", str(folder / "age.key"))
    whole = checked["rows"] == sum(made["rows"].values()) and not checked["faults"]
    say(f"verify: {checked['files']} files, {checked['bytes'] / 1e6:.0f} MB, {checked['rows']:,} rows, "
        f"{len(checked['faults'])} faults, {seconds:.0f} s, {memory:.0f} MB: {kept('verify', whole)}")  # fmt: skip
    return made["archive"]


_VENDORS = ("salesforge", "multichannel", "warmforge", "infraforge", "mailforge", "forge")


def back(env: Told, name: str, folder: Path) -> None:
    """Into an empty database of another machine, and out again to a folder with the same content."""
    listed, _, _ = command(env, "export", "list", "--place", "bucket")
    assert listed == [{"archive": name}], listed
    key = str(folder / "age.key")
    told, seconds, memory = command(env, "export", "restore", name, "--key", key, "--yes")
    say(
        f"restore: {sum(told['rows'].values()):,} rows, incomplete {told['incomplete']}, {seconds:.0f} s, "
        f"{memory:.0f} MB: {kept('memory of the restore', memory < MOST_MB)}"
    )
    there = {**env, "EXPORT_BUCKET": "", "EXPORT_FOLDER": str(folder / "out")}
    made, seconds, memory = command(there, "export", "again", name)
    one = command(env, "export", "restore", name, "--key", key, "--place", "bucket")[0]["digests"]
    other = command(there, "export", "restore", made["archive"], "--key", key, "--place", "folder")[0]["digests"]
    say(
        f"again: {seconds:.0f} s, {memory:.0f} MB: {kept('memory of again', memory < MOST_MB)}; the same content, "
        f"dataset by dataset ({len(one)}): {kept('same content', one == other)}"
    )
    opener = key_file(folder / "age.key")
    manifest = folder / "out" / made["archive"] / "manifest.json.age"
    archive = msgspec.json.decode(opener.decrypt("manifest", manifest.read_bytes()))
    say(f"memberships: {archive['remarks']}")
    say(f"packing and encryption, processor time: {packing(archive, folder, opener)} (over {LEAST_MB_PER_SECOND})")


if __name__ == "__main__":
    ground.quiet()
    sys.exit(main())
