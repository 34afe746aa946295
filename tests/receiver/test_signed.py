"""Webhooks that each hook signs with a secret of its own: the published vector, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx2
import pytest

from mailfleet.clock import FixedClock
from mailfleet.receiver import checks
from mailfleet.receiver.app import Receiver
from mailfleet.receiver.keys import HookKeys
from mailfleet.services.hook_secrets import HookSecrets
from mailfleet.store.database import Database, tuples
from mailfleet.store.secrets import Kek, Vault

pytestmark = pytest.mark.anyio
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode().rstrip("=")
BODY = b'{"webhookInfo":{"type":"email_sent"}}'
AT = 1754563200
NOW = datetime.fromtimestamp(AT, UTC)
VECTOR = "d35d432699cc9e59eb73da4396b9a3a96003ba6a9ae259256d270ff3c8f24207"


def headers(signature: str, event: str = "wh_0123456789abcdef") -> dict[str, str]:
    return {"X-SalesforgeAI-Webhook-Event-ID": event, "X-SalesforgeAI-Webhook-Signature": signature}


def raw(signature: str, **more: str) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers(signature, **more).items()]


def test_the_published_vector() -> None:
    assert checks.signed(raw(f"t={AT},v1={VECTOR}"), BODY, ["whsec_other", SECRET], NOW)


@pytest.mark.parametrize(
    ("signature", "body", "away"),
    [
        (f"t={AT},v1={VECTOR}", BODY + b" ", 0),
        (f"t={AT + 1},v1={VECTOR}", BODY, 0),
        (f"t={AT},v1={VECTOR[:-1]}0", BODY, 0),
        (f"t={AT},v1=", BODY, 0),
        ("", BODY, 0),
        ("v1=x,t=99999999999999999999", BODY, 0),
        (f"t={AT},v1={VECTOR}", BODY, 301),
        (f"t={AT},v1={VECTOR}", BODY, -301),
    ],
)
def test_anything_else_is_refused(signature: str, body: bytes, away: int) -> None:
    assert not checks.signed(raw(signature), body, [SECRET], datetime.fromtimestamp(AT + away, UTC))
    assert not checks.signed([], body, [SECRET], NOW)


async def test_a_hook_registered_after_the_start_is_known_at_its_first_event(database: Database) -> None:
    hooks = HookSecrets(database, Vault(Kek(bytes(32))), "forge")
    read = 0

    async def load() -> Mapping[str, str]:
        nonlocal read
        read += 1
        return await hooks.all()

    app = Receiver(database, FixedClock(NOW), token="t", secrets={}, signed={"forge": HookKeys(load)})
    app.inbox.start()
    await hooks.keep("wh_config_1", SECRET)
    assert await hooks.has("wh_config_1") and not await hooks.has("wh_config_2")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://r") as client:
        good = await client.post("/hooks/t/forge", content=BODY, headers=headers(f"t={AT},v1={VECTOR}"))
        bad = await client.post("/hooks/t/forge", content=BODY, headers=headers(f"t={AT},v1=0"))
        unsigned = await client.post("/hooks/t/forge", content=BODY)
    await app.inbox.stop()
    assert (good.status_code, bad.status_code, unsigned.status_code, read) == (200, 401, 401, 1)
    async with database.connection() as db:
        assert await tuples(db, "select platform, body from mailfleet.webhook_inbox") == [
            ("forge", {"webhookInfo": {"type": "email_sent"}})
        ]
        kept = await tuples(db, "select ciphertext from mailfleet.secrets where starts_with(purpose, 'webhook:')")
    assert SECRET.encode() not in kept[0][0]
    assert hmac.new(SECRET.encode(), f"wh_0123456789abcdef.{AT}.".encode() + BODY, hashlib.sha256).hexdigest() == VECTOR
