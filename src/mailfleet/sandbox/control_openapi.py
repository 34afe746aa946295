"""The description that the control API publishes of itself."""

from __future__ import annotations

from typing import Any

from mailfleet.sandbox.describe import ANY, NUMBER, TEXT, Operation, Schema, document, listing, obj, optional
from mailfleet.sandbox.faults import WIRE
from mailfleet.sandbox.faults_world import KINDS
from mailfleet.sandbox.world import LOGS

_JSON = "application/json"
_WRONG = obj({"error": TEXT})
_CLOCK = obj({"now": TEXT, "start": TEXT, "seed": NUMBER})
_PLANNED = obj({"kind": TEXT, "at": TEXT, "until": optional(TEXT), "begun": {"type": "boolean"}})
_FAULT = obj({"kind": TEXT})
_GIVEN: dict[str, Schema] = {
    "at": TEXT,
    "until": TEXT,
    "days": {"type": "number", "exclusiveMinimum": 0},
    "vendor": {"enum": ["smartlead", "smartdelivery", "smartsenders", "cloudflare", "namecheap", "slack", "twilio"]},
    "path": TEXT,
    "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
    "times": optional({"type": "integer", "minimum": 1}),
    "seconds": {"type": "number"},
    "text": TEXT,
    "domain": TEXT,
    "address": TEXT,
    "provider": optional(TEXT),
    "factor": {"type": "number", "minimum": 0, "maximum": 1},
    "bounces": {"type": "number", "minimum": 0, "maximum": 1},
    "complaints": {"type": "number", "minimum": 0, "maximum": 1},
    "contains": TEXT,
}
_BOX = obj({"id": NUMBER, "address": TEXT, "warmup_sent": NUMBER, "reputation": NUMBER, "standing": ANY})
_STATE = obj({"now": TEXT, "seed": NUMBER, "mailboxes": listing(_BOX), "campaigns": listing(obj({"id": NUMBER}))})
_PAGE = obj({"entries": listing(obj({"n": NUMBER, "at": TEXT})), "total": NUMBER, "next": NUMBER})


def description(prefix: str) -> dict[str, Any]:
    """The whole API, its paths below `prefix`."""
    span: Schema = {"type": "number", "minimum": 0}
    kinds: Schema = {"enum": [*WIRE, *KINDS]}
    account = obj({"address": TEXT, "password": TEXT})
    operations = [
        _operation("GET", prefix + "/clock", _CLOCK),
        _operation("POST", prefix + "/advance", obj({"now": TEXT, "done": NUMBER}),
                   obj({}, {"seconds": span, "to": TEXT})),
        _operation("POST", prefix + "/mailhost/accounts", obj({"address": TEXT}), account),
        _operation("POST", prefix + "/registrar/domains", obj({"name": TEXT, "nameservers": listing(TEXT)}),
                   obj({"name": TEXT})),
        _operation("POST", prefix + "/faults", _FAULT, obj({"kind": kinds}, _GIVEN)),
        _operation("GET", prefix + "/faults", obj({"faults": listing(_FAULT), "planned": listing(_PLANNED)})),
        _operation("DELETE", prefix + "/faults", obj({"faults": listing(ANY)})),
        _operation("GET", prefix + "/state", _STATE),
        *(_operation("GET", f"{prefix}/log/{name}", _PAGE, query=True) for name in LOGS),
    ]  # fmt: skip
    return document("Control of the sandbox", operations)


def _operation(method: str, path: str, answer: Schema, body: Schema | None = None, *, query: bool = False) -> Operation:
    return Operation(
        method=method,
        path=path,
        summary=f"{method} {path}",
        answers={200: (_JSON, answer), 400: (_JSON, _WRONG)},
        body=body,
        query={"after": TEXT, "limit": TEXT} if query else {},
    )
