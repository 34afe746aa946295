"""The documents' examples for the vendors around Smartlead, as an outside client would send them.

Imports neither the sandbox nor any client. Transcribed by hand from the API references of Cloudflare (Zones, DNS
records, "Batch record changes", token check), Namecheap (domains.check, create, getInfo, dns.setCustom), Slack
(chat.postMessage, incoming webhooks, "Rate limits") and Twilio (Messages, "Track outbound message status").
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, fromstring

import httpx2
import pytest
from tests.sandbox_fixture import Sandbox

SPACE = "{http://api.namecheap.com/xml.response}"
CONTACT = {
    "FirstName": "Ada", "LastName": "Byrne", "Address1": "1 Main St", "City": "Sydney", "StateProvince": "NSW",
    "PostalCode": "2000", "Country": "AU", "Phone": "+61.255501234", "EmailAddress": "ada@agency.example",
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    running = Sandbox("--seed", "1", "--rate-limit", "100000", "--profile", "calm")
    yield running
    running.close()


def cloudflare(world: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    held = world.info["cloudflare"]
    headers = {"Authorization": f"Bearer {held['api_token']}"}
    answer = world.http.request(method, held["base_url"] + path, headers=headers, json=body)
    assert "ratelimit" in answer.headers
    assert {"success", "errors", "messages", "result"} <= set(answer.json())
    return answer.status_code, answer.json()


def namecheap(world: Sandbox, command: str, **given: str) -> Element:
    held = world.info["namecheap"]
    keys = {"ApiUser": held["api_user"], "ApiKey": held["api_key"], "UserName": held["username"]}
    form = {**keys, "ClientIp": held["client_ip"], "Command": f"namecheap.domains.{command}", **given}
    answer = world.http.post(held["base_url"], data=form)
    assert answer.status_code == 200
    return fromstring(answer.text)


def bought(world: Sandbox, name: str) -> Element:
    people = {who + key: text for who in ("Registrant", "Tech", "Admin", "AuxBilling") for key, text in CONTACT.items()}
    return namecheap(world, "create", DomainName=name, Years="1", **people)


def test_cloudflare_takes_a_zone_and_a_batch_as_one_transaction(world: Sandbox) -> None:
    account = {"id": world.info["cloudflare"]["account_id"]}
    assert cloudflare(world, "GET", "/user/tokens/verify")[1]["messages"][0]["code"] == 10000
    unknown = cloudflare(world, "POST", "/zones", {"name": "nobody-mailfleet.com", "account": account, "type": "full"})
    assert unknown[1]["errors"][0]["code"] == 1049
    assert bought(world, "zoned-mailfleet.com").get("Status") == "OK"
    # "Only just registered" names are refused.
    world.advance(seconds=1800)
    body = {"name": "zoned-mailfleet.com", "account": account, "type": "full"}
    status, made = cloudflare(world, "POST", "/zones", body)
    zone = made["result"]
    assert (status, zone["status"], len(zone["name_servers"])) == (200, "pending", 2)
    assert cloudflare(world, "POST", "/zones", body)[1]["errors"][0]["code"] == 1061
    record = {"type": "TXT", "name": "zoned-mailfleet.com", "content": '"v=spf1 -all"', "ttl": 300}
    at = f"/zones/{zone['id']}/dns_records"
    twice = cloudflare(world, "POST", at + "/batch", {"posts": [record, record]})
    assert (twice[0], twice[1]["errors"][0]["code"] in (81057, 81058)) == (400, True)
    assert cloudflare(world, "GET", at)[1]["result"] == []
    once = cloudflare(world, "POST", at + "/batch", {"posts": [record]})[1]["result"]
    assert set(once) == {"deletes", "patches", "puts", "posts"}
    info = cloudflare(world, "GET", at)[1]["result_info"]
    assert {"page", "per_page", "count", "total_count", "total_pages"} <= set(info)
    assert cloudflare(world, "GET", "/zones?name=zoned-mailfleet.com")[1]["result"][0]["id"] == zone["id"]


def test_namecheap_answers_xml_with_status_200_even_when_it_refuses(world: Sandbox) -> None:
    (free,) = namecheap(world, "check", DomainList="free-mailfleet.com").iter(SPACE + "DomainCheckResult")
    assert (free.get("Available"), free.get("IsPremiumName")) == ("true", "false")
    (made,) = bought(world, "mine-mailfleet.com.au").iter(SPACE + "DomainCreateResult")
    assert {"Registered", "ChargedAmount", "DomainID", "OrderID", "TransactionID", "NonRealTimeDomain"} <= set(
        made.keys()
    )
    servers = "ada.ns.cloudflare.com,bob.ns.cloudflare.com"
    changed = namecheap(world, "dns.setCustom", SLD="mine-mailfleet", TLD="com.au", Nameservers=servers)
    assert next(changed.iter(SPACE + "DomainDNSSetCustomResult")).get("Updated") == "true"
    dns = next(namecheap(world, "getInfo", DomainName="mine-mailfleet.com.au").iter(SPACE + "DnsDetails"))
    assert [entry.text for entry in dns] == servers.split(",")
    unknown = namecheap(world, "getInfo", DomainName="never-mailfleet.com")
    assert unknown.get("Status") == "ERROR"
    assert next(unknown.iter(SPACE + "Error")).get("Number") == "2019166"
    foreign = namecheap(world, "getList", ClientIp="198.51.100.1")
    assert next(foreign.iter(SPACE + "Error")).get("Number") == "1011150"


def test_slack_refuses_in_the_body_and_throttles_by_status(world: Sandbox) -> None:
    held = world.info["slack"]

    def post(**body: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {held['bot_token']}"}
        return world.http.post(held["base_url"] + "/chat.postMessage", headers=headers, json=body)

    good = post(channel="#ops", text="Hello").json()
    assert (good["ok"], type(good["ts"]), good["message"]["text"]) == (True, str, "Hello")
    assert post(channel="#no-such-channel", text="x").json() == {"ok": False, "error": "channel_not_found"}
    assert post(channel="#ops").json() == {"ok": False, "error": "no_text"}
    hook = world.http.post(held["webhook_url"], json={"text": "Hello"})
    assert (hook.status_code, hook.text) == (200, "ok")
    assert world.http.post(held["webhook_url"], content=b"{").text == "invalid_payload"
    world.fault("429", vendor="slack", seconds=30)
    limited = post(channel="#ops", text="x")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "30")
    assert limited.json() == {"ok": False, "error": "ratelimited"}


def test_twilio_takes_a_message_and_tells_what_became_of_it(world: Sandbox) -> None:
    held, told = world.info["twilio"], list[tuple[str, dict[str, str]]]()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            told.append((self.headers["X-Twilio-Signature"], form))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{listener.server_port}/sms"

    def send(to: str) -> httpx2.Response:
        path = f"{held['base_url']}/2010-04-01/Accounts/{held['account_sid']}/Messages.json"
        form = {"To": to, "From": held["from_number"], "Body": "x", "StatusCallback": url}
        return world.http.post(path, data=form, auth=(held["account_sid"], held["auth_token"]))

    refused = {number: send(f"+1500555000{number}").json()["code"] for number in (1, 2, 3, 4, 9)}
    assert refused == {1: 21211, 2: 21612, 3: 21408, 4: 21610, 9: 21614}
    made = send("+15005550010")
    assert (made.status_code, made.json()["status"], made.json()["error_code"]) == (201, "queued", None)
    world.advance(seconds=60)
    listener.shutdown()
    listener.server_close()
    assert [form["MessageStatus"] for _, form in told] == ["sent", "undelivered"]
    assert told[-1][1]["ErrorCode"] == "30003"
    for given, form in told:
        text = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.new(held["auth_token"].encode(), text.encode(), hashlib.sha1).digest()
        assert base64.b64encode(digest).decode() == given
