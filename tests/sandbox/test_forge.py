"""The Forge faces by raw HTTP, from what is published about the four products; nothing of our clients."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.sandbox_fixture import Sandbox

STEP = {"id": "", "distributionStrategy": "equal", "waitDays": 0}
VARIANT = {"label": "A", "status": "active", "emailSubject": "Hi {{first_name}}", "emailContent": "<p>Hello</p>"}
VARIANT |= {"distributionWeight": 100}


class Forge:
    """Raw calls with each product's key."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.seeded = sandbox.control(
            "POST", "/forge/seed", {"sequences": 1, "leads": 40, "fresh": 0, "mailboxes": 2, "domains": 1, "days": 60}
        )
        self.ws = self.seeded["workspace"]
        self.product = self.core("GET", "/products").json()["data"][0]["id"]

    def call(self, product: str, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        entry = self.sandbox.info[product]
        headers = {"Authorization": entry["api_key"]}
        return self.sandbox.http.request(method, entry["base_url"] + path, json=body, params=query, headers=headers)

    def core(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        return self.call("salesforge", method, f"/workspaces/{self.ws}{path}", body, **query)

    def sequence(self, emails: list[str], *, active: bool = True) -> str:
        """A running sequence of two steps over these people."""
        body = {"name": "Pilot", "productId": self.product, "language": "american_english", "timezone": "UTC"}
        made = self.core("POST", "/sequences", body).json()["id"]
        steps = [
            {**STEP, "order": 0, "name": "One", "variants": [VARIANT]},
            {**STEP, "order": 1, "name": "Two", "waitDays": 2, "variants": [{**VARIANT, "emailSubject": ""}]},
        ]
        assert self.core("PUT", f"/sequences/{made}/steps", {"steps": steps}).status_code == 200
        window = [{"weekday": day, "fromHour": 8, "toHour": 20} for day in range(7)]
        assert self.core("PUT", f"/sequences/{made}/schedules", {"schedules": window}).status_code == 200
        boxes = [box["id"] for box in self.core("GET", "/mailboxes").json()["data"]]
        assert self.core("PUT", f"/sequences/{made}/mailboxes", {"mailboxIds": boxes}).status_code == 204
        if emails:
            assert (
                self.core("PUT", f"/sequences/{made}/contacts", {"contactIds": self.people(emails)}).status_code == 204
            )
        if active:
            assert self.core("PUT", f"/sequences/{made}/status", {"status": "active"}).status_code == 204
        return made

    def people(self, emails: list[str]) -> list[str]:
        rows = [{"firstName": "Bo", "email": email, "tags": ["t"]} for email in emails]
        answer = self.core("POST", "/contacts/bulk", {"contacts": rows})
        assert answer.status_code == 201, answer.text
        return [row["id"] for row in answer.json()["contacts"]]

    def mailed(self, sequence: str) -> Counter[str]:
        return Counter(
            row["email"]
            for row in self.core("GET", "/sending-data", **{"sequence_ids[]": sequence, "limit": 1000}).json()["data"]
        )


@pytest.fixture(scope="module")
def kept() -> Iterator[Forge]:
    """One world for all: every test adds things of its own and looks at nothing else."""
    running = Sandbox("--seed", "1", "--profile", "calm")
    yield Forge(running)
    running.close()


@pytest.mark.parametrize(
    ("product", "path", "bearer"),
    [
        ("salesforge", "/me", 401),
        ("warmforge", "/mailboxes?page=1&page_size=5", 200),
        ("infraforge", "/domains", 401),
        ("mailforge", "/domains", 401),
    ],
)
def test_each_product_takes_its_own_key_raw(kept: Forge, product: str, path: str, bearer: int) -> None:
    entry, http = kept.sandbox.info[product], kept.sandbox.http
    other = kept.sandbox.info["infraforge" if product != "infraforge" else "mailforge"]["api_key"]
    url = entry["base_url"] + path
    assert http.get(url, headers={"Authorization": entry["api_key"]}).status_code == 200
    assert http.get(url, headers={"Authorization": f"Bearer {entry['api_key']}"}).status_code == bearer
    assert http.get(url, headers={"Authorization": other}).status_code == 401
    missing = "missing api key" if product == "warmforge" else "api key is required"
    assert http.get(url).json()["message"] == missing


def test_unknown_routes_and_methods_are_not_found(kept: Forge) -> None:
    assert kept.call("salesforge", "PATCH", "/me").status_code == 404
    assert kept.core("GET", "/nothing").status_code == 404


def test_a_new_sequence_is_a_draft_with_one_empty_step_and_hides_what_was_written(kept: Forge) -> None:
    made = kept.sequence([], active=False)
    read = kept.core("GET", f"/sequences/{made}").json()
    assert read["status"] == "draft"
    assert [step["waitDays"] for step in read["steps"]] == [0, 2]
    assert not {"timezone", "language", "schedules"} & set(read)
    assert kept.core("PUT", f"/sequences/{made}", {"productId": "prod_other"}).status_code == 500
    assert kept.core("PUT", f"/sequences/{made}/mailboxes", {"mailboxIds": []}).status_code == 204
    refused = kept.core("PUT", f"/sequences/{made}/status", {"status": "active"})
    assert (refused.status_code, refused.json()["message"]) == (400, "sequence without mailboxes")
    assert kept.core("PUT", f"/sequences/{made}/mailboxes", {"mailboxIds": ["mbox_no"]}).status_code == 500
    assert kept.core("PUT", f"/sequences/{made}/status", {"status": "draft"}).status_code == 400


def test_enrolling_twice_raises_the_count_and_unknown_ids_are_taken(kept: Forge) -> None:
    made = kept.sequence([], active=False)
    ids = kept.people(["twice@once.example"])
    for _ in range(2):
        assert kept.core("PUT", f"/sequences/{made}/contacts", {"contactIds": [*ids, "lead_nobody"]}).status_code == 204
    assert kept.core("GET", f"/sequences/{made}").json()["leadCount"] == 2
    assert kept.core("GET", f"/sequences/{made}/contacts/count").json() == {"count": 1}


def test_contacts_are_upserted_tagged_and_found_by_who_is_not_in_a_sequence(kept: Forge) -> None:
    first = kept.core("POST", "/contacts", {"firstName": "Bo", "email": "Up@Sert.example", "phone": "1"}).json()
    again = kept.core("POST", "/contacts", {"firstName": "Bob", "email": "up@sert.example"}).json()
    assert (first["id"], again["firstName"]) == (again["id"], "Bob")
    assert first["tags"][0].startswith("pa-2026")
    assert "phone" not in first
    made = kept.sequence(["inside@seq.example"], active=False)
    outside = kept.core("GET", "/contacts", not_in_sequence_id=made, limit=100).json()["total"]
    assert kept.core("GET", "/contacts").json()["total"] - outside == 1
    assert kept.core("GET", "/contacts", colour="red").status_code == 400
    assert kept.core("POST", "/contacts", {"firstName": "X", "email": "x@y.zz", "linkedinUrl": ""}).status_code == 400


def test_multichannel_sequences_come_first_in_the_core_list(kept: Forge) -> None:
    kept.sandbox.control("POST", "/forge/seed", {"sequences": 0, "mailboxes": 0, "multichannel": 1})
    rows = kept.core("GET", "/sequences").json()["data"]
    assert rows[0]["id"].isdigit()
    assert "openedCount" not in rows[0]
    assert all(row["id"].startswith("seq_") for row in kept.core("GET", "/sequences", type="legacy").json()["data"])
    base = kept.sandbox.info["salesforge"]["multichannel_base_url"] + f"/multichannel/workspaces/{kept.ws}/sequences"
    headers = {"Authorization": "Bearer " + kept.sandbox.info["salesforge"]["api_key"]}
    read = kept.sandbox.http.get(f"{base}/{rows[0]['id']}/schedule", headers=headers).json()
    assert read["schedule"]["monday"] == {"enabled": True, "from": 9, "to": 17}
    bad = {"timezone": "UTC", "schedule": {"monday": {"enabled": False, "from": 9, "to": 9}}}
    assert kept.sandbox.http.put(f"{base}/{rows[0]['id']}/schedule", json=bad, headers=headers).status_code == 422


def test_the_interface_of_february_ignores_filters_and_lacks_what_came_later(kept: Forge) -> None:
    kept.sandbox.control("POST", "/forge/options", {"profile": "2026-02"})
    assert kept.core("GET", "/dnc").status_code == 404
    assert kept.core("DELETE", "/contacts/lead_x").status_code == 404
    everyone = kept.core("GET", "/contacts").json()["total"]
    filtered = kept.core("GET", "/contacts", not_in_sequence_id=kept.seeded["sequences"][0]["id"], colour="red")
    assert filtered.json()["total"] == everyone
    assert set(filtered.json()["data"][0]) == {
        "id", "firstName", "lastName", "email", "company", "linkedinUrl", "tags", "customVars",
    }  # fmt: skip
    refused = kept.core("POST", "/integrations/webhooks", {"name": "n", "type": "dnc_added", "url": "http://x.y/z"})
    assert refused.status_code == 400
    kept.sandbox.control("POST", "/forge/options", {"profile": "2026-09"})


def test_a_sequence_sends_each_step_once_and_stops_for_who_answers_or_is_forbidden(kept: Forge) -> None:
    people = [
        "silent.a@one.example",
        "replies-positive@two.example",
        "silent.dnc@three.example",
        "hard-bounce@x.example",
    ]
    made = kept.sequence(people)
    assert kept.core("POST", "/dnc/bulk", {"dncs": ["silent.dnc@three.example"]}).json() == {"created": 1}
    kept.sandbox.advance(days=6)
    assert kept.mailed(made) == {people[0]: 2, people[1]: 1, people[3]: 1}
    sends = [row for row in kept.sandbox.log("sends") if row["campaign_id"] == made]
    assert {row["platform"] for row in sends} == {"forge"}
    assert len({(row["lead_email"], row["step"]) for row in sends}) == len(sends) == 4
    counts = {
        state: kept.core("GET", f"/sequences/{made}/contacts/count", **{"statuses[]": state}).json()["count"]
        for state in ("replied", "dnc", "finished", "bounced")
    }
    assert counts == {"replied": 1, "dnc": 1, "finished": 1, "bounced": 1}
    threads = kept.core("GET", "/threads", **{"sequence_ids[]": made, "limit": 100}).json()["data"]
    assert sorted(thread["replyType"] for thread in threads) == ["bounced", "lead_replied"]
    detail = kept.core("GET", f"/threads/{threads[0]['id']}").json()
    assert detail["emails"][0]["type"] == "outbound"
    assert kept.core("GET", "/sequence-metrics", **{"sequence_ids[]": made}).json()["bounced"] == 1
    assert kept.core("POST", "/dnc/bulk/remove", {"dncs": ["silent.dnc@three.example"]}).status_code == 204
    kept.core("PUT", f"/sequences/{made}/status", {"status": "active"})
    kept.sandbox.advance(days=4)
    assert kept.mailed(made)[people[2]] == 2


def test_a_paused_sequence_sends_nothing(kept: Forge) -> None:
    made = kept.sequence([f"silent.{n}@quiet.example" for n in range(10)])
    kept.sandbox.advance(seconds=9 * 3600)
    before = kept.mailed(made).total()
    assert before > 0
    assert kept.core("PUT", f"/sequences/{made}/status", {"status": "paused"}).status_code == 204
    kept.sandbox.advance(days=5)
    assert kept.mailed(made).total() == before


def test_webhooks_are_signed_sent_once_and_never_again(kept: Forge) -> None:
    taken: list[tuple[dict[str, str], bytes]] = []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(500)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = kept.sequence(["opens@read.example"], active=False)
    url = f"http://127.0.0.1:{server.server_port}/hook"
    body = {"name": "ours", "type": "email_sent", "url": url, "sequenceIds": [made]}
    hook = kept.core("POST", "/integrations/webhooks", body).json()
    assert "signingSecret" not in kept.core("GET", f"/integrations/webhooks/{hook['id']}").json()
    kept.core("PUT", f"/sequences/{made}/status", {"status": "active"})
    kept.sandbox.advance(days=1)
    server.shutdown()
    server.server_close()
    assert len(taken) == 1
    headers, raw = taken[0]
    event = headers["x-salesforgeai-webhook-event-id"]
    parts = dict(part.split("=", 1) for part in headers["x-salesforgeai-webhook-signature"].split(","))
    signed = f"{event}.{parts['t']}.".encode() + raw
    assert parts["v1"] == hmac.new(hook["signingSecret"].encode(), signed, hashlib.sha256).hexdigest()
    payload = json.loads(raw)
    assert payload["webhookInfo"]["id"] == event
    assert payload["emailSentData"]["step"] == 1
    assert [row["status"] for row in kept.sandbox.log("webhooks") if row["hook"] == hook["id"]] == [500]


def test_warmup_is_switched_by_address_within_its_bounds(kept: Forge) -> None:
    address = kept.seeded["mailboxes"][0]
    path = "/mailboxes/" + address.replace("@", "%40")
    before = kept.call("warmforge", "GET", path).json()
    assert (before["warm"], before["healthReport"]["heatScore"] >= 85) == (True, True)
    assert kept.call("warmforge", "PATCH", path, {"maxEmailsPerDay": 21}).status_code == 400
    off = kept.call("warmforge", "PATCH", path, {"warmupEnabled": False, "maxEmailsPerDay": 10}).json()
    assert (off["warmupEnabled"], off["maxEmailsPerDay"]) == (False, 10)
    today = kept.sandbox.control("GET", "/clock")["now"][:10]
    kept.sandbox.advance(days=2)
    stats = kept.call("warmforge", "GET", path + "/warmup/stats", **{"from": "2026-01-01", "to": "2026-04-01"}).json()
    assert all(row["date"] <= today for row in stats["stats"])
    assert kept.call("warmforge", "GET", "/mailboxes").status_code == 400
    page = kept.call("warmforge", "GET", "/mailboxes", page=1, page_size=1).json()
    assert set(page) == {"mailboxes", "page", "pageSize", "totalPages"}
    assert page["totalPages"] >= 2


def test_dns_is_replaced_as_a_whole_and_credentials_come_only_when_asked_for(kept: Forge) -> None:
    domain = kept.call("infraforge", "GET", "/domains").json()[0]
    at = f"/domains/{domain['id']}/dns"
    kinds = [row["type"] for row in kept.call("infraforge", "GET", at).json()]
    assert kinds == ["MX", "TXT", "TXT", "TXT"]
    one = {"records": [{"name": "forge-out-1.com", "type": "TXT", "value": "hello", "editable": True}]}
    assert kept.call("infraforge", "PUT", at, one).status_code == 204
    assert [row["value"] for row in kept.call("infraforge", "GET", at).json()] == ["hello"]
    plain = kept.call("infraforge", "GET", "/mailboxes").json()[0]
    asked = kept.call("infraforge", "GET", "/mailboxes", with_credentials="true").json()[0]
    assert "credentials" not in plain
    assert asked["credentials"]["smtpUsername"] == asked["email"]
    body = {"domains": [{"domain": "forge-out-1.com", "mailboxes": [{"email": "new@forge-out-1.com"}]}]}
    body["domains"][0]["mailboxes"][0] |= {"firstName": "N", "lastName": "Ew"}  # type: ignore[index]
    made = kept.call("infraforge", "POST", "/mailboxes", body)
    assert (made.status_code, "id" in made.text) == (200, False)
    assert kept.call("mailforge", "POST", "/domains", {}).json() == {
        "code": 402,
        "message": "payment method is required",
    }


def test_a_mailbox_is_connected_by_logging_in_and_is_pending_first(kept: Forge) -> None:
    login = kept.call("infraforge", "GET", "/mailboxes", with_credentials="true").json()[0]["credentials"]
    kept.sandbox.control("POST", "/mailhost/accounts", {"address": "late@forge-out-1.com", "password": "pw"})
    body: dict[str, Any] = {"address": "late@forge-out-1.com", "firstName": "La", "lastName": "Te"}
    for kind in ("smtp", "imap"):
        part = {
            "host": login[f"{kind}Host"],
            "port": login[f"{kind}Port"],
            "username": body["address"],
            "password": "no",
        }
        body[kind] = part
    before = kept.core("GET", "/mailboxes").json()["total"]
    assert kept.core("POST", "/mailboxes", body).status_code == 400
    assert kept.core("GET", "/mailboxes").json()["total"] == before
    for kind in ("smtp", "imap"):
        body[kind]["password"] = "pw"
    made = kept.core("POST", "/mailboxes", body)
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    assert kept.core("POST", "/mailboxes", body).status_code == 409
    kept.sandbox.advance(seconds=300)
    assert kept.core("GET", f"/mailboxes/{made.json()['id']}").json()["status"] == "active"


def test_the_same_past_for_the_same_seed() -> None:
    shown = []
    for _ in range(2):
        running = Sandbox("--seed", "9", "--profile", "calm")
        running.control("POST", "/forge/seed", {"sequences": 1, "leads": 30, "mailboxes": 1})
        running.advance(days=2)
        shown.append(running.log("sends"))
        running.close()
    assert shown[0] == shown[1]
