"""Cloudflare's API v4 by hand (the vendor's pages: Zone status, Batch record changes, Rate limits)."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from mailfleet.sandbox.cloudflare import face as cloudflare
from mailfleet.sandbox.cloudflare.records import txt_content, txt_value
from mailfleet.sandbox.namecheap import face as namecheap
from mailfleet.sandbox.world import World

from .conftest import CLOUDFLARE, DOMAIN, Cloud, Registrar

pytestmark = pytest.mark.anyio

Later = Callable[[timedelta], None]
TEXT = {"type": "TXT", "name": "@"}
WWW = {"type": "A", "name": "www", "content": "192.0.2.1"}


def refusal(answer: httpx2.Response) -> tuple[int, int, list[int]]:
    """HTTP status, code, codes of the chain."""
    body = answer.json()
    assert (body["success"], body["result"]) == (False, None)
    (error,) = body["errors"]
    return answer.status_code, error["code"], [link["code"] for link in error.get("error_chain", [])]


async def test_a_new_zone_is_pending_with_its_own_pair(cloud: Cloud) -> None:
    zone = await cloud.zone()

    assert zone["status"] == "pending"
    assert re.fullmatch(r"[0-9a-f]{32}", zone["id"])
    assert len(set(zone["name_servers"])) == 2
    assert all(server.endswith(".ns.cloudflare.com") for server in zone["name_servers"])
    assert zone["original_name_servers"] == ["dns1.registrar-servers.com", "dns2.registrar-servers.com"]
    assert zone["activated_on"] is None


async def test_a_zone_is_found_by_its_name(cloud: Cloud) -> None:
    zone = await cloud.zone()
    await cloud.zone("other-mfdemo.com")

    exact = (await cloud.call("GET", "/zones", params={"name": DOMAIN})).json()
    part = (await cloud.call("GET", "/zones", params={"name": "contains:mfdemo"})).json()
    none = (await cloud.call("GET", "/zones", params={"name": "mfdemo"})).json()

    assert [found["id"] for found in exact["result"]] == [zone["id"]]
    assert exact["result_info"] == {"page": 1, "per_page": 20, "count": 1, "total_count": 1, "total_pages": 1}
    assert len(part["result"]) == 2
    assert none["result"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("nobody-owns-mfdemo.com", 1049), ("banned-mfdemo.com", 1097), ("elsewhere-mfdemo.com", 1061), ("a.b.com", 1116)],
)
async def test_a_zone_is_refused(cloud: Cloud, name: str, code: int) -> None:
    answer = await cloud.call("POST", "/zones", json={"name": name, "account": cloud.account})

    assert refusal(answer)[:2] == (400, code)


async def test_the_same_zone_twice_exists(cloud: Cloud) -> None:
    await cloud.zone()
    answer = await cloud.call("POST", "/zones", json={"name": DOMAIN, "account": cloud.account})

    assert refusal(answer)[:2] == (400, 1061)


async def test_a_zone_needs_the_account(cloud: Cloud, world: World) -> None:
    namecheap.register(world, DOMAIN)
    without = await cloud.call("POST", "/zones", json={"name": DOMAIN})
    foreign = await cloud.call("POST", "/zones", json={"name": DOMAIN, "account": {"id": "0" * 32}})

    assert without.status_code == 400
    assert refusal(foreign)[:2] == (403, 10000)


async def test_a_zone_becomes_active_after_the_delegation_by_itself(
    cloud: Cloud, registrar: Registrar, later: Later
) -> None:
    zone = await cloud.zone()
    await registrar.delegate(zone)
    soon = (await cloud.call("GET", f"/zones/{zone['id']}")).json()["result"]
    later(timedelta(hours=7))
    active = (await cloud.call("GET", f"/zones/{zone['id']}")).json()["result"]

    assert soon["status"] == "pending"
    assert active["status"] == "active"
    assert active["activated_on"] is not None


async def test_a_zone_delegated_elsewhere_is_moved(cloud: Cloud, registrar: Registrar, later: Later) -> None:
    zone = await cloud.zone()
    await registrar.delegate(zone)
    later(timedelta(hours=7))
    await cloud.call("GET", f"/zones/{zone['id']}")
    await registrar.delegate({**zone, "name_servers": ["ns1.else-mfdemo.com", "ns2.else-mfdemo.com"]})
    later(timedelta(hours=7))

    assert (await cloud.call("GET", f"/zones/{zone['id']}")).json()["result"]["status"] == "moved"


async def test_a_zone_that_stays_pending_is_deleted_after_28_days(cloud: Cloud, world: World) -> None:
    zone = await cloud.zone()
    await world.advance(world.now + timedelta(days=27))
    kept = await cloud.call("GET", f"/zones/{zone['id']}")
    await world.advance(world.now + timedelta(days=1))
    gone = await cloud.call("GET", f"/zones/{zone['id']}")

    assert (kept.status_code, gone.status_code) == (200, 404)


async def test_a_moved_zone_is_deleted_after_a_week(cloud: Cloud, registrar: Registrar, world: World) -> None:
    zone = await cloud.zone()
    await registrar.delegate(zone)
    await world.advance(world.now + timedelta(days=1))
    await registrar.delegate({**zone, "name_servers": ["ns1.else-mfdemo.com", "ns2.else-mfdemo.com"]})
    await world.advance(world.now + timedelta(days=1))
    moved = (await cloud.call("GET", f"/zones/{zone['id']}")).json()["result"]["status"]
    await world.advance(world.now + timedelta(days=7))

    assert moved == "moved"
    assert (await cloud.call("GET", f"/zones/{zone['id']}")).status_code == 404


async def test_activation_may_be_asked_for_once_an_hour(cloud: Cloud, later: Later) -> None:
    zone = await cloud.zone()
    first = await cloud.call("PUT", f"/zones/{zone['id']}/activation_check")
    again = await cloud.call("PUT", f"/zones/{zone['id']}/activation_check")
    later(timedelta(hours=1))
    then = await cloud.call("PUT", f"/zones/{zone['id']}/activation_check")

    assert first.json()["result"] == {"id": zone["id"]}
    assert (again.status_code, then.status_code) == (429, 200)


async def test_a_zone_added_again_has_another_pair(cloud: Cloud) -> None:
    zone = await cloud.zone()
    await cloud.call("DELETE", f"/zones/{zone['id']}")
    again = await cloud.zone()

    assert set(again["name_servers"]) != set(zone["name_servers"])
    assert refusal(await cloud.call("GET", f"/zones/{zone['id']}"))[0] == 404


async def test_records_are_created_read_changed_and_deleted(cloud: Cloud) -> None:
    zone = await cloud.zone()
    base = f"/zones/{zone['id']}/dns_records"
    made = (await cloud.call("POST", base, json={**WWW, "ttl": 120, "comment": "mailfleet"})).json()["result"]
    one = f"{base}/{made['id']}"
    read = (await cloud.call("GET", one)).json()["result"]
    patched = (await cloud.call("PATCH", one, json={"content": "192.0.2.2"})).json()["result"]
    put = (await cloud.call("PUT", one, json={**WWW, "content": "192.0.2.3"})).json()["result"]
    deleted = (await cloud.call("DELETE", one)).json()["result"]

    assert (read["name"], read["ttl"], read["comment"], read["proxied"]) == (f"www.{DOMAIN}", 120, "mailfleet", False)
    assert (patched["content"], patched["ttl"], patched["comment"]) == ("192.0.2.2", 120, "mailfleet")
    assert (put["content"], put["ttl"], put["comment"]) == ("192.0.2.3", 1, None)
    assert deleted == {"id": made["id"]}
    assert refusal(await cloud.call("GET", one))[:2] == (404, 81044)


async def test_a_batch_works_in_the_documented_order(cloud: Cloud) -> None:
    zone = await cloud.zone()
    posts = [{**WWW, "name": name} for name in ("a", "b", "c")]
    a, b, c = await cloud.records(zone, *posts)
    body = {
        "posts": [{**WWW, "name": "a", "content": "192.0.2.9"}],
        "puts": [{"id": c["id"], **WWW, "name": "c", "content": "192.0.2.8"}],
        "patches": [{"id": b["id"], "ttl": 600}],
        "deletes": [{"id": a["id"]}],
    }
    done = (await cloud.call("POST", f"/zones/{zone['id']}/dns_records/batch", json=body)).json()["result"]

    assert [record["id"] for record in done["deletes"]] == [a["id"]]
    assert (done["patches"][0]["ttl"], done["puts"][0]["content"]) == (600, "192.0.2.8")
    assert done["posts"][0]["content"] == "192.0.2.9"


async def test_a_batch_with_one_bad_entry_changes_nothing(cloud: Cloud) -> None:
    zone = await cloud.zone()
    (kept,) = await cloud.records(zone, WWW)
    body = {"deletes": [{"id": kept["id"]}], "posts": [{"type": "A", "name": "x", "content": "not an address"}]}
    answer = await cloud.call("POST", f"/zones/{zone['id']}/dns_records/batch", json=body)
    left = (await cloud.call("GET", f"/zones/{zone['id']}/dns_records")).json()["result"]

    assert refusal(answer) == (400, 1004, [9005])
    assert [record["id"] for record in left] == [kept["id"]]


@pytest.mark.parametrize(
    ("held", "new", "code"),
    [
        (WWW, WWW, 81058),
        (WWW, {**WWW, "ttl": 600}, 81057),
        (WWW, {"type": "CNAME", "name": "www", "content": "open.sleadtrack.com"}, 81053),
        ({"type": "CNAME", "name": "www", "content": "open.sleadtrack.com"}, WWW, 81053),
        ({**TEXT, "content": "v=spf1 ~all"}, {**TEXT, "content": '"v=spf1 ~all"'}, 81058),
    ],
)
async def test_records_that_conflict_are_refused(
    cloud: Cloud, held: dict[str, Any], new: dict[str, Any], code: int
) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, held)
    answer = await cloud.call("POST", f"/zones/{zone['id']}/dns_records", json=new)

    assert refusal(answer)[:2] == (400, code)


@pytest.mark.parametrize(
    ("record", "chained"),
    [
        ({"type": "SPF", "name": "@", "content": "v=spf1"}, 9020),
        ({"type": "A", "name": "www", "content": "2001:db8::1"}, 9005),
        ({"type": "AAAA", "name": "www", "content": "192.0.2.1"}, 9006),
        ({"type": "A", "content": "192.0.2.1"}, 9000),
        ({"type": "A", "name": "bad..name", "content": "192.0.2.1"}, 9000),
        ({**WWW, "ttl": 5}, 9021),
        ({**WWW, "tags": ["owner:us"]}, 9300),
        ({"type": "MX", "name": "@", "content": "mail.sandbox.example"}, 9101),
        ({"type": "TXT", "name": "@", "content": "x", "proxied": True}, 9004),
        ({"type": "CNAME", "name": "a", "content": "not a name"}, 9007),
    ],
)
async def test_a_record_that_cannot_be_is_explained_in_the_chain(
    cloud: Cloud, record: dict[str, Any], chained: int
) -> None:
    zone = await cloud.zone()
    answer = await cloud.call("POST", f"/zones/{zone['id']}/dns_records", json=record)

    assert refusal(answer) == (400, 1004, [chained])


async def test_the_record_quota_is_two_hundred(cloud: Cloud) -> None:
    zone = await cloud.zone()
    await cloud.records(zone, *({**WWW, "name": f"n{number}"} for number in range(200)))
    answer = await cloud.call("POST", f"/zones/{zone['id']}/dns_records", json=WWW)

    assert refusal(answer)[:2] == (400, 81045)


async def test_records_are_listed_in_pages_and_by_filter(cloud: Cloud) -> None:
    zone = await cloud.zone()
    base = f"/zones/{zone['id']}/dns_records"
    await cloud.records(zone, *({**WWW, "name": f"n{number:03d}"} for number in range(130)))
    await cloud.records(zone, {"type": "TXT", "name": "@", "content": "hello", "comment": "ours"})
    pages = [(await cloud.call("GET", base, params={"page": page, "per_page": 5000})).json() for page in (1, 2, 3)]

    async def count(**params: str) -> int:
        return (await cloud.call("GET", base, params=params)).json()["result_info"]["total_count"]

    assert [len(page["result"]) for page in pages] == [100, 31, 0]
    assert pages[0]["result_info"] == {
        "page": 1, "per_page": 100, "count": 100, "total_count": 131, "total_pages": 2,
    }  # fmt: skip
    assert await count(type="TXT") == 1
    assert await count(name=f"n007.{DOMAIN}") == 1
    assert await count(**{"name.startswith": "n00"}) == 10
    assert await count(**{"comment.contains": "our"}) == 1
    assert await count(**{"type": "TXT", "name.exact": f"n007.{DOMAIN}", "match": "any"}) == 2


@pytest.mark.parametrize("value", ["v=spf1 ~all", 'say "hi" \\ there', "x" * 700, "grüße", ""])
def test_text_survives_quoting_and_splitting(value: str) -> None:
    content = txt_content(value)

    assert txt_value(content) == value
    assert all(len(part) <= 255 for part in re.findall(r'"([^"]*)"', content)) or "\\" in content


@pytest.mark.parametrize(
    ("headers", "status", "code", "chained"),
    [
        ({}, 400, 6003, [6111]),
        ({"authorization": "Token abc"}, 400, 6003, [6111]),
        ({"authorization": "Bearer has space"}, 400, 6003, [6111]),
        ({"authorization": "Bearer wrong"}, 403, 10000, []),
    ],
)
async def test_calls_without_the_token_are_refused(
    cloud: Cloud, headers: dict[str, str], status: int, code: int, chained: list[int]
) -> None:
    assert refusal(await cloud.call("GET", "/zones", headers=headers)) == (status, code, chained)


async def test_a_valid_token_is_said_so_with_the_code_that_elsewhere_means_an_error(cloud: Cloud) -> None:
    body = (await cloud.call("GET", "/user/tokens/verify")).json()

    assert body["success"]
    assert body["result"]["status"] == "active"
    assert body["messages"][0]["code"] == 10000


async def test_an_excess_of_calls_blocks_for_a_whole_window(world: World) -> None:
    now = [0.0]
    limit = cloudflare.Limit(quota=3, window=300, clock=lambda: now[0])
    app = Starlette(routes=cloudflare.routes(world, limit))
    headers = {"authorization": f"Bearer {cloudflare.credentials(world)['api_token']}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
        answers = [await client.get(f"{CLOUDFLARE}/zones", headers=headers) for _ in range(4)]
        now[0] = 299
        waiting = await client.get(f"{CLOUDFLARE}/zones", headers=headers)
        now[0] = 301
        open_again = await client.get(f"{CLOUDFLARE}/zones", headers=headers)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"default";r=2;t=300'
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=300'
    assert refusal(answers[3])[1] == 971
    assert answers[3].headers["retry-after"] == "300"
    assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "1")
    assert open_again.status_code == 200


async def test_an_unknown_path_and_a_body_that_is_not_json_are_said_so(cloud: Cloud) -> None:
    zone = await cloud.zone()
    assert refusal(await cloud.call("GET", "/nothing"))[:2] == (404, 7000)
    assert refusal(await cloud.call("DELETE", "/zones"))[:2] == (405, 7001)
    assert refusal(await cloud.call("POST", f"/zones/{zone['id']}/dns_records", content=b"{"))[:2] == (400, 9207)


def test_one_seed_gives_the_same_ids_and_another_gives_others() -> None:
    one, same, other = (cloudflare.credentials(World(seed)) for seed in (1, 1, 2))

    assert one == same
    assert one != other
