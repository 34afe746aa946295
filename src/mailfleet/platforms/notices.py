"""Who carries notices: Slack for everything, SMS for emergencies (S12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mailfleet.platforms.settling import Finding, OpenWrite, unreadable
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.twilio.client import TwilioClient

MARKS: Mapping[str, str] = {
    "info": ":information_source:",
    "warning": ":warning:",
    "urgent": ":large_orange_circle:",
    "critical": ":red_circle:",
    "emergency": ":rotating_light:",
}
MOST_FIELDS = 10
"""A section block takes ten fields of 2,000 characters; a header 150 (slack:block-kit)."""


class SlackChannel:
    """`NoticeChannel` by Slack; the target is a channel's name or id."""

    name: Literal["slack", "sms", "email"] = "slack"

    def __init__(self, client: SlackClient) -> None:
        self.client = client

    async def close(self) -> None:
        await self.client.close()

    @property
    def keys(self) -> frozenset[str]:
        return self.client.keys

    async def settle(self, write: OpenWrite) -> Finding:
        return unreadable("Slack shows what a channel holds only to a right that is not asked for")

    async def send(
        self, target: str, *, title: str, body: str, severity: str, context: Mapping[str, object], notice: str = ""
    ) -> str:
        mark = MARKS.get(severity, "")
        text = plain(f"{mark} {title}\n{body}".strip())
        return await self.client.post(target, text, blocks(title, body, mark, context), notice=notice)


class SmsChannel:
    """`NoticeChannel` by SMS; the target is a number."""

    name: Literal["slack", "sms", "email"] = "sms"

    def __init__(self, client: TwilioClient) -> None:
        self.client = client

    async def close(self) -> None:
        await self.client.close()

    @property
    def keys(self) -> frozenset[str]:
        return self.client.keys

    async def settle(self, write: OpenWrite) -> Finding:
        return unreadable("the message's id was in the lost answer, and without it no message can be told from another")

    async def send(
        self, target: str, *, title: str, body: str, severity: str, context: Mapping[str, object], notice: str = ""
    ) -> str:
        return (await self.client.send(target, f"{severity.upper()}: {title}\n{body}", notice=notice)).sid


def blocks(title: str, body: str, mark: str, context: Mapping[str, object]) -> list[dict[str, Any]]:
    """The notice as Slack's blocks; what leads write is shown as text, never as markup or mention."""
    shown: list[dict[str, Any]] = [
        {"type": "section", "text": _mrkdwn(f"{mark} *{plain(title)[:150]}*")},
        {"type": "section", "text": _mrkdwn(plain(body)[:2900] or "–")},
    ]
    fields = [_mrkdwn(f"*{plain(name)}*\n{plain(str(value))[:300]}") for name, value in context.items()][:MOST_FIELDS]
    return [*shown, {"type": "section", "fields": fields}] if fields else shown


def plain(text: str) -> str:
    """Slack's three control characters escaped (slack:formatting), so that a lead's `<!channel>` calls nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}
