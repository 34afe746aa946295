"""Twilio: SMS by the Messages resource."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.describe import NUMBER, TEXT, Operation, document, obj, published
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

PREFIX = "/twilio"
FROM_NUMBER = "+15005550006"
# Twilio's own magic numbers for tests.
INVALID_NUMBER = "+15005550001"
UNROUTABLE_NUMBER = "+15005550002"
_E164 = re.compile(r"\+[1-9]\d{7,14}")
_LONGEST_BODY = 1600


def credentials(world: World) -> dict[str, str]:
    """What a client of this face needs."""
    return {
        "account_sid": f"AC{hexes(world, 32, 'twilio', 'account')}",
        "auth_token": hexes(world, 32, "twilio", "token"),
        "from_number": FROM_NUMBER,
    }


def routes(world: World) -> list[BaseRoute]:
    """Sending a message, and reading it back."""
    base = PREFIX + "/2010-04-01/Accounts/{account}/Messages"

    async def send(request: Request) -> Response:
        return _send(world, dict(parse_qsl((await request.body()).decode("utf-8", "replace"))))

    async def read(request: Request) -> Response:
        kept = world.state.get("sms", {}).get(request.path_params["sid"])
        if kept is None:
            return _error(404, 20404, f"The requested resource {request.url.path} was not found")
        return JSONResponse({**kept, "status": "delivered"})

    return [
        published(PREFIX + "/openapi.json", _description(base)),
        Route(base + ".json", _guarded(world, send), methods=["POST"]),
        Route(base + "/{sid}.json", _guarded(world, read), methods=["GET"]),
    ]


def _description(base: str) -> dict[str, Any]:
    good = ("application/json", obj({"sid": TEXT, "status": TEXT, "to": TEXT, "from": TEXT, "body": TEXT}))
    bad = ("application/json", obj({"code": NUMBER, "message": TEXT, "status": NUMBER}))
    send = Operation(
        method="POST",
        path=base + ".json",
        summary="Sends a message",
        answers={201: good, 400: bad, 401: bad},
        body=obj({"To": TEXT, "Body": TEXT}, {"From": TEXT, "MessagingServiceSid": TEXT}),
        body_type="application/x-www-form-urlencoded",
    )
    answers = {200: good, 401: bad, 404: bad}
    read = Operation(method="GET", path=base + "/{sid}.json", summary="Reads a message", answers=answers)
    return document("Twilio Messages (sandbox)", [send, read], {"account": {"type": "http", "scheme": "basic"}})


def _guarded(
    world: World, handler: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if request.path_params["account"] != credentials(world)["account_sid"] or not _authorised(world, request):
            return _error(401, 20003, "Authenticate")
        return await handler(request)

    return answer


def _authorised(world: World, request: Request) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    held = credentials(world)
    return scheme.lower() == "basic" and hmac.compare_digest(
        given, f"{held['account_sid']}:{held['auth_token']}".encode()
    )


def _send(world: World, given: Mapping[str, str]) -> Response:
    to, sender, body = given.get("To", ""), given.get("From", ""), given.get("Body", "")
    if not to:
        return _error(400, 21604, "A 'To' phone number is required.")
    if not _E164.fullmatch(to) or to == INVALID_NUMBER:
        return _error(400, 21211, f"Invalid 'To' Phone Number: {to[:4]}XXXX")
    if to == UNROUTABLE_NUMBER:
        return _error(400, 21612, "The 'To' phone number is not currently reachable.")
    if sender != FROM_NUMBER and not given.get("MessagingServiceSid"):
        return _error(400, 21606, f"The 'From' phone number {sender} is not a valid sender for this account.")
    if not body:
        return _error(400, 21602, "Message body is required.")
    if len(body) > _LONGEST_BODY:
        return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    return JSONResponse(_kept(world, to, sender, body), 201)


def _kept(world: World, to: str, sender: str, body: str) -> dict[str, object]:
    sent: dict[str, dict[str, object]] = world.state.setdefault("sms", {})
    sid = f"SM{hexes(world, 32, 'twilio', 'message', len(sent))}"
    account = credentials(world)["account_sid"]
    sent[sid] = {
        "sid": sid,
        "account_sid": account,
        "to": to,
        "from": sender,
        "body": body,
        "status": "queued",
        "direction": "outbound-api",
        "num_segments": str(-(-len(body) // 153) if len(body) > 160 else 1),
        "num_media": "0",
        "api_version": "2010-04-01",
        "date_created": format_datetime(world.now),
        "date_updated": format_datetime(world.now),
        "date_sent": None,
        "error_code": None,
        "error_message": None,
        "price": None,
        "price_unit": "USD",
        "messaging_service_sid": None,
        "uri": f"/2010-04-01/Accounts/{account}/Messages/{sid}.json",
    }
    world.log.sms(to=to, sender=sender, text=body, sid=sid)
    return sent[sid]


def _error(status: int, code: int, message: str) -> JSONResponse:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return JSONResponse({"code": code, "message": message, "more_info": more, "status": status}, status)
