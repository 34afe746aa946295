"""The three platforms under one fixture: two over HTTP against the sandbox, one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.conformance.tiny import TinyPlatform
from tests.sandbox_fixture import Sandbox

from mailfleet.platforms.forge import ForgePlatform
from mailfleet.platforms.port import MailboxSpec, SendingPlatform
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.transport import Means
from mailfleet.vendors.warmforge.client import get_warmforge_client


@dataclass
class Bench:
    """A platform, the time it lives in, and mailboxes it may be given."""

    platform: SendingPlatform
    advance: Callable[[float], Any]
    spec: Callable[[str], MailboxSpec]


class Kept(dict[str, str]):
    """Secrets of hooks, in memory."""

    async def keep(self, hook: str, secret: str) -> None:
        self[hook] = secret

    async def has(self, hook: str) -> bool:
        return hook in self


@pytest.fixture(scope="module")
def outside() -> Iterator[Sandbox]:
    """One world: what a test makes bears its own name."""
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    running.control("POST", "/forge/seed", {"sequences": 1, "leads": 10, "fresh": 0, "mailboxes": 1, "domains": 1})
    yield running
    running.close()


def _spec(world: Sandbox | None, address: str) -> MailboxSpec:
    host = world.info["mailhost"] if world else {}
    if world:
        world.control("POST", "/mailhost/accounts", {"address": address, "password": "pw"})
    return MailboxSpec(
        address=address,
        display_name="Ada Byrne",
        username=address,
        password="pw",
        smtp_host=host.get("smtp_host", "h"),
        smtp_port=host.get("smtp_port", 25),
        imap_host=host.get("imap_host", "h"),
        imap_port=host.get("imap_port", 143),
        daily_cap=30,
    )


def _smartlead(world: Sandbox, means: Means) -> SmartleadPlatform:
    told = world.info["smartlead"]
    urls = {"base_url": told["base_url"], "delivery_base_url": told["delivery_base_url"]}
    return SmartleadPlatform(get_smartlead_client(told["api_key"], means, plan="pro", **urls))


def _forge(world: Sandbox, means: Means) -> ForgePlatform:
    core, warm = world.info["salesforge"], world.info["warmforge"]
    urls = {"base_url": core["base_url"], "multichannel_base_url": core["multichannel_base_url"]}

    def today() -> Any:
        return datetime.fromisoformat(world.control("GET", "/clock")["now"]).astimezone(UTC).date()

    return ForgePlatform(
        get_salesforge_client(core["api_key"], means, rate=500, **urls),
        get_warmforge_client(warm["api_key"], means, base_url=warm["base_url"], rate=500),
        hooks=Kept(),
        today=today,
    )


@pytest.fixture(params=["smartlead", "forge", "tiny"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "tiny":
        tiny = TinyPlatform()
        yield Bench(tiny, lambda days: tiny.advance(round(days)), lambda address: _spec(None, address))
        return
    world: Sandbox = request.getfixturevalue("outside")
    means = Means(journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())
    platform = _smartlead(world, means) if request.param == "smartlead" else _forge(world, means)
    yield Bench(platform, lambda days: world.advance(days=days), lambda address: _spec(world, address))
    await platform.close()
