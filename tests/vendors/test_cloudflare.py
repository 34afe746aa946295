"""Cloudflare's envelope, error codes and quoted texts; what the zone host makes of them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vendors.wires import Bench, Handler, caught, ok, script, text

from mailfleet.errors import Conflict, Forbidden, Invalid, Unauthorized, Unavailable, VendorError
from mailfleet.platforms.cloudflare_dns import CloudflareDns
from mailfleet.platforms.ports import ZoneRecord
from mailfleet.vendors.cloudflare import txt
from mailfleet.vendors.cloudflare.client import CloudflareClient
from mailfleet.vendors.transport.operation import Patience
from mailfleet.vendors.transport.secret import Secret

pytestmark = pytest.mark.anyio
ZONE = {"id": "z1", "name": "a.example", "status": "pending", "name_servers": ["x.ns.example", "y.ns.example"]}


def envelope(result: Any, **info: Any) -> httpx2.Response:
    return ok({"success": True, "errors": [], "messages": [], "result": result, "result_info": info or None})


def refusal(code: int, status: int = 400, inner: int = 0) -> httpx2.Response:
    chain = {"error_chain": [{"code": inner, "message": "inner"}]} if inner else {}
    return ok({"success": False, "errors": [{"code": code, "message": "no", **chain}], "result": None}, status)


def host(handler: Handler) -> tuple[CloudflareDns, Bench]:
    bench = Bench(handler, Patience(attempts=1))
    return CloudflareDns(CloudflareClient(Secret("tok"), bench.means, account_id="acc")), bench


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(1097), Forbidden),
        (refusal(81045), Forbidden),
        (refusal(81053), Conflict),
        (refusal(6003, inner=6103), Unauthorized),
        (refusal(10000, 403), Forbidden),
        (refusal(9109, 403), Unauthorized),
        (refusal(1004, inner=9300), Invalid),
        (refusal(1049), Unavailable),
        (refusal(77777, 200), Invalid),
        (text("<html>1010</html>", 403), Forbidden),
        (text("oops", 502), Unavailable),
    ],
    ids=range(11),
)
async def test_each_code_is_one_kind_of_error(reply: httpx2.Response, kind: type[VendorError]) -> None:
    cloudflare, _ = host(script(reply))
    assert type(await caught(cloudflare.zone("z1"))) is kind


async def test_the_message_code_of_a_good_token_is_no_error() -> None:
    good = ok({"success": True, "messages": [{"code": 10000, "message": "valid"}], "result": {"status": "active"}})
    cloudflare, _ = host(script(good))
    assert await cloudflare.client.verify_token() == "active"


async def test_a_zone_that_exists_in_the_account_is_adopted() -> None:
    cloudflare, bench = host(script(refusal(1061), envelope([ZONE], page=1, total_pages=1)))
    assert (await cloudflare.create_zone("a.example")).ref == "z1"
    assert bench.sent[1].url.params["name"] == "a.example"


async def test_a_zone_of_another_account_is_a_conflict() -> None:
    cloudflare, _ = host(script(refusal(1061), envelope([], page=1, total_pages=0)))
    error = await caught(cloudflare.create_zone("a.example"))
    assert isinstance(error, Conflict)
    assert "another Cloudflare account" in str(error)


async def test_all_pages_are_read() -> None:
    def page(n: int) -> httpx2.Response:
        return envelope(
            [{"id": f"r{n}", "type": "A", "name": "a.example", "content": "192.0.2.1"}], page=n, total_pages=3
        )

    cloudflare, bench = host(script(page(1), page(2), page(3)))
    assert [record.ref for record in await cloudflare.records("z1")] == ["r1", "r2", "r3"]
    assert len(bench.sent) == 3


async def test_records_that_stand_already_are_not_written_again() -> None:
    key = "v=DKIM1; k=rsa; p=" + "A" * 400
    split = f'"{key[:255]}" "{key[255:]}"'
    standing = envelope([{"id": "r1", "type": "TXT", "name": "S._domainkey.a.example", "content": split}])
    cloudflare, bench = host(script(standing))
    (found,) = await cloudflare.apply("z1", create=[ZoneRecord(type="TXT", name="s._domainkey.a.example", content=key)])
    assert found.content == key
    assert [request.method for request in bench.sent] == ["GET"]


async def test_changes_go_as_one_batch_with_texts_quoted_and_nothing_proxied() -> None:
    cloudflare, bench = host(script(envelope([]), envelope({"posts": []}), envelope([])))
    await cloudflare.apply(
        "z1",
        create=[ZoneRecord(type="CNAME", name="t.a.example", content="open.sleadtrack.com", comment="mailfleet")],
        change=[ZoneRecord(type="TXT", name="a.example", content="v=spf1 ~all", ref="r9")],
    )
    sent = bench.bodies()[1]
    assert sent["posts"][0]["proxied"] is False
    assert sent["patches"][0] == {
        "id": "r9", "type": "TXT", "name": "a.example", "content": '"v=spf1 ~all"', "ttl": 300,
    }  # fmt: skip


@given(st.text(max_size=600))
def test_a_text_survives_quoting(value: str) -> None:
    coded = txt.encode(value)
    assert txt.decode(coded) == value
    assert coded.isascii()
