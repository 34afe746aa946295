"""The vendor's own description (Swagger 2.0) against the sandbox face: each answer has to fit the schema of its status.

    python -m proofs.forge_descriptions salesforge FILE.json
    python -m proofs.forge_descriptions warmforge FILE.json

Every operation of the file is called with real ids out of a seeded past; bodies are made from the file's schemas. An
answer whose status is not described, or whose body does not fit, is printed; exit code 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
from tests.sandbox_fixture import Sandbox

SEED = {"sequences": 1, "leads": 80, "fresh": 5, "mailboxes": 2, "domains": 1, "days": 40}
LAST = ("DELETE",)
"""Called when everything else was."""


def ids(world: Sandbox, face: str) -> dict[str, str]:
    """Something real for every name in a path."""
    seeded = world.control("POST", "/forge/seed", SEED)
    ws, sequence = seeded["workspace"], seeded["sequences"][0]["id"]
    base, key = world.info["salesforge"]["base_url"], world.info["salesforge"]["api_key"]

    def first(path: str) -> dict[str, Any]:
        answer = world.http.get(f"{base}/workspaces/{ws}{path}", headers={"Authorization": key})
        return answer.json()["data"][0]

    thread = first("/threads")
    detail = world.http.get(f"{base}/workspaces/{ws}/threads/{thread['id']}", headers={"Authorization": key}).json()
    hook = {"name": "n", "type": "email_sent", "url": "http://127.0.0.1:9/x"}
    made = world.http.post(
        f"{base}/workspaces/{ws}/integrations/webhooks", json=hook, headers={"Authorization": key}
    ).json()
    found = {
        "workspaceID": ws, "sequenceID": sequence, "contactID": first("/contacts")["id"], "threadID": thread["id"],
        "mailboxID": thread["mailboxId"], "emailID": detail["emails"][-1]["id"], "productID": first("/products")["id"],
        "webhookID": made["id"], "address": seeded["mailboxes"][0],
    }  # fmt: skip
    if face == "warmforge":
        warm, token = world.info["warmforge"]["base_url"], world.info["warmforge"]["api_key"]
        test = {"subject": "s", "body": "b", "name": "t"}
        pt = world.http.post(f"{warm}/placement-tests", json=test, headers={"Authorization": token}).json()
        found["placementTestID"] = pt["id"]
    return found


def sample(schema: Mapping[str, Any], whole: Mapping[str, Any], given: Mapping[str, str], name: str = "") -> Any:
    """A value of the schema, with real ids where a name asks for them."""
    if "$ref" in schema:
        return sample(whole["definitions"][schema["$ref"].rpartition("/")[2]], whole, given, name)
    if schema.get("allOf"):
        return sample(schema["allOf"][0], whole, given, name)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "array":
        return [sample(schema.get("items", {}), whole, given, name.rstrip("s"))]
    if kind == "object":
        return {key: sample(part, whole, given, key) for key, part in schema.get("properties", {}).items()}
    if name == "toHour":
        return 17
    return {"integer": 1, "number": 1, "boolean": True}.get(kind, _text(name, given))


def _text(name: str, given: Mapping[str, str]) -> str:
    known = {
        "contactId": given["contactID"], "mailboxId": given["mailboxID"], "productId": given["productID"],
        "email": "new@person.example", "address": given["address"], "timezone": "UTC", "url": "http://127.0.0.1:9/x",
        "linkedinUrl": "https://linkedin.com/in/x", "dnc": "a@b.example", "sequenceID": given["sequenceID"],
        "status": "paused", "language": "american_english",
    }  # fmt: skip
    return known.get(name, "text")


def queries(operation: Mapping[str, Any]) -> dict[str, Any]:
    """What it requires, and the most of a page."""
    fixed = {"from_date": "2026-01-01", "to_date": "2026-03-01", "from": "2026-01-01", "to": "2026-03-01", "page": 1}
    fixed |= {"page_size": 10, "size": 10}
    return {
        part["name"]: fixed.get(part["name"], "x")
        for part in operation.get("parameters", [])
        if part["in"] == "query" and part.get("required")
    }


def check(world: Sandbox, face: str, whole: Mapping[str, Any]) -> tuple[Counter[str], list[str]]:
    given, wrong, seen = ids(world, face), list[str](), Counter[str]()
    base, key = world.info[face]["base_url"], world.info[face]["api_key"]
    table = [(method.upper(), path, op) for path, each in whole["paths"].items() for method, op in each.items()]
    for method, path, operation in sorted(table, key=lambda row: row[0] in LAST):
        url = base + re.sub(r"\{(\w+)\}", lambda found: quote(given[found[1]], safe=""), path)
        body = next((part["schema"] for part in operation.get("parameters", []) if part["in"] == "body"), None)
        payload = sample(body, whole, given) if body is not None else None
        answer = world.http.request(
            method, url, params=queries(operation), json=payload, headers={"Authorization": key}
        )
        told = f"{method} {path} → {answer.status_code}"
        described = operation["responses"].get(str(answer.status_code))
        seen[f"{answer.status_code // 100}xx"] += 1
        if described is None:
            wrong.append(f"{told}: not described. {answer.text[:160]}")
        elif "schema" in described and answer.content:
            schema = {**described["schema"], "definitions": whole["definitions"]}
            errors = jsonschema.Draft4Validator(schema).iter_errors(answer.json())
            wrong += [f"{told}: {'/'.join(map(str, error.path))} {error.message[:120]}" for error in errors]
    return seen, wrong


def main() -> int:
    face, file = sys.argv[1], Path(sys.argv[2])
    whole = json.loads(file.read_text())
    world = Sandbox("--seed", "1", "--profile", "calm")
    try:
        seen, wrong = check(world, face, whole)
    finally:
        world.close()
    operations = sum(len(each) for each in whole["paths"].values())
    print(f"{face}: {operations} operations called, answers {dict(seen)}, {len(wrong)} not as described")  # noqa: T201
    print("\n".join(wrong))  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
