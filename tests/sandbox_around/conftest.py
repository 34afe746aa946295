"""A world with the faces around Smartlead, in this process, on free ports."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dns.message
import dns.query
import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette

from mailfleet.sandbox import slack, status_page, twilio
from mailfleet.sandbox.cloudflare import face as cloudflare
from mailfleet.sandbox.dns import server as dns_server
from mailfleet.sandbox.mail import smtp as mail_server
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

CLOUDFLARE = "/cloudflare/client/v4"
DOMAIN = "brightwater-mfdemo.com.au"


@pytest.fixture
def world() -> World:
    return World(7)


@pytest.fixture
def later(world: World) -> Callable[[timedelta], None]:
    """Lets sandbox time pass."""

    def pass_time(span: timedelta) -> None:
        world.now = world.now + span

    return pass_time


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    faces = (cloudflare, namecheap, slack, twilio, status_page)
    app = Starlette(routes=[route for face in faces for route in face.routes(world)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://sandbox") as client:
        yield client


@dataclass
class Dns:
    """Asks one of the three faces over a real socket."""

    servers: dns_server.DnsServers

    async def ask(self, face: str, name: str, kind: str, *, tcp: bool = False, **options: Any) -> dns.message.Message:
        where = self.servers.resolvers[0] if face == "resolvers" else getattr(self.servers, face)
        host, port = where.split(":")
        query = dns.message.make_query(name, kind, **options)
        transport = dns.query.tcp if tcp else dns.query.udp
        return await asyncio.to_thread(transport, query, host, port=int(port), timeout=5)


@pytest.fixture
async def names(world: World) -> AsyncIterator[Dns]:
    servers = await dns_server.start(world)
    yield Dns(servers)
    servers.close()


@pytest.fixture
async def mail(world: World) -> AsyncIterator[mail_server.MailServers]:
    servers = await mail_server.start(world)
    yield servers
    servers.close()


@dataclass
class Cloud:
    """Cloudflare's API by hand."""

    http: httpx2.AsyncClient
    world: World

    @property
    def account(self) -> dict[str, str]:
        return {"id": cloudflare.credentials(self.world)["account_id"]}

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        token = cloudflare.credentials(self.world)["api_token"]
        options.setdefault("headers", {"authorization": f"Bearer {token}"})
        return await self.http.request(method, CLOUDFLARE + path, **options)

    async def zone(self, name: str = DOMAIN) -> dict[str, Any]:
        namecheap.register(self.world, name)
        answer = await self.call("POST", "/zones", json={"name": name, "account": self.account, "type": "full"})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def records(self, zone: dict[str, Any], *posts: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.call("POST", f"/zones/{zone['id']}/dns_records/batch", json={"posts": list(posts)})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]["posts"]


@pytest.fixture
def cloud(http: httpx2.AsyncClient, world: World) -> Cloud:
    return Cloud(http, world)


@dataclass
class Registrar:
    """Namecheap's API by hand."""

    http: httpx2.AsyncClient
    world: World

    async def call(self, command: str, **given: str) -> httpx2.Response:
        held = namecheap.credentials(self.world)
        known = {
            "ApiUser": held["api_user"],
            "ApiKey": held["api_key"],
            "UserName": held["username"],
            "ClientIp": held["client_ip"],
            "Command": f"namecheap.{command}",
        }
        return await self.http.post("/namecheap/xml.response", data={**known, **given})

    async def delegate(self, zone: dict[str, Any]) -> httpx2.Response:
        sld, tld = zone["name"].split(".", 1)
        return await self.call("domains.dns.setCustom", SLD=sld, TLD=tld, Nameservers=",".join(zone["name_servers"]))


@pytest.fixture
def registrar(http: httpx2.AsyncClient, world: World) -> Registrar:
    return Registrar(http, world)


@pytest.fixture(scope="session")
def dkim_key() -> str:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture
def mail_records(dkim_key: str) -> list[dict[str, Any]]:
    """What a sending domain needs."""
    return [
        {"type": "TXT", "name": DOMAIN, "content": '"v=spf1 ip4:192.0.2.10 ~all"', "ttl": 300},
        {"type": "TXT", "name": f"s1._domainkey.{DOMAIN}", "content": f"v=DKIM1; k=rsa; p={dkim_key}", "ttl": 300},
        {"type": "TXT", "name": f"_dmarc.{DOMAIN}", "content": '"v=DMARC1; p=quarantine"', "ttl": 300},
        {"type": "MX", "name": DOMAIN, "content": "mail.sandbox.example", "priority": 10, "ttl": 300},
        {"type": "CNAME", "name": f"track.{DOMAIN}", "content": "open.sleadtrack.com", "ttl": 300},
    ]
