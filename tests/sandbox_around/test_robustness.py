"""Whatever is sent, no face fails by itself: every answer is one that the face means to give."""

import asyncio
import json
from typing import Any
from xml.etree.ElementTree import fromstring

import dns.message
import dns.name
import httpx2
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from mailfleet.sandbox import slack, twilio
from mailfleet.sandbox.cloudflare import face as cloudflare
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.dns.views import nameserver_answer, parent_answer, resolve
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import CLOUDFLARE, DOMAIN

LEAVES = st.none() | st.booleans() | st.integers(-5, 70_000) | st.text(max_size=40) | st.just(DOMAIN)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
TYPES = st.sampled_from(["A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "CAA", "SPF"])
DATA = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("priority", "weight", "port", "target", "flags", "tag", "value"), LEAVES),
)
RECORD = st.fixed_dictionaries(
    {"type": TYPES, "name": st.text(max_size=20) | st.sampled_from(["@", "a", "*.b", "_x._domainkey"])},
    optional={
        "content": st.text(max_size=60) | st.sampled_from(["192.0.2.1", "mail.sandbox.example", '"v=spf1 ~all"', "."]),
        "ttl": LEAVES,
        "priority": LEAVES,
        "proxied": LEAVES,
        "data": DATA,
        "comment": LEAVES,
    },
)
ASKED = st.sampled_from(["DomainList", "DomainName", "SLD", "TLD", "Years", "Page"])
BATCH = st.fixed_dictionaries(
    {}, optional={"posts": st.lists(RECORD, max_size=3) | VALUES, "patches": VALUES, "deletes": VALUES}
)


def send(method: str, path: str, world: World, headers: dict[str, str], **options: Any) -> httpx2.Response:
    app = Starlette(routes=[route for face in (cloudflare, namecheap, slack, twilio) for route in face.routes(world)])

    async def call() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(call())


def token(world: World) -> dict[str, str]:
    return {"authorization": f"Bearer {cloudflare.credentials(world)['api_token']}"}


def zone_of(world: World) -> str:
    namecheap.register(world, DOMAIN)
    body = {"name": DOMAIN, "account": {"id": cloudflare.credentials(world)["account_id"]}}
    return send("POST", f"{CLOUDFLARE}/zones", world, token(world), json=body).json()["result"]["id"]


@settings(max_examples=60, deadline=None)
@given(batch=BATCH)
def test_any_batch_is_taken_or_refused_and_what_is_taken_can_be_served(batch: dict[str, Any]) -> None:
    world = World(3)
    zone = zone_of(world)
    answer = send("POST", f"{CLOUDFLARE}/zones/{zone}/dns_records/batch", world, token(world), json=batch)

    assert answer.status_code in (200, 400, 404), answer.text
    assert answer.json()["success"] is (answer.status_code == 200)
    world.now = world.now.replace(hour=1)
    for record in world.zones[DOMAIN].records.values():
        found = nameserver_answer(world, dns.name.from_text(record.name), RdataType.TXT)
        assert found.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN)
    dns_server.domain_auth(world, DOMAIN)


@settings(max_examples=60, deadline=None)
@given(name=VALUES, account=VALUES, raw=st.binary(max_size=20))
def test_any_zone_is_taken_or_refused(name: Any, account: Any, raw: bytes) -> None:
    world = World(3)
    held = {"id": cloudflare.credentials(world)["account_id"]}
    for body in (json.dumps({"name": name, "account": held}), json.dumps({"name": DOMAIN, "account": account}), raw):
        answer = send("POST", f"{CLOUDFLARE}/zones", world, token(world), content=body)
        assert answer.status_code in (400, 403), answer.text


@settings(max_examples=60, deadline=None)
@given(asked=st.dictionaries(ASKED, st.text(max_size=20)))
def test_any_registrar_call_is_answered_in_xml(asked: dict[str, str]) -> None:
    world = World(3)
    held = namecheap.credentials(world)
    known = {
        "ApiUser": held["api_user"],
        "ApiKey": held["api_key"],
        "UserName": held["username"],
        "ClientIp": held["client_ip"],
    }
    for command in namecheap.COMMANDS:
        answer = send("POST", "/namecheap/xml.response", world, {}, data={**known, "Command": command, **asked})
        assert answer.status_code == 200, answer.text
        assert fromstring(answer.content).get("Status") in ("OK", "ERROR")


@settings(max_examples=60, deadline=None)
@given(body=VALUES, raw=st.binary(max_size=30))
def test_any_notice_is_answered(body: Any, raw: bytes) -> None:
    world = World(3)
    bot = {"authorization": f"Bearer {slack.credentials(world)['bot_token']}", "content-type": "application/json"}
    held = twilio.credentials(world)
    messages = f"/twilio/2010-04-01/Accounts/{held['account_sid']}/Messages.json"
    for content in (json.dumps(body), raw):
        assert send("POST", "/slack/api/chat.postMessage", world, bot, content=content).status_code == 200
        hook = send("POST", slack.credentials(world)["webhook_path"], world, {}, content=content)
        assert hook.status_code in (200, 400)
        answer = send("POST", messages, world, {}, content=content, auth=(held["account_sid"], held["auth_token"]))
        assert answer.status_code == 400


LABELS = st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(lambda labels: dns.name.Name((*labels, b"")))
NAMES = LABELS | st.sampled_from([DOMAIN, f"a.{DOMAIN}", "com.au", "au", "."]).map(dns.name.from_text)


@settings(max_examples=150, deadline=None)
@given(name=NAMES, kind=st.integers(1, 300))
def test_any_question_has_an_answer_that_fits_on_the_wire(name: dns.name.Name, kind: int) -> None:
    world = World(3)
    namecheap.register(world, DOMAIN)
    query = dns.message.make_query(name, kind).to_wire()
    faces = {
        "parent": lambda n, k: parent_answer(world, n, k),
        "nameservers": lambda n, k: nameserver_answer(world, n, k),
        "resolvers": lambda n, k: resolve(world, n, k),
    }
    for label, face in faces.items():
        raw = dns_server.respond(world, label, face, query, "udp")
        assert raw is not None
        assert len(raw) <= 512
        assert dns.message.from_wire(raw).id == int.from_bytes(query[:2], "big")


@settings(max_examples=150, deadline=None)
@given(junk=st.binary(max_size=80))
def test_any_bytes_are_survived(junk: bytes) -> None:
    world = World(3)
    dns_server.respond(world, "parent", lambda n, k: parent_answer(world, n, k), junk, "udp")
