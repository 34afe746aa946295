"""Twilio: SMS by the Messages resource."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.describe import NUMBER, TEXT, Operation, Schema, document, obj, published
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.smartlead.deliveries import outbound
from mailfleet.sandbox.world import World

PREFIX = "/twilio"
FROM_NUMBER = "+15005550006"
# Twilio's own magic numbers for tests, and what is said of each.
MAGIC: Mapping[str, tuple[int, str]] = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: +150XXXX"),
    "+15005550002": (21612, "The 'To' phone number is not currently reachable."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
# This one is taken and never arrives: 30003, unreachable handset.
UNDELIVERED_NUMBER = "+15005550010"
_UNREACHABLE = 30003
_SENT, _ARRIVED = timedelta(seconds=2), timedelta(seconds=8)
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
        bad = kept["to"] == UNDELIVERED_NUMBER
        status = {"status": "undelivered" if bad else "delivered", "error_code": _UNREACHABLE if bad else None}
        return JSONResponse({**kept, **status})

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
        body={"anyOf": [_body("From"), _body("MessagingServiceSid")]},
        body_type="application/x-www-form-urlencoded",
    )
    answers = {200: good, 401: bad, 404: bad}
    read = Operation(method="GET", path=base + "/{sid}.json", summary="Reads a message", answers=answers)
    return document("Twilio Messages (sandbox)", [send, read], {"account": {"type": "http", "scheme": "basic"}})


def _body(sender: str) -> Schema:
    return obj({"To": TEXT, "Body": TEXT, sender: TEXT}, {"StatusCallback": TEXT})


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
    if not _E164.fullmatch(to):
        return _error(400, 21211, f"Invalid 'To' Phone Number: {to[:4]}XXXX")
    if to in MAGIC:
        return _error(400, *MAGIC[to])
    if sender != FROM_NUMBER and not given.get("MessagingServiceSid"):
        return _error(400, 21606, f"The 'From' phone number {sender} is not a valid sender for this account.")
    if not body:
        return _error(400, 21602, "Message body is required.")
    if len(body) > _LONGEST_BODY:
        return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    kept = _kept(world, to, sender, body)
    if given.get("StatusCallback"):
        _promise(world, kept, given["StatusCallback"])
    return JSONResponse(kept, 201)


def _promise(world: World, kept: Mapping[str, object], url: str) -> None:
    """Tells the address what became of a message, when it did (Twilio docs: "Track outbound message status")."""
    bad = kept["to"] == UNDELIVERED_NUMBER
    for after, status in ((_SENT, "sent"), (_ARRIVED, "undelivered" if bad else "delivered")):
        code = {"ErrorCode": str(_UNREACHABLE)} if status == "undelivered" else {}
        told = {
            "MessageSid": str(kept["sid"]),
            "SmsSid": str(kept["sid"]),
            "MessageStatus": status,
            "SmsStatus": status,
            "AccountSid": str(kept["account_sid"]),
            "From": str(kept["from"]),
            "To": str(kept["to"]),
            "ApiVersion": "2010-04-01",
            **code,
        }
        world.at(world.now + after, partial(_tell, world, url, told))


async def _tell(world: World, url: str, told: Mapping[str, str]) -> None:
    status: int | str = "unreachable"
    with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL):
        headers = {"X-Twilio-Signature": signature(world, url, told)}
        status = (await outbound(world).client.post(url, data=told, headers=headers)).status_code
    world.log.sms(callback=url, sid=told["MessageSid"], message_status=told["MessageStatus"], status=status)


def signature(world: World, url: str, told: Mapping[str, str]) -> str:
    """What proves that a call is Twilio's (docs: "Validate requests"): the address, then names and values in order."""
    text = url + "".join(name + told[name] for name in sorted(told))
    digest = hmac.new(credentials(world)["auth_token"].encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


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
