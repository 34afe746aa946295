"""The description that the Cloudflare face publishes of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailfleet.sandbox.cloudflare.records import TYPES
from mailfleet.sandbox.describe import ANY, FLAG, NUMBER, TEXT, Operation, Schema, document, listing, obj, optional

_JSON = "application/json"
_ERROR = obj({"code": NUMBER, "message": TEXT}, {"error_chain": listing(obj({"code": NUMBER, "message": TEXT}))})
_PAGE = obj(dict.fromkeys(("page", "per_page", "count", "total_count", "total_pages"), NUMBER))
_ZONE = obj(
    {
        "id": TEXT,
        "name": TEXT,
        "status": {"enum": ["pending", "active", "moved"]},
        "name_servers": {**listing(TEXT), "minItems": 2, "maxItems": 2},
        "original_name_servers": optional(listing(TEXT)),
        "created_on": TEXT,
        "modified_on": TEXT,
        "activated_on": optional(TEXT),
        "account": obj({"id": TEXT}),
        "type": TEXT,
        "paused": FLAG,
    }
)
_RECORD = obj(
    {
        "id": TEXT,
        "name": TEXT,
        "type": {"enum": list(TYPES)},
        "content": TEXT,
        "ttl": NUMBER,
        "proxied": FLAG,
        "proxiable": FLAG,
        "comment": optional(TEXT),
        "tags": listing(TEXT),
        "created_on": TEXT,
        "modified_on": TEXT,
    },
    {"priority": NUMBER, "data": obj({})},
)
_NEW_RECORD = obj(
    {"type": TEXT, "name": TEXT},
    {"content": TEXT, "ttl": NUMBER, "priority": NUMBER, "proxied": FLAG, "comment": optional(TEXT), "data": obj({})},
)
_ID = obj({"id": TEXT})
_CHANGES = {"deletes": listing(_ID), "patches": listing(_ID), "puts": listing(ANY), "posts": listing(_NEW_RECORD)}
_BATCH = obj({}, _CHANGES)
_BATCH_DONE = obj({name: listing(_RECORD) for name in ("deletes", "patches", "puts", "posts")})


def description(prefix: str) -> dict[str, Any]:
    """The whole face, its paths below `prefix`."""
    zone, records = "/zones/{zone_id}", "/zones/{zone_id}/dns_records"
    one = f"{records}/{{record_id}}"
    pages: Mapping[str, Schema] = {"page": TEXT, "per_page": TEXT}
    filters: Mapping[str, Schema] = dict.fromkeys(("type", "name", "content", "match", "name.contains"), TEXT)
    table: list[tuple[str, str, str, Schema, Schema | None, Mapping[str, Schema]]] = [
        ("GET", "/user/tokens/verify", "Is the token valid?", obj({"id": TEXT, "status": TEXT}), None, {}),
        ("GET", "/zones", "Zones of the account", listing(_ZONE), None, {**pages, "name": TEXT, "status": TEXT}),
        ("POST", "/zones", "A new zone", _ZONE, obj({"name": TEXT, "account": _ID}, {"type": TEXT}), {}),
        ("GET", zone, "One zone", _ZONE, None, {}),
        ("DELETE", zone, "Deletes a zone", _ID, None, {}),
        ("PUT", f"{zone}/activation_check", "Looks at the delegation", _ID, None, {}),
        ("GET", records, "Records of a zone", listing(_RECORD), None, {**pages, **filters}),
        ("POST", records, "A new record", _RECORD, _NEW_RECORD, {}),
        ("POST", f"{records}/batch", "Several changes or none", _BATCH_DONE, _BATCH, {}),
        ("GET", one, "One record", _RECORD, None, {}),
        ("PUT", one, "Replaces a record", _RECORD, _NEW_RECORD, {}),
        ("PATCH", one, "Changes fields of a record", _RECORD, obj({}), {}),
        ("DELETE", one, "Deletes a record", _ID, None, {}),
    ]
    operations = [
        Operation(method=method, path=prefix + path, summary=summary, answers=_answers(result), body=body, query=query)
        for method, path, summary, result, body, query in table
    ]
    return document("Cloudflare API v4 (sandbox)", operations, {"token": {"type": "http", "scheme": "bearer"}})


def _answers(result: Schema) -> Mapping[int, tuple[str, Schema]]:
    none = {**listing(ANY), "maxItems": 0}
    good = obj(
        {"success": {"const": True}, "errors": none, "messages": listing(ANY), "result": result},
        {"result_info": _PAGE},
    )
    bad = obj({"success": {"const": False}, "errors": {**listing(_ERROR), "minItems": 1}, "result": {"type": "null"}})
    return {200: (_JSON, good), **dict.fromkeys((400, 401, 403, 404, 405, 429), (_JSON, bad))}
