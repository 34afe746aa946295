"""What `vendor verify` and `record` say of a server that answers otherwise than written, and of one that does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.faults.conftest import PLANTED, Run
from tests.sandbox_fixture import Sandbox

from mailfleet.vendors.compare import Description, with_example, with_schema
from mailfleet.vendors.probe import documented
from mailfleet.vendors.transport.taken import masked

ACCOUNT = {
    "id": "mb_310044", "from_email": "ada@somebody-real.example", "message_per_day": 40, "password": "cGFzcw==",
    "is_smtp_success": True, "is_imap_success": True, "warmup_details": {"status": "ACTIVE"}, "plan": "gold",
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/email-accounts/": [ACCOUNT],
    "/campaigns/": [
        {
            "id": 7,
            "status": "ACTIVE",
            "name": "Pilot",
            "user_id": 1,
            "created_at": "2026-03-01T10:00:00.000Z",
            "client_id": None,
        }
    ],
    "/campaigns/7": {"id": 7, "state": "ACTIVE"},
    "/campaigns/7/analytics": {"sent_count": 4, "campaign_lead_stats": {"total": 1}},
    "/campaigns/7/leads": {"total_leads": "0", "offset": 0, "limit": 100, "data": []},
    "/campaigns/7/sequences": [],
    "/leads/fetch-categories": {"success": True, "data": []},
}
"""Where it deviates: an id that is text, a status under another name, counts that are numbers, a wrapped list."""


class _Deviating(BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/v1")
        type(self).seen.append(f"{self.command} {path}")
        body = json.dumps(ANSWERS.get(path, {"message": "Cannot find it"})).encode()
        self.send_response(200 if path in ANSWERS else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def deviating() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Deviating)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1"
    server.shutdown()
    server.server_close()
    thread.join(10)


def printed(said: str) -> Any:
    """The JSON on standard output; what was said beside it comes after."""
    return json.JSONDecoder().raw_decode(said)[0]


def environment(dsn: str, address: str, key: str = PLANTED) -> dict[str, str]:
    return {
        "DATABASE_URL": dsn, "SMARTLEAD_BASE_URL": address, "SMARTLEAD_DELIVERY_BASE_URL": address,
        "SMARTLEAD_API_KEY": key,
    }  # fmt: skip


def test_a_deviating_server_is_told_field_by_field_and_only_read(
    run: Run, dsn: str, deviating: str, shared_sandbox: Sandbox
) -> None:
    _Deviating.seen.clear()
    root = shared_sandbox.info["overview"].rstrip("/")
    ended = run("vendor", "verify", "smartlead", "--sandbox", root, "--json", **environment(dsn, deviating))
    assert ended.code == 3, ended.said
    rows = {row["row"]: row for row in printed(ended.said)}
    told = {
        row: {(each["against"], each["where"]) for each in rows[row]["differences"] if not each["new"]} for row in rows
    }
    assert ("model", "$[].id") in told["email-accounts/list"]
    assert ("documents", "$[].id") in told["email-accounts/list"]
    assert ("model", "$.status") in told["campaigns/get"] or ("model", "$") in told["campaigns/get"]
    assert ("documents", "$.sent_count") in told["campaigns/analytics"]
    assert rows["leads/fetch-categories"]["verdict"] == "deviates"
    assert told["campaigns/list"] <= {each for each in told["campaigns/list"] if each[0] == "description"}
    assert {line.partition(" ")[0] for line in _Deviating.seen} <= {"GET", "POST"}
    assert [line for line in _Deviating.seen if line.startswith("POST")] == ["POST /report"]
    assert PLANTED not in ended.said


def test_a_recording_holds_shapes_and_nobodys_words(run: Run, dsn: str, deviating: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    ended = run("vendor", "record", "smartlead", "--out", str(kept), "--json", **environment(dsn, deviating))
    text = kept.read_text()
    assert printed(ended.said)["exchanges"] >= 10
    for secret in (PLANTED, "somebody-real", "cGFzcw", "Pilot"):
        assert secret not in text, secret
    (first, *_) = json.loads(text)["rows"]
    (account,) = first["exchanges"][0]["data"]
    assert (account["from_email"], account["message_per_day"]) == ("someone@example.com", 40)


def test_the_sandbox_itself_answers_as_written_with_writes_that_leave_nothing(
    run: Run, dsn: str, shared_sandbox: Sandbox
) -> None:
    told = shared_sandbox.info["smartlead"]
    before = len(shared_sandbox.smartlead("GET", "/campaigns/").json())
    ended = run(
        "vendor", "verify", "smartlead", "--write", "--sandbox", shared_sandbox.info["overview"], "--json",
        DATABASE_URL=dsn, SMARTLEAD_BASE_URL=told["base_url"], SMARTLEAD_API_KEY=told["api_key"],
        SMARTLEAD_DELIVERY_BASE_URL=told["delivery_base_url"],
    )  # fmt: skip
    rows = printed(ended.said)
    assert {row["row"]: row["differences"] for row in rows if row["verdict"] == "deviates"} == {}, ended.said
    assert "campaigns/create" in {row["row"] for row in rows} and not any(row["error"] for row in rows)
    assert len(shared_sandbox.smartlead("GET", "/campaigns/").json()) == before


def test_an_unknown_vendor_is_a_usage_error(run: Run, dsn: str) -> None:
    ended = run("vendor", "record", "nobody", DATABASE_URL=dsn)
    assert ended.code == 2 and "smartlead" in ended.said


SCHEMA = {
    "type": "object", "required": ["id"],
    "properties": {
        "id": {"type": "integer"}, "word": {"enum": ["a", "b"]}, "maybe": {"type": ["string", "null"]},
        "rows": {"type": "array", "items": {"$ref": "#/parts/row"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"n": {"type": "number"}}}]},
    },
}  # fmt: skip
ROOT = {"parts": {"row": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}}}


@pytest.mark.parametrize(
    ("seen", "where"),
    [
        ({"id": 1, "word": "a", "maybe": None, "rows": [{"x": "y"}], "either": {"n": 1}}, []),
        ({}, ["$.id"]),
        ({"id": "1"}, ["$.id"]),
        ({"id": 1, "word": "c"}, ["$.word"]),
        ({"id": 1, "rows": [{"x": "y"}, {}]}, ["$.rows[].x"]),
        ({"id": 1, "either": 5}, ["$.either"]),
        ([], ["$"]),
    ],
)
def test_a_schema_says_where(seen: Any, where: list[str]) -> None:
    assert [each.where for each in with_schema(SCHEMA, seen, ROOT) if not each.new] == where


def test_what_is_only_new_contradicts_nothing() -> None:
    assert [each.new for each in with_schema(SCHEMA, {"id": 1, "more": 2}, ROOT)] == [True]
    document = {
        "paths": {"/v/a/{n}": {"get": {"responses": {"200": {"content": {"application/json": {"schema": SCHEMA}}}}}}}
    }
    known = Description(document, "/v")
    assert known.differences("GET", "/a/{id}", 200, "json", {"id": 1}) == []
    assert [each.new for each in known.differences("GET", "/b", 200, "json", {})] == [True]
    assert [each.new for each in known.differences("GET", "/a/{id}", 404, "json", {})] == [False]
    assert [each.new for each in known.differences("GET", "/a/{id}", 200, "html", None)] == [False]


def test_every_documented_example_fits_itself_masked() -> None:
    for vendor in ("smartlead", "cloudflare", "slack", "twilio"):
        for row, exchange in documented(vendor).items():
            if "answer" in exchange:
                example = json.loads(exchange["answer"])
                assert list(with_example(example, masked(example))) == [], row
