"""Cloudflare's API v4: zones, DNS records, token check."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from mailfleet.sandbox.cloudflare.openapi import description
from mailfleet.sandbox.cloudflare.records import Problem
from mailfleet.sandbox.cloudflare.state import (
    BATCH_LIMIT,
    Batch,
    account,
    ask_check,
    change,
    create_zone,
    find_zone,
    settle,
)
from mailfleet.sandbox.cloudflare.zone import Record, Zone
from mailfleet.sandbox.describe import published
from mailfleet.sandbox.world import World

PREFIX = "/cloudflare/client/v4"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_PAGE_CAPS = {"zones": 50, "records": 100}
_TAKES = {"exact", "contains", "startswith", "endswith"}
_OPERATORS = {"equal": "exact", "contains": "contains", "starts_with": "startswith", "ends_with": "endswith"}


@dataclass
class Ask:
    """One authorised request."""

    world: World
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, object]
    scope: Scope

    @property
    def zone(self) -> Zone:
        return find_zone(self.world, self.path["zone_id"])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The parts of a successful envelope."""

    result: object
    info: Mapping[str, int] | None = None
    messages: Sequence[Mapping[str, object]] = ()


@dataclass
class Limit:
    """Calls per window of one token, in real time; an excess blocks the token for a whole window."""

    quota: int = 1200
    window: float = 300.0
    clock: Callable[[], float] = time.monotonic
    taken: deque[float] = field(default_factory=deque[float])
    blocked_until: float = 0.0

    def take(self) -> float:
        """Counts one call; returns the seconds to wait, 0 when admitted."""
        now = self.clock()
        while self.taken and self.taken[0] <= now - self.window:
            self.taken.popleft()
        if now >= self.blocked_until and len(self.taken) >= self.quota:
            self.blocked_until = now + self.window
        if now < self.blocked_until:
            return self.blocked_until - now
        self.taken.append(now)
        return 0.0

    def headers(self) -> dict[str, str]:
        """As sent with every response since 2025-09."""
        left = max(0, self.quota - len(self.taken))
        reset = ceil(self.taken[0] + self.window - self.clock()) if self.taken else ceil(self.window)
        return {
            "Ratelimit": f'"default";r={left};t={max(0, reset)}',
            "Ratelimit-Policy": f'"default";q={self.quota};w={ceil(self.window)}',
        }


Operation = Callable[[Ask], Reply]


def credentials(world: World) -> dict[str, str]:
    """What a client of this face needs."""
    owner = account(world)
    return {"api_token": owner.api_token, "account_id": owner.account_id}


def routes(world: World, limit: Limit | None = None) -> list[BaseRoute]:
    """The face's routes, each under its real path below PREFIX."""
    bucket = limit or Limit()
    zone, records = "/zones/{zone_id}", "/zones/{zone_id}/dns_records"
    table: list[tuple[str, str, Operation]] = [
        ("GET", "/user/tokens/verify", _verify),
        ("GET", "/zones", _list_zones),
        ("POST", "/zones", _create_zone),
        ("GET", zone, lambda ask: Reply(result=zone_json(ask.zone))),
        ("DELETE", zone, _delete_zone),
        ("PUT", f"{zone}/activation_check", _activation_check),
        ("GET", records, _list_records),
        ("POST", records, _create_record),
        ("POST", f"{records}/batch", _batch),
        ("GET", f"{records}/{{record_id}}", _get_record),
        ("PUT", f"{records}/{{record_id}}", _put_record),
        ("PATCH", f"{records}/{{record_id}}", _patch_record),
        ("DELETE", f"{records}/{{record_id}}", _delete_record),
    ]
    made: list[BaseRoute] = [
        Route(PREFIX + path, _endpoint(world, bucket, operation), methods=[method]) for method, path, operation in table
    ]
    described = published("/cloudflare/openapi.json", description(PREFIX))
    rest = Route(PREFIX + "/{rest:path}", _endpoint(world, bucket, _elsewhere(made)), methods=_METHODS)
    return [described, *made, rest]


def _elsewhere(known: Sequence[BaseRoute]) -> Operation:
    """What a path that is not here, or not with this method, answers."""

    def refuse(ask: Ask) -> Reply:
        if any(route.matches(ask.scope)[0] is Match.PARTIAL for route in known):
            raise Problem(7001, f"Method {ask.scope['method']} not available for that URI.", status=405)
        raise Problem(7000, "No route for that URI", status=404)

    return refuse


