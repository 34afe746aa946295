"""What is asked of Twilio: sending is all we do there, so that without `write` there is nothing to ask."""

from __future__ import annotations

from mailfleet.vendors.probe import Probe
from mailfleet.vendors.twilio.client import TwilioClient


async def run(client: TwilioClient, probe: Probe, to: str, *, write: bool) -> None:
    if write and to:
        await probe.look("messages", lambda: client.send(to, "mailfleet verifies that it can send here."))
