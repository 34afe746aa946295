"""What every Smartlead endpoint shares: the key in the query, the rate limit, JSON bodies, paging, error bodies."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.smartlead.check import Refusal, Rule, check, failed, said
from mailfleet.sandbox.smartlead.state import Campaign, Lead, LeadMap, Mailbox, Smartlead, smartlead
from mailfleet.sandbox.world import World

API = "/smartlead/api/v1"
DELIVERY = "/smartdelivery/api/v1/spam-test"
_WHOLE = re.compile(r"-?[0-9]{1,15}")


@dataclass
class Limit:
    """Calls per key in any 60 seconds of real time (smartlead: guides/rate-limits)."""

    per_minute: int = 60
    clock: Callable[[], float] = time.monotonic
    taken: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def take(self, key: str) -> tuple[bool, int, float]:
        """Counts a call: whether it is admitted, how many are left, and in how many seconds one is free again."""
        now = self.clock()
        calls = self.taken.setdefault(key, deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        wait = 60 - (now - calls[0]) if calls else 60.0
        if len(calls) >= self.per_minute:
            return False, 0, wait
        calls.append(now)
        return True, self.per_minute - len(calls), wait


@dataclass
class Ask:
    """One admitted request."""

    world: World
    vendor: Smartlead
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes

    def body(self, keys: Mapping[str, Rule]) -> dict[str, Any]:
        """The JSON body checked by these rules. Raises Refusal."""
        return check(self.json(), keys)

    def json(self) -> Any:
        """The JSON body as it came; an empty one is an empty object. Raises Refusal."""
        if not self.raw.strip():
            return {}
        try:
            return json.loads(self.raw)
        except ValueError as error:
            raise said(f"Unexpected token in JSON: {error}") from None

    def number(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number of the query within its bounds. Raises Refusal."""
        given = self.query.get(name)
        if given is None or not given.strip():
            return default
        if not _WHOLE.fullmatch(given):
            raise said(f'"{name}" must be a number')
        if int(given) < low:
            raise said(f'"{name}" must be greater than or equal to {low}')
        if int(given) > high:
            raise said(f'"{name}" must be less than or equal to {high}')
        return int(given)

    def known(self, *names: str) -> None:
        """Refuses a query key that the endpoint does not know."""
        for name in self.query:
            if name != "api_key" and name not in names:
                raise said(f'"{name}" is not allowed')

    @property
    def campaign(self) -> Campaign:
        found = self.vendor.campaigns.get(whole(self.path["campaign_id"]))
        if found is None:
            raise failed("Campaign not found - Invalid campaign_id.", 404)
        return found

    @property
    def mailbox(self) -> Mailbox:
        number = whole(self.path["account_id"])
        found = self.vendor.mailboxes.get(number)
        if found is None:
            raise failed(f"Email account id - {number} not found.", 404)
        return found

    @property
    def lead_map(self) -> LeadMap:
        """The lead of the path in the campaign of the path; a vendor's 500 with a business text when unknown."""
        lead = self.vendor.leads.get(whole(self.path["lead_id"]))
        found = None if lead is None else lead.maps.get(self.campaign.id)
        if found is None:
            raise Refusal(500, {"message": "Invalid lead id"})
        return found

    @property
    def lead(self) -> Lead:
        found = self.vendor.leads.get(whole(self.path["lead_id"]))
        if found is None:
            raise failed("Lead not found - Invalid lead_id.", 404)
        return found


Answer = Callable[[Ask], Any]


def whole(text: str) -> int:
    """A whole number of the path. Raises Refusal with 404: there is no such route."""
    found = numbered(text)
    if found is None:
        raise said("Not Found", 404)
    return found


def numbered(text: str) -> int | None:
    """The number that a text writes; None when it writes none, or one too long for any id."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def route(world: World, limit: Limit, method: str, path: str, answer: Answer, base: str = API) -> list[BaseRoute]:
    """The endpoint with and without a slash at its end (smartlead: both forms are called successfully)."""

    async def serve(request: Request) -> Response:
        return await _serve(world, limit, request, answer)

    bare = base + path.rstrip("/")
    return [Route(form, serve, methods=[method]) for form in (bare, bare + "/")]


async def _serve(world: World, limit: Limit, request: Request, answer: Answer) -> Response:
    vendor = smartlead(world)
    key = request.query_params.get("api_key", "")
    if key != vendor.api_key and not any(entry["key"] == key for entry in vendor.client_keys.values()):
        return JSONResponse({"message": "Invalid API Key"}, 401)
    admitted, left, wait = limit.take(key)
    headers = {
        "x-ratelimit-limit": str(limit.per_minute),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-reset": str(ceil(time.time() + wait)),
    }
    if not admitted:
        return too_many(ceil(wait), headers)
    response = await _answered(
        Ask(world, vendor, request.path_params, request.query_params, await request.body()), answer
    )
    response.headers.update(headers)
    return response


async def _answered(ask: Ask, answer: Answer) -> Response:
    try:
        found = answer(ask)
        if isinstance(found, Awaitable):
            found = await found
    except Refusal as refusal:
        return JSONResponse(refusal.body, refusal.status)
    return found if isinstance(found, Response) else JSONResponse(found)


def too_many(seconds: int, headers: Mapping[str, str], *, retry_after: bool = True) -> Response:
    """429 as the vendor's guide shows it."""
    error = {"code": "RATE_LIMIT_EXCEEDED", "message": "Rate limit exceeded. Please retry later."}
    if not retry_after:
        return JSONResponse({"error": error}, 429, headers=dict(headers))
    body = {"error": {**error, "retry_after": seconds}}
    return JSONResponse(body, 429, headers={**headers, "Retry-After": str(seconds)})
