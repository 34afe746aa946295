"""Webhooks in: refused, or on disk before the answer; nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from mailfleet.clock import FixedClock
from mailfleet.receiver.app import LARGEST, Receiver
from mailfleet.receiver.group_commit import GroupCommit
from mailfleet.store.database import Database, tuples

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
SECRET = "s3cret-of-the-hook"
PATH = "/hooks/a-token/smartlead"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    app = Receiver(database, FixedClock(NOW), token="a-token", secrets={"smartlead": SECRET})
    app.inbox.start()
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://receiver") as opened:
        yield opened
    await app.inbox.stop()


def body(**more: Any) -> dict[str, Any]:
    return {
        "event_type": "EMAIL_SENT", "event_timestamp": "2026-03-02T00:59:00.000001+00:00", "secret_key": SECRET,
        "webhook_url": "https://x/hooks/a-token/smartlead", **more,
    }  # fmt: skip


async def stored(database: Database) -> list[dict[str, Any]]:
    async with database.connection() as db:
        return [each for (each,) in await tuples(db, "select body from mailfleet.webhook_inbox order by id")]


async def test_a_webhook_is_stored_before_the_answer_and_without_our_secrets(
    client: httpx2.AsyncClient, database: Database
) -> None:
    answer = await client.post(PATH, json=body(n=1))
    assert answer.status_code == 200
    assert await stored(database) == [
        {"event_type": "EMAIL_SENT", "event_timestamp": "2026-03-02T00:59:00.000001+00:00", "n": 1}
    ]


async def test_the_same_bytes_again_are_the_same_row(client: httpx2.AsyncClient, database: Database) -> None:
    for _ in range(3):
        assert (await client.post(PATH, json=body(n=1))).status_code == 200
    await client.post(PATH, json=body(n=2))
    assert len(await stored(database)) == 2


@pytest.mark.parametrize(
    ("path", "method", "content", "status"),
    [
        ("/hooks/another-token/smartlead", "POST", json.dumps(body()).encode(), 404),
        ("/hooks/a-token/nobody", "POST", json.dumps(body()).encode(), 404),
        ("/hooks/a-token", "POST", b"{}", 404),
        ("/hooks/a-tokén/smartlead", "POST", b"{}", 404),
        (PATH, "GET", b"", 405),
        (PATH, "POST", b"not json", 400),
        (PATH, "POST", b"[1, 2]", 400),
        (PATH, "POST", b"", 400),
        (PATH, "POST", b"\xff\xfe{}", 400),
        (PATH, "POST", b'{"a":' * 50_000, 400),
        (PATH, "POST", json.dumps(body(secret_key="wrong")).encode(), 401),
        (PATH, "POST", json.dumps(body(secret_key=None)).encode(), 401),
        (PATH, "POST", json.dumps(body(secret_key=7)).encode(), 401),
        (PATH, "POST", b'{"a": "' + b"x" * LARGEST + b'"}', 413),
    ],
)
async def test_what_is_not_the_vendors_is_refused_and_not_stored(
    client: httpx2.AsyncClient, database: Database, path: str, method: str, content: bytes, status: int
) -> None:
    assert (await client.request(method, path, content=content)).status_code == status
    assert not await stored(database)


async def test_a_signature_counts_when_one_is_sent(client: httpx2.AsyncClient) -> None:
    raw = json.dumps(body()).encode()
    right = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert (await client.post(PATH, content=raw, headers={"X-Smartlead-Signature": right})).status_code == 200
    wrong = {"X-Smartlead-Signature": "sha256=" + "0" * 64}
    assert (await client.post(PATH, content=raw, headers=wrong)).status_code == 401


async def test_account_notifications_carry_no_secret(client: httpx2.AsyncClient, database: Database) -> None:
    assert (await client.post(PATH, json={"eventType": "EMAIL_ACCOUNT_DISCONNECTED"})).status_code == 200
    assert len(await stored(database)) == 1


@pytest.mark.parametrize(
    "odd",
    [
        b'{"secret_key":"%s","text":"zero \\u0000 byte"}',
        b'{"secret_key":"%s","text":"lone \\ud800 surrogate"}',
        b'{"secret_key":"%s","n":1e400}',
        b'{"secret_key":"%s","n":123456789012345678901234567890123456789012345678901234567890}',
        b'{"secret_key":"%s","nested":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"secret_key":"%s","secret_key":"%s","":null}',
        b'{"secret_key":"%s","event_timestamp":"0001-01-01T00:00:00+14:00"}',
        b'{"secret_key":"%s","event_timestamp":"9999-12-31T23:59:59-14:00"}',
    ],
)
async def test_odd_bodies_are_stored_or_refused_and_fail_nobody_else(
    client: httpx2.AsyncClient, database: Database, odd: bytes
) -> None:
    raw = odd.replace(b"%s", SECRET.encode())
    good = [client.post(PATH, json=body(n=n)) for n in range(20)]
    answers = await asyncio.gather(client.post(PATH, content=raw), *good)
    assert answers[0].status_code in (200, 400, 401)
    assert {answer.status_code for answer in answers[1:]} == {200}
    assert len(await stored(database)) == 20 + (answers[0].status_code == 200)


async def test_too_much_waiting_is_shed_and_not_kept_in_memory(database: Database) -> None:
    app = Receiver(database, FixedClock(NOW), token="a-token", secrets={"smartlead": ""}, backlog=5)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://r") as client:
        waiting = [asyncio.create_task(client.post(PATH, json={"n": n})) for n in range(5)]
        await asyncio.sleep(0.2)
        shed = await client.post(PATH, json={"n": 6})
        assert shed.status_code == 503 and shed.headers["retry-after"]
        app.inbox.start()
        assert {(await each).status_code for each in waiting} == {200}
        await app.inbox.stop()
    assert len(await stored(database)) == 5


async def test_without_a_database_the_vendor_is_asked_to_send_again() -> None:
    away = Database("host=/nonexistent dbname=x connect_timeout=1")
    group = GroupCommit(away)
    app = Receiver(away, FixedClock(NOW), token="a-token", secrets={"smartlead": ""})
    app.inbox = group
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://r") as client:
        group.start()
        answer = await client.post(PATH, json={"n": 1}, timeout=60)
        await group.stop()
    assert answer.status_code == 503


async def test_backends_that_die_lose_nothing(client: httpx2.AsyncClient, database: Database) -> None:
    async def kill() -> None:
        for _ in range(3):
            async with database.connection() as db:
                await db.execute(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where pid <> pg_backend_pid() and datname = current_database()"""
                )
            await asyncio.sleep(0)

    answers, _ = await asyncio.gather(
        asyncio.gather(*(client.post(PATH, json=body(n=n), timeout=60) for n in range(200))), kill()
    )
    good = sum(answer.status_code == 200 for answer in answers)
    assert good == len(await stored(database)) == 200


