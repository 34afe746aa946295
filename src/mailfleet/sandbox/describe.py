"""OpenAPI descriptions that the faces publish of themselves (OpenAPI 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Schema = Mapping[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {}
_PLACE = re.compile(r"\{(\w+)\}")


def listing(of: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": of}


def optional(of: Schema) -> Schema:
    """This, or null."""
    return {"anyOf": [of, {"type": "null"}]}


def obj(required: Mapping[str, Schema], more: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these keys; others may be there too."""
    return {"type": "object", "properties": {**required, **(more or {})}, "required": sorted(required)}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: what it takes and what each status answers with (media type and schema)."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, tuple[str, Schema]]
    body: Schema | None = None
    body_type: str = "application/json"
    query: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    # Which of the query must be there.
    needed: tuple[str, ...] = ()


def document(
    title: str, operations: Sequence[Operation], security: Mapping[str, Schema] | None = None
) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    found: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": title, "version": "1"}, "paths": paths}
    if security:
        found["components"] = {"securitySchemes": dict(security)}
        found["security"] = [{name: []} for name in security]
    return found


def published(path: str, description: Mapping[str, Any]) -> Route:
    """The route under which a face's description is read."""

    async def answer(request: Request) -> Response:
        return JSONResponse(description)

    return Route(path, answer, methods=["GET"])


def _described(operation: Operation) -> dict[str, Any]:
    places = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACE.findall(operation.path)
    ]
    asked = [
        {"name": name, "in": "query", "required": name in operation.needed, "schema": schema}
        for name, schema in operation.query.items()
    ]
    answers = {
        str(status): {"description": str(status), "content": {media: {"schema": schema}}}
        for status, (media, schema) in operation.answers.items()
    }
    found: dict[str, Any] = {"summary": operation.summary, "parameters": [*places, *asked], "responses": answers}
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": {operation.body_type: {"schema": operation.body}}}
    return found
