"""The vendor's webhooks on their way: which hooks an event goes to, attempts, retries, disabling, duplicates, order."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import httpx2

from mailfleet.sandbox.seeds import fraction, hexes
from mailfleet.sandbox.skew import shifted, skew
from mailfleet.sandbox.smartlead.state import Campaign, Smartlead, Webhook, rest_time, smartlead
from mailfleet.sandbox.world import World

# Deliveries of this much sandbox time run at once, at most so many together. A signature is believed for five minutes.
_WINDOW = timedelta(minutes=4)
_TOGETHER = 8
_PATIENCE = 10.0

Attempt = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Disorder:
    """How often deliveries go wrong by themselves: shares of all first attempts."""

    repeated: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    # Sent once more days later, as somebody at the vendor does by hand.
    again: float = 0.0


PROFILES = {
    "calm": Disorder(),
    "typical": Disorder(repeated=0.03, late=0.04),
    "hostile": Disorder(repeated=0.15, late=0.20, lost=0.03, again=0.02),
}


@dataclass
class Outbound:
    """Deliveries under way."""

    client: httpx2.AsyncClient
    disorder: Disorder = PROFILES["typical"]
    # Set by faults: how many of the coming deliveries are lost, made twice, held for a while, or days late.
    lose: int = 0
    repeat: int = 0
    reorder: int = 0
    hold: timedelta = timedelta(hours=1)
    late: int = 0
    lateness: timedelta = timedelta(days=3)
    number: int = 0
    since: datetime | None = None
    waiting: list[Attempt] = field(default_factory=list[Attempt])

    async def before(self, moment: datetime) -> None:
        """Lets deliveries finish before the clock moves too far past them."""
        if self.since is not None and (moment - self.since >= _WINDOW or len(self.waiting) >= _TOGETHER * 8):
            await self.drain()

    async def drain(self) -> bool:
        """Makes every waiting delivery; False when there was none."""
        if not self.waiting:
            return False
        attempts, self.waiting, self.since = self.waiting, [], None
        # In rounds, so that the results are noted in the order in which the deliveries fell due.
        for first in range(0, len(attempts), _TOGETHER):
            finished = await asyncio.gather(*(attempt() for attempt in attempts[first : first + _TOGETHER]))
            for note in finished:
                note()
        return True


def outbound(world: World) -> Outbound:
    """The deliveries of this world."""
    kept = world.state.get("outbound")
    if kept is None:
        kept = world.state["outbound"] = Outbound(httpx2.AsyncClient(timeout=_PATIENCE, trust_env=False))
        world.before.append(kept.before)
    return cast(Outbound, kept)


def hooks_for(vendor: Smartlead, event: str, campaign: Campaign | None) -> list[Webhook]:
    """The hooks an event goes to: those of the account win over a client's, those over the campaign's."""
    found = [hook for hook in vendor.webhooks.values() if event in hook.events and not hook.disabled]
    account = [hook for hook in found if hook.campaign_id is None and hook.client_id is None]
    if account or campaign is None:
        return account
    client = [hook for hook in found if hook.campaign_id is None and hook.client_id == campaign.client_id]
    return client or [hook for hook in found if hook.campaign_id == campaign.id]


def emit(
    world: World,
    event: str,
    campaign: Campaign | None,
    body: Callable[[Webhook], Mapping[str, Any]],
    category: str | None = None,
) -> None:
    """Queues an event for every hook that wants it. `body` makes the payload for one hook.

    With a `category`, hooks of a campaign get it only if they are registered for that one.
    """
    vendor = smartlead(world)
    for hook in hooks_for(vendor, event, campaign):
        if category is not None and hook.categories and category not in hook.categories:
            continue
        queue(world, hook, event, dict(body(hook)))


def queue(world: World, hook: Webhook, event: str, payload: dict[str, Any]) -> None:
    """Plans the first attempt some seconds from now, later or twice as the profile has it."""
    out = outbound(world)
    out.number += 1
    stem = f"{hook.id}:{out.number}"
    share, odd = fraction(world, "hook", stem), fraction(world, "hook odd", stem)
    delay = timedelta(seconds=1 + 4 * share)
    disorder = out.disorder
    if odd < disorder.lost or out.lose:
        out.lose = max(0, out.lose - 1)
        _note(world, hook, event, payload, stem, 0, "lost")
        return
    if odd < disorder.lost + disorder.late:
        delay += timedelta(seconds=30 + 570 * share)
    delay += _held_back(world, out, stem)
    hook.made.append((world.now, event, payload))
    delivery = partial(_due, world, hook, event, payload, stem)
    world.at(world.now + delay, partial(delivery, 1))
    if odd >= 1 - disorder.repeated or out.repeat:
        out.repeat = max(0, out.repeat - 1)
        world.at(world.now + delay + timedelta(seconds=5 + 900 * share), partial(delivery, 1))
    if disorder.again and fraction(world, "hook again", stem) < disorder.again:
        world.at(world.now + delay + timedelta(days=1 + 4 * share), partial(delivery, 1))


def _held_back(world: World, out: Outbound, stem: str) -> timedelta:
    """What faults add: a delay of its own for each delivery, so that they overtake each other, or whole days."""
    if out.late:
        out.late -= 1
        return out.lateness
    if out.reorder:
        out.reorder -= 1
        return out.hold * fraction(world, "hook order", stem)
    return timedelta()


def resend(world: World, after: datetime, before: datetime) -> int:
    """Sends everything of a period once more, as the vendor's support does; how much that was."""
    found = [(hook, *made) for hook in smartlead(world).webhooks.values() for made in hook.made]
    again = [(hook, event, payload) for hook, at, event, payload in found if after <= at <= before]
    for number, (hook, event, payload) in enumerate(again):
        stem = f"{hook.id}:again:{outbound(world).number}:{number}"
        world.at(world.now, partial(_due, world, hook, event, payload, stem, 1))
    outbound(world).number += 1
    return len(again)


