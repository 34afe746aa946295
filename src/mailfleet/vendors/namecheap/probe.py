"""What is asked of Namecheap to see whether it answers as written. Nothing is bought or delegated, ever."""

from __future__ import annotations

from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.probe import Probe

NAME = "mailfleet-verify-no-such-name.com"


async def run(client: NamecheapClient, probe: Probe, domain: str = "") -> None:
    """`domain`: one in the account, of which details are read."""
    await probe.look("domains.check", lambda: client.check(NAME))
    await probe.look("domains.getInfo", lambda: client.owned(domain or NAME))
    if domain:
        await probe.look("domains.dns.getList", lambda: client.nameservers(domain))