async def test_what_was_acknowledged_survives_kill_9(dsn: str, database: Database, tmp_path: Any) -> None:
    environment = {
        **os.environ, "DATABASE_URL": dsn, "MAILFLEET_HOME": str(tmp_path), "RECEIVER_PORT": "0",
        "RECEIVER_TOKEN": "a-token", "SMARTLEAD_WEBHOOK_SECRET": SECRET,
    }  # fmt: skip
    acknowledged: list[int] = []
    for burst in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mailfleet.receiver", env=environment, stdout=subprocess.PIPE, cwd=tmp_path
        )
        assert process.stdout
        address = json.loads(await process.stdout.readline())["receiver"]
        enough = asyncio.Event()
        async with httpx2.AsyncClient(base_url=address) as client:

            async def send(
                n: int, client: httpx2.AsyncClient = client, burst: int = burst, enough: asyncio.Event = enough
            ) -> None:
                try:
                    if (await client.post(PATH, json=body(n=n))).status_code == 200:
                        acknowledged.append(n)
                        if len(acknowledged) >= (burst + 1) * 40:
                            enough.set()
                except httpx2.HTTPError:
                    return

            tasks = [asyncio.create_task(send(burst * 1000 + n)) for n in range(300)]
            await enough.wait()
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(*tasks)
        await process.wait()
    kept = {each["n"] for each in await stored(database)}
    assert acknowledged and set(acknowledged) <= kept
