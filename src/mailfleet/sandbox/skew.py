"""A vendor whose clock is wrong: every moment it tells is shifted, in answers, webhooks and the Date header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any

from starlette.types import Message, Send

from mailfleet.sandbox.world import World

# A campaign's start was told to the vendor; it is no reading of its clock.
_MOMENT = re.compile(
    r'(?<!"schedule_start_time":")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<part>\.\d{1,6})?(?P<zone>Z|[+-]\d\d:\d\d)'
)


def skew(world: World, vendor: str) -> float:
    """By how many seconds a vendor's clock is wrong."""
    held: Mapping[str, float] = world.state.get("skew", {})
    return held.get(vendor, held.get("smartlead", 0.0) if vendor in ("smartdelivery", "smartsenders") else 0.0)


def shifted(text: str, seconds: float) -> str:
    """The text with every moment in it shifted, each in its own form."""

    def shift(found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(found.group(0)) + timedelta(seconds=seconds)
        part = found.group("part") or ""
        digits = f".{moment.microsecond:06d}"[: len(part)] if part else ""
        return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}{digits}{found.group('zone')}"

    return _MOMENT.sub(shift, text)


def date_header(now: float) -> bytes:
    """The value of a Date header."""
    return formatdate(now, usegmt=True).encode()


class Shifting:
    """Passes an answer on with its moments shifted; JSON is held back until it is whole."""

    def __init__(self, send: Send, seconds: float) -> None:
        self.send = send
        self.seconds = seconds
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message.get("more_body") or self.start is None:
            return
        headers: list[tuple[bytes, bytes]] = list(self.start["headers"])
        if any(name == b"content-type" and b"json" in value for name, value in headers):
            self.body = shifted(self.body.decode(), self.seconds).encode()
        kept = [(name, value) for name, value in headers if name != b"content-length"]
        whole: dict[str, Any] = {**self.start, "headers": [*kept, (b"content-length", b"%d" % len(self.body))]}
        await self.send(whole)
        await self.send({"type": "http.response.body", "body": self.body})
