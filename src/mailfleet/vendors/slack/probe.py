"""What is asked of Slack: posting is all we do there, so that without `write` there is nothing to ask."""

from __future__ import annotations

from mailfleet.vendors.probe import Probe
from mailfleet.vendors.slack.client import SlackClient


async def run(client: SlackClient, probe: Probe, channel: str, *, hook: bool, write: bool) -> None:
    if write:
        row = "incoming-webhook" if hook else "chat.postMessage"
        await probe.look(row, lambda: client.post(channel, "mailfleet verifies that it can post here."))
