"""Slack: an incoming webhook, and the Web API calls a notifier makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.describe import ANY, FLAG, TEXT, Operation, document, listing, obj, published
from mailfleet.sandbox.seeds import hexes
from mailfleet.sandbox.world import World

PREFIX = "/slack"
# Magic channels by name, without the #.
UNKNOWN_CHANNEL = "no-such-channel"
ARCHIVED_CHANNEL = "archived"
_LONGEST_TEXT = 40_000


def credentials(world: World) -> dict[str, str]:
    """The bot token, and the path of the incoming webhook below the sandbox's own address."""
    return {"bot_token": f"xoxb-{hexes(world, 12, 'slack', 'bot')}-sandbox", "webhook_path": _hook_path(world)}


def routes(world: World) -> list[BaseRoute]:
    """The incoming webhook and the Web API."""

    async def hook(request: Request) -> Response:
        return _hook(world, request.url.path, await request.body())

    async def call(request: Request) -> Response:
        body = await request.body()
        given = _fields(body, request.headers.get("content-type", ""))
        return JSONResponse(_call(world, request.path_params["method"], _token(request, given), given))

    return [
        published(PREFIX + "/openapi.json", _description()),
        Route(PREFIX + "/services/{rest:path}", hook, methods=["POST"]),
        Route(PREFIX + "/api/{method}", call, methods=["POST", "GET"]),
    ]


def _description() -> dict[str, Any]:
    plain, told = ("text/plain", TEXT), ("application/json", obj({"ok": FLAG}, {"error": TEXT, "ts": TEXT}))
    message = obj({}, {"text": TEXT, "blocks": listing(ANY)})
    post = obj({"channel": TEXT}, {"text": TEXT, "blocks": listing(ANY)})
    return document(
        "Slack (sandbox)",
        [
            Operation(
                method="POST",
                path=PREFIX + "/services/{team}/{app}/{token}",
                summary="Incoming webhook",
                answers={200: plain, 400: plain, 404: plain},
                body=message,
            ),
            Operation(
                method="POST",
                path=PREFIX + "/api/chat.postMessage",
                summary="Posts a message",
                answers={200: told},
                body=post,
            ),
            Operation(method="GET", path=PREFIX + "/api/auth.test", summary="Who am I?", answers={200: told}),
        ],
        {"bot": {"type": "http", "scheme": "bearer"}},
    )


def _hook_path(world: World) -> str:
    team, app = (f"{letter}{hexes(world, 10, 'slack', letter).upper()}" for letter in "TB")
    return f"{PREFIX}/services/{team}/{app}/{hexes(world, 24, 'slack', 'hook')}"


def _hook(world: World, path: str, raw: bytes) -> Response:
    if path != _hook_path(world):
        return PlainTextResponse("no_service", 404)
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return PlainTextResponse("invalid_payload", 400)
    if not body.get("text") and not body.get("blocks") and not body.get("attachments"):
        return PlainTextResponse("no_text", 400)
    world.log.slack(via="webhook", channel="", text=_text(body), blocks=body.get("blocks"))
    return PlainTextResponse("ok")


def _call(world: World, method: str, token: str, given: Mapping[str, object]) -> dict[str, object]:
    if not token:
        return {"ok": False, "error": "not_authed"}
    if token != credentials(world)["bot_token"]:
        return {"ok": False, "error": "invalid_auth"}
    if method == "auth.test":
        return {"ok": True, "url": "https://sandbox.slack.com/", "team": "Sandbox", "user": "mailfleet", "bot_id": "B1"}
    if method == "api.test":
        return {"ok": True}
    if method == "chat.postMessage":
        return _post(world, given)
    return {"ok": False, "error": "unknown_method", "req_method": method}


def _post(world: World, given: Mapping[str, object]) -> dict[str, object]:
    channel, text = str(given.get("channel", "")).lstrip("#"), _text(given)
    if not channel or channel == UNKNOWN_CHANNEL:
        return {"ok": False, "error": "channel_not_found"}
    if channel == ARCHIVED_CHANNEL:
        return {"ok": False, "error": "is_archived"}
    if not text and not given.get("blocks") and not given.get("attachments"):
        return {"ok": False, "error": "no_text"}
    if len(text) > _LONGEST_TEXT:
        return {"ok": False, "error": "msg_too_long"}
    number = world.state["slack_posts"] = world.state.get("slack_posts", 0) + 1
    stamp = f"{int(world.now.timestamp())}.{number:06d}"
    world.log.slack(via="chat.postMessage", channel=channel, text=text, blocks=given.get("blocks"), ts=stamp)
    identity = f"C{hexes(world, 10, 'slack', 'channel', channel).upper()}"
    message = {"type": "message", "text": text, "ts": stamp, "bot_id": "B1"}
    return {"ok": True, "channel": identity, "ts": stamp, "message": message}


def _text(body: Mapping[str, object]) -> str:
    text = body.get("text")
    return text if isinstance(text, str) else ""


def _fields(raw: bytes, content_type: str) -> Mapping[str, object]:
    if "json" in content_type:
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}
    return dict(parse_qsl(raw.decode("utf-8", "replace")))


def _token(request: Request, given: Mapping[str, object]) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else str(given.get("token", ""))