def _due(world: World, hook: Webhook, event: str, payload: dict[str, Any], stem: str, attempt: int) -> None:
    if hook.disabled or hook.id not in smartlead(world).webhooks:
        return
    out = outbound(world)
    out.since = out.since or world.now
    out.waiting.append(partial(_attempt, world, hook, event, payload, stem, attempt, world.now))


async def _attempt(
    world: World, hook: Webhook, event: str, payload: dict[str, Any], stem: str, attempt: int, at: datetime
) -> Callable[[], None]:
    """Delivers once; returns what is to be done about the result."""
    wrong = skew(world, "smartlead")
    content = (shifted(json.dumps(payload), wrong) if wrong else json.dumps(payload)).encode()
    status: int | str
    try:
        response = await outbound(world).client.post(hook.url, content=content, headers=_headers(world, stem, content))
        status = response.status_code
    except httpx2.TimeoutException:
        status = "timeout"
    except (httpx2.HTTPError, httpx2.InvalidURL):
        status = "unreachable"
    return partial(_settle, world, hook, event, payload, stem, attempt, at, status)


def _headers(world: World, stem: str, content: bytes) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "Smartlead-Webhooks (sandbox)"}
    vendor = smartlead(world)
    if vendor.sign_webhooks:
        # smartlead: guides/webhook-integration; unconfirmed, so only when it is asked for.
        digest = hmac.new(vendor.webhook_secret.encode(), content, hashlib.sha256).hexdigest()
        headers |= {"X-Smartlead-Signature": f"sha256={digest}", "X-Request-Id": hexes(world, 32, "request", stem)}
        headers["X-Webhook-Level"] = "campaign"
    return headers


def _settle(
    world: World,
    hook: Webhook,
    event: str,
    payload: dict[str, Any],
    stem: str,
    attempt: int,
    at: datetime,
    status: int | str,
) -> None:
    done = isinstance(status, int) and 200 <= status < 300
    _note(world, hook, event, payload, stem, attempt, status, at)
    hook.results.append((at, done))
    if done:
        hook.failures = 0
        return
    retries = smartlead(world).retry_minutes
    permanent = isinstance(status, int) and 400 <= status < 500
    if not permanent and attempt <= len(retries):
        later = at + timedelta(minutes=retries[attempt - 1])
        world.at(later, partial(_due, world, hook, event, payload, stem, attempt + 1))
        return
    hook.failed.append({"event": event, "payload": payload, "stem": stem, "at": at})
    hook.failures += 1
    if smartlead(world).disable_after_failure and not permanent:
        hook.disabled = True
        world.log.add("webhooks", {"hook": hook.id, "event": event, "status": "disabled", "attempt": attempt})


def _note(
    world: World,
    hook: Webhook,
    event: str,
    payload: Mapping[str, Any],
    stem: str,
    attempt: int,
    status: int | str,
    at: datetime | None = None,
) -> None:
    fields: dict[str, object] = {
        "delivery": stem,
        "hook": hook.id,
        "event": event,
        "campaign_id": payload.get("campaign_id"),
        "email": payload.get("to_email"),
        "event_timestamp": payload.get("event_timestamp"),
        "attempt": attempt,
        "status": status,
    }
    if at is not None:
        fields["at"] = at.isoformat()
    world.log.add("webhooks", fields)


def envelope(world: World, hook: Webhook, event: str, campaign: Campaign | None, at: str) -> dict[str, Any]:
    """The fields every payload of a campaign's event has (smartlead: guides/webhook-integration)."""
    return {
        "webhook_id": hook.id,
        "webhook_name": hook.name,
        "webhook_url": hook.url,
        "event_type": event,
        "event_timestamp": at,
        "campaign_id": campaign.id if campaign else None,
        "campaign_name": campaign.name if campaign else None,
        "campaign_status": campaign.status if campaign else None,
        "client_id": campaign.client_id if campaign else None,
        "app_url": "https://app.smartlead.sandbox.example/app/master-inbox",
        "secret_key": smartlead(world).webhook_secret,
        "metadata": {"webhook_created_at": rest_time(hook.created_at)},
    }
