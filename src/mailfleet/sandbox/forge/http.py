"""What the faces share: keys, the optional limit, bodies, paging, errors. Each product has its own words for them."""

from __future__ import annotations

import hmac
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mailfleet.sandbox.forge.state import Forge, Workspace, forge
from mailfleet.sandbox.world import World

CORE = "/salesforge/public/v2"
MULTI = "/multichannel/public/multichannel"
WARM = "/warmforge/public/v1"
INFRA = "/infraforge/public"
MAIL = "/mailforge/public"
T = TypeVar("T")


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def said(message: str, status: int = 400, data: Any = None) -> Refusal:
    """`{message, data?}`."""
    return Refusal(status, {"message": message} | ({} if data is None else {"data": data}))


def invalid(*problems: str) -> Refusal:
    """Validation: the first text is the message; the form of an entry of `validations` is not known."""
    return said(problems[0], 400, {"validations": [{"message": problem} for problem in problems]})


@dataclass(frozen=True)
class Face:
    """The ways of one product: whose key it takes, and its words when there is none or a wrong one."""

    base: str
    product: str
    missing: str
    wrong: str
    bearer: bool = False
    coded: bool = False

    def refusal(self, message: str, status: int) -> Refusal:
        """An error in the product's form."""
        return Refusal(status, {"code": status, "message": message}) if self.coded else said(message, status)


CORE_FACE = Face(CORE, "salesforge", "api key is required", "invalid api key")
MULTI_FACE = Face(MULTI, "salesforge", "api key is required", "invalid api key", bearer=True)
WARM_FACE = Face(WARM, "warmforge", "missing api key", "invalid api key", bearer=True)
INFRA_FACE = Face(INFRA, "infraforge", "api key is required", "invalid api key")
MAIL_FACE = Face(MAIL, "mailforge", "api key is required", "invalid api key", coded=True)


@dataclass
class Ask:
    """One admitted request."""

    world: World
    held: Forge
    path: Mapping[str, str]
    query: QueryParams
    raw: bytes

    def body(self) -> dict[str, Any]:
        """The JSON body; an empty one is an empty object. Raises Refusal."""
        given = self.json()
        if not isinstance(given, dict):
            raise said("invalid request body")
        return cast("dict[str, Any]", given)

    def json(self) -> Any:
        """The body as it came. Raises Refusal."""
        try:
            return json.loads(self.raw) if self.raw.strip() else {}
        except ValueError:
            raise said("invalid request body") from None

    def number(self, name: str, default: int | None, most: int | None = None) -> int:
        """A whole number of the query that is not negative; more than `most` becomes `most`. Raises Refusal."""
        given = self.query.get(name)
        if given is None or not given.strip():
            if default is None:
                raise said(f"{name} is required")
            return default
        if not given.isascii() or not given.isdigit() or len(given) > 12:
            raise said(f"{name} must be a valid number")
        return int(given) if most is None else min(int(given), most)

    def several(self, name: str) -> list[str]:
        """All values of a repeated bracket key."""
        return [value for value in self.query.getlist(f"{name}[]") if value]

    def paged(self, rows: Sequence[T], show: Callable[[T], Any], *, usual: int = 10, most: int | None = None) -> Any:
        """`{data, limit, offset, total}`."""
        limit = self.number("limit", usual, most or self.held.page_most)
        offset = self.number("offset", 0)
        shown = [show(row) for row in rows[offset : offset + limit]]
        return {"data": shown, "limit": limit, "offset": offset, "total": len(rows)}

    @property
    def old(self) -> bool:
        """Whether the interface is that of early 2026."""
        return self.held.profile == "2026-02"

    @property
    def ws(self) -> Workspace:
        """The workspace of the path. Raises Refusal."""
        return found(self.held.workspaces, self.path["workspaceID"], "workspace")


Answer = Callable[[Ask], Any]


def found(held: Mapping[Any, T], key: Any, what: str) -> T:
    """The thing of this id. Raises Refusal with 404."""
    one = held.get(key)
    if one is None:
        raise said(f"{what} not found", 404)
    return one


def absent() -> Refusal:
    """What an unknown route, and a method that a route does not have, answer."""
    return said("Not Found", 404)


def text(given: Mapping[str, Any], name: str, *, required: bool = True, longest: int = 10_000) -> str:
    """A text of the body. Raises Refusal."""
    value = given.get(name)
    if value in (None, "") and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} is a required field")
    if len(value) > longest:
        raise invalid(f"{name} must be a maximum of {longest} characters in length")
    return value


def texts(given: Mapping[str, Any], name: str, *, least: int = 1, most: int | None = None) -> list[str]:
    """A list of texts of the body. Raises Refusal."""
    value = given.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[Any]", value)):
        raise invalid(f"{name} must be a list of strings" if value is not None else f"{name} is a required field")
    rows = cast("list[str]", value)
    if len(rows) < least:
        raise invalid(f"{name} must contain at least {least} item{'s' if least > 1 else ''}")
    if most is not None and len(rows) > most:
        raise invalid(f"{name} must contain at maximum {most} items")
    return rows


def integer(given: Mapping[str, Any], name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number of the body within its bounds. Raises Refusal."""
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} must be a number")
    if not low <= value <= high:
        raise invalid(f"{name} must be between {low} and {high}")
    return value


def route(world: World, face: Face, method: str, path: str, answer: Answer, *, ok: int = 200) -> BaseRoute:
    """An endpoint; an answer of None is an empty body."""

    async def serve(request: Request) -> Response:
        held = forge(world)
        try:
            _authorise(face, held, request)
            _limit(face, held)
            raw = await request.body()
            given = answer(Ask(world, held, request.path_params, request.query_params, raw))
            if isinstance(given, Awaitable):
                given = await given
        except Refusal as refusal:
            body = refusal.body
            if face.coded and "code" not in body:
                body = {"code": refusal.status, "message": body.get("message", "")}
            return JSONResponse(body, refusal.status)
        if isinstance(given, Response):
            return given
        return Response(status_code=ok) if given is None else JSONResponse(given, ok)

    return Route(face.base + path, serve, methods=[method])


def _authorise(face: Face, held: Forge, request: Request) -> None:
    given = request.headers.get("authorization", "")
    if not given:
        raise face.refusal(face.missing, 401)
    bare = given.removeprefix("Bearer ") if face.bearer else given
    if not hmac.compare_digest(bare.encode(), held.keys[face.product].encode()):
        raise face.refusal(face.wrong, 401)


def _limit(face: Face, held: Forge) -> None:
    """Calls a second over each second of real time; nothing is published about a limit, only that 429 happens."""
    if held.per_second is None:
        return
    now, taken = time.monotonic(), held.taken.setdefault(face.base, deque())
    while taken and taken[0] <= now - 1:
        taken.popleft()
    if len(taken) >= held.per_second:
        raise face.refusal("too many requests", 429)
    taken.append(now)
