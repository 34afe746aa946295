"""Every Yes row of the Forge indexes: our client makes the documented call and understands the documented answer."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from tests.vendors.wires import Bench, caught, ok, script, text

import mailfleet
from mailfleet.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited, Unauthorized
from mailfleet.vendors.infraforge.client import Mailbox, Record, get_infraforge_client
from mailfleet.vendors.mailforge.client import get_mailforge_client
from mailfleet.vendors.salesforge.client import get_salesforge_client
from mailfleet.vendors.transport.secret import Hidden, Secret
from mailfleet.vendors.warmforge.client import get_warmforge_client

pytestmark = pytest.mark.anyio
VENDORS = Path(mailfleet.__file__).parent / "vendors"
EXCHANGES: dict[str, dict[str, dict[str, Any]]] = {
    name: tomllib.loads((VENDORS / name / "exchanges.toml").read_text())
    for name in ("salesforge", "warmforge", "infraforge", "mailforge")
}
W, S, D1, D2 = "wks_1", "seq_1", date(2026, 3, 1), date(2026, 3, 2)
BO = {"email": "bo@acme.test", "firstName": "Bo"}
FORM = {"label": "A", "status": "active", "emailSubject": "s", "emailContent": "b"}
STEP = {"id": "", "order": 0, "waitDays": 0, "distributionStrategy": "equal", "variants": [FORM]}
LOGIN = {"host": "h", "port": 465, "username": "ana", "password": "p"}
ANA = "ana@trybrand.com"


async def every(rows: Any) -> list[Any]:
    return [row async for row in rows]


Call = Callable[[Any], Awaitable[Any]]
CALLS: dict[str, dict[str, Call]] = {
    "salesforge": {
        "me": lambda c: c.me(),
        "workspaces/list": lambda c: c.workspaces(),
        "products/list": lambda c: every(c.sequences.products(W)),
        "sequences/list": lambda c: every(c.sequences.list(W)),
        "sequences/get": lambda c: c.sequences.get(W, S),
        "sequences/create": lambda c: c.sequences.create(
            W, "n", product="prod_1", language="american_english", timezone="UTC"
        ),
        "sequences/update": lambda c: c.sequences.edit(W, S, openTrackingEnabled=True),
        "sequences/delete": lambda c: c.sequences.delete(W, S),
        "sequences/status": lambda c: c.sequences.set_status(W, S, "paused"),
        "sequences/steps": lambda c: c.sequences.set_steps(W, S, [STEP]),
        "sequences/schedules": lambda c: c.sequences.set_schedules(W, S, [{"weekday": 1, "fromHour": 9, "toHour": 17}]),
        "sequences/mailboxes": lambda c: c.sequences.set_mailboxes(W, S, ["mbox_1"]),
        "sequences/contacts": lambda c: c.sequences.enrol(W, S, ["lead_1"]),
        "sequences/import-lead": lambda c: c.sequences.import_lead(W, S, BO),
        "sequences/count": lambda c: c.sequences.count(W, S, "replied", "ooo"),
        "sequences/analytics": lambda c: c.sequences.analytics(W, S, D1, D2),
        "sequence-metrics": lambda c: c.sequences.metrics(W, S),
        "contacts/list": lambda c: every(c.people.outside(W, S)),
        "contacts/get": lambda c: c.people.contact(W, "lead_1"),
        "contacts/create": lambda c: c.people.create(W, BO),
        "contacts/bulk": lambda c: c.people.create_many(W, [{**BO, "tags": ["t"]}]),
        "contacts/delete": lambda c: c.people.delete(W, "lead_1"),
        "contacts/bulk-delete": lambda c: c.people.delete_many(W, ["lead_1"]),
        "tags/list": lambda c: every(c.people.tags(W)),
        "custom-vars/list": lambda c: every(c.people.variables(W)),
        "dnc/list": lambda c: every(c.people.dnc(W)),
        "dnc/bulk": lambda c: c.people.add_dnc(W, ["a@x.test", "y.test"]),
        "dnc/remove": lambda c: c.people.remove_dnc(W, ["a@x.test"]),
        "sending-data": lambda c: every(c.people.sending(W, S)),
        "mailboxes/list": lambda c: every(c.mailboxes.list(W)),
        "mailboxes/get": lambda c: c.mailboxes.get(W, "mbox_1"),
        "mailboxes/connect": lambda c: c.mailboxes.connect(W, ANA, Hidden({"address": ANA, "smtp": LOGIN})),
        "mailboxes/update": lambda c: c.mailboxes.update(W, "mbox_1", dailyEmailLimit=20),
        "mailboxes/delete": lambda c: c.mailboxes.disconnect(W, "mbox_1"),
        "threads/list": lambda c: every(c.threads.list(W, S)),
        "threads/get": lambda c: c.threads.get(W, "mth_1"),
        "threads/get-old": lambda c: c.threads.get(W, "mth_1", "mbox_1"),
        "threads/label": lambda c: c.threads.label(W, "mth_1", "l1"),
        "emails/reply": lambda c: c.threads.reply(W, "mbox_1", "e1", "thanks"),
        "labels/list": lambda c: every(c.threads.labels(W)),
        "webhooks/list": lambda c: every(c.webhooks.list(W)),
        "webhooks/get": lambda c: c.webhooks.get(W, "wh_config_1"),
        "webhooks/create": lambda c: c.webhooks.create(W, "ours", "email_sent", "https://h.test"),
        "webhooks/delete": lambda c: c.webhooks.delete(W, "wh_config_1"),
        "multichannel/sequences/list": lambda c: every(c.multichannel.list(W)),
        "multichannel/sequences/get": lambda c: c.multichannel.get(W, 6811),
        "multichannel/schedule": lambda c: c.multichannel.schedule(W, 6811),
        "multichannel/settings": lambda c: c.multichannel.settings(W, 6811),
        "multichannel/analytics": lambda c: c.multichannel.analytics(W, 6811, D1, D2),
        "multichannel/sequence-senders": lambda c: every(c.multichannel.senders(W, 6811)),
        "multichannel/sender-profiles": lambda c: every(c.multichannel.profiles(W)),
        "multichannel/status": lambda c: c.multichannel.set_status(W, 6811, "paused"),
    },
    "warmforge": {
        "workspaces/list": lambda c: c.workspaces(),
        "mailboxes/list": lambda c: every(c.mailboxes("wsp_1")),
        "mailboxes/get": lambda c: c.mailbox("wsp_1", "ana+x@trybrand.com"),
        "mailboxes/update": lambda c: c.update("wsp_1", ANA, warmupEnabled=False),
        "mailboxes/delete": lambda c: c.remove("wsp_1", ANA),
        "mailboxes/connect-smtp": lambda c: c.connect(
            "wsp_1", ANA, Hidden({"address": ANA, "smtpPassword": "p", "warmupEnabled": False})
        ),
        "mailboxes/warmup-stats": lambda c: c.stats("wsp_1", ANA, D1, D2),
        "placement-tests/list": lambda c: every(c.placement_tests("wsp_1")),
        "placement-tests/get": lambda c: c.placement_test("wsp_1", "pt_1"),
        "placement-tests/create": lambda c: c.start_placement_test("wsp_1", "t", "s", "b", ["mbx_1"]),
        "placement-tests/delete": lambda c: c.forget_placement_test("wsp_1", "pt_1"),
        "mailboxes/placement-latest": lambda c: c.latest_results("wsp_1", ["mbx_1"]),
    },
    "infraforge": {
        "workspaces/list": lambda c: c.workspaces(),
        "domains/list": lambda c: c.domains(),
        "dns/get": lambda c: c.dns("dom_1"),
        "dns/set": lambda c: c.set_dns("dom_1", [Record(name="trybrand.com", type="TXT", value="x")]),
        "domains/enable-autorenew": lambda c: c.autorenew("dom_1", True),
        "domains/disable-autorenew": lambda c: c.autorenew("dom_1", False),
        "mailboxes/list": lambda c: c.mailboxes(with_credentials=True),
        "mailboxes/get": lambda c: c.mailbox("mbx_9"),
        "mailboxes/update": lambda c: c.set_password("mbx_9", Secret("p")),
        "mailboxes/export": lambda c: c.export("ws_1"),
        "mailboxes/export-to-salesforge": lambda c: c.hand_over("ws_1", W, "wsp_1", ["mbx_9"], tag="back", warmup=True),
    },
    "mailforge": {
        "workspaces/list": lambda c: c.workspaces(),
        "domains/list": lambda c: c.domains(),
        "dns/get": lambda c: c.dns("dom_1"),
        "mailboxes/list": lambda c: c.mailboxes(with_credentials=True),
        "mailboxes/get": lambda c: c.mailbox("m1"),
    },
}
BASE = "https://api.example/v"
MAKE: dict[str, Callable[[Bench], Any]] = {
    "salesforge": lambda b: get_salesforge_client("k", b.means, base_url=BASE, multichannel_base_url=BASE),
    "warmforge": lambda b: get_warmforge_client("k", b.means, base_url=BASE),
    "infraforge": lambda b: get_infraforge_client("k", b.means, base_url=BASE),
    "mailforge": lambda b: get_mailforge_client("k", b.means, base_url=BASE),
}


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


def replies(exchange: dict[str, Any]) -> list[httpx2.Response]:
    status = exchange.get("status", 200)
    if "text" in exchange:
        reply = text(exchange["text"], kind="text/csv")
    elif "answer" in exchange:
        reply = ok(json.loads(exchange["answer"]), status)
    else:
        reply = httpx2.Response(status)
    # The newer address of a thread is tried first.
    return [ok({"message": "Not Found"}, 404), reply] if exchange["call"].endswith("mbox_1/threads/mth_1") else [reply]


@pytest.mark.parametrize(("vendor", "row"), [(vendor, row) for vendor, rows in CALLS.items() for row in sorted(rows)])
async def test_the_documented_exchange_is_made_and_understood(vendor: str, row: str) -> None:
    exchange = EXCHANGES[vendor][row]
    bench = Bench(script(*replies(exchange)))
    client = MAKE[vendor](bench)
    await CALLS[vendor][row](client)
    request = bench.sent[-1]
    where, _, query = str(request.url).partition("?")
    assert f"{request.method} {where}" == exchange["call"].replace(" ", f" {BASE}", 1)
    asked = set(httpx2.QueryParams(query).multi_items())
    assert set(httpx2.QueryParams(exchange.get("query", "")).multi_items()) <= asked
    assert request.headers["authorization"] == "k"
    if "sends" in exchange:
        assert contains(json.loads(request.content), json.loads(exchange["sends"]))
    assert set(bench.states()) <= {"done"}
    assert '"p"' not in str([entry.request for entry in bench.journal.entries.values()])


@pytest.mark.parametrize("vendor", sorted(CALLS))
def test_every_exchange_has_a_call(vendor: str) -> None:
    assert set(EXCHANGES[vendor]) == set(CALLS[vendor])


@pytest.mark.parametrize(
    ("vendor", "status", "body", "kind", "told"),
    [
        ("salesforge", 401, {"message": "invalid api key"}, Unauthorized, "invalid api key"),
        ("salesforge", 402, {"message": "no credits", "data": {"leadCreditsNeeded": 12}}, Forbidden, "12 are missing"),
        ("salesforge", 422, {"message": "limit"}, Forbidden, "limit"),
        ("salesforge", 423, {"message": "enrollment_confirmation_busy"}, Conflict, "busy"),
        ("salesforge", 400, {"message": "m", "data": {"validations": [{"x": "steps"}]}}, Invalid, "steps"),
        ("salesforge", 404, {"message": "Not Found"}, NotFound, "Not Found"),
        ("salesforge", 429, {"message": "too many"}, RateLimited, "too many"),
        ("infraforge", 400, {"message": "invalid", "data": ["workspaceId is required"]}, Invalid, "workspaceId"),
        ("infraforge", 402, {"message": "card"}, Forbidden, "card"),
        ("mailforge", 400, {"code": 400, "message": "Maximum 100 domains allowed"}, Invalid, "Maximum"),
        ("warmforge", 409, {"message": "held"}, Conflict, "held"),
    ],
)  # fmt: skip
async def test_a_refusal_is_one_of_our_errors(
    vendor: str, status: int, body: dict[str, Any], kind: type[Exception], told: str
) -> None:
    bench = Bench(script(ok(body, status)))
    error = await caught(MAKE[vendor](bench).workspaces())
    assert isinstance(error, kind) and told in str(error)


async def test_warmforge_is_asked_raw_then_once_with_bearer_and_stays_so() -> None:
    answer = ok(json.loads(EXCHANGES["warmforge"]["workspaces/list"]["answer"]))
    bench = Bench(lambda r: answer if r.headers["authorization"] == "Bearer k" else ok({"message": "no"}, 401))
    client = MAKE["warmforge"](bench)
    for _ in range(2):
        assert [row.id for row in await client.workspaces()] == ["wsp_1"]
    assert [request.headers["authorization"] for request in bench.sent] == ["k", "Bearer k", "Bearer k"]
    refused = Bench(script(ok({"message": "invalid api key"}, 401)))
    assert isinstance(await caught(MAKE["warmforge"](refused).workspaces()), Unauthorized)
    assert len(refused.sent) == 2


async def test_a_record_is_added_behind_all_that_are_there() -> None:
    there = json.loads(EXCHANGES["infraforge"]["dns/get"]["answer"])
    bench = Bench(lambda r: ok(there) if r.method == "GET" else httpx2.Response(204))
    new = Record(name="trybrand.com", type="TXT", value="x")
    await MAKE["infraforge"](bench).add_record("dom_1", new)
    assert [row["value"] for row in bench.bodies()[-1]["records"]] == ["m1.trybrand.com", "x"]
    await MAKE["infraforge"](bench).add_record("dom_1", Record(name="trybrand.com", type="MX", value="m1.trybrand.com"))
    assert bench.sent[-1].method == "GET"


async def test_pages_end_by_the_total_however_few_rows_a_page_has() -> None:
    def page(request: httpx2.Request) -> httpx2.Response:
        start = int(request.url.params["offset"])
        rows = [{"id": f"lead_{n}", "email": f"{n}@x.test"} for n in range(start, min(start + 3, 7))]
        return ok({"data": rows, "limit": 3, "offset": start, "total": 7})

    bench = Bench(page)
    assert len(await every(MAKE["salesforge"](bench).people.contacts(W))) == 7
    assert len(bench.sent) == 3


def test_no_credentials_show_themselves() -> None:
    box = msgspec.convert(json.loads(EXCHANGES["infraforge"]["mailboxes/list"]["answer"])[0], Mailbox)
    assert box.credentials is not None and "'p'" not in repr(box)
