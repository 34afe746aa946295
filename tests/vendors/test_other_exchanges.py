"""Every Yes row of the smaller vendors: the documented call is made, the documented answer read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from tests.reconcile.vendors import CONTACT
from tests.vendors.wires import Bench, ok, script, text

import mailfleet
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.namecheap.client import NamecheapClient
from mailfleet.vendors.slack.client import SlackClient
from mailfleet.vendors.statuspage.client import StatusPage
from mailfleet.vendors.transport.secret import Secret
from mailfleet.vendors.twilio.client import TwilioClient

pytestmark = pytest.mark.anyio
VENDORS = Path(mailfleet.__file__).parent / "vendors"
HOSTS = {name: f"https://{name}.example" for name in ("cloudflare", "namecheap", "slack", "twilio", "statuspage")}
EXCHANGES = {
    f"{vendor}:{row}": exchange
    for vendor in HOSTS
    for row, exchange in tomllib.loads(
        (VENDORS / vendor / "exchanges.toml").read_text()
    ).items()
}  # fmt: skip
DOMAIN = "outreach-one.com"
SERVERS = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
DMARC = {"type": "TXT", "name": "_dmarc.outreach-one.example", "content": '"v=DMARC1; p=none"'}


def cloudflare(bench: Bench) -> CloudflareClient:
    return CloudflareClient(Secret("s3cr3t"), bench.means, account_id="acc", base_url=HOSTS["cloudflare"])


def namecheap(bench: Bench) -> NamecheapClient:
    return NamecheapClient(
        bench.means, api_user="agency", key=Secret("s3cr3t"), username="agency", client_ip="192.0.2.1",
        base_url=f"{HOSTS['namecheap']}/xml.response",
    )  # fmt: skip


def slack(bench: Bench) -> SlackClient:
    return SlackClient(bench.means, token=Secret("s3cr3t"), base_url=HOSTS["slack"])


def hook(bench: Bench) -> SlackClient:
    return SlackClient(bench.means, webhook=Secret(f"{HOSTS['slack']}/services/T0000/B0000/secretpath"))


def twilio(bench: Bench) -> TwilioClient:
    return TwilioClient(
        bench.means, account_sid="AC1", token=Secret("s3cr3t"), sender="+15005550006", base_url=HOSTS["twilio"]
    )


CALLS: dict[str, tuple[Callable[[Bench], Awaitable[Any]], Callable[[Any], object]]] = {
    "cloudflare:zones/list": (
        lambda b: cloudflare(b).zones("outreach-one.example"), lambda got: [zone.status for zone in got] == ["active"]
    ),
    "cloudflare:zones/create": (
        lambda b: cloudflare(b).create_zone("outreach-one.example"), lambda got: got.name_servers == SERVERS
    ),
    "cloudflare:zones/get": (lambda b: cloudflare(b).zone("z1"), lambda got: got.status == "moved"),
    "cloudflare:zones/activation_check": (lambda b: cloudflare(b).check_activation("z1"), lambda got: got is None),
    "cloudflare:dns_records/list": (
        lambda b: cloudflare(b).records("z1"), lambda got: [row.priority for row in got] == [None, 10]
    ),
    "cloudflare:dns_records/batch": (
        lambda b: cloudflare(b).batch("z1", posts=[DMARC], deletes=["r9"]), lambda got: got.posts[0].id == "r3"
    ),
    "cloudflare:tokens/verify": (lambda b: cloudflare(b).verify_token(), lambda got: got == "active"),
    "namecheap:domains.check": (
        lambda b: namecheap(b).check(DOMAIN), lambda got: got.available and not got.premium
    ),
    "namecheap:domains.create": (
        lambda b: namecheap(b).register(DOMAIN, CONTACT), lambda got: (got.charged_cents, got.real_time) == (1087, True)
    ),
    "namecheap:domains.getInfo": (lambda b: namecheap(b).owned(DOMAIN), lambda got: got),
    "namecheap:domains.dns.getList": (
        lambda b: namecheap(b).nameservers("outreach-one.com.au"), lambda got: list(got) == SERVERS
    ),
    "namecheap:domains.dns.setCustom": (
        lambda b: namecheap(b).set_nameservers(DOMAIN, SERVERS), lambda got: got is None
    ),
    "slack:chat.postMessage": (
        lambda b: slack(b).post("#alerts", "Pilot A is paused"), lambda got: got == "1772442000.000100"
    ),
    "slack:incoming-webhook": (lambda b: hook(b).post("", "Pilot A is paused"), lambda got: got == ""),
    "statuspage:summary": (
        lambda b: StatusPage("acme", HOSTS["statuspage"], b.means).read(), lambda got: got.indicator == "minor"
    ),
    "twilio:messages": (
        lambda b: twilio(b).send("+61400000000", "Pilot A is paused"), lambda got: got.status == "queued"
    ),
}  # fmt: skip


def reply(exchange: dict[str, Any]) -> httpx2.Response:
    if "xml" in exchange:
        head = '<?xml version="1.0" encoding="utf-8"?><ApiResponse Status="OK" xmlns="http://api.namecheap.com/xml.response">'
        return text(f"{head}<Errors/>{exchange['xml']}</ApiResponse>", kind="text/xml")
    if "text" in exchange:
        return text(exchange["text"], kind="text/plain")
    return ok(json.loads(exchange["answer"]), exchange.get("status", 200))


@pytest.mark.parametrize("row", sorted(EXCHANGES))
async def test_the_documented_exchange_is_made_and_understood(row: str) -> None:
    exchange, host = EXCHANGES[row], HOSTS[row.partition(":")[0]]
    bench = Bench(script(reply(exchange)))
    call, right = CALLS[row]
    assert right(await call(bench))
    (request,) = bench.sent
    assert f"{request.method} {str(request.url).partition('?')[0]}" == exchange["call"].replace(" ", f" {host}", 1)
    assert exchange.get("query", {}).items() <= dict(request.url.params).items()
    assert request.headers.get("authorization", "") == exchange.get("header", request.headers.get("authorization", ""))
    sends = exchange.get("sends", {})
    if isinstance(sends, str):
        sent, sends = json.loads(request.content), json.loads(sends)
    else:
        sent = dict(parse_qsl(request.content.decode()))
    assert sends.items() <= sent.items()
    assert "s3cr3t" not in str(request.url)


@pytest.mark.parametrize("answer", [text("oops", 502), ok({"status": {"indicator": "purple"}}), ok({}), ok([])])
async def test_a_status_page_that_cannot_be_read_is_unknown(answer: httpx2.Response) -> None:
    page = StatusPage("acme", HOSTS["statuspage"], Bench(script(answer)).means)
    assert (await page.read()).indicator == "unknown"


def test_every_exchange_has_a_call() -> None:
    assert set(CALLS) == set(EXCHANGES)