def _endpoint(world: World, limit: Limit, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        wait = limit.take()
        try:
            if wait:
                raise Problem(971, "Please wait and consider throttling your request speed", status=429)
            _authorise(world, request)
            body = _parsed(await request.body())
            response = _success(operation(Ask(world, request.path_params, request.query_params, body, request.scope)))
        except Problem as problem:
            response = _failure(problem)
        response.headers.update(limit.headers())
        if wait:
            response.headers["retry-after"] = str(ceil(wait))
        return response

    return answer


def _authorise(world: World, request: Request) -> None:
    given = request.headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token.strip() or not token.isascii():
        chain = ((6111, "Invalid format for Authorization header"),)
        raise Problem(6003, "Invalid request headers", chain)
    if token != account(world).api_token:
        if request.url.path.endswith("/user/tokens/verify"):
            raise Problem(1000, "Invalid API Token", status=401)  # (K)
        raise Problem(10000, "Authentication error", status=403)


def _parsed(raw: bytes) -> Mapping[str, object]:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Problem(9207, "Request body is invalid.")
    return body


def _success(reply: Reply) -> JSONResponse:
    content: dict[str, object] = {
        "result": reply.result,
        "success": True,
        "errors": [],
        "messages": list(reply.messages),
    }
    if reply.info is not None:
        content["result_info"] = dict(reply.info)
    return JSONResponse(content)


def _failure(problem: Problem) -> JSONResponse:
    error: dict[str, object] = {"code": problem.code, "message": problem.message}
    if problem.chain:
        error["error_chain"] = [{"code": code, "message": message} for code, message in problem.chain]
    return JSONResponse({"result": None, "success": False, "errors": [error], "messages": []}, problem.status)


def _verify(ask: Ask) -> Reply:
    message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return Reply(result={"id": account(ask.world).account_id[::-1], "status": "active"}, messages=[message])


def _create_zone(ask: Ask) -> Reply:
    owner, name = ask.body.get("account"), ask.body.get("name")
    given = owner.get("id") if isinstance(owner, dict) else None
    if given is None:
        raise Problem(1001, "Invalid request: Value required for parameter 'account.id'.")  # number: (K)
    if given != account(ask.world).account_id:
        raise Problem(10000, "Authentication error", status=403)
    if not isinstance(name, str) or not name.strip():
        raise Problem(1001, "Invalid request: Value required for parameter 'name'.")
    if ask.body.get("type", "full") != "full":
        raise Problem(1002, "This plan takes zones of type full only.")  # (K)
    return Reply(result=zone_json(create_zone(ask.world, name.strip().lower().rstrip("."))))


def _list_zones(ask: Ask) -> Reply:
    found = [settle(ask.world, zone) for zone in list(ask.world.zones.values())]
    wanted, status = ask.query.get("name"), ask.query.get("status")
    operator, value = "exact", wanted or ""
    if ":" in value and value.split(":", 1)[0] in _OPERATORS:
        prefix, _, value = value.partition(":")
        operator = _OPERATORS[prefix]
    if wanted:
        found = [zone for zone in found if _matches(operator, zone.name, value)]
    if status:
        found = [zone for zone in found if zone.status == status]
    if ask.query.get("account.id", account(ask.world).account_id) != account(ask.world).account_id:
        found = []
    return _page(ask, [zone_json(zone) for zone in found], "zones")


def _delete_zone(ask: Ask) -> Reply:
    zone = ask.zone
    del ask.world.zones[zone.name]
    return Reply(result={"id": zone.id})


def _activation_check(ask: Ask) -> Reply:
    zone = ask.zone
    ask_check(ask.world, zone)
    return Reply(result={"id": zone.id})


def _list_records(ask: Ask) -> Reply:
    zone = ask.zone
    asked = {
        key: value for key, value in ask.query.items() if key.split(".")[0] in ("type", "name", "content", "comment")
    }
    every = ask.query.get("match", "all") != "any"
    found = [record for record in zone.records.values() if _wanted(record, asked, every=every)]
    return _page(
        ask, [record_json(record, zone) for record in sorted(found, key=lambda r: (r.name, r.type))], "records"
    )


def _wanted(record: Record, asked: Mapping[str, str], *, every: bool) -> bool:
    verdicts = [_matches(key.partition(".")[2] or "exact", _field(record, key), value) for key, value in asked.items()]
    return not verdicts or (all(verdicts) if every else any(verdicts))


def _field(record: Record, key: str) -> str:
    name = key.split(".")[0]
    return {"type": record.type, "name": record.name, "content": record.content, "comment": record.comment or ""}[name]


def _matches(operator: str, held: str, asked: str) -> bool:
    held, asked = held.lower(), asked.lower()
    if operator not in _TAKES:
        return True
    return {
        "exact": held == asked,
        "contains": asked in held,
        "startswith": held.startswith(asked),
        "endswith": held.endswith(asked),
    }[operator]


def _get_record(ask: Ask) -> Reply:
    zone = ask.zone
    record = zone.records.get(ask.path["record_id"])
    if record is None:
        raise Problem(81044, "Record does not exist.", status=404)
    return Reply(result=record_json(record, zone))


def _create_record(ask: Ask) -> Reply:
    zone = ask.zone
    return Reply(result=record_json(change(ask.world, zone, Batch(posts=[ask.body]))["posts"][0], zone))


def _put_record(ask: Ask) -> Reply:
    zone, entry = ask.zone, {**ask.body, "id": ask.path["record_id"]}
    return Reply(result=record_json(change(ask.world, zone, Batch(puts=[entry]))["puts"][0], zone))


def _patch_record(ask: Ask) -> Reply:
    zone, entry = ask.zone, {**ask.body, "id": ask.path["record_id"]}
    return Reply(result=record_json(change(ask.world, zone, Batch(patches=[entry]))["patches"][0], zone))


def _delete_record(ask: Ask) -> Reply:
    zone, record_id = ask.zone, ask.path["record_id"]
    change(ask.world, zone, Batch(deletes=[{"id": record_id}]))
    return Reply(result={"id": record_id})


def _batch(ask: Ask) -> Reply:
    zone = ask.zone
    parts = {key: _entries(ask.body.get(key)) for key in ("deletes", "patches", "puts", "posts")}
    if sum(len(entries) for entries in parts.values()) > BATCH_LIMIT:
        raise Problem(1004, "DNS Validation Error", ((9210, f"At most {BATCH_LIMIT} operations a batch."),))
    done = change(ask.world, zone, Batch(**parts))
    return Reply(result={key: [record_json(record, zone) for record in records] for key, records in done.items()})


def _entries(value: object) -> list[Mapping[str, object]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Problem(9207, "Request body is invalid.")
    return value


def _page(ask: Ask, rows: Sequence[object], kind: str) -> Reply:
    cap = _PAGE_CAPS[kind]
    size = min(cap, max(1, _number(ask.query.get("per_page"), 20 if kind == "zones" else cap)))
    page = max(1, _number(ask.query.get("page"), 1))
    shown = rows[(page - 1) * size : page * size]
    info = {
        "page": page,
        "per_page": size,
        "count": len(shown),
        "total_count": len(rows),
        "total_pages": ceil(len(rows) / size),
    }
    return Reply(result=list(shown), info=info)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default


def zone_json(zone: Zone) -> dict[str, object]:
    """A zone as the API shows it."""
    return {
        "id": zone.id,
        "name": zone.name,
        "status": zone.status,
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": list(zone.nameservers),
        "original_name_servers": list(zone.original_nameservers) or None,
        "original_registrar": "namecheap, inc. (id: 1068)",
        "original_dnshost": None,
        "created_on": _stamp(zone.created_on),
        "modified_on": _stamp(zone.modified_on or zone.created_on),
        "activated_on": _stamp(zone.activated_on) if zone.activated_on else None,
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
        "owner": {"id": None, "type": "user", "email": None},
        "account": {"id": zone.account_id, "name": "Sandbox account"},
        "tenant": {"id": None, "name": None},
        "tenant_unit": {"id": None},
        "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:edit", "#zone:read"],
        "plan": {"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0, "currency": "USD"},
    }


def record_json(record: Record, zone: Zone) -> dict[str, object]:
    """A record as the API shows it."""
    shown: dict[str, object] = {
        "id": record.id,
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "proxiable": record.type in ("A", "AAAA", "CNAME"),
        "proxied": record.proxied,
        "ttl": record.ttl,
        "settings": {},
        "meta": {},
        "comment": record.comment,
        "tags": [],
        "created_on": _stamp(record.created_on),
        "modified_on": _stamp(record.modified_on),
    }
    if record.priority is not None:
        shown["priority"] = record.priority
    if record.data is not None:
        shown["data"] = dict(record.data)
    return shown


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
