"""Mailboxes that Infraforge and Mailforge hold already are sent through again: their logins, their records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.sandbox_fixture import Sandbox

from mailfleet.errors import Unknown
from mailfleet.platforms.forge_hosts import ForgeHost
from mailfleet.platforms.port import MailboxSpec
from mailfleet.platforms.smartlead import SmartleadPlatform
from mailfleet.vendors.infraforge.client import get_infraforge_client
from mailfleet.vendors.mailforge.client import get_mailforge_client
from mailfleet.vendors.smartlead.client import get_smartlead_client
from mailfleet.vendors.transport.memory import MemoryBudget, MemoryCalls, MemoryCircuit, MemoryJournal
from mailfleet.vendors.transport.transport import Means

pytestmark = pytest.mark.anyio
MAKERS: dict[str, Any] = {"infraforge": get_infraforge_client, "mailforge": get_mailforge_client}


@pytest.fixture
def means() -> Means:
    return Means(journal=MemoryJournal(), budget=MemoryBudget(), circuit=MemoryCircuit(), calls=MemoryCalls())


@pytest.fixture(params=["infraforge", "mailforge"])
async def held(shared_sandbox: Sandbox, means: Means, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Any, str]]:
    """The host, and the address of a mailbox that it holds."""
    told = shared_sandbox.info[request.param]
    address = f"ana.ruiz@{request.param}-held.com"
    order = {"product": request.param, "address": address, "first_name": "Ana", "last_name": "Ruiz"}
    shared_sandbox.control("POST", "/forge/mailboxes", order)
    host = ForgeHost(request.param, MAKERS[request.param](told["api_key"], means, base_url=told["base_url"], rate=500))
    yield host, address
    await host.close()


async def test_its_login_is_checked_and_connects_the_mailbox_to_another_platform(
    held: tuple[ForgeHost, str], shared_sandbox: Sandbox, means: Means
) -> None:
    host, address = held
    found = await host.mailbox(address, "Ana Ruiz")
    assert found.password and found.password not in repr(found)
    told = shared_sandbox.info["smartlead"]
    urls = {"base_url": told["base_url"], "delivery_base_url": told["delivery_base_url"]}
    platform = SmartleadPlatform(get_smartlead_client(told["api_key"], means, **urls))
    login = {name: getattr(found, name) for name in ("username", "password", "smtp_host", "smtp_port", "imap_host")}
    spec = MailboxSpec(address=address, display_name="Ana Ruiz", imap_port=found.imap_port, daily_cap=20, **login)
    ref = await platform.connect_mailbox(spec)
    assert (await platform.mailbox(ref)).connected
    await platform.close()


async def test_what_its_domain_publishes_is_what_a_domain_there_has_to_publish(held: tuple[ForgeHost, str]) -> None:
    host, address = held
    domain = address.partition("@")[2]
    key = await host.dkim(domain)
    assert key.selector == "default" and key.record and key.record.startswith("v=DKIM1")
    terms = await host.spf_terms(domain)
    assert terms and not any(term.endswith("all") or term.startswith("v=") for term in terms)
    assert [priority for priority, _ in await host.mx(domain)] == [10]


async def test_what_it_does_not_hold_is_said_and_nothing_is_bought(held: tuple[ForgeHost, str]) -> None:
    host, _ = held
    with pytest.raises(Unknown, match="no mailbox"):
        await host.mailbox("nobody@elsewhere.com", "")
    with pytest.raises(Unknown, match="no domain"):
        await host.mx("elsewhere.com")
