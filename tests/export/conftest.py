"""A fleet, a folder, a real S3 server on loopback, and a key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from mailfleet.clock import FixedClock
from mailfleet.platforms.shelves import ObjectShelf, bucket, folder
from mailfleet.policy.load import default_policy
from mailfleet.services.context import Fleet
from mailfleet.services.sealing import Opener, Seal, key_file, new_key
from mailfleet.store.secrets import Kek, Vault

START = datetime(2026, 3, 2, 1, tzinfo=UTC)


def fleet_on(database: Any, *, seed: int = 1, kek: bytes = bytes(32)) -> Fleet:
    return Fleet(
        db=database, clock=FixedClock(START), policy=default_policy(), vault=Vault(Kek(kek)), platforms={},
        dns_hosts={}, mailbox_hosts={}, channels={}, names=None,  # type: ignore[arg-type]  # nothing here asks DNS
        rng=random.Random(seed),
    )  # fmt: skip


@pytest.fixture
def fleet(database: Any) -> Fleet:
    return fleet_on(database)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Seal, Opener, Path]:
    file = tmp_path / "age.key"
    return Seal([new_key(file)]), key_file(file), file


@pytest.fixture
def shelf(tmp_path: Path) -> ObjectShelf:
    return folder(tmp_path / "exports")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, request: pytest.FixtureRequest) -> ObjectShelf:
    import httpx2

    name = f"b{abs(hash(request.node.nodeid)) % 10**9}"
    assert httpx2.put(f"{s3_server}/{name}").status_code == 200
    return bucket(f"s3://{name}/backups", key_id="AKID", secret="hidden-s3-secret", endpoint=s3_server, retries=0)


def change(shelf_path: Path, pattern: str) -> Path:
    """Flips a byte in the middle of the first file that fits."""
    file = sorted(shelf_path.rglob(pattern))[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    return file
